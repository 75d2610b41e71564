"""A list takes declared parameters only, takes their text as text, and has plain defaults."""

from __future__ import annotations

import inspect
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi.encoders import jsonable_encoder
from fastapi.params import Depends, Param
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from fastapi_katas.probes import (
    Statements,
    cut,
    expect_status,
    lesson,
    place_of_exception,
    statements,
)

Row = dict[str, Any]

COLUMNS = ("number", "title", "maker", "kind", "year", "estimate", "reserve", "consignor")
PUBLIC, HIDDEN = COLUMNS[:6], COLUMNS[6:]
SALE: list[Row] = [
    dict(zip(COLUMNS, values, strict=True))
    for values in [
        (11, "Violin, one-piece back", "Jonas Reth", "bowed", 1721, 48000, 41000, "Harbour Trust"),
        (12, "Cello, 7/8 size", "Jonas Reth", "bowed", 1734, 61000, 30000, "Estate Varga"),
        (13, "Flute, head 90% silver", "Ada Quill", "wind", 1904, 2600, 2500, "Harbour Trust"),
        (14, "Flute, 1890 model, silver", "Ada Quill", "wind", 1890, 3100, 800, "Tilo Brand"),
        (15, "Accordion, stamped A_5", "Moss & Son", "keys", 1938, 900, 450, "Estate Varga"),
        (16, "Accordion, stamped A-5", "Moss & Son", "keys", 1938, 700, 600, "Tilo Brand"),
        (17, "Harp of Count O'Hara", "Ada Quill", "plucked", 1861, 5200, 5000, "Tilo Brand"),
        (18, 'Drum, "Old Guard"', "Moss & Son", "drum", 1861, 1200, 300, "Harbour Trust"),
    ]
]
IN_ORDER = [row["number"] for row in SALE]
PARAMETERS = {"q", "kind", "maker", "year_from", "year_to", "sort", "limit"}

# Queries whose last parameter is one that the catalogue does not have.
UNKNOWN: dict[str, list[dict[str, str]]] = {
    "misspelt": [{"knid": "bowed"}, {"Kind": "bowed"}],
    "hidden-column": [{"kind": "keys", "consignor": "Estate Varga"}, {"reserve": "450"}],
    "of-the-table": [
        {"metadata": "bowed"},
        *({name: str(SALE[0][name])} for name in ("number", "title", "year", "estimate")),
    ],
    "of-python": [{"__class__": "bowed"}],
}
# Names that the catalogue is not sorted by.
UNSORTED = {
    "hidden-column": ["reserve", "-reserve"],
    "near-a-name": ["year_desc", "--year", "-number", "estimate,year", "YEAR", ""],
    "of-python": ["__class__"],
}
# A search, and more lots: some have this very text in the title, and some have not.
LITERAL: dict[str, list[tuple[str, list[str], list[str]]]] = {
    "percent": [
        ("90%", [], []),
        ("%", [], []),
        ("a%b", ["Bow, mark a%b"], ["Bow, mark ab", "Bow, mark a-b"]),
    ],
    "underscore": [
        ("A_5", [], []),
        ("_", [], []),
        ("a_b", ["Bow, mark a_b"], ["Bow, mark axb"]),
    ],
    # Whichever character a search may use for itself: it is text like every other one.
    "character-before": [
        (f"K{mark}%", [f"Bow, mark K{mark}%K"], [f"Bow, mark K{mark}K"]) for mark in "!#$*/=?@^|~\\"
    ],
}
# For each parameter: values at its bounds, and values beyond them.
LIMITS = {
    "kind": (["bowed", "plucked", "wind", "keys", "drum"], ["trombone", "Bowed", ""]),
    "maker": (["m", "m" * 60], ["", "m" * 61]),
    "q": (["t", "t" * 50], ["", "t" * 51]),
    "year_from": (["1500", "2100"], ["1499", "2101", "old"]),
    "year_to": (["1500", "2100"], ["1499", "2101", "17.5"]),
    "limit": (["1", "100"], ["0", "101", "-1", "all"]),
}


@dataclass
class Sale:
    """The lots of the tests, in a database of their own."""

    module: Any
    engine: AsyncEngine

    async def add(self, rows: list[Row]) -> None:
        """Write lots into the table, in no particular order."""
        rows = random.Random(17).sample(rows, len(rows))
        async with self.engine.begin() as connection:
            await connection.execute(self.module.lots.insert(), rows)

    async def add_titles(self, titles: list[str], first: int = 101) -> None:
        """Write lots with these titles into the table."""
        await self.add(
            [{**SALE[0], "number": first + at, "title": title} for at, title in enumerate(titles)]
        )

    async def read_by_year(self) -> None:
        """Build an index, so that the database finds lots of one year in another order."""
        columns = ", ".join(["year", "title", *COLUMNS[2:4], *COLUMNS[5:]])
        async with self.engine.begin() as connection:
            await connection.execute(sql(f"CREATE INDEX by_year ON lots ({columns})"))


@pytest.fixture(autouse=True)
async def sale(module: Any, database_url: str) -> AsyncIterator[Sale]:
    """Point the module to a database that holds the lots of the tests."""
    module.DATABASE_URL = database_url
    engine = create_async_engine(database_url)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(module.metadata.create_all)
        sale = Sale(module, engine)
        await sale.add(SALE)
        yield sale
    finally:
        await engine.dispose()


@pytest.mark.goal
@pytest.mark.parametrize("case", UNKNOWN)
async def test_unknown_parameter_is_refused(case: str, client: httpx.AsyncClient) -> None:
    """A parameter that the catalogue does not have is answered with 422, which names it."""
    for query in UNKNOWN[case]:
        name = list(query)[-1]
        with statements() as sent:
            response = await client.get("/lots", params=query)
        if response.status_code == 200:
            found = numbers(response)
            rows = [row for row in SALE if query.get("kind", row["kind"]) == row["kind"]]
            if found == [row["number"] for row in rows]:
                key, meaning = "unknown-is-ignored", "as if this name were not there"
            elif found and found == [
                row["number"] for row in rows if str(row.get(name)) == query[name]
            ]:
                key, meaning = "column-answers", "chosen by a column that is no parameter"
                if name in HIDDEN:
                    key = "hidden-column-answers"
                    meaning = "chosen by a column that no answer shows"
            else:
                key, meaning = "unknown-finds-other-lots", "which are others than without this name"
            raise lesson(
                key,
                seen="The catalogue has no parameter {name}. GET /lots?{query} is answered with "
                "{status} and the lots {found}, {meaning}. "
                "The database was asked with these values: {values}.",
                production="One wrong letter shows another sale than the person has asked for, "
                "and nobody is told. A name that was never meant for clients may answer, too.",
                look="Who decides which names of the query are read, and what becomes of the "
                "others?",
                where=[statement.place for statement in sent.reads],
                name=name,
                query="&".join(f"{key}={value}" for key, value in query.items()),
                status=response.status_code,
                found=found,
                meaning=meaning,
                values=values_of(sent),
            )
        expect_status(response, 422, because=f"the catalogue has no parameter {name}")
        if name not in response.text:
            raise lesson(
                "refusal-names-nothing",
                seen="?{name}=… is refused with {status}. The answer does not have this name: "
                "{body}",
                production="The person has a long address on the screen and is not told which word "
                "of it is wrong.",
                look="Compare it with the refusal of a limit of 101.",
                name=name,
                status=response.status_code,
                body=cut(response.text),
            )


@pytest.mark.goal
@pytest.mark.parametrize("case", UNSORTED)
async def test_sort_takes_only_the_listed_names(case: str, client: httpx.AsyncClient) -> None:
    """A name that the page does not list for `sort` is answered with 422."""
    for name in UNSORTED[case]:
        response = await client.get("/lots", params={"sort": name})
        if response.status_code == 200:
            found = numbers(response)
            shows_hidden = name.removeprefix("-") in HIDDEN and found == by(name)
            kind_of_order = "of a column that no answer shows" if shows_hidden else "of the lots"
            raise lesson(
                "sort-shows-hidden-order" if shows_hidden else "sort-takes-other-names",
                seen="{name!r} is not one of the names to sort by. GET /lots?sort={name} is "
                "answered with {status} and the order {kind_of_order}: {found}.",
                production="Whoever can sort by a hidden column learns which lot has more of it."
                if shows_hidden
                else "A person who mistypes a name gets an order that nobody asked for.",
                look="Which values can this parameter have, and where does each of them lead?",
                name=name,
                status=response.status_code,
                kind_of_order=kind_of_order,
                found=found,
            )
        expect_status(response, 422, because=f"{name!r} is not one of the names to sort by")


@pytest.mark.goal
@pytest.mark.parametrize("case", LITERAL)
async def test_searched_text_is_literal(case: str, sale: Sale, client: httpx.AsyncClient) -> None:
    """A search finds the lots with just this text in their title, whatever characters it has."""
    more = [title for _, same, other in LITERAL[case] for title in (*same, *other)]
    if more:
        await sale.add_titles(more)
    titles = [row["title"] for row in SALE] + more
    for text, _, _ in LITERAL[case]:
        with statements() as sent:
            response = await client.get("/lots", params={"q": text, "limit": "100"})
        expect_status(response, 200, because="a search may have any character")
        found = [lot["title"] for lot in response.json()]
        wanted = [title for title in titles if text in title]
        if found == wanted:
            continue
        too_many = [title for title in found if title not in wanted]
        raise lesson(
            "search-finds-other-text" if too_many else "search-misses-text",
            seen="The search for {text} finds {count} lots. Lots with this text in the title: "
            "{wanted}. "
            + ("Found without it: {others}. " if too_many else "Found: {titles}. ")
            + "The database was asked with these values: {values}.",
            production="A search that finds too much or too little looks like one that works. "
            "Nobody sees which lots should have been there.",
            look="What does the database do with each character of this value?",
            where=[statement.place for statement in sent.reads],
            text=text,
            count=len(found),
            wanted=len(wanted),
            others=cut("; ".join(too_many)),
            titles=cut("; ".join(found)) or "none",
            values=values_of(sent),
        )


@pytest.mark.goal
@pytest.mark.parametrize("name", ["kind", "maker"])
async def test_filters_have_limits(name: str, client: httpx.AsyncClient) -> None:
    """`kind` and `maker` take the values that the page states, and 422 answers all others."""
    good, beyond = LIMITS[name]
    for value in good:
        response = await client.get("/lots", params={name: value})
        expect_status(response, 200, because=f"{name}={cut(value)!r} keeps the limits")
    for value in beyond:
        response = await client.get("/lots", params={name: value})
        if response.status_code == 200:
            raise lesson(
                "filter-without-limits",
                seen="GET /lots?{name}={value} is answered with {status} and {count} lots. The "
                "value has {length} characters and is not one that {name} may have.",
                production="An empty list looks like an answer. The person reads that there is "
                "nothing to buy, and not that the question was wrong.",
                look="Where does the module say which values this parameter may have?",
                name=name,
                value=cut(value, 20),
                status=response.status_code,
                count=len(response.json()),
                length=len(value),
            )
        expect_status(response, 422, because=f"{cut(value)!r} is beyond the limits of {name}")


@pytest.mark.goal
async def test_list_is_callable_without_http(
    module: Any, sale: Sale, client: httpx.AsyncClient
) -> None:
    """`await list_lots(connection=...)` gives what GET /lots gives without any parameter."""
    await sale.add_titles(["Bow"] * 20)
    response = await client.get("/lots")
    expect_status(response, 200, because="the catalogue can be read without any parameter")
    parameters = inspect.signature(module.list_lots).parameters
    defaults = {
        name: type(each.default).__name__
        if isinstance(each.default, Param | Depends)
        else cut(str(each.default), 80)
        for name, each in parameters.items()
        if name != "connection" and each.default is not each.empty
    }
    needed = [
        name
        for name, each in parameters.items()
        if name != "connection"
        and each.default is each.empty
        and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    evidence: dict[str, Any] = {
        "defaults": "; ".join(f"{name}: {value}" for name, value in defaults.items()) or "none",
        "production": "The evening's catalogue for the printer calls this function without HTTP. "
        "It ends with an error, or it prints another list than the site shows.",
        "look": "Who puts the values in the place of these defaults when a request comes? "
        "Who does it here?",
    }
    try:
        async with sale.engine.connect() as connection:
            called = await module.list_lots(connection=connection)
    except Exception as error:  # noqa: BLE001 - whatever it is, the caller has got no list
        raise lesson(
            "call-needs-more" if needed else "call-fails",
            seen="`list_lots` was called with a connection and nothing else. It ended in {error}. "
            "Parameters without a default: {needed}. Defaults of the others: {defaults}.",
            where=place_of_exception(error),
            error=f"{type(error).__name__}: {cut(str(error))}",
            needed=", ".join(needed) or "none",
            **evidence,
        ) from None
    if jsonable_encoder(called) != response.json():
        raise lesson(
            "call-answers-differently",
            seen="`list_lots` was called with a connection and nothing else. It gave {called}, "
            "and GET /lots gave {over_http}. The defaults of the function: {defaults}.",
            called=cut(str(called)),
            over_http=cut(response.text),
            **evidence,
        )
    if any(isinstance(each.default, Param | Depends) for each in parameters.values()):
        raise lesson(
            "default-is-no-value",
            seen="These are the defaults of `list_lots` for whoever calls it: {defaults}.",
            **evidence,
        )


@pytest.mark.goal
async def test_every_parameter_is_declared(client: httpx.AsyncClient) -> None:
    """The document at /openapi.json names the parameters of the catalogue, and no others."""
    response = await client.get("/openapi.json")
    expect_status(response, 200, because="the service describes itself")
    parameters = response.json()["paths"]["/lots"]["get"].get("parameters", [])
    declared = sorted(each["name"] for each in parameters)
    if set(declared) != PARAMETERS:
        raise lesson(
            "parameters-not-declared",
            seen="The document declares {declared}. Missing: {missing}. Beyond the page: {beyond}.",
            production="Programs that are made from the document cannot use what it does not name, "
            "and nothing checks it.",
            look="Which parameters does the service read in another way than the others?",
            declared=declared,
            missing=sorted(PARAMETERS - set(declared)) or "none",
            beyond=sorted(set(declared) - PARAMETERS) or "none",
        )


@pytest.mark.guard
@pytest.mark.parametrize(
    "names", [["q"], ["year_from", "year_to"], ["limit"]], ids=["q", "years", "limit"]
)
async def test_limits_stay(names: list[str], client: httpx.AsyncClient) -> None:
    """A value at a bound is taken, and one beyond it is answered with 422."""
    for name in names:
        good, beyond = LIMITS[name]
        for value in good:
            response = await client.get("/lots", params={name: value})
            expect_status(response, 200, because=f"{name}={cut(value)!r} is at its bound")
        for value in beyond:
            response = await client.get("/lots", params={name: value})
            expect_status(response, 422, because=f"{name}={cut(value)!r} is beyond its bound")


@pytest.mark.guard
async def test_filters_select_lots(client: httpx.AsyncClient) -> None:
    """Each filter takes part, all of them together as well, and a lot shows its public fields."""
    response = await client.get("/lots")
    expect_status(response, 200, because="the catalogue can be read without any parameter")
    assert response.json() == [{name: row[name] for name in PUBLIC} for row in SALE]
    for query, wanted in {
        "kind=keys": [15, 16],
        "maker=Moss %26 Son": [15, 16, 18],
        "maker=Moss": [],
        "year_from=1890": [13, 14, 15, 16],
        "year_to=1734": [11, 12],
        "year_from=1861&year_to=1861": [17, 18],
        "q=silver": [13, 14],
        "q=8%20": [12],
        "maker=Ada Quill%20": [],
        "q=O'Hara": [17],
        'q="Old': [18],
        "maker=Ada Quill&kind=wind&year_from=1800&year_to=1900&q=silver": [14],
    }.items():
        await expect_numbers(client, query, wanted)


@pytest.mark.guard
async def test_lots_come_in_the_order_asked_for(sale: Sale, client: httpx.AsyncClient) -> None:
    """The lots come by number or as `sort` says, equal ones by number, and 20 if not told else."""
    for name in ("number", "year", "-year", "estimate", "-estimate"):
        await expect_numbers(client, f"sort={name}", by(name))
    await expect_numbers(client, "sort=-year&limit=3&q=Accordion", [15, 16])
    with statements(count_rows=True) as sent:
        await expect_numbers(client, "sort=-year&limit=1&q=Flute", [13])
    if sent.rows > 1:
        raise lesson(
            "rows-not-shown",
            seen="One lot was asked for and shown. The database handed over {rows} lots.",
            production="The whole catalogue is read for each search, however small the answer is.",
            look="Who chooses the lots here, and after which step?",
            where=[statement.place for statement in sent.reads],
            rows=sent.rows,
        )
    await sale.add_titles(["Bow"] * 20)
    await expect_numbers(client, "", [*IN_ORDER, *range(101, 113)])
    await expect_numbers(client, "limit=21", [*IN_ORDER, *range(101, 114)])
    await sale.read_by_year()
    rows = [*SALE, *({**SALE[0], "number": number} for number in range(101, 121))]
    for name in ("year", "-year"):
        response = await client.get(f"/lots?limit=100&sort={name}")
        expect_status(response, 200, because="this is one of the orders")
        if numbers(response) != by(name, rows):
            raise lesson(
                "equal-lots-in-any-order",
                seen="With an index on the year, ?sort={name} shows the lots {found}. By year, and "
                "equal ones by number, they are {wanted}.",
                production="The order of equal lots changes from day to day, and so do the lots "
                "that a limit leaves out.",
                look="Who decides which of two lots of one year comes first?",
                where=[statement.place for statement in sent.reads],
                name=name,
                found=numbers(response),
                wanted=by(name, rows),
            )


async def expect_numbers(client: httpx.AsyncClient, query: str, wanted: list[int]) -> None:
    """Expect these lots, in this order."""
    response = await client.get(f"/lots?{query}")
    expect_status(response, 200, because="each parameter is one of the catalogue")
    assert numbers(response) == wanted, f"GET /lots?{query}"


def numbers(response: httpx.Response) -> list[int]:
    """Give the numbers of the lots in an answer."""
    return [lot["number"] for lot in response.json()]


def by(name: str, rows: list[Row] = SALE) -> list[int]:
    """Give the numbers of the lots in the order of a column, equal ones by number."""
    sign = -1 if name.startswith("-") else 1
    rows = sorted(rows, key=lambda row: (sign * row[name.removeprefix("-")], row["number"]))
    return [row["number"] for row in rows]


def values_of(sent: Statements) -> str:
    """Write down the values that the database was asked with."""
    texts = []
    for statement in sent.reads:
        values: Any = statement.parameters
        texts.append(", ".join(map(str, values.values() if isinstance(values, dict) else values)))
    return cut("; ".join(texts)) or "none"
