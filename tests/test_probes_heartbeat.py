"""The heartbeat tells a loop that is free from one that is stuck, also on a busy machine."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from fastapi_katas.probes import Heartbeat, Held, own_code

BUSY = "import time\nend = time.monotonic() + 60\nwhile time.monotonic() < end: pass"


def line_of(marker: str) -> int:
    """The number of the line that ends in a marker."""
    lines = Path(__file__).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.endswith(f"# {marker}"))


@pytest_asyncio.fixture
async def beats() -> AsyncIterator[Heartbeat]:
    async with Heartbeat() as heartbeat:
        yield heartbeat


@pytest.fixture
def busy_machine() -> Iterator[None]:
    """Two processes that never rest, ended at the end of the test."""
    processes = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(2)]
    yield
    for process in processes:
        process.kill()
        process.wait()


class Holder:
    """Holds a loop to account from a thread of its own."""

    def __init__(self, hold: Callable[[], Held]) -> None:
        self.done = threading.Event()
        self._held: list[Held] = []
        self._hold = hold
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._held.append(self._hold())
        finally:
            self.done.set()

    @property
    def held(self) -> Held:
        self._thread.join()
        return self._held[0]


async def test_turns_count_the_turns_of_the_loop(beats: Heartbeat) -> None:
    before = beats.turns
    assert before > 0
    sum(range(1000))
    assert beats.turns == before
    for _ in range(5):
        await asyncio.sleep(0)
    assert beats.turns == before + 5


async def test_it_knows_the_thread_of_the_loop(beats: Heartbeat) -> None:
    assert beats.loop_thread == threading.get_ident()
    assert Heartbeat().loop_thread == 0


async def test_it_ends_with_its_block() -> None:
    async with Heartbeat() as heartbeat:
        pass
    ended_at = heartbeat.turns
    for _ in range(5):
        await asyncio.sleep(0)
    assert heartbeat.turns == ended_at
    assert [task.get_name() for task in asyncio.all_tasks()].count("heartbeat") == 0


async def test_a_free_loop(beats: Heartbeat) -> None:
    held = await asyncio.to_thread(beats.hold)
    assert held.turns >= 3
    assert held.blocked_at is None


async def test_as_many_turns_as_were_asked_for(beats: Heartbeat) -> None:
    held = await asyncio.to_thread(beats.hold, turns=500)
    assert held.turns >= 500


async def test_a_stuck_loop(beats: Heartbeat) -> None:
    holder = Holder(beats.hold)
    holder.done.wait()  # stuck
    assert holder.held.turns == 0
    place = holder.held.blocked_at
    assert place is not None
    assert (place.file, place.line) == (__file__, line_of("stuck"))
    assert place.function == "test_a_stuck_loop"


async def test_a_loop_that_computes_is_told_at_the_limit(beats: Heartbeat) -> None:
    def compute() -> None:
        while not holder.done.is_set():
            pass

    holder = Holder(lambda: beats.hold(limit=0.1))
    compute()
    assert holder.held.turns == 0
    assert holder.held.blocked_at is not None
    assert holder.held.blocked_at.function == "compute"


async def test_a_loop_that_is_stuck_in_foreign_code(beats: Heartbeat, tmp_path: Path) -> None:
    with own_code(tmp_path):
        holder = Holder(lambda: beats.hold(limit=0.1))
        holder.done.wait()
        assert holder.held == Held(0, None)


async def test_a_loop_that_comes_free_again_in_time(beats: Heartbeat) -> None:
    # Fewer looks than prove anything fit between the start and the first turn.
    go = threading.Event()

    def hold() -> Held:
        go.set()
        return beats.hold()

    holder = Holder(hold)
    go.wait()
    sum(range(100_000))
    await asyncio.to_thread(holder.done.wait)
    assert holder.held.blocked_at is None


async def test_holding_on_the_own_thread_is_refused(beats: Heartbeat) -> None:
    with pytest.raises(RuntimeError, match="another thread"):
        beats.hold()


async def test_holding_before_the_first_beat_is_refused() -> None:
    with pytest.raises(RuntimeError, match="async with Heartbeat"):
        await asyncio.to_thread(Heartbeat().hold)


async def test_holding_after_the_last_beat_is_refused() -> None:
    async with Heartbeat() as heartbeat:
        pass
    with pytest.raises(RuntimeError, match="async with Heartbeat"):
        await asyncio.to_thread(heartbeat.hold)


async def test_the_end_of_the_heartbeat_ends_the_wait() -> None:
    began = threading.Event()
    heartbeat = Heartbeat()

    def hold() -> Held:
        began.set()
        return heartbeat.hold(turns=10**9, limit=60)

    async with heartbeat:
        holder = Holder(hold)
        await asyncio.to_thread(began.wait)
        for _ in range(1000):
            await asyncio.sleep(0)
    # Nothing but the end of the heartbeat can end this wait before the minute is over. A hold that
    # begins only now, on a slow machine, is refused: that is the same answer.
    await asyncio.to_thread(holder.done.wait)
    if holder._held:
        assert holder.held.blocked_at is None


@pytest.mark.usefixtures("busy_machine")
async def test_a_free_loop_on_a_busy_machine(beats: Heartbeat) -> None:
    for _ in range(20):
        held = await asyncio.to_thread(beats.hold, turns=20)
        assert held.turns >= 20
        assert held.blocked_at is None


@pytest.mark.usefixtures("busy_machine")
async def test_a_slow_loop_on_a_busy_machine(beats: Heartbeat) -> None:
    holder = Holder(lambda: beats.hold(turns=20))
    while not holder.done.is_set():
        sum(range(100_000))  # some milliseconds of own work in each turn
        await asyncio.sleep(0)
    assert holder.held.turns >= 20
    assert holder.held.blocked_at is None


@pytest.mark.usefixtures("busy_machine")
async def test_a_stuck_loop_on_a_busy_machine(beats: Heartbeat) -> None:
    holder = Holder(beats.hold)
    holder.done.wait()  # stuck again
    assert holder.held.blocked_at is not None
    assert holder.held.blocked_at.line == line_of("stuck again")


async def test_stall_is_seen_and_told_once() -> None:
    async with Heartbeat() as heartbeat:
        heartbeat.take_stall()
        time.sleep(0.05)  # noqa: ASYNC251 - the stall
        await asyncio.sleep(0)
        told = heartbeat.take_stall()
        assert told >= 0.05
        assert heartbeat.take_stall() < told


async def test_stall_that_goes_on_counts_from_the_last_call() -> None:
    async with Heartbeat() as heartbeat:
        heartbeat.take_stall()
        time.sleep(0.05)  # noqa: ASYNC251 - the stall
        told = heartbeat.take_stall()
        assert told >= 0.05
        assert heartbeat.take_stall() < told


async def test_rest_between_beats_leaves_the_loop_alone() -> None:
    async with Heartbeat(rest=60) as heartbeat:
        for _ in range(10):
            await asyncio.sleep(0)
        assert heartbeat.turns == 1
