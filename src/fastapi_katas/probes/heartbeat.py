"""The heartbeat of an event loop: proof, without a clock, that the loop is free or stuck."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from asyncio import sleep as turn
from dataclasses import dataclass
from time import sleep
from types import FrameType, TracebackType
from typing import Self

from fastapi_katas.probes.places import Place, place_in_stack

# ``sleep`` and ``turn`` are bound above, so that ``pauses`` does not see the heartbeat's own.
_SAMPLE_SECONDS = 0.0025
_STUCK_SAMPLES = 40
_LIMIT_SECONDS = 5.0


async def turns(count: int) -> None:
    """Let the running loop make its turns, so that everybody else goes on.

    Args:
        count: How many turns. What can be done without waiting is done after some of them.
    """
    for _ in range(count):
        await turn(0)


@dataclass(frozen=True, slots=True)
class Held:
    """What the loop did while another thread held it to account.

    Attributes:
        turns: How many turns the loop made.
        blocked_at: The own line that the loop thread stood on, or ``None`` if the loop was free, or
            is stuck where no own code is on the stack: then ``turns`` says so.
    """

    turns: int
    blocked_at: Place | None


class Heartbeat:
    """A task that counts the turns of the running loop.

    A loop that is free turns all the time; a loop that is stuck in a blocking call does not turn
    at all. Nothing is timed: the count is compared before and after.

    ::

        async with Heartbeat() as heartbeat:
            before = heartbeat.turns
            await something()
            assert heartbeat.turns > before

    Attributes:
        turns: How many turns the loop has made since the heartbeat began.
        loop_thread: The identifier of the loop's thread; 0 before the heartbeat began.
    """

    def __init__(self, *, rest: float = 0.0) -> None:
        """Make a heartbeat. It beats inside ``async with``.

        Args:
            rest: Seconds between two beats. Without a rest, every turn of the loop is counted, and
                a loop that waits keeps the processor busy all the same.
        """
        self._rest = rest
        self.turns = 0
        self.loop_thread = 0
        self._task: asyncio.Task[None] | None = None
        self._last_beat = 0.0
        self._longest = 0.0

    async def __aenter__(self) -> Self:
        self.loop_thread = threading.get_ident()
        self._last_beat = time.monotonic()
        self._task = asyncio.create_task(self._beat(), name="heartbeat")
        await turn(0)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _beat(self) -> None:
        while True:
            self.turns += 1
            now = time.monotonic()
            self._longest = max(self._longest, now - self._last_beat)
            self._last_beat = now
            if not self._rest:
                # Offer the interpreter lock. A loop that always turns takes it back at once, and a
                # worker thread that only opens a few files can wait for it for seconds.
                sleep(0)  # noqa: ASYNC251 - it does not wait
            await turn(self._rest)

    def take_stall(self) -> float:
        """Return the longest time without a turn since the last call of this method.

        A machine that is busy makes a loop wait, too. So compare with a wait that is known, and
        ask for more than one such stall before you blame the code. May be called from any thread.

        Returns:
            Seconds; a stall that is going on counts up to now.
        """
        now = time.monotonic()
        stall = max(self._longest, now - self._last_beat)
        # A stall that is going on counts anew from here: what was before has been told.
        self._longest, self._last_beat = 0.0, now
        return stall

    def hold(self, *, turns: int = 3, limit: float = _LIMIT_SECONDS) -> Held:
        """Wait, in another thread, until the loop has turned or is proven stuck.

        The loop is stuck when its thread stands on the same instruction in every one of a long row
        of looks, with the same own code below it, and has made no turn between them. A loop that
        is only slow, on a busy machine, is waited for. So is one that computes: it is told as stuck
        when the limit is over.

        Args:
            turns: How many turns prove that the loop is free.
            limit: Seconds after which the wait ends in any case.

        Returns:
            The turns that were made, and the line the loop is stuck on, if it is. The wait also
            ends, without a line, when the heartbeat does.

        Raises:
            RuntimeError: If the heartbeat does not beat, or if called on the loop's own thread,
                which could only wait for itself.
        """
        if not self._beats():
            msg = "hold() needs a heartbeat that beats: call it inside `async with Heartbeat()`"
            raise RuntimeError(msg)
        if threading.get_ident() == self.loop_thread:
            msg = "hold() must be called from another thread than the loop's"
            raise RuntimeError(msg)
        start, deadline = self.turns, time.monotonic() + limit
        previous: tuple[int, int, int] | None = None
        same = 0
        place: Place | None = None
        while self.turns - start < turns and self._beats() and time.monotonic() < deadline:
            frame = sys._current_frames().get(self.loop_thread)
            place = place_in_stack(frame)
            now = (self.turns, *_instruction(frame))
            same = same + 1 if place is not None and now == previous else 0
            if same >= _STUCK_SAMPLES:
                return Held(self.turns - start, place)
            previous = now
            sleep(_SAMPLE_SECONDS)
        made = self.turns - start
        return Held(made, None if made >= turns or not self._beats() else place)

    def _beats(self) -> bool:
        return self._task is not None and not self._task.done()


def _instruction(frame: FrameType | None) -> tuple[int, int]:
    """Name the very instruction a thread stands on."""
    return (0, 0) if frame is None else (id(frame), frame.f_lasti)
