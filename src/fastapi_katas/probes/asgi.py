"""ASGI by hand: a log of what an application really sent, and a client that reads it bit by bit.

httpx's ``ASGITransport`` collects the whole response before the test sees any of it. Streaming,
disconnects and the order of events need these instruments instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote, urlsplit

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_LIMIT_SECONDS = 5.0
# What may stand in a path or a query; all else is sent percent-encoded.
_SAFE = "/?%:@!$&'()*+,;=~"


class EventLog:
    """Wraps an ASGI application and writes down the order of what happens.

    ::

        log = EventLog(app)
        ...  # drive ``log`` as the application; call ``log.mark("committed")`` from a spy
        assert log.events.index("committed") < log.events.index("http.response.start 201")

    A message is written down when the application sends it, before the client takes it. The
    lifespan is not written down.

    A mark of the form ``who: what`` names a part of the application, for example
    ``session: commit``. When a test hands the events over with pytest's ``record_property`` as
    ``events``, before it fails, a page can show them as a picture.

    Attributes:
        app: The application.
        events: ``http.request <method> <path>``, ``http.response.start <status>``,
            ``http.response.body``, ``websocket.*``, the marks, and ``raised <type>`` for an
            exception that left the application.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application.

        Args:
            app: The application to watch.
        """
        self.app = app
        self.events: list[str] = []

    def mark(self, event: str) -> None:
        """Write down an event of the test's own, for example from a spy.

        Args:
            event: Any text that no message has.
        """
        self.events.append(event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return

        if scope["type"] == "http":
            self.events.append(f"http.request {scope['method']} {scope['path']}")

        async def logging_send(message: Message) -> None:
            status = f" {message['status']}" if "status" in message else ""
            self.events.append(f"{message['type']}{status}")
            await send(message)

        try:
            await self.app(scope, receive, logging_send)
        except BaseException as error:
            self.events.append(f"raised {type(error).__name__}")
            raise


@dataclass(slots=True)
class Conversation:
    """One HTTP request whose response is read message by message. Made by :func:`converse`.

    The application's ``send`` returns only when the test has taken the message, as on a network
    whose reader is slow: what the application holds back is really held back. When the client has
    gone away, a ``send`` that waits returns, and the next one raises ``OSError``.

    Every wait here ends at a limit of five seconds. An exception that the application raises after
    its response is complete reaches nobody, as in production; an :class:`EventLog` sees it.

    Attributes:
        status: The status, after :meth:`start`.
        headers: The headers with names in lower case, after :meth:`start`; of headers with the same
            name, the last.
        finished: Whether the response is complete.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    finished: bool = False
    _sent: asyncio.Queue[tuple[Message, asyncio.Event]] = field(default_factory=asyncio.Queue)
    _gone: asyncio.Event = field(default_factory=asyncio.Event)
    _body: list[bytes] = field(default_factory=list)
    _task: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Wait for the start of the response, unless it has started already.

        Returns:
            The status.

        Raises:
            TimeoutError: If no response starts within the limit.
            RuntimeError: If the application ends without one, or sends something else first.
            Exception: Whatever the application raised instead of a response.
        """
        if self.status:
            return self.status
        message = await self._next()
        if message["type"] != "http.response.start":
            msg = f"the application sent {message['type']} before http.response.start"
            raise RuntimeError(msg)
        self.status = message["status"]
        self.headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in message.get("headers", [])
        }
        return self.status

    async def chunk(self) -> bytes | None:
        """Wait for the next part of the body, and first for the start of the response.

        Returns:
            The bytes of one message that has any, or ``None`` when the response is complete.

        Raises:
            TimeoutError: If nothing is sent within the limit.
            RuntimeError: If the application ends without completing its response.
            Exception: Whatever the application raised instead.
        """
        await self.start()
        while not self.finished:
            message = await self._next()
            self.finished = not message.get("more_body", False)
            if message.get("body"):
                return bytes(message["body"])
        return None

    async def rest(self) -> bytes:
        """Read the body to its end.

        Returns:
            All that was not read before.

        Raises:
            TimeoutError: If nothing is sent within the limit.
            RuntimeError: If the application ends without completing its response.
            Exception: Whatever the application raised instead.
        """
        parts = []
        while (part := await self.chunk()) is not None:
            parts.append(part)
        return b"".join(parts)

    async def disconnect(self) -> None:
        """Go away, as a browser whose tab was closed, and wait until the application noticed.

        What the application raises then reaches nobody, as in production.

        Raises:
            TimeoutError: If the application goes on as if somebody were there.
        """
        self._gone.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=_LIMIT_SECONDS)
            if not self._task.done():
                msg = (
                    f"the application went on for {_LIMIT_SECONDS:g} seconds after the client left"
                )
                raise TimeoutError(msg)

    async def _next(self) -> Message:
        assert self._task is not None
        getter = asyncio.ensure_future(self._sent.get())
        try:
            await asyncio.wait(
                {getter, self._task}, timeout=_LIMIT_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            if getter.done():
                message, taken = getter.result()
                taken.set()
                return message
        finally:
            getter.cancel()
        if not self._task.done():
            msg = f"the application sent nothing for {_LIMIT_SECONDS:g} seconds"
            raise TimeoutError(msg)
        if self._task.cancelled():
            msg = "the application was cancelled without completing its response"
            raise RuntimeError(msg)
        self._task.result()
        msg = "the application ended without completing its response"
        raise RuntimeError(msg)

    async def _run(self, app: ASGIApp, scope: Scope) -> None:
        try:
            await app(scope, self._receive, self._send)
        except Exception:
            # Kept, it would keep the frames of the application alive, as no server does.
            if not self._gone.is_set():
                raise

    async def _receive(self) -> Message:
        if self._body:
            body = self._body.pop(0)
            return {"type": "http.request", "body": body, "more_body": bool(self._body)}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if self._gone.is_set():
            # What a server tells an application that writes to a closed connection.
            msg = "the client has gone away"
            raise OSError(msg)
        taken = asyncio.Event()
        self._sent.put_nowait((message, taken))
        waits = [asyncio.ensure_future(event.wait()) for event in (taken, self._gone)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


@asynccontextmanager
async def converse(
    app: ASGIApp,
    method: str,
    url: str,
    *,
    headers: Iterable[tuple[str, str]] = (),
    body: Iterable[bytes] = (b"",),
    state: dict[str, Any] | None = None,
) -> AsyncIterator[Conversation]:
    """Send one HTTP request to an application and read its response message by message.

    Args:
        app: The application.
        method: The HTTP method, in capitals.
        url: The path with its query.
        headers: The request headers.
        body: The parts of the request body, one message each.
        state: The lifespan state, if the application has one; each request gets a copy.

    Yields:
        The conversation. When the block ends, the client goes away. An application that has not
        ended after five seconds more is cancelled.
    """
    parts = urlsplit(url)
    path = parts.path or "/"
    named = [(name.lower(), value) for name, value in headers]
    if not any(name == "host" for name, _ in named):
        named.insert(0, ("host", "testserver"))
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": quote(path, safe=_SAFE).encode("ascii"),
        "query_string": quote(parts.query, safe=_SAFE).encode("ascii"),
        "root_path": "",
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in named],
        "client": ("127.0.0.1", 123),
        "server": ("testserver", 80),
        "state": dict(state or {}),
    }
    conversation = Conversation(_body=list(body) or [b""])
    task = asyncio.ensure_future(conversation._run(app, scope))
    conversation._task = task
    try:
        yield conversation
    finally:
        conversation._gone.set()
        await asyncio.wait({task}, timeout=_LIMIT_SECONDS)
        if not task.done():
            task.cancel()
            # An application that will not end is left behind rather than waited for.
            await asyncio.wait({task}, timeout=_LIMIT_SECONDS)
        if task.done() and not task.cancelled():
            task.exception()  # looked at, so that asyncio does not report it as forgotten
