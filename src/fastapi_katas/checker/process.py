"""Child processes for runs: cold ones, prepared spare ones, and forks of a warm one."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol, Self

from fastapi_katas.checker.job import Job

_HEAD_BYTES, _TAIL_BYTES = 8_000, 24_000
_KILL_GRACE_SECONDS = 10.0
# Until the first event a process imports libraries, and on a busy machine that takes long. No code
# of the learner runs before it.
_START_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Ending:
    """How a child process ended.

    Attributes:
        code: Its exit code; negative for a signal.
        output: What it printed, cut in the middle if it was much.
        killed: Whether it had to be ended from outside.
    """

    code: int
    output: str
    killed: bool = False


class Runner(Protocol):
    """Runs jobs, each in a process of its own."""

    def run(self, job: Job) -> Ending:
        """Run one job to its end."""
        ...

    def close(self) -> None:
        """End the processes that are kept ready."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class _Closing:
    def close(self) -> None:
        """End the processes that are kept ready."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _Drain(threading.Thread):
    """Reads the output of a child to its end, and keeps its beginning and its end."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self._stream = stream
        self._head = b""
        self._tail = b""
        self._dropped = 0
        self.start()

    def run(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while data := os.read(self._stream.fileno(), 65_536):
                room = _HEAD_BYTES - len(self._head)
                self._head += data[:room]
                self._tail += data[room:]
                if len(self._tail) > 2 * _TAIL_BYTES:
                    self._dropped += len(self._tail) - _TAIL_BYTES
                    self._tail = self._tail[-_TAIL_BYTES:]

    def text(self) -> str:
        """Return what was kept. Undecodable bytes are shown as escapes."""
        # A process that the module started may keep the pipe open: it is not waited for.
        self.join(timeout=1.0)
        gap = f"\n[… {self._dropped} bytes left out …]\n" if self._dropped else ""
        head = self._head.decode("utf-8", "backslashreplace")
        return head + gap + self._tail.decode("utf-8", "backslashreplace")


def _watch(
    ended: threading.Event, job: Job, kill: Callable[[], None]
) -> bool:
    """Wait for the end of a child; end it if it is silent for much longer than the limit.

    Returns:
        Whether it had to be ended.
    """
    events, size, since = Path(job.events), -1, time.monotonic()
    try:
        while not ended.wait(0.5):
            now = events.stat().st_size if events.exists() else 0
            if now != size:
                size, since = now, time.monotonic()
            elif time.monotonic() - since > _patience(job, begun=size > 0):
                kill()
                ended.wait(5)
                return True
    except BaseException:
        kill()
        ended.wait(5)
        raise
    return False


def _patience(job: Job, *, begun: bool) -> float:
    # The limit counts in both cases: who is told to raise it must be waited for longer.
    return job.limit + _KILL_GRACE_SECONDS + (0.0 if begun else _START_SECONDS)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(OSError):
        if os.name == "posix":
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGTERM)


def _start(module: str, *arguments: str, **options: object) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONIOENCODING": "utf-8",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    # A learner's settings for their own pytest runs must not change a verdict.
    # With CI in it, pytest writes another report.
    for name in (
        "PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTHONWARNINGS", "PYTHONASYNCIODEBUG", "CI",
        "BUILD_NUMBER",
    ):
        environment.pop(name, None)
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        # Safe path: a file of the learner in this folder must not hide an installed package.
        [sys.executable, "-P", "-m", module, *arguments],
        env=environment,
        # A terminal's Ctrl-C is for the parent, which then ends the child.
        start_new_session=os.name == "posix",
        **options,
    )


class ColdRunner(_Closing):
    """Starts a process for each job, when the job comes."""

    def run(self, job: Job) -> Ending:
        """Run one job to its end."""
        return _run_in(self._process(), job)

    def _process(self) -> subprocess.Popen[bytes]:
        return _start(
            "fastapi_katas.checker.child",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )


class SpareRunner(_Closing):
    """Keeps one process prepared, with the libraries imported; works on every system."""

    def __init__(self) -> None:
        self._spare: subprocess.Popen[bytes] | None = None
        self._prepare()

    def _prepare(self) -> None:
        self._spare = _start(
            "fastapi_katas.checker.child",
            "--warm",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run(self, job: Job) -> Ending:
        """Run one job in the prepared process, and prepare the next one."""
        process = self._spare
        if process is None or process.poll() is not None:
            self._prepare()
            process = self._spare
        assert process is not None
        self._spare = None
        try:
            return _run_in(process, job)
        finally:
            self._prepare()

    def close(self) -> None:
        """End the prepared process."""
        if self._spare is not None:
            _close_pipes(self._spare)
            _kill_group(self._spare.pid)
            self._spare.wait()
            self._spare = None


def _close_pipes(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _run_in(process: subprocess.Popen[bytes], job: Job) -> Ending:
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        drain = _Drain(process.stdout)
        ended = threading.Event()

        def wait() -> None:
            process.wait()
            ended.set()

        threading.Thread(target=wait, daemon=True).start()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(job.to_line())
            process.stdin.close()
        killed = _watch(ended, job, lambda: _kill_group(process.pid))
        if os.name == "posix":
            # Whatever the module started in its own process group ends with it.
            _kill_group(process.pid)
        output = drain.text()
    except BaseException:
        _kill_group(process.pid)
        raise
    finally:
        _close_pipes(process)
    return Ending(process.returncode if process.returncode is not None else -9, output, killed)


class ForkRunner(_Closing):
    """Keeps one warm process, and forks it for each job. POSIX only."""

    def __init__(self, processes: int = 1) -> None:
        """Begin the warm process.

        Args:
            processes: How many processes share the tests of a job, at the most.
        """
        self._processes = processes
        self._server: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._begin()

    def _begin(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            self._server = _start(
                "fastapi_katas.checker.forkserver",
                str(theirs.fileno()),
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
            )
        self._socket = ours

    def run(self, job: Job) -> Ending:
        """Run one job in a fork of the warm process."""
        if self._server is None or self._server.poll() is not None:
            self.close()
            self._begin()
        assert self._socket is not None
        job = replace(job, processes=self._processes)
        read, write = os.pipe()
        with os.fdopen(read, "rb") as stream:
            try:
                socket.send_fds(self._socket, [job.to_line()], [write])
            finally:
                os.close(write)
            drain = _Drain(stream)
            answers = self._socket.makefile("rb")
            known, ended = threading.Event(), threading.Event()
            told: dict[str, int] = {}

            def listen() -> None:
                with contextlib.suppress(OSError, ValueError):
                    for _ in range(2):
                        told.update(json.loads(answers.readline() or b"{}"))
                        known.set()
                known.set()
                ended.set()

            threading.Thread(target=listen, daemon=True).start()

            def kill() -> None:
                # An interruption may come before the fork has told who it is.
                known.wait(5)
                if "pid" in told:
                    _kill_group(told["pid"])

            killed = _watch(ended, job, kill)
            kill()
            output = drain.text()
        return Ending(told.get("code", -9), output, killed)

    def close(self) -> None:
        """End the warm process."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._server is not None:
            _kill_group(self._server.pid)
            self._server.wait()
            self._server = None


def uses_forks() -> bool:
    """Tell whether this system can fork a warm process."""
    return hasattr(os, "fork") and sys.platform != "darwin"


def warm_runner(processes: int = 1) -> Runner:
    """Return the quickest runner that this system has.

    Args:
        processes: How many processes may share the tests of a job, where there are forks.
    """
    return ForkRunner(processes) if uses_forks() else SpareRunner()
