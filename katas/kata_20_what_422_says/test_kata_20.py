"""A refusal names the place and the rule, and nothing of what was sent."""

from __future__ import annotations

import json
import linecache
import logging
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from fastapi_katas.probes import Place, expect_status, lesson

CLIENT: dict[str, Any] = {
    "name": "Ines Falk",
    "tax_number": "40718392655",
    "passphrase": "three ledgers, two lamps",
    "refund": {"iban": "DE70120300001087245519"},
}
RECEIPT = {"shop": "Paper Lantern", "cents": 1290}
PAGE = {"access_code": "abcd-20250117", "year": "2024"}

# The libraries that make the request of a test write log lines too. They are not the portal's.
NOT_THE_PORTAL = {"httpx", "httpcore", "asyncio", "pytest"}
STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# So many characters in a row are a leak; a masked value with its ends shown is one as well.
PIECE = 5


def register(**changed: Any) -> dict[str, Any]:
    """Describe a registration that differs from a good one."""
    return {"method": "POST", "url": "/clients", "json": {**CLIENT, **changed}}


def pages(**changed: str) -> dict[str, Any]:
    """Describe a look at the receipts that differs from a good one."""
    return {"method": "GET", "url": "/receipts", "params": {**PAGE, **changed}}


def lines(*texts: str) -> dict[str, Any]:
    """Describe an import."""
    return {"method": "POST", "url": "/receipts/import", "json": {"lines": list(texts)}}


def raw(text: str, media_type: str) -> dict[str, Any]:
    """Describe a registration whose body is not a JSON object."""
    headers = {"content-type": media_type}
    return {"method": "POST", "url": "/clients", "content": text, "headers": headers}


# What is sent, and which value of it must not be seen again.
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "short-passphrase": (register(passphrase="qvxkzjwh"), "qvxkzjwh"),
    "missing-sibling": (
        {"method": "POST", "url": "/clients", "json": {"passphrase": "wyqjfzxkvmhd"}},
        "wyqjfzxkvmhd",
    ),
    "tax-number": (register(tax_number="jzkwqhvxpf"), "jzkwqhvxpf"),
    "iban-in-the-union": (register(refund={"iban": "hqwxjvkzgy"}), "hqwxjvkzgy"),
    "list-for-an-object": (
        {"method": "POST", "url": "/clients", "json": ["zvqkxwjfhy"]},
        "zvqkxwjfhy",
    ),
    "malformed-json": (
        raw('{"passphrase": "xjqwvzkfph", oops', "application/json"),
        "xjqwvzkfph",
    ),
    "json-sent-as-text": (raw('{"passphrase": "vzxqkwjhpy"}', "text/plain"), "vzxqkwjhpy"),
    "query-code": (pages(access_code="wqzxvjkhgf"), "wqzxvjkhgf"),
    "query-year": (pages(year="7391846250"), "7391846250"),
    "imported-line": (
        lines(json.dumps(RECEIPT), '{"shop": "kzqvwxjhyf", "cents": "fqzjxvwkhg"}'),
        "fqzjxvwkhg",
    ),
    "broken-line": (lines('{"shop": "yqzvkxwjhf", '), "yqzvkxwjhf"),
}
LOGGED = ["tax-number", "iban-in-the-union", "query-code", "imported-line"]


def shows(text: str, secret: str) -> bool:
    """Whether a piece of the secret is in the text."""
    text = text.lower()
    pieces = (secret[at : at + PIECE] for at in range(len(secret) - PIECE + 1))
    return any(piece.lower() in text for piece in pieces)


def places(value: Any, secret: str, path: str = "") -> Iterator[str]:
    """Name each place of a JSON document that shows the secret."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if shows(key, secret):
                yield f"{path}.(a key)".lstrip(".")
            yield from places(inner, secret, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, secret, f"{path}[{index}]")
    elif shows(str(value), secret):
        yield path or "the answer"


def kind_of(found: list[str]) -> str:
    """Make a stable name of what kind of places these are."""
    words = {
        word
        for place in found
        for word in ("input", "msg", "ctx", "body")
        if word in place.split(".")
    }
    return "-".join(sorted(words)) or "elsewhere"


async def refused(client: httpx.AsyncClient, request: dict[str, Any]) -> httpx.Response:
    """Send a request that breaks a rule."""
    response = await client.request(**request)
    expect_status(response, 422, because="the request does not fit its model")
    return response


def portal_records(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Give the log records that the portal and the framework have written."""
    return [record for record in caplog.records if record.name.split(".")[0] not in NOT_THE_PORTAL]


def text_of(record: logging.LogRecord) -> str:
    """Write a record as a log file would hold it, with its traceback and its extra fields."""
    extra = {name: value for name, value in vars(record).items() if name not in STANDARD}
    return f"{logging.Formatter().format(record)} {extra or ''}"


@pytest.mark.goal
@pytest.mark.parametrize("case", REFUSED)
async def test_values_stay_out_of_the_answer(case: str, client: httpx.AsyncClient) -> None:
    """No byte of a refusal repeats a value that the client has sent."""
    request, secret = REFUSED[case]
    response = await refused(client, request)
    whole = f"{response.headers!r} {response.content!r} {response.text}"
    if not shows(whole, secret):
        return
    try:
        found = list(places(response.json(), secret)) or ["the headers"]
    except ValueError:
        found = ["the text of the answer"]
    raise lesson(
        f"answer-repeats-{kind_of(found)}",
        seen="{method} {url} was sent {secret}. The answer shows it again, in: {found}.",
        production="Answers are kept: in the browser's tools, in screenshots for the help desk and "
        "by every service that reports failed requests.",
        look="Where does each of these parts of the answer get its content?",
        method=request["method"],
        url=request["url"],
        secret=secret,
        found=", ".join(found),
    )


@pytest.mark.goal
@pytest.mark.parametrize("case", LOGGED)
async def test_values_stay_out_of_the_log(
    case: str,
    client: httpx.AsyncClient,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No log record about a refusal repeats a value that the client has sent."""
    caplog.set_level(logging.DEBUG)
    request, secret = REFUSED[case]
    await refused(client, request)
    printed = capsys.readouterr()
    leaks = [record for record in portal_records(caplog) if shows(text_of(record), secret)]
    if leaks:
        told, where = leaks[0].getMessage(), place_of(leaks[0])
    elif shows(printed.out + printed.err, secret):
        told, where = (printed.out + printed.err).strip(), None
    else:
        return
    raise lesson(
        "log-repeats-value" if leaks else "print-repeats-value",
        seen="{method} {url} was sent {secret}. This was written about it: {told}",
        production="Logs are copied to other machines, kept for months and read by many people. A "
        "mistyped passphrase in them is nearly the right one.",
        look="Which parts of this line were chosen by the client?",
        where=where,
        method=request["method"],
        url=request["url"],
        secret=secret,
        told=told,
    )


def place_of(record: logging.LogRecord) -> Place | None:
    """Give the line of the module that has written a record."""
    code = linecache.getline(record.pathname, record.lineno).strip()
    inside = not record.pathname.startswith(sys.prefix)
    return Place(record.pathname, record.lineno, record.funcName or "", code) if inside else None


@pytest.mark.guard
async def test_good_requests_are_accepted(client: httpx.AsyncClient) -> None:
    """Registrations, imports and looks at the receipts that keep the rules are accepted."""
    for refund in (CLIENT["refund"], {"address": "Quay 4, 20457 Hamburg"}):
        response = await client.request(**register(refund=refund))
        expect_status(response, 201, because="each field keeps its rule")
        assert response.json() == {"accepted": 1}
    response = await client.request(**pages())
    expect_status(response, 200, because="the code and the year keep their rules")
    assert response.json() == []
    response = await client.request(**lines(json.dumps(RECEIPT), json.dumps(RECEIPT)))
    expect_status(response, 201, because="both lines are receipts")
    assert response.json() == {"accepted": 2}


FAULTS: dict[str, tuple[dict[str, Any], list[tuple[list[Any], str, str]]]] = {
    "several": (
        register(passphrase="short", tax_number="1234567890"),
        [
            (["body", "passphrase"], "at least 12", ""),
            (["body", "tax_number"], "11", ""),
        ],
    ),
    "union": (
        register(refund={"address": "Quay 4"}),
        [(["body", "refund", "address"], "at least 10", "string_too_short")],
    ),
    "query": (
        pages(year="1999"),
        [(["query", "year"], "greater than or equal to 2000", "greater_than_equal")],
    ),
    "imported-line": (
        lines(json.dumps(RECEIPT), '{"shop": "Quill"}'),
        [(["body", "lines", 1, "cents"], "required", "missing")],
    ),
}


@pytest.mark.guard
@pytest.mark.parametrize("case", FAULTS)
async def test_answer_names_place_and_rule(case: str, client: httpx.AsyncClient) -> None:
    """A refusal still says for each fault where it is, which rule it breaks, and of what type."""
    request, faults = FAULTS[case]
    response = await refused(client, request)
    document = response.json()
    detail = document.get("detail") if isinstance(document, dict) else None
    for loc, says, kind in faults:
        if not any(tells(item, loc, says, kind) for item in as_list(detail)):
            raise lesson(
                "answer-tells-too-little",
                seen="The answer has no entry with loc {loc} and a message with {says!r}: {answer}",
                production="The form of the client cannot mark the wrong field, so people guess, "
                "give up or call.",
                look="What do `loc`, `msg` and `type` of each error contain?",
                loc=str(loc),
                says=says,
                answer=response.text,
            )


def as_list(value: Any) -> list[Any]:
    """Give the value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def tells(item: Any, loc: list[Any], says: str, kind: str) -> bool:
    """Whether an error names this place, in this order, with this rule and this type."""
    if not isinstance(item, dict):
        return False
    steps = iter(as_list(item.get("loc")))
    placed = all(step in steps for step in loc)
    named = isinstance(item.get("type"), str) and item["type"] and kind in ("", item["type"])
    return placed and bool(named) and says in str(item.get("msg"))


@pytest.mark.guard
@pytest.mark.parametrize(
    ("case", "field"), [("short-passphrase", "passphrase"), ("broken-line", "lines")]
)
async def test_refusals_are_logged(
    case: str, field: str, client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """A refusal is logged as a warning, with its method, its path and the name of the field."""
    caplog.set_level(logging.INFO)
    request, _ = REFUSED[case]
    await refused(client, request)
    wanted = (request["method"], request["url"], field)
    warnings = [item for item in portal_records(caplog) if item.levelno >= logging.WARNING]
    if not any(all(word in text_of(item) for word in wanted) for item in warnings):
        raise lesson(
            "refusal-not-logged",
            seen="{method} {url} was refused. {count} warnings were logged, and none of them names "
            "the method, the path and {field!r}.",
            production="When a new version of a form sends a wrong field, all its requests are "
            "refused, and nobody on call can see why.",
            look="Which line of the module writes about a refusal?",
            method=request["method"],
            url=request["url"],
            count=len(warnings),
            field=field,
        )
