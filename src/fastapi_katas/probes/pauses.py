"""Pauses: which waits the code under test asked for, whoever makes them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import anyio

# anyio makes its pause with asyncio's, which may be seen or not: it is recorded once, as anyio's.
_in_anyio: ContextVar[bool] = ContextVar("in_anyio", default=False)


@contextmanager
def pauses(at_least: float) -> Iterator[list[float]]:
    """Record the pauses made with ``time.sleep``, ``asyncio.sleep`` or ``anyio.sleep``.

    Each pause is really made, in whatever thread. Begin before the code under test is loaded, so
    that functions that it imports by name are seen as well. Nothing is measured: what counts is
    what was asked for, and a pause that is cancelled was asked for too.

    Args:
        at_least: Seconds; shorter pauses, such as ``asyncio.sleep(0)``, are not recorded.

    Yields:
        The pauses in seconds, in the order of their beginning.
    """
    made: list[float] = []
    originals = (time.sleep, asyncio.sleep, anyio.sleep)
    real_time, real_asyncio, real_anyio = originals

    def note(seconds: float) -> None:
        if seconds >= at_least:
            made.append(seconds)

    def time_sleep(seconds: float, /) -> None:
        note(seconds)
        real_time(seconds)

    async def asyncio_sleep(delay: float, result: Any = None) -> Any:
        if not _in_anyio.get():
            note(delay)
        return await real_asyncio(delay, result)

    async def anyio_sleep(delay: float) -> None:
        note(delay)
        token = _in_anyio.set(True)
        try:
            await real_anyio(delay)
        finally:
            _in_anyio.reset(token)

    time.sleep, asyncio.sleep, anyio.sleep = time_sleep, asyncio_sleep, anyio_sleep  # type: ignore[assignment]
    try:
        yield made
    finally:
        time.sleep, asyncio.sleep, anyio.sleep = originals
