"""Pages are pieces of one list: nothing is lost between them, and their numbers are true."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import Index, Table
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from fastapi_katas.probes import expect_status, lesson, statements

Row = dict[str, Any]

MONDAY = date(2026, 3, 2)
FILTERS = ("station", "since", "limit")
# A position in the list of the story, which has 41 380 items.
FAR = 41_379
# What the statements of a page may yield besides the rows that it shows.
SPARE_ROWS = 20


@pytest.fixture(autouse=True)
def _own_database(module: Any, database_url: str) -> None:
    module.DATABASE_URL = database_url


@dataclass
class Shelf:
    """The items in the database, as the stations write them."""

    engine: AsyncEngine
    items: Table

    async def fill(self, rows: list[Row]) -> None:
        """Let the table have these rows and no others."""
        async with self.engine.begin() as connection:
            await connection.execute(self.items.delete())
            await connection.execute(self.items.insert(), rows)

    async def add(self, rows: list[Row]) -> None:
        """Bring in more rows."""
        async with self.engine.begin() as connection:
            await connection.execute(self.items.insert(), rows)

    async def keep(self, ids: list[int]) -> None:
        """Take out all rows but these."""
        async with self.engine.begin() as connection:
            await connection.execute(self.items.delete().where(self.items.c.id.not_in(ids)))

    async def tend(self, ids: list[int]) -> None:
        """Write some rows anew as they are, and build an index: no row changes by that."""
        columns = self.items.c
        index = Index("tended", columns.found_on, columns.label, columns.station, columns.id.desc())
        async with self.engine.begin() as connection:
            same = self.items.update().where(columns.id.in_(ids)).values(label=columns.label)
            await connection.execute(same)
            await connection.run_sync(index.create)


@pytest_asyncio.fixture(loop_scope="function")
async def shelf(module: Any, database_url: str, client: httpx.AsyncClient) -> AsyncIterator[Shelf]:
    """The table of the running service, reached past the service."""
    engine = create_async_engine(database_url)
    yield Shelf(engine, module.items)
    await engine.dispose()


@pytest.mark.goal
async def test_items_come_oldest_first(shelf: Shelf, client: httpx.AsyncClient) -> None:
    """From page to page, the day on which an item was found never goes back."""
    days_after = [4, 0, 5, 2, 1, 3]
    await shelf.fill([found(number, after) for number, after in enumerate(days_after, start=1)])
    pages = await walk(client, "/items?limit=2")
    days = [str(item["found_on"]) for page in pages for item in page["items"]]
    if days != sorted(days):
        raise lesson(
            "not-by-day",
            seen="Pages of 2, one after the other, show these days: {days}.",
            production="The clerk takes what is shown first to the auction, and what was found "
            "yesterday is sold before its time.",
            look="Who decides in which order the rows come?",
            days=days,
        )


@pytest.mark.goal
async def test_walk_ends_with_the_last_item(shelf: Shelf, client: httpx.AsyncClient) -> None:
    """Whatever the limit, the last page has the last item, and nothing follows it."""
    rows = [found(number, number) for number in range(1, 6)]
    await shelf.fill(rows)
    for limit in (1, 2, 5, 6):
        pages = await walk(client, f"/items?limit={limit}")
        expect_each_once(rows, pages, f"5 items in pages of {limit}")
        if not pages[-1]["items"]:
            raise lesson(
                "empty-page-at-the-end",
                seen="The 5 items fill {full} pages of {limit}. The last of them names a next "
                "page, and that one has no item.",
                production="Each client makes one more request for nothing, and a reader gets an "
                "empty screen after the last item.",
                look="What does the service know about the items behind this page?",
                full=len(pages) - 1,
                limit=limit,
            )


@pytest.mark.goal
async def test_pages_are_cut_from_one_order(shelf: Shelf, client: httpx.AsyncClient) -> None:
    """How the database finds the rows changes between two pages; what the walk shows does not."""
    rows = [found(number, number % 2) for number in range(1, 10)]
    await shelf.fill(rows)

    async def tend(pages: list[Row]) -> None:
        if len(pages) == 1:
            await shelf.tend([item["id"] for item in pages[0]["items"]])

    pages = await walk(client, f"/items?since={MONDAY}&limit=3", tend)
    happened = "9 items of 2 days in pages of 3; after the first page an index was built"
    expect_each_once(rows, pages, happened)


# For each item: is it of the second day? For each page: do items come in after it?
WALKS = [("0000000", "100"), ("0000000", "010"), ("1001010", "101"), ("0110001", "011")]


@pytest.mark.goal
async def test_walk_is_complete_while_items_come_in(
    shelf: Shelf, client: httpx.AsyncClient
) -> None:
    """Items come in after some pages; each item that was there at the start is shown once."""
    for later, coming in WALKS:
        rows = [found(number, int(bit)) for number, bit in enumerate(later, start=1)]
        await shelf.fill(rows)
        new: list[Row] = []

        async def bring_in(
            pages: list[Row], coming: str = coming, new: list[Row] = new, later: str = later
        ) -> None:
            if coming[len(pages) - 1 : len(pages)] == "1":
                more = [found(8 + len(new) + number, int(max(later))) for number in range(2)]
                new.extend(more)
                await shelf.add(more)

        pages = await walk(client, "/items?limit=3", bring_in)
        days = " and ".join(sorted({str(row["found_on"]) for row in rows}))
        happened = f"7 items of {days} in pages of 3; {len(new)} more came in on the way"
        look = (
            "Where in your order does a new item land, seen from the items that were shown "
            "already? And what decides whether one more page follows?"
        )
        expect_each_once(rows, pages, happened, look)


@pytest.mark.goal
@pytest.mark.parametrize(
    ("query", "ids"),
    [
        pytest.param("station=Kirkby", [1, 3, 5, 6, 7], id="station"),
        pytest.param(f"since={MONDAY + timedelta(days=2)}", [4, 5, 6, 7, 8], id="since"),
        pytest.param(f"station=Kirkby&since={MONDAY + timedelta(days=1)}", [3, 5, 6, 7], id="both"),
        pytest.param("station=Whitby", [], id="no-item"),
    ],
)
async def test_numbers_agree_with_the_filters(
    shelf: Shelf, client: httpx.AsyncClient, query: str, ids: list[int]
) -> None:
    """`total`, `pages` and `next` are about the items that the filters select."""
    await shelf.fill(filtered_rows())
    page = await read(client, f"/items?{query}&limit=2")
    if page["total"] != len(ids):
        raise lesson(
            "total-not-filtered",
            seen="For {query} there are {count} items, and `total` is {total}. The page shows "
            "{shown} items.",
            production="The screen promises items that nobody can find, and every number that is "
            "made from the total is wrong too.",
            look="Which rows does each of the two statements select?",
            query=query,
            count=len(ids),
            total=str(page["total"]),
            shown=len(page["items"]),
        )
    expect_pages(page, query, len(ids), 2)
    if not ids and page["next"] is not None:
        raise lesson(
            "next-of-nothing",
            seen="For {query} there is no item, and `next` is {following}.",
            production="Clients ask for pages that cannot exist.",
            look="From which number is it decided that there is one more page?",
            query=query,
            following=page["next"],
        )


@pytest.mark.goal
async def test_pages_counts_the_last_page_too(shelf: Shelf, client: httpx.AsyncClient) -> None:
    """`pages` is the number of pages that it takes to show all items."""
    await shelf.fill([found(number, number) for number in range(1, 10)])
    for limit in (2, 3, 9, 10):
        page = await read(client, f"/items?limit={limit}")
        expect_pages(page, f"limit={limit}", 9, limit)


@pytest.mark.goal
@pytest.mark.parametrize(
    "limits",
    [pytest.param([-1, 0], id="too-small"), pytest.param([101, 1_000_000], id="too-large")],
)
async def test_limit_out_of_bounds_is_422(
    shelf: Shelf, client: httpx.AsyncClient, limits: list[int]
) -> None:
    """A limit below 1 or above 100 is refused, however many items there are."""
    await shelf.fill(many_rows())
    for limit in limits:
        response = await client.get(f"/items?limit={limit}")
        expect_status(response, 422, because=f"a limit is 1 to 100, and this one is {limit}")


@pytest.mark.goal
async def test_position_out_of_bounds_is_422(shelf: Shelf, client: httpx.AsyncClient) -> None:
    """A position that the service can never have named is refused."""
    await shelf.fill(many_rows())
    following = next_of(await read(client, "/items?limit=2"))
    for name in following.params:
        for value in ("-1", "9" * 20) if name not in FILTERS else ():
            response = await client.get(following.copy_set_param(name, value))
            expect_status(response, 422, because=f"no `next` has ever had {name}={value}")


@pytest.mark.guard
async def test_limit_within_bounds_is_kept(shelf: Shelf, client: httpx.AsyncClient) -> None:
    """A page has as many items as asked for: 1 to 100, and 20 if nothing is said."""
    await shelf.fill(many_rows())
    for query, limit in (("?limit=1", 1), ("?limit=100", 100), ("", 20)):
        page = await read(client, f"/items{query}")
        assert len(page["items"]) == limit, f"/items{query} shows {len(page['items'])} items"


@pytest.mark.guard
async def test_page_reads_the_rows_that_it_shows(shelf: Shelf, client: httpx.AsyncClient) -> None:
    """The statements yield the rows of the page and a few more, never the whole list."""
    await shelf.fill(many_rows())
    # The second page is deep enough: who loads what is before it too is over the allowance.
    address = httpx.URL(f"/items?since={MONDAY}&limit=40")
    for _ in range(2):
        with statements(count_rows=True) as sent:
            page = await read(client, address)
        shown = len(page["items"])
        if sent.rows > shown + SPARE_ROWS:
            raise lesson(
                "reads-more-than-it-shows",
                seen="For a page with {shown} items the statements yield {rows} rows.",
                production="The table grows, and with it the memory and the time of each page. "
                "A small page then costs as much as a large one.",
                look="Where do the rows that nobody sees get lost?",
                where=[statement.place for statement in sent.reads],
                shown=shown,
                rows=sent.rows,
            )
        address = next_of(page)


@pytest.mark.guard
async def test_page_behind_the_end_is_empty(shelf: Shelf, client: httpx.AsyncClient) -> None:
    """A position behind the last item is an empty page with true numbers, and no failure."""
    await shelf.fill([found(number, number) for number in range(1, 7)])
    page = await read(client, "/items?limit=3")
    following = next_of(page)
    await shelf.keep([item["id"] for item in page["items"]])
    behind = await read(client, following)
    if behind != {"items": [], "total": 3, "pages": 1, "next": None}:
        raise lesson(
            "page-behind-the-end",
            seen="3 items are left, and all are on the first page. The page behind it is {page}.",
            production="A reader who was slow gets wrong numbers, or is sent on and on.",
            look="What are `total`, `pages` and `next` made from, when there is no row?",
            page=str(behind),
        )
    for name, value in following.params.items():
        # A small number counts something: items, pages or ids. So it may be a large one, too.
        if name in FILTERS or not value.isdigit() or len(value) > 3:
            continue
        response = await client.get(following.copy_set_param(name, str(FAR)))
        if response.status_code == 422:
            raise lesson(
                "far-position-refused",
                seen="In a list of 6 items `next` had {name}={value}. With {name}={far} the answer "
                "is {status}: {body}",
                production="A walk through the whole list stops there with an error, and what is "
                "behind it can never be read.",
                look="How long is the list of the story, and which positions are refused?",
                name=name,
                value=value,
                far=FAR,
                status=response.status_code,
                body=response.text[:200],
            )


@pytest.mark.guard
async def test_walk_keeps_the_filters(shelf: Shelf, client: httpx.AsyncClient) -> None:
    """Whoever follows `next` sees what the filters select, with all fields, and nothing else."""
    station = "Kirkby & Co+5%25 #2"
    rows = filtered_rows(station)
    await shelf.fill(rows)
    query = {"station": station, "since": str(MONDAY + timedelta(days=1)), "limit": "2"}
    pages = await walk(client, str(httpx.URL("/items", params=query)))
    shown = sorted((item for page in pages for item in page["items"]), key=lambda row: row["id"])
    wanted = [
        {**row, "found_on": str(row["found_on"])} for row in rows if row["id"] in {3, 5, 6, 7}
    ]
    if shown != wanted:
        only_wanted = all(row in wanted for row in shown)
        raise lesson(
            "items-not-shown" if only_wanted else "filter-not-kept",
            seen="Of the items of {station} since the second day, {wanted} should be shown. The "
            "walk shows {shown}. The first page names {following} as the next one.",
            production="The first page looks right. Behind it, the client is shown another list.",
            look="Compare the address of the first page with the one in `next`.",
            station=station,
            following=str(pages[0]["next"]),
            wanted=[int(row["id"]) for row in wanted],
            shown=[int(row["id"]) for row in shown],
        )


@pytest.mark.guard
async def test_rules_for_filters_stay(client: httpx.AsyncClient) -> None:
    """A station has 1 to 40 characters, and `since` is a day."""
    for query in ("station=", f"station={'k' * 41}", "since=yesterday"):
        response = await client.get(f"/items?{query}")
        expect_status(response, 422, because="this is no value for the filter")
    await read(client, f"/items?station={'k' * 40}&since=2026-03-02")


def found(number: int, days_after: int, station: str = "Kirkby") -> Row:
    """Make a row; all have the same label."""
    day = MONDAY + timedelta(days=days_after)
    return {"id": number, "label": "Black umbrella", "station": station, "found_on": day}


def filtered_rows(kirkby: str = "Kirkby") -> list[Row]:
    """Make items of two stations and four days."""
    stations = [kirkby, "Selby", kirkby, "Selby", kirkby, kirkby, kirkby, "Selby"]
    days = [0, 0, 1, 2, 2, 3, 3, 3]
    return [
        found(n + 1, day, name) for n, (day, name) in enumerate(zip(days, stations, strict=True))
    ]


def many_rows() -> list[Row]:
    """Make more items than a page can have."""
    return [found(number, number // 20) for number in range(1, 131)]


async def read(client: httpx.AsyncClient, address: httpx.URL | str) -> Row:
    """Return one page as the service answers it."""
    response = await client.get(address)
    expect_status(response, 200, because="this page can be read")
    page = response.json()
    names = sorted(page) if isinstance(page, dict) else []
    if names != ["items", "next", "pages", "total"]:
        raise lesson(
            "envelope-changed",
            seen="The answer has the fields {names}.",
            production="Clients read the fields by their names.",
            look="Compare the answer with the contract on the page of this kata.",
            names=names,
        )
    return dict(page)


def next_of(page: Row) -> httpx.URL:
    """Return the address of the next page, which there must be."""
    if not isinstance(page["next"], str):
        raise lesson(
            "no-next",
            seen="`total` is {total}, the page shows {shown} items, and `next` is {following}.",
            production="The client stops here and believes that it has seen everything.",
            look="From which numbers is it decided that there is one more page?",
            total=str(page["total"]),
            shown=len(page["items"]),
            following=str(page["next"]),
        )
    return httpx.URL("http://testserver/items").join(page["next"])


async def walk(
    client: httpx.AsyncClient,
    start: str,
    after_page: Callable[[list[Row]], Awaitable[None]] | None = None,
) -> list[Row]:
    """Follow `next` to the end, and let something happen after each page."""
    pages = [await read(client, start)]
    while pages[-1]["next"] is not None:
        if len(pages) == 20:
            raise lesson(
                "walk-without-end",
                seen="A walk from {start} has no end: after {count} pages `next` is {following}.",
                production="Each client that follows the pages runs in a circle.",
                look="What changes from one `next` to the following one?",
                start=start,
                count=len(pages),
                following=str(pages[-1]["next"]),
            )
        if after_page is not None:
            await after_page(pages)
        pages.append(await read(client, next_of(pages[-1])))
    return pages


def expect_each_once(
    rows: list[Row],
    pages: list[Row],
    happened: str,
    look: str = "What do two pages have in common, and what decides whether one more follows?",
) -> None:
    """Fail with a lesson unless the pages show each row, and nothing twice."""
    shown = [[int(item["id"]) for item in page["items"]] for page in pages]
    times = Counter(number for page in shown for number in page)
    lost = [row["id"] for row in rows if not times[row["id"]]]
    twice = sorted(number for number, count in times.items() if count > 1)
    if not lost and not twice:
        return
    raise lesson(
        "-and-".join(["lost"] * bool(lost) + ["twice"] * bool(twice)),
        seen="{happened}. The pages show {shown}. Never shown: {lost}. Shown more than once: "
        "{twice}.",
        production="Every request was answered with 200, so whoever copies the list page by page "
        "has a wrong copy and no error.",
        look=look,
        happened=happened,
        shown=" ".join(map(str, shown)),
        lost=lost,
        twice=twice,
    )


def expect_pages(page: Row, query: str, total: int, limit: int) -> None:
    """Fail with a lesson unless `pages` fits the number of items."""
    wanted = -(-total // limit)
    if page["pages"] != wanted:
        raise lesson(
            "pages-wrong",
            seen="For {query} there are {total} items. That is {wanted} pages of {limit}, and "
            "`pages` is {pages}.",
            production="The last page cannot be reached, or it is an empty one.",
            look="What happens to the items that do not fill a page?",
            query=query,
            total=total,
            wanted=wanted,
            limit=limit,
            pages=str(page["pages"]),
        )
