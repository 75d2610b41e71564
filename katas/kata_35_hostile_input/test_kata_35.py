"""What a client sends is data: it finds what it says, names what is listed, and changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from unicodedata import combining
from urllib.parse import quote, unquote_plus

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import Connection, insert, inspect, select
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from fastapi_katas.probes import Place, crash_of, cut, expect_status, lesson, statements
from fastapi_katas.probes.places import place_of_exception

Row = dict[str, Any]

# Names, families and codes that somebody could try, or could really have. Each of them is text.
TEXTS: dict[str, list[str]] = {
    "a second statement": [
        "'; DROP TABLE plants; --",
        "'; DELETE FROM reservations; --",
        "'; UPDATE plants SET price = 1; --",
        "x'; INSERT INTO customers VALUES (9, 'a', 'b'); --",
        "'; COMMIT; DROP TABLE customers; --",
        "Robert'); DROP TABLE customers; --",
    ],
    "a condition that always holds": [
        "' OR '1'='1",
        "' OR 1=1 --",
        "' OR 1=1 #",
        "') OR ('1'='1",
        "' OR code IS NOT NULL OR ''='",
        '" OR "1"="1',
        "' OR TRUE OR '",
        "' || '",
    ],
    "another table": [
        "' AND 1=0 UNION SELECT id, email, password_hash, 1, 1 FROM customers WHERE '%'='",
        "' UNION ALL SELECT id, email, password_hash, 1, 1 FROM customers --",
        "' UNION SELECT 1, sql, 'x', 1, 1 FROM sqlite_master --",
        "' UNION SELECT 1, tablename, 'x', 1, 1 FROM pg_tables --",
    ],
    "a question with yes or no": [
        "' AND (SELECT substr(password_hash, 1, 1) FROM customers LIMIT 1)='$' AND '%'='",
        "' OR (SELECT count(*) FROM customers) > 0 OR '%'='",
        "' AND 1/0 = 1 AND '%'='",
        "' OR randomblob(9) IS NOT NULL OR '%'='",
        "' || (SELECT pg_sleep(0)) || '",
    ],
    "a comment": ["--", "a--b", "'/**/OR/**/1=1/**/--", "/* a */", "*/", "#"],
    "a quotation mark": ["'", "''", '"', "`", "'\"", "O'Hara's", "\u2019", "\uff07", "\u02bc"],
    "a placeholder": [":q", ":code", ":name_1", "a:b", "?", "$1", "{q}", "{0}", "${7*7}"],
    "a mark of HTML": [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        '" onmouseover="alert(1)',
        "' onmouseover='alert(1)",
        "</h1><h1>",
        "&lt;b&gt;",
        "A & B &amp; C",
        "<!-- a -->",
    ],
    "an ordinary name": [
        "Malus 'Golden Hornet'",
        "Ana's birthday",
        "Érable 'Édith'",
        "Snowdrop 'Union'",
        "Selected Dropwort",
        "Update; Delete",
    ],
    "a character of its own": ["'\nOR 1=1", "\t", "e\u0301", "\u202e'", "\ufeff", "\u2028", "🌵'"],
}
ALL_TEXTS = [each for group in TEXTS.values() for each in group]
# Characters with a meaning in a pattern, each with a name that the pattern would find as well.
PATTERNS = {
    "100% hardy": "100 years hardy",
    "no_5": "no-5",
    "%": "none",
    "_": "none",
    "a%%b": "a b",
    "%27": "27",
    "%s": "s",
    **{f"k{mark}%": f"k{mark}k" for mark in "\\/!^|~#@*=$?"},
    **{f"m{mark}_": f"m{mark}m" for mark in "\\/!^"},
    **{f"n{mark}n": f"n{mark}{mark}n" for mark in "\\/"},
}
# Names that a client could filter by, and none of them is a filter.
FILTERS = [
    *("__class__", "__table__", "__tablename__", "__mapper__", "__init__", "metadata", "registry"),
    *("cost", "id", "name", "price", "reservations", "password_hash", "famly", "Family"),
    *("family;--", "family' OR '1'='1", "plants.family"),
]
SORTS = [
    *("cost", "id", "family", "reservations", "password_hash", "__class__", "metadata", "NAME", ""),
    *("-price", "plants.cost", '"cost"', "name, cost", "name desc", "1", "5", "NULL", "random()"),
    *("name; DROP TABLE plants", "name--", "name COLLATE NOCASE", "cost --", "(cost)", "name\n"),
    "(CASE WHEN (SELECT count(*) FROM customers) > 1 THEN price ELSE -price END)",
    "(SELECT password_hash FROM customers LIMIT 1)",
]
DIRECTIONS = ["", "ASC", "asc ", "down", "asc, cost", "desc; DROP TABLE plants", "--"]
LARGEST = 2**31 - 1
NUMBERS = [
    *("2147483648", "4294967296", "9223372036854775807", "9223372036854775808"),
    *("9" * 40, "-1", "-9223372036854775809", "0", "1 OR 1=1", "1; --", "1'", "NaN", "five"),
]
# Bytes that are no UTF-8, and quotation marks that were encoded in unusual ways.
BYTES = ["%ff", "%ed%a0%80", "%ed%bf%bf", "%c0%a7", "%f0%9f%8c", "%252527", "%u0027"]

COLUMNS = ("id", "name", "family", "price", "cost")
PLANTS = [
    (1, "Acer palmatum", "Maples", 2900, 400),
    (2, "Betula nana", "Birches", 450, 300),
    (3, "Cornus mas", "Dogwoods", 1200, 900),
    (4, "Daphne mezereum", "Mezereums", 450, 90),
    (5, "Rosa \u00d7 odorata Où", "Roses", 3100, 100),
    (6, "Ginkgo 银杏", "Ginkgos", 8000, 200),
]
CODES = ["spring", "for Ana", "third"]


@dataclass
class Nursery:
    """The running service, and a way of the tests' own into its database."""

    client: httpx.AsyncClient
    engine: AsyncEngine
    tables: dict[str, Any]

    async def add(self, names: list[str]) -> None:
        """Offer plants with these names, from the id 101 on; their families are called alike."""
        rows = [
            dict(zip(COLUMNS, (101 + at, name, name, 500, 50), strict=True))
            for at, name in enumerate(names)
        ]
        async with self.engine.begin() as connection:
            await connection.execute(insert(self.tables["plants"]), rows)

    async def put_aside(self, codes: list[str]) -> None:
        """Put the first plant aside under each of these codes."""
        rows = [{"code": code, "plant_id": 1, "customer_id": 1} for code in codes]
        async with self.engine.begin() as connection:
            await connection.execute(insert(self.tables["reservations"]), rows)

    async def content(self) -> dict[str, str]:
        """Write down each table with its columns and its rows."""

        def look(connection: Connection) -> dict[str, str]:
            there = inspect(connection)
            names = sorted(there.get_table_names() + there.get_view_names())
            return {
                name: f"{[(each['name'], str(each['type'])) for each in there.get_columns(name)]} "
                f"{sorted(map(repr, connection.execute(sql(f'SELECT * FROM {name}'))))}"
                for name in names
            }

        async with self.engine.connect() as connection:
            return await connection.run_sync(look)

    async def codes(self) -> list[str]:
        """Read under which codes something is put aside."""
        async with self.engine.connect() as connection:
            return list(await connection.scalars(select(self.tables["reservations"].c.code)))

    async def find(self, **query: str) -> httpx.Response:
        """Ask for plants."""
        return await self.client.get("/plants", params=query)

    async def cancel(self, code: str) -> httpx.Response:
        """Cancel a reservation."""
        return await self.client.delete(_reservation(code))


@dataclass
class Findings:
    """What was wrong, and with which input."""

    tried: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    places: list[Place | None] = field(default_factory=list)
    _last: list[Place | None] = field(default_factory=list)

    async def look_at(
        self, nursery: Nursery, address: str, query: Row | None = None, method: str = "GET"
    ) -> httpx.Response:
        """Send a request, and remember from which lines it led to a statement."""
        self.tried += 1
        with statements() as sent:
            response = await nursery.client.request(method, address, params=query or {})
        self._last = [statement.place for statement in sent.sent]
        return response

    def add(self, kind: str, response: httpx.Response, more: str = "") -> None:
        """Note one finding about the last request; a crash is one, whatever was looked for."""
        said = f"is answered with {response.status_code} {cut(response.text, 120)}"
        self.places += self._last
        if (crash := crash_of(response)) is not None:
            kind = "crashed"
            said = f"ended in {type(crash).__name__}: {cut(str(crash), 120)}"
            self.places.append(place_of_exception(crash))
        self.kinds[kind] += 1
        address = unquote_plus(response.request.url.raw_path.decode())
        text = f"{response.request.method} {cut(address, 120)} {said}. {more}".strip()
        self.examples.setdefault(kind, _visible(text))

    def teach(self, production: str, look: str) -> None:
        """Fail with a lesson if there is a finding."""
        if not self.kinds:
            return
        raise lesson(
            "-and-".join(sorted(self.kinds)),
            seen="{tried} requests, and this was wrong: {kinds}.\n{examples}",
            production=production,
            look=look,
            where=self.places,
            tried=self.tried,
            kinds=", ".join(f"{kind} ({count})" for kind, count in sorted(self.kinds.items())),
            examples="\n".join(f"  {kind}: {said}" for kind, said in sorted(self.examples.items())),
        )


@pytest_asyncio.fixture(autouse=True)
async def _own_database(module: Any, database_url: str) -> None:
    module.DATABASE_URL = database_url


@pytest_asyncio.fixture
async def nursery(
    module: Any, client: httpx.AsyncClient, database_url: str
) -> AsyncIterator[Nursery]:
    """The service with six plants, two customers and three reservations."""
    engine = create_async_engine(database_url)
    tables = module.Base.metadata.tables
    customers = [
        {"id": number, "email": f"{name}@example.org", "password_hash": f"$argon2id${name}"}
        for number, name in ((1, "mia"), (2, "noor"))
    ]
    try:
        async with engine.begin() as connection:
            await connection.execute(insert(tables["customers"]), customers)
            plants = [dict(zip(COLUMNS, row, strict=True)) for row in PLANTS]
            await connection.execute(insert(tables["plants"]), plants)
        nursery = Nursery(client, engine, tables)
        await nursery.put_aside(CODES)
        yield nursery
    finally:
        await engine.dispose()


@pytest.mark.goal
async def test_each_text_finds_itself(nursery: Nursery) -> None:
    """Whatever text `q` is, it finds the plants with this text in their name, and no others."""
    await _expect_found(nursery, ALL_TEXTS)


@pytest.mark.goal
async def test_pattern_finds_itself(nursery: Nursery) -> None:
    """A character with a meaning in a pattern is a character like all others."""
    await _expect_found(nursery, list(PATTERNS), *PATTERNS.values())


@pytest.mark.goal
async def test_client_writes_no_part_of_a_statement(nursery: Nursery) -> None:
    """A text of the client reaches the database, and it is in no statement."""
    text = "Quixwort"
    await nursery.add([text])
    await nursery.put_aside([text])
    for method, address, status in (
        ("GET", f"/plants?q={text}", 200),
        ("GET", f"/plants?family={text}", 200),
        ("DELETE", f"/reservations/{text}", 204),
    ):
        with statements() as sent:
            response = await nursery.client.request(method, address)
        expect_status(response, status, because=f"there is one with {text}")
        for statement in sent.sent:
            if text.lower() in statement.sql.lower():
                raise lesson(
                    "written-into-the-statement",
                    seen="{request} sent this statement: {sql}",
                    production="The database reads a statement as orders. Whoever may write a part "
                    "of it needs only one character that nobody thought of.",
                    look="What does the database get here as text to read, and what as a value?",
                    where=statement.place,
                    request=f"{method} {address}",
                    sql=statement.sql,
                )


@pytest.mark.goal
async def test_names_of_filters_are_listed(nursery: Nursery) -> None:
    """A filter that the page does not list is answered with 422, whatever Python knows by it."""
    before = await nursery.content()
    everything = await nursery.find()
    expect_status(everything, 200, because="all parameters may be left out")
    findings = Findings()
    for name in FILTERS:
        response = await findings.look_at(nursery, "/plants", {name: "90"})
        if response.status_code != 422:
            ignored = response.text == everything.text
            findings.add("ignored" if ignored else "not-refused", response)
    findings.teach(
        production="What no answer shows can be asked for in this way, value by value. And a name "
        "that is passed over gives the whole catalogue to whoever asked for less.",
        look="Who decides which names of a query mean something?",
    )
    _expect_equal(before, await nursery.content())


@pytest.mark.goal
async def test_orders_are_listed(nursery: Nursery) -> None:
    """`sort` and `direction` take the listed words; any other word is answered with 422."""
    before = await nursery.content()
    expect_status(await nursery.find(sort="price"), 200, because="plants are sorted by price")
    findings = Findings()
    by_cost = [row[0] for row in sorted(PLANTS, key=lambda row: row[4])]
    for sort in SORTS:
        response = await findings.look_at(nursery, "/plants", {"sort": sort})
        if response.status_code == 200 and [each["id"] for each in response.json()] == by_cost:
            findings.add("hidden-order", response, "It is the order of what the nursery pays.")
        elif response.status_code != 422:
            findings.add("sort-not-refused", response)
    for direction in DIRECTIONS:
        query = {"sort": "price", "direction": direction}
        response = await findings.look_at(nursery, "/plants", query)
        if response.status_code != 422:
            findings.add("direction-not-refused", response)
    findings.teach(
        production="An order is an answer too: it tells which plant has more of what is hidden, "
        "and an expression in it can ask any table.",
        look="Which words does the page list, and what lets this one through?",
    )
    _expect_equal(before, await nursery.content())


@pytest.mark.goal
async def test_numbers_have_bounds(nursery: Nursery) -> None:
    """A number below 1 or above 2147483647, and what is no number, is answered with 422."""
    expect_status(await nursery.find(max_price="500"), 200, because="this is a price")
    findings = Findings()
    for number in NUMBERS:
        for address, query in (
            ("/plants", {"max_price": number}),
            (f"/plants/{quote(number, safe='')}/label", {}),
        ):
            response = await findings.look_at(nursery, address, query)
            if response.status_code != 422:
                findings.add("not-refused", response)
    findings.teach(
        production="Each such request is an error in the log, and who looks for a weak place sees "
        "that this one was not thought of.",
        look="Which numbers can the column hold, and which ones does the endpoint let through?",
    )


@pytest.mark.goal
async def test_texts_have_bounds(nursery: Nursery) -> None:
    """A text that is empty, has more than 100 characters or has a NUL is answered with 422."""
    expect_status(await nursery.find(q="Acer"), 200, because="this text is within the bounds")
    findings = Findings()
    for text in ("", "\0", "Acer\0", "\0' OR '1'='1", "a" * 101, "%" * 20000, "a" * 60000):
        responses = [
            await findings.look_at(nursery, "/plants", {"q": text}),
            await findings.look_at(nursery, "/plants", {"family": text}),
        ]
        if text:
            responses.append(await findings.look_at(nursery, _reservation(text), method="DELETE"))
        for response in responses:
            if response.status_code != 422:
                findings.add("not-refused", response)
    findings.teach(
        production="Databases differ in what they take. One refuses this text with an error, "
        "another cuts it off or works on it for long.",
        look="Where does the module say which texts it takes?",
    )
    response = await nursery.find(q="%" * 100, family="a" * 100)
    expect_status(response, 200, because="these texts are within the bounds")


@pytest.mark.goal
async def test_code_cancels_itself_only(nursery: Nursery) -> None:
    """A code cancels the reservation with just this code, and a code that nobody has, none."""
    codes = [code for code in [*ALL_TEXTS, *PATTERNS] if "/" not in code]
    taken = ["Ana's birthday", "Bob", "BOB", *codes[::6]]
    free = [code for code in [*codes[2::3], "bob"] if code not in taken]
    await nursery.put_aside(taken)
    before = await nursery.content()
    expect_status(await nursery.cancel("nothing"), 404, because="nobody has this code")
    findings = Findings()
    for code in free:
        response = await findings.look_at(nursery, _reservation(code), method="DELETE")
        if response.status_code != 404:
            now = await nursery.codes()
            gone = "; ".join(each for each in CODES + taken if each not in now)
            count = f"Reservations before: {len(CODES + taken)}, now: {len(now)}"
            findings.add("cancelled", response, f"Nobody had it. {count}. Gone: {cut(gone)}.")
    left = await nursery.content()
    for code in taken:
        response = await findings.look_at(nursery, _reservation(code), method="DELETE")
        if response.status_code != 204:
            findings.add("not-cancelled", response, "Something was put aside under it.")
    findings.teach(
        production="One request, and what others have put aside is gone; or the owner of an "
        "ordinary code cannot use it.",
        look="Of which rows does this statement speak when the code is the one shown here?",
    )
    _expect_equal(before, left)
    await nursery.put_aside(taken)
    _expect_equal(before, await nursery.content())


@pytest.mark.goal
async def test_name_on_the_label_is_text(nursery: Nursery) -> None:
    """A label shows the name as it is: it adds no element and no attribute to the page."""
    names = [name for name in ALL_TEXTS if set(name) & set("<>&'\"")]
    await nursery.add(["Plain", *names])
    plain = await nursery.client.get("/plants/101/label")
    expect_status(plain, 200, because="there is such a plant")
    wanted = _pieces(plain.text)
    findings = Findings()
    for at, name in enumerate(names):
        response = await findings.look_at(nursery, f"/plants/{102 + at}/label")
        expect_status(response, 200, because="there is such a plant")
        pieces = _pieces(response.text)
        for kind in ("element", "attribute", "text"):
            seen = pieces[kind]
            if seen != [part.replace("Plain", name) for part in wanted[kind]]:
                more = f"The name is {name}. For a browser the page has these {kind}s: {seen}."
                findings.add(f"other-{kind}s", response, more)
                break
    findings.teach(
        production="Whoever can choose a name can put a script into the page that the staff opens, "
        "and it runs with their rights. Or the label shows another name.",
        look="Which characters of a name mean something to a browser, in a text and in an "
        "attribute?",
    )


@pytest.mark.guard
async def test_words_and_filters_find_plants(nursery: Nursery) -> None:
    """A search finds a part of a name in any script, and a plant shows its public fields."""
    response = await nursery.find()
    expect_status(response, 200, because="all parameters may be left out")
    shown = [dict(zip(COLUMNS[:4], row, strict=False)) for row in PLANTS]
    assert response.json() == sorted(shown, key=lambda row: str(row["name"]))
    for query, wanted in (
        ({"q": "mas"}, [3]),
        ({"q": "\u00d7"}, [5]),
        ({"q": "Où"}, [5]),
        ({"q": "银杏"}, [6]),
        ({"q": "a n"}, [2]),
        ({"q": "mas "}, []),
        ({"family": "Roses"}, [5]),
        ({"family": "Rose"}, []),
        ({"family": "Maples "}, []),
        ({"max_price": "450"}, [2, 4]),
        ({"max_price": "1200", "q": "a", "family": "Birches"}, [2]),
        ({"max_price": str(LARGEST), "q": "o", "sort": "price"}, [3, 5, 6]),
    ):
        with statements(count_rows=True) as sent:
            response = await nursery.find(**query)
        expect_status(response, 200, because="these are parameters of the page")
        found = [plant["id"] for plant in response.json()]
        assert found == wanted, f"{query} finds {found}, not {wanted}"
        if sent.rows > len(found):
            raise lesson(
                "rows-not-shown",
                seen="{query} shows {shown} plants. The database handed over {rows} rows for it.",
                production="The whole catalogue is read for each search.",
                look="Who chooses the plants here?",
                where=[statement.place for statement in sent.sent],
                query=str(query),
                shown=len(found),
                rows=sent.rows,
            )


@pytest.mark.guard
async def test_plants_come_in_the_order_asked_for(nursery: Nursery) -> None:
    """The order is by name or by price, up or down; equal prices come by id; 100 plants at most."""
    for query, wanted in (
        ({}, [1, 2, 3, 4, 6, 5]),
        ({"sort": "name"}, [1, 2, 3, 4, 6, 5]),
        ({"direction": "desc"}, [5, 6, 4, 3, 2, 1]),
        ({"sort": "price", "direction": "asc"}, [2, 4, 3, 1, 5, 6]),
        ({"sort": "price", "direction": "desc"}, [6, 5, 1, 3, 2, 4]),
    ):
        response = await nursery.find(**query)
        expect_status(response, 200, because="this is one of the orders")
        assert [plant["id"] for plant in response.json()] == wanted, f"the order of {query}"
    await nursery.add([f"Salix {number}" for number in range(101)])
    response = await nursery.find(q="Salix")
    expect_status(response, 200, because="there are willows")
    assert len(response.json()) == 100


@pytest.mark.guard
async def test_family_is_compared_as_it_is(nursery: Nursery) -> None:
    """Whatever text the family is, it finds the plants of just this family."""
    families = [group[0] for group in TEXTS.values()] + list(PATTERNS)[::3] + ["\u00c9rables"]
    await nursery.add(families)
    before = await nursery.content()
    for at, family in enumerate(families[:-1]):
        response = await nursery.find(family=family)
        expect_status(response, 200, because=f"there is a family {family!r}")
        found = [plant["id"] for plant in response.json()]
        assert found == [101 + at], f"the family {family!r} finds {found}"
    findings = Findings()
    for family, wanted in (("maples", []), ("MAPLES", []), ("\u00c9rables", [100 + len(families)])):
        response = await findings.look_at(nursery, "/plants", {"family": family})
        expect_status(response, 200, because="a family is a text")
        if [plant["id"] for plant in response.json()] != wanted:
            more = "There is such a family." if wanted else "There is Maples, and no such family."
            findings.add("family-not-found" if wanted else "other-family-found", response, more)
    findings.teach(
        production="Who asks for one family gets another one, or does not get their own.",
        look="When are two families the same for this condition, and who decides it?",
    )
    _expect_equal(before, await nursery.content())


@pytest.mark.guard
async def test_bytes_that_are_no_text_find_nothing(nursery: Nursery) -> None:
    """What is no UTF-8, or was encoded twice, is a text that no plant has."""
    before = await nursery.content()
    for query in BYTES:
        response = await nursery.client.get(f"/plants?q={query}")
        expect_status(response, 200, because="it is a text when it reaches the endpoint")
        assert response.json() == [], f"?q={query} finds plants"
    _expect_equal(before, await nursery.content())


@pytest.mark.guard
async def test_label_has_name_and_price(nursery: Nursery) -> None:
    """A label has the name in the title and in the text of a heading, and the price."""
    response = await nursery.client.get("/plants/5/label")
    expect_status(response, 200, because="there is such a plant")
    assert response.headers["content-type"].startswith("text/html")
    pieces = _pieces(response.text)
    assert pieces["element"].count("h1") == 1
    assert pieces["attribute"].count("title") == 1
    assert pieces["text"].count("Rosa \u00d7 odorata Où") >= 2
    assert "3100" in response.text
    response = await nursery.client.get(f"/plants/{LARGEST}/label")
    expect_status(response, 404, because="there is no such plant")


@pytest.mark.guard
async def test_reservation_is_cancelled_once(nursery: Nursery) -> None:
    """A reservation that is cancelled is gone; to cancel it again is a 404."""
    before = await nursery.content()
    expect_status(await nursery.cancel("for Ana"), 204, because="somebody has this code")
    expect_status(await nursery.cancel("for Ana"), 404, because="it was cancelled before")
    expect_status(await nursery.cancel("for ana"), 404, because="nobody has this code")
    await nursery.put_aside(["for Ana"])
    _expect_equal(before, await nursery.content())


async def _expect_found(nursery: Nursery, texts: list[str], *decoys: str) -> None:
    """Search each text: all plants that have it must be found, and no other."""
    added = [*texts, *decoys]
    await nursery.add(added)
    before = await nursery.content()
    everything = await nursery.find(q="a")
    expect_status(everything, 200, because="some plants have an a in their name")
    names = [row[1] for row in PLANTS] + added
    findings = Findings()
    for text in texts:
        response = await findings.look_at(nursery, "/plants", {"q": text})
        if response.status_code != 200:
            findings.add("refused", response)
            continue
        found = [plant["name"] for plant in response.json()]
        # Whether capital letters matter is left open: the databases differ.
        others = [name for name in found if text.casefold() not in name.casefold()]
        missed = [name for name in names if text in name and name not in found]
        if strangers := [name for name in found if name not in names]:
            findings.add("no-plants", response, f"No plants: {cut('; '.join(strangers))}.")
        elif others:
            findings.add("found-too-much", response, f"Without it: {cut('; '.join(others))}.")
        if missed:
            findings.add("not-found", response, f"Missing: {cut('; '.join(missed))}.")
    findings.teach(
        production="Plants with an ordinary name cannot be found. And where a text can end the "
        "search, what follows it is an order to the database.",
        look="Which text does the database look for, and as what does it read its characters?",
    )
    _expect_equal(before, await nursery.content())


def _expect_equal(before: dict[str, str], after: dict[str, str]) -> None:
    """Compare all tables with what they were."""
    changed = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    if changed:
        raise lesson(
            "database-changed",
            seen="Another content than before have: {changed}. Before: {before}. After: {after}.",
            production="A request that should read has changed what others rely on.",
            look="Which statements did these requests lead to?",
            changed=", ".join(changed),
            before=cut(str(before.get(changed[0]))),
            after=cut(str(after.get(changed[0]))),
        )


def _visible(text: str) -> str:
    """Write what nobody sees, or what joins the letter before it, by its number."""
    hidden = {each for each in text if not each.isprintable() or combining(each)}
    return "".join(ascii(each).strip("'") if each in hidden else each for each in text)


def _reservation(code: str) -> str:
    return f"/reservations/{quote(code, safe='')}"


class _Reader(HTMLParser):
    """Reads HTML as a browser does."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: dict[str, list[str]] = {"element": [], "attribute": [], "text": []}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.pieces["element"].append(tag)
        self.pieces["attribute"] += [name for name, _ in attrs]
        self.pieces["text"] += [*(value or "" for _, value in attrs), ""]

    def handle_endtag(self, tag: str) -> None:
        self.pieces["element"].append(f"/{tag}")
        self.pieces["text"].append("")

    def handle_comment(self, data: str) -> None:
        self.pieces["element"].append(f"!{data}")

    def handle_data(self, data: str) -> None:
        if not self.pieces["text"]:
            self.pieces["text"].append("")
        self.pieces["text"][-1] += data


def _pieces(html: str) -> dict[str, list[str]]:
    """Take a page apart into its elements, its attributes and its texts."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.pieces
