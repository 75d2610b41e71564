"""The rowing club keeps few connections to the river office, and gives them back at the end."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import pytest_asyncio
from anyio.to_thread import current_default_thread_limiter
from asgi_lifespan import LifespanManager

from fastapi_katas.probes import WatchingTransport, expect_status, lesson, turns

GAUGES = ["bridge", "weir", "harbour"]
WANTED = 6
CROWD = 15
TIMEOUT = 0.5
# So many times TIMEOUT may be needed: once for each kind of waiting.
KINDS = 4
# So many turns of the loop let everything happen that can happen on the loopback interface.
TURNS = 100


@dataclass
class Office:
    """The river office: an HTTP server that keeps its connections open, as servers do.

    Attributes:
        opened: How many connections were opened to it.
        open: How many are open now.
        most: How many were open at the same time, at the most.
        asked: How many requests it has got.
        served: How many requests it has answered.
        says: The gauges that it does not answer with 200, and its status for each.
        crowd: It answers when so many requests wait, or when no more come.
        silent: Whether it takes requests and never answers.
    """

    opened: int = 0
    open: int = 0
    most: int = 0
    asked: int = 0
    served: int = 0
    says: dict[str, str] = field(default_factory=lambda: {"atlantis": "404 Not Found"})
    crowd: int = 1
    silent: bool = False
    _waiting: int = 0
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)
    _ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until the caller closes it."""
        self._writers.append(writer)
        self.opened, self.open = self.opened + 1, self.open + 1
        try:
            while request := await reader.readline():
                while (await reader.readline()).strip():
                    pass
                self.asked += 1
                await self._wait_for_others()
                gauge = request.split()[1].rpartition(b"/")[2].decode()
                status = self.says.get(gauge, "200 OK").encode()
                body = b'{"centimetres": 140}'
                length = str(len(body)).encode()
                writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: " + length)
                writer.write(b"\r\nContent-Type: application/json\r\n\r\n" + body)
                await writer.drain()
                self.served += 1
        except ConnectionError:
            pass
        finally:
            self.open -= 1
            writer.close()

    async def _wait_for_others(self) -> None:
        if self.silent:
            await self._ended.wait()
            raise ConnectionError
        self._waiting += 1
        await self.calm(self.crowd)
        # Only now: a connection that the caller has closed is seen as closed some turns later.
        self.most = max(self.most, self.open)
        self._waiting -= 1

    async def calm(self, enough: int = sys.maxsize) -> None:
        """Wait until so many requests wait here, or until no more can come."""
        threads = current_default_thread_limiter()
        seen, idle = self.asked, 0
        # The number of turns is there for a thread that never ends.
        for _ in range(20 * TURNS):
            if self._waiting >= enough or idle == TURNS:
                return
            if threads.borrowed_tokens:
                time.sleep(0.001)  # noqa: ASYNC251 - the thread has work, the loop has none
            await asyncio.sleep(0)
            busy = threads.borrowed_tokens or self.asked != seen
            seen, idle = self.asked, 0 if busy else idle + 1

    def close(self) -> None:
        """Hang up on everybody."""
        self._ended.set()
        for writer in self._writers:
            writer.close()


@asynccontextmanager
async def open_office(module: Any) -> AsyncIterator[Office]:
    """Open an office, and tell the module its address."""
    office = Office()
    made: list[httpx.AsyncClient] = []
    original = httpx.AsyncClient.__init__

    def noted(client: httpx.AsyncClient, *args: Any, **options: Any) -> None:
        made.append(client)
        original(client, *args, **options)

    httpx.AsyncClient.__init__ = noted  # type: ignore[assignment,method-assign]
    server = await asyncio.start_server(office.talk, "127.0.0.1", 0)
    module.RIVER_URL = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield office
    finally:
        httpx.AsyncClient.__init__ = original  # type: ignore[method-assign]
        # What the module forgot would be collected in the middle of some other test.
        for client in made:
            await client.aclose()
        server.close()
        office.close()
        await turns(TURNS)


class Cancelled(Exception):  # noqa: N818 - nothing is wrong
    """Leaves `started` without a stop: the application is cancelled."""


@asynccontextmanager
async def started(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Start the application, and stop it at the end."""
    async with LifespanManager(app) as manager:
        transport = WatchingTransport(manager.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            yield client


@pytest_asyncio.fixture(loop_scope="function")
async def office(module: Any) -> AsyncIterator[Office]:
    """The office that the module calls."""
    async with open_office(module) as found:
        yield found


@pytest.mark.goal
async def test_connection_is_used_again(office: Office, raw_app: Any) -> None:
    """Requests that come one after the other need one connection to the office."""
    async with started(raw_app) as client:
        for _ in range(WANTED):
            expect_status(await client.get("/levels/weir"), 200, because="the office answers")
    if office.opened != 1:
        raise lesson(
            "new-connection-each-time" if office.opened >= WANTED else "not-one-connection",
            seen="{wanted} requests, one after the other, opened {opened} connections to the "
            "office.",
            production="Each request waits for a connection, and for TLS on top, before it can "
            "ask. At some hundred requests per second the machine runs out of ports.",
            look="What becomes of a connection, and of its client, when the first level is shown?",
            wanted=WANTED,
            opened=office.opened,
        )


@pytest.mark.goal
async def test_stop_closes_every_connection(office: Office, raw_app: Any) -> None:
    """When the application was stopped or cancelled, no connection to the office is open."""
    for end in ("stopped", "cancelled"):
        before = office.opened
        with suppress(Cancelled):
            async with started(raw_app) as client:
                expect_status(await client.get("/levels"), 200, because="the office answers")
                assert office.opened > before, "the office was not asked"
                if end == "cancelled":
                    raise Cancelled
        await turns(TURNS)
        if office.open:
            raise lesson(
                "left-open" if end == "stopped" else "left-open-by-cancellation",
                seen="{opened} connections were opened. The application was {end}, and {open} of "
                "them are still open.",
                production="Each stop and start leaves connections behind, until the office "
                "refuses new ones.",
                look="Which line closes what was opened, and when does it run?",
                opened=office.opened - before,
                end=end,
                open=office.open,
            )


@pytest.mark.goal
async def test_crowd_shares_the_connections(office: Office, raw_app: Any, module: Any) -> None:
    """Whatever is asked at the same time, no more connections are open than the office allows."""
    office.crowd = CROWD
    paths = ["/levels"] * 2 + ["/levels/weir"] * (CROWD - 2 * len(GAUGES))
    async with started(raw_app) as client:
        responses = await _all(client.get(path) for path in paths)
    for response in responses:
        expect_status(response, 200, because="the office answers everybody")
    allowed = module.MAX_CONNECTIONS
    assert allowed == 5, "MAX_CONNECTIONS is a rule of the office and stays"
    if office.most > allowed:
        raise lesson(
            "too-many-connections" if office.most < CROWD else "connection-for-each-level",
            seen="{requests} requests came at the same time, for {crowd} levels. {most} "
            "connections to the office were open at once; it allows {allowed}.",
            production="On the day of the regatta the office locks the club out, and every page "
            "is an error.",
            look="Whose connections does the limit count?",
            requests=len(paths),
            crowd=CROWD,
            most=office.most,
            allowed=allowed,
        )


@pytest.mark.goal
async def test_silent_office_is_a_504(office: Office, raw_app: Any, module: Any) -> None:
    """An office that takes requests and never answers leads to 504 for all who ask, in time."""
    module.TIMEOUT_SECONDS, office.silent = TIMEOUT, True
    # More than can be asked one after the other, if each keeps a connection for TIMEOUT.
    count = KINDS * module.MAX_CONNECTIONS + 2
    async with started(raw_app) as client:
        asking = [asyncio.create_task(client.get("/levels/weir")) for _ in range(count)]
        await _let_time_pass(office)
        waiting = [one for one in asking if not one.done()]
        for one in waiting:
            one.cancel()
        await asyncio.wait(asking)
        if waiting:
            raise lesson(
                "waits-for-ever" if len(waiting) == count else "waits-too-long",
                seen="{count} requests came, the office took {asked} and kept silent. "
                "TIMEOUT_SECONDS was {timeout}; after {kinds} times as long, {waiting} of {count} "
                "still waited.",
                production="One night without an answer from the office, and in the morning the "
                "service is full of requests that wait.",
                look="Which kinds of waiting are there before an answer, and which of them end?",
                count=count,
                asked=office.asked,
                timeout=TIMEOUT,
                kinds=KINDS,
                waiting=len(waiting),
            )
        for one in asking:
            expect_status(one.result(), 504, because="the office did not answer in time")


@pytest.mark.guard
async def test_silent_office_is_asked_once(office: Office, raw_app: Any, module: Any) -> None:
    """Each level is one request to the office, also if no answer comes."""
    module.TIMEOUT_SECONDS, office.silent = TIMEOUT, True
    async with started(raw_app) as client:
        asking = asyncio.create_task(client.get("/levels/weir"))
        await _let_time_pass(office)
        asking.cancel()
        await asyncio.wait([asking])
    assert office.asked == 1, f"the silent office was asked {office.asked} times for one level"


@pytest.mark.guard
async def test_levels_are_shown(office: Office, raw_app: Any) -> None:
    """The service shows what the office measures, and tells what the office does not know."""
    async with started(raw_app) as client:
        response = await client.get("/levels")
        expect_status(response, 200, because="the office answers")
        assert response.json() == [{"gauge": gauge, "centimetres": 140} for gauge in GAUGES]
        response = await client.get("/levels/bridge")
        assert response.json() == {"gauge": "bridge", "centimetres": 140}
        expect_status(await client.get("/levels/atlantis"), 404, because="no such gauge")
    assert office.served == 5, f"the office was asked {office.served} times for five levels"


@pytest.mark.guard
async def test_level_that_fails_is_told(office: Office, raw_app: Any) -> None:
    """A level that cannot be shown is answered with its failure, alone and among the others."""
    async with started(raw_app) as client:
        for said, status in (("404 Not Found", 404), ("500 Internal Server Error", 502)):
            office.says["weir"] = said
            for path in ("/levels/weir", "/levels"):
                expect_status(await client.get(path), status, because=f"the office said {said}")


@pytest.mark.guard
async def test_office_that_hangs_up_is_no_problem(office: Office, raw_app: Any) -> None:
    """After the office has closed its connections, the next request gets its level."""
    async with started(raw_app) as client:
        for _ in range(2):
            expect_status(await client.get("/levels/weir"), 200, because="the office answers")
            office.close()
            await turns(TURNS)


@pytest.mark.guard
async def test_client_can_be_replaced(office: Office, raw_app: Any, module: Any) -> None:
    """A client that a test puts in the place of `get_client` is used by every operation."""

    async def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"centimetres": 7})

    transport = httpx.MockTransport(answer)
    async with httpx.AsyncClient(transport=transport, base_url="http://replaced") as other:
        raw_app.dependency_overrides[module.get_client] = lambda: other
        async with started(raw_app) as client:
            for _ in range(2):
                levels = (await client.get("/levels")).json()
                one = (await client.get("/levels/weir")).json()
                assert {level["centimetres"] for level in [*levels, one]} == {7}
        assert not other.is_closed, "the service closed a client that it was lent"
    assert not office.opened, "the office was asked, past the client of the test"


@pytest.mark.guard
def test_next_start_works_as_the_first(module: Any, raw_app: Any) -> None:
    """The application is started twice, in two event loops, with an office at another address."""

    async def day() -> None:
        async with open_office(module) as office, started(raw_app) as client:
            responses = await _all(client.get("/levels/weir") for _ in range(3))
            for response in responses:
                expect_status(response, 200, because="the application was started anew")
            assert office.served == 3, "the office of this start was not asked"

    for _ in range(2):
        asyncio.run(day())


async def _all(asking: Any) -> list[httpx.Response]:
    return list(await asyncio.gather(*asking))


async def _let_time_pass(office: Office) -> None:
    """Put the clock of the loop forward, a bit more than TIMEOUT at a time; nobody waits for it.

    It stands still between, so that a slow machine sees what a fast one sees.
    """
    loop: Any = asyncio.get_running_loop()
    now = loop.time()
    loop.time = lambda: now
    try:
        for _ in range(KINDS):
            await office.calm()
            now += 1.01 * TIMEOUT
        await office.calm()
    finally:
        del loop.time
