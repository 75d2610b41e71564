"""Busy processes beside a run: a machine that is not alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

#: A load ends by itself after this time, should the process that asked for it be killed.
_LONGEST_SECONDS = 4 * 3600

_BUSY = (
    "import os, time\n"
    "parent, end = os.getppid(), time.monotonic() + {seconds}\n"
    "while time.monotonic() < end and os.getppid() == parent:\n"
    "    sum(range(200_000))\n"
)


@contextmanager
def busy_processes(count: int | None = None) -> Iterator[None]:
    """Keep every core busy until the block ends.

    Args:
        count: How many processes; one per core if it is not given.
    """
    code = _BUSY.format(seconds=_LONGEST_SECONDS)
    processes = [
        subprocess.Popen([sys.executable, "-c", code]) for _ in range(count or os.cpu_count() or 2)
    ]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()
