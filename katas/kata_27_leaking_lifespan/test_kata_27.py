"""However the start, the service or the stop ends, the laundry room leaves nothing open."""

from __future__ import annotations

import asyncio
import socket
import sys
import warnings
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
import uvicorn
from fastapi.exceptions import FastAPIDeprecationWarning

from fastapi_katas.probes import (
    Lesson,
    Place,
    WatchingTransport,
    expect_status,
    lesson,
    place_in_stack,
)

# How the module opens a device, and how it closes what it got.
DEVICES = {
    "journal": ("open_journal", "close"),
    "line": ("take_line", "hang_up"),
    "panel": ("light_panel", "switch_off"),
}
WASH = {"machine": 2, "room": 214}
# A bounded wait for what should have happened long ago. A test has several, and the checker's limit
# is 20 seconds for all of them.
LIMIT = 5.0


@pytest.fixture(autouse=True)
def deprecated(monkeypatch: pytest.MonkeyPatch) -> dict[Place, str]:
    """Write down where the module uses something deprecated, also if a filter hides the warning."""
    heard: dict[Place, str] = {}
    warn = warnings.warn

    def listen(message: Any, category: Any = None, *args: Any, **options: Any) -> None:
        kind = type(message) if isinstance(message, Warning) else category or UserWarning
        place = place_in_stack(sys._getframe(1))
        if place is None or not issubclass(kind, DeprecationWarning | FastAPIDeprecationWarning):
            warn(message, category, *args, **options)
            return
        heard.setdefault(place, f"{kind.__name__}: {str(message).split(',')[0].strip()}")

    monkeypatch.setattr(warnings, "warn", listen)
    return heard


class Devices:
    """Stands between the module and its devices: writes down what happens, and makes trouble.

    Attributes:
        events: What happened, in order.
        opened: The devices that were opened, in order.
        closed: The devices whose closing was begun, in order.
        open: Those that are open now. One whose closing fails is not open any more.
        overlaps: How many closings began before the one before was done.
        things: What the module got for each device, the last time.
        lines: The lines of the module that opened them.
        troubles: What shall happen at a step such as `panel: open`: it fails, or it waits.
    """

    def __init__(self, module: Any) -> None:
        for device, (opener, closer) in DEVICES.items():
            setattr(module, opener, self._watch(device, getattr(module, opener), closer))
        self.forget()

    def forget(self) -> None:
        """Begin a new book, without troubles."""
        self.events: list[str] = []
        self.opened: list[str] = []
        self.closed: list[str] = []
        self.open: list[str] = []
        self.overlaps = 0
        self.things: dict[str, Any] = {}
        self.lines: dict[str, Place | None] = {}
        self.troubles: dict[str, OSError | asyncio.Event] = {}
        self.gate = asyncio.Event()

    def fail(self, *steps: str) -> list[OSError]:
        """Let some steps fail; return the exceptions."""
        causes = {step: OSError(f"no power for `{step}`") for step in steps}
        self.troubles |= causes
        return list(causes.values())

    def hold(self, step: str) -> asyncio.Event:
        """Let a step wait until it is cancelled; return the event of its beginning."""
        self.troubles[step] = reached = asyncio.Event()
        return reached

    async def let_go(self) -> None:
        """End the waiting of a step that was not cancelled, and see what it does then."""
        self.gate.set()
        for _ in range(20):
            await asyncio.sleep(0)

    def _watch(self, device: str, opener: Any, closer: str) -> Any:
        async def watched_opener(place: Place | None, *args: Any, **options: Any) -> Any:
            await self._step(f"{device}: open")
            thing = await opener(*args, **options)
            close = getattr(thing, closer)

            async def watched_closer() -> None:
                self.overlaps += any(other != device for other in self.open if other in self.closed)
                self.closed.append(device)
                try:
                    await self._step(f"{device}: {closer}")
                    await close()
                finally:
                    self.open = [other for other in self.open if other != device]

            setattr(thing, closer, watched_closer)
            self.opened.append(device)
            self.open.append(device)
            self.things[device], self.lines[device] = thing, place
            return thing

        # The line that calls is known here, also when it lets a task wait for the device.
        return lambda *args, **options: watched_opener(
            place_in_stack(sys._getframe(1)), *args, **options
        )

    async def _step(self, step: str) -> None:
        trouble = self.troubles.get(step)
        self.events.append(f"{step} fails" if isinstance(trouble, OSError) else step)
        await asyncio.sleep(0)  # no device does anything within one turn of the loop
        if isinstance(trouble, OSError):
            raise trouble
        if trouble is not None:
            trouble.set()
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.events.append(f"{step} is cancelled")
                raise
            self.events.append(f"{step} goes on")


class Server:
    """Starts the application, sends it requests and stops it, at the ASGI level."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.state: dict[str, Any] = {}
        self.started = asyncio.Event()
        self.orders: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": self.state}
        self.task: asyncio.Task[None] = asyncio.create_task(app(scope, self.orders.get, self._hear))

    async def _hear(self, message: Any) -> None:
        if message["type"] == "lifespan.startup.complete":
            self.started.set()

    async def order(self, what: str, until: asyncio.Event) -> None:
        """Order a start or a stop, and wait for an event or for the end of the application."""
        self.orders.put_nowait({"type": f"lifespan.{what}"})
        event = asyncio.create_task(until.wait())
        await asyncio.wait({self.task, event}, timeout=LIMIT, return_when="FIRST_COMPLETED")
        event.cancel()

    async def start(self) -> None:
        """Start; fail with a lesson if that does not succeed."""
        await self.order("startup", until=self.started)
        self.expect_reached(self.started, "the first request")

    async def stop(self) -> None:
        """Stop, and wait for the end."""
        await self.order("shutdown", until=asyncio.Event())

    async def cancel(self) -> None:
        """Cancel the application, and wait for its end."""
        self.task.cancel()
        await asyncio.wait({self.task}, timeout=LIMIT)

    async def post(self, wash: dict[str, int]) -> httpx.Response:
        """Ask for a wash; the request gets a copy of the state of the lifespan."""

        async def served(scope: Any, receive: Any, send: Any) -> None:
            await self.app({**scope, "state": self.state.copy()}, receive, send)

        transport = WatchingTransport(served)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            return await client.post("/washes", json=wash)

    @property
    def told(self) -> list[BaseException]:
        """What the server was told at the end, with all that is inside it."""
        if not self.task.done():
            return []
        found = [asyncio.CancelledError() if self.task.cancelled() else self.task.exception()]
        for error in found:  # it grows meanwhile
            if error is not None:
                members = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
                inside = (*members, error.__cause__, error.__context__)
                found += [one for one in inside if one not in found]
        return [error for error in found if error is not None]

    @property
    def words(self) -> str:
        """The same in words."""
        if not self.task.done():
            return "that all is well" if self.started.is_set() else "nothing"
        said = [f"{type(error).__name__}: {error}" for error in self.told]
        return "; ".join(said) or "that it has stopped well"

    def expect_reached(self, event: asyncio.Event, what: str) -> None:
        """Fail with a lesson unless something has happened and the application still runs."""
        if self.task.done() or not event.is_set():
            raise _not_reached(what, self.words)

    def expect_told(self, causes: list[OSError]) -> None:
        """Fail with a lesson unless the server was told of one of these failures."""
        if not any(cause in self.told for cause in causes):
            raise lesson(
                "failure-lost" if self.task.done() else "failure-overlooked",
                seen="What failed: {failed}. What the server was told: {told}.",
                production="The service seems to run, or to have stopped well. Nobody looks for "
                "the fault until something else breaks.",
                look="Follow the exception on its way out of the lifespan. Which line keeps it?",
                failed="; ".join(map(str, causes)),
                told=self.words,
            )


@pytest.fixture
def devices(module: Any) -> Devices:
    """The devices of the module, under the eyes of the tests."""
    return Devices(module)


@pytest_asyncio.fixture(loop_scope="function")
async def server(devices: Devices, raw_app: Any) -> AsyncIterator[Server]:
    """A server whose application is not started yet."""
    made = Server(raw_app)
    yield made
    devices.gate.set()  # who does not let a step be cancelled is not waited for a second time
    await made.cancel()


@pytest.mark.goal
@pytest.mark.parametrize(
    "steps",
    [
        pytest.param(["line: open"], id="line"),
        pytest.param(["panel: open"], id="panel"),
        pytest.param(["panel: open", "line: hang_up"], id="panel, and a closing"),
    ],
)
async def test_failed_start_closes_what_was_open(
    devices: Devices, server: Server, steps: list[str], record_property: Any
) -> None:
    """A start that fails closes what it has opened, last opened first, and tells the server why."""
    causes = devices.fail(*steps)
    await server.order("startup", until=server.started)
    record_property("events", devices.events)
    server.expect_told(causes)
    _expect_all_closed(devices, server.task, "a start that failed")


@pytest.mark.goal
@pytest.mark.parametrize("device", ["line", "panel"])
async def test_cancelled_start_closes_what_was_open(
    devices: Devices, server: Server, device: str
) -> None:
    """A start that is cancelled closes what it has opened, last first, and opens no more."""
    reached = devices.hold(f"{device}: open")
    await server.order("startup", until=reached)
    server.expect_reached(reached, f"`{device}: open`")
    await server.cancel()
    _expect_all_closed(devices, server.task, "a start that was cancelled")
    await devices.let_go()
    if device in devices.opened:
        raise lesson(
            "opened-after-the-end",
            seen="The start was cancelled in `{device}: open`, and it ended. After that, the "
            "{device} was opened all the same. The order was: {order}.",
            production="Nobody is left who could close it. The controller keeps the line.",
            look="Who learned of the cancellation, and who did not?",
            where=devices.lines[device],
            device=device,
            order=", ".join(devices.events),
        )


@pytest.mark.goal
@pytest.mark.parametrize("way", ["stopped", "cancelled"])
async def test_end_closes_everything(
    devices: Devices, server: Server, way: str, record_property: Any
) -> None:
    """When the service ends, all devices are closed, one after the other, last opened first."""
    await server.start()
    await (server.stop() if way == "stopped" else server.cancel())
    record_property("events", devices.events)
    _expect_all_closed(devices, server.task, f"a service that was {way}")


@pytest.mark.goal
@pytest.mark.parametrize(
    "steps",
    [
        pytest.param(["panel: switch_off"], id="panel"),
        pytest.param(["line: hang_up"], id="line"),
        pytest.param(["journal: close"], id="journal"),
        pytest.param(["panel: switch_off", "line: hang_up"], id="panel and line"),
    ],
)
async def test_failing_close_leaves_nothing_open(
    devices: Devices, server: Server, steps: list[str], record_property: Any
) -> None:
    """When a closing fails, the others are closed all the same, and the server is told."""
    causes = devices.fail(*steps)
    await server.start()
    await server.stop()
    record_property("events", devices.events)
    _expect_all_closed(devices, server.task, "a stop in which something failed")
    server.expect_told(causes)


@pytest.mark.goal
@pytest.mark.parametrize("step", ["panel: switch_off", "line: hang_up"])
async def test_cancelled_stop_leaves_nothing_open(
    devices: Devices, server: Server, step: str
) -> None:
    """When a stop is cancelled during a closing, the other devices are closed all the same."""
    reached = devices.hold(step)
    await server.start()
    await server.order("shutdown", until=reached)
    await server.cancel()
    _expect_all_closed(devices, server.task, "a stop that was cancelled")


@pytest.mark.goal
async def test_module_uses_nothing_deprecated(
    deprecated: dict[Place, str], devices: Devices, server: Server
) -> None:
    """The import, the start, a wash and the stop raise no warning of something deprecated."""
    await server.start()
    expect_status(await server.post(WASH), 201, because="machine 2 is free")
    await server.stop()
    if deprecated:
        raise lesson(
            "deprecated",
            seen="The service was imported, started, served a wash and stopped. It was warned at "
            "{count} of its lines; the first warning is {first!r}.",
            production="With `-W error` the service is not even imported. Without it, the warning "
            "stands in a log that nobody reads, until an update takes the old way away.",
            look="What does the documentation say about this function, and when is it called?",
            where=deprecated,
            count=len(deprecated),
            first=next(iter(deprecated.values())),
        )


@pytest.mark.goal
def test_next_start_finds_nothing_open(devices: Devices, raw_app: Any) -> None:
    """After a start that failed, the next one begins with nothing open, in a loop of its own."""

    async def first() -> None:
        server = Server(raw_app)
        await server.order("startup", until=server.started)
        await server.cancel()

    async def second() -> Server:
        server = Server(raw_app)
        await server.start()
        expect_status(await server.post(WASH), 201, because="machine 2 is free")
        await server.stop()
        return server

    devices.fail("panel: open")
    asyncio.run(first())
    found = list(devices.open)
    devices.forget()
    server = asyncio.run(second())
    evidence: dict[str, Any] = {"found": ", ".join(found), "opened": ", ".join(devices.opened)}
    if devices.opened != list(DEVICES):
        raise lesson(
            "not-opened-again",
            seen="A start failed, and its event loop ended. Still open from it: {found}. The next "
            "start opened: {opened}.",
            production="A connection belongs to the loop that opened it. In another one it hangs.",
            look="What does a start take from the one before?",
            **evidence,
        )
    if found:
        raise lesson(
            "found-open",
            seen="A start failed, and its event loop ended. When the next start began, these were "
            "still open from the first: {found}. The next start opened {opened}.",
            production="The controller counts the lines that nobody hung up. Each try takes one "
            "more, and when the sign has power again, there is no line left to start with.",
            look="Who could still close what the first start has opened?",
            **evidence,
        )
    _expect_all_closed(devices, server.task, "a second start, a wash and a stop")


@pytest.mark.goal
async def test_real_server_stops_with_all_closed(devices: Devices, raw_app: Any) -> None:
    """Uvicorn starts the service, serves a wash, and stops with everything closed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(raw_app, lifespan="on", http="h11", ws="none", log_config=None)
        real = uvicorn.Server(config)
        running = asyncio.create_task(_serve(real, listener))
        asking = asyncio.create_task(_ask(listener.getsockname()[1]))
        await asyncio.wait({running, asking}, timeout=LIMIT, return_when="FIRST_COMPLETED")
        if not asking.done():
            asking.cancel()
            raise _not_reached("the first request to uvicorn", ", ".join(devices.events))
        response = await asking
        real.should_exit = True
        await asyncio.wait({running}, timeout=LIMIT)
    expect_status(response, 201, because="machine 2 is free")
    _expect_all_closed(devices, running, "a stop of uvicorn")


@pytest.mark.guard
async def test_first_opening_fails(devices: Devices, server: Server, raw_app: Any) -> None:
    """A start whose first opening fails tells why and closes nothing, also in a second start."""
    await server.start()
    await server.stop()
    devices.forget()
    causes = devices.fail("journal: open")
    again = Server(raw_app)
    await again.order("startup", until=again.started)
    again.expect_told(causes)
    assert not devices.opened, f"the first opening failed, and {devices.opened} was opened"
    if devices.closed:
        raise lesson(
            "closed-again",
            seen="A start and a stop went well. The next start could not open its first device, "
            "and closed these: {closed}. They belonged to the start before.",
            production="A line that is hung up twice may by then be lent to somebody else.",
            look="How does the clean-up know what this start has opened?",
            closed=", ".join(devices.closed),
        )


@pytest.mark.guard
async def test_devices_are_open_while_it_serves(
    devices: Devices, server: Server, raw_app: Any
) -> None:
    """Each start opens each device once, in order; its requests use them while they are open."""
    for start, one in (("first", server), ("second", Server(raw_app))):
        devices.forget()
        await one.start()
        assert devices.opened == list(DEVICES), f"the {start} start opened {devices.opened}"
        if devices.closed:
            raise lesson(
                "closed-too-early",
                seen="The service was ready for requests. What had happened by then: {order}.",
                production="The first wash of the day goes into a journal that is closed.",
                look="Which line is the last one before the requests, and which one follows them?",
                order=", ".join(devices.events),
            )
        free = f"no wash since the {start} start has taken machine 2"
        expect_status(await one.post(WASH), 201, because=free)
        expect_status(await one.post(WASH), 409, because="machine 2 is running now")
        expect_status(await one.post({**WASH, "machine": 5}), 422, because="there are 4 machines")
        journal, line, panel = (devices.things[device] for device in DEVICES)
        assert line.journal is journal, "the line got another journal than the one that was opened"
        assert panel.line is line, "the panel got another line than the one that was taken"
        found = (journal.page, line.free, panel.text)
        expected = (["Room 214: machine 2"], {1, 3, 4}, "Free: [1, 3, 4]")
        opened = f"what the {start} start opened, after a wash"
        assert found == expected, f"{opened}: {found}, and not {expected}"
        assert not devices.closed, f"requests have closed {devices.closed}"
        await one.stop()
        last, added = "Hung up. Free: [1, 3, 4]", journal.page[1:]
        assert added == [last], f"the page was to end with {last!r}; the stop has added {added}"


@pytest.mark.guard
async def test_cancelled_start_ends_as_cancelled(devices: Devices, server: Server) -> None:
    """Who cancels a start is obeyed: it ends, as cancelled."""
    reached = devices.hold("panel: open")
    await server.order("startup", until=reached)
    server.expect_reached(reached, "`panel: open`")
    await server.cancel()
    assert server.task.done(), f"the start went on for {LIMIT:g} seconds after it was cancelled"
    assert server.task.cancelled(), f"the server cancelled the start, and was told {server.words}"


@pytest.mark.guard
async def test_failing_close_is_told(devices: Devices, server: Server) -> None:
    """The server learns of a closing that fails."""
    causes = devices.fail("line: hang_up")
    await server.start()
    await server.stop()
    server.expect_told(causes)


async def _serve(server: uvicorn.Server, listener: socket.socket) -> None:
    try:
        await server.serve(sockets=[listener])
    except SystemExit:  # so uvicorn ends when the start fails
        return


async def _ask(port: int) -> httpx.Response:
    address = f"http://127.0.0.1:{port}/washes"
    async with httpx.AsyncClient(trust_env=False, timeout=LIMIT) as client:
        return await client.post(address, json=WASH, headers={"Connection": "close"})


def _not_reached(what: str, told: str) -> Lesson:
    return lesson(
        "not-reached",
        seen="The service was to come to {what}, and it did not. What is known of it: {told}.",
        production="Nobody can start a machine.",
        look="What does the lifespan do before its `yield`, and by which names does it do it?",
        what=what,
        told=told or "nothing",
    )


def _expect_all_closed(devices: Devices, task: asyncio.Task[None], moment: str) -> None:
    evidence: dict[str, Any] = {"moment": moment, "order": ", ".join(devices.events)}
    if not task.done():
        raise lesson(
            "no-end",
            seen="After {moment}, the application still runs, {limit:g} seconds later. The order "
            "was: {order}.",
            production="The supervisor waits, and then kills the process with all that is open.",
            look="What does the lifespan wait for?",
            limit=LIMIT,
            **evidence,
        )
    if devices.open:
        raise lesson(
            "left-open",
            seen="After {moment}, this had not been closed: {open}. The order was: {order}.",
            production="The controller keeps the line, the last page of the journal is lost, and "
            "the sign goes on showing what it showed last.",
            look="On which ways out of the lifespan is the line reached that closes it?",
            where=[devices.lines[device] for device in devices.open],
            open=", ".join(devices.open),
            **evidence,
        )
    if devices.overlaps or devices.closed != devices.opened[::-1]:
        raise lesson(
            "wrong-order",
            seen="After {moment}, the closings had begun in this order: {closed}. Of them, "
            "{overlaps} began before the one before was done. The openings were: {opened}.",
            production="The line writes its last words into the journal, and the panel asks the "
            "line. What was closed before is missing there.",
            look="Which device needs which other one, also while it is being closed?",
            closed=", ".join(devices.closed),
            overlaps=devices.overlaps,
            opened=", ".join(devices.opened),
            **evidence,
        )
