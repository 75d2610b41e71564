"""What a service needs from outside is wired in when it is used, by whoever uses it."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
import pytest_asyncio
from asgi_lifespan import LifespanManager
from fastapi import FastAPI, Header
from sqlalchemy import Engine, Table, event, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import Pool

from fastapi_katas.probes import (
    Place,
    Statements,
    WatchingTransport,
    converse,
    cut,
    expect_status,
    lesson,
    place_of_exception,
    statements,
)

Row = dict[str, Any]

# The deposit that the environment names, in cents.
DEPOSIT = 250
NEW: Row = {"thing": "Kettle"}
# What each operation takes from the request: its parameters and the fields of its body.
OPERATIONS: dict[str, list[str]] = {
    "GET /deposit": [],
    "GET /jobs": [],
    "POST /jobs": ["thing"],
    "GET /jobs/{number}": ["number"],
}


@dataclass
class Book:
    """The jobs in one database, reached past the service."""

    engine: AsyncEngine
    jobs: Table

    async def open(self, *things: str) -> None:
        """Make the table, and write down these things."""
        async with self.engine.begin() as connection:
            await connection.run_sync(self.jobs.metadata.create_all)
            rows = [{"thing": thing, "deposit": 100} for thing in things]
            await connection.execute(self.jobs.insert(), rows)
        # No connection stays: what is counted later is the service's own.
        await self.engine.dispose()

    async def things(self) -> list[str]:
        """Return what stands in the table now."""
        async with self.engine.connect() as connection:
            query = select(self.jobs.c.thing).order_by(self.jobs.c.number)
            return list(await connection.scalars(query))


@dataclass
class PoolLog:
    """What happens in the pools of all engines: `connect`, `checkout`, `checkin` and `close`."""

    sent: Statements
    counts: Counter[str] = field(default_factory=Counter)

    def watch(self, name: str) -> Any:
        """Make the listener that counts one kind of event."""

        def count(**_: Any) -> None:
            self.counts[name] += 1

        return count

    @property
    def opened(self) -> int:
        """How many connections were opened."""
        return self.counts["connect"]

    @property
    def out(self) -> int:
        """How many connections are not back in their pool."""
        return self.counts["checkout"] - self.counts["checkin"]

    @property
    def places(self) -> list[Place | None]:
        """The lines that have sent statements."""
        return [statement.place for statement in self.sent.sent]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    """Set the environment of the service before the module is imported."""
    monkeypatch.setenv("CAFE_DATABASE_URL", database_url)
    monkeypatch.setenv("CAFE_DEPOSIT", str(DEPOSIT))


@pytest_asyncio.fixture(loop_scope="function")
async def configured(module: Any, database_url: str) -> AsyncIterator[Book]:
    """The database that the environment names: a toaster and a mixer wait there."""
    book = Book(create_async_engine(database_url), module.jobs)
    await book.open("Toaster", "Mixer")
    yield book
    await book.engine.dispose()


@pytest.fixture
def pool() -> Iterator[PoolLog]:
    """Watch all connections from here on."""
    with statements() as sent:
        log = PoolLog(sent)
        listeners = {name: log.watch(name) for name in ("connect", "checkout", "checkin", "close")}
        for name, listener in listeners.items():
            event.listen(Pool, name, listener, named=True)
        try:
            yield log
        finally:
            for name, listener in listeners.items():
                event.remove(Pool, name, listener)


@pytest_asyncio.fixture(loop_scope="function")
async def own(module: Any, tmp_path: Path) -> AsyncIterator[Book]:
    """A database that only the test knows: a radio and a lamp wait there."""
    book = Book(create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'own.db'}"), module.jobs)
    await book.open("Radio", "Lamp")
    yield book
    await book.engine.dispose()


@pytest.fixture
def moved(environment: None, request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """Let the environment say something else while the module is imported."""
    old = {
        "CAFE_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path / 'old.db'}",
        "CAFE_DEPOSIT": str(DEPOSIT + 50),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in old.items():
            patch.setenv(name, value)
        request.getfixturevalue("module")
    return old


@pytest.mark.goal
async def test_import_needs_no_environment(
    module: Any, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, pool: PoolLog
) -> None:
    """The module can be imported when no environment variable is set, and opens nothing then."""
    expect_status(await client.get("/deposit"), 200, because="here all variables are set")
    before = pool.opened
    with empty_environment(monkeypatch):
        try:
            run_again(module)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever ends the import
            raise lesson(
                "import-reads-environment",
                seen="With the variables set, GET /deposit is answered. Without them the import "
                "itself ends in {error}",
                production="A tool that only wants the OpenAPI document, a test of one function "
                "and the program that migrates the database all need the settings of the service.",
                look="Who needs this value first, and at which moment?",
                where=place_of_exception(error),
                error=cut(" ".join(f"{type(error).__name__}: {error}".split()), 120),
            ) from None
    assert pool.opened == before, "the import opens a connection to the database"


@pytest.mark.goal
async def test_environment_counts_when_the_service_starts(
    moved: dict[str, str], configured: Book, client: httpx.AsyncClient
) -> None:
    """The service uses what the environment says when it starts, not what it said before."""
    response = await client.get("/deposit")
    expect_status(response, 200, because="the deposit is always shown")
    shown = {"deposit": response.text}
    response = await client.get("/jobs")
    shown["jobs"] = response.text if response.is_success else f"status {response.status_code}"
    if response.is_success:
        shown["jobs"] = ", ".join(row["thing"] for row in response.json())
    wanted = {"deposit": str(DEPOSIT), "jobs": ", ".join(await configured.things())}
    wrong = [name for name in wanted if shown[name] != wanted[name]]
    if wrong:
        raise lesson(
            "-and-".join(wrong) + "-of-the-import",
            seen="At the import CAFE_DEPOSIT was {old}. At the start it was {deposit}, and "
            "CAFE_DATABASE_URL named a database with {jobs}. The service shows the deposit "
            "{shown_deposit} and, for the list of jobs: {shown_jobs}.",
            production="Whoever imports the module too early fixes its values for good: a test "
            "that sets a variable, or a second service in the same process, changes nothing.",
            look="At which moment does the value come out of the environment, and where is it "
            "kept from then on?",
            old=moved["CAFE_DEPOSIT"],
            deposit=wanted["deposit"],
            jobs=wanted["jobs"],
            shown_deposit=cut(shown["deposit"]),
            shown_jobs=cut(shown["jobs"]),
        )


@pytest.mark.goal
async def test_session_of_a_test_reaches_every_operation(
    module: Any, raw_app: FastAPI, configured: Book, own: Book, client: httpx.AsyncClient
) -> None:
    """Whoever overrides `get_session` has replaced the database of every operation."""
    calls: list[str] = []

    async def own_session(x_test: Annotated[str, Header()]) -> AsyncIterator[AsyncSession]:
        calls.append("session")
        async with AsyncSession(own.engine) as session:
            yield session

    door = override(module, raw_app, "get_session", own_session)
    found: dict[str, Any] = {}
    past: list[Place | None] = []
    wrong = []
    for operation in dict.fromkeys([*OPERATIONS, *await operations(client)]):
        with sent_past(own.engine) as places:
            response = await request(client, operation)
        past += places
        if places:
            wrong.append(operation)
        elif operation in OPERATIONS:
            expect_status(response, 201 if "POST" in operation else 200, because="it was before")
            found[operation] = response.json()
    things = {"own": await own.things(), "configured": await configured.things()}
    if wrong:
        raise lesson(
            "session-not-replaced" if len(wrong) >= 3 else "session-replaced-in-part",
            seen="{door} The test puts a session of its own in its place, and that was asked for "
            "{calls} times. These operations went to the database of the environment all the "
            "same: {operations}. There is now {configured} in that one, and {own} in the one of "
            "the test.",
            production="The tests are green, and the rows that they write and delete are those of "
            "the service.",
            look="From where does this line get its session, and who could give it another one?",
            where=past,
            door=door,
            calls=len(calls),
            operations=", ".join(wrong),
            **things,
        )
    shown = [[row["thing"] for row in found["GET /jobs"]], found["GET /jobs/{number}"]["thing"]]
    if shown != [["Radio", "Lamp"], "Radio"] or things["own"] != ["Radio", "Lamp", "Kettle"]:
        raise lesson(
            "session-of-the-test-not-used",
            seen="The database of the test had Radio, Lamp. GET /jobs shows {listed}, GET /jobs/1 "
            "shows {one}, and after POST /jobs with Kettle the database has {own}.",
            production="A test that brings its own session sees and writes something else.",
            look="What does each operation do with the session that it is given?",
            listed=shown[0],
            one=shown[1],
            own=things["own"],
        )


@pytest.mark.goal
async def test_settings_of_a_test_reach_every_operation(
    module: Any, raw_app: FastAPI, configured: Book, client: httpx.AsyncClient, database_url: str
) -> None:
    """While an override of `get_settings` lasts, every operation uses what it gives."""
    asked = [7, 9, None]
    seen = []
    door = ""
    for deposit in asked:
        raw_app.dependency_overrides.clear()
        if deposit is not None:
            value = module.Settings(database_url=database_url, deposit=deposit)
            door = override(module, raw_app, "get_settings", given(value))
        shown = {}
        for operation, code in {"GET /deposit": 200, "POST /jobs": 201}.items():
            response = await request(client, operation)
            expect_status(response, code, because="the settings of the test are good ones")
            body = response.json()
            shown[operation] = int(body if operation == "GET /deposit" else body["deposit"])
        seen.append(shown)
    for deposit, shown in zip(asked, seen, strict=True):
        wanted = DEPOSIT if deposit is None else deposit
        wrong = {operation: value for operation, value in shown.items() if value != wanted}
        if not wrong:
            continue
        partly = "-in-part" if len(wrong) < len(shown) else ""
        raise lesson(
            f"settings-not-replaced{partly}" if deposit == 7 else f"first-settings-stay{partly}",
            seen="{door} The test puts settings with the deposit 7 in its place, then some with "
            "9, then none; the environment says {deposit}. The operations have used {used}.",
            production="A test cannot ask what happens with another value. It changes the "
            "environment instead, and the next test finds it changed.",
            look="From where does this operation take its settings, and at which moment?",
            door=door,
            deposit=DEPOSIT,
            used="; ".join(
                f"{operation}: {', '.join(str(each[operation]) for each in seen)}"
                for operation in wrong
            ),
        )


@pytest.mark.goal
async def test_no_connection_before_the_first_use(
    configured: Book, pool: PoolLog, client: httpx.AsyncClient
) -> None:
    """Until an operation needs the database, the service opens no connection to it."""
    response = await client.get("/deposit")
    expect_status(response, 200, because="the deposit is no matter of the database")
    if pool.opened:
        raise lesson(
            "connected-before-use",
            seen="The service has started and has shown its deposit, {deposit}. For that it has "
            "opened {count} connections to the database.",
            production="When the database is away for a minute, no instance of the service can "
            "start, not even for what needs no database. Each test that starts the service needs "
            "a database too, whatever it overrides.",
            look="Who asks the database something although nobody has asked the service?",
            where=pool.places,
            deposit=response.text,
            count=pool.opened,
        )
    expect_status(await client.get("/jobs"), 200, because="the list can be read")
    assert pool.opened, "the list of jobs came without a connection"


@pytest.mark.guard
async def test_jobs_are_taken_in_and_shown(
    app: Any, configured: Book, client: httpx.AsyncClient
) -> None:
    """A job is stored with the deposit of today, has an address, and is in the list."""
    response = await client.post("/jobs", json={"thing": "Bicycle lamp"})
    expect_status(response, 201, because="a thing was taken in")
    job = {"number": 3, "thing": "Bicycle lamp", "deposit": DEPOSIT}
    assert response.json() == job
    assert await configured.things() == ["Toaster", "Mixer", "Bicycle lamp"]
    shown = await client.get(response.headers["location"])
    expect_status(shown, 200, because="the answer to the POST names this address")
    assert shown.json() == job
    response = await client.get("/jobs")
    expect_status(response, 200, because="the list can be read")
    rows = [{"number": n, "thing": t, "deposit": 100} for n, t in [(1, "Toaster"), (2, "Mixer")]]
    assert response.json() == [*rows, job]
    response = await client.get("/deposit")
    expect_status(response, 200, because="the deposit is always shown")
    assert response.json() == DEPOSIT
    body, headers = [b'{"thing": "Clock"}'], [("Content-Type", "application/json")]
    async with converse(app, "POST", "/jobs", headers=headers, body=body) as talk:
        status = await talk.start()
        things = await configured.things()
        await talk.rest()
    if "Clock" not in things:
        raise lesson(
            "answered-before-commit",
            seen="POST /jobs with Clock began its answer, {status}. At this moment the database "
            "had {things}.",
            production="When the commit fails, or the process ends before it, the guest has a "
            "receipt for a thing that is nowhere.",
            look="What is the order of the commit and the answer?",
            status=status,
            things=things,
        )


@pytest.mark.guard
async def test_rules_for_requests_stay(configured: Book, client: httpx.AsyncClient) -> None:
    """A job that is not there is a 404, and a request against the rules is a 422."""
    for number, code in ((2, 200), (3, 404), (2**31 - 1, 404), (0, 422), (2**31, 422)):
        response = await client.get(f"/jobs/{number}")
        expect_status(response, code, because=f"two jobs are there, and this is number {number}")
    for body in ({}, {"thing": ""}, {"thing": "k" * 81}, {**NEW, "deposit": 0}):
        response = await client.post("/jobs", json=body)
        expect_status(response, 422, because=f"{cut(str(body))} is against the rules")
    assert await configured.things() == ["Toaster", "Mixer"]


@pytest.mark.guard
async def test_operations_ask_for_the_same(client: httpx.AsyncClient) -> None:
    """The document lists the same operations, and none of them wants more from a client."""
    response = await client.get("/openapi.json")
    expect_status(response, 200, because="the document is open")
    models = response.json()["components"]["schemas"]
    documented = {}
    for operation, details in (await operations(client)).items():
        takes = [parameter["name"] for parameter in details.get("parameters", [])]
        for body in details.get("requestBody", {}).get("content", {}).values():
            name = body["schema"].get("$ref", "").rpartition("/")[2]
            takes += models.get(name, body["schema"]).get("properties", ["a body"])
        documented[operation] = takes
    for operation, wanted in OPERATIONS.items():
        takes = documented.get(operation, ["it is not there"])
        assert takes == wanted, f"{operation} takes {takes} from the request, and not {wanted}"


@pytest.mark.guard
async def test_missing_variables_are_refused(
    module: Any, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without one of its variables the service shows no deposit: no value is made up."""
    expect_status(await client.get("/deposit"), 200, because="here all variables are set")
    names = ["CAFE_DATABASE_URL", "CAFE_DEPOSIT"]
    made_up = {}
    for name in names:
        with monkeypatch.context() as patch:
            patch.delenv(name)
            try:
                async with started(run_again(module).app) as http:
                    response = await http.get("/deposit")
            except (Exception, SystemExit):  # noqa: BLE001
                continue  # refused to be imported, or to start
        if response.is_success:
            made_up[name] = response.text
    if made_up:
        raise lesson(
            "settings-made-up" if len(made_up) == len(names) else "settings-made-up-in-part",
            seen="One variable is not set, the service starts, and GET /deposit is answered. "
            "Not set, and the answer: {made_up}.",
            production="A name is misspelt in the environment, and the service works for weeks "
            "with a value that nobody has chosen.",
            look="What do the settings have in the place of this variable?",
            made_up=", ".join(f"{name}, {answer}" for name, answer in made_up.items()),
        )


@pytest.mark.guard
async def test_requests_share_one_pool(
    configured: Book, pool: PoolLog, client: httpx.AsyncClient
) -> None:
    """One connection serves all requests that come one after the other, and goes back each time."""
    for number, operation in enumerate([*OPERATIONS, *OPERATIONS], start=1):
        response = await request(client, operation)
        expect_status(response, 201 if "POST" in operation else 200, because="it was before")
        if pool.out or pool.opened > 1:
            raise lesson(
                "connection-not-returned" if pool.out else "connection-per-request",
                seen="After {count} requests, one after the other, {opened} connections were "
                "opened, and {out} of them are not back in a pool.",
                production="The database allows some hundred connections. When they are used up, "
                "everybody waits.",
                look="How long do the engine and the session live, and who ends them?",
                where=pool.places[-1:],
                count=number,
                opened=pool.opened,
                out=pool.out,
            )


@pytest.mark.guard
async def test_requests_at_the_same_time_are_answered(
    configured: Book, client: httpx.AsyncClient
) -> None:
    """Five requests at the same time each get the whole list, and a session of their own."""
    used: list[Session] = []

    def note(session: Session, **_: Any) -> None:
        used.append(session)

    event.listen(Session, "after_begin", note, named=True)
    try:
        responses = await asyncio.gather(*(client.get("/jobs") for _ in range(5)))
    finally:
        event.remove(Session, "after_begin", note)
    for response in responses:
        expect_status(response, 200, because="each request has a session of its own")
        assert [row["thing"] for row in response.json()] == ["Toaster", "Mixer"]
    if len({id(session) for session in used}) < len(responses):
        raise lesson(
            "session-shared",
            seen="{requests} requests at the same time have used {sessions} sessions.",
            production="Requests wait for each other, or what one of them has not committed yet "
            "is seen and ended by another one.",
            look="How long does a session live, and for how many requests?",
            requests=len(responses),
            sessions=len({id(session) for session in used}),
        )


@pytest.mark.guard
async def test_stop_closes_what_was_opened(
    configured: Book, raw_app: FastAPI, pool: PoolLog
) -> None:
    """When the service stops, all connections are closed; it can be started again."""
    for number in (1, 2):
        async with started(raw_app) as http:
            response = await http.get("/jobs")
        expect_status(response, 200, because=f"this is start number {number}")
        if pool.counts["close"] != pool.opened:
            raise lesson(
                "left-open",
                seen="The service has opened {opened} connections. It has stopped, and {closed} of "
                "them are closed.",
                production="The database keeps each of them until it gives up waiting; a few "
                "restarts later it takes no new ones.",
                look="Who made the engine, and who could end it?",
                opened=pool.opened,
                closed=pool.counts["close"],
            )


def override(module: Any, app: FastAPI, name: str, replacement: Any) -> str:
    """Put something in the place of a dependency, and say whether the module has it."""
    dependency = getattr(module, name, None)
    if dependency is None:
        return f"The module has no `{name}`."
    app.dependency_overrides[dependency] = replacement
    return f"The module has a `{name}`."


def given(value: Any) -> Any:
    """Make a dependency that gives a value, and has a parameter of its own."""

    async def give(x_test: Annotated[str, Header()]) -> Any:
        return value

    return give


async def operations(client: httpx.AsyncClient) -> dict[str, Row]:
    """Return all operations of the document, by method and path."""
    response = await client.get("/openapi.json")
    expect_status(response, 200, because="the document is open")
    return {
        f"{method.upper()} {path}": details
        for path, methods in response.json()["paths"].items()
        for method, details in methods.items()
    }


async def request(client: httpx.AsyncClient, operation: str) -> httpx.Response:
    """Send a good request for an operation, with the header that the overrides want."""
    method, path = operation.split(" ", 1)
    body = NEW if method in {"POST", "PUT", "PATCH"} else None
    url = path.replace("{number}", "1")
    return await client.request(method, url, json=body, headers={"X-Test": "yes"})


@contextmanager
def sent_past(own: AsyncEngine) -> Iterator[list[Place | None]]:
    """Collect the lines that send a statement to another engine than this one."""
    is_past: list[bool] = []
    places: list[Place | None] = []

    def note(**seen: Any) -> None:
        is_past.append(seen["conn"].engine is not own.sync_engine)

    event.listen(Engine, "before_cursor_execute", note, named=True)
    try:
        with statements() as record:
            yield places
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    sent = zip(record.sent, is_past, strict=True)
    places += [statement.place for statement, past in sent if past]


@contextmanager
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let no environment variable be set."""
    with monkeypatch.context() as patch:
        for name in list(os.environ):
            patch.delenv(name)
        yield


def run_again(module: Any) -> Any:
    """Execute the module once more, as another import in another process would."""
    spec = module.__spec__
    fresh = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, spec.name, fresh)
        spec.loader.exec_module(fresh)
    return fresh


@asynccontextmanager
async def started(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Start a service by hand, and stop it at the end of the block."""
    async with LifespanManager(app, 15, 15) as manager:
        transport = WatchingTransport(manager.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as http:
            yield http
