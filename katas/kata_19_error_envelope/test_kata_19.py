"""All errors share one envelope that shows nothing of the inside; the log has the cause."""

from __future__ import annotations

import logging
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, HTTPException

from fastapi_katas.probes import crash_of, cut, expect_status, lesson, place_of_exception

KEY = {"Authorization": "Bearer key-of-orion"}
NEW = {"telescope": "coude", "night": "2026-03-07"}
TAKEN = {"telescope": "coude", "night": "2026-03-01"}
MEMBERS = ("type", "title", "status", "detail", "instance", "code")
# Planted where no answer may show them.
SECRET = "qzvxjwkhyp"
TICKET = "wkxzqjvfgh"
PIN = "jhvqxzkwpy"
# The mast cannot be reached, or the connection breaks off while its answer is read.
BROKEN = (httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError)


class StoreError(KeyError):
    """A fault of some library, which has a status and a detail of its own."""

    status_code = 404
    detail = SECRET


class TornBook(dict[Any, Any]):
    """A store that fails in whatever way it is read."""

    def fail(self, *_: Any) -> Any:
        raise OSError(f"cannot read /srv/book, pass phrase {SECRET}")

    get = __getitem__ = __contains__ = __iter__ = __len__ = __bool__ = fail
    keys = values = items = copy = __or__ = fail


@pytest.fixture(autouse=True)
def rows(module: Any) -> None:
    """Put the members, the telescopes and the night of the tests in place."""
    module.MEMBERS = {"key-of-orion": "Orion club"}
    module.TELESCOPES = {"coude", "meridian"}
    module.NIGHTS = {4: {"telescope": "coude", "night": "2026-03-01", "member": "Orion club"}}


def set_mast(module: Any, app: FastAPI, result: httpx.Response | Exception) -> list[str]:
    """Put another weather mast in place, with a key in its address; return where it is asked."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        if isinstance(result, Exception):
            raise result
        return result

    mast = httpx.AsyncClient(
        transport=httpx.MockTransport(answer), base_url="http://mast.test", params={"key": SECRET}
    )
    app.dependency_overrides[module.mast] = lambda: mast
    return asked


def add_failing(app: FastAPI, path: str, error: Exception) -> None:
    """Add an endpoint to the application, as a colleague would do later."""

    async def fails() -> None:
        raise error

    app.add_api_route(path, fails)


@pytest.mark.goal
@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/moons/4", 404), ("PATCH", "/nights/4", 405)]
)
async def test_router_refuses_in_the_envelope(
    method: str, path: str, status: int, client: httpx.AsyncClient
) -> None:
    """An unknown address is answered in the envelope, and so is a method that it does not take."""
    response = await client.request(method, path)
    expect_problem(response, status, because="no endpoint takes this request")
    if status == 405:
        expect_header(response, "allow", "GET")


@pytest.mark.goal
async def test_invalid_request_has_envelope_and_list(client: httpx.AsyncClient) -> None:
    """A request that does not fit its model is answered with 422, and `errors` names each place."""
    bright: dict[str, Any] = {"json": {"telescope": "", "night": "2026-06-21"}}
    broken: dict[str, Any] = {"content": b'{"telescope": oops'}
    for method, path, sent, places in (
        ("GET", "/nights/first", {}, [["path", "number"]]),
        ("POST", "/nights", bright, [["body", "telescope"], ["body", "night"]]),
        ("POST", "/nights", broken, [["body"]]),
    ):
        response = await client.request(method, path, headers=KEY, **sent)
        expect_problem(response, 422, because="the request does not fit its model")
        errors = response.json().get("errors")
        listed = errors if isinstance(errors, list) else []
        found = [error for error in listed if isinstance(error, dict) and error.get("msg")]
        locs = [error["loc"] for error in found if isinstance(error.get("loc"), list)]
        if not all(any(loc[: len(place)] == place for loc in locs) for place in places):
            raise lesson(
                "errors-not-listed",
                seen="{method} {path} is wrong at {places}. `errors` of the answer is {errors}.",
                production="The form cannot mark the field, so people guess what was wrong.",
                look="What does the exception know about each fault, and what does the answer say?",
                method=method,
                path=path,
                places=str(places),
                errors=cut(str(errors)),
            )


@pytest.mark.goal
@pytest.mark.parametrize("case", ["member", "colleague"])
async def test_refusals_keep_their_headers(
    case: str, raw_app: FastAPI, client: httpx.AsyncClient
) -> None:
    """Headers that a refusal was raised with are sent, together with the envelope."""
    if case == "member":
        for headers in ({}, {"Authorization": "Bearer key-of-nobody"}):
            response = await client.post("/nights", json=NEW, headers=headers)
            expect_status(response, 401, because="no member has sent this request")
            expect_header(response, "www-authenticate", "Bearer")
            expect_problem(response, 401, because="no member has sent this request")
        return
    for status, detail in ((429, "Wait a little"), (503, {"wait": 120})):
        headers = {"Retry-After": "120", "X-Dome": f"iced-{status}"}
        add_failing(raw_app, f"/lens/{status}", HTTPException(status, detail, headers))
        response = await client.get(f"/lens/{status}")
        expect_status(response, status, because="the endpoint refuses with this status")
        for name, value in headers.items():
            expect_header(response, name, value)
        expect_problem(response, status, because="the endpoint refuses with this status")


@pytest.mark.goal
@pytest.mark.parametrize("case", ["looking", "booking"])
async def test_known_failure_has_status_and_code(
    case: str, module: Any, client: httpx.AsyncClient
) -> None:
    """Each failure that the observatory knows has its own status and its own code."""
    because = "the observatory knows this failure"
    if case == "looking":
        for number in (5, 77):
            response = await client.get(f"/nights/{number}")
            expect_problem(response, 404, "night_unknown", because=because)
        return
    elsewhere = {**NEW, "telescope": "attic"}
    for sent, status, code in ((elsewhere, 404, "telescope_unknown"), (TAKEN, 409, "night_taken")):
        response = await client.post("/nights", json=sent, headers=KEY)
        expect_problem(response, status, code, because=because)
    assert set(module.NIGHTS) == {4}, "a request that was refused has changed the book"


@pytest.mark.goal
@pytest.mark.parametrize("case", ["row", "book", "mast", "mast-value", "library"])
async def test_fault_is_a_500_that_shows_nothing(
    case: str, module: Any, raw_app: FastAPI, client: httpx.AsyncClient
) -> None:
    """A fault inside is answered with 500, in the envelope, without a word of the exception."""
    response = await provoke(case, module, raw_app, client)
    expect_status(response, 500, because="the request is good, and the fault is inside")
    expect_planted(response, case)
    names = ["OSError", "RuntimeError", "StoreError", "ValueError", "ValidationError"]
    expect_hidden(response, SECRET, "Traceback", ".py", *names)
    expect_problem(response, 500, because="the request is good, and the fault is inside")


@pytest.mark.goal
async def test_cause_of_a_500_is_logged_once(
    module: Any, raw_app: FastAPI, client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """The cause of each 500 is in the log once, with its traceback."""
    caplog.set_level(logging.DEBUG)
    for case in ("book", "row", "members", "library", "answer"):
        caplog.clear()
        response = await provoke(case, module, raw_app, client)
        expect_status(response, 500, because="the request is good, and the fault is inside")
        expect_planted(response, case)
        named = [record for record in caplog.records if SECRET in text_of(record)]
        writers = [f"logger {record.name!r}" for record in named if has_traceback(record)]
        writers += ["the server"] * (crash_of(response) is not None)
        if len(writers) == 1:
            continue
        missing = "cause-without-traceback" if named else "cause-not-logged"
        if case == "answer" and not named:
            missing = "wrong-answer-not-logged"
        raise lesson(
            "cause-logged-again" if writers else missing,
            seen="{method} {path} ended in a fault and was answered with {status}. Its traceback "
            "is in the log {count} times (written by: {writers}).",
            production="Alarms count one fault as several, and people look for a second one."
            if writers
            else "The client knows that something is broken, and nobody else does.",
            look="Follow the exception on its way out. Who writes it down, and where does it end?",
            method=response.request.method,
            path=response.request.url.path,
            status=response.status_code,
            count=len(writers),
            writers=", ".join(writers) or "nobody",
        )


@pytest.mark.goal
async def test_query_and_pin_stay_out_of_errors(
    module: Any, raw_app: FastAPI, client: httpx.AsyncClient
) -> None:
    """No error shows the ticket in the query or the pin in the body, in none of its bytes."""

    async def expect_silent(method: str, path: str, status: int, **sent: Any) -> None:
        url = f"{path}?ticket={TICKET}&again={TICKET}"
        response = await client.request(method, url, **sent)
        expect_status(response, status, because="this is the error that the test asks for")
        expect_hidden(response, TICKET, PIN)
        expect_problem(response, status, because="this is the error that the test asks for")

    with_pin = {**NEW, "pin": PIN}
    set_mast(module, raw_app, httpx.Response(503))
    await expect_silent("POST", "/nights", 401, json=with_pin)
    await expect_silent("GET", "/nights/77", 404)
    await expect_silent("GET", "/moons/4", 404)
    await expect_silent("DELETE", "/nights/4", 405)
    await expect_silent("POST", "/nights", 409, json={**with_pin, **TAKEN}, headers=KEY)
    await expect_silent("GET", "/nights/first", 422)
    await expect_silent("GET", "/sky", 502)
    module.NIGHTS = TornBook()
    await expect_silent("POST", "/nights", 500, json=with_pin, headers=KEY)


@pytest.mark.goal
@pytest.mark.parametrize("case", ["slow", "silent", "nonsense"])
async def test_failing_mast_is_502_or_504(
    case: str, module: Any, raw_app: FastAPI, client: httpx.AsyncClient
) -> None:
    """A mast that is too slow is a 504; one that cannot be reached or talks nonsense is a 502."""
    clear = {"clear": True, "wind": 3.5}
    results: dict[str, list[Any]] = {
        "slow": [httpx.ReadTimeout(SECRET), httpx.ConnectTimeout(SECRET)],
        "silent": [fails(SECRET) for fails in BROKEN],
        "nonsense": [
            httpx.Response(200, text=f"<h1>{SECRET}"),
            httpx.Response(200, json={**clear, "wind": SECRET}),
            *(httpx.Response(other, json=clear) for other in (302, 401, 503)),
        ],
    }
    says = "the mast is too slow" if case == "slow" else "the mast gives no data"
    status, code = (504, "mast_slow") if case == "slow" else (502, "mast_failed")
    for result in results[case]:
        set_mast(module, raw_app, result)
        response = await client.get("/sky")
        expect_status(response, status, because=says)
        expect_hidden(response, SECRET, "mast.test")
        expect_problem(response, status, code, because=says)


@pytest.mark.guard
async def test_night_is_booked_and_shown(module: Any, client: httpx.AsyncClient) -> None:
    """A free night is booked with 201 and its address, and shown there."""
    for day in ("2026-03-07", "2026-03-08"):
        response = await client.post("/nights", json={**NEW, "night": day}, headers=KEY)
        expect_status(response, 201, because="a member books a free night")
        number = response.json()["number"]
        wanted = {**NEW, "night": day, "number": number, "member": "Orion club"}
        assert response.json() == wanted
        assert response.headers["location"] == f"/nights/{number}"
        shown = await client.get(response.headers["location"])
        expect_status(shown, 200, because="this night was booked")
        assert shown.json() == wanted
    assert len(module.NIGHTS) == 3


@pytest.mark.guard
async def test_sky_is_shown(module: Any, raw_app: FastAPI, client: httpx.AsyncClient) -> None:
    """The sky is what the mast says at `/now`, asked once."""
    sky = {"clear": False, "wind": 11.5}
    asked = set_mast(module, raw_app, httpx.Response(200, json=sky))
    response = await client.get("/sky")
    expect_status(response, 200, because="the mast has answered")
    assert (response.json(), asked) == (sky, ["/now"])


@pytest.mark.guard
async def test_rules_for_bodies_stay(module: Any, client: httpx.AsyncClient) -> None:
    """A body against the rules is answered with 422 and books nothing."""
    for wrong in (
        {"telescope": ""},
        {"telescope": "t" * 21},
        {"night": "2026-07-31"},
        {"night": 1.5},
    ):
        response = await client.post("/nights", json={**NEW, **wrong}, headers=KEY)
        expect_status(response, 422, because=f"{wrong} is against the rules")
    assert set(module.NIGHTS) == {4}


@pytest.mark.guard
async def test_refusal_is_no_fault_in_the_log(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """A refused request leaves no traceback in the log."""
    caplog.set_level(logging.DEBUG)
    for method, path, status in (
        ("POST", "/nights", 401),
        ("GET", "/moons/4", 404),
        ("GET", "/nights/first", 422),
    ):
        response = await client.request(method, path, json=NEW if method == "POST" else None)
        expect_status(response, status, because="the request is refused")
        if crash_of(response) is not None or any(map(has_traceback, caplog.records)):
            raise lesson(
                "refusal-logged-as-fault",
                seen="{method} {path} was refused with {status}, and a traceback is in the log.",
                production="Every wrong key and every mistyped address wakes somebody up.",
                look="Which of the errors that come here are faults of the service?",
                method=method,
                path=path,
                status=response.status_code,
            )


async def provoke(
    case: str, module: Any, app: FastAPI, client: httpx.AsyncClient
) -> httpx.Response:
    """Send a good request to a service that has a fault inside. The exception names the secret."""
    if case == "row":
        row = {"telescope": "coude", "night": f"moved, door code {SECRET}", "member": "Orion club"}
        module.NIGHTS = {5: row}
        return await client.get("/nights/5")
    if case == "book":
        module.NIGHTS = TornBook()
        return await client.post("/nights", json=NEW, headers=KEY)
    if case == "members":
        module.MEMBERS = TornBook()
        return await client.post("/nights", json=NEW, headers=KEY)
    if case == "mast":
        set_mast(module, app, RuntimeError(f"the client of {SECRET} has been closed"))
        return await client.get("/sky")
    if case == "mast-value":
        set_mast(module, app, ValueError(f"the header {SECRET!r} cannot be sent"))
        return await client.get("/sky")
    if case == "answer":
        app.add_api_route("/lens/count", lambda: SECRET, response_model=int)
        return await client.get("/lens/count")
    add_failing(app, "/lens", StoreError(f"table {SECRET} is locked"))
    return await client.get("/lens")


def expect_planted(response: httpx.Response, case: str) -> None:
    """Fail with a lesson if another exception than the planted one has left the application."""
    crash = crash_of(response)
    if crash is not None and SECRET not in str(crash):
        raise lesson(
            "answer-crashed",
            seen="The fault {case!r} was planted. What left the application is another one: "
            "{error}.",
            production="The fault that happened first is lost behind the second one.",
            look="Follow the exception to the line it comes from.",
            where=place_of_exception(crash),
            case=case,
            error=f"{type(crash).__name__}: {cut(str(crash))}",
        )


def text_of(record: logging.LogRecord) -> str:
    """Write a log record as a log file would hold it, with its traceback."""
    return logging.Formatter().format(record)


def has_traceback(record: logging.LogRecord) -> bool:
    """Tell whether a log record is written with a traceback."""
    return "Traceback (most recent call last)" in text_of(record)


def expect_header(response: httpx.Response, name: str, value: str) -> None:
    """Fail with a lesson unless a response has a header with this value."""
    found = response.headers.get(name)
    if found is None or value not in found:
        raise lesson(
            "header-lost",
            seen="The answer with {status} should say {value!r} in its header {name!r}. Its "
            "headers are {headers}.",
            production="The client learns that it was refused, and not what to do now.",
            look="The refusal was made with this header. Where is the answer made, and from what?",
            status=response.status_code,
            name=name,
            value=value,
            headers=str(dict(response.headers)),
        )


def expect_hidden(response: httpx.Response, *words: str) -> None:
    """Fail with a lesson if one of the words is anywhere in the bytes of the response."""
    lines = [*(b": ".join(header) for header in response.headers.raw), response.content]
    for line in lines:
        shown = [word for word in words if word.lower().encode() in line.lower()]
        if shown:
            request = response.request
            raise lesson(
                "answer-shows-query" if TICKET in shown else "answer-shows-inside",
                seen="The answer {status} to {method} {path} shows {shown}, in: {line}",
                production="Error answers are kept in browsers, in tickets of the help desk and in "
                "chats. Whoever reads them has the secret too.",
                look="From what is each part of this answer made?",
                status=response.status_code,
                method=request.method,
                path=request.url.path,
                shown=", ".join(shown),
                line=cut(line.decode("utf-8", "replace"), 400),
            )


def expect_problem(
    response: httpx.Response, status: int, code: str | None = None, *, because: str
) -> None:
    """Fail with a lesson unless a response has this status and the envelope of all errors."""
    expect_status(response, status, because=because)
    request = response.request
    seen: dict[str, Any] = {"method": request.method, "path": request.url.path, "status": status}
    media_type = response.headers.get("content-type", "none")
    try:
        body = response.json()
    except ValueError:
        body = None
    members = body if isinstance(body, dict) else {}
    missing = [name for name in MEMBERS if name != "status" and not is_text(members.get(name))]
    if media_type.split(";")[0] != "application/problem+json" or missing:
        raise lesson(
            "envelope-missing" if len(missing) > 1 else "envelope-incomplete",
            seen="{method} {path} is answered with {status} and the media type {media_type}. "
            "Not there as a text: {missing}. The body is: {body}",
            production="Programs read one kind of error and meet another. Their own error "
            "handling fails, and people see an empty page.",
            look="Who makes this answer, and does your code take part in it?",
            media_type=media_type,
            missing=", ".join(missing) or "nothing",
            body=cut(response.text),
            **seen,
        )
    wanted = {"status": status, "instance": request.url.path, "code": code or members["code"]}
    wrong = [name for name, value in wanted.items() if members.get(name) != value]
    if wrong or not isinstance(members["code"], str):
        raise lesson(
            f"{(wrong or ['code'])[0]}-differs",
            seen="{method} {path} is answered with {status}. In the envelope, {names} should be "
            "{wanted}. It is {found}.",
            production="Programs decide by these members, not by the sentence for people.",
            look="Compare this envelope with the contract on the page of this kata.",
            names=", ".join(wrong or ["code"]),
            wanted=str([wanted[name] for name in wrong] or "a text"),
            found=cut(str([members.get(name) for name in wrong or ["code"]])),
            **seen,
        )


def is_text(value: Any) -> bool:
    """Tell whether a member of an envelope is a text that says something."""
    return isinstance(value, str) and bool(value.strip())
