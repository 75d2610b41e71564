"""A pitch has one trader and one bill: stored together or not at all, whoever else is booking."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import Engine, column, event, insert, select, table
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.util import await_

from fastapi_katas.probes import (
    EventLog,
    WatchingTransport,
    crash_of,
    expect_status,
    lesson,
    place_of_exception,
)

bookings = table("bookings", column("number"), column("pitch"), column("trader"))
bills = table("bills", column("number"), column("pitch"), column("euros"))

# Whom another program books for, and whom the town hall forbids the market.
RIVAL, BANNED = "Rita", "Zoe"
# Rules of the town hall; both databases understand them.
RULES = {
    "a rule of the town hall": "ALTER TABLE bookings ADD licence INTEGER DEFAULT 1 "
    f"CHECK (trader <> '{BANNED}')",
    "one pitch for each trader": "CREATE UNIQUE INDEX one_each ON bookings (trader)",
    "dry pitches only": "ALTER TABLE bookings ADD wet INTEGER DEFAULT 0 "
    "CONSTRAINT pitch_is_dry CHECK (pitch <> 'C3')",
}
CROWD = 20
WRITES_OR_LOCKS = re.compile(r"\s*(INSERT|UPDATE|DELETE|LOCK|BEGIN (IMMEDIATE|EXCLUSIVE))")
# Bounded waits: for those who come to a meeting, and for an answer.
MEETING_SECONDS, ANSWER_SECONDS = 5.0, 15.0


@dataclass
class Market:
    """The running service and its database, and what happens in between.

    Attributes:
        log: The order of events.
        client: Talks to the service through the log.
        engine: A way of the tests' own into the database.
        module: The module under test.
        before_write: What happens before the service changes or locks anything.
        before_insert: What happens before the service inserts a row.
        cause: Why the database is gone, if it is.
        gone_at: The step at which the database goes away, for example ``INSERT 2``.
        steps: How often the service has come to each kind of step.
    """

    log: EventLog
    client: httpx.AsyncClient
    engine: AsyncEngine
    module: Any
    before_write: Callable[[str], Awaitable[object]] | None = None
    before_insert: Callable[[str], Awaitable[object]] | None = None
    cause: OperationalError | None = None
    gone_at: str = ""
    steps: Counter[str] = field(default_factory=Counter)

    async def book(self, pitch: str = "C3", trader: str = "Ada") -> httpx.Response:
        """Book one pitch."""
        return await self.client.post("/bookings", json={"pitch": pitch, "trader": trader})

    async def book_sheet(self, *pitches: str) -> httpx.Response:
        """Book some pitches for one trader, with one request."""
        lines = [{"pitch": pitch, "trader": "Ada"} for pitch in pitches]
        return await self.client.post("/sheets", json=lines)

    async def book_as_rival(self, pitch: str) -> bool:
        """Book past the service, as another program may; whether the service left it a way."""
        bill = {"number": f"other program, {pitch}", "pitch": pitch, "euros": 15}
        try:
            async with self.engine.begin() as connection:
                await self._wait_for_locks(connection, milliseconds=0)
                await connection.execute(insert(bookings).values(pitch=pitch, trader=RIVAL))
                # Somebody may be reading just now; the commit waits for that.
                await self._wait_for_locks(connection, milliseconds=5000)
                await connection.execute(insert(bills).values(bill))
        except OperationalError:  # SQLite: the service has locked the database for its writes
            return False
        self.log.mark(f"another program: books {pitch}")
        return True

    async def _wait_for_locks(self, connection: AsyncConnection, milliseconds: int) -> None:
        if self.engine.dialect.name == "sqlite":
            await connection.exec_driver_sql(f"PRAGMA busy_timeout = {milliseconds}")

    async def stored(self) -> dict[str, list[str]]:
        """Read who has which pitch, and for which pitches there is a bill."""
        async with self.engine.connect() as connection:
            booked = await connection.execute(select(bookings))
            billed = await connection.execute(select(bills))
            return {
                "bookings": sorted(f"{row.pitch} {row.trader}" for row in booked),
                "bills": sorted(str(row.pitch) for row in billed),
            }

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look at each step of the service in its database."""

        def comes_to(step: str) -> None:
            self.steps[step] += 1
            if self.gone_at == f"{step} {self.steps[step]}":
                reason = ConnectionError("the database went away")
                self.cause = OperationalError(None, None, reason)
                self.log.mark("database: goes away")
            if self.cause is not None:
                raise self.cause

        def executes(connection: Any, _: Any, sql: str, values: Any, *__: Any) -> None:
            if connection.engine is self.engine.sync_engine or sql.startswith("ROLLBACK"):
                return
            step = " ".join(sql.split()[: 3 if sql.startswith("INSERT") else 1])
            comes_to(step.split()[0])
            if WRITES_OR_LOCKS.match(sql) and self.before_write:
                await_(self.before_write(f"{sql} {values}"))
            if step.startswith("INSERT") and self.before_insert:
                await_(self.before_insert(f"{sql} {values}"))
            self.log.mark(f"database: {step}")

        def commits(connection: Any) -> None:
            if connection.engine is not self.engine.sync_engine:
                comes_to("COMMIT")
                self.log.mark("database: COMMIT")

        def rolls_back(connection: Any) -> None:
            if connection.engine is not self.engine.sync_engine:
                self.log.mark("database: ROLLBACK")

        listeners: list[tuple[Any, str, Callable[..., None]]] = [
            (Engine, "before_cursor_execute", executes),
            (Engine, "commit", commits),
            (Engine, "rollback", rolls_back),
        ]
        for listener in listeners:
            event.listen(*listener)
        try:
            yield
        finally:
            for listener in listeners:
                event.remove(*listener)


@pytest.fixture(autouse=True)
def _own_database(module: Any, database_url: str) -> Iterator[None]:
    """Give the service a database of its own, before it starts."""
    module.DATABASE_URL = database_url

    def hurry(connection: Any, _: object) -> None:
        # Nobody pulls the plug here, so no commit has to wait for the disk.
        connection.execute("PRAGMA synchronous = OFF")

    if database_url.startswith("sqlite"):
        event.listen(Engine, "connect", hurry)
    yield
    if database_url.startswith("sqlite"):
        event.remove(Engine, "connect", hurry)


@pytest_asyncio.fixture(loop_scope="function")
async def market(module: Any, app: Any, database_url: str) -> AsyncIterator[Market]:
    """The running service, on a market where no pitch is taken."""
    engine = create_async_engine(database_url, poolclass=NullPool)
    log = EventLog(app)
    transport = WatchingTransport(log, limit=ANSWER_SECONDS)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        market = Market(log, client, engine, module)
        with market.watched():
            yield market
    await engine.dispose()


async def prove_that_it_works(market: Market) -> dict[str, list[str]]:
    """Book a pitch, so that what follows is about the way in which it fails."""
    expect_status(await market.book("A1", "Ben"), 201, because="nobody has A1")
    market.log.events.clear()
    market.steps.clear()
    return await market.stored()


async def no_bill_number() -> str:
    """Fail, as the treasury does when it is closed."""
    msg = "the treasury is closed"
    raise OSError(msg)


def use_one_bill_number(market: Market) -> None:
    """Let each bill have the same number."""

    async def number_of_before() -> str:
        return "2026-0417"

    market.module.next_bill_number = number_of_before


async def wait_for(meeting: asyncio.Event) -> None:
    """Wait until the meeting is over. It ends for everybody when the time is up."""
    with suppress(TimeoutError):
        async with asyncio.timeout(MEETING_SECONDS):
            await meeting.wait()
    meeting.set()


def let_rival_come_first(market: Market, pitch: str) -> list[bool]:
    """Let another program book a pitch, just before the service stores its own first row for it.

    The other rows of a sheet wait for that, so that no chance decides what happens.

    Returns:
        What came of it: whether the service left the other program a way.
    """
    came: list[bool] = []
    over = asyncio.Event()

    async def before_insert(what: str) -> None:
        if f"'{pitch}'" in what:
            if not came:
                came.append(await market.book_as_rival(pitch))
                over.set()
        elif not over.is_set():
            await wait_for(over)

    market.before_insert = before_insert
    return came


def let_all_meet(market: Market, tasks: list[asyncio.Task[httpx.Response]]) -> None:
    """Hold each request before its first write, until all have come who can come."""
    here: set[object] = set()
    opened = asyncio.Event()

    def look(_: object = None) -> None:
        if len(here | {task for task in tasks if task.done()}) >= len(tasks):
            opened.set()

    async def meet(_: str) -> None:
        here.add(asyncio.current_task())
        look()
        if not opened.is_set():
            await wait_for(opened)  # who has not come at its end waits for somebody who is here

    for task in tasks:
        task.add_done_callback(look)
    market.before_write = meet


def told(stored: dict[str, list[str]]) -> str:
    """Tell what is stored."""
    return "; ".join(f"{name} {', '.join(rows) or 'none'}" for name, rows in stored.items())


def root_of(crash: BaseException | None) -> BaseException | None:
    """Return what happened: of a group, as the tasks of a sheet make it, its first member."""
    while isinstance(crash, BaseExceptionGroup):
        crash = crash.exceptions[0]
    return crash


def name_of(crash: BaseException | None) -> str:
    """Name an exception by its first line; a group by its first member."""
    crash = root_of(crash)
    lines = [*str(crash).splitlines(), ""]
    return f"{type(crash).__name__} ({lines[0][:120]})" if crash else "nothing"


def expect_named(refusal: httpx.Response, holder: str) -> None:
    """Fail with a lesson unless a refusal names the trader who has the pitch."""
    if refusal.status_code == 409 and holder not in str(refusal.json().get("detail")):
        raise lesson(
            "holder-not-named",
            seen="The pitch belongs to {holder}. The refusal says: {body}",
            production="Two traders stand on one pitch and cannot find out who is right.",
            look="Who can tell the name, at the moment when the refusal is made?",
            holder=holder,
            body=refusal.text[:200],
        )


@pytest.mark.goal
@pytest.mark.parametrize("way", ["no bill number", "a used bill number", "the database goes away"])
async def test_failed_bill_leaves_no_booking(
    market: Market, way: str, record_property: Callable[[str, object], None]
) -> None:
    """When the second row cannot be stored, the first one is not there either."""
    numbers = market.module.next_bill_number
    if way == "a used bill number":
        use_one_bill_number(market)
    before = await prove_that_it_works(market)
    if way == "no bill number":
        market.module.next_bill_number = no_bill_number
    elif way == "the database goes away":
        market.gone_at = "INSERT 2"
    response = await market.book("C3", "Ada")
    record_property("events", list(market.log.events))
    after = await market.stored()
    market.cause, market.gone_at = None, ""
    market.module.next_bill_number = numbers
    again = await market.book("C3", "Ada")
    is_told = response.status_code >= 400
    if not is_told or after != before or again.status_code != 201:
        raise lesson(
            "half-stored" if is_told else "told-stored",
            seen="{way}: the booking of C3 was answered with {status}. Stored before: {before}. "
            "Stored after: {after}. The trader tried once more, and got {again}.",
            production="What the traders are told, who has a pitch and who pays for it are three "
            "different lists. Somebody has to compare them by hand.",
            look="From which line on is a row stored for good, and what can still fail behind it?",
            where=[place_of_exception(crash)] if (crash := crash_of(response)) else [],
            way=way,
            status=response.status_code,
            before=told(before),
            after=told(after),
            again=again.status_code,
        )


@pytest.mark.goal
async def test_one_of_twenty_gets_the_pitch(market: Market) -> None:
    """Of twenty traders who want a pitch at the same moment one gets it; 19 are told who has it."""
    await prove_that_it_works(market)
    traders = [f"Trader {number:02}" for number in range(CROWD)]
    tasks = [asyncio.create_task(market.book("C3", trader)) for trader in traders]
    let_all_meet(market, tasks)
    answers = await asyncio.gather(*tasks)
    stored = await market.stored()
    statuses = Counter(str(answer.status_code) for answer in answers)
    crashes = [crash for answer in answers if (crash := crash_of(answer))]
    first = crashes[0] if crashes else None
    if statuses != {"201": 1, "409": CROWD - 1}:
        raise lesson(
            "race-answered-wrongly",
            seen="{crowd} traders wanted C3, and none of them had it when they were about to "
            "write. Their answers, by status: {statuses}. The server logged {crash}. Stored now: "
            "{stored}.",
            production="On the morning when the pitches are given out, everybody is there at the "
            "same moment. Who is second sees a broken service, or believes to have the pitch.",
            look="Between the line that looks and the line that writes, what may others do?",
            where=[place_of_exception(first)] if first else [],
            crowd=CROWD,
            statuses=dict(statuses),
            crash=f"{len(crashes)} times {name_of(first)}" if first else "nothing",
            stored=told(stored),
        )
    winner = traders[[answer.status_code for answer in answers].index(201)]
    if stored != {"bookings": ["A1 Ben", f"C3 {winner}"], "bills": ["A1", "C3"]}:
        raise lesson(
            "race-stored-wrongly",
            seen="{winner} was told to have C3, and {others} others that it is taken. Stored now: "
            "{stored}.",
            production="The answers and the tables say different things, and the bills go out "
            "from the tables.",
            look="What had been written by those who lost, and who took it back?",
            winner=winner,
            others=CROWD - 1,
            stored=told(stored),
        )
    for answer in answers:
        expect_named(answer, winner)


@pytest.mark.goal
async def test_pitch_that_another_program_took_is_taken(market: Market) -> None:
    """A pitch that another program books, in the last moment before the first row, is taken."""
    await prove_that_it_works(market)
    came = let_rival_come_first(market, "C3")
    response = await market.book("C3", "Ada")
    assert came, "the service did not try to store a row for C3"
    holder = RIVAL if came == [True] else "Ada"
    stored = await market.stored()
    wanted = {"bookings": ["A1 Ben", f"C3 {holder}"], "bills": ["A1", "C3"]}
    status = 409 if came == [True] else 201
    if response.status_code != status or stored != wanted:
        crash = crash_of(response)
        raise lesson(
            "rival-not-noticed",
            seen="Before the service stored its first row, another program gave C3 to {holder}. "
            "The answer to Ada had to be {wanted}, and was {status}; the server logged {crash}. "
            "Stored now: {stored}.",
            production="A second worker, a cron job or a clerk with a tool of his own writes "
            "into the same tables. What you agree upon in this process binds none of them.",
            look="Who is the only one that sees the rows of all programs?",
            where=[place_of_exception(crash)] if crash else [],
            holder=holder,
            wanted=status,
            status=response.status_code,
            crash=name_of(crash),
            stored=told(stored),
        )
    if status == 409:
        expect_named(response, RIVAL)
    market.before_insert = None
    expect_status(await market.book("D4", "Ada"), 201, because="a refusal disturbs nobody else")


SHEETS = {
    "all are free": (["C1", "C2", "C3"], [201, 201, 201]),
    "the last one was taken before": (["C1", "C2", "A1"], [201, 201, 409]),
    "the first one is taken meanwhile": (["C1", "C2", "C3"], [409, 201, 201]),
    "one pitch twice": (["D1", "D1"], [201, 409]),
}


@pytest.mark.goal
@pytest.mark.parametrize("way", SHEETS)
async def test_each_line_is_booked_on_its_own(market: Market, way: str) -> None:
    """The lines of a sheet do not disturb each other, and what it says of each line is true."""
    await prove_that_it_works(market)
    pitches, wanted = SHEETS[way]
    came = let_rival_come_first(market, "C1") if "meanwhile" in way else []
    response = await market.book_sheet(*pitches)
    stored = await market.stored()
    if came == [False]:  # the service had locked the database: nobody can come in between
        wanted = [201, 201, 201]
    lines = response.json() if response.status_code == 200 else []
    shown = [(line["pitch"], line["status"]) for line in lines]
    if "twice" in way:  # which of the two lines comes first is left to the service
        shown.sort()
    rows = {(pitch, "Ada") for pitch, status in zip(pitches, wanted, strict=True) if status == 201}
    rows |= {("A1", "Ben")} | ({("C1", RIVAL)} if came == [True] else set())
    right = {
        "bookings": sorted(f"{pitch} {trader}" for pitch, trader in rows),
        "bills": sorted(pitch for pitch, _ in rows),
    }
    if shown != list(zip(pitches, wanted, strict=True)) or stored != right:
        crash = crash_of(response)
        raise lesson(
            "sheet-broken" if crash or not lines else "sheet-untrue",
            seen="A sheet with {pitches} ({way}) had to show {wanted}. It was answered with "
            "{status}: {lines}. The server logged {crash}. Stored now: {stored}.",
            production="The office sends the sheet again, or it does not: in both cases nobody "
            "knows who stands where on Sunday.",
            look="The lines are booked at the same time. What do they have in common, and what "
            "happens to it when one of them fails or commits?",
            where=[place_of_exception(crash)] if crash else [],
            pitches=", ".join(pitches),
            way=way,
            wanted=wanted,
            status=response.status_code,
            lines=", ".join(f"{pitch} {status}" for pitch, status in shown) or "no lines",
            crash=name_of(crash),
            stored=told(stored),
        )


@pytest.mark.goal
async def test_failing_line_is_told_and_leaves_nothing(market: Market) -> None:
    """When a line of a sheet fails unexpectedly, the answer is 500, and nothing of it is stored."""
    use_one_bill_number(market)
    before = await prove_that_it_works(market)
    response = await market.book_sheet("C3")
    after = await market.stored()
    if response.status_code != 500 or after != before:
        raise lesson(
            "line-half-stored" if after != before else "line-failure-hidden",
            seen="The bill for the line with C3 got a number that was used before. The sheet was "
            "answered with {status}: {body}. Stored before: {before}. Stored after: {after}.",
            production="The office takes the answer for the truth, and tells it to the traders.",
            look="Follow the line to the point at which it fails. What is stored there for good, "
            "and who is told?",
            status=response.status_code,
            body=response.text[:120],
            before=told(before),
            after=told(after),
        )


@pytest.mark.guard
async def test_free_pitch_is_booked_and_billed(market: Market) -> None:
    """A free pitch is answered with 201, and it is stored with the bill that the answer names."""
    response = await market.book("C3", "Ada")
    expect_status(response, 201, because="nobody has C3")
    booked = response.json()
    assert booked == {"pitch": "C3", "trader": "Ada", "bill": booked.get("bill")}
    assert await market.stored() == {"bookings": ["C3 Ada"], "bills": ["C3"]}
    async with market.engine.connect() as connection:
        assert [row.number for row in await connection.execute(select(bills))] == [booked["bill"]]


@pytest.mark.guard
async def test_sheet_of_one_line_is_booked(market: Market) -> None:
    """A sheet of one line is answered with 200 and its line."""
    response = await market.book_sheet("C3")
    expect_status(response, 200, because="nobody has C3")
    assert response.json() == [{"pitch": "C3", "status": 201}]
    assert await market.stored() == {"bookings": ["C3 Ada"], "bills": ["C3"]}


@pytest.mark.guard
async def test_taken_pitch_is_refused(market: Market) -> None:
    """A pitch that was taken before is refused with 409 and the name, and nothing changes."""
    before = await prove_that_it_works(market)
    response = await market.book("A1", "Ada")
    expect_status(response, 409, because="Ben has A1")
    expect_named(response, "Ben")
    again = await market.book("A1", "Ben")
    expect_status(again, 409, because="a trader has A1, also when it is Ben who asks again")
    expect_named(again, "Ben")
    assert await market.stored() == before
    expect_status(await market.book("C3", "Ada"), 201, because="a refusal disturbs nobody else")


@pytest.mark.guard
@pytest.mark.parametrize(
    "way",
    [*RULES, "a used bill number", "the database goes away", "no commit", "no commit of a sheet"],
)
async def test_other_failures_are_not_called_taken(market: Market, way: str) -> None:
    """Whatever else fails is a 500, and the exception that happened reaches the server."""
    if way == "a used bill number":
        use_one_bill_number(market)
    before = await prove_that_it_works(market)
    if way in RULES:
        async with market.engine.begin() as connection:
            await connection.exec_driver_sql(RULES[way])
    if "commit" in way or "goes away" in way:
        market.gone_at = "COMMIT 1" if "commit" in way else "INSERT 1"
    if "sheet" in way:
        response = await market.book_sheet("C3")
    else:
        response = await market.book("C3", "Ben" if way == "one pitch for each trader" else BANNED)
    crash = root_of(crash_of(response))
    stored = await market.stored()
    is_the_one = isinstance(crash, IntegrityError) if not market.gone_at else crash is market.cause
    told_now = [line["status"] for line in response.json()] if response.status_code == 200 else []
    if 201 in (response.status_code, *told_now) and stored == before:
        raise lesson(
            "told-not-stored",
            seen="{way}: the client was told {status}: {body}. The server logged {crash}. Nothing "
            "of it is stored: {stored}.",
            production="A trader comes on Sunday with a booking that was never made, and finds "
            "somebody else on the pitch.",
            look="Does the commit come before the answer or after it? Who hears of a commit that "
            "fails?",
            where=[place_of_exception(crash)] if crash else [],
            way=way,
            status=response.status_code,
            body=response.text[:120],
            crash=name_of(crash),
            stored=told(stored),
        )
    if response.status_code != 500 or not is_the_one:
        raise lesson(
            "called-taken" if 409 in (response.status_code, *told_now) else "failure-renamed",
            seen="{way}: nobody has C3, and the booking cannot be stored. The client got {status}: "
            "{body}. The server logged {crash}. Stored now: {stored}.",
            production="A trader looks for another pitch, although this one is free. Nobody "
            "repairs what is broken, because no log names it.",
            look="Which failures come to the line that makes this answer? Are they all the same?",
            where=[place_of_exception(crash)] if crash else [],
            way=way,
            status=response.status_code,
            body=response.text[:120],
            crash=name_of(crash),
            stored=told(stored),
        )
    if way != "a used bill number":
        assert stored == before, f"{way}: stored before: {told(before)}, after: {told(stored)}"


@pytest.mark.guard
async def test_body_that_does_not_fit_is_refused(market: Market) -> None:
    """A pitch or a trader that cannot be is answered with 422, and nothing is stored."""
    for pitch, trader in (("c3", "Ada"), ("C333", "Ada"), ("C3", ""), ("C3", "k" * 41)):
        expect_status(await market.book(pitch, trader), 422, because="this is no booking")
    for pitches in ([], ["C1", "c2"], [f"C{number}" for number in range(11)]):
        expect_status(await market.book_sheet(*pitches), 422, because="this is no sheet")
    assert await market.stored() == {"bookings": [], "bills": []}
