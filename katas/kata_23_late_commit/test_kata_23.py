"""An answer and an e-mail are promises, so the commit that keeps them comes first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

import fastapi.routing
import httpx
import pytest
import pytest_asyncio
from sqlalchemy import Engine, column, event, table
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import Pool
from sqlalchemy.util import await_
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_katas.probes import (
    EventLog,
    TaskLedger,
    WatchingTransport,
    crash_of,
    expect_status,
    lesson,
    place_of_exception,
    turns,
)

hours = table("hours", column("code"))
appointments = table("appointments", column("number"), column("donor"), column("hour"))

ADA, IDA, EVA = "ada@example.org", "ida@example.org", "eva@example.org"
# Who has which hour before a test.
BEFORE = f"{ADA} mon-09"

# How often the loop turns until a request that was cancelled must have noticed it.
PATIENCE_TURNS = 100
# Ends a hang. Each request opens a connection with a thread, so a busy machine is slow here.
LIMIT_SECONDS = 15.0

# Whether the test itself is at work in the database, and not the service.
_own_work: ContextVar[bool] = ContextVar("own_work", default=False)


@dataclass(frozen=True)
class Change:
    """A request, its status, who has which hour afterwards, and who is told."""

    method: str
    path: str
    body: dict[str, str]
    status: int
    after: str = BEFORE
    told: str = ""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


MAKE = Change(
    method="POST",
    path="/appointments",
    body={"donor": IDA, "hour": "mon-10"},
    status=201,
    after=f"{BEFORE}, {IDA} mon-10",
    told=IDA,
)
MOVE = Change(
    method="PUT",
    path="/appointments/1",
    body={"hour": "mon-10"},
    status=200,
    after=f"{ADA} mon-10",
    told=ADA,
)
FULL_DISK = "the disk was full"
HOUR_GONE = "the office took mon-10 out of its plan"

each_change = pytest.mark.parametrize(
    "change", [pytest.param(MAKE, id="make"), pytest.param(MOVE, id="move")]
)


@dataclass
class Witness:
    """The running service, behind a log of events, and a second connection to its database."""

    log: EventLog
    engine: AsyncEngine
    mails: list[str] = field(default_factory=list)
    mail_error: Exception | None = None
    commit_error: Exception | None = None
    # What anybody else could read when the answer began, and when the mail went out.
    at_answer: str | None = None
    at_mail: str | None = None
    # What happens when something is "read", before the first "write", when it is "written", when
    # the endpoint is "done", and before the "start" and the "body" of the answer are sent.
    meanwhile: dict[str, Callable[[], Awaitable[object]]] = field(default_factory=dict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.at_answer = await self.rows()
            await self.come_to(message["type"].removeprefix("http.response."))
            await send(message)

        await self.log(scope, receive, watched)

    async def come_to(self, moment: str) -> None:
        """Let happen what shall happen at this moment, once."""
        if moment in self.meanwhile:
            await self.meanwhile.pop(moment)()

    async def send(self, change: Change, **body: str) -> httpx.Response:
        """Send the request of a donor, with other values in its body if there are any."""
        transport = WatchingTransport(self, limit=LIMIT_SECONDS)
        http = httpx.AsyncClient(transport=transport, base_url="http://testserver")
        async with finishing(), http as client:
            return await client.request(change.method, change.path, json=change.body | body)

    async def cancel(self, change: Change, moment: str) -> None:
        """Send the request of a donor, and let the server cancel it at this moment."""
        request = asyncio.ensure_future(self.send(change))

        async def cancel() -> None:
            request.cancel()
            # Where a cancellation does not come through, as in a shielded commit, work goes on.
            await turns(PATIENCE_TURNS)

        self.meanwhile[moment] = cancel
        async with finishing():
            with suppress(asyncio.CancelledError):
                response = await request
                expect_status(response, change.status, because=f"{change} is right")
                came = "never came to" if moment in self.meanwhile else "was cancelled at"
                pytest.fail(f"{change} was answered with success, and {came} {moment!r}")

    async def close_hour(self) -> None:
        """Take an hour out of the plan, as the office may at any time."""
        self.log.mark("the office takes mon-10 out of its plan")
        with own_work():
            async with self.engine.begin() as connection:
                await connection.execute(hours.delete().where(hours.c.code == "mon-10"))

    async def fill_disk(self) -> None:
        """Let each commit of the service fail from now on."""
        self.log.mark("the disk is full")
        self.commit_error = OperationalError("COMMIT", None, OSError(FULL_DISK))

    async def rows(self) -> str:
        """Read who has which hour, as anybody else would."""
        with own_work():
            async with self.engine.connect() as connection:
                found = await connection.execute(appointments.select())
                return ", ".join(sorted(f"{row.donor} {row.hour}" for row in found))

    async def send_mail(self, to: str, text: str) -> None:
        """Stand in for the mail server."""
        self.log.mark(f"mail server: {text}")
        self.mails.append(f"{to}: {text}")
        self.at_mail = await self.rows()
        if self.mail_error is not None:
            raise self.mail_error

    @property
    def order(self) -> str:
        """What happened, without what was only read and without connections."""
        less = ("SELECT", "taken", "given back")
        return " → ".join(what for what in self.log.events if not what.endswith(less))


@asynccontextmanager
async def finishing() -> AsyncIterator[None]:
    """Wait for tasks that a request leaves behind, so that chance does not decide what is seen."""
    before = asyncio.all_tasks()
    yield
    if left := asyncio.all_tasks() - before - {asyncio.current_task()}:
        await asyncio.wait(left, timeout=LIMIT_SECONDS)


@contextmanager
def own_work() -> Iterator[None]:
    """Keep what the test does itself out of the log."""
    token = _own_work.set(True)
    try:
        yield
    finally:
        _own_work.reset(token)


@contextmanager
def watching(witness: Witness) -> Iterator[None]:
    """Write down what the service does in its database, whatever shape its code has."""

    def note(what: str) -> None:
        if not _own_work.get():
            witness.log.mark(f"database: {what}")

    def before(_: Any, cursor: Any, sql: str, *__: Any) -> None:
        if not _own_work.get() and not sql.startswith("SELECT"):
            await_(witness.come_to("write"))
        note(sql.split()[0])

    def after(_: Any, cursor: Any, sql: str, *__: Any) -> None:
        if not _own_work.get():
            await_(witness.come_to("read" if sql.startswith("SELECT") else "written"))

    def commit(_: Any) -> None:
        note("COMMIT")
        if witness.commit_error is not None and not _own_work.get():
            note("refused")
            raise witness.commit_error

    def failed(context: Any) -> None:
        if isinstance(context.original_exception, Exception):  # a cancellation is none
            note("refused")

    listeners: list[tuple[Any, str, Callable[..., None]]] = [
        (Pool, "checkout", lambda *_: note("connection taken")),
        (Pool, "checkin", lambda *_: note("connection given back")),
        (Engine, "before_cursor_execute", before),
        (Engine, "after_cursor_execute", after),
        (Engine, "commit", commit),
        (Engine, "handle_error", failed),
        (Engine, "rollback", lambda *_: note("ROLLBACK")),
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
    if not database_url.startswith("sqlite"):
        yield
        return

    def hurry(connection: Any, _: object) -> None:
        # Nobody pulls the plug here, so no commit has to wait for the disk.
        connection.execute("PRAGMA synchronous = OFF")

    event.listen(Engine, "connect", hurry)
    try:
        yield
    finally:
        event.remove(Engine, "connect", hurry)


@pytest_asyncio.fixture(loop_scope="function")
async def witness(
    module: Any,
    app: ASGIApp,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> AsyncIterator[Witness]:
    """The running service. The plan has two hours on Monday, and Ada comes at nine."""
    engine = create_async_engine(database_url)
    async with engine.begin() as connection:
        await connection.execute(hours.insert(), [{"code": "mon-09"}, {"code": "mon-10"}])
        await connection.execute(appointments.insert(), [{"donor": ADA, "hour": "mon-09"}])
    witness = Witness(EventLog(app), engine)
    module.send_mail = witness.send_mail
    call_endpoint = fastapi.routing.run_endpoint_function

    async def noted(**of_endpoint: Any) -> Any:
        witness.log.mark("the endpoint begins")
        try:
            result = await call_endpoint(**of_endpoint)
            await witness.come_to("done")
            return result
        finally:
            witness.log.mark("the endpoint ends")

    monkeypatch.setattr(fastapi.routing, "run_endpoint_function", noted)
    # The list grows until the test has ended, so that each test leaves its order behind.
    record_property("events", witness.log.events)
    with watching(witness):
        yield witness
    await engine.dispose()


@pytest.mark.goal
@each_change
async def test_answer_begins_after_the_commit(change: Change, witness: Witness) -> None:
    """When the answer begins, everybody can read what it says."""
    response = await witness.send(change)
    expect_status(response, change.status, because=f"{change} is right")
    if witness.at_answer != change.after:
        raise lesson(
            "answer-before-commit",
            seen="When the answer to {change} began with status {status}, this could be read: "
            "{read}. Wanted: {wanted}. The order was: {order}",
            production="The client acts on the answer at once and finds nothing: its next request "
            "may be quicker than the database. What goes wrong from here on, it is never told.",
            look="What makes a change visible to others, and which line of yours brings it about?",
            change=str(change),
            status=response.status_code,
            read=witness.at_answer,
            wanted=change.after,
            order=witness.order,
        )


@pytest.mark.goal
@each_change
async def test_mail_goes_out_after_the_commit(change: Change, witness: Witness) -> None:
    """When the e-mail goes out, everybody can read what it says."""
    response = await witness.send(change)
    expect_status(response, change.status, because=f"{change} is right")
    expect_one_mail(change, witness)
    if witness.at_mail != change.after:
        raise lesson(
            "mail-before-commit",
            seen="When the mail to {told} went out, this could be read: {read}. Wanted: "
            "{wanted}. The order was: {order}",
            production="An e-mail cannot be taken back. If the database refuses now, somebody "
            "travels for nothing.",
            look="Which of the events in this order can still fail, and what has left by then?",
            told=change.told,
            read=witness.at_mail,
            wanted=change.after,
            order=witness.order,
        )


@pytest.mark.goal
@pytest.mark.parametrize(
    ("change", "cause"),
    [
        pytest.param(MAKE, HOUR_GONE, id="make"),
        pytest.param(MOVE, HOUR_GONE, id="move"),
        pytest.param(MAKE, FULL_DISK, id="full-disk"),
    ],
)
async def test_failed_commit_is_no_success(change: Change, cause: str, witness: Witness) -> None:
    """What the database refuses at the commit is answered with an error."""
    response = await refused_at_commit(change, witness, cause)
    if response.status_code < 400:
        crash = crash_of(response)
        raise lesson(
            "success-of-nothing",
            seen="While {change} was under way, {cause}, and the database refused the commit. The "
            "client got {status}. The table has: {rows}. The order was: {order}",
            production="The donor stands at the door, and nobody has the name. The log has an "
            "error, but it belongs to a request that was a success.",
            look="At which point of this order was the status gone, so that nothing could change "
            "it any more?",
            where=place_of_exception(crash) if crash else None,
            change=str(change),
            cause=cause,
            status=response.status_code,
            rows=await witness.rows(),
            order=witness.order,
        )


@pytest.mark.goal
@each_change
async def test_failed_commit_sends_no_mail(change: Change, witness: Witness) -> None:
    """What the database refuses at the commit is confirmed to nobody."""
    await refused_at_commit(change, witness)
    if witness.mails:
        raise lesson(
            "mail-about-nothing",
            seen="The database refused the commit of {change}, and the table has: {rows}. The mail "
            "server got: {mails}. The order was: {order}",
            production="The donor has it in writing. There is no appointment, and no second mail "
            "that says so.",
            look="What decides when the mail goes out? What does it know about the database?",
            change=str(change),
            rows=await witness.rows(),
            mails=witness.mails,
            order=witness.order,
        )


@pytest.mark.goal
async def test_answer_that_breaks_off_takes_nothing_back(witness: Witness) -> None:
    """When a request is cancelled after its answer has begun, the change is kept."""
    await witness.cancel(MAKE, "body")
    rows = await witness.rows()
    if rows != MAKE.after:
        raise lesson(
            "lost-after-the-status",
            seen="The answer had begun when the server cancelled the request. The table has: "
            "{rows}. Wanted: {wanted}. The order was: {order}",
            production="The server stops, or a time limit ends the request, while a slow client "
            "still reads. The client has a status that says success, and the change is gone.",
            look="What has to happen between the first byte of the answer and the commit?",
            rows=rows,
            wanted=MAKE.after,
            order=witness.order,
        )


@pytest.mark.goal
async def test_failing_mail_takes_nothing_back(witness: Witness) -> None:
    """When the mail server fails, the appointment that was answered with 201 is kept."""
    witness.mail_error = ConnectionRefusedError("the mail server is away")
    response = await witness.send(MAKE)
    expect_status(response, 201, because="the mail goes out after the answer")
    rows = await witness.rows()
    if rows != MAKE.after:
        raise lesson(
            "lost-with-the-mail",
            seen="The answer was {status}. Then the mail server failed: {error}. The table has: "
            "{rows}. Wanted: {wanted}. The order was: {order}",
            production="While the mail server is away, each appointment is answered with 201 and "
            "taken back.",
            look="Whose exception does the code after `yield` get to see?",
            status=response.status_code,
            error=str(witness.mail_error),
            rows=rows,
            wanted=MAKE.after,
            order=witness.order,
        )


@pytest.mark.guard
@each_change
async def test_change_is_answered_and_confirmed(change: Change, witness: Witness) -> None:
    """A change is answered as before, and confirmed by one mail when the answer is out."""
    async with TaskLedger() as started:

        async def hold() -> None:
            """Hold the answer back until all tasks that do not wait for it have ended."""
            with suppress(TimeoutError):
                async with asyncio.timeout(LIMIT_SECONDS / 3):
                    while any(task.state == "pending" for task in started.records):
                        await turns(1)

        witness.meanwhile["start"] = hold
        response = await witness.send(change)
    expect_status(response, change.status, because=f"{change} is right")
    number = 1 + (change is MAKE)
    shown = {"number": number, "donor": change.told, "hour": "mon-10"}
    assert response.json() == shown
    expect_one_mail(change, witness)
    events = witness.log.events
    mail = next(index for index, what in enumerate(events) if what.startswith("mail server"))
    if "http.response.body" not in events[:mail]:
        raise lesson(
            "mail-before-answer",
            seen="The mail went out before the answer was sent. The order was: {order}",
            production="Either each donor waits for the mail server, or nobody does: then a mail "
            "that is under way is lost when the service stops.",
            look="What is the mail waiting for here, and who waits for the mail?",
            order=witness.order,
        )
    location = f"/appointments/{number}"
    if change is MAKE:
        location = response.headers.get("location", "no address")
    again = await witness.send(Change("GET", location, {}, 200))
    assert again.json() == shown, f"GET {location} shows another appointment"


@pytest.mark.guard
@pytest.mark.parametrize(
    ("change", "body", "status"),
    [
        pytest.param(MAKE, {"hour": "sun-09"}, 404, id="unknown-hour"),
        pytest.param(Change("PUT", "/appointments/7", MOVE.body, 404), {}, 404, id="unknown"),
        pytest.param(MAKE, {"donor": ADA}, 409, id="second"),
        pytest.param(MAKE, {"hour": "Monday"}, 422, id="invalid"),
    ],
)
async def test_refused_request_changes_nothing(
    change: Change, body: dict[str, str], status: int, witness: Witness
) -> None:
    """A request that the service refuses has its own status, changes nothing and sends no mail."""
    response = await witness.send(change, **body)
    expect_status(response, status, because="the service refuses this request")
    assert await witness.rows() == BEFORE
    assert not witness.mails, f"the request was refused, and the mail server got {witness.mails}"


@pytest.mark.guard
async def test_cancelled_request_changes_nothing(witness: Witness) -> None:
    """A request that is cancelled before its commit changes nothing and sends no mail."""
    for moment in ("read", "written"):
        witness.log.events.clear()
        await witness.cancel(MAKE, moment)
        assert witness.at_answer is None, "the request was cancelled, and still answered"
        if moment == "written" and "database: COMMIT" in witness.log.events:
            return  # A commit that writes by itself, behind a shield, may come to either end.
        seen = f"the table has: {await witness.rows()}, and the mail server got {witness.mails}"
        wanted = f"the table has: {BEFORE}, and the mail server got []"
        assert seen == wanted, f"it was cancelled when it had {moment}, and {seen}"


@pytest.mark.guard
async def test_request_leaves_nothing_behind(witness: Witness) -> None:
    """Who was refused can try again and gets one mail; each request gives its connection back."""
    await refused_at_commit(MAKE, witness)
    witness.mails.clear()
    again = replace(MAKE, body={"donor": IDA, "hour": "mon-09"})
    response = await witness.send(again)
    expect_status(response, 201, because="a donor whose commit was refused can try again")
    expect_one_mail(again, witness)
    response = await witness.send(again)
    expect_status(response, 409, because="a donor has one appointment at a time")
    await witness.cancel(replace(again, body={"donor": EVA, "hour": "mon-09"}), "done")
    taken, back = (
        witness.log.events.count(f"database: connection {what}") for what in ("taken", "given back")
    )
    assert taken == back, f"{taken} connections were taken, {back} were given back"


async def refused_at_commit(
    change: Change, witness: Witness, cause: str = HOUR_GONE
) -> httpx.Response:
    """Send a request, and see to it that the database refuses what is written down from now on."""
    full = cause == FULL_DISK
    witness.meanwhile["write"] = witness.fill_disk if full else witness.close_hour
    response = await witness.send(change)
    if "write" in witness.meanwhile:
        expect_status(response, change.status, because=f"{change} is right")
        pytest.fail(f"{change} was answered with {change.status} and has written nothing")
    rows = await witness.rows()
    if rows != BEFORE:
        raise lesson(
            "kept-against-the-database",
            seen="Before {change} was written down, {cause}. The answer was {status}, and the "
            "table has: {rows}. Wanted: {wanted}.",
            production="The book has appointments that must not be in it: nobody is there at this "
            "hour, or the donor was told that there is none.",
            look="What in the database would have kept this change out of the table?",
            change=str(change),
            cause=cause,
            status=response.status_code,
            rows=rows,
            wanted=BEFORE,
        )
    return response


def expect_one_mail(change: Change, witness: Witness) -> None:
    """Fail with a lesson unless one mail went out, to the donor and about the new hour."""
    mails, hour = witness.mails, change.body["hour"]
    if len(mails) != 1 or not mails[0].startswith(change.told) or hour not in mails[0]:
        raise lesson(
            "not-one-mail",
            seen="After {change} the mail server got {count} mails: {mails}.",
            production="The donor does not know, or knows it twice.",
            look="Compare with the contract on the page of this kata.",
            change=str(change),
            count=len(witness.mails),
            mails=witness.mails,
        )
