"""A refusal names the place and the rule, and nothing of what was sent."""

from __future__ import annotations

import json
import linecache
import logging
import re
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
# Each refused request has one of these values, and they must not be seen again. No three letters of
# the word stand together in a message, and no five digits of the number in a limit or an id.
WORD = "qvxkzjwh"
NUMBER = 7391846250
PIECES = {
    value[at : at + size]: value
    for value, size in ((WORD, 3), (str(NUMBER), 5))
    for at in range(len(value) - size + 1)
}


def post(body: Any) -> dict[str, Any]:
    """Describe a registration with this body."""
    return {"method": "POST", "url": "/clients", "json": body}


def register(**changed: Any) -> dict[str, Any]:
    """Describe a registration that differs from a good one."""
    return post({**CLIENT, **changed})


def raw(text: str, media_type: str = "application/json") -> dict[str, Any]:
    """Describe a registration whose body is this text."""
    headers = {"content-type": media_type}
    return {"method": "POST", "url": "/clients", "content": text, "headers": headers}


def pages(**params: str) -> dict[str, Any]:
    """Describe a look at the receipts."""
    return {"method": "GET", "url": "/receipts", "params": params}


def lines(values: Any) -> dict[str, Any]:
    """Describe an import."""
    return {"method": "POST", "url": "/receipts/import", "json": {"lines": values}}


def second_line(value: Any) -> dict[str, Any]:
    """Describe an import of a good line and this one."""
    return lines([json.dumps(RECEIPT), value if isinstance(value, str) else json.dumps(value)])


LONG = WORD * 30
# Each rule of each field, broken: too short, too long, another type, missing, not JSON at all.
REFUSED: dict[str, list[dict[str, Any]]] = {
    "client-field": [
        register(passphrase=WORD),
        *(
            register(**{field: value})
            for field in ("passphrase", "name")
            for value in (LONG, [WORD], {"text": WORD}, NUMBER)
        ),
    ],
    "missing-sibling": [post({"passphrase": WORD}), post({WORD: "a name that no model has"})],
    "tax-number": [
        register(tax_number=value) for value in (WORD, f"{WORD}abc", LONG, NUMBER, [WORD])
    ],
    "refund-union": [
        *(register(refund={"iban": value}) for value in (WORD, LONG, NUMBER, [WORD])),
        *(register(refund={"address": value}) for value in (WORD, LONG, NUMBER, [WORD])),
        *(register(refund=value) for value in ({"bic": WORD}, WORD, [WORD], NUMBER)),
    ],
    "no-object": [
        *(post(value) for value in ([WORD], WORD, NUMBER)),
        raw(f'{{"passphrase": "{WORD}"}}', "text/plain"),
    ],
    "malformed-json": [
        raw(f'{{"passphrase": "{WORD}", oops'),
        raw(f'{{"passphrase": "{WORD}'),
        raw(f"passphrase={WORD}"),
    ],
    "query": [
        pages(**{**PAGE, "access_code": WORD}),
        pages(**{**PAGE, "year": WORD}),
        pages(**{**PAGE, "year": str(NUMBER)}),
        pages(**{WORD: str(NUMBER)}),
    ],
    "imported-line": [
        *(second_line({**RECEIPT, "cents": value}) for value in (WORD, NUMBER, -NUMBER, [WORD])),
        *(second_line({**RECEIPT, "shop": value}) for value in (LONG, NUMBER, [WORD])),
        *(second_line(value) for value in ({"shop": WORD}, [WORD], json.dumps(WORD), NUMBER)),
        *(lines(value) for value in (WORD, [NUMBER], [WORD] * 501, {"text": WORD})),
    ],
    "broken-line": [second_line(text) for text in (f'{{"shop": "{WORD}", ', f"{WORD};1290")],
}
LOGGED = {
    "clients": [name for name in REFUSED if name not in ("query", "imported-line", "broken-line")],
    "query": ["query"],
    "import": ["imported-line", "broken-line"],
}


def shown(text: str) -> str:
    """Give the value of which a piece is in the text, or an empty text."""
    text = text.lower()
    return next((value for piece, value in PIECES.items() if piece in text), "")


def places(value: Any, path: str = "") -> Iterator[str]:
    """Name each place of a JSON document that shows a value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if shown(key):
                yield f"{path}.(a key)".lstrip(".")
            yield from places(inner, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, f"{path}[{index}]")
    elif shown(str(value)):
        yield path or "the answer"


def kind_of(found: list[str]) -> str:
    """Make a stable name of what kind of places these are."""
    steps = {step for place in found for step in re.split(r"[.\[]", place)}
    return "-".join(sorted(steps & {"body", "ctx", "input", "msg"})) or "elsewhere"


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


def brief(text: str) -> str:
    """Shorten a long text for a lesson."""
    return text if len(text) < 600 else f"{text[:300]} … {text[-200:]}"


@pytest.mark.goal
@pytest.mark.parametrize("case", REFUSED)
async def test_values_stay_out_of_the_answer(case: str, client: httpx.AsyncClient) -> None:
    """No byte of a refusal repeats a value that the client has sent, nor a piece of it."""
    for request in REFUSED[case]:
        response = await refused(client, request)
        secret = shown(f"{response.headers!r} {response.content!r} {response.text}")
        if not secret:
            continue
        try:
            found = list(places(response.json())) or ["the headers"]
        except ValueError:
            found = ["the text of the answer"]
        raise lesson(
            f"answer-repeats-{kind_of(found)}",
            seen="{method} {url} was sent {secret}. The answer shows it, or a piece of it, in: "
            "{found}.",
            production="Answers are kept: in the browser's tools, in screenshots for the help desk "
            "and by every service that reports failed requests.",
            look="Where does each of these parts of the answer get its content?",
            method=request["method"],
            url=request["url"],
            secret=secret,
            found=brief(", ".join(found)),
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
    for request in (request for name in LOGGED[case] for request in REFUSED[name]):
        caplog.clear()
        await refused(client, request)
        printed = "".join(capsys.readouterr())
        leaks = [record for record in portal_records(caplog) if shown(text_of(record))]
        if not leaks and not shown(printed):
            continue
        told = text_of(leaks[0]) if leaks else printed
        raise lesson(
            "log-repeats-value" if leaks else "print-repeats-value",
            seen="{method} {url} was sent {secret}. This was written about it: {told}",
            production="Logs are copied to other machines, kept for months and read by many people."
            " A mistyped passphrase in them is nearly the right one.",
            look="Which parts of this line were chosen by the client?",
            where=place_of(leaks[0]) if leaks else None,
            method=request["method"],
            url=request["url"],
            secret=shown(told),
            told=brief(told.strip()),
        )


def place_of(record: logging.LogRecord) -> Place | None:
    """Give the line of the module that has written a record."""
    code = linecache.getline(record.pathname, record.lineno).strip()
    inside = not record.pathname.startswith(sys.prefix)
    return Place(record.pathname, record.lineno, record.funcName or "", code) if inside else None


@pytest.mark.guard
async def test_good_requests_are_accepted(client: httpx.AsyncClient) -> None:
    """Registrations, imports and looks at the receipts that keep the rules are accepted."""
    more = {"unknown": "to every model"}
    for refund in (CLIENT["refund"], {"address": "Quay 4, 20457 Hamburg"}):
        for request in (register(refund=refund), register(refund={**refund, **more}, **more)):
            response = await client.request(**request)
            expect_status(response, 201, because="each field keeps its rule")
            assert response.json() == {"accepted": 1}
    response = await client.request(**pages(**PAGE, **more))
    expect_status(response, 200, because="the code and the year keep their rules")
    assert response.json() == []
    response = await client.request(**second_line({**RECEIPT, **more}))
    expect_status(response, 201, because="both lines are receipts")
    assert response.json() == {"accepted": 2}


@pytest.mark.guard
async def test_tax_number_stays_strict(client: httpx.AsyncClient) -> None:
    """A tax number is accepted only if it has eleven digits from 0 to 9, and nothing else."""
    for kind, number in (
        ("letters", "qvxkzjwhypf"),
        ("powers", "²" * 11),
        ("other-digits", "٤" * 11),
        ("spaces", f" {CLIENT['tax_number']} "),
        ("line-end", f"{CLIENT['tax_number']}\n"),
    ):
        response = await client.request(**register(tax_number=number))
        if response.is_success:
            raise lesson(
                f"tax-number-with-{kind}",
                seen="POST /clients accepted the tax number {number} with {status}.",
                production="The tax office sends it back weeks later, and nobody knows why.",
                look="Which characters did the rule allow before, and which does it allow now?",
                number=repr(number),
                status=response.status_code,
            )
        expect_status(response, 422, because=f"{number!r} is not a tax number")


# What the answers still say: the place, the words of the message, and the type where it is given.
FAULTS: dict[str, list[tuple[dict[str, Any], list[tuple[list[Any], str, str]]]]] = {
    "clients": [
        (
            register(passphrase="short", tax_number="1234567890"),
            [(["body", "passphrase"], "at least 12", ""), (["body", "tax_number"], "11", "")],
        ),
        (
            register(name="S", refund={"address": "Quay 4"}),
            [
                (["body", "name"], "String should have at least 2", "string_too_short"),
                (["body", "refund", "address"], "at least 10", "string_too_short"),
            ],
        ),
    ],
    "query": [
        (
            pages(access_code="mine", year="1999"),
            [
                (["query", "access_code"], "match pattern", "string_pattern_mismatch"),
                (["query", "year"], "greater than or equal to 2000", "greater_than_equal"),
            ],
        )
    ],
    "import": [
        (
            second_line({"shop": ""}),
            [
                (["body", "lines", 1, "shop"], "should have at least 1", "string_too_short"),
                (["body", "lines", 1, "cents"], "required", "missing"),
            ],
        ),
        (second_line("{"), [(["body", "lines", 1], "Invalid JSON", "json_invalid")]),
    ],
}


@pytest.mark.guard
@pytest.mark.parametrize("case", FAULTS)
async def test_answer_names_place_and_rule(case: str, client: httpx.AsyncClient) -> None:
    """A refusal still says for each fault where it is, which rule it breaks, and of what type."""
    for request, faults in FAULTS[case]:
        response = await refused(client, request)
        document = response.json()
        detail = document.get("detail") if isinstance(document, dict) else None
        for loc, says, kind in faults:
            if not any(tells(item, loc, says, kind) for item in as_list(detail)):
                raise lesson(
                    "answer-tells-too-little",
                    seen="The answer has no entry with loc {loc}, {kind} and a message with "
                    "{says!r}: {answer}",
                    production="The form of the client cannot mark the wrong field, so people "
                    "guess, give up or call.",
                    look="What do `loc`, `msg` and `type` of each error contain?",
                    loc=str(loc),
                    kind=f"the type {kind}" if kind else "a type",
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
async def test_refusals_are_logged(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """A refusal is logged as a warning, with its method, its path and the name of the field."""
    caplog.set_level(logging.INFO)
    for request, field in (
        (register(passphrase="short"), "passphrase"),
        (pages(**{**PAGE, "year": "1999"}), "year"),
        (second_line({"shop": "Quill"}), "cents"),
        (second_line("{"), "lines"),
    ):
        caplog.clear()
        await refused(client, request)
        wanted = (request["method"], request["url"], field)
        warnings = [item for item in portal_records(caplog) if item.levelno >= logging.WARNING]
        if any(all(word in text_of(item) for word in wanted) for item in warnings):
            continue
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
