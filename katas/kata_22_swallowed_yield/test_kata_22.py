"""However a request ends, the time bank keeps whole transfers only, and says why it failed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import Engine, event, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import Pool
from sqlalchemy.util import greenlet_spawn

from fastapi_katas.probes import EventLog, WatchingTransport, crash_of, expect_status, lesson

ASKED = {"giver": "Ana", "receiver": "Bo", "hours": 3}
AT_FIRST = {"Ana": 10, "Bo": 10}
COMMIT, LENT, BACK = "database: COMMIT", "pool: lends a connection", "pool: has it back"
RECEIPT = "printer: gives a receipt"
# What is asked for instead, so that the request is refused.
CHANGES: dict[str, dict[str, Any]] = {
    "unknown receiver": {"receiver": "Nobody"},
    "too few hours": {"hours": 20},
    "no hours at all": {"hours": 0},
}
REFUSALS = [("unknown receiver", 404), ("too few hours", 409), ("no hours at all", 422)]
# A bounded wait for a request that should have begun or ended long ago.
LIMIT = 5.0


@pytest.fixture(autouse=True)
def _own_database(module: Any, database_url: str) -> None:
    module.DATABASE_URL = database_url


@dataclass
class Bank:
    """The running service, its database, and what happens between the two.

    Attributes:
        log: The order of events: the messages of the service and the steps of its database.
        client: Talks to the service through the log.
        engine: A way of the tests' own into the database.
        module: The module under test.
        commits_fail: Whether the database goes away whenever it shall commit.
    """

    log: EventLog
    client: httpx.AsyncClient
    engine: AsyncEngine
    module: Any
    commits_fail: bool = False
    _kept: dict[int, Any] = field(default_factory=dict)

    async def transfer(self, **changes: Any) -> httpx.Response:
        """Ask for a transfer, and write down what happens until the service is done with it."""
        with self._writing_down():
            return await self.client.post("/transfers", json={**ASKED, **changes})

    async def cancelled_transfer(self) -> asyncio.Task[httpx.Response]:
        """Ask for a transfer, and cancel it in the middle; the task tells how it ended."""
        waits = asyncio.Event()

        async def receipt_that_never_comes() -> str:
            waits.set()
            await asyncio.Event().wait()
            return ""

        self.module.next_receipt = receipt_that_never_comes
        with self._writing_down():
            task = asyncio.create_task(self.client.post("/transfers", json=ASKED))
            begun = asyncio.create_task(waits.wait())
            await asyncio.wait({task, begun}, timeout=LIMIT, return_when="FIRST_COMPLETED")
            begun.cancel()
            assert waits.is_set(), "the service did not ask for the number of the receipt"
            task.cancel()
            await asyncio.wait({task}, timeout=LIMIT)
        return task

    async def two_transfers(self) -> list[httpx.Response]:
        """Ask for a transfer while another one waits for its receipt."""
        go, asked = asyncio.Event(), 0

        async def receipt_that_waits() -> str:
            nonlocal asked
            asked += 1
            await go.wait()
            return uuid4().hex

        self.module.next_receipt = receipt_that_waits
        with self._writing_down():
            tasks = []
            for number in (1, 2):
                task = asyncio.create_task(self.client.post("/transfers", json=ASKED))
                tasks.append(task)
                # The second one may have to wait for the first one, but it has its connection.
                while (  # noqa: ASYNC110 - three things may end the wait
                    asked < number and self.log.events.count(LENT) < number and not task.done()
                ):
                    await asyncio.sleep(0.001)
            go.set()
            return list(await asyncio.gather(*tasks))

    async def content(self) -> tuple[dict[str, int], list[dict[str, Any]]]:
        """Read the hours of all members, and all transfers."""
        async with self.engine.connect() as connection:
            hours = await connection.execute(select(self.module.members))
            transfers = await connection.execute(select(self.module.transfers))
            return (
                {row.name: row.hours for row in hours},
                [dict(row._mapping) for row in transfers],
            )

    @property
    def kept(self) -> int:
        """How many connections were lent and did not come back."""
        return self.log.events.count(LENT) - self.log.events.count(BACK)

    @contextmanager
    def _writing_down(self) -> Iterator[None]:
        def lent(connection: Any, record: Any, fairy: Any) -> None:
            self._kept[id(record)] = fairy  # else it may come back by garbage collection, later
            self.log.mark(LENT)

        def back(connection: Any, record: Any) -> None:
            self._kept.pop(id(record), None)
            self.log.mark(BACK)

        def executes(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
            self.log.mark(f"database: {' '.join(statement.split()[:3])}")

        def commits(connection: Any) -> None:
            if self.commits_fail:
                self.log.mark("database: goes away")
                msg = "the database went away"
                raise ConnectionError(msg)
            self.log.mark(COMMIT)

        def rolls_back(connection: Any) -> None:
            self.log.mark("database: ROLLBACK")

        listeners: list[tuple[Any, str, Callable[..., Any]]] = [
            (Pool, "checkout", lent), (Pool, "checkin", back), (Engine, "commit", commits),
            (Engine, "before_cursor_execute", executes), (Engine, "rollback", rolls_back),
        ]  # fmt: skip
        for place, name, listener in listeners:
            event.listen(place, name, listener)
        try:
            yield
        finally:
            for place, name, listener in listeners:
                event.remove(place, name, listener)

    async def tidy(self) -> None:
        """Take back what the service has kept, so that the next test is not disturbed."""
        for fairy in self._kept.values():
            await greenlet_spawn(fairy.close)


@pytest_asyncio.fixture(loop_scope="function")
async def bank(module: Any, app: Any, database_url: str) -> AsyncIterator[Bank]:
    """The service with two members who have ten hours each."""
    engine = create_async_engine(database_url)
    async with engine.begin() as connection:
        rows = [{"name": name, "hours": hours} for name, hours in AT_FIRST.items()]
        await connection.execute(insert(module.members), rows)
    log = EventLog(app)
    transport = WatchingTransport(log)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        found = Bank(log, client, engine, module)
        yield found
    await found.tidy()
    await engine.dispose()


@pytest.mark.goal
@pytest.mark.parametrize(("way", "status"), REFUSALS)
async def test_refusal_reaches_the_client(bank: Bank, way: str, status: int) -> None:
    """A request that is refused gets the status of the refusal."""
    response = await bank.transfer(**CHANGES[way])
    if response.status_code != status:
        crash = crash_of(response)
        raise lesson(
            "refusal-lost",
            seen="The request had to be refused with {status}. The client got {got}, and the "
            "server wrote {crash} into its log.",
            production="The client cannot tell its own mistake from a broken server, and tries "
            "again. Each refusal wakes the person on call.",
            look="A refusal is an exception. Follow it from where it is raised: who gets it "
            "first?",
            status=status,
            got=response.status_code,
            crash=type(crash).__name__ if crash else "nothing",
        )


@pytest.mark.goal
@pytest.mark.parametrize("way", ["no receipt", "a receipt that is there already"])
async def test_server_learns_the_cause(bank: Bank, way: str) -> None:
    """An exception that nobody expected reaches the server as it is, for its log."""
    cause: object
    if way == "no receipt":
        cause = await _break_receipts(bank)
        crash = crash_of(await bank.transfer())
        is_the_same = crash is cause
    else:
        await _use_one_receipt(bank)
        expect_status(await bank.transfer(), 201, because="the receipt is new")
        cause = "an IntegrityError of the database"
        crash = crash_of(await bank.transfer())
        is_the_same = isinstance(crash, IntegrityError)
    if not is_the_same:
        raise lesson(
            "cause-lost",
            seen="The request failed with {cause}. The server was told of {crash}.",
            production="The log does not name what is broken. The search begins in the wrong "
            "place.",
            look="Which lines get the exception on its way out, and what do they hand on?",
            cause=cause if isinstance(cause, str) else repr(cause),
            crash=repr(crash) if crash else "nothing",
        )


@pytest.mark.goal
@pytest.mark.parametrize("way", ["unknown receiver", "no receipt"])
async def test_failed_transfer_leaves_nothing(bank: Bank, way: str, record_property: Any) -> None:
    """After a transfer that failed in the middle, the database is as it was before."""
    await _make_one(bank)
    before = await bank.content()
    if way == "no receipt":
        await _break_receipts(bank)
    await bank.transfer(**CHANGES.get(way, {}))
    record_property("events", bank.log.events)
    after = await bank.content()
    if after != before:
        raise lesson(
            "half-stored",
            seen="The request failed in the middle. Before it the hours were {before}, after it "
            "they are {after}, and {more} transfers more are stored. What the database was told: "
            "{steps}.",
            production="Hours vanish. Nobody sees it until the members count them, and then no "
            "record says where they went.",
            look="Which line saves, and how does it know that the work was done to its end?",
            before=before[0],
            after=after[0],
            more=len(after[1]) - len(before[1]),
            steps=", ".join(_steps(bank)),
        )


@pytest.mark.goal
@pytest.mark.parametrize("way", ["cancelled", "the commit fails"])
async def test_connection_comes_back(bank: Bank, way: str, record_property: Any) -> None:
    """The connection of a request goes back to the pool, however the request ended."""
    await _make_one(bank)
    if way == "cancelled":
        await bank.cancelled_transfer()
    else:
        bank.commits_fail = True
        await bank.transfer()
    record_property("events", bank.log.events)
    _expect_connection_back(bank)


@pytest.mark.guard
@pytest.mark.parametrize("way", ["stored", "unknown receiver", "no receipt", "no hours at all"])
async def test_connection_came_back_before(bank: Bank, way: str) -> None:
    """The connection goes back after a transfer, a refusal and a failure, as it did before."""
    await _make_one(bank)
    if way == "no receipt":
        await _break_receipts(bank)
    await bank.transfer(**CHANGES.get(way, {}))
    _expect_connection_back(bank)


@pytest.mark.guard
async def test_transfer_is_stored_before_it_is_answered(bank: Bank) -> None:
    """A transfer is answered with 201 and its receipt, and it is stored by then."""
    await _use_one_receipt(bank)
    response = await bank.transfer()
    expect_status(response, 201, because="Ana has the hours and the time bank knows Bo")
    receipt = response.json()
    assert receipt.pop("receipt"), "the receipt has no number"
    assert receipt == ASKED
    events = bank.log.events
    answered = events.index("http.response.start 201")
    assert COMMIT in events[:answered], f"the order was {', '.join(events)}"
    before, after = events[: events.index(RECEIPT)], events[events.index(RECEIPT) :]
    assert any("UPDATE" in step for step in before), f"the order was {', '.join(events)}"
    assert any("INSERT" in step for step in after), f"the order was {', '.join(events)}"
    hours, transfers = await bank.content()
    assert hours == {"Ana": 7, "Bo": 13}
    assert transfers == [response.json()]


@pytest.mark.guard
async def test_cancelled_request_ends_as_cancelled(bank: Bank) -> None:
    """Who cancels a request is obeyed, and nothing of it is stored."""
    task = await bank.cancelled_transfer()
    assert task.done(), f"the request went on for {LIMIT:g} seconds after it was cancelled"
    assert task.cancelled(), "the request was cancelled and ended in another way"
    assert COMMIT not in bank.log.events, "a cancelled request was committed"


@pytest.mark.guard
async def test_two_transfers_have_a_connection_each(bank: Bank) -> None:
    """Two transfers at the same time have a connection each, and both are made."""
    for response in await bank.two_transfers():
        expect_status(response, 201, because="Ana has the hours for both")
    lent = bank.log.events.count(LENT)
    assert lent == 2, f"two transfers at the same time were lent {lent} connections, not two"
    assert (await bank.content())[0] == {"Ana": 4, "Bo": 16}


@pytest.mark.guard
async def test_failed_commit_is_told(bank: Bank) -> None:
    """A commit that fails is no 201, and the server learns why."""
    bank.commits_fail = True
    response = await bank.transfer()
    assert response.status_code == 500, f"the client got {response.status_code}, not 500"
    assert isinstance(crash_of(response), ConnectionError), f"the server got {crash_of(response)!r}"


@pytest.mark.guard
@pytest.mark.parametrize("way", CHANGES)
async def test_next_transfer_is_not_disturbed(bank: Bank, way: str) -> None:
    """After a refusal, the next transfer is made as if nothing had happened."""
    await bank.transfer(**CHANGES[way])
    expect_status(await bank.transfer(hours=1), 201, because="a refusal disturbs nobody else")


async def _make_one(bank: Bank) -> None:
    """Make a transfer that succeeds: what follows is then about the way in which it fails."""
    expect_status(await bank.transfer(hours=1), 201, because="Ana has an hour, and Bo is a member")
    bank.log.events.clear()


async def _use_one_receipt(bank: Bank) -> None:
    number = uuid4().hex

    async def receipt_of_before() -> str:
        bank.log.mark(RECEIPT)
        return number

    bank.module.next_receipt = receipt_of_before


async def _break_receipts(bank: Bank) -> OSError:
    cause = OSError(f"no paper, report {uuid4().hex[:6]}")

    async def receipt_without_paper() -> str:
        raise cause

    bank.module.next_receipt = receipt_without_paper
    return cause


def _expect_connection_back(bank: Bank) -> None:
    if bank.kept:
        raise lesson(
            "connection-kept",
            seen="The request is over, and {kept} connection that the pool lent for it has not "
            "come back. The order was: {order}.",
            production="The pool has a few connections. Each request that ends in this way takes "
            "one, with its locks, until the service waits for a connection for ever.",
            look="Which line gives the connection back, and which ways out of the request do not "
            "pass it?",
            kept=bank.kept,
            order=", ".join(bank.log.events),
        )


def _steps(bank: Bank) -> list[str]:
    return [what.removeprefix("database: ") for what in bank.log.events if "database: " in what]
