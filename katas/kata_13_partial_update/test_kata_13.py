"""A change writes what was sent, by the rules of creation, and only what belongs to the owner."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from fastapi_katas.probes import crash_of, expect_status, lesson, place_of_exception

# What a new member sends on entering. No value of it is a default.
NEW = {
    "call_sign": "VK3TESS",
    "locator": "QF22le",
    "bio": "Bicycle mobile.",
    "listed": False,
    "station": {"rig": "QRP-5", "antenna": "whip", "power_watts": 5},
}
BOARD = {"id", "role", "is_active", "station.inspected"}


class Book:
    """The call book as its clients see it. Profile 1 is an officer's, profile 2 is suspended."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.numbers = [1, 2]

    async def enter(self, body: dict[str, Any]) -> dict[str, Any]:
        """Enter a new member, and return the profile that the answer shows."""
        response = await self.client.post("/profiles", json=body)
        expect_status(response, 201, because=f"{short(body)} is enough for a new profile")
        fresh = side_by_side(response.json())
        number = fresh.get("id")
        if not isinstance(number, int) or number in self.numbers:
            raise lesson(
                "no-id-of-its-own",
                seen="A POST answered {answer}. The profiles {numbers} were there before.",
                production="Two members share a profile, or a new one cannot be found again.",
                look="Where does the id of a new profile come from?",
                answer=short(fresh),
                numbers=str(self.numbers),
            )
        self.numbers.append(number)
        shown = await self.profile(number)
        if shown != fresh:
            raise lesson(
                "answer-is-not-stored",
                seen="POST answered {answer}. A GET afterwards shows {shown}.",
                production="The client shows a profile that is not in the call book.",
                look="What is answered, and what is written?",
                answer=short(fresh),
                shown=short(shown),
            )
        return fresh

    async def profile(self, number: int) -> dict[str, Any]:
        """Return a profile with its fields side by side: `station.rig` and so on."""
        response = await self.client.get(f"/profiles/{number}")
        expect_status(response, 200, because="a profile that exists is shown")
        return side_by_side(response.json())

    async def change(self, method: str, number: int, body: dict[str, Any]) -> dict[str, list[Any]]:
        """Send a change that the contract allows, and return what it changed: old and new value."""
        before = {n: await self.profile(n) for n in self.numbers}
        response = await self.client.request(method, f"/profiles/{number}", json=body)
        expect_status(response, 200, because=f"{short(body)} is a change that an owner may make")
        after = {n: await self.profile(n) for n in self.numbers}
        if side_by_side(response.json()) != after[number]:
            raise lesson(
                "answer-is-not-stored",
                seen="{method} answered {answer}. A GET afterwards shows {shown}.",
                production="The client shows a profile that is not in the call book.",
                look="What is answered, and what is written?",
                method=method,
                answer=response.text,
                shown=short(after[number]),
            )
        others = [n for n in after if n != number and after[n] != before[n]]
        if others:
            raise lesson(
                "other-profile-changed",
                seen="{method} to profile {number} also changed profile {others}.",
                production="Members find words in their profiles that they never wrote.",
                look="What do two profiles share?",
                method=method,
                number=number,
                others=others[0],
            )
        changes = {name: [before[number].get(name), new] for name, new in after[number].items()}
        return {name: [old, new] for name, (old, new) in changes.items() if old != new}

    async def refuses(
        self, method: str, number: int, body: dict[str, Any], field: str, kind: str, rule: str
    ) -> None:
        """Fail with a lesson unless a body gets 422 and leaves the profile as it was."""
        before = await self.profile(number)
        response = await self.client.request(method, f"/profiles/{number}", json=body)
        after = await self.profile(number)
        crash, status = crash_of(response), response.status_code
        changed = [name for name, value in after.items() if value != before.get(name)]
        if status == 422 and not changed:
            return
        request = f"{method} /profiles/{number} with {sent(body, field)} was answered with {status}"
        if crash is not None:
            raise lesson(
                f"{kind}-crashed",
                seen="{request}, after {error}. {rule}",
                production="A mistake of the client becomes an alarm of the server, and the client "
                "does not learn which field was wrong.",
                look="How far did the body get before somebody objected, and who was it?",
                where=place_of_exception(crash),
                error=f"{type(crash).__name__}: {' '.join(str(crash).split())}"[:200],
                request=request,
                rule=rule,
            )
        if status == 200 and any(name.split(".")[0] == field or name == field for name in changed):
            raise lesson(
                f"{kind}-written",
                seen="{request}. Before it, {field} was {old}; now it is {new}. {rule}",
                production="What should not have come in stands in the book, and everybody who "
                "reads it has to live with it.",
                look="Which model does this body go through, and what does it say here?",
                field=field,
                old=short(before.get(field)),
                new=short(after.get(field)),
                request=request,
                rule=rule,
            )
        if status == 200 and field not in before and field != "station":
            raise lesson(
                f"{kind}-let-in",
                seen="{request}. A profile has no {field}. Fields that changed: {changed}. {rule}",
                production="The client believes that its change was made. Something else was, or "
                "nothing.",
                look="Where does this field go, and what does the client learn about it?",
                field=field,
                changed=", ".join(changed) or "none",
                request=request,
                rule=rule,
            )
        if status == 200 and field.split(".")[0] not in body:
            raise lesson(
                f"{kind}-taken",
                seen="{request}, and {field} is still {old}. {rule}",
                production="The client believes that the profile is now the one that was sent.",
                look="Where does this body say which fields it needs?",
                field=field,
                old=short(before.get(field)),
                request=request,
                rule=rule,
            )
        if status == 200:
            raise lesson(
                f"{kind}-passed-over",
                seen="{request}, and {field} is as before. {rule}",
                production="The client believes that its change was made. Nobody finds out until "
                "somebody reads the profile.",
                look="Where does this field get lost, and what does the client learn about it?",
                field=field,
                request=request,
                rule=rule,
            )
        if changed:
            raise lesson(
                f"{kind}-half-written",
                seen="{request}, and {changed} changed all the same. {rule}",
                production="The member sees an error and tries again, on a profile that is already "
                "another one.",
                look="What is already written at the moment when the request is refused?",
                changed=", ".join(changed),
                request=request,
                rule=rule,
            )
        expect_status(response, 422, because=rule)


@pytest.fixture
def book(client: httpx.AsyncClient) -> Book:
    return Book(client)


def side_by_side(body: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a body with those of the station beside them."""
    station = {f"station.{name}": value for name, value in (body.get("station") or {}).items()}
    return {name: value for name, value in body.items() if name != "station"} | station


def value_at(body: dict[str, Any], field: str) -> Any:
    """Return the value of a field such as `bio` or `station.rig`."""
    for name in field.split("."):
        body = body[name]
    return body


def body_with(method: str, field: str, value: Any) -> dict[str, Any]:
    """Return a body with right values around one field; for PATCH, a part of a profile."""
    body: dict[str, Any] = {
        "call_sign": "ZS6OMAR",
        "locator": "KG33xx",
        "bio": "Night shift.",
        "listed": True,
        "station": {"rig": "FT-7", "antenna": "yagi", "power_watts": 70},
    }
    if method == "PATCH":
        del body["bio"], body["station"]["antenna"]
    *outer, name = field.split(".")
    (body["station"] if outer else body)[name] = value
    return body


def short(value: Any) -> str:
    """Return a value as JSON; of a long text, its ends and its length."""
    text = json.dumps(value)
    if isinstance(value, str) and len(value) > 20:
        return f"{text[:10]}…{text[-4:]} ({len(value)} characters)"
    return text


def sent(body: dict[str, Any], field: str) -> str:
    """Tell about a body: the field in question, and how many others there were."""
    name, others = field.split(".")[0], len(body) - 1
    if name not in body:
        return f"no {field} and {others + 1} other fields"
    about = f"{field} {short(value_at(body, field))}"
    return f"{about} and {others} other fields" if others else about


def told(changes: dict[str, list[Any]]) -> str:
    """Tell about changes of fields."""
    return ", ".join(
        f"{name} from {short(old)} to {short(new)}" for name, (old, new) in changes.items()
    )


async def check_patch(book: Book, number: int, body: dict[str, Any], *, rest: bool) -> None:
    """Fail with a lesson unless PATCH writes what was sent, and nothing else if the rest counts."""
    changes = await book.change("PATCH", number, body)
    after = await book.profile(number)
    for name, value in side_by_side(body).items():
        if after[name] != value:
            raise lesson(
                "sent-field-not-written",
                seen="PATCH /profiles/{number} sent {name} as {value} and was answered with 200. "
                "Afterwards it is {now}.",
                production="The member saves the change again and again, and it does not stay.",
                look="What makes this value look as if it had not been sent?",
                number=number,
                name=name,
                value=short(value),
                now=short(after[name]),
            )
    unsent = {name: pair for name, pair in changes.items() if name not in side_by_side(body)}
    if unsent and rest:
        raise lesson(
            "unsent-decision-changed" if set(unsent) <= BOARD else "unsent-fields-changed",
            seen="PATCH /profiles/{number} sent {body}. It also changed {unsent}.",
            production="A member corrects one field on the phone, and others are lost without an "
            "error. Nobody notices before they are needed.",
            look="Where do the values come from that the client did not send?",
            number=number,
            body=short(body),
            unsent=told(unsent),
        )


# PATCH: what was sent, and nothing else.


@pytest.mark.goal
async def test_rest_of_the_station_stays(book: Book) -> None:
    """PATCH with a part of the station leaves the rest of it as it was."""
    parts: tuple[dict[str, Any], ...] = (
        {"rig": "IC-12"},
        {"power_watts": 500},
        {"antenna": "beam"},
        {"rig": None},
        {},
    )
    for number in (1, 2):
        for part in parts:
            await check_patch(book, number, {"station": part}, rest=True)


@pytest.mark.guard
async def test_sent_part_of_the_station_is_written(book: Book) -> None:
    """PATCH writes the part of the station that was sent, also when a new station would have it."""
    everything = {"rig": "K4", "antenna": "cubical quad", "power_watts": 99}
    parts = (everything, {"power_watts": 100}, {"rig": ""}, {"antenna": "loop"})
    for part in parts:
        await check_patch(book, 2, {"station": part}, rest=False)


@pytest.mark.guard
async def test_sent_fields_are_written(book: Book) -> None:
    """PATCH writes the fields that were sent, also `false` and empty texts, and nothing else."""
    one_by_one: list[tuple[int, dict[str, Any]]] = [
        (1, {"call_sign": "DL2RUTH"}),
        (1, {"locator": "JO31aa"}),
        (2, {"bio": "Back soon."}),
        (1, {"bio": ""}),
        (2, {"listed": True}),
        (1, {"listed": False}),
        (1, {}),
        (1, {"call_sign": "DL5RUTH", "listed": True, "bio": "Boat mobile."}),
    ]
    for number, body in one_by_one:
        await check_patch(book, number, body, rest=True)


@pytest.mark.guard
async def test_null_clears_what_may_be_empty(book: Book) -> None:
    """Null clears the bio, the rig or the antenna, and a new profile may have it there too."""
    await check_patch(book, 1, {"bio": None}, rest=True)
    for field in ("station.rig", "station.antenna", "bio"):
        body = body_with("PUT", field, None)
        await book.change("PUT", 1, body)
        now = (await book.profile(1))[field]
        assert now is None, f"PUT sent null for {field}, and it is {short(now)}"
        fresh = (await book.enter(body))[field]
        assert fresh is None, f"POST sent null for {field}, and it is {short(fresh)}"
    await check_patch(book, 1, {"station": {"rig": None}}, rest=False)
    await check_patch(book, 1, {"station": {"antenna": None}}, rest=False)
    await check_patch(book, 1, {"bio": "Back again."}, rest=True)
    await check_patch(book, 1, {"bio": None, "listed": False}, rest=True)


# The rules of creation.


@pytest.mark.goal
@pytest.mark.parametrize("field", ["call_sign", "locator", "listed", "station"])
async def test_null_is_refused_where_a_value_is_needed(book: Book, field: str) -> None:
    """A field that needs a value refuses null with 422, and nothing of the request is written."""
    rule = f"By the contract, null for {field} is refused with 422 and nothing is written."
    await book.refuses("PATCH", 1, {field: None}, field, "null", rule)
    fresh = await book.client.post("/profiles", json=body_with("POST", field, None))
    expect_status(fresh, 422, because=f"a new profile may not have null for {field}")
    for method in ("PATCH", "PUT"):
        await book.refuses(method, 2, body_with(method, field, None), field, "null", rule)


@pytest.mark.guard
async def test_station_keeps_its_rules(book: Book) -> None:
    """What a new station may not contain, a changed one may not contain either."""
    cases: list[tuple[str, Any]] = [("power_watts", None), ("power_watts", 0), ("power_watts", 751)]
    cases.append(("power_watts", 5.7))
    for name, value in [*cases, ("rig", "y" * 41), ("antenna", "z" * 41)]:
        field = f"station.{name}"
        fresh = await book.client.post("/profiles", json=body_with("POST", field, value))
        expect_status(fresh, 422, because=f"a new profile may not have {field} {short(value)}")
        rule = f"A new profile with this value was answered with {fresh.status_code}."
        for method in ("PATCH", "PUT"):
            body = body_with(method, field, value)
            await book.refuses(method, 1, body, field, "station-rule", rule)


@pytest.mark.goal
@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("call_sign", ["G4ABCDEFGHI", "G4", "", "g4abc"]),
        ("locator", ["IO91wmx", "IO91w", "SA00aa"]),
        ("bio", ["x" * 201, 7]),
    ],
    ids=["call_sign", "locator", "bio"],
)
async def test_changes_obey_the_rules_of_creation(
    book: Book, field: str, values: list[Any]
) -> None:
    """What a new profile may not contain, a changed one may not contain either."""
    for value in values:
        fresh = await book.client.post("/profiles", json={**NEW, field: value})
        expect_status(fresh, 422, because=f"a new profile may not have {field} {short(value)}")
        rule = f"A new profile with this value was answered with {fresh.status_code}."
        for method in ("PATCH", "PUT"):
            await book.refuses(method, 2, body_with(method, field, value), field, "rule", rule)


@pytest.mark.guard
async def test_values_at_the_bounds_are_taken(book: Book) -> None:
    """A value just inside a bound is a right one."""
    inside = [("call_sign", "G4X"), ("call_sign", "G4ABCDEFGH"), ("locator", "RR99xx")]
    inside += [("bio", "x" * 200), ("station.rig", "y" * 40), ("station.antenna", "z" * 40)]
    powers = [("station.power_watts", 1), ("station.power_watts", 750)]
    for field, value in [*inside, *powers]:
        for method, number in (("PATCH", 2), ("PUT", 1)):
            await book.change(method, number, body_with(method, field, value))
            assert (await book.profile(number))[field] == value


# What the board decides.


@pytest.mark.goal
@pytest.mark.parametrize("field", ["role", "is_active", "station.inspected"])
async def test_owner_does_not_decide_for_the_board(book: Book, field: str) -> None:
    """Role, status and inspection are not the owner's to send: 422, and nothing is written."""
    rule = f"By the contract, the board decides {field}; an owner who sends it gets 422."
    for number in (2, 1):
        now = (await book.profile(number))[field]
        other = not now if isinstance(now, bool) else {"member": "officer"}.get(now, "member")
        for method in ("PATCH", "PUT"):
            for value in (other, now, None):
                body = body_with(method, field, value)
                await book.refuses(method, number, body, field, "board", rule)


@pytest.mark.goal
async def test_new_station_is_not_inspected(book: Book) -> None:
    """A new member cannot say that the station was inspected."""
    body = body_with("POST", "station.inspected", True)
    response = await book.client.post("/profiles", json=body)
    if response.status_code == 201:
        inspected = response.json()["station"]["inspected"]
        raise lesson(
            "new-station-inspected" if inspected else "new-station-passed-over",
            seen="POST with the station {station} was answered with {status}. By the answer, "
            "inspected is {inspected}.",
            production="A mark that members can give themselves is worth nothing, and one that is "
            "asked for in vain is a mistake that nobody hears of.",
            look="Which fields can a new member fill in, on every level of the body?",
            station=json.dumps(body["station"]),
            status=response.status_code,
            inspected=json.dumps(inspected),
        )
    expect_status(response, 422, because="the board decides station.inspected")


@pytest.mark.goal
async def test_put_keeps_what_the_board_decided(book: Book) -> None:
    """PUT of a whole profile leaves its id, role, status and inspection as they were."""
    whole = body_with("PUT", "bio", "New here.")
    needed = {"call_sign": "ZS6AMY", "locator": "KF25aa"}
    for number, body in ((1, whole), (1, needed), (2, needed), (2, whole)):
        changes = await book.change("PUT", number, body)
        lost = {name: pair for name, pair in changes.items() if name in BOARD}
        if lost:
            raise lesson(
                "decision-of-the-board-lost",
                seen="PUT /profiles/{number} did not send {fields}. It changed {lost}.",
                production="Whoever saves a profile undoes what the board decided, and does not "
                "know it.",
                look="Where does the row get these values from when the body does not have them?",
                number=number,
                fields=", ".join(lost),
                lost=told(lost),
            )


# PUT replaces.


@pytest.mark.goal
@pytest.mark.parametrize("left_out", ["bio", "listed", "station"])
async def test_put_resets_what_was_not_sent(book: Book, left_out: str) -> None:
    """PUT replaces: a field that was left out has the value of a new profile afterwards."""
    body = body_with("PUT", "call_sign", "LU8ANA")
    del body[left_out]
    for number in (1, 2):
        await check_reset(book, number, body, left_out)


@pytest.mark.guard
async def test_put_resets_the_rest_of_a_station(book: Book) -> None:
    """PUT replaces inside the station too."""
    for part in ({"rig": "SB-100"}, {"power_watts": 2}, {}):
        await check_reset(book, 1, body_with("PUT", "station", part), "station")


async def check_reset(book: Book, number: int, body: dict[str, Any], left_out: str) -> None:
    """Fail with a lesson unless a PUT leaves just what a POST of the same body makes."""
    fresh = await book.enter(body)
    await book.change("PUT", number, body)
    after = await book.profile(number)
    kept = {
        name: value for name, value in after.items() if name not in BOARD and value != fresh[name]
    }
    if kept:
        raise lesson(
            "old-values-kept",
            seen="PUT /profiles/{number} left out {left_out}{part}. Afterwards the profile has "
            "{kept}. A new profile made of the same body has {fresh}.",
            production="Two profiles that were sent alike are not alike, and a member cannot get "
            "rid of a value.",
            look="What is the difference between the two methods here?",
            number=number,
            left_out=left_out,
            part=" in part" if left_out in body else "",
            kept=short(kept),
            fresh=short({name: fresh[name] for name in kept}),
        )


@pytest.mark.goal
@pytest.mark.parametrize("left_out", ["call_sign", "locator"])
async def test_put_needs_the_whole_profile(book: Book, left_out: str) -> None:
    """PUT without a field that a new profile needs is refused with 422."""
    body = body_with("PUT", "bio", "From the hill.")
    del body[left_out]
    fresh = await book.client.post("/profiles", json=body)
    expect_status(fresh, 422, because=f"a new profile needs {left_out}")
    rule = f"A new profile made of it was answered with {fresh.status_code}."
    for number, unfinished in ((1, body), (2, {"bio": "From the valley."}), (1, {})):
        await book.refuses("PUT", number, unfinished, left_out, "unfinished-put", rule)


# What must go on working.


@pytest.mark.guard
async def test_new_profiles(book: Book) -> None:
    """A new profile has the values that were sent, and those of a beginner for the rest."""
    decided = {"role": "member", "is_active": True, "station.inspected": False}
    for field, value in (("role", "officer"), ("role", None), ("is_active", True)):
        response = await book.client.post("/profiles", json=body_with("POST", field, value))
        expect_status(response, 422, because=f"the board decides {field}")
    station = {"rig": None, "antenna": None, "power_watts": 100}
    bodies: list[dict[str, Any]] = [NEW, {"call_sign": "JA1YUI", "locator": "PM95vq"}]
    for body in bodies:
        fresh = await book.enter(body)
        default: dict[str, Any] = {"bio": None, "listed": True, "station": station}
        wanted = side_by_side(default | body) | decided
        wanted["id"] = fresh["id"]
        assert fresh == wanted, (
            f"{short(body)} made {short(fresh)}, and should make {short(wanted)}"
        )
        await check_patch(book, fresh["id"], {"bio": "other", "listed": False}, rest=True)
        await check_patch(book, fresh["id"], {"station": {"rig": "other"}}, rest=False)
        await book.change("PUT", fresh["id"], body_with("PUT", "bio", "New here."))


@pytest.mark.guard
async def test_unknown_profile_is_404(book: Book) -> None:
    """There is no profile 77, and no method makes one."""
    for method in ("GET", "PATCH", "PUT", "GET"):
        body = None if method == "GET" else body_with(method, "bio", "Who is there?")
        response = await book.client.request(method, "/profiles/77", json=body)
        expect_status(response, 404, because="there is no such profile")


@pytest.mark.guard
async def test_unknown_fields_are_refused(book: Book) -> None:
    """A field that is not in the contract is refused with 422, also inside the station."""
    fields: list[tuple[str, Any]] = [("id", 1), ("id", 2), ("nickname", "Kai"), ("rig", "IC-12")]
    fields += [("inspected", True), ("station.id", 2), ("station.role", "officer")]
    fields += [("station.is_active", True), ("station.listed", False)]
    for field, value in fields:
        rule = f"By the contract, {field} cannot be sent."
        fresh = await book.client.post("/profiles", json=body_with("POST", field, value))
        expect_status(fresh, 422, because=rule)
        for method in ("PATCH", "PUT"):
            body = body_with(method, field, value)
            await book.refuses(method, 2, body, field, "unknown-field", rule)
