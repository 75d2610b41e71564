"""What changes belongs to the application that the request came to, from its start to its stop."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from asgi_lifespan import LifespanManager
from fastapi import FastAPI, HTTPException

from fastapi_katas.probes import Place, WatchingTransport, expect_status, lesson, place_in_stack

Row = dict[str, Any]

# How the two offices of a test are made; None stands for the `app` of the module.
PAIRS: dict[str, list[list[str] | None]] = {
    "two-names": [["Town hall"], ["Harbour"]],
    "same-name": [[], []],
    "app-and-another": [None, []],
}
DRAWN = "everybody can draw a number"
WAITS = "a number waits in this office, and this desk may call"
# How long a test waits for a meeting before it says that there is none.
LIMIT = 2.0


class Roster:
    """Stands in for `clerk_at`: the test says who sits at the desks, and when that is told."""

    def __init__(self) -> None:
        self.who = "Clerk"
        self.trouble: OSError | None = None
        self.lines: list[Place | None] = []
        self.held: dict[int, asyncio.Event] = {}
        self.missing: list[int] = []
        self.all_asked = asyncio.Event()

    def hold(self, desks: list[int]) -> None:
        """Let these desks wait for their answer until they are released."""
        self.held = {desk: asyncio.Event() for desk in desks}
        self.missing = list(desks)
        self.all_asked = asyncio.Event()

    async def clerk_at(self, desk: int) -> str:
        """Tell who sits at a desk."""
        self.lines.append(place_in_stack(sys._getframe()))
        if desk in self.missing:
            self.missing.remove(desk)
        if not self.missing:
            self.all_asked.set()
        if desk in self.held:
            await self.held[desk].wait()
        if self.trouble is not None:
            raise self.trouble
        return clerk(desk, self.who)


@pytest.fixture
def roster(module: Any) -> Roster:
    """The roster that the module asks."""
    roster = Roster()
    module.clerk_at = roster.clerk_at
    return roster


@pytest.fixture
def offices(module: Any, request: pytest.FixtureRequest) -> list[FastAPI]:
    """Two applications in this process: those of the parameter, or two with names."""
    pair = PAIRS[getattr(request, "param", "two-names")]
    return [module.app if title is None else module.create_app(*title) for title in pair]


@pytest.mark.goal
@pytest.mark.parametrize("offices", PAIRS, indirect=True)
async def test_two_offices_count_by_themselves(offices: list[FastAPI]) -> None:
    """Each of two offices gives out 1, 2, 3, and shows its own tickets only."""
    async with started(offices[0]) as first, started(offices[1]) as second:
        turns = [first, first, second, first]
        numbers = [await draw(office) for office in turns]
        shown = [[row["number"] for row in await tickets(office)] for office in (first, second)]
    if numbers != [1, 2, 1, 3] or shown != [[1, 2, 3], [1]]:
        lost = "tickets-lost" if sum(map(len, shown)) < len(turns) else "tickets-shared"
        raise lesson(
            "numbers-shared" if list(map(len, shown)) == [3, 1] else lost,
            seen="Two offices run in one process. Two people draw in the first one, one in the "
            "second one, one more in the first one: their numbers are {numbers}. Then the first "
            "office shows {first}, and the second one shows {second}.",
            production="What a request finds depends on who else runs in the process. Tests that "
            "are green alone are red together, and which ones depends on their order.",
            look="Where is that which changes with a draw, and how many of it are there?",
            numbers=numbers,
            first=shown[0],
            second=shown[1],
        )


@pytest.mark.goal
@pytest.mark.parametrize("loops", [1, 2], ids=["same-loop", "next-loop"])
def test_restart_begins_clean(loops: int, raw_app: FastAPI, roster: Roster) -> None:
    """An application that was stopped begins at 1 with nobody waiting, also on another loop."""
    days: list[dict[str, list[int]]] = []

    async def open_and_close(times: int) -> None:
        for _ in range(times):
            async with started(raw_app) as client:
                found = [row["number"] for row in await tickets(client)]
                days.append({"found": found, "drawn": [await draw(client), await draw(client)]})
                expect_status(await call(client, 2), 200, because=WAITS)

    for _ in range(loops):
        asyncio.run(open_and_close(2 // loops))
    first, second = days
    assert first == {"found": [], "drawn": [1, 2]}, f"the first start gave {first}"
    if second != first:
        raise lesson(
            "restart-not-clean",
            seen="The application was started, gave out {first}, and was stopped. It was started "
            "once more, in event loop number {loops}. Before anybody drew, it showed {found}. "
            "Then it gave out {drawn}.",
            production="Each test that starts the application finds what the tests before have "
            "left, and so does each start of a day.",
            look="When is that made which holds the tickets and the count, and when does it end?",
            loops=loops,
            first=first["drawn"],
            found=second["found"] or "no ticket",
            drawn=second["drawn"],
        )


@pytest.mark.goal
async def test_restart_leaves_the_other_office_alone(
    offices: list[FastAPI], roster: Roster
) -> None:
    """While one office is stopped and started again, the other one keeps its tickets and count."""
    async with started(offices[0]) as hall:
        given = [await draw(hall) for _ in range(2)]
        expect_status(await call(hall, 2), 200, because=WAITS)
        before = await tickets(hall)
        numbers = []
        for _ in range(2):
            async with started(offices[1]) as harbour:
                numbers.append(await draw(harbour))
        after = await tickets(hall)
        then = await draw(hall)
    if (numbers, after, then) != ([1, 1], before, 3):
        tied = (after, then) != (before, 3)
        key = "offices-tied-together" if tied else "second-start-not-clean"
        raise lesson(
            "other-office-emptied" if len(after) < len(before) else key,
            seen="The town hall gave out {given}. Then the harbour was started twice, and its "
            "first number was {numbers}. Now the town hall shows {after}, and gives out {then}.",
            production="One part of a process cannot be started, stopped or tested without the "
            "others.",
            look="What does a start of the harbour touch, and what does it find?",
            given=given,
            numbers=" and ".join(map(str, numbers)),
            after=[row["number"] for row in after] or "no ticket",
            then=then,
        )


@pytest.mark.goal
async def test_desks_call_together(client: httpx.AsyncClient, roster: Roster) -> None:
    """Desks that call at the same time each get a number, with their own desk and clerk."""
    for desks in ([2, 5, 9], [8, 4]):
        for _ in desks:
            await draw(client)
        rows = await call_together(roster, [(client, desk) for desk in desks])
        if [(row["desk"], row["clerk"]) for row in rows] != [(desk, clerk(desk)) for desk in desks]:
            raise lesson(
                "desk-of-another-request",
                seen="The desks {desks} called at the same time. Their answers have the desks "
                "{got}, and the clerks {clerks}.",
                production="On a busy morning people are sent to the wrong desk. With an account "
                "in the place of a desk, one user gets what belongs to another.",
                look="Another request comes while this line waits. What does it change?",
                where=roster.lines[-len(desks) :],
                desks=desks,
                got=[row["desk"] for row in rows],
                clerks=", ".join(str(row["clerk"]) for row in rows),
            )
        called = [row for row in await tickets(client) if row["desk"] in desks]
        if sorted(rows, key=lambda row: int(row["number"])) != called:
            raise lesson(
                "number-for-two-desks",
                seen="The desks {desks} called at the same time. Their answers have the numbers "
                "{numbers}. Afterwards the list shows for these desks the numbers {listed}.",
                production="Several desks wait for one person, and the screen shows the last of "
                "them. The next person waits on beside an empty desk.",
                look="Another request comes while this line waits. Which number does it find?",
                where=roster.lines[-len(desks) :],
                desks=desks,
                numbers=[row["number"] for row in rows],
                listed=[row["number"] for row in called],
            )


@pytest.mark.goal
async def test_desks_of_two_offices_call_together(offices: list[FastAPI], roster: Roster) -> None:
    """Desks of two offices call at the same time, each a number of its own office."""
    async with started(offices[0]) as hall, started(offices[1]) as harbour:
        for office in (hall, harbour) * 3:
            await draw(office)
        await call_together(roster, [(harbour, 5), (hall, 5), (harbour, 9)])
        rows = [await tickets(hall), await tickets(harbour)]
    called = [[row["number"] for row in each if row["desk"] is not None] for each in rows]
    if called != [[1], [1, 2]]:
        raise lesson(
            "call-in-another-office",
            seen="In two offices people drew a number. One desk of the town hall and two desks of "
            "the harbour called at the same time. Afterwards the town hall shows that {hall} were "
            "called, and the harbour shows {harbour}.",
            production="A person sits in one place, and is called in another one.",
            look="Another request comes while this line waits. In which office does it go on then?",
            where=roster.lines,
            hall=called[0],
            harbour=called[1],
        )


@pytest.mark.guard
async def test_numbers_go_up(client: httpx.AsyncClient) -> None:
    """One request after the other draws 1, 2, 3, 4, and the list shows them, not called yet."""
    found = await tickets(client)
    numbers = [await draw(client) for _ in range(4)]
    found += await tickets(client)
    shown = [row["number"] for row in found]
    if numbers != [1, 2, 3, 4] or shown != numbers:
        raise lesson(
            "tickets-forgotten" if shown != numbers else "count-forgotten",
            seen="Four people drew a number, one after the other: {numbers}. The list then shows "
            "{shown}.",
            production="Two people hold the same number, or one that no desk will ever call.",
            look="One request changes something. Does the next one look at the same thing?",
            numbers=numbers,
            shown=shown,
        )
    waiting = [{"number": number, "desk": None, "clerk": None} for number in numbers]
    assert found == waiting, f"nobody has called, and the tickets are {found}"


@pytest.mark.guard
async def test_lowest_number_is_called(client: httpx.AsyncClient, roster: Roster) -> None:
    """A call takes the lowest number that waits, for who sits there now; 409 when nobody waits."""
    expect_status(await call(client, 4), 409, because="nobody has drawn a number")
    rows: list[Row] = [{"number": number, "desk": None, "clerk": None} for number in (1, 2, 3)]
    for _ in rows:
        await draw(client)
    for row, desk, who in zip(rows, (4, 4, 7), ("Ann", "Bob", "Bob"), strict=True):
        roster.who = who
        response = await call(client, desk)
        expect_status(response, 200, because=WAITS)
        row |= {"desk": desk, "clerk": clerk(desk, who)}
        got, listed = response.json(), await tickets(client)
        if got != row:
            raise lesson(
                "clerk-of-before" if {**got, "clerk": row["clerk"]} == row else "wrong-call",
                seen="Desk {desk} called. The lowest number that waited was {number}, and on the "
                "roster stood: {clerk}. The answer was {got}.",
                production="People are sent to a clerk who went home, or in the wrong order.",
                look="What does a call find out anew, and what does it take from an earlier one?",
                got=str(got),
                **row,
            )
        if listed != rows:
            moved = sorted(map(str, listed)) == sorted(map(str, rows))
            raise lesson(
                "list-in-other-order" if moved else "list-with-other-tickets",
                seen="The call of number {number} was answered. Then the list shows the numbers "
                "{numbers}, and {desks} as their desks.",
                production="The screen jumps at each call, and people do not find their line.",
                look="What does a call do to the list, besides what it writes on one ticket?",
                number=row["number"],
                numbers=[each["number"] for each in listed],
                desks=", ".join(str(each["desk"]) for each in listed),
            )
    expect_status(await call(client, 7), 409, because="all three have been called")
    number = await draw(client)
    assert number == 4, f"three numbers were drawn and called; the next one drawn is {number}"


@pytest.mark.guard
async def test_call_needs_a_desk(client: httpx.AsyncClient, roster: Roster) -> None:
    """A call names a desk from 1 to 20; one that is refused, or fails, changes nothing."""
    for _ in range(3):
        await draw(client)
    before = await tickets(client)
    for headers in ({}, {"X-Desk": "0"}, {"X-Desk": "21"}, {"X-Desk": "left"}):
        response = await client.post("/calls", headers=headers)
        expect_status(response, 422, because=f"{headers or 'no header'} names no desk")
    roster.trouble = OSError("the roster does not answer")
    failed = await call(client, 3)
    roster.trouble = None
    after = await tickets(client)
    numbers = []
    for desk in (1, 20):
        response = await call(client, desk)
        expect_status(response, 200, because=WAITS)
        numbers.append(response.json()["number"])
    if after != before or numbers != [1, 2]:
        raise lesson(
            "failed-call-left-traces",
            seen="Three people wait. Four calls named no desk. In a fifth one, of desk 3, the "
            "roster failed; the answer was {status}. Then the list shows {desks} as their desks, "
            "and the next two calls got the numbers {numbers}.",
            production="A number that no desk has called does not wait any more. This person is "
            "never called.",
            look="What has a call done by the time it asks the roster?",
            where=roster.lines[:1],
            status=failed.status_code,
            desks=", ".join(str(row["desk"]) for row in after),
            numbers=numbers,
        )


@pytest.mark.guard
async def test_override_stays_in_its_application(
    module: Any, offices: list[FastAPI], roster: Roster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An override of `get_office` reaches every operation of one application, and no other one."""

    async def closed() -> None:
        raise HTTPException(status_code=503, detail="Closed today")

    async with started(offices[0]) as hall, started(offices[1]) as harbour:
        with monkeypatch.context() as patch:
            patch.setitem(offices[0].dependency_overrides, module.get_office, closed)
            for office, code in ((hall, 503), (harbour, 200)):
                for method, path in (("POST", "/draws"), ("GET", "/tickets"), ("POST", "/calls")):
                    response = await office.request(method, path, headers={"X-Desk": "3"})
                    expect_status(response, code, because="only the town hall has the override")
        await draw(hall)


@pytest.mark.guard
def test_each_office_has_its_title(offices: list[FastAPI]) -> None:
    """Each call of `create_app` makes an application with the title that it is given."""
    titles = [office.openapi()["info"]["title"] for office in offices]
    assert titles == ["Town hall", "Harbour"], f"the applications have the titles {titles}"


def clerk(desk: int, who: str = "Clerk") -> str:
    """Return the name of the clerk who sits at a desk."""
    return f"{who} at desk {desk}"


async def draw(client: httpx.AsyncClient) -> int:
    """Draw a number, and return it."""
    response = await client.post("/draws")
    expect_status(response, 200, because=DRAWN)
    return int(response.json()["number"])


async def tickets(client: httpx.AsyncClient) -> list[Row]:
    """Return all tickets as an office shows them."""
    response = await client.get("/tickets")
    expect_status(response, 200, because="the list of all tickets can always be read")
    rows: list[Row] = response.json()
    return rows


async def call(client: httpx.AsyncClient, desk: int) -> httpx.Response:
    """Let a desk call the next number."""
    return await client.post("/calls", headers={"X-Desk": str(desk)})


async def call_together(roster: Roster, calls: list[tuple[httpx.AsyncClient, int]]) -> list[Row]:
    """Let desks call at the same time; when all have asked the roster, it answers one by one."""
    desks = [desk for _, desk in calls]
    roster.hold(desks)
    meeting = asyncio.create_task(roster.all_asked.wait())
    tasks = [asyncio.create_task(call(client, desk)) for client, desk in calls]
    try:
        # A call that ends before the meeting never asked the roster: its answer tells why.
        watched = [meeting, *tasks]
        done, _ = await asyncio.wait(watched, timeout=LIMIT, return_when="FIRST_COMPLETED")
        if not done:
            raise no_meeting(desks, roster)
        for desk, task in zip(desks, tasks, strict=True):
            roster.held[desk].set()
            expect_status(await task, 200, because=WAITS)
        return [task.result().json() for task in tasks]
    finally:
        for event in roster.held.values():
            event.set()
        meeting.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def no_meeting(desks: list[int], roster: Roster) -> Exception:
    """Make the lesson that desks wait for each other."""
    return lesson(
        "desk-waits-for-another",
        seen="The desks {desks} called at the same time, and the roster was slow. After {limit:g} "
        "seconds, the desks {missing} had not asked it.",
        production="One slow answer of the roster stops desks that it has nothing to do with.",
        look="What does the second request wait for, although it needs nothing of the first one?",
        where=roster.lines[-1:],
        desks=desks,
        missing=sorted(roster.missing),
        limit=LIMIT,
    )


@asynccontextmanager
async def started(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Start an application, and stop it at the end of the block."""
    outside = contextvars.copy_context()

    async def served(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
            return
        # As a server does: each request gets a task, a context and a state of its own.
        scope = {**scope, "state": dict(scope["state"])}
        await asyncio.create_task(app(scope, receive, send), context=outside.copy())

    async with LifespanManager(served, 15, 15) as manager:
        transport = WatchingTransport(manager.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as http:
            yield http
