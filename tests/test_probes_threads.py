"""The witness tells the loop's thread from the others."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.concurrency import run_in_threadpool

from fastapi_katas.probes import Run, ThreadWitness


def line_of(marker: str) -> int:
    """The number of the line that ends in a marker."""
    lines = Path(__file__).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.endswith(f"# {marker}"))


def resize(width: int, *, height: int = 1) -> int:
    """Compute something."""
    return width * height


async def test_on_the_loop() -> None:
    witness = ThreadWitness()
    watched = witness.watch(resize)
    assert watched(2, height=3) == 6  # on the loop
    [run] = witness.runs
    assert run.on_loop_thread
    assert run.thread == threading.current_thread().name
    assert run.caller is not None
    assert run.caller.line == line_of("on the loop")
    assert witness.on_loop == [run]


@pytest.mark.parametrize("how", [asyncio.to_thread, run_in_threadpool])
async def test_in_a_worker_thread(how: Any) -> None:
    witness = ThreadWitness()
    watched = witness.watch(resize)

    def work() -> int:
        return int(watched(2))  # in a worker

    assert await how(work) == 2
    [run] = witness.runs
    assert not run.on_loop_thread
    assert run.thread != threading.current_thread().name
    assert run.caller is not None
    assert (run.caller.function, run.caller.line) == ("work", line_of("in a worker"))
    assert witness.on_loop == []


async def test_given_to_a_pool_without_a_line_between() -> None:
    witness = ThreadWitness()
    await asyncio.to_thread(witness.watch(resize), 2)
    assert [(run.on_loop_thread, run.caller) for run in witness.runs] == [(False, None)]


async def test_both_in_their_order() -> None:
    witness = ThreadWitness()
    watched = witness.watch(resize)
    watched(1)
    await asyncio.to_thread(watched, 2)
    watched(3)
    assert [run.on_loop_thread for run in witness.runs] == [True, False, True]
    assert len(witness.on_loop) == 2


async def test_exceptions_pass_through() -> None:
    witness = ThreadWitness()
    with pytest.raises(TypeError):
        witness.watch(resize)("no", "such")
    assert len(witness.runs) == 1


async def test_the_wrapper_looks_like_its_function() -> None:
    watched = ThreadWitness().watch(resize)
    assert (watched.__name__, watched.__doc__) == ("resize", "Compute something.")


async def test_a_note_of_the_tests_own() -> None:
    witness = ThreadWitness()
    witness.note()  # noted
    [run] = witness.runs
    assert isinstance(run, Run)
    assert run.caller is not None
    assert run.caller.line == line_of("noted")


async def coroutine_function() -> None: ...


def generator_function() -> Iterator[int]:
    yield 1


async def async_generator_function() -> AsyncIterator[int]:
    yield 1


class CoroutineCallable:
    async def __call__(self) -> None: ...


@pytest.mark.parametrize(
    "function",
    [
        coroutine_function,
        functools.partial(coroutine_function),
        generator_function,
        async_generator_function,
        CoroutineCallable(),
    ],
)
def test_what_does_not_run_where_it_is_called_is_refused(function: Any) -> None:
    with pytest.raises(TypeError, match="does not run where it is called"):
        ThreadWitness().watch(function)


@pytest.mark.parametrize("function", [len, functools.partial(resize, height=2), lambda x: x, str])
def test_other_callables_are_watched(function: Any) -> None:
    witness = ThreadWitness()
    witness.watch(function)([1])
    assert len(witness.runs) == 1
