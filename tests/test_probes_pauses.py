"""Pauses are recorded as they were asked for, whoever makes them, and once each."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import anyio
import pytest

from fastapi_katas.probes import Heartbeat, blocking_calls, pauses

ORIGINALS = (time.sleep, asyncio.sleep, anyio.sleep)


def load(source: str) -> dict[str, Any]:
    """Execute a module and return its names."""
    names: dict[str, Any] = {}
    exec(source, names)
    return names


async def test_all_three() -> None:
    with pauses(at_least=0.001) as made:
        time.sleep(0.001)  # noqa: ASYNC251 - the test is about it
        await asyncio.sleep(0.002)
        await anyio.sleep(0.003)
    assert made == [0.001, 0.002, 0.003]


async def test_short_ones_are_not_recorded() -> None:
    with pauses(at_least=0.01) as made:
        time.sleep(0)  # noqa: ASYNC251 - the test is about it
        await asyncio.sleep(0)
        await anyio.sleep(0.001)
    assert made == []


async def test_none() -> None:
    with pauses(at_least=0) as made:
        pass
    assert made == []


async def test_the_result_of_a_pause_is_kept() -> None:
    with pauses(at_least=0):
        assert await asyncio.sleep(0, "result") == "result"


async def test_each_pause_is_really_made() -> None:
    order: list[str] = []

    async def pause(seconds: float, name: str) -> None:
        await asyncio.sleep(seconds)
        order.append(name)

    with pauses(at_least=0):
        await asyncio.gather(pause(0.05, "late"), pause(0, "early"))
    assert order == ["early", "late"]


async def test_functions_that_are_imported_by_name() -> None:
    source = (
        "from time import sleep as a\nfrom asyncio import sleep as b\nfrom anyio import sleep as c"
    )
    before = load(source)
    with pauses(at_least=0.001) as made:
        after = load(source)
        for names in (before, after):
            names["a"](0.001)
            await names["b"](0.002)
    assert made == [0.001, 0.002]


async def test_anyio_by_name_counts_once() -> None:
    with pauses(at_least=0.001) as made:
        await load("from anyio import sleep")["sleep"](0.001)
    assert made == [0.001]


async def test_pauses_of_anyio_at_the_same_time() -> None:
    with pauses(at_least=0.001) as made:
        await asyncio.gather(anyio.sleep(0.003), anyio.sleep(0.002), anyio.sleep(0.001))
    assert made == [0.003, 0.002, 0.001]


async def test_a_pause_of_asyncio_beside_one_of_anyio() -> None:
    async def later() -> None:
        await asyncio.sleep(0.001)

    with pauses(at_least=0.001) as made:
        await asyncio.gather(anyio.sleep(0.003), later())
    assert sorted(made) == [0.001, 0.003]


@pytest.mark.parametrize("sleep", [lambda: asyncio.sleep(60), lambda: anyio.sleep(60)])
async def test_a_pause_that_is_cancelled_was_asked_for(sleep: Any) -> None:
    with pauses(at_least=1) as made:
        task = asyncio.ensure_future(sleep())
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    assert made == [60]


async def test_pauses_in_threads() -> None:
    with pauses(at_least=0.001) as made:
        await asyncio.to_thread(lambda: time.sleep(0.001))
        await anyio.to_thread.run_sync(lambda: time.sleep(0.002))
    assert made == [0.001, 0.002]


def test_a_loop_of_anyio() -> None:
    async def main() -> None:
        await anyio.sleep(0.001)

    with pauses(at_least=0.001) as made:
        anyio.run(main)
    assert made == [0.001]


async def test_a_pause_inside_another_block_is_in_both() -> None:
    with pauses(at_least=0.001) as outer:
        with pauses(at_least=0.002) as inner:
            await anyio.sleep(0.002)
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.003)
    assert inner == [0.002]
    assert outer == [0.002, 0.001, 0.003]


async def test_a_wrong_argument_fails_as_ever() -> None:
    with pauses(at_least=0):
        with pytest.raises(ValueError, match="non-negative"):
            time.sleep(-1)  # noqa: ASYNC251 - the test is about it
        with pytest.raises(TypeError):
            await asyncio.sleep("1")  # type: ignore[call-overload]


async def test_the_heartbeats_own_are_not_seen() -> None:
    async with Heartbeat() as heartbeat:
        with pauses(at_least=0) as made:
            await asyncio.to_thread(heartbeat.hold)
    assert made == []


async def test_beside_blocking_calls_the_line_is_still_right() -> None:
    with pauses(at_least=0.001) as made, blocking_calls() as inside:
        time.sleep(0.001)  # noqa: ASYNC251 - the test is about it
    with blocking_calls() as outside, pauses(at_least=0.001):
        time.sleep(0.001)  # noqa: ASYNC251 - the test is about it
    assert made == [0.001]
    for calls in (inside, outside):
        [call] = calls
        assert call.name == "time.sleep"
        assert call.place.file == __file__
        assert call.place.code.startswith("time.sleep(0.001)")


def test_everything_is_put_back() -> None:
    def fail_inside() -> None:
        with pauses(at_least=0):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_inside()
    assert (time.sleep, asyncio.sleep, anyio.sleep) == ORIGINALS
