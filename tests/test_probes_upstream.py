"""The upstream records, answers and holds its callers, and knows who is there together."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from fastapi_katas.probes import Call, Heartbeat, Reply, Upstream
from fastapi_katas.probes import upstream as upstream_module


def line_of(marker: str) -> int:
    """The number of the line that ends in a marker."""
    lines = Path(__file__).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.endswith(f"# {marker}"))


def until(condition: Callable[[], bool]) -> None:
    """Wait in a thread for something that is about to happen; a bound ends a hang."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.001)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody comes any more: wait for that a moment only."""
    monkeypatch.setattr(upstream_module, "_PATIENCE_SECONDS", 0.1)


@pytest.fixture
def server() -> Iterator[Upstream]:
    """An upstream that knows of no loop."""
    with Upstream() as upstream:
        yield upstream


@pytest_asyncio.fixture
async def watching() -> AsyncIterator[Upstream]:
    """An upstream with the heartbeat of the test's loop."""
    async with Heartbeat() as heartbeat:
        with Upstream(heartbeat) as upstream:
            yield upstream


@pytest_asyncio.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture
def blocking_http() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=30) as client:
        yield client


def connect(upstream: Upstream, request: bytes) -> socket.socket:
    """Open a bare connection and send something."""
    caller = socket.create_connection(("127.0.0.1", int(upstream.url.rsplit(":", 1)[1])), 30)
    caller.sendall(request)
    return caller


def block_in_call(upstream: Upstream) -> None:
    """Call the upstream as code does that holds the loop up."""
    with httpx.Client(trust_env=False, timeout=30) as client:
        client.get(f"{upstream.url}/x")  # blocks


class TestAnswers:
    def test_a_reply_and_the_call_behind_it(
        self, server: Upstream, blocking_http: httpx.Client
    ) -> None:
        server.reply("/rates", status=201, json={"EUR": 1})
        response = blocking_http.post(
            f"{server.url}/rates?day=1", content=b"x", headers={"X-Trace": "A"}
        )
        assert (response.status_code, response.json()) == (201, {"EUR": 1})
        assert response.headers["content-type"] == "application/json"
        [call] = server.calls
        assert (call.method, call.path, call.body) == ("POST", "/rates?day=1", b"x")
        assert call.headers["x-trace"] == "A"

    def test_an_unknown_path_is_404(self, server: Upstream, blocking_http: httpx.Client) -> None:
        assert blocking_http.get(f"{server.url}/nothing").status_code == 404
        assert len(server.calls) == 1

    def test_a_script_sees_the_call(self, server: Upstream, blocking_http: httpx.Client) -> None:
        server.script("/echo", lambda call: Reply(202, body=call.body, headers={"X-Got": "1"}))
        response = blocking_http.put(f"{server.url}/echo", content=b"abc")
        assert (response.status_code, response.content) == (202, b"abc")
        assert response.headers["x-got"] == "1"

    def test_the_type_of_the_content_can_be_chosen(
        self, server: Upstream, blocking_http: httpx.Client
    ) -> None:
        server.script("/csv", lambda _: Reply(body=b"a,b", headers={"Content-Type": "text/csv"}))
        response = blocking_http.get(f"{server.url}/csv")
        assert response.headers.get_list("content-type") == ["text/csv"]

    @pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
    def test_all_methods(self, server: Upstream, blocking_http: httpx.Client, method: str) -> None:
        server.reply("/x", json=[1])
        response = blocking_http.request(method, f"{server.url}/x")
        assert response.status_code == 200
        assert response.content == (b"" if method == "HEAD" else b"[1]")
        assert server.calls[0].method == method

    @pytest.mark.parametrize("status", [204, 304])
    def test_a_status_without_a_body(
        self, server: Upstream, blocking_http: httpx.Client, status: int
    ) -> None:
        server.reply("/x", status=status)
        response = blocking_http.get(f"{server.url}/x")
        assert (response.status_code, response.content) == (status, b"")

    def test_a_body_in_chunks(self, server: Upstream, blocking_http: httpx.Client) -> None:
        server.reply("/x")
        blocking_http.post(f"{server.url}/x", content=iter([b"one ", b"two"]))
        assert server.calls[0].body == b"one two"

    def test_a_pool_of_connections_is_not_confused(
        self, server: Upstream, blocking_http: httpx.Client
    ) -> None:
        server.reply("/x", json=1)
        for number in range(1, 4):
            response = blocking_http.get(f"{server.url}/x")
            assert response.headers["connection"] == "close"
            assert len(server.calls) == number

    def test_two_servers_do_not_share_a_port(self) -> None:
        with Upstream() as one, Upstream() as two:
            assert one.url != two.url

    def test_no_name_is_looked_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> str:
            pytest.fail("a name server was asked")

        monkeypatch.setattr(socket, "getfqdn", refuse)
        with Upstream() as upstream:
            assert upstream.url.startswith("http://127.0.0.1:")

    def test_after_its_end_nobody_answers(self, blocking_http: httpx.Client) -> None:
        with Upstream() as upstream:
            pass
        with pytest.raises(httpx.ConnectError):
            blocking_http.get(upstream.url)


class TestBreakingOff:
    def test_a_script_can_hang_up(
        self, server: Upstream, blocking_http: httpx.Client, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def hang_up(_: Call) -> Reply:
            raise ConnectionResetError

        server.script("/x", hang_up)
        with pytest.raises(httpx.TransportError):
            blocking_http.get(f"{server.url}/x")
        assert capsys.readouterr().err == ""

    def test_a_fault_of_a_script_is_told(
        self, server: Upstream, blocking_http: httpx.Client, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def fail(_: Call) -> Reply:
            msg = "the script is wrong"
            raise ValueError(msg)

        server.script("/x", fail)
        with pytest.raises(httpx.TransportError):
            blocking_http.get(f"{server.url}/x")
        assert "the script is wrong" in capsys.readouterr().err

    @pytest.mark.parametrize(
        "request_head",
        [b"content-length: 10\r\n\r\nabc", b"transfer-encoding: chunked\r\n\r\n5\r\nab"],
    )
    def test_half_a_request_is_no_call(
        self, server: Upstream, blocking_http: httpx.Client, request_head: bytes
    ) -> None:
        with connect(server, b"POST /half HTTP/1.1\r\n" + request_head) as caller:
            caller.shutdown(socket.SHUT_WR)
            assert caller.recv(1) == b""
        blocking_http.get(f"{server.url}/whole")
        assert [call.path for call in server.calls] == ["/whole"]

    @pytest.mark.usefixtures("impatient")
    def test_a_caller_that_hung_up_is_not_there(self, server: Upstream) -> None:
        meeting = server.meet(2)
        for number in (1, 2):
            caller = connect(server, b"GET /x HTTP/1.1\r\nhost: x\r\n\r\n")
            until(lambda number=number: len(server.calls) == number)  # type: ignore[misc]
            if number == 2:
                assert b"404" in caller.recv(100)
            caller.close()
        assert not meeting.met
        assert meeting.together == 1
        assert server.most_together == 1


class TestMeeting:
    async def test_all_come(self, watching: Upstream, http: httpx.AsyncClient) -> None:
        watching.reply("/x", json=1)
        meeting = watching.meet(4)
        responses = await asyncio.gather(*(http.get(f"{watching.url}/x") for _ in range(4)))
        assert [response.json() for response in responses] == [1] * 4
        assert meeting.met
        assert meeting.together == watching.most_together == 4
        assert meeting.blocked_at is None

    async def test_who_comes_after_the_meeting_is_not_held(
        self, watching: Upstream, http: httpx.AsyncClient
    ) -> None:
        meeting = watching.meet(1)
        for _ in range(3):
            await http.get(f"{watching.url}/x")
        assert meeting.met
        assert meeting.together == 1

    async def test_a_blocked_loop(self, watching: Upstream) -> None:
        meeting = watching.meet(2)
        for _ in range(2):
            block_in_call(watching)
        assert not meeting.met
        assert meeting.together == 1
        assert meeting.blocked_at is not None
        assert meeting.blocked_at.line == line_of("blocks")

    @pytest.mark.usefixtures("impatient")
    def test_who_came_before_the_meeting_does_not_count(self, server: Upstream) -> None:
        leave = threading.Event()

        def stay(call: Call) -> Reply:
            leave.wait(10)
            return Reply()

        server.script("/early", stay)
        early = connect(server, b"GET /early HTTP/1.1\r\nhost: x\r\n\r\n")
        until(lambda: len(server.calls) == 1)
        meeting = server.meet(2)
        late = connect(server, b"GET /late HTTP/1.1\r\nhost: x\r\n\r\n")
        assert b"404" in late.recv(100)
        leave.set()
        for caller in (early, late):
            caller.close()
        assert not meeting.met
        assert meeting.together == 1

    @pytest.mark.usefixtures("impatient")
    async def test_nobody_comes(self, watching: Upstream, http: httpx.AsyncClient) -> None:
        meeting = watching.meet(3)
        await asyncio.gather(http.get(f"{watching.url}/x"), http.get(f"{watching.url}/x"))
        assert not meeting.met
        assert meeting.together == 2
        assert meeting.blocked_at is None

    @pytest.mark.usefixtures("impatient")
    async def test_one_after_the_other(self, watching: Upstream, http: httpx.AsyncClient) -> None:
        meeting = watching.meet(2)
        for _ in range(3):
            await http.get(f"{watching.url}/x")
        assert not meeting.met
        assert meeting.together == watching.most_together == 1

    async def test_threads_of_a_loop(self, watching: Upstream) -> None:
        meeting = watching.meet(3)
        with httpx.Client(trust_env=False, timeout=30) as client:
            await asyncio.gather(
                *(asyncio.to_thread(client.get, f"{watching.url}/x") for _ in range(3))
            )
        assert meeting.met

    def test_threads_without_a_loop(self, server: Upstream, blocking_http: httpx.Client) -> None:
        meeting = server.meet(3)
        threads = [
            threading.Thread(target=blocking_http.get, args=(f"{server.url}/x",)) for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert meeting.met
        assert meeting.together == 3

    def test_the_end_of_the_server_lets_everybody_go(self, blocking_http: httpx.Client) -> None:
        with Upstream() as server:
            server.meet(2)
            thread = threading.Thread(target=blocking_http.get, args=(f"{server.url}/x",))
            thread.start()
            until(lambda: len(server.calls) == 1)
        thread.join(10)
        assert not thread.is_alive()


class TestHoldEach:
    async def test_a_free_loop(self, watching: Upstream, http: httpx.AsyncClient) -> None:
        holds = watching.hold_each()
        for _ in range(2):
            await http.get(f"{watching.url}/x")
        assert [held.blocked_at for held in holds] == [None, None]
        assert all(held.turns >= 3 for held in holds)

    async def test_a_blocked_loop(self, watching: Upstream) -> None:
        holds = watching.hold_each()
        block_in_call(watching)
        [held] = holds
        assert held.turns == 0
        assert held.blocked_at is not None
        assert held.blocked_at.line == line_of("blocks")

    def test_it_needs_a_heartbeat(self, server: Upstream) -> None:
        with pytest.raises(RuntimeError, match="heartbeat"):
            server.hold_each()
