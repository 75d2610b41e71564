"""Thread identity: which thread did the work, the loop's or another one."""

from __future__ import annotations

import functools
import inspect
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fastapi_katas.probes.places import Place, place_in_stack

_LATER = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)


@dataclass(frozen=True, slots=True)
class Run:
    """One call of a watched function.

    Attributes:
        thread: The name of the thread.
        on_loop_thread: Whether it was the thread of the event loop.
        caller: The own line that made the call; ``None`` if a library made it, such as a thread
            pool that was given the function itself.
    """

    thread: str
    on_loop_thread: bool
    caller: Place | None


@dataclass(slots=True)
class ThreadWitness:
    """Notes the thread of every call of the functions that it wraps.

    Make it on the thread of the event loop, before the code under test runs::

        witness = ThreadWitness()
        module.resize = witness.watch(module.resize)
        ...
        assert not any(run.on_loop_thread for run in witness.runs)

    Attributes:
        runs: The calls, in the order of their beginning.
    """

    runs: list[Run] = field(default_factory=list)
    _loop_thread: int = field(default_factory=threading.get_ident)

    def watch(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a plain function; its arguments, result and exceptions pass through.

        The wrapper cannot be sent to another process.

        Args:
            function: The function to watch.

        Returns:
            The wrapper, to put in the place of the function.

        Raises:
            TypeError: If it is a coroutine function or a generator function, whose body does not
                run where it is called.
        """
        if any(kind(form) for kind in _LATER for form in (function, type(function).__call__)):
            name = getattr(function, "__qualname__", repr(function))
            msg = f"{name} does not run where it is called: watch a function that it calls"
            raise TypeError(msg)

        @functools.wraps(function)
        def watched(*args: Any, **kwargs: Any) -> Any:
            self.note()
            return function(*args, **kwargs)

        return watched

    def note(self) -> None:
        """Note the thread of the caller now, for example from a spy of the test's own."""
        self.runs.append(
            Run(
                threading.current_thread().name,
                threading.get_ident() == self._loop_thread,
                place_in_stack(sys._getframe(1)),
            )
        )

    @property
    def on_loop(self) -> list[Run]:
        """The calls that ran on the loop's thread and so held the loop up."""
        return [run for run in self.runs if run.on_loop_thread]
