"""Blocking calls on an event loop, seen by Blockbuster and turned into places in the own code."""

from __future__ import annotations

import asyncio
import concurrent.futures.thread
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from blockbuster import BlockBuster, BlockBusterFunction

from fastapi_katas.probes.places import Place, is_own, place_at

_Allowed = list[tuple[str, Iterable[str]]]

_THREAD_FILES = (threading.__file__, concurrent.futures.thread.__file__)
_LOOP_FILE = asyncio.events.__file__


@dataclass(frozen=True, slots=True)
class BlockingCall:
    """A call that stopped the loop.

    Attributes:
        name: The blocking function, for example ``time.sleep``.
        place: The line of the code under test that led to it.
    """

    name: str
    place: Place


@contextmanager
def blocking_calls() -> Iterator[list[BlockingCall]]:
    """Record the blocking calls that the code under test makes on a running loop.

    The calls go on as they would have done: nothing is raised into the code under test, so that a
    broad ``except`` in it hides nothing. Not counted are imports, the moment that it takes to start
    a worker thread or a process, what asyncio itself needs to start a server, what is written to a
    terminal or to the null device, calls that are told not to wait, and calls in threads without a
    loop.

    Not seen are calls that only keep the processor busy, such as hashing or the making of an SSL
    context (``httpx.AsyncClient()`` makes one), and waits inside C code, such as a database driver
    written in C other than ``sqlite3``: use :class:`~fastapi_katas.probes.Heartbeat`.

    Yields:
        The calls, in their order, each line and function once; filled when the block has ended.
    """
    found: dict[tuple[str, str, int], BlockingCall] = {}
    lock = threading.Lock()
    buster = _buster()
    for name, function in buster.functions.items():
        function.can_block_predicate = _recording(
            name, function.can_block_predicate, function.can_block_functions, found, lock
        )
    calls: list[BlockingCall] = []
    buster.activate()
    try:
        yield calls
    finally:
        buster.deactivate()
        calls.extend(found.values())


def _buster() -> BlockBuster:
    buster = BlockBuster()
    # How threads and processes are waited for differs between versions of Python, and from 3.13 on
    # Blockbuster sees neither. So they are watched here.
    buster.functions["threading.Thread.join"] = BlockBusterFunction(
        None, "threading.Thread.join", can_block_predicate=_joins_at_once
    ).can_block_in("asyncio/base_events.py", "shutdown_default_executor")
    buster.functions["subprocess.Popen.wait"] = BlockBusterFunction(
        None, "subprocess.Popen.wait", can_block_predicate=_has_ended
    )
    buster.functions["os.read"].can_block_in("subprocess.py", "_execute_child")
    return buster


def _recording(
    name: str,
    may_block: Callable[..., bool],
    allowed: _Allowed,
    found: dict[tuple[str, str, int], BlockingCall],
    lock: threading.Lock,
) -> Callable[..., bool]:
    def predicate(*args: Any, **kwargs: Any) -> bool:
        if not may_block(*args, **kwargs) and not _goes_nowhere(*args):
            place = _guilty_line(sys._getframe(1), allowed)
            if place is not None:
                with lock:
                    found.setdefault((name, place.file, place.line), BlockingCall(name, place))
        return True

    return predicate


def _goes_nowhere(*args: Any) -> bool:
    # pytest's own handler writes all that is logged to the null device.
    return bool(args) and getattr(args[0], "name", None) == os.devnull


def _joins_at_once(thread: threading.Thread, timeout: float | None = None) -> bool:
    return not thread.is_alive() or timeout == 0


def _has_ended(process: subprocess.Popen[Any], timeout: float | None = None) -> bool:
    return process.poll() is not None or timeout == 0


def _guilty_line(frame: FrameType | None, allowed: _Allowed) -> Place | None:
    """Find the own line that led to a blocking call, unless something between them is excused."""
    while frame is not None:
        code = frame.f_code
        if is_own(code.co_filename):
            return place_at(code, frame.f_lineno)
        if _is_excused(code.co_filename, code.co_name, allowed):
            return None
        frame = frame.f_back
    return None


def _is_excused(file: str, function: str, allowed: _Allowed) -> bool:
    """Tell whether a call below this function is none of the own code's blocking calls.

    That is so for an import, for the start of a worker thread, for what Blockbuster allows, and
    below the loop's own turn: who called ``asyncio.run`` is not the one who blocks.
    """
    if file.startswith("<frozen importlib"):
        return True
    if file in _THREAD_FILES and function in {"start", "submit"}:
        return True
    if file == _LOOP_FILE and function == "_run":
        return True
    file = file.replace("\\", "/")
    return any(file.endswith(ending) and function in names for ending, names in allowed)
