"""The archive loads its model once, when somebody needs it, and nobody else feels it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import pytest_asyncio
from asgi_lifespan import LifespanManager

from fastapi_katas.probes import Heartbeat, Place, WatchingTransport, expect_status, lesson, turns

CROWD = 20
# A loop that is free makes so many turns while a load is held; they prove that nobody else comes.
TURNS = 30
LIMIT = 5.0


@dataclass
class Model:
    """What a load returns: it tells which load it came from."""

    number: int

    def read(self, line: str) -> str:
        return f"{line}, read by model {self.number}"


@dataclass
class Disk:
    """Stands in the place of ``load_reader``, and sees who loads, when, and where.

    Attributes:
        heartbeat: The heartbeat of the module's loop.
        crowd: How many requests must have come before a load can end.
        failures: How many loads fail, beginning with the next one.
        failure: What is raised by a load that fails.
        loads: How many loads have begun.
        together: How many of them ran at the same time, at the most.
        on_loop: The lines that stood on the loop's thread while they loaded.
        waits: If it is set, each load waits for it.
    """

    heartbeat: Heartbeat
    crowd: int = 0
    failures: int = 0
    failure: Exception = field(default_factory=lambda: OSError("the disk of the model is away"))
    loads: int = 0
    together: int = 0
    on_loop: list[Place | None] = field(default_factory=list)
    waits: threading.Event | None = None
    begun: threading.Event = field(default_factory=threading.Event)
    came: int = 0
    _running: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self) -> Model:
        with self._lock:
            self.loads += 1
            number = self.loads
            self._running += 1
            self.together = max(self.together, self._running)
            fails, self.failures = self.failures > 0, max(self.failures - 1, 0)
        self.begun.set()
        if threading.get_ident() == self.heartbeat.loop_thread:
            self.on_loop.append(None)
        else:
            if self.waits is not None:
                self.waits.wait(LIMIT)
            self._hold()
        with self._lock:
            self._running -= 1
        if fails:
            raise self.failure
        return Model(number)

    async def end(self) -> None:
        """Let the load end that waits, and wait until nothing more comes of it."""
        assert self.waits is not None
        self.waits.set()
        deadline = time.monotonic() + LIMIT
        while self._running and time.monotonic() < deadline:  # noqa: ASYNC110 - a thread ends
            await asyncio.sleep(0.001)
        await turns(TURNS)

    def _hold(self) -> None:
        """Hold a load until the whole crowd loads too, or the loop had time to bring it."""
        deadline = time.monotonic() + LIMIT
        while self.came < self.crowd and time.monotonic() < deadline:
            time.sleep(0.001)
        start = self.heartbeat.turns
        while (
            self.loads < self.crowd
            and self.heartbeat.turns - start < TURNS
            and time.monotonic() < deadline
        ):
            time.sleep(0.001)

    def door(self, app: Any) -> Callable[..., Any]:
        """Wrap the application: requests wait at the door until the crowd is complete."""
        there = asyncio.Event()

        async def entered(scope: Any, receive: Any, send: Any) -> None:
            self.came += 1
            if self.came >= self.crowd:
                there.set()
            await asyncio.wait_for(there.wait(), LIMIT)
            await app(scope, receive, send)

        return entered


@pytest_asyncio.fixture(loop_scope="function")
async def heartbeat() -> AsyncIterator[Heartbeat]:
    """A heartbeat that rests between its beats: here much is waited for."""
    async with Heartbeat(rest=0.001) as beats:
        yield beats


@pytest.fixture
def disk(module: Any, heartbeat: Heartbeat) -> Disk:
    """The disk that the module loads from."""
    module.load_reader = found = Disk(heartbeat)
    return found


async def read(client: httpx.AsyncClient, line: str = "Anno 1702") -> httpx.Response:
    """Ask for the text of a line."""
    return await client.post("/texts", json={"line": line})


async def ready(client: httpx.AsyncClient) -> str:
    """Ask how far the model is."""
    response = await client.get("/ready")
    expect_status(response, 200, because="the service tells how far the model is")
    return str(response.json()["reader"])


@asynccontextmanager
async def crowd_at(app: Any, disk: Disk) -> AsyncIterator[httpx.AsyncClient]:
    """A client whose requests are let in together."""
    transport = WatchingTransport(disk.door(app))
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        yield client


@pytest.mark.goal
async def test_nothing_is_loaded_for_others(disk: Disk, client: httpx.AsyncClient) -> None:
    """The start, the health check, the readiness and an unknown path load nothing."""
    steps = {"the start": disk.loads}
    for path, status in (("/health", 200), ("/ready", 200), ("/nowhere", 404)):
        expect_status(await client.get(path), status, because="this needs no model")
        steps[f"GET {path}"] = disk.loads
    if disk.loads:
        first = next(step for step, loads in steps.items() if loads)
        raise lesson(
            "loaded-at-the-start" if steps["the start"] else "loaded-for-others",
            seen="Nobody has asked for a text yet. After {first} the model was loaded "
            "{loads} times.",
            production="Each new process fills the memory and takes its seconds, also the one "
            "that only answers health checks. They time out, and the process is ended and begun "
            "again.",
            look="Which requests pass the line that loads, and which of them need a model?",
            first=first,
            loads=steps[first],
        )


@pytest.mark.goal
async def test_a_crowd_loads_once(disk: Disk, app: Any) -> None:
    """Twenty requests that are the first ones, all together, share one load."""
    disk.crowd = CROWD
    async with crowd_at(app, disk) as client:
        responses = await asyncio.gather(*(read(client) for _ in range(CROWD)))
    for response in responses:
        expect_status(response, 200, because="the model can be loaded")
    if disk.loads != 1:
        raise lesson(
            "not-loaded"
            if not disk.loads
            else "loaded-in-turn"
            if disk.together == 1
            else "loaded-together",
            seen="{crowd} requests came in together, and no model was there. It was loaded "
            "{loads} times, {together} at the same time.",
            production="The model fits into the memory once. At the first rush after a restart it "
            "is loaded many times at once, and the system ends the process.",
            look="Between the question for the model and its arrival, what do the other "
            "requests see?",
            crowd=CROWD,
            loads=disk.loads,
            together=disk.together,
        )


@pytest.mark.goal
async def test_failed_load_is_tried_again(disk: Disk, client: httpx.AsyncClient) -> None:
    """A load that fails is a 503, and a later request tries again."""
    disk.failures = 1
    expect_status(await read(client), 503, because="the model could not be loaded")
    before, state = disk.loads, await client.get("/ready")
    response = await read(client)
    _expect_tried_again(response, disk.loads - before)
    told = state.json()["reader"]
    assert told == "absent", f"after the load that failed, the readiness was {told}"


@pytest.mark.goal
async def test_failure_that_nobody_waited_for(disk: Disk, client: httpx.AsyncClient) -> None:
    """The load fails when its request is cancelled already; the next request tries again."""
    disk.waits, disk.failures = threading.Event(), 1
    first = asyncio.create_task(read(client))
    await _until(disk.begun)
    first.cancel()
    await turns(TURNS)
    await disk.end()
    await asyncio.wait({first}, timeout=LIMIT)
    before, state = disk.loads, await client.get("/ready")
    _expect_tried_again(await read(client), disk.loads - before)
    told = state.json()["reader"]
    assert told == "absent", f"no load was running, none had succeeded, and the state was {told}"


@pytest.mark.goal
async def test_readiness_tells(disk: Disk, client: httpx.AsyncClient) -> None:
    """The readiness is absent at first, loading during the load, and loaded after it."""
    told = [await ready(client)]
    disk.waits = threading.Event()
    reading = asyncio.create_task(read(client))
    try:
        await _until(disk.begun)
        told.append(await ready(client))
    finally:
        disk.waits.set()
        await asyncio.wait({reading})
    told.append(await ready(client))
    wanted = ["absent", "loading", "loaded"]
    if told != wanted:
        moments = ["at first", "during a load", "after it"]
        raise lesson(
            "readiness-wrong",
            seen="The service was asked how far its model is. It said: {told}.",
            production="Whoever watches the service cannot tell a slow start from a broken one.",
            look="Which of these moments does the service know about?",
            told=", ".join(f"{say} {moment}" for say, moment in zip(told, moments, strict=True)),
            wanted=wanted,
        )


@pytest.mark.guard
async def test_load_leaves_the_loop_free(disk: Disk, client: httpx.AsyncClient) -> None:
    """While the model is loaded, the loop goes on with other work."""
    expect_status(await read(client), 200, because="the model can be loaded")
    if disk.on_loop:
        raise lesson(
            "load-on-the-loop",
            seen="The model was loaded on the thread of the event loop.",
            production="For some seconds the process answers nobody, not even the health check.",
            look="On which thread does this function run?",
        )


@pytest.mark.guard
async def test_texts_are_read_by_the_loaded_model(disk: Disk, client: httpx.AsyncClient) -> None:
    """Each text comes from the one model that was loaded."""
    for line in ("Anno 1702", "den 3. May"):
        response = await read(client, line)
        expect_status(response, 200, because="the model can be loaded")
        assert response.json() == {"text": f"{line}, read by model 1"}


@pytest.mark.guard
async def test_who_leaves_disturbs_nobody(disk: Disk, client: httpx.AsyncClient) -> None:
    """The request that began the load and one that waits are cancelled; the others get a text."""
    disk.waits = threading.Event()
    first = asyncio.create_task(read(client))
    await _until(disk.begun)
    others = [asyncio.create_task(read(client)) for _ in range(3)]
    for leaves in (others.pop(), first):
        await turns(TURNS)
        leaves.cancel()
    await turns(TURNS)
    await disk.end()
    await asyncio.wait([first, *others], timeout=LIMIT)
    for other in others:
        assert other.done(), f"a request still waits after {LIMIT:g} seconds"
        assert not other.cancelled(), "a request was cancelled that nobody had cancelled"
        expect_status(other.result(), 200, because="the model can be loaded")


@pytest.mark.guard
async def test_unexpected_failure_is_tried_again(disk: Disk, client: httpx.AsyncClient) -> None:
    """After a load that failed with another exception, the next request tries again."""
    disk.failures, disk.failure = 1, MemoryError("no room for the model")
    expect_status(await read(client), 500, because="nobody expected this failure")
    expect_status(await read(client), 200, because="there is room again")
    assert await ready(client) == "loaded", "the model is there"


@pytest.mark.guard
def test_each_start_begins_anew(module: Any, raw_app: Any) -> None:
    """A start after a stop, in an event loop of its own, loads a model of its own."""

    async def day() -> list[str]:
        async with Heartbeat(rest=0.001) as beats, LifespanManager(raw_app) as manager:
            module.load_reader = disk = Disk(beats, crowd=3)
            async with crowd_at(manager.app, disk) as client:
                responses = await asyncio.gather(*(read(client) for _ in range(disk.crowd)))
            for response in responses:
                expect_status(response, 200, because="the service was started")
            assert disk.loads, "after a start, the model of an earlier start was used"
            return [response.json()["text"] for response in responses]

    for _ in range(2):
        assert len(asyncio.run(day())) == 3


def _expect_tried_again(response: httpx.Response, more: int) -> None:
    if response.status_code != 200:
        raise lesson(
            "failure-kept",
            seen="The disk was away for one load, and is back. The next request got {status}, "
            "after {more} more loads.",
            production="A disk that was away for a second costs a restart of every process, and "
            "somebody has to notice.",
            look="What does the service remember of a load that failed, and who makes it forget?",
            status=response.status_code,
            more=more,
        )


async def _until(begun: threading.Event) -> None:
    """Wait for a load, with an end."""
    found = await asyncio.to_thread(begun.wait, LIMIT)
    assert found, f"nothing was loaded within {LIMIT:g} seconds"
