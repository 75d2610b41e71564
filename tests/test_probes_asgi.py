"""The event log keeps the order of events; the conversation takes a response bit by bit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from asgi_lifespan import LifespanManager
from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import StreamingResponse

from fastapi_katas.probes import EventLog, converse, turns
from fastapi_katas.probes import asgi as asgi_module
from fastapi_katas.probes.asgi import Receive, Scope, Send

START = {"type": "http.response.start", "status": 200, "headers": [(b"X-One", b"1")]}


def body(content: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": content, "more_body": more}


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """End hangs that a test provokes after a moment."""
    monkeypatch.setattr(asgi_module, "_LIMIT_SECONDS", 0.1)


async def streaming(scope: Scope, receive: Receive, send: Send) -> None:
    """Send a body in three parts."""
    await send(START)
    for part in (b"a", b"b"):
        await send(body(part, more=True))
    await send(body(b"c"))


class TestEventLog:
    async def test_the_order_of_messages_and_marks(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            log.mark("committed")
            await send({**START, "status": 201})
            log.mark("after start")
            await send(body(b"x"))

        log = EventLog(app)
        async with converse(log, "GET", "/") as reader:
            await reader.rest()
        assert log.events == [
            "http.request GET /",
            "committed",
            "http.response.start 201",
            "after start",
            "http.response.body",
        ]

    async def test_an_exception_is_an_event_and_goes_on(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send(START)
            raise LookupError

        log = EventLog(app)
        async with converse(log, "GET", "/") as reader:
            await reader.start()
            with pytest.raises(LookupError):
                await reader.chunk()
        assert log.events == [
            "http.request GET /", "http.response.start 200", "raised LookupError",
        ]  # fmt: skip

    async def test_a_cancellation_is_an_event(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await asyncio.Event().wait()

        log = EventLog(app)
        scope = {"type": "http", "method": "GET", "path": "/slow"}
        task = asyncio.create_task(log(scope, _nothing, _swallow))
        await turns(20)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert log.events == ["http.request GET /slow", "raised CancelledError"]

    async def test_a_websocket(self) -> None:
        app = FastAPI()

        @app.websocket("/ws")
        async def ws(websocket: WebSocket) -> None:
            await websocket.accept()
            await websocket.send_text("hello")
            await websocket.close()

        log = EventLog(app)
        scope = {"type": "websocket", "path": "/ws", "headers": [], "query_string": b""}
        await log(scope, _connect, _swallow)
        assert log.events == ["websocket.accept", "websocket.send", "websocket.close"]

    async def test_the_lifespan_is_left_alone(self) -> None:
        started: list[str] = []

        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[None]:
            started.append("started")
            yield

        log = EventLog(FastAPI(lifespan=lifespan))
        async with LifespanManager(log):
            assert started == ["started"]
        assert log.events == []


class TestReading:
    async def test_the_start(self) -> None:
        async with converse(streaming, "GET", "/") as reader:
            assert await reader.start() == 200
            assert (reader.status, reader.headers) == (200, {"x-one": "1"})
            assert not reader.finished
            assert await reader.start() == 200  # again: nothing is lost
            assert await reader.chunk() == b"a"

    async def test_the_body_in_parts(self) -> None:
        async with converse(streaming, "GET", "/") as reader:
            await reader.start()
            assert [await reader.chunk() for _ in range(4)] == [b"a", b"b", b"c", None]
            assert reader.finished
            assert await reader.chunk() is None

    async def test_the_rest(self) -> None:
        async with converse(streaming, "GET", "/") as reader:
            assert await reader.chunk() == b"a"  # the start is taken first
            assert reader.status == 200
            assert await reader.rest() == b"bc"
            assert reader.finished

    async def test_empty_parts_are_passed_over(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send(START)
            for part in (b"", b"a", b""):
                await send(body(part, more=True))
            await send({"type": "http.response.body"})

        async with converse(app, "GET", "/") as reader:
            assert await reader.chunk() == b"a"
            assert await reader.chunk() is None

    async def test_an_empty_body(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 204})
            await send({"type": "http.response.body"})

        async with converse(app, "GET", "/") as reader:
            assert await reader.start() == 204
            assert reader.headers == {}
            assert await reader.rest() == b""


class TestBackPressure:
    async def test_send_returns_when_the_message_is_taken(self) -> None:
        done: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send(START)
            done.append("start")
            await send(body(b"a", more=True))
            done.append("a")
            await send(body(b"b"))
            done.append("b")

        async with converse(app, "GET", "/") as reader:
            await turns(20)
            assert done == []
            await reader.start()
            await turns(20)
            assert done == ["start"]
            await reader.chunk()
            await turns(20)
            assert done == ["start", "a"]
            await reader.chunk()
            await turns(20)
            assert done == ["start", "a", "b"]

    async def test_two_senders_at_once_lose_nothing(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send(START)
            await asyncio.gather(*(send(body(part, more=True)) for part in (b"a", b"b", b"c")))
            await send(body(b"."))

        async with converse(app, "GET", "/") as reader:
            assert await reader.rest() == b"abc."

    async def test_two_senders_at_once_are_both_let_go(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send(START)
            await asyncio.gather(*(send(body(part, more=True)) for part in (b"a", b"b", b"c")))

        async with converse(app, "GET", "/") as reader:
            await reader.chunk()
            await reader.disconnect()

    async def test_a_streaming_response_is_read_no_faster_than_taken(self) -> None:
        made: list[int] = []
        app = FastAPI()

        async def rows() -> AsyncIterator[str]:
            for number in range(100):
                made.append(number)
                yield f"{number}\n"

        @app.get("/")
        async def export() -> StreamingResponse:
            return StreamingResponse(rows())

        async with converse(app, "GET", "/") as reader:
            for _ in range(3):
                await reader.chunk()
            await turns(200)
            assert made == [0, 1, 2, 3]


class TestRequest:
    async def test_the_scope(self) -> None:
        seen: dict[str, Any] = {}

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            seen.update(scope)
            await streaming(scope, receive, send)

        state = {"pool": object()}
        async with converse(
            app, "POST", "/a%20b/ü?q=1&ö=x%20y", headers=[("X-A", "1"), ("X-A", "2")], state=state
        ) as reader:
            await reader.rest()
        assert seen["method"] == "POST"
        assert seen["path"] == "/a b/ü"
        assert seen["raw_path"] == b"/a%20b/%C3%BC"
        assert seen["query_string"] == b"q=1&%C3%B6=x%20y"
        assert seen["headers"] == [(b"host", b"testserver"), (b"x-a", b"1"), (b"x-a", b"2")]
        assert seen["state"] == state
        assert seen["state"] is not state

    async def test_the_host_can_be_chosen_and_the_path_be_empty(self) -> None:
        seen: dict[str, Any] = {}

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            seen.update(scope)

        async with converse(app, "GET", "", headers=[("Host", "shop.example")]):
            await turns(20)
        assert seen["path"] == "/"
        assert seen["headers"] == [(b"host", b"shop.example")]

    @pytest.mark.parametrize(
        ("parts", "expected"),
        [((b"one", b"two"), b"onetwo"), ((b"one",), b"one"), ((b"",), b""), ((), b"")],
    )
    async def test_the_body(self, parts: tuple[bytes, ...], expected: bytes) -> None:
        app = FastAPI()

        @app.post("/")
        async def echo(request: Request) -> dict[str, str]:
            return {"got": (await request.body()).decode()}

        async with converse(app, "POST", "/", body=parts) as reader:
            assert await reader.rest() == b'{"got":"' + expected + b'"}'

    async def test_the_body_without_naming_any(self) -> None:
        messages: list[Any] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            messages.append(await receive())
            await streaming(scope, receive, send)

        async with converse(app, "GET", "/") as reader:
            await reader.rest()
        assert messages == [{"type": "http.request", "body": b"", "more_body": False}]


class TestDisconnect:
    async def test_while_the_application_waits_in_receive(self) -> None:
        messages: list[Any] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            messages.append(await receive())

        async with converse(app, "GET", "/") as reader:
            await turns(20)
            assert messages == []
            await reader.disconnect()
        assert messages == [{"type": "http.disconnect"}]

    async def test_while_the_application_waits_in_send(self) -> None:
        ended: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send(START)
            await send(body(b"a", more=True))
            ended.append("first")
            try:
                await send(body(b"b", more=True))
            except OSError:
                ended.append("told")
                raise

        async with converse(app, "GET", "/") as reader:
            await reader.start()
            await turns(20)
            await reader.disconnect()
        assert ended == ["first", "told"]

    async def test_while_the_application_waits_for_something_else(self) -> None:
        data, ended = asyncio.Event(), []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send(START)
            await data.wait()
            with pytest.raises(OSError, match="gone away"):
                await send(body(b"late"))
            ended.append(await receive())
            ended.append(await receive())

        async with converse(app, "GET", "/") as reader:
            await reader.start()
            leaving = asyncio.create_task(reader.disconnect())
            await turns(20)
            assert not leaving.done()
            data.set()
            await leaving
        assert [message["type"] for message in ended] == ["http.request", "http.disconnect"]

    @pytest.mark.usefixtures("short")
    async def test_an_application_that_does_not_notice(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send(START)
            await asyncio.Event().wait()

        async with converse(app, "GET", "/") as reader:
            await reader.start()
            with pytest.raises(TimeoutError, match="after the client left"):
                await reader.disconnect()

    async def test_after_the_end_of_the_response(self) -> None:
        async with converse(streaming, "GET", "/") as reader:
            await reader.rest()
            await reader.disconnect()
            await reader.disconnect()

    async def test_a_stream_of_starlette_ends(self) -> None:
        app, ended = FastAPI(), []

        async def rows() -> AsyncIterator[str]:
            try:
                while True:
                    yield "row\n"
            finally:
                ended.append(True)

        @app.get("/")
        async def export() -> StreamingResponse:
            return StreamingResponse(rows())

        async with converse(app, "GET", "/") as reader:
            await reader.chunk()
            await reader.disconnect()
        # The generator is closed by the loop's own hook when nobody holds it any more.
        await turns(20)
        assert ended == [True]


class TestFaults:
    async def test_raised_before_the_start(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            raise LookupError

        async with converse(app, "GET", "/") as reader:
            with pytest.raises(LookupError):
                await reader.start()
            with pytest.raises(LookupError):
                await reader.rest()

    async def test_raised_after_the_start(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send(START)
            await send(body(b"a", more=True))
            raise LookupError

        async with converse(app, "GET", "/") as reader:
            assert await reader.chunk() == b"a"
            with pytest.raises(LookupError):
                await reader.rest()
            assert not reader.finished

    async def test_raised_after_the_end_reaches_nobody_but_the_log(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await streaming(scope, receive, send)
            raise LookupError

        log = EventLog(app)
        async with converse(log, "GET", "/") as reader:
            assert await reader.rest() == b"abc"
        assert log.events[-1] == "raised LookupError"

    @pytest.mark.parametrize("messages", [[], [START], [START, body(b"a", more=True)]])
    async def test_ended_without_a_whole_response(self, messages: list[dict[str, Any]]) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            for message in messages:
                await send(message)

        async with converse(app, "GET", "/") as reader:
            with pytest.raises(RuntimeError, match="without completing"):
                await reader.rest()
            assert not reader.finished

    async def test_a_body_before_the_start(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send(body(b"a"))

        async with converse(app, "GET", "/") as reader:
            with pytest.raises(RuntimeError, match=r"body before http\.response\.start"):
                await reader.chunk()

    async def test_a_cancellation_of_its_own_is_not_taken_for_the_tests(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            raise asyncio.CancelledError

        async with converse(app, "GET", "/") as reader:
            with pytest.raises(RuntimeError, match="cancelled"):
                await reader.start()

    @pytest.mark.usefixtures("short")
    async def test_nothing_is_sent(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await asyncio.Event().wait()

        async with converse(app, "GET", "/") as reader:
            with pytest.raises(TimeoutError, match="sent nothing"):
                await reader.start()

    @pytest.mark.usefixtures("short")
    async def test_an_application_that_will_not_end_is_left_behind(self) -> None:
        stop = asyncio.Event()
        stubborn: list[asyncio.Task[Any] | None] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            stubborn.append(asyncio.current_task())
            while not stop.is_set():
                try:
                    await stop.wait()
                except asyncio.CancelledError:
                    continue

        async with converse(app, "GET", "/"):
            await turns(20)
        [task] = stubborn
        assert task is not None
        assert not task.done()
        stop.set()
        await task

    async def test_the_task_is_cancelled_when_the_block_fails(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(asgi_module, "_LIMIT_SECONDS", 0.05)
        ended: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise

        async def fail_in_block() -> None:
            async with converse(app, "GET", "/"):
                await turns(20)
                raise LookupError

        with pytest.raises(LookupError):
            await fail_in_block()
        assert ended == ["cancelled"]

    async def test_a_reader_that_is_cancelled_loses_nothing(self) -> None:
        go = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await go.wait()
            await streaming(scope, receive, send)

        async with converse(app, "GET", "/") as reader:
            reading = asyncio.create_task(reader.start())
            await turns(20)
            reading.cancel()
            await asyncio.wait([reading])
            go.set()
            assert await reader.rest() == b"abc"


async def _nothing() -> dict[str, Any]:
    return {}


async def _connect() -> dict[str, Any]:
    return {"type": "websocket.connect"}


async def _swallow(message: Any) -> None:
    """Take a message and forget it."""
