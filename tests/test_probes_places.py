"""Places point to the innermost own line: on a stack, in a traceback, in a suspended task."""

from __future__ import annotations

import asyncio
import functools
import json
import sys
import sysconfig
import threading
import types
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from fastapi_katas import probes
from fastapi_katas.probes import (
    Place,
    own_code,
    place_in_stack,
    place_in_thread,
    place_of_awaitable,
    place_of_exception,
    place_of_task,
)
from fastapi_katas.probes.places import is_own, is_stdlib, place_at, place_in_traceback

HERE = str(Path(__file__))


def line_of(marker: str) -> int:
    """The number of the line that ends in a marker."""
    lines = Path(__file__).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.endswith(f"# {marker}"))


def load(path: Path, source: str) -> types.ModuleType:
    """Execute a module as if it stood in a file."""
    path.write_text(source)
    module = types.ModuleType(path.stem)
    exec(compile(source, str(path), "exec"), module.__dict__)
    return module


def caught(function: Any) -> BaseException:
    """Call a function that must fail, and return its exception."""
    try:
        function()
    except BaseException as error:  # noqa: BLE001 - whatever it is
        return error
    pytest.fail("nothing was raised")


async def start(coroutine: Any) -> asyncio.Task[Any]:
    """Start a task and let it run until it is suspended for good."""
    task = asyncio.create_task(coroutine)
    for _ in range(5):
        await asyncio.sleep(0)
    return task


async def end(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait([task])


class TestOwnership:
    def test_this_file_is_own(self) -> None:
        assert is_own(HERE)

    @pytest.mark.parametrize(
        "filename",
        [
            json.__file__,
            asyncio.events.__file__,
            httpx.__file__,
            pytest.__file__,
            probes.__file__,
            "<string>",
            "<frozen importlib._bootstrap>",
            "/usr/lib/python3/dist-packages/requests/api.py",
            "/home/me/.local/lib/python3.11/site-packages/requests/api.py",
        ],
    )
    def test_libraries_and_the_probes_are_not(self, filename: str) -> None:
        assert not is_own(filename)

    @pytest.mark.parametrize("name", ["stdlib", "purelib"])
    def test_a_neighbour_with_a_longer_name_is_own(self, name: str) -> None:
        folder = sysconfig.get_path(name).removesuffix("/site-packages")
        assert is_own(f"{folder}-mine/app.py")

    def test_a_neighbour_of_the_package_is_own(self) -> None:
        assert is_own(str(Path(probes.__file__).parent.parent) + "_app/main.py")

    def test_the_standard_library_does_not_include_what_is_installed(self) -> None:
        assert is_stdlib(json.__file__)
        assert is_stdlib("<frozen importlib._bootstrap>")
        assert not is_stdlib(httpx.__file__)
        assert not is_stdlib(sysconfig.get_path("stdlib") + "/site-packages/requests/api.py")
        assert not is_stdlib(HERE)

    def test_roots_choose_files_and_folders(self, tmp_path: Path) -> None:
        with own_code(tmp_path / "fix.py", tmp_path / "package"):
            assert is_own(str(tmp_path / "fix.py"))
            assert is_own(str(tmp_path / "package" / "sub" / "x.py"))
            assert not is_own(str(tmp_path / "fix.py.bak"))
            assert not is_own(str(tmp_path / "package_two" / "x.py"))
            assert not is_own(HERE)
        assert is_own(HERE)

    def test_roots_may_be_relative(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        with own_code(Path("fix.py")):
            assert is_own(str(tmp_path / "fix.py"))

    def test_roots_can_make_a_library_own(self) -> None:
        with own_code(Path(json.__file__).parent):
            assert is_own(json.__file__)

    def test_inner_roots_hold_until_their_block_ends(self, tmp_path: Path) -> None:
        one, two = tmp_path / "one.py", tmp_path / "two.py"

        def fail_inside() -> None:
            with own_code(two):
                assert not is_own(str(one))
                assert is_own(str(two))
                raise ZeroDivisionError

        with own_code(one):
            with pytest.raises(ZeroDivisionError):
                fail_inside()
            assert is_own(str(one))
            assert not is_own(str(two))


class TestStack:
    def test_the_innermost_own_line(self) -> None:
        def look(_: Any) -> Place | None:
            return place_in_stack(sys._getframe())  # look

        # json calls ``look``: the frames between are passed over, the innermost own one is found.
        place = json.loads('{"a": 1}', object_hook=look)
        assert place == Place(
            HERE, line_of("look"), "look", "return place_in_stack(sys._getframe())  # look"
        )
        assert str(place) == f"{Path(HERE).name}:{line_of('look')}"

    def test_library_frames_are_passed_over(self, tmp_path: Path) -> None:
        own = load(tmp_path / "own.py", "def ask(look):\n    x = 0\n    return look()\n")
        with own_code(tmp_path / "own.py"):
            place = own.ask(lambda: place_in_stack(sys._getframe()))
        assert place == Place(str(tmp_path / "own.py"), 3, "ask", "return look()")

    def test_nobody_own(self, tmp_path: Path) -> None:
        with own_code(tmp_path):
            assert place_in_stack(sys._getframe()) is None
        assert place_in_stack(None) is None

    def test_a_frame_without_a_line(self) -> None:
        code = line_of.__code__
        assert place_at(code, None).line == code.co_firstlineno

    def test_a_file_that_cannot_be_read(self) -> None:
        code = compile("pass", "/nowhere/x.py", "exec")
        assert place_at(code, 1) == Place("/nowhere/x.py", 1, "<module>", "")

    def test_a_thread(self) -> None:
        there, go = threading.Event(), threading.Event()

        def work() -> None:
            there.set()
            go.wait(10)  # waiting thread

        thread = threading.Thread(target=work)
        thread.start()
        try:
            assert there.wait(10)
            assert thread.ident is not None
            # It may not have come from set() to wait() yet; it gets there without our doing.
            while (place := place_in_thread(thread.ident)) and place.line != line_of(
                "waiting thread"
            ):
                pass
            assert place is not None
            assert place.function == "work"
        finally:
            go.set()
            thread.join()
        assert place_in_thread(thread.ident) is None


class TestException:
    def test_the_line_that_raised(self) -> None:
        def fail() -> None:
            raise ValueError  # raised

        place = place_of_exception(caught(fail))
        assert place is not None
        assert (place.line, place.function) == (line_of("raised"), "fail")

    def test_the_own_line_that_called_a_library(self) -> None:
        def parse() -> None:
            json.loads("{")  # parsed

        place = place_of_exception(caught(parse))
        assert place is not None
        assert place.line == line_of("parsed")

    def test_a_cause_when_the_exception_itself_is_foreign(self, tmp_path: Path) -> None:
        own = load(tmp_path / "own.py", "def fail():\n    raise KeyError('x')\n")

        def wrap() -> None:
            try:
                own.fail()
            except KeyError as error:
                raise RuntimeError from error

        with own_code(tmp_path / "own.py"):
            place = place_of_exception(caught(wrap))
        assert place is not None
        assert place.line == 2

    def test_a_context_too(self, tmp_path: Path) -> None:
        own = load(tmp_path / "own.py", "def fail():\n    raise KeyError('x')\n")

        def replace() -> None:
            try:
                own.fail()
            except KeyError:
                raise RuntimeError from None

        with own_code(tmp_path / "own.py"):
            place = place_of_exception(caught(replace))
        assert place is not None
        assert place.line == 2

    async def test_the_member_of_a_group_rather_than_the_group(self) -> None:
        async def child() -> None:
            raise ValueError  # member

        with pytest.raises(BaseExceptionGroup) as info:
            async with asyncio.TaskGroup() as group:
                group.create_task(child())
        place = place_of_exception(info.value)
        assert place is not None
        assert (place.line, place.function) == (line_of("member"), "child")

    def test_the_group_when_no_member_is_own(self) -> None:
        def fail() -> None:
            raise ExceptionGroup("two", [ValueError(), KeyError()])  # group

        place = place_of_exception(caught(fail))
        assert place is not None
        assert place.line == line_of("group")

    def test_nobody_own(self, tmp_path: Path) -> None:
        with own_code(tmp_path):
            assert place_of_exception(caught(lambda: json.loads("{"))) is None
        assert place_of_exception(ValueError()) is None
        assert place_in_traceback(None) is None

    def test_a_ring_of_causes_ends(self) -> None:
        one, two = ValueError(), KeyError()
        one.__cause__, two.__cause__ = two, one
        assert place_of_exception(one) is None


class Waits:
    """An awaitable that is written in Python."""

    def __await__(self) -> Generator[Any, None, None]:
        yield from asyncio.sleep(60).__await__()  # in await


async def wait_here() -> None:
    await asyncio.sleep(60)  # waits here


async def numbers() -> AsyncIterator[int]:
    await asyncio.sleep(60)  # in generator
    yield 1


async def loop_over_numbers() -> None:
    async for _ in numbers():
        pass


async def next_with_default() -> None:
    await anext(numbers(), None)


async def numbers_that_close_slowly() -> AsyncGenerator[int]:
    try:
        yield 1
    finally:
        await asyncio.sleep(60)  # in closing


async def close_a_generator() -> None:
    generator = numbers_that_close_slowly()
    await anext(generator)
    await generator.aclose()


@asynccontextmanager
async def slow_dependency() -> AsyncIterator[None]:
    await wait_here()
    yield


async def enter_dependency() -> None:
    async with slow_dependency():
        pass


@types.coroutine
def old_style() -> Generator[Any, None, None]:
    yield from asyncio.sleep(60).__await__()  # old style


async def await_old_style() -> None:
    await old_style()


async def through_library() -> None:
    async with asyncio.timeout(60):
        await asyncio.wait_for(anyio.sleep(60), 60)  # through library


class AwaitsCoroutine:
    def __await__(self) -> Generator[Any, None, None]:
        return wait_here().__await__()


async def await_wrapper() -> None:
    await AwaitsCoroutine()


async def await_object() -> None:
    await Waits()


class TestAwaitable:
    @pytest.mark.parametrize(
        ("coroutine", "marker"),
        [
            (wait_here, "waits here"),
            (await_object, "in await"),
            (loop_over_numbers, "in generator"),
            (next_with_default, "in generator"),
            (close_a_generator, "in closing"),
            (enter_dependency, "waits here"),
            (await_old_style, "old style"),
            (await_wrapper, "waits here"),
            (through_library, "through library"),
        ],
    )
    async def test_the_innermost_own_line(self, coroutine: Any, marker: str) -> None:
        task = await start(coroutine())
        place = place_of_task(task)
        await end(task)
        assert place is not None
        assert (place.file, place.line) == (HERE, line_of(marker))

    async def test_a_coroutine_that_has_not_started_is_at_its_first_line(self) -> None:
        coroutine = wait_here()
        place = place_of_awaitable(coroutine)
        coroutine.close()
        assert place is not None
        assert place.line == wait_here.__code__.co_firstlineno

    async def test_a_task_that_is_done_waits_nowhere(self) -> None:
        task = await start(asyncio.sleep(0))
        assert task.done()
        assert place_of_task(task) is None

    @pytest.mark.skipif(sys.version_info < (3, 12), reason="no eager tasks before 3.12")
    async def test_an_eager_task_that_ended_at_once_waits_nowhere(self) -> None:
        async def nothing() -> None:
            pass

        loop = asyncio.get_running_loop()
        task = asyncio.eager_task_factory(loop, nothing())  # type: ignore[attr-defined]
        assert task.done()
        assert place_of_task(task) is None

    async def test_nobody_own(self, tmp_path: Path) -> None:
        task = await start(wait_here())
        with own_code(tmp_path):
            assert place_of_task(task) is None
        await end(task)

    @pytest.mark.parametrize("thing", [None, 3, functools.partial(wait_here)])
    def test_what_cannot_be_awaited_has_no_place(self, thing: Awaitable[Any] | None) -> None:
        assert place_of_awaitable(thing) is None
