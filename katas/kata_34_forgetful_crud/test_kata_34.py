"""One way to write rows of all tables: it stores what was sent, and says what it has done."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import Engine, event, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from fastapi_katas.probes import cut, expect_status, lesson
from fastapi_katas.probes.http import WatchingTransport

Row = dict[str, Any]

KINDS = ["observers", "telescopes"]
NEW: dict[str, Row] = {
    "observers": {"name": "Ines", "joined_on": "2024-02-29", "password": "first password"},
    "telescopes": {"name": "Refractor", "fee": "12.50", "key": "first key"},
}
SECRET = {"observers": "password", "telescopes": "key"}
LONG_AGO = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)
# Each Argon2 hash says how it was made, so this finds out for all of them.
HASHES = PasswordHash([Argon2Hasher()])


@dataclass
class Observatory:
    """The running service, and a way of the tests' own into its database."""

    client: httpx.AsyncClient
    engine: AsyncEngine
    tables: dict[str, Any]
    # What the table had when the last byte of the answer to a change went out.
    at_answer: dict[int, Row] = field(default_factory=dict)

    async def add(self, kind: str, **more: Any) -> Row:
        """Let the service store a new row."""
        response = await self.client.post(f"/{kind}", json={**NEW[kind], **more})
        expect_status(response, 201, because="this is a complete row")
        return dict(response.json())

    async def add_old(self, kind: str, **more: Any) -> int:
        """Put an old row into the table, past the service, and return its number."""
        row: Row = {
            "observers": {"name": "Theo", "joined_on": date(2001, 2, 3), "password_hash": "none"},
            "telescopes": {"name": "Old one", "fee": Decimal("3.10"), "key_hash": "none"},
        }[kind]
        row |= {"created_at": LONG_AGO, "updated_at": LONG_AGO, **more}
        table = self.tables[kind]
        async with self.engine.begin() as connection:
            number = await connection.scalar(insert(table).values(row).returning(table.c.id))
        return int(number)

    async def change(self, kind: str, number: int, change: Row) -> Row:
        """Change a row; what the answer shows must be what is stored."""
        response = await self.client.patch(f"/{kind}/{number}", json=change)
        expect_status(response, 200, because=f"{change} may be changed")
        answer = dict(response.json())
        await self.expect_stored(answer, f"PATCH /{kind}/{number} with {change}", kind)
        return answer

    async def expect_stored(self, answer: Row, request: str, kind: str) -> None:
        """Fail with a lesson unless a GET shows the same row as this answer."""
        read = await self.show(kind, answer["id"])
        other = [name for name in read if _value(answer, name) != _value(read, name)]
        if other:
            raise lesson(
                "answer-is-stale",
                seen="{request} is answered with {answer}. A GET right after it shows {read}.",
                production="The page of the person shows the old state, so the change is made "
                "again, or reported as lost.",
                look="From when are the values in the answer, and who could know the new ones?",
                request=request,
                answer=str({name: answer.get(name) for name in other}),
                read=str({name: read[name] for name in other}),
            )

    async def show(self, kind: str, number: int) -> Row:
        """Read a row through the service."""
        response = await self.client.get(f"/{kind}/{number}")
        expect_status(response, 200, because="there is such a row")
        return dict(response.json())

    async def rows(self, kind: str) -> dict[int, Row]:
        """Read all rows of a table, past the service."""
        async with self.engine.connect() as connection:
            rows = (await connection.execute(select(self.tables[kind]))).mappings().all()
        return {row["id"]: dict(row) for row in rows}

    async def row(self, kind: str, number: int) -> Row:
        """Read one row, past the service."""
        return (await self.rows(kind))[number]


@pytest_asyncio.fixture(autouse=True)
async def _own_database(module: Any, database_url: str) -> None:
    module.DATABASE_URL = database_url


@pytest_asyncio.fixture
async def observatory(
    module: Any, app: Any, database_url: str
) -> AsyncIterator[Observatory]:
    """The service with an empty database."""
    engine = create_async_engine(database_url)

    async def served(scope: Any, receive: Any, send: Any) -> None:
        async def sent(message: Any) -> None:
            last = message["type"] == "http.response.body" and not message.get("more_body")
            if last and scope["method"] == "PATCH":
                place.at_answer = await place.rows(scope["path"].split("/")[1])
            await send(message)

        await app(scope, receive, sent)

    try:
        async with httpx.AsyncClient(
            transport=WatchingTransport(served), base_url="http://testserver"
        ) as client:
            place = Observatory(client, engine, module.Base.metadata.tables)
            yield place
    finally:
        await engine.dispose()


@pytest.mark.goal
@pytest.mark.parametrize("kind", KINDS)
async def test_new_secret_takes_the_place_of_the_old(
    kind: str, observatory: Observatory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a new secret is sent, its hash is stored: the new one opens, the old one does not."""
    secret = SECRET[kind]
    number = (await observatory.add(kind))["id"]
    before = await observatory.row(kind, number)
    threads: list[int] = []
    make = PasswordHash.hash

    def watched(hasher: PasswordHash, *args: Any, **more: Any) -> str:
        threads.append(threading.get_ident())
        return make(hasher, *args, **more)

    monkeypatch.setattr(PasswordHash, "hash", watched)
    await observatory.change(kind, number, {secret: "second secret", "name": "Nova"})
    after = await observatory.row(kind, number)
    stored = str(after[f"{secret}_hash"])
    if "second secret" in stored:
        raise lesson(
            "secret-in-clear",
            seen="After PATCH /{kind}/{number} with a new {secret}, the column has {stored}.",
            production="Whoever sees a copy of the table can log in as everybody.",
            look="What happens to a secret of a new row, and what to one of a change?",
            kind=kind,
            number=number,
            secret=secret,
            stored=stored,
        )
    opens = {each: _opens(each, stored) for each in (NEW[kind][secret], "second secret")}
    if opens != {NEW[kind][secret]: False, "second secret": True}:
        raise lesson(
            "secret-not-stored",
            seen="PATCH /{kind}/{number} with a new {secret} was answered with 200. The hash "
            "in the table before: {before}, after: {stored}. What it opens for: {opens}.",
            production="Somebody changes a stolen password, reads that all is well, and the thief "
            "still gets in.",
            look="Which name has the secret in the request, and which one in the table?",
            kind=kind,
            number=number,
            secret=secret,
            before=cut(str(before[f"{secret}_hash"]), 60),
            stored=cut(stored, 60),
            opens=str(opens),
        )
    then = str(observatory.at_answer[number][f"{secret}_hash"])
    if then != stored:
        raise lesson(
            "secret-after-answer",
            seen="As the answer to PATCH /{kind}/{number} went out, the table had {then}."
            " Later it was {stored}.",
            production="Somebody reads that the password is changed, and the old one still opens. "
            "If the service stops now, it opens for good.",
            look="What does 200 promise, and what is still to be done when it is sent?",
            kind=kind,
            number=number,
            then=cut(then, 60),
            stored=cut(stored, 60),
        )
    on_loop = threads.count(threading.get_ident())
    if on_loop:
        raise lesson(
            "hash-on-the-loop",
            seen="For PATCH /{kind}/{number}, {on_loop} of {made} hashes were made in the thread "
            "of the event loop.",
            production="A hash of full strength takes a while, and for so long nobody else is "
            "served.",
            look="Who makes the hash of a new row, and who makes the one of a change?",
            kind=kind,
            number=number,
            on_loop=on_loop,
            made=len(threads),
        )
    _expect_same_but(before, after, {f"{secret}_hash", "name", "updated_at"})
    assert after["name"] == "Nova"


@pytest.mark.goal
async def test_values_keep_their_type(observatory: Observatory) -> None:
    """A day is stored as a day and an amount as an amount, exactly as they were sent."""
    numbers = {kind: (await observatory.add(kind))["id"] for kind in KINDS}
    for kind, name, sent, wanted in (
        ("telescopes", "fee", "1234.10", Decimal("1234.10")),
        ("telescopes", "fee", "0", Decimal(0)),
        ("observers", "joined_on", "2025-12-31", date(2025, 12, 31)),
    ):
        answer = await observatory.change(kind, numbers[kind], {name: sent})
        stored = (await observatory.row(kind, numbers[kind]))[name]
        shown = Decimal(answer[name]) if name == "fee" else date.fromisoformat(answer[name])
        if (stored, shown) != (wanted, wanted):
            raise lesson(
                "value-not-kept",
                seen="{name} was changed to {sent}. The table has {stored}, the answer {shown}.",
                production="Sums and calendars are made of other values than the ones that were "
                "entered.",
                look="Through which hands does the value go, and what does each make of it?",
                name=name,
                sent=sent,
                stored=repr(stored),
                shown=repr(shown),
            )


@pytest.mark.goal
async def test_new_row_is_complete(observatory: Observatory) -> None:
    """A new row has both points in time at once, in the table and in the answer."""
    for kind in KINDS:
        answer = await observatory.add(kind)
        row = await observatory.row(kind, answer["id"])
        empty = sorted(name for name in row if row[name] is None and name != "keeper_id")
        missing = [name for name in ("created_at", "updated_at") if answer.get(name) is None]
        if empty or missing:
            raise lesson(
                "row-incomplete" if empty else "answer-incomplete",
                seen="POST /{kind} is answered with {answer}. Columns without a value in the new "
                "row: {empty}.",
                production="Whoever sorts by the last change does not see new rows, and a client "
                "that expects a point in time breaks on them.",
                look="Who gives these columns their value, and on which occasion?",
                kind=kind,
                answer=str(answer),
                empty=empty,
            )
        await observatory.expect_stored(answer, f"POST /{kind}", kind)
        first = _value(answer, "created_at")
        second = _value(await observatory.add(kind), "updated_at")
        # A database may make its times in whole seconds.
        if second < (first if second.microsecond else first.replace(microsecond=0)):
            raise lesson(
                "time-of-another-day",
                seen="A row was made at {first}. The one that was made after it has the "
                "updated_at {second}.",
                production="Whoever asks for what is new since the last time gets no new rows.",
                look="When is the value of this column made, and how often?",
                first=str(first),
                second=str(second),
            )


@pytest.mark.goal
async def test_answer_shows_the_new_keeper(observatory: Observatory) -> None:
    """A telescope gets a keeper, another one and none; each answer shows what is stored then."""
    first = (await observatory.add("observers"))["id"]
    second = await observatory.add_old("observers")
    telescope = (await observatory.add("telescopes"))["id"]
    for keeper in (first, second, None):
        answer = await observatory.change("telescopes", telescope, {"keeper_id": keeper})
        stored = (await observatory.row("telescopes", telescope))["keeper_id"]
        if stored != keeper or (answer["keeper"] or {}).get("id") != keeper:
            raise lesson(
                "keeper-not-stored",
                seen="PATCH with keeper_id {keeper} is answered with the keeper {shown}, and the "
                "table has {stored}.",
                production="Who looks after what cannot be changed, or not be taken back.",
                look="How is a field that was not sent told from one that was sent as null?",
                keeper=str(keeper),
                shown=str(answer["keeper"]),
                stored=str(stored),
            )


@pytest.mark.goal
async def test_missing_row_cannot_be_removed(observatory: Observatory) -> None:
    """To remove a row that is not there is answered with 404, also when it was there before."""
    for kind in KINDS:
        number = (await observatory.add(kind))["id"]
        response = await observatory.client.delete(f"/{kind}/{number}")
        expect_status(response, 204, because="there is such a row")
        for missing in (number, 4711):
            response = await observatory.client.delete(f"/{kind}/{missing}")
            expect_status(response, 404, because="there is no such row")


@pytest.mark.guard
async def test_change_stores_only_what_was_sent(observatory: Observatory) -> None:
    """What was not sent stays as it was; a change without any field changes nothing."""
    for kind in KINDS:
        number = (await observatory.add(kind))["id"]
        before = await observatory.row(kind, number)
        for change in ({"name": "Nova"}, {}):
            with _values_of_updates() as written:
                answer = await observatory.change(kind, number, change)
            more = sorted((written & set(before)) - {"id", "name", "updated_at"})
            if more:
                raise lesson(
                    "more-was-written",
                    seen="PATCH /{kind}/{number} with {change} sends an UPDATE that also sets "
                    "{more}.",
                    production="What somebody else has changed since the row was read is set back.",
                    look="From when are the values that this UPDATE writes?",
                    kind=kind,
                    number=number,
                    change=str(change),
                    more=more,
                )
            assert answer["name"] == "Nova"
            after = await observatory.row(kind, number)
            _expect_same_but(before, after, {"name", "updated_at"})
            assert after["name"] == "Nova"


@pytest.mark.guard
async def test_change_moves_the_second_time_only(observatory: Observatory) -> None:
    """A change moves `updated_at` forward, and `created_at` never."""
    for kind in KINDS:
        number = await observatory.add_old(kind)
        answer = await observatory.change(kind, number, {"name": "Nova"})
        created, updated = (_value(answer, name) for name in ("created_at", "updated_at"))
        if created != LONG_AGO or updated <= LONG_AGO:
            raise lesson(
                "times-wrong",
                seen="A row of {long_ago} was changed. Now its created_at is {created} and its "
                "updated_at is {updated}.",
                production="Whoever copies what has changed since yesterday misses this row.",
                look="On which occasions does each of the two columns get a value?",
                long_ago=str(LONG_AGO),
                created=str(created),
                updated=str(updated),
            )


@pytest.mark.guard
async def test_new_row_holds_what_was_sent(observatory: Observatory) -> None:
    """A new row has all that was sent, the secret as a hash; no answer shows secret or hash."""
    for kind in KINDS:
        secret = SECRET[kind]
        answer = await observatory.add(kind)
        row = await observatory.row(kind, answer["id"])
        other = await observatory.row(kind, (await observatory.add(kind))["id"])
        if row[f"{secret}_hash"] == other[f"{secret}_hash"]:
            raise lesson(
                "hash-shared",
                seen="Two rows were made with the same {secret}, and both have the hash {stored}.",
                production="The table tells who has the same one. Who guesses it has all.",
                look="How often is a hash made here?",
                secret=secret,
                stored=cut(str(row[f"{secret}_hash"]), 60),
            )
        assert row["name"] == NEW[kind]["name"]
        assert row.get("joined_on") == (date(2024, 2, 29) if kind == "observers" else None)
        assert row.get("fee") == (Decimal("12.50") if kind == "telescopes" else None)
        assert _opens(NEW[kind][secret], str(row[f"{secret}_hash"]))
        assert sorted(answer) == sorted(
            ["id", "name", "created_at", "updated_at"]
            + (["joined_on", "telescopes"] if kind == "observers" else ["fee", "keeper"])
        )


@pytest.mark.guard
async def test_removed_row_is_gone(observatory: Observatory) -> None:
    """A row that was removed is gone, and the others stay."""
    for kind in KINDS:
        numbers = [await observatory.add_old(kind) for _ in range(3)]
        before = await observatory.rows(kind)
        response = await observatory.client.delete(f"/{kind}/{numbers[1]}")
        expect_status(response, 204, because="there is such a row")
        del before[numbers[1]]
        assert await observatory.rows(kind) == before
        for method, body in (("GET", None), ("PATCH", {"name": "Nova"})):
            response = await observatory.client.request(method, f"/{kind}/{numbers[1]}", json=body)
            expect_status(response, 404, because="there is no such row any more")


@pytest.mark.guard
async def test_related_rows_can_be_changed(observatory: Observatory) -> None:
    """A telescope that has a keeper can be changed, and so can the keeper."""
    keeper = (await observatory.add("observers"))["id"]
    telescope = (await observatory.add("telescopes", keeper_id=keeper))["id"]
    answer = await observatory.change("observers", keeper, {"name": "Nova"})
    assert answer["telescopes"] == [{"id": telescope, "name": "Refractor"}]
    answer = await observatory.change("telescopes", telescope, {"name": "Mirror"})
    assert answer["keeper"] == {"id": keeper, "name": "Nova"}


@pytest.mark.guard
async def test_removed_observer_keeps_no_telescope(observatory: Observatory) -> None:
    """A telescope whose keeper is removed has no keeper any more."""
    keeper = await observatory.add_old("observers")
    telescope = await observatory.add_old("telescopes", keeper_id=keeper)
    response = await observatory.client.delete(f"/observers/{keeper}")
    expect_status(response, 204, because="there is such an observer")
    assert (await observatory.row("telescopes", telescope))["keeper_id"] is None
    assert (await observatory.show("telescopes", telescope))["keeper"] is None


@pytest.mark.guard
async def test_rules_hold_for_changes(observatory: Observatory) -> None:
    """A change keeps to the rules of a new row, and one that does not is stored in no part."""
    refused: dict[str, list[Row]] = {
        "observers": [{"id": 7}, {"name": None}, {"joined_on": "soon"}, {"password": "short"}],
        "telescopes": [{"fee": "-1"}, {"fee": "0.001"}, {"key_hash": "x" * 20}, {"key": None}],
    }
    for kind, changes in refused.items():
        number = (await observatory.add(kind))["id"]
        before = await observatory.row(kind, number)
        for change in changes:
            response = await observatory.client.patch(
                f"/{kind}/{number}", json={"name": "Nova"} | change
            )
            expect_status(response, 422, because=f"{change} is not allowed")
        assert await observatory.row(kind, number) == before


@contextmanager
def _values_of_updates() -> Iterator[set[str]]:
    """Collect the names of the values that each UPDATE gets."""
    names: set[str] = set()

    def note(_1: Any, _2: Any, _3: Any, _4: Any, context: Any, _5: Any) -> None:
        if context is not None and context.isupdate:
            names.update(*context.compiled_parameters)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield names
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def _opens(secret: str, stored: str) -> bool:
    return stored.startswith("$argon2") and HASHES.verify(secret, stored)


def _value(row: Row, name: str) -> Any:
    """Return a field of an answer; points in time are compared, not the way they are written."""
    value = row.get(name)
    if name.endswith("_at") and isinstance(value, str):
        moment = datetime.fromisoformat(value)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return value


def _expect_same_but(before: Row, after: Row, names: set[str]) -> None:
    """Expect that no other columns than these have changed."""
    changed = sorted(name for name in before if before[name] != after[name] and name not in names)
    if changed:
        raise lesson(
            "more-was-changed",
            seen="Nobody has sent these, and they have changed: {changed}. Before: {before}. "
            "After: {after}.",
            production="A small change takes away what others have entered.",
            look="Which fields does the change contain, and which of them were sent?",
            changed=changed,
            before=str({name: str(before[name]) for name in changed}),
            after=str({name: str(after[name]) for name in changed}),
        )
