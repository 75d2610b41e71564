"""Coroutines that nobody awaited and tasks that nobody kept are found; the others are not."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import threading
import types
import warnings
from pathlib import Path
from typing import Any

import anyio
import pytest

from fastapi_katas.probes import TaskLedger, converse, dropped_coroutines, own_code

HERE = str(Path(__file__))

needs_eager = pytest.mark.skipif(sys.version_info < (3, 12), reason="no eager tasks before 3.12")


def line_of(marker: str) -> int:
    """The number of the line that ends in a marker."""
    lines = Path(__file__).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.endswith(f"# {marker}"))


def load(path: Path, source: str) -> Any:
    """Execute a module as if it stood in a file."""
    path.write_text(source)
    module = types.ModuleType(path.stem)
    exec(compile(source, str(path), "exec"), module.__dict__)
    return module


async def notify() -> None:
    await asyncio.sleep(0)


async def fail() -> None:
    raise LookupError("no such doctor")  # fails


async def wait_for_nothing() -> None:
    await asyncio.get_running_loop().create_future()


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def drop() -> None:
    notify()  # type: ignore[unused-coroutine] # dropped


class TestDroppedCoroutines:
    async def test_a_call_without_await(self) -> None:
        with dropped_coroutines() as found:
            drop()
        [dropped] = found
        assert dropped.name == "notify"
        assert dropped.made_at is not None
        assert (dropped.made_at.file, dropped.made_at.line) == (HERE, line_of("dropped"))
        assert dropped.made_at.function == "drop"
        assert dropped.made_at.code.startswith("notify()")

    async def test_awaited_started_and_closed_ones_are_not(self) -> None:
        with dropped_coroutines() as found:
            await notify()
            await asyncio.create_task(notify())
            await asyncio.gather(notify(), notify())
            notify().close()
        assert found == []

    def test_none_without_a_loop(self) -> None:
        with dropped_coroutines() as found:
            asyncio.run(notify())
        assert found == []

    async def test_one_in_a_ring_of_references(self) -> None:
        class Ring:
            def __init__(self) -> None:
                self.itself = self
                self.coroutine = notify()  # in a ring

        with dropped_coroutines() as found:
            Ring()
        [dropped] = found
        assert dropped.made_at is not None
        assert dropped.made_at.line == line_of("in a ring")

    async def test_one_in_a_ring_from_before_is_not(self) -> None:
        kept: list[Any] = []
        kept.extend((kept, notify()))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            gc.disable()
            try:
                del kept
                with dropped_coroutines() as found:
                    pass
            finally:
                gc.enable()
        assert found == []

    async def test_one_that_is_still_held_is_not(self) -> None:
        with dropped_coroutines() as found:
            held = notify()
        assert found == []
        await held

    async def test_the_inner_block_records_its_own(self) -> None:
        with dropped_coroutines() as outer:
            drop()
            with dropped_coroutines() as inner:
                drop()
                drop()
            drop()
        assert len(inner) == 2
        assert len(outer) == 2

    async def test_everything_is_put_back(self) -> None:
        depth = sys.get_coroutine_origin_tracking_depth()

        def fail_inside(found: list[Any]) -> None:
            with dropped_coroutines() as found_inside:
                ring: list[Any] = []
                ring.extend((ring, notify()))
                del ring
                found.append(found_inside)
                raise ZeroDivisionError

        found: list[list[Any]] = []
        with pytest.raises(ZeroDivisionError):
            fail_inside(found)
        assert len(found[0]) == 1
        assert sys.get_coroutine_origin_tracking_depth() == depth
        with pytest.warns(RuntimeWarning, match="never awaited"):
            drop()

    async def test_a_line_of_the_own_code_rather_than_a_library(self, tmp_path: Path) -> None:
        own = load(tmp_path / "own.py", "def ask(make):\n\n    make()\n")
        with own_code(tmp_path / "own.py"), dropped_coroutines() as found:
            own.ask(notify)
        [dropped] = found
        assert dropped.made_at is not None
        assert (dropped.made_at.line, dropped.made_at.code) == (3, "make()")

    async def test_nobody_own_made_it(self, tmp_path: Path) -> None:
        with own_code(tmp_path), dropped_coroutines() as found:
            drop()
        assert [(dropped.name, dropped.made_at) for dropped in found] == [("notify", None)]

    def test_one_of_another_thread_is_found_without_its_line(self) -> None:
        with dropped_coroutines() as found:
            thread = threading.Thread(target=drop)
            thread.start()
            thread.join()
        assert [(dropped.name, dropped.made_at) for dropped in found] == [("notify", None)]


class TestTaskLedger:
    async def test_a_task_that_is_kept_and_done(self) -> None:
        async with TaskLedger() as ledger:
            task = asyncio.create_task(notify())  # created
            [record] = ledger.records
            assert record.state == "pending"
            await task
            await turns()
        assert (record.name, record.state, record.error) == ("notify", "done", "")
        assert record.failed_at is None
        assert (record.made_at.file, record.made_at.line) == (HERE, line_of("created"))
        assert ledger.lost == []
        assert ledger.unretrieved == []

    async def test_a_task_that_nobody_keeps_is_lost(self) -> None:
        async with TaskLedger() as ledger:
            asyncio.create_task(wait_for_nothing())  # noqa: RUF006 - the fault # not kept
            await turns()
            ledger.collect_garbage()
        [record] = ledger.lost
        assert record.state == "lost"
        assert record.made_at.line == line_of("not kept")
        assert ledger.unretrieved == []

    async def test_the_same_task_when_it_is_kept(self) -> None:
        async with TaskLedger() as ledger:
            task = asyncio.create_task(wait_for_nothing())
            await turns()
            ledger.collect_garbage()
            assert ledger.lost == []
            assert ledger.records[0].state == "pending"
            task.cancel()
            await asyncio.wait([task])
            await turns()
        assert ledger.records[0].state == "cancelled"

    async def test_a_task_that_ended_is_not_lost_when_it_goes(self) -> None:
        async with TaskLedger() as ledger:
            asyncio.create_task(notify())  # noqa: RUF006 - it ends before anybody collects it
            await turns()
            ledger.collect_garbage()
        assert [record.state for record in ledger.records] == ["done"]

    async def test_a_failure_that_nobody_looks_at(self) -> None:
        async with TaskLedger() as ledger:
            asyncio.create_task(fail())  # noqa: RUF006 - the fault
            await turns()
            ledger.collect_garbage()
        [record] = ledger.records
        assert (record.state, record.error) == ("failed", "LookupError: no such doctor")
        assert record.failed_at is not None
        assert record.failed_at.line == line_of("fails")
        assert ledger.unretrieved == ["LookupError: no such doctor"]

    async def test_a_failure_that_somebody_looks_at(self) -> None:
        async with TaskLedger() as ledger:
            with pytest.raises(LookupError):
                await asyncio.create_task(fail())
            await turns()
            ledger.collect_garbage()
        assert ledger.records[0].state == "failed"
        assert ledger.unretrieved == []

    async def test_a_failure_that_speaks_of_destruction_is_told_too(self) -> None:
        async def destroyed() -> None:
            raise LookupError("the session was destroyed")

        async with TaskLedger() as ledger:
            asyncio.create_task(destroyed())  # noqa: RUF006 - the fault
            await turns()
            ledger.collect_garbage()
        assert ledger.unretrieved == ["LookupError: the session was destroyed"]

    async def test_other_reports_of_the_loop_go_where_they_went(self) -> None:
        loop, told = asyncio.get_running_loop(), []

        def callback() -> None:
            raise LookupError

        loop.set_exception_handler(lambda _, context: told.append(context["message"]))
        async with TaskLedger() as ledger:
            loop.call_soon(callback)
            await turns()
        loop.set_exception_handler(None)
        assert ledger.unretrieved == []
        assert len(told) == 1
        assert told[0].startswith("Exception in callback")

    async def test_those_who_start_tasks_on_behalf_of_the_own_code(self) -> None:
        async with TaskLedger() as ledger:
            await asyncio.gather(notify(), notify())  # gathered
            async with asyncio.TaskGroup() as group:
                group.create_task(notify())  # grouped
            await asyncio.shield(notify())  # shielded
            async with anyio.create_task_group() as any_group:
                any_group.start_soon(notify)  # started soon
            await turns()
        lines = [
            line_of(marker)
            for marker in ("gathered", "gathered", "grouped", "shielded", "started soon")
        ]
        assert [record.made_at.line for record in ledger.records] == lines
        assert {record.state for record in ledger.records} == {"done"}

    async def test_what_a_library_starts_for_itself_does_not_count(self, tmp_path: Path) -> None:
        library = load(
            tmp_path / "library.py",
            "import asyncio\n"
            "async def helper():\n    pass\n"
            "async def fetch():\n    await asyncio.create_task(helper())\n"
            "async def call(f):\n    return f()\n",
        )
        own = load(
            tmp_path / "own.py",
            "import asyncio\n"
            "async def ask(library):\n"
            "    await library.fetch()\n"
            "    await library.call(start)\n"
            "def start():\n"
            "    return asyncio.ensure_future(asyncio.sleep(0))\n",
        )
        with own_code(tmp_path / "own.py"):
            async with TaskLedger() as ledger:
                await own.ask(library)
                asyncio.create_task(notify())  # noqa: RUF006 - the test's own is foreign here
                await turns()
        assert [record.made_at.line for record in ledger.records] == [6]

    async def test_what_the_probes_start_does_not_count(self) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()

        async with TaskLedger() as ledger, converse(app, "GET", "/"):
            await turns()
        assert ledger.records == []

    def test_what_the_loop_itself_starts_does_not_count(self) -> None:
        async def main() -> TaskLedger:
            server = await asyncio.start_server(answer, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            async with TaskLedger() as ledger:
                # The loop starts a task for the connection; nobody's line asked for it.
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                await reader.read()
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            server.close()
            return ledger

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        assert asyncio.run(main()).records == []

    async def test_everything_is_put_back(self) -> None:
        loop = asyncio.get_running_loop()
        before = loop.get_task_factory(), loop.get_exception_handler()
        async with TaskLedger():
            assert loop.get_task_factory() is not None
        assert (loop.get_task_factory(), loop.get_exception_handler()) == before

    async def test_a_factory_that_was_there_goes_on_making_the_tasks(self) -> None:
        class Mine(asyncio.Task[Any]):
            pass

        loop = asyncio.get_running_loop()
        loop.set_task_factory(lambda loop, coro, **options: Mine(coro, loop=loop, **options))
        async with TaskLedger() as ledger:
            task = asyncio.create_task(notify(), name="mine")
            await task
            await turns()
        loop.set_task_factory(None)
        assert isinstance(task, Mine)
        assert task.get_name() == "mine"
        assert ledger.records[0].state == "done"


@needs_eager
class TestEagerTasks:
    async def test_they_stay_eager_and_are_booked_in_the_order_of_their_start(self) -> None:
        async def at_once() -> None:
            pass

        async def outer() -> None:
            inner.append(asyncio.create_task(at_once()))

        inner: list[asyncio.Task[None]] = []
        loop = asyncio.get_running_loop()
        loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined]
        async with TaskLedger() as ledger:
            task = asyncio.create_task(outer())
            assert task.done()
            assert [record.state for record in ledger.records] == ["done", "done"]
        loop.set_task_factory(None)
        names = [record.name.rsplit(".", 1)[-1] for record in ledger.records]
        assert names == ["outer", "at_once"]

    async def test_failed_and_lost(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined]
        async with TaskLedger() as ledger:
            asyncio.create_task(fail())  # noqa: RUF006 - the fault
            asyncio.create_task(wait_for_nothing())  # noqa: RUF006 - the fault
            await turns()
            ledger.collect_garbage()
        loop.set_task_factory(None)
        assert [record.state for record in ledger.records] == ["failed", "lost"]
        assert ledger.unretrieved == ["LookupError: no such doctor"]
