"""The rules of the studio need no HTTP, no database and no framework, and imports go one way."""

from __future__ import annotations

import ast
import importlib
import importlib.util
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from asgi_lifespan import LifespanManager
from pydantic import BaseModel
from sqlalchemy import Engine, event, insert, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.util import await_

from fastapi_katas.probes import (
    Place,
    Statements,
    WatchingTransport,
    crash_of,
    cut,
    expect_status,
    lesson,
    place_of_exception,
    statements,
)

Row = dict[str, Any]

ADA, IDA = "ada@example.org", "ida@example.org"
KILNS: list[Row] = [
    {"name": "oak", "height": 60, "heat": 1250},
    {"name": "elm", "height": 40, "heat": 1400},
    {"name": "ash", "height": 90, "heat": 1000},
    {"name": "birch", "height": 90, "heat": 1000},
]
# This was booked when the fee was another one.
BOOKED: Row = {"kiln": "ash", "potter": ADA, "height": 30, "heat": 900, "fee": 2100}
# Where the tests have a repository of their own, this happens after any look: the first of these is
# booked, the second one is removed, and the third one takes the place of BOOKED.
LATE: Row = {**BOOKED, "kiln": "birch"}
GONE: Row = {**BOOKED, "kiln": "fir"}
ANEW: Row = {**BOOKED, "potter": IDA, "fee": 2350}
WARE: Row = {"potter": IDA, "height": 30, "heat": 900}

# What is booked, and its fee in cents: below, at and beyond each bound.
TAKEN: list[tuple[Row, int]] = [
    ({**WARE, "kiln": "oak", "height": 58}, 2250),
    ({**WARE, "kiln": "oak", "heat": 1250}, 3250),
    ({**WARE, "kiln": "elm", "height": 38, "heat": 1400}, 3500),
    ({**WARE, "kiln": "elm", "heat": 901}, 2500),
    ({**WARE, "kiln": "elm", "heat": 801}, 2250),
    ({**WARE, "kiln": "elm", "heat": 800}, 2000),
    ({**WARE, "kiln": "elm", "heat": 600}, 2000),
]

# What is refused: the function of the service, what it gets, and the status over HTTP.
REFUSED: dict[str, tuple[str, Any, int]] = {
    "no such kiln": ("book", {**WARE, "kiln": "yew"}, 404),
    "too high": ("book", {**WARE, "kiln": "oak", "height": 59}, 409),
    "too hot": ("book", {**WARE, "kiln": "oak", "heat": 1251}, 409),
    "booked": ("book", {**WARE, "kiln": "ash"}, 409),
    "booked meanwhile": ("book", {**WARE, "kiln": "birch"}, 409),
    "nothing to show": ("show", "elm", 404),
    "nothing to finish": ("finish", "elm", 404),
    "finished meanwhile": ("finish", "fir", 404),
}

BAD_BODIES: list[Row] = [
    {**WARE, "kiln": ""},
    {**WARE, "kiln": "k" * 21},
    {**WARE, "kiln": "oak", "potter": "ida"},
    {**WARE, "kiln": "oak", "height": 0},
    {**WARE, "kiln": "oak", "height": 201},
    {**WARE, "kiln": "oak", "heat": 599},
    {**WARE, "kiln": "oak", "heat": 1401},
    {**WARE, "kiln": "oak", "fee": 1},
    {"kiln": "oak"},
]

LAYERS = ["router", "service", "repository", "models"]
WEB = {"fastapi", "starlette"}

# For each file of the package, what it imports, and the first line that does.
Imports = dict[str, dict[str, Place]]


class Notebook:
    """The repository of the tests: dicts, what they said, and what was changed and mailed."""

    def __init__(self, models: Any) -> None:
        self.kilns = {row["name"]: models.Kiln(**row) for row in KILNS}
        self.firings = {"ash": models.Firing(**ANEW)}
        self.looks = {"ash": models.Firing(**BOOKED), "fir": models.Firing(**GONE)}
        self.said: list[str] = []
        self.changes: list[str] = []
        self.letters: list[tuple[str, str]] = []

    def say(self, asked: str, answer: Any) -> Any:
        self.said.append(f"{asked} gave {answer!r}")
        return answer

    async def kiln(self, name: str) -> Any:
        return self.say("kiln", self.kilns.get(name))

    async def firing(self, kiln: str) -> Any:
        return self.say("firing", self.looks.get(kiln, self.firings.get(kiln)))

    async def add(self, firing: Any) -> Any:
        if firing.kiln in {*self.firings, LATE["kiln"]}:
            return self.say("add", False)
        self.firings[firing.kiln] = firing
        self.changes.append("add")
        return self.say("add", True)

    async def remove(self, kiln: str) -> Any:
        if kiln in self.firings:
            self.changes.append("remove")
        return self.say("remove", self.firings.pop(kiln, None))

    def notify(self, to: str, text: str) -> None:
        self.changes.append("mail")
        self.letters.append((to, text))


class Stand:
    """A service of the tests that knows no rule: each function gives or raises what it is told."""

    def __init__(self, gives: Any) -> None:
        self.gives = gives
        self.asked: list[str] = []

    async def itself(self) -> Stand:
        """Be the dependency that gives this service."""
        return self

    def __getattr__(self, name: str) -> Any:
        async def answer(*_: Any, **__: Any) -> Any:
            self.asked.append(name)
            if isinstance(self.gives, Exception):
                raise self.gives
            return None if name == "finish" else self.gives

        return answer


class Package:
    """The files of the module under test, and the ways to ask them."""

    def __init__(self, module: Any, client: httpx.AsyncClient, database_url: str) -> None:
        self.name: str = module.__name__
        self.folder = Path(module.__path__[0])
        self.client = client
        self.models = self.part("models")
        self.engine = create_async_engine(database_url)
        self.filled = False
        self.letters: list[tuple[str, str]] = []
        # What is stored while a mail goes out.
        self.kept: list[list[Row]] = []

    async def fill(self) -> None:
        """Make the tables, with four kilns, two of them booked, if there are none yet."""
        if self.filled:
            return
        self.filled = True
        async with self.engine.begin() as connection:
            await connection.run_sync(self.models.metadata.create_all)
            await connection.execute(insert(self.models.kilns), KILNS)
            await connection.execute(insert(self.models.firings), [BOOKED, LATE])

    async def stored(self) -> list[Row]:
        """Return all firings by their kiln, as a connection of the test's own reads them."""
        firings = self.models.firings
        async with self.engine.connect() as connection:
            rows = await connection.execute(select(firings).order_by(firings.c.kiln))
            return [dict(row._mapping) for row in rows]

    async def book(self, row: Row) -> None:
        """Store a firing past the service."""
        async with self.engine.begin() as connection:
            await connection.execute(insert(self.models.firings), [row])

    async def send_mail(self, to: str, text: str) -> None:
        """Take a mail that goes out."""
        self.letters.append((to, text))
        self.kept.append(await self.stored())

    def part(self, name: str) -> Any:
        """Return a file of the package as a module, or None if there is no such file."""
        try:
            return importlib.import_module(f"{self.name}.{name}")
        except ModuleNotFoundError as error:
            if error.name == f"{self.name}.{name}":
                return None
            raise

    async def over_http(self, function: str, argument: Any) -> httpx.Response:
        """Ask for the same thing with a request."""
        await self.fill()
        if function == "book":
            return await self.client.post("/firings", json=argument)
        method = "GET" if function == "show" else "DELETE"
        return await self.client.request(method, f"/firings/{argument}")

    async def named(self, file: str, name: str, question: tuple[str, Any]) -> Any:
        """Return a name of a file, or fail and tell what the same question costs without it."""
        found = getattr(self.part(file), name, None)
        if found is not None:
            return found
        with statements() as sent:
            response = await self.over_http(*question)
        crash = crash_of(response)
        raise lesson(
            f"no-{name.lower().replace('_', '-')}",
            seen="The package has the files {files}, and there is no {name} in {file}.py. So this "
            "could only be asked with {request}. It got {status} with {body}, after {count} "
            "statements to a database, sent from {places}.",
            production="Whoever needs the rules without a request, a job, an import or a test, "
            "copies them. From then on there are two sets of rules.",
            look="Which lines between the request and the answer need to know that there is a "
            "request?",
            where=places_of(sent),
            files=", ".join(sorted(path.name for path in self.folder.glob("*.py"))),
            name=name,
            file=file,
            request=f"{response.request.method} {response.request.url.path}",
            status=response.status_code,
            body=repr(crash) if crash else cut(response.text) or "no body",
            count=len(places_of(sent)),
            places=", ".join(map(str, places_of(sent))) or "nowhere",
        )

    def file_of(self, path: str) -> str:
        """Return the file of the package, or the folder in it, that a path belongs to."""
        return Path(path).relative_to(self.folder).parts[0].removesuffix(".py")

    async def ask(self, notebook: Notebook, function: str, argument: Any) -> Any:
        """Ask the service without HTTP. A refusal is returned; fail if anything else is raised."""
        studio = await self.named("service", "Studio", (function, argument))
        given = self.models.NewFiring(**argument) if function == "book" else argument
        try:
            return await getattr(studio(notebook, notebook.notify), function)(given)
        except Exception as error:
            if type(error).__module__.split(".")[0] in {self.name, *WEB}:
                return error
            raise lesson(
                "service-crashes",
                seen="{function}({argument}) of the service ended in {error}. This is no exception "
                "class of your package.",
                production="Whoever calls the service cannot tell a refusal from a fault.",
                look="What does this line use that is not in the contract, or which class is "
                "raised?",
                where=place_of_exception(error),
                function=function,
                argument=str(argument),
                error=repr(error),
            ) from error

    async def refusal(self, case: str, notebook: Notebook) -> Exception:
        """Ask for what is refused, and return the exception that says so."""
        function, argument, _ = REFUSED[case]
        answer = await self.ask(notebook, function, argument)
        if isinstance(answer, Exception):
            return answer
        raise lesson(
            "not-refused",
            seen="{case}: {function}({argument}) of the service gave {answer} and refused nothing. "
            "This is what the repository had said: {said}.",
            production="Whoever asked takes this for a yes, and goes on with ware that does not "
            "fit, or with a kiln that somebody else has.",
            look="What did the repository say, and which line of the service decides by it?",
            case=case,
            function=function,
            argument=str(argument),
            answer=repr(answer),
            said=", ".join(notebook.said) or "nothing",
        )

    async def refusals(self) -> dict[str, Exception]:
        """Ask for all that is refused. Return what was raised, or fail if nothing was."""
        found: dict[str, Exception] = {}
        for case, (function, argument, _) in REFUSED.items():
            answer = await self.ask(Notebook(self.models), function, argument)
            if isinstance(answer, Exception):
                found[case] = answer
        if not found:
            await self.refusal(next(iter(REFUSED)), Notebook(self.models))
        return found


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    """Name the database before the module is imported."""
    monkeypatch.setenv("STUDIO_DATABASE_URL", database_url)


@pytest_asyncio.fixture(loop_scope="function")
async def package(
    module: Any, client: httpx.AsyncClient, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Package]:
    """The package under test, with a database and a mail server that belong to this test."""
    package = Package(module, client, database_url)
    monkeypatch.setattr(package.part("dependencies"), "send_mail", package.send_mail)
    yield package
    await package.engine.dispose()


@pytest.mark.goal
async def test_booking_needs_no_http(package: Package) -> None:
    """Without HTTP, a booking has its fee, is stored, and is confirmed by one mail after that."""
    for new, fee in TAKEN:
        notebook, row = Notebook(package.models), {**new, "fee": fee}
        expect_firing("book gave", row, await package.ask(notebook, "book", new))
        expect_firing("add of the repository got", row, notebook.firings.get(new["kiln"]))
        expect_work("book", notebook, "add", row)


@pytest.mark.goal
async def test_show_and_finish_need_no_http(package: Package) -> None:
    """Without HTTP, a booking can be shown and finished, and its potter is asked for its fee."""
    shown = await package.ask(Notebook(package.models), "show", "ash")
    expect_firing("show gave", BOOKED, shown)
    notebook = Notebook(package.models)
    await package.ask(notebook, "finish", "ash")
    expect_work("finish", notebook, "remove", ANEW)


@pytest.mark.goal
@pytest.mark.parametrize("case", REFUSED)
async def test_refusal_needs_no_http(case: str, package: Package) -> None:
    """Without HTTP, what is against the rules raises an exception, and nothing is done."""
    notebook = Notebook(package.models)
    error = await package.refusal(case, notebook)
    if notebook.changes:
        raise lesson(
            "refused-and-done",
            seen="{case}: the service raised {error}. Before that, this was done: {changes}.",
            production="A potter has a mail for a kiln that somebody else has.",
            look="Which of these steps can still be refused by the one after it?",
            where=place_of_exception(error),
            case=case,
            error=repr(error),
            changes=notebook.changes,
        )


@pytest.mark.goal
async def test_refusal_says_nothing_of_http(package: Package) -> None:
    """The exception of a refusal is no exception of the web framework, nor made from one."""
    for case, error in (await package.refusals()).items():
        web = [kind for kind in type(error).__mro__ if kind.__module__.split(".")[0] in WEB]
        if web:
            raise lesson(
                "refusal-speaks-http",
                seen="{case}: the service raised {error}. This class comes from {web}.",
                production="A job or an import that asks the service gets the status of a request "
                "that nobody has sent.",
                look="Who knows that there is a request, and a status?",
                where=place_of_exception(error),
                case=case,
                error=repr(error),
                web=f"{web[0].__module__}.{web[0].__name__}",
            )


@pytest.mark.goal
async def test_router_only_translates(package: Package, raw_app: Any) -> None:
    """Over HTTP, each request is answered with what the service from `get_service` says."""
    get_service = await package.named("router", "get_service", ("show", "ash"))
    firing = package.models.Firing(**WARE, kiln="yew", fee=77)
    said = partial(expect_translated, package, raw_app, get_service)
    # Each function gives what the rules forbid, and refuses what they allow.
    await said("show", "yew", 200, firing)
    await said("finish", "yew", 204, firing)
    await said("book", {**WARE, "kiln": "yew"}, 201, firing)
    allowed = {"book": {**WARE, "kiln": "oak"}, "show": "ash", "finish": "ash"}
    for case, error in (await package.refusals()).items():
        function, _, status = REFUSED[case]
        await said(function, allowed[function], status, error)
    for fault in (KeyError("glaze"), ValueError("glaze"), RuntimeError("glaze")):
        await said("show", "ash", 500, fault)


@pytest.mark.goal
async def test_statements_come_from_the_repository(package: Package) -> None:
    """All statements to the database are sent from `repository.py`, or from what it imports."""
    graph = imports_of(package)
    below = {"repository", *ways(graph, "repository")}
    for function, argument, status in (
        ("book", {**WARE, "kiln": "oak"}, 201),
        ("show", "oak", 200),
        ("finish", "oak", 204),
    ):
        with statements() as sent:
            response = await package.over_http(function, argument)
        expect_status(response, status, because="this is allowed")
        places = places_of(sent)
        wrong = [place for place in places if package.file_of(place.file) not in below]
        if wrong:
            raise lesson(
                "statement-from-elsewhere",
                seen="{request} sent {count} statements to the database: {sql}. They came from "
                "{places}.",
                production="A new column, index or database is a change of all the files that "
                "know SQL.",
                look="What does this line want to know, said without SQL?",
                where=wrong,
                request=f"{response.request.method} {response.request.url.path}",
                count=len(places),
                sql=" | ".join(
                    cut(statement.sql, 40) for statement in sent.sent if statement.place
                ),
                places=", ".join(map(str, places)),
            )


@pytest.mark.goal
async def test_imports_go_one_way(package: Package) -> None:
    """The imports lead from the router to the service, and from no layer back to one above it."""
    response = await package.over_http("show", "ash")
    expect_status(response, 200, because="this kiln is booked")
    graph = imports_of(package)
    if "service" not in ways(graph, "router"):
        raise lesson(
            "router-without-service",
            seen="`router.py` answers {status} with {body}. It imports {imports}, and no way "
            "leads from there to a file service.py.",
            production="Everything that the studio knows stands where requests are answered.",
            look="Which of these imports does an endpoint need to speak HTTP?",
            status=response.status_code,
            body=response.text,
            imports=sorted(graph.get("router", {})),
        )
    for number, low in enumerate(LAYERS):
        expect_no_way(
            graph,
            low,
            [*LAYERS[:number], "__init__"],
            "import-goes-back",
            production="The lower file cannot be used without the upper one. The next import, in "
            "the other direction, makes a circle, and nothing starts.",
            look="What do both of them need, and in which file could it stand?",
        )


@pytest.mark.goal
async def test_rules_import_no_web_framework(package: Package) -> None:
    """No import leads from `service.py` or `repository.py` to FastAPI or Starlette."""
    await package.named("service", "Studio", ("show", "ash"))
    for low in ("service", "repository"):
        expect_no_way(
            imports_of(package),
            low,
            sorted(WEB),
            "web-imported",
            production="A job that only needs a rule loads a web framework, and a new version of "
            "the framework is a change of the rules.",
            look="What is needed from there, and what would it be called without HTTP?",
        )


@pytest.mark.guard
async def test_firing_over_http(package: Package) -> None:
    """A booking is answered, stored, confirmed, shown and finished; mails go out after commits."""
    for new, fee in TAKEN[::3]:
        kiln, row = new["kiln"], {**new, "fee": fee}
        response = await package.over_http("book", new)
        expect_status(response, 201, because="a kiln is booked")
        assert response.json() == row, f"POST answered {response.json()} and not {row}"
        assert response.headers["location"] == f"/firings/{kiln}"
        response = await package.over_http("show", kiln)
        expect_status(response, 200, because="this kiln is booked")
        assert response.json() == row, f"GET answered {response.json()} and not {row}"
        response = await package.over_http("finish", kiln)
        expect_status(response, 204, because="the firing is finished")
        assert response.content == b"", f"204 came with {response.content!r}"
        told = [tells_of(row, *letter) for letter in package.letters]
        assert told == [True, True], f"two mails of {row} were due, not {package.letters}"
        booked, finished = package.kept
        assert booked == [BOOKED, LATE, row], f"a mail went out while there was {booked}"
        assert finished == [BOOKED, LATE], f"a mail went out while there was {finished}"
        package.letters.clear()
        package.kept.clear()


@pytest.mark.guard
async def test_refusal_over_http(package: Package) -> None:
    """What is against the rules has its status and a reason; it changes and mails nothing."""
    for case, (function, argument, status) in REFUSED.items():
        response = await package.over_http(function, argument)
        expect_status(response, status, because=f"this is refused: {case}")
        detail = response.json().get("detail")
        assert isinstance(detail, str), f"{case} is answered with {response.text}"
        assert detail, f"{case} is answered without a reason"
    async with package.engine.begin() as connection:
        await connection.execute(update(package.models.kilns).values(heat=899))
    response = await package.over_http("book", {**WARE, "kiln": "oak"})
    expect_status(response, 409, because="this kiln was rebuilt, and gets less hot than before")
    for body in BAD_BODIES:
        response = await package.over_http("book", body)
        expect_status(response, 422, because=f"{body} is no booking")
    assert await package.stored() == [BOOKED, LATE]
    assert package.letters == [], "a refused request sends no mail"


@pytest.mark.guard
async def test_last_moment_is_seen_by_the_database(package: Package) -> None:
    """A kiln booked just before the insertion is answered with 409, and a fault with 500."""
    await package.fill()
    rival = {**BOOKED, "kiln": "oak"}
    inserts: list[str] = []

    def meddle(_: Any, __: Any, sql: str, *___: Any) -> None:
        if sql.upper().startswith("INSERT"):
            inserts.append(sql)
            if len(inserts) == 1:
                await_(package.book(rival))
            elif asked == "elm":
                raise OperationalError(sql, None, Exception("the disk is full"))

    event.listen(Engine, "before_cursor_execute", meddle)
    try:
        for asked, status, because in (
            ("oak", 409, "somebody else was quicker"),
            ("elm", 500, "this kiln is free, and the database has a fault"),
        ):
            response = await package.over_http("book", {**WARE, "kiln": asked})
            expect_status(response, status, because=because)
    finally:
        event.remove(Engine, "before_cursor_execute", meddle)
    assert await package.stored() == [BOOKED, LATE, rival]
    assert package.letters == [], "only the other one has the kiln"


@pytest.mark.guard
async def test_each_app_is_whole(module: Any, package: Package) -> None:
    """`create_app()` makes an app of its own each time, with all operations and refusals."""
    other = module.create_app()
    assert other is not module.app, "create_app() gives the same app again"
    paths = other.openapi()["paths"]
    assert {path: sorted(found) for path, found in paths.items()} == {
        "/firings": ["post"],
        "/firings/{kiln}": ["delete", "get"],
    }
    tags = [operation["tags"] for found in paths.values() for operation in found.values()]
    assert tags == [["firings"]] * 3, f"the tags are {tags}"
    async with (
        LifespanManager(other) as manager,
        httpx.AsyncClient(
            transport=WatchingTransport(manager.app), base_url="http://testserver"
        ) as package.client,
    ):
        for function, argument, status in REFUSED.values():
            response = await package.over_http(function, argument)
            expect_status(response, status, because="each app refuses what is against the rules")


def places_of(sent: Statements) -> list[Place]:
    """Return the lines of the package that sent a statement; the tests read tables too."""
    return [statement.place for statement in sent.sent if statement.place]


def expect_no_way(
    graph: Imports, low: str, names: list[str], key: str, *, production: str, look: str
) -> None:
    """Fail, and say by which way, if the imports of a file lead to one of these names."""
    found = ways(graph, low)
    for name in names:
        if name in found:
            files = [Path(place.file).name for place in found[name]]
            raise lesson(
                key if len(files) == 1 else f"{key}-indirectly",
                seen="{low}.py needs {name}: {way}.",
                production=production,
                look=look,
                where=found[name],
                low=low,
                name=name,
                way=" imports ".join([*files, name]),
            )


async def expect_translated(
    package: Package,
    app: Any,
    get_service: Any,
    function: str,
    argument: Any,
    status: int,
    gives: Any,
) -> None:
    """Fail, and say what was seen, unless an answer says what the service put in place says."""
    stand = Stand(gives)
    app.dependency_overrides[get_service] = stand.itself
    with statements() as sent:
        response = await package.over_http(function, argument)
    as_given = response.is_error or not response.content or response.json() == dict(gives)
    asked_only = stand.asked == [function] and not places_of(sent) and not package.letters
    if as_given and asked_only and response.status_code == status:
        return
    crash = crash_of(response)
    key = f"router-decides-{function}"
    if isinstance(gives, Exception):
        key = "fault-translated" if status == 500 else "refusal-not-translated"
    raise lesson(
        key,
        seen="The test put a service of its own in the place of yours. Its {function} {does}. "
        "{request} then answered {status} with {body}; wanted was {wanted}. The service was asked "
        "for {asked}. "
        "Statements: {count}. Mails: {mails}.",
        production="What the service decides and what clients get are two different things.",
        look="Which lines between the request and the service know a rule? Who gives the service "
        "to the endpoint, and to which exceptions is a status given?",
        where=[*places_of(sent), place_of_exception(crash) if crash else None],
        function=function,
        does=f"raises {gives!r}" if isinstance(gives, Exception) else f"gives {gives!r}",
        request=f"{response.request.method} {response.request.url.path}",
        status=response.status_code,
        wanted=status,
        body=repr(crash) if crash else cut(response.text) or "no body",
        asked=", ".join(stand.asked) or "nothing",
        count=len(places_of(sent)),
        mails=len(package.letters),
    )


def expect_firing(what: str, wanted: Row, answer: Any) -> None:
    """Fail, and say what was seen, unless it is this firing."""
    got = answer.model_dump() if isinstance(answer, BaseModel) else repr(answer)
    if got != wanted:
        raise lesson(
            "firing-is-another",
            seen="Without HTTP, {what} {got}. Wanted was {wanted}.",
            production="What a firing costs depends on who asks, and when.",
            look="Which line makes the value that differs, and when?",
            what=what,
            got=str(got),
            wanted=str(wanted),
        )


def expect_work(function: str, notebook: Notebook, change: str, row: Row) -> None:
    """Fail, and say what was seen, unless a change was made, and then one mail of it noted."""
    if notebook.changes != [change, "mail"]:
        raise lesson(
            "work-is-another",
            seen="{function} of the service did this with the repository and the mail, in this "
            "order: {changes}. Wanted was {wanted}.",
            production="A promise goes out that is not kept, or nobody is told.",
            look="Which part of this work belongs to the booking, whoever asks for it?",
            function=function,
            changes=notebook.changes,
            wanted=[change, "mail"],
        )
    if not tells_of(row, *notebook.letters[0]):
        raise lesson(
            "mail-is-another",
            seen="{function} of the service noted the mail {letter}. It was due for {row}. This is "
            "what the repository had said: {said}.",
            production="A potter is told a sum that is not agreed, or gets the bill of another.",
            look="What does this mail follow, and is it still so when it is noted?",
            function=function,
            letter=str(notebook.letters[0]),
            row=str(row),
            said=", ".join(notebook.said),
        )


def tells_of(row: Row, to: str, text: str) -> bool:
    """Tell whether a mail goes to the potter of a firing, and has its kiln and its fee."""
    return to == row["potter"] and row["kiln"] in text and str(row["fee"]) in text


def imports_of(package: Package) -> Imports:
    """Read which file of the package imports what, wherever in the file the import stands."""
    files: Imports = {}
    sources = sorted(package.folder.rglob("*.py"))
    layers = {path.relative_to(package.folder).parts[0].removesuffix(".py") for path in sources}
    for path in sources:
        inside = path.relative_to(package.folder).parts
        above = ".".join((package.name, *inside[:-1]))
        found = files.setdefault(inside[0].removesuffix(".py"), {})
        for node in ast.walk(ast.parse(path.read_bytes())):
            if not isinstance(node, ast.Import | ast.ImportFrom | ast.Call):
                continue
            for name in imported(node, above):
                root, _, rest = name.partition(".")
                own = rest.split(".")[0] if rest.split(".")[0] in layers else "__init__"
                code = path.read_text().splitlines()[node.lineno - 1].strip()
                place = Place(str(path), node.lineno, "", code)
                found.setdefault(own if root == package.name else root, place)
    return files


def imported(node: ast.Import | ast.ImportFrom | ast.Call, above: str) -> Iterator[str]:
    """Return the full names that a node of the syntax tree imports."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = importlib.util.resolve_name("." * node.level + (node.module or ""), above)
        yield from (f"{base}.{alias.name}" for alias in node.names)
    elif node.args and isinstance(node.args[0], ast.Constant):
        called = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if called in {"import_module", "__import__"}:
            yield importlib.util.resolve_name(str(node.args[0].value), above)


def ways(graph: Imports, start: str) -> dict[str, list[Place]]:
    """Return everything that the imports of a file lead to, with the shortest way there."""
    found: dict[str, list[Place]] = {}
    queue: list[tuple[str, list[Place]]] = [(start, [])]
    for here, way in queue:
        for name, place in graph.get(here, {}).items():
            if name not in found and name != start:
                found[name] = [*way, place]
                queue.append((name, found[name]))
    return found
