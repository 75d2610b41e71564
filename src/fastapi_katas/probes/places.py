"""Places in the learner's own code: the ``file:line`` that every lesson points to.

A stack of an asynchronous application is mostly framework. These functions find the innermost
frame that belongs to the code under test, on a running thread, in a traceback, or in a suspended
task.
"""

from __future__ import annotations

import gc
import linecache
import os
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio


def _folders(*paths: str | Path) -> tuple[str, ...]:
    """Spell folders as the interpreter may: as they are given, and without symbolic links."""
    forms = (form for path in paths for form in (Path(path).absolute(), Path(path).resolve()))
    return tuple(dict.fromkeys(f"{form}{os.sep}" for form in forms))


_STDLIB = _folders(sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
_INSTALLED = _folders(sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
_INSTALLED_ANYWHERE = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_PACKAGE = _folders(Path(__file__).parent.parent)

# Made by ``asend`` and ``athrow`` of an asynchronous generator, by ``anext`` with a default, and by
# ``__await__`` of a coroutine.
_WRAPPERS = {
    "anext_awaitable",
    "async_generator_asend",
    "async_generator_athrow",
    "coroutine_wrapper",
}

_own_files: tuple[str, ...] = ()
_own_folders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """One line of the code under test.

    Attributes:
        file: The path of the file, as the interpreter knows it.
        line: The line number, counted from 1.
        function: The name of the function the line stands in.
        code: The text of the line, without indentation; empty if it cannot be read.
    """

    file: str
    line: int
    function: str = ""
    code: str = ""

    def __str__(self) -> str:
        return f"{Path(self.file).name}:{self.line}"


@contextmanager
def own_code(*roots: Path) -> Iterator[None]:
    """Say which files count as the code under test.

    Without it, and with no roots, every file outside the standard library, the installed packages
    and this package counts.

    Args:
        roots: Files or folders, absolute or from the current folder.
    """
    global _own_files, _own_folders
    before = _own_files, _own_folders
    _own_files = tuple(str(Path(root).absolute()) for root in roots)
    _own_folders = tuple(f"{root}{os.sep}" for root in _own_files)
    try:
        yield
    finally:
        _own_files, _own_folders = before


def is_own(filename: str) -> bool:
    """Tell whether a file belongs to the code under test.

    Args:
        filename: A path as found in ``co_filename``.
    """
    if _own_files:
        return filename in _own_files or filename.startswith(_own_folders)
    return not (filename.startswith(("<", *_STDLIB, *_PACKAGE)) or _is_installed(filename))


def is_stdlib(filename: str) -> bool:
    """Tell whether a file belongs to the standard library.

    Args:
        filename: A path as found in ``co_filename``.
    """
    frozen = filename.startswith("<frozen ")
    return frozen or (filename.startswith(_STDLIB) and not _is_installed(filename))


def _is_installed(filename: str) -> bool:
    return filename.startswith(_INSTALLED) or any(
        folder in filename for folder in _INSTALLED_ANYWHERE
    )


def place_at(code: CodeType, line: int | None) -> Place:
    """Describe a line of a code object.

    Args:
        code: The code object.
        line: The line number. A frame that stands between two lines has none: then the first line
            of the function is taken.
    """
    line = line or code.co_firstlineno
    text = linecache.getline(code.co_filename, line).strip()
    return Place(code.co_filename, line, code.co_name, text)


def place_in_stack(frame: FrameType | None) -> Place | None:
    """Find the innermost own line on a running stack.

    Args:
        frame: The innermost frame, for example from ``sys._current_frames()``.

    Returns:
        The line, or ``None`` if no frame of the stack is own.
    """
    while frame is not None:
        if is_own(frame.f_code.co_filename):
            return place_at(frame.f_code, frame.f_lineno)
        frame = frame.f_back
    return None


def place_in_thread(ident: int) -> Place | None:
    """Find the innermost own line that a thread is executing now.

    Args:
        ident: The identifier of the thread, as ``threading.get_ident()`` gives it.

    Returns:
        The line, or ``None`` if the thread is in nobody's own code or has ended.
    """
    return place_in_stack(sys._current_frames().get(ident))


def place_in_traceback(traceback: TracebackType | None) -> Place | None:
    """Find the innermost own line of a traceback.

    Args:
        traceback: The outermost part, as an exception carries it.

    Returns:
        The line, or ``None`` if no frame of the traceback is own.
    """
    found = None
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if is_own(code.co_filename):
            found = place_at(code, traceback.tb_lineno)
        traceback = traceback.tb_next
    return found


def place_of_exception(error: BaseException) -> Place | None:
    """Find the own line an exception came from.

    In an exception group this is the line of the first member that has one, rather than the line
    where the group was put together. An exception without own lines is traced through its causes.

    Args:
        error: The exception, after it was raised.

    Returns:
        The line, or ``None`` if no own code took part.
    """
    return _search(error, set())


def _search(error: BaseException | None, seen: set[int]) -> Place | None:
    if error is None or id(error) in seen:
        return None
    seen.add(id(error))
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            found = _search(member, seen)
            if found is not None:
                return found
    return (
        place_in_traceback(error.__traceback__)
        or _search(error.__cause__, seen)
        or _search(error.__context__, seen)
    )


def place_of_task(task: asyncio.Task[Any]) -> Place | None:
    """Find the innermost own line at which a task is suspended.

    Args:
        task: The task.

    Returns:
        The line, or ``None`` if the task is done or waits in nobody's own code.
    """
    # Python 3.12.1 crashes when it is asked for the coroutine of a task that ended eagerly.
    return None if task.done() else place_of_awaitable(task.get_coro())


def place_of_awaitable(awaitable: object) -> Place | None:
    """Follow a chain of suspended awaits and find the innermost own line in it.

    Args:
        awaitable: A coroutine, an asynchronous generator, or what one of them awaits.

    Returns:
        The line, or ``None`` if no link of the chain is own.
    """
    found = None
    while awaitable is not None:
        frame = _attribute(awaitable, "cr_frame", "ag_frame", "gi_frame")
        if frame is not None and is_own(frame.f_code.co_filename):
            found = place_at(frame.f_code, frame.f_lineno)
        inner = _attribute(awaitable, "cr_await", "ag_await", "gi_yieldfrom")
        awaitable = _inside(awaitable) if inner is None else inner
    return found


def _attribute(thing: object, *names: str) -> Any:
    values = (getattr(thing, name, None) for name in names)
    return next((value for value in values if value is not None), None)


def _inside(awaitable: object) -> object:
    """Look into the interpreter's own awaitables, which only tell the collector what they hold."""
    if type(awaitable).__name__ not in _WRAPPERS:
        return None
    for held in gc.get_referents(awaitable):
        if type(held).__name__ in _WRAPPERS or _attribute(held, "cr_frame", "ag_frame") is not None:
            return held
    return None
