"""A real HTTP server on the loopback interface, in a thread of its own, under the test's command.

It stands for the service that the code under test calls. It can hold its callers until a number
of them are there at the same time: only code that really waits for them together gets through.
"""

from __future__ import annotations

import json as jsonlib
import select
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from types import TracebackType
from typing import Any, Self

from fastapi_katas.probes.heartbeat import Heartbeat, Held
from fastapi_katas.probes.places import Place

_PATIENCE_SECONDS = 2.0
_POLL_SECONDS = 0.005
_BODILESS = {204, 304}
_CUT_OFF = "the caller hung up in the middle of its request"


@dataclass(frozen=True, slots=True)
class Call:
    """One request that reached the upstream as a whole.

    Attributes:
        method: The HTTP method, in capitals.
        path: The path with its query.
        body: The bytes of the body.
        headers: The headers, with names in lower case; of headers with the same name, the last.
    """

    method: str
    path: str
    body: bytes
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Reply:
    """What the upstream answers.

    Attributes:
        status: The HTTP status.
        json: The body, sent as JSON, if ``body`` is ``None``.
        body: The bytes of the body.
        headers: Further headers, or others in the place of ``content-type: application/json``.
    """

    status: int = 200
    json: Any = None
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Meeting:
    """A meeting of callers at the upstream.

    Attributes:
        wanted: How many callers must be there at the same time.
        together: How many were there at the most.
        met: Whether all of them met.
        blocked_at: The own line that kept the loop from sending the others, if one was found; only
            an upstream with a heartbeat looks for it.
    """

    wanted: int
    together: int = 0
    met: bool = False
    blocked_at: Place | None = None
    _here: list[_Caller] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)
    _deadline: float = 0.0


class Upstream:
    """A loopback HTTP server in its own thread.

    ::

        with Upstream() as upstream:
            upstream.reply("/rates", json={"EUR": 1})
            ...
            assert upstream.calls[0].path == "/rates"

    Each answer closes its connection, so that a caller's pool keeps none. A path without a reply
    answers 404.

    Attributes:
        url: The address, without a slash at its end. The port is free, never fixed.
        calls: The requests, in the order of their arrival.
        most_together: How many callers were inside at the same time, at the most. A caller that
            hung up is not inside any more.
    """

    def __init__(self, heartbeat: Heartbeat | None = None) -> None:
        """Make the server.

        Args:
            heartbeat: The heartbeat of the loop that the code under test runs on. With it, a wait
                for callers that cannot come because the loop is stuck ends early, with the line.
        """
        self.calls: list[Call] = []
        self.most_together = 0
        self.url = ""
        self._heartbeat = heartbeat
        self._inside: list[_Caller] = []
        self._lock = threading.Lock()
        self._replies: dict[str, Callable[[Call], Reply]] = {}
        self._meeting: Meeting | None = None
        self._holds: list[Held] | None = None
        self._server: _Server | None = None

    def reply(self, path: str, *, status: int = 200, json: Any = None) -> None:
        """Answer every request for a path in the same way.

        Args:
            path: The path, without the query.
            status: The HTTP status.
            json: The body, as anything that JSON can say.
        """
        self._replies[path] = lambda _: Reply(status, json)

    def script(self, path: str, answer: Callable[[Call], Reply]) -> None:
        """Answer the requests for a path with a function of the request.

        Args:
            path: The path, without the query.
            answer: Called in a thread of the server, once per request, maybe in several at the same
                time. An exception that it raises ends the connection without an answer, and is
                printed unless it is a ``ConnectionError``.
        """
        self._replies[path] = answer

    def meet(self, wanted: int) -> Meeting:
        """Hold all callers until a number of them are there at the same time.

        The wait is bounded: when the loop of the code under test is stuck, or when nobody came for
        two seconds, the meeting ends and everybody is answered. Later callers are not held.

        Args:
            wanted: How many callers must be there. One that hangs up is not there any more, and one
                that came before the meeting began does not count.

        Returns:
            The meeting, to look at afterwards.
        """
        self._meeting = Meeting(wanted)
        return self._meeting

    def hold_each(self) -> list[Held]:
        """Hold each caller until the loop has turned, or is proven stuck.

        Returns:
            A list that gets one entry per request, before the request is answered.

        Raises:
            RuntimeError: If the upstream was made without a heartbeat.
        """
        if self._heartbeat is None:
            msg = "hold_each() needs an upstream that was made with a heartbeat"
            raise RuntimeError(msg)
        self._holds = []
        return self._holds

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), _handler_for(self))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._server.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._meeting is not None:
            self._meeting._ended.set()
        if self._server is not None:
            self._server.stop()

    def _answer(self, call: Call, caller: _Caller) -> Reply:
        with self._lock:
            self.calls.append(call)
            self._inside.append(caller)
            self.most_together = max(self.most_together, self._count())
        try:
            if self._holds is not None and self._heartbeat is not None:
                self._holds.append(self._heartbeat.hold())
            if self._meeting is not None:
                self._attend(self._meeting, caller)
            answer = self._replies.get(call.path.split("?")[0])
            return Reply(404, {"detail": "not found"}) if answer is None else answer(call)
        finally:
            with self._lock, suppress(ValueError):
                self._inside.remove(caller)

    def _count(self) -> int:
        self._inside = [caller for caller in self._inside if not caller.is_gone()]
        return len(self._inside)

    def _attend(self, meeting: Meeting, caller: _Caller) -> None:
        with self._lock:
            if meeting._ended.is_set():
                return
            # Only who came to this meeting: an earlier caller may still be on its way out.
            meeting._here = [one for one in [*meeting._here, caller] if not one.is_gone()]
            meeting.together = max(meeting.together, len(meeting._here))
            if meeting.together >= meeting.wanted:
                meeting.met = True
                meeting._ended.set()
            meeting._deadline = time.monotonic() + _PATIENCE_SECONDS
        while not meeting._ended.is_set() and not caller.is_gone():
            held = self._heartbeat.hold(turns=1) if self._heartbeat else None
            if held is not None and held.blocked_at is not None:
                meeting.blocked_at = held.blocked_at
                meeting._ended.set()
            elif time.monotonic() > meeting._deadline:
                meeting._ended.set()
            else:
                meeting._ended.wait(_POLL_SECONDS)


class _Caller:
    """The other end of a connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def is_gone(self) -> bool:
        """Tell whether the caller has hung up."""
        if self._connection.fileno() < 0:
            return True
        try:
            readable, _, _ = select.select([self._connection], [], [], 0)
            return bool(readable) and self._connection.recv(1, socket.MSG_PEEK) == b""
        except OSError:
            return True
        except ValueError:  # more open files than select() can look at
            return False


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def start(self) -> None:
        """Serve in a thread of its own."""
        self._woken, self._wake = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, name="upstream", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        # ``serve_forever`` looks every few milliseconds whether it shall stop. Each test would wait
        # for that look.
        with selectors.DefaultSelector() as selector:
            selector.register(self, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while self._woken not in [key.fileobj for key, _ in selector.select()]:
                self.handle_request()

    def stop(self) -> None:
        """Stop at once; requests that are being answered go on in their threads."""
        self._wake.send(b"!")
        self._thread.join()
        self.server_close()
        self._wake.close()
        self._woken.close()

    def server_bind(self) -> None:
        """Bind without asking a name server for the name of this machine."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent about callers that hang up: the test sees what arrived."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _handler_for(upstream: Upstream) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            self.close_connection = True
            call = Call(
                self.command,
                self.path,
                self._body(),
                {name.lower(): value for name, value in self.headers.items()},
            )
            reply = upstream._answer(call, _Caller(self.connection))
            payload = reply.body if reply.body is not None else jsonlib.dumps(reply.json).encode()
            if self.command == "HEAD" or reply.status in _BODILESS:
                payload = b""
            headers = {
                "content-type": "application/json",
                "content-length": str(len(payload)),
                **{name.lower(): value for name, value in reply.headers.items()},
                "connection": "close",
            }
            with suppress(ConnectionError):
                self.send_response(reply.status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(payload)

        def _body(self) -> bytes:
            if "chunked" not in self.headers.get("transfer-encoding", "").lower():
                return self._exactly(int(self.headers.get("content-length") or 0))
            parts = []
            while size := int(self._line().split(b";")[0], 16):
                parts.append(self._exactly(size))
                self._line()
            while self._line():
                pass  # trailers
            return b"".join(parts)

        def _line(self) -> bytes:
            line = self.rfile.readline()
            if not line.endswith(b"\n"):
                raise ConnectionError(_CUT_OFF)
            return line.strip()

        def _exactly(self, size: int) -> bytes:
            data = self.rfile.read(size) if size else b""
            if len(data) < size:
                raise ConnectionError(_CUT_OFF)
            return data

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Print nothing: the output belongs to the test run."""

    return Handler
