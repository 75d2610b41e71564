"""Processes that tests look for from outside."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path


def ends(pid: int, *, seconds: float = 10.0) -> bool:
    """Whether a process that was told to end does so soon."""
    deadline = time.monotonic() + seconds
    while alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended but was not fetched by anybody does not."""
    if sys.platform != "linux":
        with contextlib.suppress(OSError):
            os.kill(pid, 0)
            return True
        return False
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rsplit(")", 1)[1].split()[0] not in {"Z", "X"}
