"""The warm process: imports the libraries once, then forks itself for each job. POSIX only.

It has no threads and runs no learner's code itself, so each fork begins in the same clean state.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
import traceback

from fastapi_katas.checker.child import LIBRARIES, MORE_LIBRARIES, import_libraries, run
from fastapi_katas.checker.job import Job

_JOB_BYTES = 65_536


def serve(connection: socket.socket) -> None:
    """Answer jobs until the other side goes away.

    Args:
        connection: Jobs come here, each with the descriptor that takes the child's output. For
            each, the child's process id and then its exit code are answered.
    """
    while True:
        line, descriptors, _, _ = socket.recv_fds(connection, _JOB_BYTES, 1)
        if not line:
            return
        (output,) = descriptors
        pid = os.fork()
        if pid == 0:
            _become_child(connection, output, line)
        os.close(output)
        _tell(connection, pid=pid)
        _, status = os.waitpid(pid, 0)
        _tell(connection, code=os.waitstatus_to_exitcode(status))


def _tell(connection: socket.socket, **numbers: int) -> None:
    connection.sendall(json.dumps(numbers).encode() + b"\n")


def _become_child(connection: socket.socket, output: int, line: bytes) -> None:
    leave, code = os._exit, 70
    try:
        os.setsid()
        connection.close()
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        code = run(Job.from_line(line))
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001 - whatever it was, a fork must not return to the loop
        traceback.print_exc()
    finally:
        leave(code)


def main() -> None:
    """Import the libraries and serve."""
    import_libraries(LIBRARIES + MORE_LIBRARIES)
    # What exists now is shared with every fork; the collector need not look at it again.
    gc.collect()
    gc.freeze()
    serve(socket.socket(fileno=int(sys.argv[1])))


if __name__ == "__main__":
    main()
