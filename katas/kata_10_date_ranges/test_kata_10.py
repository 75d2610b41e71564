"""A stay ends later than it starts, its points have offsets, and room types are a closed list."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from fastapi_katas.probes import crash_of, expect_status, lesson, place_of_exception

# The rooms of the house, in the order of the page.
ROOMS = {
    "single": 2, "twin": 2, "double": 3, "triple": 1,
    "attic": 1, "garden": 1, "family": 2, "suite": 1,
}  # fmt: skip
# The two doors of the house, each with its answer to a stay that it takes.
DOORS = {"search": 200, "booking": 201}
both_doors = pytest.mark.parametrize("door", list(DOORS))

# Points in time. The first line is one instant, written in three places of the world.
NOON, NOON_LISBON, NOON_DENVER = (
    "2026-07-03T12:00:00+02:00", "2026-07-03T11:00:00+01:00", "2026-07-03T04:00:00-06:00"
)  # fmt: skip
JUST_AFTER_NOON = "2026-07-03T12:00:00.000001+02:00"
EVENING_DENVER = "2026-07-03T20:00:00-06:00"
NEXT_DAY, LAST_DAY = "2026-07-04T10:00:00+02:00", "2026-07-06T10:00:00+02:00"

not_later = pytest.mark.parametrize(
    ("starts_at", "ends_at"),
    [
        pytest.param(JUST_AFTER_NOON, NOON, id="a microsecond earlier"),
        pytest.param(NOON, NOON, id="the same point"),
        pytest.param(NOON_DENVER, NOON, id="the same instant on a later clock"),
        pytest.param(EVENING_DENVER, "2026-07-04T10:30:00+14:00", id="earlier on a later clock"),
        pytest.param("2026-07-09T12:00:00z", "2026-07-03T12:00:00z", id="with a small z"),
    ],
)


@pytest.mark.goal
@not_later
async def test_search_refuses_a_stay_without_length(
    client: httpx.AsyncClient, starts_at: str, ends_at: str
) -> None:
    """A search for a stay that does not end later than it starts is answered 422."""
    expect_refused_range(await ask(client, "search", starts_at, ends_at), starts_at, ends_at)


@pytest.mark.guard
@not_later
async def test_booking_refuses_a_stay_without_length(
    client: httpx.AsyncClient, starts_at: str, ends_at: str
) -> None:
    """A booking of a stay that does not end later than it starts is answered 422."""
    expect_refused_range(await ask(client, "booking", starts_at, ends_at), starts_at, ends_at)


@pytest.mark.guard
@pytest.mark.parametrize(
    ("starts_at", "ends_at"),
    [
        pytest.param(NOON, JUST_AFTER_NOON, id="a microsecond later"),
        pytest.param(NOON, "2026-07-03T04:00:00.000001-06:00", id="... on an earlier clock"),
        pytest.param("2026-07-04T10:30:00+14:00", EVENING_DENVER, id="later on an earlier date"),
        pytest.param("2025-12-31T12:00:00+01:00", "2049-12-31T10:00:00+01:00", id="years later"),
    ],
)
async def test_stay_that_ends_later_is_taken(
    client: httpx.AsyncClient, starts_at: str, ends_at: str
) -> None:
    """A stay that ends later than it starts is taken, be it by a microsecond."""
    for door in DOORS:
        response = await ask(client, door, starts_at, ends_at)
        expect_taken_range(response, {DOORS[door]}, starts_at, ends_at)


def below(power_of_two: int) -> st.SearchStrategy[int]:
    """Draw 0, 1, ..., 2 ** power_of_two - 1, bit by bit.

    For `st.integers`, Hypothesis also takes numbers that it finds in the loaded modules, so the
    pairs would change with every edit of `fix.py`. Bits are the same in every run.
    """
    bits = st.tuples(*[st.booleans()] * power_of_two)
    return bits.map(lambda drawn: sum(bit << place for place, bit in enumerate(drawn)))


# Offsets of up to 14 hours, starts in twenty years, lengths from -32 to 32 hours: the clocks often
# disagree with the instants.
offsets = below(6).map(lambda count: timezone(timedelta(hours=-14, minutes=26 * count)))
starts = st.builds(
    lambda count, offset: datetime(2026, 1, 1, tzinfo=offset) + timedelta(minutes=20 * count),
    below(19),
    offsets,
)
lengths = st.builds(
    lambda count, step: timedelta(minutes=15 * (count - 128), microseconds=step - 1),
    below(8),
    below(2),
)
# Without shrinking: the first pair that is judged wrongly is evidence enough.
quick = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=15,
    phases=[Phase.explicit, Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


def any_two_points(test: Callable[..., Any]) -> Callable[..., Any]:
    """Run a test for many pairs of points; first for those that wrong rules take apart."""
    west, east = timezone(timedelta(hours=-6)), timezone(timedelta(hours=14))
    start = datetime(2026, 7, 3, 20, 15, tzinfo=west)
    for hours, microseconds, offset in [(1, 0, west), (0, 1, west), (0, 0, west), (-1, 0, east)]:
        length = timedelta(hours=hours, microseconds=microseconds)
        test = example(start=start, length=length, offset=offset)(test)
    return quick(given(start=starts, length=lengths, offset=offsets)(test))


@pytest.mark.goal
@any_two_points
async def test_search_judges_any_two_points(
    client: httpx.AsyncClient, start: datetime, length: timedelta, offset: timezone
) -> None:
    """Whichever two points in time a search names, it is refused just when it has no length."""
    await judge_pair(client, "search", start, (start + length).astimezone(offset))


@pytest.mark.guard
@any_two_points
async def test_booking_judges_any_two_points(
    client: httpx.AsyncClient, start: datetime, length: timedelta, offset: timezone
) -> None:
    """Whichever two points in time a booking names, it is refused just when it has no length."""
    await judge_pair(client, "booking", start, (start + length).astimezone(offset))


@pytest.mark.goal
@both_doors
@pytest.mark.parametrize(
    ("starts_at", "ends_at", "naive"),
    [
        pytest.param("2026-07-03T12:00:00", NEXT_DAY, ["starts_at"], id="start"),
        pytest.param(NEXT_DAY, "2026-07-03 12:00", ["ends_at"], id="end"),
        pytest.param("2026-07-03", "2026-07-04", ["ends_at", "starts_at"], id="both"),
    ],
)
async def test_point_without_offset_is_refused(
    client: httpx.AsyncClient, door: str, starts_at: str, ends_at: str, naive: list[str]
) -> None:
    """A point in time without an offset is a fault of its field, answered 422."""
    response = await ask(client, door, starts_at, ends_at)
    if response.is_success:
        raise lesson(
            "naive-accepted",
            seen="The {door} of a stay from {starts_at} to {ends_at} was answered {status}. "
            "Without an offset: {naive}.",
            production="Nobody can tell which instant was meant. The guest stands at the door "
            "hours before the house expects anybody.",
            look="What do the types of the two fields say about the offset?",
            door=door,
            status=response.status_code,
            starts_at=starts_at,
            ends_at=ends_at,
            naive=", ".join(naive),
        )
    expect_status(response, 422, because="a point without an offset is a fault of its field")
    if (named := sorted(faults_of(response))) != naive:
        raise lesson(
            "naive-other-fields",
            seen="A {door} of a stay from {starts_at} to {ends_at} was refused, and the answer "
            "names: {named}. Without an offset: {naive}.",
            production="The form marks the wrong field, or only one of two, and the guest mends "
            "what was right.",
            look="Which part of your module finds this fault, and which field does it belong to?",
            door=door,
            starts_at=starts_at,
            ends_at=ends_at,
            named=names(named),
            naive=", ".join(naive),
        )


@pytest.mark.goal
async def test_no_booking_breaks_the_search(client: httpx.AsyncClient) -> None:
    """Whatever was sent before, a search with two good points is answered."""
    room_type = "garden"
    sent = [
        ("2026-07-03T12:00:00", NEXT_DAY),
        (NOON, "2026-07-04T10:00:00"),
        ("2026-07-03T12:00:00", "2026-07-04T10:00:00"),
    ]
    answers = [
        (await ask(client, "booking", starts_at, ends_at, room_type=room_type)).status_code
        for starts_at, ends_at in sent
    ]
    response = await ask(client, "search", NOON, NEXT_DAY, room_type=room_type)
    crash = crash_of(response)
    if crash is not None and 201 in answers:
        raise lesson(
            "search-broken",
            seen="Bookings without offsets were answered {answers}. The next search for {room_type}"
            ", with both offsets, ended in {error}.",
            production="One booking of one partner stops the search for this room type, for "
            "everybody, until somebody deletes the booking by hand.",
            look="What does this line compare, and how did that get in?",
            where=place_of_exception(crash),
            answers=answers,
            room_type=room_type,
            error=f"{type(crash).__name__}: {crash}",
        )
    expect_status(response, 200, because="a search with two good points is answered")


@pytest.mark.goal
@both_doors
@pytest.mark.parametrize(
    ("starts_at", "ends_at", "faulty"),
    [
        pytest.param("2026-07-04", NOON, ["room_type", "starts_at"], id="room type, start"),
        pytest.param(
            "2026-07-03T12:00", "soon", ["ends_at", "room_type", "starts_at"], id="all three"
        ),
    ],
)
async def test_faults_are_named_together(
    client: httpx.AsyncClient, door: str, starts_at: str, ends_at: str, faulty: list[str]
) -> None:
    """A request with faults in several fields is told of all of them in one answer."""
    response = await ask(client, door, starts_at, ends_at, room_type="cellar")
    expect_all_named(response, faulty)


@pytest.mark.guard
@pytest.mark.parametrize(
    ("change", "faulty"),
    [
        pytest.param(
            {
                "guest": "",
                "room_type": ["twin"],
                "starts_at": "2026-02-30T12:00:00Z",
                "ends_at": "soon",
            },
            ["ends_at", "guest", "room_type", "starts_at"],
            id="all four",
        ),
        pytest.param({"starts_at": None}, ["starts_at"], id="only the start"),
        pytest.param({"guest": "x" * 61}, ["guest"], id="a name of 61 characters"),
    ],
)
async def test_other_faults_of_a_booking_are_named(
    client: httpx.AsyncClient, change: dict[str, object], faulty: list[str]
) -> None:
    """Every field of a booking that is wrong by itself, or left out, is named in the answer."""
    stay = {"guest": "Ana", "room_type": "twin", "starts_at": NOON, "ends_at": NEXT_DAY}
    expect_all_named(await client.post("/bookings", json=stay | change), faulty)
    left_out = {name: value for name, value in stay.items() if name not in faulty}
    expect_all_named(await client.post("/bookings", json=left_out), faulty)


@pytest.mark.goal
async def test_schema_lists_the_room_types(client: httpx.AsyncClient) -> None:
    """The OpenAPI description of each input lists the room types, in the order of the house."""
    for door in DOORS:
        listed = await enum_of(client, door)
        if listed != list(ROOMS):
            raise lesson(
                "schema-other-types" if listed else "schema-without-types",
                seen="The OpenAPI description of the {door} lists {count} room types: {listed}.",
                production="The form of the website can offer no choice, and generated clients "
                "send any text.",
                look="Open /docs. What does the description know about `room_type`?",
                door=door,
                count=len(listed),
                listed=names(listed),
            )


@pytest.mark.goal
@pytest.mark.parametrize("unknown", ["cellar", ""], ids=["cellar", "empty"])
async def test_message_lists_the_room_types(client: httpx.AsyncClient, unknown: str) -> None:
    """The message about an unknown room type lists them all, in the order of the description."""
    for door in DOORS:
        response = await ask(client, door, NOON, NEXT_DAY, room_type=unknown)
        expect_status(response, 422, because="an unknown room type is refused")
        message = " ".join(faults_of(response).get("room_type", []))
        in_message = re.findall("|".join(ROOMS), message)
        in_schema = await enum_of(client, door)
        if in_message != list(ROOMS) or in_message != in_schema:
            raise lesson(
                "message-other-than-schema"
                if in_message == list(ROOMS)
                else "message-other-order"
                if sorted(in_message) == sorted(ROOMS)
                else "message-without-types",
                seen="The {door} was asked for the room type {unknown!r}. Its message lists: "
                "{in_message}. The OpenAPI description lists: {in_schema}.",
                production="Message and description do not agree. Where chance decides the order, "
                "not even two workers agree: logs cannot be grouped, and a client that compares "
                "the text fails after a restart.",
                look="Where do the names in the message come from, and what decides their order?",
                door=door,
                unknown=unknown,
                in_message=names(in_message),
                in_schema=names(in_schema),
            )


@pytest.mark.guard
async def test_room_type_is_taken_letter_by_letter(client: httpx.AsyncClient) -> None:
    """All room types of the house are taken, and nothing that only resembles one."""
    for room_type, rooms in ROOMS.items():
        found = await ask(client, "search", NOON, NEXT_DAY, room_type=room_type)
        expect_status(found, 200, because=f"the house has the room type {room_type}")
        expect_value(found.json(), {"room_type": room_type, "free": rooms})
    for resembling in ("Double", " double", "DOUBLE", "doubles", "Room.double"):
        for door in DOORS:
            response = await ask(client, door, NOON, NEXT_DAY, room_type=resembling)
            expect_all_named(response, ["room_type"])


@pytest.mark.guard
@pytest.mark.parametrize("room_type", ["attic", "double"], ids=["one room", "three rooms"])
async def test_rooms_are_booked_until_none_is_free(
    client: httpx.AsyncClient, room_type: str
) -> None:
    """Every room of a type can be found and booked, whatever other rooms are, and not one more."""
    rooms, number, guest = ROOMS[room_type], 1, "Ana Ruiz y Ñ.".ljust(60, "x")
    other = await ask(client, "booking", NOON, LAST_DAY, room_type="suite")
    expect_status(other, 201, because="a free room is booked")
    expect_value(other.json().get("number"), number)
    for start, end in [(NOON, NEXT_DAY), (NEXT_DAY, LAST_DAY)]:
        for left in reversed(range(rooms)):
            number += 1
            booked = await ask(client, "booking", start, end, room_type=room_type, guest=guest)
            expect_status(booked, 201, because="a free room is booked")
            answer = booked.json()
            expect_value(sorted(answer), ["ends_at", "guest", "number", "room_type", "starts_at"])
            points = [datetime.fromisoformat(answer.pop(name)) for name in ("starts_at", "ends_at")]
            expect_value(answer, {"number": number, "guest": guest, "room_type": room_type})
            if points != [datetime.fromisoformat(start), datetime.fromisoformat(end)]:
                expect_value([point.isoformat() for point in points], [start, end])
            found = await ask(client, "search", start, end, room_type=room_type)
            expect_value(found.json(), {"room_type": room_type, "free": left})
    # The whole stay meets twice as many bookings as there are rooms.
    for start, end in [(NOON, NEXT_DAY), (NOON, LAST_DAY)]:
        refused = await ask(client, "booking", start, end, room_type=room_type)
        expect_status(refused, 409, because="no room of this type is free")


@pytest.mark.guard
@pytest.mark.parametrize(
    ("starts_at", "ends_at", "free"),
    [
        pytest.param("2026-07-01T12:00:00Z", NOON_LISBON, 1, id="ends as it starts"),
        pytest.param("2026-07-01T12:00:00Z", JUST_AFTER_NOON, 0, id="ends a microsecond into it"),
        pytest.param("2026-07-04T08:00:00Z", "2026-07-06T08:00:00Z", 1, id="starts as it ends"),
        pytest.param(
            "2026-07-04T07:59:59.999999Z",
            "2026-07-06T08:00:00Z",
            0,
            id="starts just before it ends",
        ),
    ],
)
async def test_rooms_are_free_around_a_booking(
    client: httpx.AsyncClient, starts_at: str, ends_at: str, free: int
) -> None:
    """A room is taken just as long as its booking lasts, whatever the offsets."""
    booked = await ask(client, "booking", NOON, NEXT_DAY, room_type="attic", guest="A")
    expect_status(booked, 201, because="a free room is booked")
    found = await ask(client, "search", starts_at, ends_at, room_type="attic")
    expect_status(found, 200, because="a search with two good points is answered")
    expect_value(found.json(), {"room_type": "attic", "free": free})


@pytest.mark.guard
async def test_search_form_keeps_its_order(client: httpx.AsyncClient) -> None:
    """The form of the website asks for the end first: its fields keep their order."""
    api = await description(client)
    parameters = api["paths"]["/free-rooms"]["get"].get("parameters", [])
    fields = [parameter["name"] for parameter in parameters]
    if fields != ["ends_at", "room_type", "starts_at"]:
        raise lesson(
            "form-other-order",
            seen="The search form asks for these fields, in this order: {fields}.",
            production="The website changes its face because a rule on the server needed it.",
            look="Which rule depends on the order in which the fields are declared?",
            fields=names(fields),
        )


async def ask(
    client: httpx.AsyncClient,
    door: str,
    starts_at: str,
    ends_at: str,
    *,
    room_type: str = "double",
    guest: str = "Ana",
) -> httpx.Response:
    """Send a stay to one of the two doors."""
    stay = {"starts_at": starts_at, "room_type": room_type, "ends_at": ends_at}
    if door == "search":
        return await client.get("/free-rooms", params=stay)
    return await client.post("/bookings", json={"guest": guest, **stay})


async def judge_pair(client: httpx.AsyncClient, door: str, start: datetime, end: datetime) -> None:
    """Send a pair of points and compare the answer with the instants that they name."""
    starts_at, ends_at = start.isoformat(), end.isoformat()
    response = await ask(client, door, starts_at, ends_at)
    if end > start:
        # A booking may meet the bookings of earlier pairs.
        taken = {DOORS[door]} | ({409} if door == "booking" else set())
        expect_taken_range(response, taken, starts_at, ends_at)
    else:
        expect_refused_range(response, starts_at, ends_at)


def names(fields: list[str]) -> str:
    return ", ".join(field or "the request as a whole" for field in fields) or "none"


def length_of(starts_at: str, ends_at: str) -> str:
    # Python reads only a large Z.
    start, end = (datetime.fromisoformat(point.upper()) for point in (starts_at, ends_at))
    length = end - start
    return f"{length.total_seconds():.6f} seconds"


def expect_refused_range(response: httpx.Response, starts_at: str, ends_at: str) -> None:
    """Expect 422 in the usual form for a stay that has no length."""
    if response.is_success:
        raise lesson(
            "reversed-accepted",
            seen="A stay from {starts_at} to {ends_at} lasts {length}. {path} answered {status} "
            "with {body}.",
            production="The guest reads that a room is free, books, and is refused; or is not "
            "refused, and nobody knows which nights were meant.",
            look="Does the rule run here? What does it know at that moment, and what does it "
            "compare?",
            path=response.request.url.path,
            starts_at=starts_at,
            ends_at=ends_at,
            length=length_of(starts_at, ends_at),
            status=response.status_code,
            body=response.text[:120],
        )
    expect_status(response, 422, because="a stay ends later than it starts")
    faults_of(response)


def expect_taken_range(
    response: httpx.Response, taken: set[int], starts_at: str, ends_at: str
) -> None:
    """Expect that a stay that has a length is not refused."""
    if response.status_code == 422:
        raise lesson(
            "forward-refused",
            seen="A stay from {starts_at} to {ends_at} lasts {length}. {path} answered {status} "
            "with {body}.",
            production="Guests from another time zone cannot book, and the message tells them "
            "something that is not true.",
            look="Does the rule compare two instants, or two texts, or two clocks?",
            path=response.request.url.path,
            starts_at=starts_at,
            ends_at=ends_at,
            length=length_of(starts_at, ends_at),
            status=response.status_code,
            body=response.text[:120],
        )
    if response.status_code not in taken:
        expect_status(response, min(taken), because="a stay that ends later than it starts is good")


def faults_of(response: httpx.Response) -> dict[str, list[str]]:
    """Return the messages of a 422 for each field; ``""`` is the request as a whole."""
    try:
        body = response.json()
    except ValueError:
        body = None
    entries = body.get("detail") if isinstance(body, dict) else None
    usual = isinstance(entries, list) and all(
        isinstance(entry, dict) and {"loc", "msg", "type"} <= entry.keys() for entry in entries
    )
    if not usual or not entries:
        raise lesson(
            "refusal-without-places",
            seen="The answer {status} was {body}.",
            production="Clients read `detail` as a list of faults with their places, and this one "
            "they cannot read.",
            look="Who writes the other answers 422 of this application?",
            status=response.status_code,
            body=response.text[:200],
        )
    found: dict[str, list[str]] = {}
    for entry in entries:
        found.setdefault(".".join(map(str, entry["loc"][1:])), []).append(str(entry["msg"]))
    return found


def expect_all_named(response: httpx.Response, faulty: list[str]) -> None:
    """Expect a 422 that names just the fields that are wrong by themselves."""
    if response.is_success:
        named = []
    else:
        expect_status(response, 422, because="a request with faulty fields is refused")
        named = sorted(faults_of(response))
    if named != faulty:
        raise lesson(
            "faults-missing" if set(named) < set(faulty) else "faults-other",
            seen="The request had these faulty fields: {faulty}. It was answered {status}, and "
            "the answer names: {named}.",
            production="The guest mends one field after the other and sends the form four times.",
            look="Which faults are looked for by the types of the fields, and which by code that "
            "runs later, or not at all?",
            faulty=names(faulty),
            status=response.status_code,
            named=names(named),
        )


def expect_value(seen: Any, expected: Any) -> None:
    """Expect an answer of the contract."""
    if seen != expected:
        raise lesson(
            "other-answer",
            seen="The answer has {answer}. The contract says {expected}.",
            production="What the house knows and what it tells differ.",
            look="Compare the answer with the contract on the page of this kata.",
            answer=repr(seen),
            expected=repr(expected),
        )


async def description(client: httpx.AsyncClient) -> dict[str, Any]:
    """Return the OpenAPI description."""
    response = await client.get("/openapi.json")
    expect_status(response, 200, because="the house describes itself")
    api: dict[str, Any] = response.json()
    return api


async def enum_of(client: httpx.AsyncClient, door: str) -> list[str]:
    """Return the room types that the description of a door lists."""
    api = await description(client)

    def followed(schema: dict[str, Any]) -> dict[str, Any]:
        for inner in schema.get("allOf", []):
            schema = {**schema, **followed(inner)}
        if "$ref" in schema:
            return followed(api["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]])
        return schema

    if door == "search":
        parameters = api["paths"]["/free-rooms"]["get"].get("parameters", [])
        found = [each["schema"] for each in parameters if each["name"] == "room_type"]
    else:
        body = api["paths"]["/bookings"]["post"]["requestBody"]["content"]["application/json"]
        properties = followed(body["schema"]).get("properties", {})
        found = [schema for name, schema in properties.items() if name == "room_type"]
    return [name for schema in found for name in followed(schema).get("enum", [])]
