"""The client of the course: httpx over ASGI, with eyes on what happened inside."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx

from fastapi_katas.probes.asgi import ASGIApp, Receive, Scope, Send
from fastapi_katas.probes.lesson import lesson
from fastapi_katas.probes.places import Place, place_of_exception, place_of_task

# Much more than any answer takes: on a busy machine a disk alone may stand still for seconds.
_LIMIT_SECONDS = 10.0
_CRASH = "fastapi_katas.crash"


class WatchingTransport(httpx.AsyncBaseTransport):
    """Like ``httpx.ASGITransport``, but a crash of the application becomes part of the response.

    The application answers 500 as it would in production, and the exception is kept for
    :func:`crash_of`; so is one that is raised after the response was sent, whose status stays. A
    cancellation that the application brought on itself is a crash too; one of the caller goes
    through. A request without an answer ends at a limit, with a lesson that names the own lines
    where tasks wait.
    """

    def __init__(self, app: ASGIApp, *, limit: float = _LIMIT_SECONDS) -> None:
        """Make the transport.

        Args:
            app: The ASGI application.
            limit: Seconds after which a request without an answer is ended. The limit needs a loop
                that turns: a blocked one is the matter of a :class:`Heartbeat`.
        """
        self._app = app
        self._limit = limit

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request through the application.

        Args:
            request: The request.

        Returns:
            The response, complete.

        Raises:
            Lesson: If there is no answer within the limit.
        """
        crashes: list[BaseException] = []

        async def watched(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await self._app(scope, receive, send)
            except Exception as error:
                crashes.append(error)
                raise
            except asyncio.CancelledError as error:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                # Nobody cancelled the request: the application awaited something cancelled.
                crashes.append(error)
                msg = "the application let a cancellation of its own through"
                raise RuntimeError(msg) from error

        inner = httpx.ASGITransport(app=watched, raise_app_exceptions=False)
        waits: list[Place | None] = []
        # The places are read a moment before the limit: once it is over, nobody waits any more.
        look = asyncio.get_running_loop().call_later(
            self._limit * 0.95, lambda: waits.extend(_waiting_places())
        )
        try:
            async with asyncio.timeout(self._limit) as limit:
                response = await inner.handle_async_request(request)
        except TimeoutError:
            if not limit.expired():
                raise
            raise lesson(
                "no-answer",
                seen="{request} had no answer after {seconds:g} seconds.",
                production="The caller gives up, and the request keeps its memory, its "
                "connection and its place in the pool.",
                look="What does this request wait for, and who would give it?",
                where=waits,
                request=f"{request.method} {request.url.raw_path.decode()}",
                seconds=self._limit,
            ) from None
        finally:
            look.cancel()
        if crashes:
            response.extensions[_CRASH] = crashes[0]
        return response


def _waiting_places() -> list[Place | None]:
    return [place_of_task(task) for task in asyncio.all_tasks() if not task.done()]


def crash_of(response: httpx.Response) -> BaseException | None:
    """Return the exception that the application raised while it made this response.

    Args:
        response: A response that came through a :class:`WatchingTransport`.

    Returns:
        The exception, or ``None`` if there was none.
    """
    crash: BaseException | None = response.extensions.get(_CRASH)
    return crash


def expect_status(response: httpx.Response, expected: int, *, because: str) -> None:
    """Fail with a lesson unless a response has the status that the contract states.

    Args:
        response: The response, as the course's client gave it.
        expected: The status of the contract.
        because: The sentence of the contract, for example ``"an order that exists is returned"``.

    Raises:
        Lesson: With the status that was seen, and the crash behind it if there was one. A crash
            after the right status was sent is not looked for: ask :func:`crash_of`.
    """
    if response.status_code == expected:
        return
    crash = crash_of(response)
    request = f"{response.request.method} {response.request.url.raw_path.decode()}"
    evidence: dict[str, Any] = {"status": response.status_code, "expected": expected}
    if crash is not None:
        raise lesson(
            _crash_key(crash),
            seen="{request} ended in {error}, answered as {status}. "
            "Expected {expected}: {because}.",
            production="The caller gets an error that says nothing, and the work is not done.",
            look="Follow the exception to the line it comes from.",
            where=place_of_exception(crash),
            request=request,
            error=_first_lines(crash),
            because=because,
            **evidence,
        )
    raise lesson(
        "wrong-status",
        seen="{request} answered {status} with {body}. Expected {expected}: {because}.",
        production="Clients decide by the status what to do next, and now they decide wrongly.",
        look="Compare the answer with the contract on the page of this kata.",
        request=request,
        body=_body(response),
        because=because,
        **evidence,
    )


def _crash_key(error: BaseException) -> str:
    """Name the kind of a crash, so that coaching can tell one from another."""
    # A RuntimeError about a coroutine says something else: that it is awaited twice, for example.
    if "coroutine" in str(error) and not isinstance(error, RuntimeError):
        return "crash-not-awaited"
    return "crash-" + re.sub(r"[^a-z0-9]", "", type(error).__name__.lower())


def _body(response: httpx.Response) -> str:
    try:
        return response.text[:200] or "an empty body"
    except httpx.ResponseNotRead:
        return "a body that was not read"


def _first_lines(error: BaseException) -> str:
    """Name an exception, with the beginning of what it says."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__
