"""The database may take its time: everybody else is served meanwhile, each with an own session.

These tests always use an SQLite file. The synchronous engine of the broken module needs a driver of
its own, and the course brings one for SQLite only.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
import traceback
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import Engine, event, make_url
from sqlalchemy.pool import Pool
from sqlalchemy.util import greenlet_spawn
from starlette.types import Message, Receive, Scope, Send

from fastapi_katas.probes import (
    Heartbeat,
    WatchingTransport,
    blocking_calls,
    crash_of,
    cut,
    expect_status,
    lesson,
    place_of_exception,
    statements,
)
from fastapi_katas.probes.heartbeat import Held

# The driver of SQLite has a coroutine in its hand when lazy loading is refused, and drops it.
pytestmark = pytest.mark.filterwarnings("ignore:coroutine 'Connection.cursor' was never awaited")

# A bounded wait for requests that should have reached the database long ago.
LIMIT = 5.0
# The milliseconds that a connection waits for another program, as the module has them.
TIMEOUT = 15_000
LIST, ONE, LOAN = "GET /toys", "GET /toys/1", "POST /toys/1/loans"
ADD = "POST /toys"
ALL = [LIST, ONE, ADD, LOAN]


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KATA_DATABASE_URL", raising=False)


@pytest.fixture(autouse=True)
def _own_database(_no_server: None, module: Any, database_url: str) -> None:
    module.DATABASE_URL = database_url


@dataclass
class Seen:
    """What happened while another program had the database for itself.

    Attributes:
        responses: The answers, after the other program was done.
        held: What the loop did while the requests waited.
        statements: The statements that had been sent by then.
        lent: How many connections the pool had lent by then.
    """

    responses: list[httpx.Response]
    held: Held
    statements: list[str]
    lent: int


@dataclass
class Library:
    """The running service, its database file, and its pool.

    Attributes:
        client: Talks to the service.
        path: The file.
        kept: The connections that were lent and did not come back.
        looks: Whether to look into the file when an answer goes out.
        seen: What was stored when the end of the last answer went out.
    """

    client: httpx.AsyncClient
    path: str
    kept: dict[int, Any] = field(default_factory=dict)
    looks: bool = False
    seen: list[dict[str, Any]] = field(default_factory=list)

    def fill(self, *names: str) -> None:
        """Take in toys; the first one has the id 1."""
        rows = [(name,) for name in names]
        self.change("INSERT INTO toys (name, times_lent) VALUES (?, 0)", *rows)

    def change(self, sql: str, *values: tuple[Any, ...]) -> None:
        """Change something as another program does."""
        connection = sqlite3.connect(self.path)
        with connection:
            connection.executemany(sql, values)
        connection.close()

    def lend_elsewhere(self) -> bool:
        """Lend the first toy as another program does; tell whether the database let it."""
        connection = sqlite3.connect(self.path, timeout=0)
        try:
            with connection:
                connection.execute("UPDATE toys SET times_lent = times_lent + 1 WHERE id = 1")
        except sqlite3.OperationalError:
            return False
        finally:
            connection.close()
        return True

    def content(self) -> list[dict[str, Any]]:
        """Read what is stored."""
        connection = sqlite3.connect(self.path)
        rows = connection.execute("SELECT id, name, times_lent FROM toys ORDER BY id").fetchall()
        connection.close()
        return [dict(zip(("id", "name", "times_lent"), row, strict=True)) for row in rows]

    async def ask(self, request: str) -> httpx.Response:
        """Send a request such as `GET /toys`."""
        method, path = request.split(" ")
        body = {"name": "Kite"} if request == ADD else None
        response = await self.client.request(method, path, json=body)
        _close_what_was_dropped(crash_of(response))
        return response

    async def ask_while_busy(
        self, *requests: str, busy: str = "EXCLUSIVE", until: tuple[str, int]
    ) -> Seen:
        """Send requests while another program works in the database.

        Args:
            requests: The requests, all at the same time.
            busy: `EXCLUSIVE` shuts out everybody, `IMMEDIATE` those who write.
            until: The other program is done when so many statements that begin in this way have
                been sent, or when the loop is proven stuck.
        """
        begun, tasks = threading.Event(), list[asyncio.Task[httpx.Response]]()
        sent: list[str] = []
        by_then: list[tuple[list[str], int]] = []

        def executes(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
            sent.append(statement)

        def has_it(heartbeat: Heartbeat) -> Held:
            other = sqlite3.connect(self.path, isolation_level=None)
            other.execute(f"BEGIN {busy}")
            begun.set()
            end = time.monotonic() + LIMIT
            while True:
                so_many = sum(sql.startswith(until[0]) for sql in list(sent))
                over = bool(tasks) and all(task.done() for task in tasks)
                enough = so_many >= until[1] or over or time.monotonic() > end
                held = heartbeat.hold()
                if held.blocked_at is not None:
                    held = heartbeat.hold()  # now without the turns before it was stuck
                if enough or held.blocked_at is not None:
                    break
            by_then.append((list(sent), len(self.kept)))
            other.execute("ROLLBACK")
            other.close()
            return held

        event.listen(Engine, "before_cursor_execute", executes)
        try:
            async with Heartbeat() as heartbeat:
                program = asyncio.create_task(asyncio.to_thread(has_it, heartbeat))
                await asyncio.to_thread(begun.wait, LIMIT)
                tasks += [asyncio.create_task(self.ask(request)) for request in requests]
                held = await program
            return Seen(list(await asyncio.gather(*tasks)), held, *by_then[0])
        finally:
            event.remove(Engine, "before_cursor_execute", executes)


@pytest_asyncio.fixture(loop_scope="function")
async def library(app: Any, database_url: str) -> AsyncIterator[Library]:
    """The running service with an empty table."""

    async def looked_at(scope: Scope, receive: Receive, send: Send) -> None:
        async def sends(message: Message) -> None:
            ends = message["type"] == "http.response.body" and not message.get("more_body")
            if ends and found.looks:
                found.seen = found.content()
            await send(message)

        await app(scope, receive, sends)

    transport = WatchingTransport(looked_at, limit=4 * LIMIT)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        found = Library(client, str(make_url(database_url).database))
        with _watched_pools(found.kept):
            yield found
            for fairy in list(found.kept.values()):
                await greenlet_spawn(fairy.close)


@contextmanager
def _watched_pools(kept: dict[int, Any]) -> Iterator[None]:
    def lent(connection: Any, record: Any, fairy: Any) -> None:
        kept[id(record)] = fairy  # else it may come back by garbage collection, later

    def back(connection: Any, record: Any) -> None:
        kept.pop(id(record), None)

    event.listen(Pool, "checkout", lent)
    event.listen(Pool, "checkin", back)
    try:
        yield
    finally:
        event.remove(Pool, "checkout", lent)
        event.remove(Pool, "checkin", back)


@pytest.mark.goal
@pytest.mark.parametrize("request_", ALL)
async def test_loop_turns_while_the_database_is_busy(library: Library, request_: str) -> None:
    """While a request waits for the database, the event loop goes on."""
    library.fill("Train")
    seen = await library.ask_while_busy(request_, until=("", 1))
    expect_fine(request_, seen.responses[0])
    if seen.held.blocked_at is not None:
        raise lesson(
            "loop-stood-still",
            seen="Another program had the database for itself. {request} waited for it, and the "
            "loop made {turns} turns meanwhile.",
            production="One long write in the database, and nobody is answered any more, not even "
            "those who ask for something else.",
            look="Which thread does this line wait in, and who else needs that thread?",
            where=seen.held.blocked_at,
            request=request_,
            turns=seen.held.turns,
        )


@pytest.mark.goal
@pytest.mark.parametrize("request_", ALL)
async def test_no_call_to_the_database_stops_the_loop(library: Library, request_: str) -> None:
    """From the first statement to the last one, nothing of the database runs on the loop."""
    library.fill("Train")
    with blocking_calls() as calls:
        response = await library.ask(request_)
    expect_fine(request_, response)
    if calls:
        raise lesson(
            "database-on-the-loop",
            seen="{request} stopped the loop by {count} calls to the database: {calls}.",
            production="Each call takes as long as the database takes, and for so long the whole "
            "service does nothing.",
            look="Which of these lines speak to the database? Not all of them look like it.",
            where=[call.place for call in calls],
            request=request_,
            count=len(calls),
            calls=[f"{call.name} in {call.place.function}" for call in calls],
        )


@pytest.mark.goal
async def test_two_requests_wait_for_the_database_together(library: Library) -> None:
    """Two requests at the same time have a session and a connection each."""
    library.fill("Train")
    seen = await library.ask_while_busy(LIST, ONE, until=("", 2))
    for request, response in zip((LIST, ONE), seen.responses, strict=True):
        expect_fine(request, response)
    if seen.lent < 2:
        stood = seen.held.blocked_at is not None
        raise lesson(
            "second-request-shut-out" if stood else "session-shared",
            seen="Two requests were under way while the database was busy. They had sent {sent} "
            "statements over {lent} connections, and the loop made {turns} turns meanwhile.",
            production="Requests stand in a queue, or work in each other's transaction: what one "
            "of them undoes, the other one loses.",
            look="What does the second request need that the first one has?",
            where=seen.held.blocked_at,
            sent=len(seen.statements),
            lent=seen.lent,
            turns=seen.held.turns,
        )


@pytest.mark.guard
async def test_stored_values_are_answered(library: Library) -> None:
    """A new toy, and a toy that was lent, are answered with the values that are stored by then."""
    wanted = {"id": 1, "name": "Kite", "times_lent": 0}
    library.looks = True
    for request in (ADD, LOAN, LOAN):
        response = await library.ask(request)
        expect_readable(request, response)
        stored = library.content()
        if library.seen != stored:
            raise lesson(
                "answered-before-stored",
                seen="When the end of the answer to {request} went out, {by_then} was stored. "
                "Afterwards it was {stored}.",
                production="The volunteer reads that it is done. If storing fails now, nobody can "
                "tell her any more.",
                look="Which line stores the change for good, and who is waiting when it runs?",
                request=request,
                by_then=str(library.seen),
                stored=str(stored),
            )
        assert stored == [wanted], f"after {request} there is {stored}, not {[wanted]}"
        assert response.json() == wanted, f"{request} was answered with {response.json()}"
        wanted["times_lent"] = library.content()[0]["times_lent"] + 1
    for request, answer in ((LIST, library.content()), (ONE, library.content()[0])):
        response = await library.ask(request)
        expect_fine(request, response)
        assert response.json() == answer


@pytest.mark.guard
async def test_loans_at_the_same_time_are_all_counted(library: Library) -> None:
    """Two loans of the same toy at the same time are two loans."""
    library.fill("Train")
    seen = await library.ask_while_busy(LOAN, LOAN, busy="IMMEDIATE", until=("UPDATE", 2))
    for response in seen.responses:
        expect_readable(LOAN, response)
    times = library.content()[0]["times_lent"]
    told = [response.json()["times_lent"] for response in seen.responses]
    if times == 2 and 2 not in told:
        raise lesson(
            "old-number-told",
            seen="The toy was lent twice at the same time. {times} loans are stored, and the two "
            "answers say {told}.",
            production="What is answered is not what is stored, and nothing in the log says so.",
            look="Who calculates the number of the answer, and from what?",
            times=times,
            told=told,
        )
    if times != 2:
        raise lesson(
            "loan-lost",
            seen="The toy was lent twice at the same time. {times} loan is counted.",
            production="The counter is too low, and more so the more people come.",
            look="Which number does each of the two requests start from, and when did it read it?",
            times=times,
        )


@pytest.mark.guard
async def test_loan_of_another_program_is_counted(library: Library) -> None:
    """A loan that another program writes while this one is under way is counted as well."""
    library.fill("Train")
    others: list[bool] = []

    def executes(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("UPDATE") and not others:
            others.append(library.lend_elsewhere())

    event.listen(Engine, "before_cursor_execute", executes)
    try:
        response = await library.ask(LOAN)
    finally:
        event.remove(Engine, "before_cursor_execute", executes)
    expect_readable(LOAN, response)
    times, loans = library.content()[0]["times_lent"], 1 + sum(others)
    if times != loans:
        raise lesson(
            "loan-overwritten",
            seen="Another program lent the toy just before the UPDATE of {request}. Of {loans} "
            "loans, {times} is counted.",
            production="As soon as the service runs in a second process, loans are lost, and no "
            "error tells it.",
            look="Who calculates the new number, and who else may write in between?",
            request=LOAN,
            loans=loans,
            times=times,
        )


@pytest.mark.guard
async def test_timeout_stays(library: Library) -> None:
    """Each connection waits for another program as long as before."""
    library.fill("Train")
    waits: dict[str, int] = {}

    def lent(connection: Any, record: Any, fairy: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout")
        waits[request] = cursor.fetchone()[0]
        cursor.close()

    event.listen(Pool, "checkout", lent)
    try:
        for request in ALL:
            expect_readable(request, await library.ask(request))
    finally:
        event.remove(Pool, "checkout", lent)
    changed = {request: wait for request, wait in waits.items() if wait != TIMEOUT}
    if changed:
        raise lesson(
            "timeout-lost",
            seen="The connections waited {before} milliseconds for another program. Now they "
            "wait so many: {changed}.",
            production="The office counts the stock for ten seconds, and whoever may wait less "
            "is told that the database is locked.",
            look="What was the engine told besides the address?",
            before=TIMEOUT,
            changed=changed,
        )


@pytest.mark.guard
@pytest.mark.parametrize("request_", [*ALL, "GET /toys/99", "POST /toys/99/loans", "GET /toys/x"])
async def test_connection_comes_back(library: Library, request_: str) -> None:
    """When a request is over, its connection is in the pool again."""
    library.fill("Train")
    response = await library.ask(request_)
    assert response.status_code < 500, f"{request_} was answered with {response.status_code}"
    if library.kept:
        raise lesson(
            "connection-kept",
            seen="{request} was answered with {status}, and {kept} connection that was lent for "
            "it has not come back.",
            production="The pool has fifteen connections at most. The sixteenth request waits for "
            "one that nobody gives back.",
            look="Who closes the session, and when?",
            request=request_,
            status=response.status_code,
            kept=len(library.kept),
        )


@pytest.mark.guard
async def test_list_costs_the_same_statements(library: Library) -> None:
    """A list of one toy and a list of twenty cost at most three statements."""
    counts = {}
    for size in (1, 20):
        library.fill(*[f"Toy {number}" for number in range(len(library.content()), size)])
        with statements() as asked:
            response = await library.ask(LIST)
        expect_fine(LIST, response)
        assert len(response.json()) == size
        counts[f"{size} toys"] = len(asked.sent)
    if max(counts.values()) > 3:
        raise lesson(
            "statements-grow",
            seen="The list was asked for with these numbers of statements: {counts}.",
            production="Each toy more is one more way to the database and back.",
            look="Which of the statements is sent for each toy?",
            where=[one.place for one in asked.sent],
            counts=counts,
        )


@pytest.mark.guard
async def test_next_request_sees_what_changed(library: Library) -> None:
    """What another program changes is seen by the next request."""
    library.fill("Train", "Drum")
    for request in (LIST, ONE):
        expect_fine(request, await library.ask(request))
    library.change("UPDATE toys SET name = ?", ("Robot",))
    assert [toy["name"] for toy in (await library.ask(LIST)).json()] == ["Robot", "Robot"]
    assert (await library.ask(ONE)).json()["name"] == "Robot"


@pytest.mark.guard
async def test_rules_stay(library: Library) -> None:
    """An unknown toy is 404, a name that does not fit is 422, and nothing is stored for it."""
    expect_fine(LIST, await library.ask(LIST))
    for request in ("GET /toys/99", "POST /toys/99/loans"):
        expect_status(await library.ask(request), 404, because="there is no such toy")
    for name in ("", "k" * 81):
        response = await library.client.post("/toys", json={"name": name})
        expect_status(response, 422, because="a name has 1 to 80 characters")
    assert library.content() == []


def expect_fine(request: str, response: httpx.Response) -> None:
    """Fail with a lesson unless the request was answered as it should be."""
    expect_status(response, 201 if request in (ADD, LOAN) else 200, because="the toy is there")


def expect_readable(request: str, response: httpx.Response) -> None:
    """Fail with a lesson if something was stored and could not be read for the answer."""
    crash = crash_of(response)
    if "MissingGreenlet" in repr(crash):
        raise lesson(
            "read-after-commit",
            seen="{request} was answered with {status}. While the answer was made: {crash}.",
            production="The change is stored, and the client is told that it failed. It tries "
            "again.",
            look="Which attribute was read, and who took its value away from the object?",
            where=place_of_exception(crash) if crash else None,
            request=request,
            status=response.status_code,
            crash=cut(" ".join(str(crash).split()), 220),
        )
    expect_fine(request, response)


def _close_what_was_dropped(crash: BaseException | None) -> None:
    """Close what a crash left unawaited, so that nobody is warned of it in a later test."""
    while crash is not None:
        for frame, _ in traceback.walk_tb(crash.__traceback__):
            for value in frame.f_locals.values():
                if isinstance(value, Coroutine) and "MissingGreenlet" in repr(crash):
                    value.close()
        crash = crash.__cause__ or crash.__context__
