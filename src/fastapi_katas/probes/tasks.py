"""Coroutines that nobody awaited, and tasks that nobody kept."""

from __future__ import annotations

import asyncio
import gc
import linecache
import sys
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CoroutineType, FrameType, TracebackType
from typing import Any, Self

import anyio

from fastapi_katas.probes.places import Place, is_own, is_stdlib, place_at, place_of_exception

_ANYIO = str(Path(anyio.__file__).parent)
_LOOP_FILE = asyncio.events.__file__


@dataclass(frozen=True, slots=True)
class DroppedCoroutine:
    """A coroutine that was made and thrown away without running.

    Attributes:
        name: Its qualified name.
        made_at: The own line that made it, if it is known: it is for coroutines that were made
            inside the block, in its thread.
    """

    name: str
    made_at: Place | None


@contextmanager
def dropped_coroutines() -> Iterator[list[DroppedCoroutine]]:
    """Record the coroutines that are dropped without ever being awaited.

    Python tells of them with a ``RuntimeWarning``, which is recorded here instead of shown. A
    coroutine that somebody still holds when the block ends, or that was closed, is not dropped.
    Blocks may be nested: the inner one records what is dropped inside it.

    Yields:
        The dropped coroutines, of all threads; complete when the block has ended, also those that
        only the garbage collector finds.
    """
    gc.collect()  # what was dropped before is not recorded here
    found: list[DroppedCoroutine] = []
    depth = sys.get_coroutine_origin_tracking_depth()
    sys.set_coroutine_origin_tracking_depth(max(depth, 20))
    # The interpreter looks this function up by name when it finds a dropped coroutine.
    original = warnings._warn_unawaited_coroutine  # type: ignore[attr-defined]

    def record(coroutine: CoroutineType[Any, Any, Any]) -> None:
        origin = getattr(coroutine, "cr_origin", None) or ()
        own = [(file, line, name) for file, line, name in origin if is_own(file)]
        place = None
        if own:
            file, line, name = own[0]
            place = Place(file, line, name, linecache.getline(file, line).strip())
        found.append(DroppedCoroutine(coroutine.__qualname__, place))

    warnings._warn_unawaited_coroutine = record  # type: ignore[attr-defined]
    try:
        yield found
    finally:
        gc.collect()
        warnings._warn_unawaited_coroutine = original  # type: ignore[attr-defined]
        sys.set_coroutine_origin_tracking_depth(depth)


@dataclass(slots=True)
class TaskRecord:
    """One task that the code under test started.

    Attributes:
        name: The qualified name of its coroutine; anyio's task groups wrap theirs in one of their
            own.
        made_at: The own line that started it.
        state: ``pending``, ``done``, ``failed``, ``cancelled``, or ``lost`` when it was destroyed
            by the garbage collector before it ended.
        error: The type and the text of the exception it failed with, or an empty string.
        failed_at: The own line that the exception came from, if there is one.
    """

    name: str
    made_at: Place
    state: str = "pending"
    error: str = ""
    failed_at: Place | None = None


@dataclass(slots=True)
class TaskLedger:
    """Keeps the books of the tasks that the code under test starts on the running loop.

    ::

        async with TaskLedger() as ledger:
            ...
            ledger.collect_garbage()
        assert not ledger.lost

    A task counts when own code starts it, be it through asyncio or anyio (``create_task``,
    ``gather``, a task group). What a library starts for itself does not, nor what was started
    before the block. A task that still runs when the block ends stays in the books as it is then,
    and its record goes on to change.

    Attributes:
        records: The tasks, in the order of their start.
        unretrieved: Exceptions of tasks and futures that nobody looked at, as asyncio reports them
            when it collects them: ``"ValueError: no such sample"``. Other reports of the loop go
            where they went before.
    """

    records: list[TaskRecord] = field(default_factory=list)
    unretrieved: list[str] = field(default_factory=list)
    _restore: Any = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._restore = (loop.get_task_factory(), loop.get_exception_handler())
        loop.set_task_factory(self._make_task)
        loop.set_exception_handler(self._report)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        loop = asyncio.get_running_loop()
        factory, handler = self._restore
        loop.set_task_factory(factory)
        loop.set_exception_handler(handler)

    @property
    def lost(self) -> list[TaskRecord]:
        """The tasks that the garbage collector destroyed before they ended."""
        return [record for record in self.records if record.state == "lost"]

    def collect_garbage(self) -> None:
        """Collect garbage now: what is only weakly referenced is destroyed, as it one day is.

        Call it after a turn of the loop, which itself holds the tasks that are about to run.
        """
        for _ in range(3):
            gc.collect()

    def _make_task(
        self, loop: asyncio.AbstractEventLoop, coro: Any, **kwargs: Any
    ) -> asyncio.Future[Any]:
        record = None
        place = _starting_line(sys._getframe(1))
        if place is not None:
            # Before the task: one that starts eagerly may start others, and even end, at once.
            record = TaskRecord(getattr(coro, "__qualname__", str(coro)), place)
            self.records.append(record)
        factory = self._restore[0]
        task: asyncio.Future[Any]
        if factory is None:
            task = asyncio.Task(coro, loop=loop, **kwargs)
        else:
            task = factory(loop, coro, **kwargs)
        if record is None:
            return task
        close_book = _close_book(record)
        if task.done():
            close_book(task)
        else:
            task.add_done_callback(close_book)
            weakref.finalize(task, _mark_lost, record).atexit = False
        return task

    def _report(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        message, error = str(context.get("message", "")), context.get("exception")
        if error is not None and message.endswith("exception was never retrieved"):
            self.unretrieved.append(f"{type(error).__name__}: {error}")
        elif error is None and message.startswith("Task was destroyed"):
            pass  # its record says so
        elif self._restore[1] is not None:
            self._restore[1](loop, context)
        else:
            loop.default_exception_handler(context)


def _starting_line(frame: FrameType | None) -> Place | None:
    """Find the own line that starts a task, unless a library starts it for itself.

    asyncio, the rest of the standard library and anyio start tasks on behalf of their callers.
    Below the loop's own turn nobody asks for anything.
    """
    while frame is not None:
        code = frame.f_code
        file = code.co_filename
        if is_own(file):
            return place_at(code, frame.f_lineno)
        on_behalf = is_stdlib(file) or file.startswith(_ANYIO)
        if not on_behalf or (file == _LOOP_FILE and code.co_name == "_run"):
            return None
        frame = frame.f_back
    return None


def _close_book(record: TaskRecord) -> Callable[[asyncio.Future[Any]], None]:
    def close(task: asyncio.Future[Any]) -> None:
        if task.cancelled():
            record.state = "cancelled"
            return
        # Reading the private field leaves asyncio's own report of unretrieved exceptions alone.
        error = task._exception
        record.state = "failed" if error is not None else "done"
        if error is not None:
            record.error = f"{type(error).__name__}: {error}"
            record.failed_at = place_of_exception(error)

    return close


def _mark_lost(record: TaskRecord) -> None:
    if record.state == "pending":
        record.state = "lost"
