"""However many walks a page shows, the database is asked the same few questions."""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import event, insert, update
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import Pool

from fastapi_katas.probes import (
    crash_of,
    cut,
    expect_status,
    lesson,
    place_of_exception,
    statements,
)
from fastapi_katas.probes.statements import Statements

Row = dict[str, Any]

# The driver of SQLite has a coroutine in its hand when lazy loading is refused, and drops it.
pytestmark = pytest.mark.filterwarnings("ignore:coroutine 'Connection.cursor' was never awaited")

# Two for each of the four tables.
ALLOWED = 8
# Rows that the statements of a request may yield besides those that it shows.
SPARE_ROWS = 20
SIZES = (1, 10, 100)
RAIN = 1000


@pytest.fixture(autouse=True)
def _own_database(module: Any, database_url: str) -> Iterator[None]:
    """Give the module a database that leaves no order to luck: what has none comes backwards."""
    module.DATABASE_URL = database_url

    def backwards(connection: Any, record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA reverse_unordered_selects = ON")
        cursor.close()

    if not database_url.startswith("sqlite"):
        yield
        return
    event.listen(Pool, "connect", backwards)
    yield
    event.remove(Pool, "connect", backwards)


@dataclass
class Club:
    """The running service, and a way of the tests' own into its database."""

    client: httpx.AsyncClient
    engine: AsyncEngine
    tables: Any
    ids: Iterator[int] = field(default_factory=lambda: count(1))

    async def fill(self, walks: list[Row]) -> None:
        """Store walks, each given as the service has to show it; the last rows come first."""
        rows: dict[str, list[Row]] = {"walks": [], "stages": [], "notices": [], "walkers": []}
        for walk in walks:
            rain = walk["rain_walk"]
            own = {"id": walk["id"], "name": walk["name"]}
            rows["walks"].append(own | {"rain_walk_id": rain["id"] if rain else None})
            belongs = {"walk_id": walk["id"]}
            for walker in walk["walkers"]:
                rows["walkers"].append(belongs | walker | {"id": next(self.ids)})
            # A stage that was put in later has a high id and may have a low number.
            for stage in reversed(walk["stages"]):
                number = next(self.ids)
                own = {name: stage[name] for name in ("number", "kilometres")}
                rows["stages"].append(belongs | own | {"id": number})
                for notice in stage["notices"]:
                    own = {"stage_id": number, "id": next(self.ids)}
                    rows["notices"].append(notice | own)
        async with self.engine.begin() as connection:
            for name, content in rows.items():
                if content:
                    await connection.execute(insert(self.tables[name]), content[::-1])

    async def get(self, path: str, *, count_rows: bool = False) -> tuple[Any, Statements]:
        """Read from the service; return what it shows, and what it asked the database."""
        with statements(count_rows=count_rows) as asked:
            response = await self.client.get(path)
        expect_status(response, 200, because="these walks can be read")
        return response.json(), asked


@pytest_asyncio.fixture(loop_scope="function")
async def club(module: Any, client: httpx.AsyncClient, database_url: str) -> AsyncIterator[Club]:
    """The running service, with nothing in its tables."""
    engine = create_async_engine(database_url)
    client.event_hooks = {"response": [close_what_was_dropped]}
    yield Club(client, engine, module.Base.metadata.tables)
    await engine.dispose()


@pytest.mark.goal
async def test_statements_do_not_grow_with_the_walks(club: Club) -> None:
    """A page of 1, 10 or 100 walks costs the same few statements, and nothing is left out."""
    await club.fill([walk(number, stages=1, notices=1, walkers=1) for number in range(101, 221)])
    asked = {}
    for size in SIZES:
        shown, asked[size] = await club.get(f"/walks?limit={size}")
        assert len(shown) == size, f"the page of {size} shows {len(shown)} walks"
    expect_few(asked, lambda size: f"page of {size}", "A demo with 3 walks hides it.")
    # More than 1000 rows in each table, and all of them belong to one page.
    longer = [walk(number, stages=11, notices=1, walkers=11) for number in range(1, 101)]
    await club.fill(longer)
    expect_all((await club.get("/walks?limit=100"))[0], longer)


@pytest.mark.goal
async def test_statements_do_not_grow_with_the_stages(club: Club) -> None:
    """A walk with 1, 10 or 100 stages, each with its notices, costs the same few statements."""
    await club.fill([walk(size, stages=size, notices=2) for size in SIZES])
    asked = {}
    for size in SIZES:
        shown, asked[size] = await club.get(f"/walks/{size}")
        assert len(shown["stages"]) == size, f"of {size} stages, {len(shown['stages'])} are shown"
    expect_few(asked, lambda size: f"walk with {size} stages", "A short walk hides it.")


@pytest.mark.goal
async def test_statements_do_not_grow_with_the_rain_walks(club: Club) -> None:
    """A page of 1, 10 or 100 walks, each with a rain walk of its own, costs the same."""
    await club.fill([one for n in range(1, 101) for one in with_rain_walk(walk(n, walkers=1))])
    asked = {}
    for size in SIZES:
        response, asked[size] = await get_with_rain(club, f"/walks?limit={size}", RAIN + 1)
        assert len(response.json()) == size
    expect_few(asked, lambda size: f"page of {size}", "A dry month hides it.")


@pytest.mark.goal
@pytest.mark.parametrize("path", ["/walks?limit=2", "/walks/1"])
async def test_rain_walk_from_another_page_is_shown(club: Club, path: str) -> None:
    """A rain walk is named, also if it is not one of the walks that are shown."""
    first, rain = with_rain_walk(walk(1, stages=1, walkers=1))
    await club.fill([first, walk(2, stages=1), rain])
    response, _ = await get_with_rain(club, path, rain["id"])
    shown = response.json()[0] if isinstance(response.json(), list) else response.json()
    if shown != first:
        raise lesson(
            "rain-walk-not-shown",
            seen="The rain walk of walk 1 is {wanted}. {path} shows {got}.",
            production="It rains, and the walkers go to a walk that is called off.",
            look="Where does the answer take the rain walk from, and what is not there?",
            wanted=str(first["rain_walk"]),
            got=str(shown["rain_walk"]),
            path=path,
        )


@pytest.mark.guard
async def test_everything_is_shown_once_and_in_order(club: Club) -> None:
    """Stages come by number, notices and walkers by id; nothing is lost, nothing is there twice."""
    walks = [
        walk(1, stages=3, notices=2, walkers=3),
        walk(2, stages=2, notices=0, walkers=4),
        walk(3, stages=12, notices=3, walkers=0),
    ]
    walks[0]["walkers"][1] = walks[0]["walkers"][0]  # two walkers may have the same name
    walks[2]["stages"][4]["notices"] = [{"text": "Boots!"}, {"text": "Boots!"}]
    await club.fill(walks)
    expect_shown((await club.get("/walks"))[0], walks)
    for one in walks:
        expect_shown([(await club.get(f"/walks/{one['id']}"))[0]], [one])


@pytest.mark.guard
async def test_walk_without_anything_is_shown(club: Club) -> None:
    """A walk without stages, without walkers, or without both is shown with empty lists."""
    full = walk(2, stages=1, notices=1, walkers=1)
    walks = [walk(1), full, walk(3, stages=1), walk(4, walkers=1)]
    await club.fill(walks)
    expect_shown((await club.get("/walks"))[0], walks)
    for one in walks:
        expect_shown([(await club.get(f"/walks/{one['id']}"))[0]], [one])


@pytest.mark.guard
async def test_rain_walk_of_this_page_is_shown(club: Club) -> None:
    """A walk can be on the page itself and be the rain walk of others, before and after it."""
    walks = [walk(number, stages=2, notices=1, walkers=2) for number in (1, 2, 3, 4)]
    for one in (walks[0], walks[2], walks[3]):
        one["rain_walk"] = {"id": 2, "name": walks[1]["name"]}
    # The database checks each row: what others point to has to be there first.
    await club.fill([*(one for one in walks if one["rain_walk"]), walks[1]])
    expect_shown((await club.get("/walks"))[0], walks)


@pytest.mark.guard
@pytest.mark.parametrize("limit", [1, 3, 5])
async def test_limit_counts_walks(club: Club, limit: int) -> None:
    """A limit of n shows the first n walks by id, however much belongs to them."""
    walks = [walk(number, stages=number % 3, notices=2, walkers=3) for number in range(1, 8)]
    await club.fill(walks)
    expect_shown((await club.get(f"/walks?limit={limit}"))[0], walks[:limit])


@pytest.mark.guard
@pytest.mark.parametrize("path", ["/walks?limit=2", "/walks/1"])
async def test_rows_of_other_walks_are_not_read(club: Club, path: str) -> None:
    """A request reads what belongs to the walks that it shows, and at most 20 rows besides."""
    walks = [
        walk(n, stages=n % 2 * 12, notices=1, walkers=(n + 1) % 2 * 12) for n in range(1, 9)
    ]
    await expect_few_rows(club, path, walks, "The rows that nobody sees grow with the table.")


@pytest.mark.guard
@pytest.mark.parametrize("path", ["/walks?limit=2", "/walks/1"])
async def test_rows_do_not_multiply(club: Club, path: str) -> None:
    """No walk but this one is stored, and still a request yields at most 20 rows besides."""
    walks = [walk(1, stages=8, notices=1, walkers=9)]
    await expect_few_rows(club, path, walks, "With 60 stages and 60 walkers there are 3600 rows.")


@pytest.mark.guard
async def test_next_request_sees_what_changed(club: Club) -> None:
    """What another program writes is shown by the next request."""
    walks = [walk(1, stages=1, notices=1, walkers=1), walk(2, stages=1, walkers=1)]
    await club.fill(walks)
    expect_shown((await club.get("/walks"))[0], walks)
    changes = [("walks", "name"), ("walkers", "name"), ("notices", "text")]
    async with club.engine.begin() as connection:
        for table, column in changes:
            await connection.execute(update(club.tables[table]).values({column: "Changed"}))
    for one in walks:
        one["name"], one["walkers"] = "Changed", [{"name": "Changed"}]
    walks[0]["stages"][0]["notices"] = [{"text": "Changed"}]
    expect_shown((await club.get("/walks"))[0], walks)
    expect_shown([(await club.get("/walks/1"))[0]], walks[:1])


@pytest.mark.guard
async def test_rules_stay(club: Club) -> None:
    """An unknown walk is 404, a limit out of bounds is 422, and no walks are an empty list."""
    expect_shown((await club.get("/walks"))[0], [])
    await club.fill([walk(number) for number in range(1, 31)])
    expect_shown((await club.get("/walks"))[0], [walk(number) for number in range(1, 21)])
    for path, status in (("/walks/31", 404), ("/walks?limit=0", 422), ("/walks?limit=101", 422)):
        expect_status(await club.client.get(path), status, because="the page of the kata says so")


def walk(number: int, *, stages: int = 0, notices: int = 0, walkers: int = 0) -> Row:
    """Make a walk as the service shows it."""
    made = [
        {
            "number": place,
            "kilometres": 3 + place % 4,
            "notices": [{"text": f"Notice {number}.{place}.{n}"} for n in range(1, notices + 1)],
        }
        for place in range(1, stages + 1)
    ]
    return {
        "id": number,
        "name": f"Walk {number}",
        "kilometres": sum(3 + place % 4 for place in range(1, stages + 1)),
        "rain_walk": None,
        "stages": made,
        "walkers": [{"name": f"Walker {number}.{n}"} for n in range(1, walkers + 1)],
    }


def with_rain_walk(one: Row) -> tuple[Row, Row]:
    """Give a walk a rain walk that comes late in the programme, and return both."""
    rain = walk(RAIN + one["id"])
    return one | {"rain_walk": {"id": rain["id"], "name": rain["name"]}}, rain


async def get_with_rain(club: Club, path: str, rain: int) -> tuple[httpx.Response, Statements]:
    """Read walks whose rain walks are not among them."""
    with statements() as asked:
        response = await club.client.get(path)
    crash = crash_of(response)
    if "MissingGreenlet" in repr(crash):
        raise lesson(
            "not-loaded",
            seen="{path} answered {status}. Rain walk {rain} is not among the walks that it "
            "shows, and the database was asked for these rows: {asked}. While the answer was made: "
            "{crash}.",
            production="The same code works or fails by which walks happen to stand on one page.",
            look="Which attribute was read, and who would have had to load it before?",
            where=place_of_exception(crash) if crash else None,
            path=path,
            status=response.status_code,
            rain=rain,
            asked="; ".join(short(one.sql) for one, _ in asked.grouped()),
            crash=cut(" ".join(str(crash).split()), 220),
        )
    expect_status(response, 200, because="these walks can be read")
    return response, asked


def expect_few(asked: dict[int, Statements], name: Callable[[int], str], hidden: str) -> None:
    """Fail with a lesson if a request needed more statements than are allowed."""
    assert all(each.sent for each in asked.values()), "the service does not ask its database"
    if all(len(each.sent) <= ALLOWED for each in asked.values()):
        return
    most = max(asked.values(), key=lambda each: len(each.sent))
    one_each = any(count >= max(asked) for _, count in most.grouped())
    raise lesson(
        "one-for-each-row" if one_each else "more-with-the-rows",
        seen="Statements sent: {counts}. Allowed: {allowed}. The longest list: {groups}.",
        production="Each row more is one more way to the database and back, and each of them holds "
        f"the connection. {hidden}",
        look="Which of these statements is sent again and again, and what is different in it each "
        "time?",
        where=[one.place for one, count in most.grouped() if count > 1],
        counts=", ".join(f"{name(size)}: {len(each.sent)}" for size, each in asked.items()),
        allowed=ALLOWED,
        groups="; ".join(f"{count} times {short(one.sql)}" for one, count in most.grouped()[:6]),
    )


async def expect_few_rows(club: Club, path: str, walks: list[Row], production: str) -> None:
    """Fail with a lesson if the statements of a request yield more rows than it needs."""
    await club.fill(walks)
    shown, asked = await club.get(path, count_rows=True)
    shown = shown if isinstance(shown, list) else [shown]
    expect_shown(shown, walks[: len(shown)])
    needed = sum(
        1 + len(one["walkers"]) + sum(1 + len(stage["notices"]) for stage in one["stages"])
        for one in shown
    )
    if asked.rows > needed + SPARE_ROWS:
        raise lesson(
            "reads-more-than-it-shows",
            seen="{path} shows {needed} rows of the four tables. Its statements yield {rows}: "
            "{each}.",
            production=f"{production} All of them are sent over the wire and made into objects.",
            look="Which statement yields more rows than the answer has, and what did it select?",
            where=[one.place for one in asked.sent],
            path=path,
            needed=needed,
            rows=asked.rows,
            each="; ".join(f"{one.rows} rows {short(one.sql)}" for one in asked.reads),
        )


def expect_all(shown: list[Row], wanted: list[Row]) -> None:
    """Fail with a lesson if a long page shows fewer or more rows than belong to it."""
    stored, got = ({one["id"]: how_many([one]) for one in walks} for walks in (wanted, shown))
    if got != stored:
        first = next(key for key in stored | got if got.get(key) != stored.get(key))
        raise lesson(
            "rows-left-out",
            seen="Stored for a page of {walks} walks: {stored}. The page shows {shown}. The first "
            "difference is at walk {first}: stored {want}, shown {got}.",
            production="The answer is a 200, and nobody is told that it is not the programme.",
            look="Which statement decides how many rows there can be for a whole page?",
            walks=len(wanted),
            stored=how_many(wanted),
            shown=how_many(shown),
            first=first,
            want=stored.get(first, "nothing"),
            got=got.get(first, "nothing"),
        )


def how_many(walks: list[Row]) -> str:
    """Count what is shown of walks."""
    stages = [stage for one in walks for stage in one["stages"]]
    notices = sum(len(stage["notices"]) for stage in stages)
    walkers = sum(len(one["walkers"]) for one in walks)
    return f"{len(stages)} stages, {notices} notices, {walkers} walkers"


def expect_shown(shown: list[Row], wanted: list[Row]) -> None:
    """Compare an answer with what has to be shown, and name the first difference."""
    ids = [one["id"] for one in shown], [one["id"] for one in wanted]
    assert ids[0] == ids[1], f"the walks {ids[0]} are shown, not {ids[1]}"
    for got, want in zip(shown, wanted, strict=True):
        for key in want | got:
            came, due = got.get(key), want.get(key)
            assert came == due, difference(f"walk {want['id']}, {key}", due, came)


def difference(where: str, wanted: Any, got: Any) -> str:
    """Say what was expected and what came, at the innermost place where they differ."""
    if isinstance(wanted, list) and isinstance(got, list):
        names = [name_of(one) for one in wanted], [name_of(one) for one in got]
        if names[0] == names[1]:
            for name, want, came in zip(names[0], wanted, got, strict=True):
                if want != came:
                    return difference(f"{where} [{name}]", want, came)
        wanted, got = names
    elif isinstance(wanted, dict) and isinstance(got, dict):
        for key in wanted | got:
            if wanted.get(key) != got.get(key):
                return difference(f"{where}, {key}", wanted.get(key), got.get(key))
    return f"{where}: expected {wanted}, shown {got}"


def name_of(one: Any) -> Any:
    """Name a stage by its number, a notice by its text, a walker by the name."""
    if not isinstance(one, dict):
        return one
    return next((one[key] for key in ("number", "text", "name") if key in one), one)


async def close_what_was_dropped(response: httpx.Response) -> None:
    """Close what a crash left unawaited, so that nobody is warned of it in a later test."""
    crash = crash_of(response)
    while crash is not None:
        for frame, _ in traceback.walk_tb(crash.__traceback__):
            for value in frame.f_locals.values():
                if isinstance(value, Coroutine) and "MissingGreenlet" in repr(crash):
                    value.close()
        crash = crash.__cause__ or crash.__context__


def short(sql: str) -> str:
    """Leave out which columns a statement selects."""
    return "FROM " + cut(sql.partition(" FROM ")[2] or sql, 70)
