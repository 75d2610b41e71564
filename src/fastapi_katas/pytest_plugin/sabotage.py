"""Sabotage: the module under test, spoilt on purpose, to prove that the tests of a kata look.

A test that stays green while every request crashes looks at nothing. A lesson that reads the same
for the crash as for the real fault of BAD does not come from the run. ``kata self-check`` runs
each kata once on a sabotaged BAD to find both.
"""

from __future__ import annotations

import inspect
from typing import Any

from fastapi import FastAPI

MESSAGE = "sabotaged by kata self-check"


def sabotage(module: Any) -> None:
    """Make every request to the module's application crash, and every function of it too.

    Args:
        module: The freshly loaded module (not the proxy that tests see).
    """
    for name, value in list(vars(module).items()):
        if isinstance(value, FastAPI):
            # The stack that Starlette would build on the first request; lifespan goes on working.
            value.middleware_stack = _crashing(value)
        elif inspect.isfunction(value) and value.__module__ == module.__name__:
            setattr(module, name, _crash_like(value))


def _crashing(app: FastAPI) -> Any:
    async def crash(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await app.router(scope, receive, send)
            return
        raise RuntimeError(MESSAGE)

    return crash


def _crash_like(function: Any) -> Any:
    if inspect.isasyncgenfunction(function):

        async def crash_generator(*_: Any, **__: Any) -> Any:
            raise RuntimeError(MESSAGE)
            yield

        return crash_generator
    if inspect.iscoroutinefunction(function):

        async def crash_coroutine(*_: Any, **__: Any) -> Any:
            raise RuntimeError(MESSAGE)

        return crash_coroutine

    def crash(*_: Any, **__: Any) -> Any:
        raise RuntimeError(MESSAGE)

    return crash
