"""The pier must know each field that comes in, and choose each field that goes out."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from fastapi_katas.probes import expect_status, lesson

Body = dict[str, Any]

RESERVATIONS, WAITING = "/reservations", "/waiting-list"
# Two parties; a test that needs a body takes a copy and changes one thing.
ANA: Body = {"boat": "RB-07", "customer": "Ana Ruiz", "people": 3, "hours": 2}
BO: Body = {
    "boat": "SB-01",
    "customer": "Bo Åkesson-Li",
    "people": 7,
    "hours": 5,
    "day": "2031-02-28",
    "extras": {"life_jackets": 6, "dog": True, "note": "0012"},
}
QUEUE: Body = {"customer": "Dr. O'Neil 2", "people": 6, "day": "2032-02-29"}
VALID = {RESERVATIONS: BO, WAITING: QUEUE}
RESERVATION_FIELDS = {*BO, "number", "price_cents", "taken_at"}
ABSENT = "absent"
IN_PRODUCTION = {
    "missing": "A row without this field is written down, and the next program that needs it "
    "stops there, far from the one who left it out.",
    "wrong-type": "The value is written down as it came. The program that counts or sorts with "
    "it fails weeks later.",
    "too-far": "What nobody can serve is written down like the rest. Somebody notices at the "
    "pier, with the customer before them.",
    "blank": "There is a reservation for nobody: the pier cannot call a name at the water.",
    "unknown-field": "A misspelt field is lost without a word, or the client writes into fields "
    "that belong to the pier, such as the price.",
    "wrong-extra": "The crew prepares the boat by this value. They find out in the morning.",
    "unknown-extra": "A misspelt extra is lost without a word, and the crew does not lay it out.",
    "wrong-form": "A code that no boat can have is looked up like a real one.",
}
NOON = datetime(2030, 5, 17, 12, 30, 7, 250_000, tzinfo=UTC)


def cases(*rows: tuple[Any, ...]) -> list[Any]:
    """Name each case by its texts: the path and the field."""
    return [
        pytest.param(*row, id="-".join(text.strip("/") for text in row if isinstance(text, str)))
        for row in rows
    ]


class Desk:
    """The pier, with a cashier that writes down each deposit."""

    def __init__(self, module: Any, client: httpx.AsyncClient) -> None:
        self.module = module
        self.client = client
        self.deposits: list[tuple[str, int]] = []
        module.hold_deposit = self._hold
        module.clock.moment = NOON

    async def _hold(self, customer: str, cents: int) -> str:
        self.deposits.append((customer, cents))
        reference = f"secret-hold-{len(self.deposits)}"
        await asyncio.sleep(0)  # other requests go on meanwhile
        return reference

    async def post(self, path: str, body: Any) -> httpx.Response:
        return await self.client.post(path, json=body)

    def written(self) -> int:
        logbook = self.module.logbook
        return len(logbook.reservations) + len(logbook.waiting)

    async def accepted(self, path: str, body: Body) -> Body:
        """Send a body that the contract accepts."""
        response = await self.post(path, body)
        expect_status(response, 201, because=f"{_short(body)} is a body of the contract")
        answer = _json(response)
        fields = RESERVATION_FIELDS if path == RESERVATIONS else {*QUEUE, "place"}
        less = sorted(fields - {*answer}) if isinstance(answer, dict) else sorted(fields)
        if less:
            raise lesson(
                "fields-left-out",
                seen="POST {path} answered 201 with {answer}. Missing: {less}.",
                production="A client that relies on these fields breaks.",
                look="Compare the answer with the contract on the page of this kata.",
                path=path,
                answer=response.text[:160],
                less=", ".join(less),
            )
        return dict(answer)

    async def shown(self, number: int) -> Body:
        """Look at a reservation that was made."""
        response = await self.client.get(f"/reservations/{number}")
        expect_status(response, 200, because="a reservation that was made is shown")
        return dict(_json(response))

    async def refused(self, path: str, body: Body, *names: str, fault: str) -> None:
        """Send a body with one wrong field, and look whether the refusal names that field."""
        field, value = ".".join(names), _at(body, names)
        sent = f"without {field}" if value == ABSENT else f"with {field} = {_short(value)}"
        response = await self.post(path, body)
        if response.is_success:
            raise lesson(
                f"accepted-{fault}",
                seen="POST {path} {sent} answered {status}. In the answer, {field} is {back}.",
                production=IN_PRODUCTION[fault],
                look="What does the endpoint declare about the field that is named here?",
                path=path,
                sent=sent,
                status=response.status_code,
                field=field,
                back=_short(_at(_json(response), names)),
            )
        expect_status(response, 422, because=f"the body came {sent}")
        places = _places(response, 1 + len(names))
        if ["body", *names] not in places:
            raise lesson(
                "field-not-named",
                seen="POST {path} {sent} answered 422 with {answer}. Entries of `detail` with a "
                "`loc`: {entries}. None of them is {expected}.",
                production="A form cannot mark the field; the customer guesses what is wrong.",
                look="Compare this body with the 422 that FastAPI makes by itself.",
                path=path,
                sent=sent,
                answer=response.text[:160],
                entries=sum(map(bool, places)),
                expected=str(["body", *names]),
            )


@pytest.fixture
def desk(module: Any, client: httpx.AsyncClient) -> Desk:
    """The pier, open, with nothing written down."""
    return Desk(module, client)


@pytest.mark.goal
@pytest.mark.parametrize(
    ("path", "needed"), cases((RESERVATIONS, [*ANA]), (WAITING, ["people", "customer"]))
)
async def test_missing_field_is_named(desk: Desk, path: str, needed: list[str]) -> None:
    """A body without a field that is needed is 422, and the field is named."""
    for field in needed:
        body = {name: value for name, value in VALID[path].items() if name != field}
        await desk.refused(path, body, field, fault="missing")


@pytest.mark.goal
@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (RESERVATIONS, {"hours": ["two", 1.5, {"h": 2}, None], "people": ["four", 2.5, [2], None]}),
        (RESERVATIONS, {"customer": [42, {"first": "Ana"}, None], "boat": [7, ["RB-07"], None]}),
        (RESERVATIONS, {"day": ["soon", "2031-02-30", ["2031-02-28"], "2031-02-28T10:00:00"]}),
        (RESERVATIONS, {"extras": ["a dog", 3]}),
        (WAITING, {"people": ["a few", 3.5], "customer": [["Ana"], 0], "day": ["2031-13-01"]}),
    ],
    ids=["numbers", "texts", "day", "extras", "waiting-list"],
)
async def test_wrong_type_is_refused(desk: Desk, path: str, fields: Body) -> None:
    """A value of the wrong type is 422, and the field is named."""
    for field, values in fields.items():
        for value in values:
            await desk.refused(path, _with(path, field, value), field, fault="wrong-type")


@pytest.mark.goal
@pytest.mark.parametrize(
    ("path", "field", "values"),
    cases(
        (RESERVATIONS, "people", [0, 9, -3]),
        (RESERVATIONS, "hours", [13, 0, -2]),
        (RESERVATIONS, "customer", ["", "x" * 61, "Ö" * 61]),
        (WAITING, "people", [0, 9]),
        (WAITING, "customer", ["y" * 61, ""]),
    ),
)
async def test_value_beyond_its_limit_is_refused(
    desk: Desk, path: str, field: str, values: list[Any]
) -> None:
    """The first value beyond each limit is 422, and the field is named."""
    for value in values:
        await desk.refused(path, _with(path, field, value), field, fault="too-far")


@pytest.mark.goal
async def test_extras_are_checked_too(desk: Desk) -> None:
    """Inside `extras`, a wrong type and a value beyond a limit are 422 as well."""
    wrong = {
        "life_jackets": ["many", 0.5, -1, 9],
        "dog": ["a small one", 7],
        "note": [12, False, "n" * 201],
    }
    for field, values in wrong.items():
        for value in values:
            body = _with(RESERVATIONS, f"extras.{field}", value)
            await desk.refused(RESERVATIONS, body, "extras", field, fault="wrong-extra")


@pytest.mark.goal
async def test_unknown_extra_is_refused(desk: Desk) -> None:
    """An unknown field inside `extras` is 422, whether it is misspelt or stands elsewhere."""
    for field, value in {"lifejackets": 2, "people": 2, "sail": "red"}.items():
        body = _with(RESERVATIONS, f"extras.{field}", value)
        await desk.refused(RESERVATIONS, body, "extras", field, fault="unknown-extra")


@pytest.mark.goal
async def test_boat_code_has_its_form(desk: Desk) -> None:
    """A boat code is two capital letters, a hyphen and two digits."""
    for code in ["rb-07", "RB_07", "07-RB", "SB-O1", "R--07", "RB-०७"]:
        await desk.refused(RESERVATIONS, {**ANA, "boat": code}, "boat", fault="wrong-form")


@pytest.mark.goal
async def test_boat_code_has_nothing_around_it(desk: Desk) -> None:
    """A boat code is 422 when a part of it is missing, and when there is more around it."""
    for code in ["RB-070", "xRB-07", "RB-07 SB-01", "RB-7", "R-07", "", " RB-07", "RB-07\n"]:
        await desk.refused(RESERVATIONS, {**ANA, "boat": code}, "boat", fault="wrong-form")


@pytest.mark.goal
@pytest.mark.parametrize("path", cases((RESERVATIONS,), (WAITING,)))
async def test_blank_is_no_name(desk: Desk, path: str) -> None:
    """A customer whose name is only blanks is refused."""
    for blank in [" ", "     ", "\t \n", "\u00a0"]:
        await desk.refused(path, {**VALID[path], "customer": blank}, "customer", fault="blank")


@pytest.mark.goal
@pytest.mark.parametrize(
    ("path", "fields"),
    cases(
        (RESERVATIONS, {"price_cents": 1, "number": 1, "colour": "blue", "Day": "2031-02-28"}),
        (WAITING, {"place": 1, "peple": 2, "hours": 3}),
    ),
)
async def test_unknown_field_is_refused(desk: Desk, path: str, fields: Body) -> None:
    """A field that the contract does not know is 422: neither taken over nor dropped."""
    for field, value in fields.items():
        await desk.refused(path, _with(path, field, value), field, fault="unknown-field")


@pytest.mark.goal
@pytest.mark.parametrize(
    ("path", "body", "fields"),
    [
        (
            RESERVATIONS,
            {**ANA, "people": 0, "hours": "long", "price_cents": 5},
            "hours people price_cents",
        ),
        (RESERVATIONS, {"customer": " ", "people": 2, "hours": 24}, "boat customer hours"),
        (WAITING, {"customer": "\t", "people": 99, "day": "?"}, "customer people day"),
    ],
    ids=["middle", "both-ends", "waiting"],
)
async def test_all_faults_are_told_at_once(desk: Desk, path: str, body: Body, fields: str) -> None:
    """A body with several faults gets one answer that names each of them."""
    response = await desk.post(path, body)
    named = {place[1] for place in _places(response, 2) if len(place) == 2}
    missing = [field for field in fields.split() if field not in named]
    if response.status_code == 422 and missing:
        raise lesson(
            "one-fault-at-a-time",
            seen="POST {path} with {body} answered 422 and named {named}. Wrong as "
            "well, and not named: {missing}.",
            production="The customer mends one field, sends again, and is refused again.",
            look="Where does the check end, and what comes after that place?",
            path=path,
            body=_short(body),
            named=", ".join(sorted(map(str, named))) or "no field",
            missing=", ".join(missing),
        )
    expect_status(response, 422, because="the body has several faults")


@pytest.mark.goal
@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (RESERVATIONS, {"hours": -4, "extras.note": 3, "extras": [], "day": "next week"}),
        (RESERVATIONS, {"discount": 50, "customer": 17, "people": 2.5}),
        (WAITING, {"people": -1, "day": "never", "customer": "  "}),
    ],
    ids=["reservations", "reservations-more", "waiting-list"],
)
async def test_refused_body_leaves_no_trace(desk: Desk, path: str, fields: Body) -> None:
    """For a bad body no deposit is held and nothing is written down."""
    for field, value in fields.items():
        response = await desk.post(path, _with(path, field, value))
        if desk.deposits or desk.written():
            raise lesson(
                "worked-on-bad-input",
                seen="POST {path} with {field} = {value} answered {status}. Afterwards, deposits "
                "held: {deposits}{cents}; rows in the logbook: {rows}.",
                production="Money stays blocked on a card, or a row stays in the logbook, for a "
                "request that made no sense. Somebody has to find it and undo it.",
                look="What has the endpoint already done when it meets the bad value?",
                path=path,
                field=field,
                value=repr(value),
                status=response.status_code,
                deposits=len(desk.deposits),
                cents=f" ({desk.deposits[0][1]} cents)" if desk.deposits else "",
                rows=desk.written(),
            )
        expect_status(response, 422, because=f"{field} = {value!r} is wrong")


@pytest.mark.goal
@pytest.mark.parametrize(
    ("how", "extras"),
    [
        ("reserve", [None]),
        ("show", [BO["extras"]]),
        ("show", [{}, {"dog": True}, {"life_jackets": 2}, {"note": "7", "dog": True}]),
    ],
    ids=["reserve", "show", "some-extras"],
)
async def test_answer_has_exactly_its_fields(
    desk: Desk, how: str, extras: list[Body | None]
) -> None:
    """A reservation goes out with the fields of the contract, whatever else its row has."""
    for sent in extras:
        body = ANA if sent is None else {**BO, "extras": sent}
        await _expect_exact_fields(desk, how, body)


async def _expect_exact_fields(desk: Desk, how: str, body: Body) -> None:
    answer = await desk.accepted(RESERVATIONS, body)
    added = f"crew_note_{uuid4().hex}"  # a name that nobody can know before
    if how == "show":
        row = desk.module.logbook.reservations[answer["number"]]
        if isinstance(row, dict):
            row[added] = "owes us 40"
        answer = await desk.shown(answer["number"])
    more = sorted({*answer} - RESERVATION_FIELDS)
    if more:
        raise lesson(
            "new-field-goes-out" if more == [added] else "internals-go-out",
            seen="The answer of {how} has {count} fields. By contract it has {expected}. Too many: "
            "{more}.",
            production="Whoever sees the reference of a deposit can release it, and each field "
            "that the pier adds to its rows for itself is public from that day on.",
            look="Who decides which keys of a row leave the pier?",
            how="POST /reservations" if how == "reserve" else "GET /reservations/{number}",
            count=len(answer),
            expected=len(RESERVATION_FIELDS),
            more=", ".join(
                f"{'a key that was added to the row' if name == added else name} = {answer[name]!r}"
                for name in more
            ),
        )
    extras = {"life_jackets": 0, "dog": False, "note": "", **body.get("extras", {})}
    _equal(answer["extras"], extras)


@pytest.mark.goal
async def test_number_of_a_reservation_is_a_number(desk: Desk) -> None:
    """A reservation number that is no whole number is 422, and `number` is named."""
    for number in ["abc", "1.5", "%20", "0x1"]:
        response = await desk.client.get(f"/reservations/{number}")
        expect_status(response, 422, because=f"{number!r} is no reservation number")
        if ["path", "number"] not in _places(response, 2):
            raise lesson(
                "number-not-named",
                seen="GET /reservations/{number} answered 422 with {answer}; no entry of `detail` "
                "has the `loc` ['path', 'number'].",
                production="The caller cannot tell which part of the request to mend.",
                look="Compare this body with the 422 that FastAPI makes by itself.",
                number=number,
                answer=response.text[:160],
            )


@pytest.mark.goal
@pytest.mark.parametrize(
    ("method", "path", "takes", "gives"),
    [
        ("post", RESERVATIONS, {*BO}, RESERVATION_FIELDS),
        ("get", "/reservations/{number}", set(), RESERVATION_FIELDS),
        ("post", WAITING, {*QUEUE}, {*QUEUE, "place"}),
    ],
    ids=["reserve", "show", "wait"],
)
async def test_documentation_names_the_fields(
    desk: Desk, method: str, path: str, takes: set[str], gives: set[str]
) -> None:
    """The OpenAPI document names each field that comes in and each that goes out."""
    response = await desk.client.get("/openapi.json")
    expect_status(response, 200, because="the documentation stays")
    document = response.json()
    operation = document["paths"].get(path, {}).get(method, {})
    success = operation.get("responses", {}).get("200" if method == "get" else "201")
    received, sent = _fields(document, operation.get("requestBody")), _fields(document, success)
    if (received, sent) != (takes, gives):
        raise lesson(
            "not-documented",
            seen="For {operation} the document names {takes_seen} fields that come in and "
            "{gives_seen} that go out. By contract it is {takes} and {gives}. The difference: "
            "{difference}.",
            production="A program written from the document cannot know what to send and what "
            "it will get.",
            look="What do the parameters and the return value of this endpoint declare?",
            operation=f"{method.upper()} {path}",
            takes_seen=len(received),
            gives_seen=len(sent),
            takes=len(takes),
            gives=len(gives),
            difference=", ".join(sorted((received ^ takes) | (sent ^ gives))),
        )


@pytest.mark.guard
@pytest.mark.parametrize("body", [ANA, BO], ids=["short", "full"])
async def test_reservation_is_taken_and_shown(desk: Desk, body: Body) -> None:
    """A good reservation is written down once, its price is held, and it can be shown."""
    answer = await desk.accepted(RESERVATIONS, body)
    price = {"RB-07": 1200, "SB-01": 3450}[body["boat"]] * body["hours"]
    _equal({name: answer.get(name) for name in body}, body)
    _equal(answer["price_cents"], price)
    assert desk.deposits == [(body["customer"], price)]
    assert desk.written() == 1
    _equal(await desk.shown(answer["number"]), answer)


@pytest.mark.guard
@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (RESERVATIONS, {"people": [1, 2, 8], "hours": [1, 11, 12]}),
        (RESERVATIONS, {"customer": ["Q", "Ö" * 60, "007", "Ana  & Bo (2)"]}),
        (RESERVATIONS, {"day": ["2029-01-01", "2032-02-29"]}),
        (RESERVATIONS, {"extras.life_jackets": [0, 1, 8], "extras.dog": [False, True]}),
        (RESERVATIONS, {"extras.note": ["", "ñ" * 200, "7", "true", "  x "]}),
        (WAITING, {"people": [1, 8], "customer": ["Ł", "z" * 60]}),
    ],
    ids=["people-and-hours", "customer", "day", "extras", "note", "waiting-list"],
)
async def test_value_at_its_limit_is_taken(desk: Desk, path: str, fields: Body) -> None:
    """The last value inside each limit is taken, and comes back with its value and its type."""
    for field, values in fields.items():
        for value in values:
            answer = await desk.accepted(path, _with(path, field, value))
            _equal(_at(answer, field.split(".")), value)


@pytest.mark.guard
async def test_day_and_time_come_from_the_clock(desk: Desk) -> None:
    """Without a day it is today, and `taken_at` is now, for each reservation anew."""
    for later in (0, 1, 40):
        now = desk.module.clock.moment = NOON + timedelta(days=later)
        reserved = await desk.accepted(RESERVATIONS, ANA)
        waits = await desk.accepted(WAITING, {"customer": "Eva", "people": 2})
        today = now.date().isoformat()
        days = {reserved["day"], waits["day"]}
        if days != {today} or datetime.fromisoformat(reserved["taken_at"]) != now:
            raise lesson(
                "clock-stands-still",
                seen="The clock shows {now}. The reservation is for {day} and was taken at "
                "{taken_at}; the waiting list says {waits}.",
                production="From the second day on, each customer is booked for a day in the past.",
                look="At which moment is this value made, and how often?",
                now=now.isoformat(),
                day=reserved["day"],
                taken_at=reserved["taken_at"],
                waits=waits["day"],
            )
    desk.module.clock.moment = None
    await desk.accepted(RESERVATIONS, ANA)


@pytest.mark.guard
async def test_each_reservation_has_its_own_number(desk: Desk) -> None:
    """No two reservations share a number, even when made at once, and each one is kept."""
    bodies = (ANA, BO, ANA)
    answers = await asyncio.gather(*(desk.accepted(RESERVATIONS, body) for body in bodies))
    numbers = [answer["number"] for answer in answers]
    if len({*numbers}) < 3 or desk.written() < 3:
        raise lesson(
            "number-given-twice",
            seen="Three reservations got the numbers {numbers}. Rows in the logbook: {rows}.",
            production="The second reservation takes the place of the first one, whose customer "
            "has paid and has no boat.",
            look="At which moment is a number made, and how often?",
            numbers=", ".join(map(str, numbers)),
            rows=desk.written(),
        )
    assert len(desk.deposits) == 3


@pytest.mark.guard
async def test_logbook_keeps_the_reference_of_the_deposit(desk: Desk) -> None:
    """The pier itself still knows the reference of each deposit: it has to release it."""
    name = "deposit_ref"
    for made, body in enumerate((ANA, BO), start=1):
        answer = await desk.accepted(RESERVATIONS, body)
        row = desk.module.logbook.reservations[answer["number"]]
        kept = row.get(name) if isinstance(row, dict) else getattr(row, name, None)
        if kept != f"secret-hold-{made}":
            raise lesson(
                "reference-lost",
                seen="The cashier gave the reference {given}. The logbook has {kept}.",
                production="The deposit can never be given back.",
                look="Which row does the logbook get, and which one does the client get?",
                given=f"secret-hold-{made}",
                kept=repr(kept),
            )


@pytest.mark.guard
async def test_waiting_parties_get_their_places(desk: Desk) -> None:
    """The waiting list answers with the party and its place, counted from 1."""
    for place in (1, 2):
        _equal(await desk.accepted(WAITING, QUEUE), {**QUEUE, "place": place})
    assert desk.written() == 2
    assert not desk.deposits


@pytest.mark.guard
async def test_request_that_the_pier_cannot_serve(desk: Desk) -> None:
    """An unknown boat or reservation is 404, too few seats are 409, and no deposit is held."""
    for change, status, because in (
        ({"boat": "ZZ-99"}, 404, "there is no such boat"),
        ({"people": 5}, 409, "the boat has four seats"),
        ({"boat": "RB-08", "people": 4}, 409, "the boat has three seats"),
    ):
        response = await desk.post(RESERVATIONS, {**ANA, **change})
        expect_status(response, status, because=because)
    response = await desk.client.get("/reservations/4711")
    expect_status(response, 404, because="there is no such reservation")
    assert not desk.deposits
    assert not desk.written()


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _at(value: Any, names: Iterable[str]) -> Any:
    """What stands in a JSON object under a name, or under a name inside it."""
    for name in names:
        value = value.get(name, ABSENT) if isinstance(value, dict) else ABSENT
    return value


def _with(path: str, field: str, value: Any) -> Body:
    """A good body with one field changed; `extras.dog` is a field inside another one."""
    outer, _, inner = field.partition(".")
    body = dict(VALID[path])
    body[outer] = {**body[outer], inner: value} if inner else value
    return body


def _places(response: httpx.Response, depth: int) -> list[list[Any]]:
    """Where the entries of a 422 point to, so many steps deep."""
    if response.status_code != 422:
        return []
    entries = _at(_json(response), ["detail"])
    entries = entries if isinstance(entries, list) else []
    return [list(entry.get("loc", []))[:depth] for entry in entries if isinstance(entry, dict)]


def _fields(document: Body, part: Any) -> set[str]:
    """The names of the fields of a body, as the OpenAPI document states them."""
    content = (part or {}).get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
    return set(schema.get("properties", {}))


def _equal(seen: Any, expected: Any) -> None:
    """Compare JSON values; unlike `==`, this tells `true` from 1."""
    if repr(_sorted(seen)) != repr(_sorted(expected)):
        raise lesson(
            "value-changed",
            seen="The value {expected} came back as {back}.",
            production="What the customer wrote and what the pier reads are two things.",
            look="Through which type did this value go?",
            expected=_short(expected),
            back=_short(seen),
        )


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return value


def _short(value: Any) -> str:
    text = ascii(value) if value != ABSENT else ABSENT
    return text if len(text) <= 80 else f"{text[:60]}… ({len(text)} characters)"
