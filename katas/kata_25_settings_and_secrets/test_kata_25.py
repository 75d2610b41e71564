"""Settings are read at the start by one model; secrets have no default and no readable text."""

import logging
import os
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from asgi_lifespan import LifespanManager
from fastapi import Depends, FastAPI

from fastapi_katas.probes import (
    Lesson,
    Place,
    WatchingTransport,
    cut,
    expect_status,
    lesson,
    place_of_exception,
)
from fastapi_katas.pytest_plugin.target import TargetFault

# No four characters of these stand anywhere else by chance.
SIGNING_KEY = "QX7W-ZK9T-4VHJ-NR3Y-8MPL-WT5G-X2KQ-7RVZ-HN6Y-TP4M-ZW8J-3GKX-QL9V-RY2H"
TILL_KEY = "KM5Z-VT8X-7QWR-HJ2P"
FOREIGN_KEY = "PW4N-XR9K-LZ6T-GY3V"
SECRETS = (SIGNING_KEY, TILL_KEY, FOREIGN_KEY)
KEYS: dict[str, str | None] = {"SIGNING_KEY": SIGNING_KEY, "TILL_KEY": TILL_KEY}
NAMES = {*KEYS, "TICKET_MINUTES", "TICKET_ALGORITHM", "STATIONS", "DEBUG"}

DEFAULT_STATIONS = ["Valley", "Middle", "Summit"]
STOPPED = "the-rope-has-stopped"

# Each of these must stop the start. In two of them, a key was pasted into the wrong line.
REFUSED: dict[str, list[tuple[str, str | None]]] = {
    "no-signing-key": [("SIGNING_KEY", None)],
    "empty-signing-key": [("SIGNING_KEY", "")],
    "no-till-key": [("TILL_KEY", None)],
    "empty-till-key": [("TILL_KEY", "")],
    "minutes-are-a-key": [("TICKET_MINUTES", FOREIGN_KEY)],
    "debug-is-a-key": [("DEBUG", FOREIGN_KEY)],
    "not-allowed": [
        ("TICKET_MINUTES", "0"),
        ("TICKET_MINUTES", "1441"),
        ("TICKET_ALGORITHM", "none"),
    ],
}


@pytest.fixture(autouse=True)
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make the environment of a process: both keys, and an empty working directory."""
    before = dict(os.environ)
    surround(dict.fromkeys(name for name in before if name.upper() in NAMES))
    surround(KEYS)
    monkeypatch.chdir(tmp_path)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def written(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> Callable[[], str]:
    """Give what was logged and printed until now."""
    caplog.set_level(logging.DEBUG)
    return lambda: caplog.text + "".join(capsys.readouterr())


@pytest.mark.guard
async def test_tills_sell_tickets(raw_app: FastAPI) -> None:
    """A till gets a ticket with the defaults, signed with the key, and nobody else gets one."""
    async with started(raw_app) as client:
        for key in (TILL_KEY[:-1], SIGNING_KEY):
            response = await client.post("/tickets", headers={"X-Till-Key": key})
            expect_status(response, 403, because="this is not the key of a till")
        response = await client.post("/tickets")
        expect_status(response, 422, because="a sale needs the header X-Till-Key")
        assert await sell(client) == (480, "HS256", DEFAULT_STATIONS), "these are the defaults"
        assert await stations(client) == DEFAULT_STATIONS, "the default stations are listed"


@pytest.mark.goal
@pytest.mark.parametrize("case", REFUSED)
async def test_start_is_refused(case: str, raw_app: FastAPI, written: Callable[[], str]) -> None:
    """A setting that is missing or wrong stops the start, with its name and without a value."""
    for name, value in REFUSED[case]:
        for debug in (None, "true"):
            surround({"DEBUG": debug} | {name: value})
            await expect_refusal(name, value, raw_app, written)
            surround({name: KEYS.get(name)})


async def expect_refusal(
    name: str, value: str | None, raw_app: FastAPI, written: Callable[[], str]
) -> None:
    """Fail unless the start is refused, in words that name the variable and show no value."""
    given = "not there" if value is None else repr(value)
    if name != "DEBUG" and "DEBUG" in os.environ:
        given += ", with DEBUG=true"
    try:
        async with started(raw_app) as client:
            sale = await client.post("/tickets", headers={"X-Till-Key": TILL_KEY})
    except Lesson as failure:
        if failure.key != "does-not-start" or failure.__cause__ is None:
            raise
        error = failure.__cause__
    else:
        raise lesson(
            "starts-in-debug"
            if given.endswith("DEBUG=true")
            else "starts-and-sells"
            if sale.is_success
            else "starts-and-fails",
            seen="{name} is {given}, and the service starts. A sale is answered with {status} and "
            "{answer}",
            production="Everything looks well. What the setting should protect is open to all, "
            "or fails with the first customer.",
            look="What stands in for this setting, and who else could know that?",
            name=name,
            given=given,
            status=sale.status_code,
            answer=cut(sale.text, 40),
        )
    told, log = "".join(traceback.format_exception(error, limit=0)), written()
    expect_no_secret(f"{name} is {given}. The refusal", told + log)
    others = [key for key in KEYS if key != name and key.lower() in told.lower()]
    if name.lower() not in (told + log).lower() or others:
        raise lesson(
            "refusal-without-name",
            seen="{name} is {given}. The start ends in {told!r}. Settings in it that are right: "
            "{others}.",
            production="Somebody has to find out at night which of all settings is wrong.",
            look="Who makes this error, and what does it know about the variable?",
            where=place_of_exception(error),
            name=name,
            given=given,
            told=cut(told, 400),
            others=others,
        )


@pytest.mark.goal
@pytest.mark.parametrize("source", ["variable", "file"])
async def test_stations_are_separated_by_commas(source: str, raw_app: FastAPI) -> None:
    """`STATIONS` is a list with commas; spaces around a name do not belong to it."""
    given = "Harbour, Old mill ,Ridge"
    if source == "variable":
        surround({"STATIONS": given})
    else:
        surround({}, f"STATIONS={given}\n")
    async with started(raw_app) as client:
        listed, (_, _, sold) = await stations(client), await sell(client)
    wanted = ["Harbour", "Old mill", "Ridge"]
    if listed != wanted or sold != wanted:
        raise lesson(
            "stations-misread",
            seen="The {source} STATIONS is {given!r}. The service lists {listed}, and a ticket is "
            "good at {sold}.",
            production="A turnstile does not find its name on the ticket, and stays closed.",
            look="What takes this text apart, and what is left at the edges of each part?",
            source=source,
            given=given,
            listed=str(listed),
            sold=str(sold),
        )


@pytest.mark.goal
async def test_file_may_have_lines_for_others(
    module: Any, raw_app: FastAPI, written: Callable[[], str]
) -> None:
    """In `.env`, our lines count, and lines of other programs neither disturb nor show up."""
    own = "TICKET_MINUTES=45\nTICKET_ALGORITHM=HS384\n"
    surround({}, f"# the database\nPOSTGRES_PASSWORD={FOREIGN_KEY}\n{own}COMPOSE_FILE=lift.yml\n")
    add_probes(raw_app, module)
    async with started(raw_app) as client:
        shown = "".join((await texts_of_settings(client)).values()) + written()
        expect_no_secret("`.env` has a key for another program. Our text", shown, (FOREIGN_KEY,))
        expect_effect("file", await sell(client), 45, "HS384")


@pytest.mark.goal
async def test_lifetime_and_algorithm_are_settings(raw_app: FastAPI) -> None:
    """`TICKET_MINUTES` and `TICKET_ALGORITHM` decide how long a ticket is good and its signing."""
    surround({"TICKET_MINUTES": "120", "TICKET_ALGORITHM": "HS512"})
    async with started(raw_app) as client:
        expect_effect("environment", await sell(client), 120, "HS512")


@pytest.mark.goal
async def test_text_of_the_settings_has_no_secret(module: Any, raw_app: FastAPI) -> None:
    """Whoever turns the settings, or an attribute of them, into text sees no piece of a secret."""
    add_probes(raw_app, module)
    async with started(raw_app) as client:
        for what, text in (await texts_of_settings(client)).items():
            part = what in {"JSON", "an f-string of each attribute"}
            kind = "secret-in-part" if part else "secret-in-text"
            expect_no_secret(f"The settings as {what}: the text", text, kind=kind)


@pytest.mark.goal
async def test_log_has_no_secret(raw_app: FastAPI, written: Callable[[], str]) -> None:
    """The log of the start names the stations; it has no piece of a secret, before or later."""
    async with started(raw_app) as client:
        log = written()
        await sell(client)
    expect_no_secret("The log of the start", log)
    expect_no_secret("The log of a sale", written())
    absent = [station for station in DEFAULT_STATIONS if station not in log]
    if absent:
        raise lesson(
            "start-not-logged",
            seen="The log of the start is {log!r}. These stations are not in it: {absent}.",
            production="Nobody can see with which settings the service runs.",
            look="Which line writes the log of the start, and what of it has to go?",
            log=cut(log),
            absent=absent,
        )


@pytest.mark.goal
async def test_fault_is_not_shown_by_default(module: Any, raw_app: FastAPI) -> None:
    """A 500 shows nothing of the fault when nobody has set `DEBUG`."""
    add_probes(raw_app, module)
    async with started(raw_app) as client:
        await expect_hidden_fault(client)


@pytest.mark.guard
async def test_debug_can_be_false(module: Any, raw_app: FastAPI) -> None:
    """The word `false` turns `DEBUG` off."""
    surround({"DEBUG": "false"})
    add_probes(raw_app, module)
    async with started(raw_app) as client:
        await expect_hidden_fault(client)


@pytest.mark.goal
async def test_debug_shows_the_fault_and_no_secret(module: Any, raw_app: FastAPI) -> None:
    """With `DEBUG=true`, a 500 shows the traceback, and no secret of ours or of the request."""
    surround({"DEBUG": "true"})
    add_probes(raw_app, module)
    async with started(raw_app) as client:
        response = await client.get("/rope", headers={"X-Till-Key": TILL_KEY})
    expect_status(response, 500, because="the rope has stopped, and nobody expects that")
    if STOPPED not in response.text or "Traceback" not in response.text:
        raise lesson(
            "debug-without-effect",
            seen="DEBUG is true. An endpoint raises an error that says {error!r}, and the body is "
            "{body!r}.",
            production="Developers have to look for each fault in the log of another machine.",
            look="Who reads DEBUG, and when?",
            error=STOPPED,
            body=cut(response.text),
        )
    expect_no_secret("With DEBUG=true, the body of a 500", response.text)


@pytest.mark.guard
async def test_import_needs_no_setting(request: pytest.FixtureRequest) -> None:
    """The module can be imported without any setting; what is set before the start counts."""
    surround(dict.fromkeys(KEYS))
    try:
        raw_app = request.getfixturevalue("raw_app")
    except TargetFault as fault:
        if fault.kind not in {"import", "exit"}:
            raise
        raise lesson(
            "import-needs-settings",
            seen="The module was imported without any variable. {error}",
            production="CI cannot write the OpenAPI document, and no test can choose its "
            "settings. Then somebody gives the keys a default again.",
            look="Which line runs at import and asks for the settings?",
            where=Place(fault.file, fault.line, code=fault.code),
            error=cut(fault.message),
        ) from fault
    assert "/tickets" in raw_app.openapi()["paths"], "the OpenAPI document has the sale"
    surround(KEYS)
    async with started(raw_app) as client:
        await sell(client)


@pytest.mark.guard
async def test_variables_win_over_the_file(raw_app: FastAPI) -> None:
    """A key may stand in `.env`; what the environment says wins."""
    surround({"SIGNING_KEY": None}, f"SIGNING_KEY={SIGNING_KEY}\nTILL_KEY={FOREIGN_KEY}\n")
    async with started(raw_app) as client:
        await sell(client)
        response = await client.post("/tickets", headers={"X-Till-Key": FOREIGN_KEY})
        expect_status(response, 403, because="the environment says that the key is another one")


@pytest.mark.guard
async def test_changes_wait_for_the_next_start(raw_app: FastAPI) -> None:
    """The settings are read once at each start; what is changed later waits for the next one."""
    surround({"TILL_KEY": None}, f"TILL_KEY={TILL_KEY}\n")
    async with started(raw_app) as client:
        surround({"SIGNING_KEY": None, "TICKET_MINUTES": "7"}, f"TILL_KEY={FOREIGN_KEY}\n")
        minutes, _, _ = await sell(client)
    assert minutes == 480, f"the ticket is good for {minutes:g} minutes, not for 480 as before"
    surround({"SIGNING_KEY": SIGNING_KEY})
    async with started(raw_app) as client:
        for key, status in ((TILL_KEY, 403), (FOREIGN_KEY, 201)):
            response = await client.post("/tickets", headers={"X-Till-Key": key})
            expect_status(response, status, because="before this start, the file got another key")


def surround(variables: dict[str, str | None], file: str | None = None) -> None:
    """Set or take away variables, and write the file `.env`."""
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    if file is not None:
        Path(".env").write_text(file, encoding="utf-8")


@asynccontextmanager
async def started(raw_app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Start the service in its present surroundings, and give a client of it."""
    manager = LifespanManager(raw_app)
    transport = WatchingTransport(manager.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        try:
            await manager.__aenter__()
        except Exception as error:
            # A page that nobody has needs no settings: is the module sound without them?
            expect_status(await client.get("/nowhere"), 404, because="there is no such page")
            told = "".join(traceback.format_exception(error, limit=0))
            raise lesson(
                "does-not-start",
                seen="All settings are right, and the start ends in: {error}",
                production="Nothing runs, although all that the service needs is there.",
                look="Which setting is it about, and what does the page say of its form?",
                where=place_of_exception(error),
                error=cut(" ".join(told.split()), 300),
            ) from error
        try:
            yield client
        finally:
            await manager.__aexit__(None, None, None)


def add_probes(raw_app: FastAPI, module: Any) -> None:
    """Add endpoints that turn the settings into text, and one that fails with them."""
    dependency = Depends(module.get_settings)

    def attributes(settings: Any) -> str:
        return ", ".join(f"{value}" for value in getattr(settings, "__dict__", {}).values())

    async def texts(settings: Any = dependency) -> dict[str, str]:
        return {
            "repr()": repr(settings),
            "str()": str(settings),
            "an f-string": f"{settings}",
            "an f-string of each attribute": attributes(settings),
        }

    async def whole(settings: Any = dependency) -> Any:
        return settings

    async def rope(settings: Any = dependency) -> None:
        raise RuntimeError(f"{STOPPED}, with {settings!r}, {settings} and {attributes(settings)}")

    raw_app.add_api_route("/texts", texts)
    raw_app.add_api_route("/whole", whole, response_model=None)
    raw_app.add_api_route("/rope", rope)


async def texts_of_settings(client: httpx.AsyncClient) -> dict[str, str]:
    """Ask the probes for the texts of the settings; what cannot become JSON shows nothing."""
    response = await client.get("/texts")
    expect_status(response, 200, because="an endpoint of the tests asks for `get_settings`")
    return {**response.json(), "JSON": (await client.get("/whole")).text}


async def stations(client: httpx.AsyncClient) -> Any:
    """Ask for the list of stations."""
    response = await client.get("/stations")
    expect_status(response, 200, because="everybody may see the stations")
    return response.json()


async def sell(client: httpx.AsyncClient) -> tuple[float, str, Any]:
    """Buy a ticket with the key of the till; return its minutes, its algorithm, its stations."""
    response = await client.post("/tickets", headers={"X-Till-Key": TILL_KEY})
    expect_status(response, 201, because="a till with its key sells a ticket")
    try:
        ticket = jwt.decode_complete(
            response.json()["ticket"],
            SIGNING_KEY,
            algorithms=["HS256", "HS384", "HS512"],
            options={"verify_exp": False, "verify_iat": False, "require": ["iat", "exp"]},
        )
    except (KeyError, TypeError, jwt.InvalidTokenError) as error:
        raise lesson(
            "ticket-not-valid",
            seen="A sale is answered with {body}. A turnstile says: {error}.",
            production="The turnstiles have the signing key, and open to none of the tickets.",
            look="With which key is a ticket signed, and where does it come from?",
            body=cut(response.text),
            error=f"{type(error).__name__}: {error}",
        ) from error
    claims = ticket["payload"]
    minutes = (claims["exp"] - claims["iat"]) / 60
    return minutes, ticket["header"]["alg"], claims.get("at")


def expect_effect(
    source: str, sold: tuple[float, str, Any], wanted_minutes: int, wanted_algorithm: str
) -> None:
    """Fail unless a ticket is as the settings say."""
    minutes, algorithm, _ = sold
    if (minutes, algorithm) != (wanted_minutes, wanted_algorithm):
        raise lesson(
            "setting-without-effect",
            seen="Before the start, the {source} said {wanted_minutes} minutes and "
            "{wanted_algorithm}. A ticket is good for {minutes:g} minutes and signed with "
            "{algorithm}.",
            production="A setting is changed in a hurry, the service is started again, everybody "
            "believes that it counts, and the old value goes on.",
            look="Where does each of the two values come from, and when is it read?",
            source=source,
            wanted_minutes=wanted_minutes,
            wanted_algorithm=wanted_algorithm,
            minutes=minutes,
            algorithm=algorithm,
        )


def expect_no_secret(
    what: str, text: str, secrets: tuple[str, ...] = SECRETS, kind: str = "secret-in-text"
) -> None:
    """Fail when a text holds a piece of a secret."""
    pieces = (secret[at : at + 4] for secret in secrets for at in range(len(secret) - 3))
    piece = next((piece for piece in pieces if piece in text), None)
    if piece is not None:
        whole = any(secret in text for secret in secrets)
        raise lesson(
            kind if whole else f"piece-of-{kind}",
            seen="{what} has a piece of a secret in it, for example {piece!r}: …{text}",
            production="Logs and error pages are kept for months, copied, and shown to people who "
            "never had the key.",
            look="Who made this text, and from which object?",
            what=what,
            piece=piece,
            text=cut(text[max(text.index(piece) - 60, 0) :], 120),
        )


async def expect_hidden_fault(client: httpx.AsyncClient) -> None:
    """Fail when a 500 tells what went wrong inside."""
    assert await stations(client) == DEFAULT_STATIONS, "other requests are answered"
    response = await client.get("/rope")
    expect_status(response, 500, because="the rope has stopped, and nobody expects that")
    if any(word in response.text for word in (STOPPED, "Traceback", "RuntimeError")):
        raise lesson(
            "fault-shown",
            seen="DEBUG is {debug}, and the body of a 500 has {count} characters. It ends with "
            "{end!r}",
            production="Whoever makes the service fail can read how it is built, with file "
            "names, versions and values.",
            look="What decides whether a traceback is shown, and what if nobody sets it?",
            debug=os.environ.get("DEBUG", "not set"),
            count=len(response.text),
            end=cut(response.text.splitlines()[-1]),
        )
