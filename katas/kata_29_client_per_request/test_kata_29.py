"""The rowing club keeps few connections to the river office, and gives them back at the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import pytest_asyncio
from asgi_lifespan import LifespanManager

from fastapi_katas.probes import WatchingTransport, expect_status, lesson, turns

WANTED = 6
CROWD = 15
TIMEOUT = 0.05
# So many turns of the loop let everything happen that can happen on the loopback interface.
TURNS = 100


@dataclass
class Office:
    """The river office: an HTTP server that keeps its connections open, as servers do.

    Attributes:
        opened: How many connections were opened to it.
        open: How many are open now.
        most: How many were open at the same time, at the most.
        served: How many requests it has answered.
        crowd: It answers when so many requests wait, or when no more come.
        silent: Whether it takes requests and never answers.
    """

    opened: int = 0
    open: int = 0
    most: int = 0
    served: int = 0
    crowd: int = 1
    silent: bool = False
    _waiting: int = 0
    _arrivals: int = 0
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
                await self._wait_for_others()
                known = b"atlantis" not in request
                body = b'{"centimetres": 140}'
                status = b"200 OK" if known else b"404 Not Found"
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
        self._waiting, self._arrivals = self._waiting + 1, self._arrivals + 1
        seen, idle = self._arrivals, 0
        while self._waiting < self.crowd and idle < TURNS:
            await asyncio.sleep(0)
            seen, idle = self._arrivals, idle + 1 if self._arrivals == seen else 0
        # Only now: a connection that the caller has closed is seen as closed some turns later.
        self.most = max(self.most, self.open)
        self._waiting -= 1

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
            look="How long does a client of this module live, and who else could use it?",
            wanted=WANTED,
            opened=office.opened,
        )


@pytest.mark.goal
async def test_stop_closes_every_connection(office: Office, raw_app: Any) -> None:
    """When the application has stopped, no connection to the office is open."""
    async with started(raw_app) as client:
        expect_status(await client.get("/levels"), 200, because="the office answers")
        assert office.opened, "the office was not asked"
    await turns(TURNS)
    if office.open:
        raise lesson(
            "left-open",
            seen="{opened} connections were opened. The application has stopped, and {open} of "
            "them are still open.",
            production="Each stop and start leaves connections behind, until the office refuses "
            "new ones.",
            look="Which line closes what was opened, and when does it run?",
            opened=office.opened,
            open=office.open,
        )


@pytest.mark.goal
async def test_crowd_shares_the_connections(office: Office, raw_app: Any, module: Any) -> None:
    """However many ask at the same time, no more connections are open than the office allows."""
    office.crowd = CROWD
    async with started(raw_app) as client:
        responses = await _all(client.get("/levels/weir") for _ in range(CROWD))
    for response in responses:
        expect_status(response, 200, because="the office answers everybody")
    allowed = module.MAX_CONNECTIONS
    assert allowed == 5, "MAX_CONNECTIONS is a rule of the office and stays"
    if office.most > allowed:
        raise lesson(
            "too-many-connections",
            seen="{crowd} requests came at the same time. {most} connections to the office were "
            "open at once; it allows {allowed}.",
            production="On the day of the regatta the office locks the club out, and every page "
            "is an error.",
            look="Whose connections does the limit count?",
            crowd=CROWD,
            most=office.most,
            allowed=allowed,
        )


@pytest.mark.goal
async def test_silent_office_is_a_504(office: Office, raw_app: Any, module: Any) -> None:
    """An office that takes requests and never answers leads to 504 for all who ask, in time."""
    module.TIMEOUT_SECONDS, office.silent = TIMEOUT, True
    count = module.MAX_CONNECTIONS + 2
    async with started(raw_app) as client:
        asking = [asyncio.create_task(client.get("/levels/weir")) for _ in range(count)]
        await _end_in_time(asking)
        waiting = [one for one in asking if not one.done()]
        for one in waiting:
            one.cancel()
        await asyncio.wait(asking)
        if waiting:
            raise lesson(
                "waits-for-ever",
                seen="The office took the requests and kept silent. TIMEOUT_SECONDS was "
                "{timeout}; after ten times as long, {waiting} of {count} requests still waited.",
                production="One night without an answer from the office, and in the morning the "
                "service is full of requests that wait.",
                look="Which kinds of waiting does a client know, and which of them end here?",
                timeout=TIMEOUT,
                waiting=len(waiting),
                count=count,
            )
        for one in asking:
            expect_status(one.result(), 504, because="the office did not answer in time")


@pytest.mark.guard
async def test_levels_are_shown(office: Office, raw_app: Any) -> None:
    """The service shows what the office measures, and tells what the office does not know."""
    async with started(raw_app) as client:
        response = await client.get("/levels")
        expect_status(response, 200, because="the office answers")
        gauges = ["bridge", "weir", "harbour"]
        assert response.json() == [{"gauge": gauge, "centimetres": 140} for gauge in gauges]
        response = await client.get("/levels/bridge")
        assert response.json() == {"gauge": "bridge", "centimetres": 140}
        expect_status(await client.get("/levels/atlantis"), 404, because="no such gauge")
    assert office.served == 5, f"the office was asked {office.served} times for five levels"


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


async def _end_in_time(asking: list[asyncio.Task[httpx.Response]]) -> None:
    """Wait ten times as long as a request may take, and then until no more can happen."""
    await asyncio.wait(asking, timeout=10 * TIMEOUT)
    # On a busy machine the time may be over before the loop has got to what was due earlier.
    await turns(TURNS)
