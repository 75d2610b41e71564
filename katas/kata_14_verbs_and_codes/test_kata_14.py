"""The method says what a request may do, and the status says what has happened."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from fastapi_katas.probes import cut, expect_status, lesson

Row = dict[str, Any]

FIELDS = {"tag", "place", "queen", "notes", "feedings"}

# How each request about one hive is made.
REQUESTS: dict[str, tuple[str, str, Row | None]] = {
    "show": ("GET", "/hives/{}", None),
    "replace": ("PUT", "/hives/{}", {"place": "Cherry orchard"}),
    "feed": ("POST", "/hives/{}/feed", None),
    "remove": ("DELETE", "/hives/{}", None),
}

# States for a hive with the queen Zoe and the note "Calm".
STATES: list[Row] = [
    {"place": "Cherry orchard"},
    {"place": "Cherry orchard", "queen": None, "notes": []},
    {"place": "Moss", "queen": "Ida", "notes": ["New"]},
    {"place": "Moss", "queen": "Zoe", "notes": ["Calm", "Calm"]},
]

# Requests for which an address has no method.
OTHER_METHODS = [("PATCH", "/hives/fen-9"), ("POST", "/hives/fen-9")]
OTHER_METHODS += [("DELETE", "/hives"), ("PUT", "/hives")]
OTHER_METHODS += [(method, "/hives/fen-9/feed") for method in ("HEAD", "PUT", "PATCH", "DELETE")]

# Requests that today's rules refuse or take: below, at and beyond each bound.
NEW_HIVES: list[tuple[Row, bool]] = [
    ({"tag": "o-1", "place": "Oak ridge"}, False),
    ({"tag": "ox-1", "place": "Oak ridge"}, True),
    ({"tag": "o" * 12 + "-999", "place": "p" * 60}, True),
    ({"tag": "o" * 13 + "-1", "place": "Oak ridge"}, False),
    ({"tag": "oak-1000", "place": "Oak ridge"}, False),
    ({"tag": "oak-2", "place": "p" * 61}, False),
    ({"tag": "oak-3", "place": ""}, False),
    ({"tag": "oak-4", "place": "Oak ridge", "feedings": 7}, False),
    ({"tag": "oak-5", "place": "Oak ridge", "notes": ["n"] * 20}, True),
    ({"tag": "oak-6", "place": "Oak ridge", "notes": ["n"] * 21}, False),
    ({"tag": "oak-7"}, False),
]


@pytest.mark.goal
async def test_new_hive_is_answered_with_201(module: Any, client: httpx.AsyncClient) -> None:
    """A new hive is answered with 201."""
    fill(module)
    response = await client.post("/hives", json={"tag": "fen-340", "place": "Fen dike"})
    expect_status(response, 201, because="the request has made a hive that was not there before")


@pytest.mark.goal
@pytest.mark.parametrize("tag", ["oak-12", "heather-5"])
async def test_answer_names_the_address_of_a_new_hive(
    tag: str, module: Any, client: httpx.AsyncClient
) -> None:
    """The `Location` of the answer leads to the hive that was made."""
    fill(module)
    response = await client.post("/hives", json={"tag": tag, "place": "Oak ridge"})
    if not response.is_success:
        expect_status(response, 201, because="the request has made a hive")
    location = response.headers.get("location")
    if location is None:
        raise lesson(
            "location-missing",
            seen="The hive {tag} was made. The answer has the status {status} and the headers "
            "{headers}. There is no `Location` among them.",
            production="Each client puts the address together by itself, and all of them break "
            "when the addresses change.",
            look="What does a 201 tell besides its number?",
            tag=tag,
            status=response.status_code,
            headers=sorted(response.headers),
        )
    address = response.url.join(location)
    found = await client.get(address)
    if address.host != response.url.host or not same_answer(found, response):
        raise lesson(
            "location-elsewhere",
            seen="The answer names {location} as the address of {tag}. There the service answers "
            "{status} with {body}.",
            production="A client follows the address and finds something else, or nothing.",
            look="Which request shows just the one hive that was made?",
            location=location,
            tag=tag,
            status=found.status_code,
            body=cut(found.text),
        )


@pytest.mark.goal
async def test_taken_tag_is_409(module: Any, client: httpx.AsyncClient) -> None:
    """A new hive with a taken tag is answered with 409, and the old one stays as it is."""
    fill(module)
    before = await stored(client)
    # One more time just what is stored, also of a hive that was never fed.
    same = [
        {name: before[tag][name] for name in ("tag", "place", "queen", "notes")}
        for tag in ("moss-3", "ash-41")
    ]
    for body in ({"tag": "moss-3", "place": "Somewhere else"}, *same):
        response = await client.post("/hives", json=body)
        expect_status(response, 409, because="another hive has this tag, so none was made")
        expect_reason(response)
        expect_unchanged("A POST that was refused", before, await stored(client))


@pytest.mark.goal
@pytest.mark.parametrize("request_name", REQUESTS)
async def test_missing_hive_is_404(
    request_name: str, module: Any, client: httpx.AsyncClient
) -> None:
    """A request about a hive that does not exist is answered with 404 and changes nothing."""
    fill(module)
    before = await stored(client)
    method, path, body = REQUESTS[request_name]
    response = await client.request(method, path.format("moss-33"), json=body)
    expect_status(response, 404, because="there is no hive with this tag")
    expect_reason(response)
    expect_unchanged(f"{method} for a hive that does not exist", before, await stored(client))


@pytest.mark.goal
async def test_removal_has_an_empty_answer(module: Any, client: httpx.AsyncClient) -> None:
    """The removal of a hive is answered with 204 and no body at all."""
    fill(module)
    response = await client.delete("/hives/moss-3")
    expect_status(response, 204, because="the hive is gone, and there is nothing to say about it")
    if response.content:
        raise lesson(
            "body-with-204",
            seen="The answer has the status {status}, and after its headers come {count} bytes: "
            "{body}.",
            production="204 says that the answer ends after its headers. A server may refuse to "
            "send the rest, or a client may read it as the start of the next answer.",
            look="What makes the body of this answer?",
            status=response.status_code,
            count=len(response.content),
            body=response.text,
        )


@pytest.mark.goal
async def test_get_feeds_no_hive(module: Any, client: httpx.AsyncClient) -> None:
    """GET on the address for feeding is answered with 405, names POST, and feeds no hive."""
    fill(module)
    before = await stored(client)
    answers = [await client.get(f"/hives/{tag}/feed") for tag in before]
    after = await stored(client)
    changed = [tag for tag in before if after.get(tag) != before[tag]]
    if changed:
        raise lesson(
            "get-changes-store",
            seen="Each hive was asked for with GET once. {count} of {hives} hives are not what "
            "they were. The first of them was {before} and is now {after}.",
            production="Search robots, link previews and browsers send GET without asking "
            "anybody. Each time, a hive is fed on paper.",
            look="What does the method of this request allow the service to do?",
            count=len(changed),
            hives=len(before),
            before=cut(str(before[changed[0]])),
            after=cut(str(after.get(changed[0]))),
        )
    expect_status(answers[0], 405, because="this address cannot be read")
    allow = answers[0].headers.get("allow", "")
    if {method.strip() for method in allow.upper().split(",")} != {"POST"}:
        raise lesson(
            "allow-wrong",
            seen="GET is answered with {status}. Its header `Allow` is {allow!r}, and not 'POST'.",
            production="The client learns that the method is wrong, and not which one is right.",
            look="Who makes this answer: the router or an endpoint? Which methods are known there?",
            status=answers[0].status_code,
            allow=allow,
        )


@pytest.mark.goal
async def test_feeding_is_a_post(module: Any, client: httpx.AsyncClient) -> None:
    """Each POST on the address for feeding counts one feeding of this hive."""
    fill(module)
    before = await stored(client)
    for tag in ("moss-3", "moss-3", "ash-41"):
        response = await client.post(f"/hives/{tag}/feed")
        expect_status(response, 200, because="a hive was fed, and nothing new has an address")
        wanted = {**before, tag: {**before[tag], "feedings": before[tag]["feedings"] + 1}}
        after = await stored(client)
        wrong = [name for name in wanted | after if after.get(name) != wanted.get(name)]
        if wrong:
            raise lesson(
                "feeding-not-counted",
                seen="{tag} was fed once. The list then shows {after} for {wrong}. Before it, "
                "that was {before}.",
                production="The book says something else than the bees.",
                look="Which hive does this endpoint change, and which field of it?",
                tag=tag,
                wrong=wrong[0],
                before=str(before.get(wrong[0])),
                after=str(after.get(wrong[0])),
            )
        expect_answer("Feeding", response, after[tag])
        before = after


@pytest.mark.goal
async def test_put_replaces_the_whole_state(module: Any, client: httpx.AsyncClient) -> None:
    """After a PUT the state is what was sent, with defaults for the rest, whatever was before."""
    for sent in STATES:
        old = fill(module)["moss-3"]
        response = await client.put("/hives/moss-3", json=sent)
        expect_status(response, 200, because="the hive exists and gets a new state")
        wanted: Row = {"queen": None, "notes": [], **sent}
        shown = (await stored(client)).get("moss-3", {})
        wrong = [name for name in wanted if shown.get(name) != wanted[name]]
        if wrong:
            raise lesson(
                "put-writes-something-else" if set(wrong) <= set(sent) else "put-keeps-unsent",
                seen="The PUT sent {sent}. Before it, the hive had {old}. Afterwards it has {now}.",
                production="Nobody can correct or take away a value for certain: what a client "
                "has written is not what the next one reads.",
                look="From what is the new state made: from the request alone?",
                sent=str(sent),
                old=str({name: old[name] for name in wrong}),
                now=str({name: shown.get(name) for name in wrong}),
            )


@pytest.mark.goal
async def test_repeated_put_changes_nothing_more(module: Any, client: httpx.AsyncClient) -> None:
    """The same PUT once more leaves the hive as the first one did, and gets the same answer."""
    fill(module)
    state = {"place": "Oak ridge", "queen": "Maja", "notes": ["Mites seen", "Frames changed"]}
    results = []
    for _ in range(2):
        response = await client.put("/hives/fen-9", json=state)
        expect_status(response, 200, because="the hive exists and gets this state")
        results.append(((await stored(client))["fen-9"], response.json()))
    (first, first_answer), (second, second_answer) = results
    if first != second:
        raise lesson(
            "put-adds-again",
            seen="The same PUT was sent twice. After the first one the hive is {first}, after the "
            "second one {second}.",
            production="After a lost answer clients and proxies send a PUT once more by "
            "themselves, because they may. Every weak connection leaves its trace in the data.",
            look="Which part of the new state depends on the old one?",
            first=cut(str(first)),
            second=cut(str(second)),
        )
    if first_answer != second_answer:
        raise lesson(
            "put-answers-differ",
            seen="The same PUT was sent twice, and each time the hive was {stored} afterwards. "
            "The first answer was {first}, the second one {second}.",
            production="A client that has to send a PUT once more cannot trust either answer.",
            look="Which state does the answer show, and when is it taken?",
            stored=cut(str(second)),
            first=cut(str(first_answer)),
            second=cut(str(second_answer)),
        )


@pytest.mark.guard
async def test_hives_are_shown_as_stored(module: Any, client: httpx.AsyncClient) -> None:
    """The list and each single hive have all fields as stored, and reading changes nothing."""
    rows = fill(module)
    for _ in range(2):
        expect_rows("Reading", rows, await stored(client))
        for tag, row in rows.items():
            response = await client.get(f"/hives/{tag}")
            expect_status(response, 200, because="this hive exists")
            expect_answer(f"GET /hives/{tag}", response, row)
    module.HIVES.clear()
    assert await stored(client) == {}, "a list without hives is an empty list"


@pytest.mark.guard
async def test_new_hive_is_stored(module: Any, client: httpx.AsyncClient) -> None:
    """A new hive is in the answer and in the list, with defaults for what was not sent."""
    before = fill(module)
    for tag, more in {"ivy-1": {}, "ivy-2": {"queen": "Ida", "notes": ["Bought"]}}.items():
        sent: Row = {"tag": tag, "place": "Ivy wall", **more}
        response = await client.post("/hives", json=sent)
        assert response.is_success, f"a new hive is answered with {response.status_code}"
        before[tag] = {"queen": None, "notes": [], "feedings": 0, **sent}
        expect_rows(f"POST /hives with {sent}", before, await stored(client))
        expect_answer("POST /hives", response, before[tag])


@pytest.mark.guard
async def test_put_leaves_the_count_alone(module: Any, client: httpx.AsyncClient) -> None:
    """A PUT writes the state that was sent, on this hive only, and leaves `feedings` as it is."""
    rows = fill(module)
    state = {"place": "Oak ridge", "queen": None, "notes": ["New queen"]}
    response = await client.put("/hives/fen-9", json=state)
    expect_status(response, 200, because="the hive exists and gets this state")
    after = await stored(client)
    row = after.get("fen-9", {})
    others = [tag for tag in rows if tag != "fen-9" and after.get(tag) != rows[tag]]
    if row.get("feedings") != rows["fen-9"]["feedings"] or others:
        raise lesson(
            "put-changes-more",
            seen="A PUT for fen-9 sent {state}. Its `feedings` were {old} before and are {new} "
            "now. Other hives that changed: {others}.",
            production="A correction takes away what its sender has never written.",
            look="Which fields of a hive are in the request, and where do the others come from?",
            state=str(state),
            old=rows["fen-9"]["feedings"],
            new=row.get("feedings"),
            others=", ".join(others) or "none",
        )
    expect_rows(f"PUT with {state}", {**rows, "fen-9": {**rows["fen-9"], **state}}, after)
    expect_answer("PUT", response, row)


@pytest.mark.guard
async def test_removal_takes_out_one_hive(module: Any, client: httpx.AsyncClient) -> None:
    """After a removal the hive is gone and the others are as they were."""
    rows = fill(module)
    response = await client.delete("/hives/moss-3")
    expect_status(response, 204, because="the hive exists and is removed")
    removed = rows.pop("moss-3")
    expect_rows("DELETE /hives/moss-3", rows, await stored(client))
    again = {"tag": removed["tag"], "place": "Moss"}
    response = await client.post("/hives", json=again)
    assert response.is_success, f"the tag is free again, and a POST got {response.status_code}"


@pytest.mark.guard
async def test_rules_for_requests_stay(module: Any, client: httpx.AsyncClient) -> None:
    """A body against the rules is answered with 422 and changes nothing."""
    fill(module)
    for body, good in NEW_HIVES:
        response = await client.post("/hives", json=body)
        if good:
            assert response.is_success, f"{body} is answered with {response.status_code}"
        else:
            expect_status(response, 422, because=f"{body} is against the rules")
    before = await stored(client)
    for state in (
        {},
        {"place": ""},
        {"place": "Here", "tag": "fen-8"},
        {"place": "H", "feedings": 1},
    ):
        response = await client.put("/hives/fen-9", json=state)
        expect_status(response, 422, because=f"{state} is no state of a hive")
    expect_unchanged("A PUT that was refused", before, await stored(client))


@pytest.mark.guard
async def test_other_methods_are_405(module: Any, client: httpx.AsyncClient) -> None:
    """A method that an address does not have is answered with 405, and changes nothing."""
    rows = fill(module)
    for method, path in OTHER_METHODS:
        response = await client.request(method, path, json={"place": "Here"})
        expect_status(response, 405, because=f"{path} has no method {method}")
        expect_unchanged(f"{method} {path}", rows, await stored(client))


def fill(module: Any) -> dict[str, Row]:
    """Put the hives of the tests in place, and return them as they must be shown."""
    rows: list[Row] = [
        {"tag": "moss-3", "place": "Moss", "queen": "Zoe", "notes": ["Calm"], "feedings": 4},
        {"tag": "fen-9", "place": "Fen dike", "queen": "Uta", "notes": [], "feedings": 11},
        {"tag": "ash-41", "place": "Ash lane", "queen": None, "notes": ["Loud"], "feedings": 0},
    ]
    module.HIVES.clear()
    for row in rows:
        module.HIVES[row["tag"]] = module.Hive(**{**row, "notes": list(row["notes"])})
    return {row["tag"]: row for row in rows}


async def stored(client: httpx.AsyncClient) -> dict[str, Row]:
    """Return what the list shows, by tag."""
    response = await client.get("/hives")
    expect_status(response, 200, because="the list of all hives can always be read")
    rows = response.json()
    for row in rows:
        lacking = FIELDS - row.keys()
        if lacking:
            raise lesson(
                "field-lost",
                seen="GET /hives shows {row}. It lacks {lacking}.",
                production="A program that reads this field stops at this hive.",
                look="Which fields does a stored hive have, and which does the answer leave out?",
                row=str(row),
                lacking=", ".join(sorted(lacking)),
            )
    return {row["tag"]: row for row in rows}


def expect_rows(what: str, wanted: dict[str, Row], after: dict[str, Row]) -> None:
    """Fail, and say what was seen, unless the list shows these hives."""
    wrong = [tag for tag in wanted | after if after.get(tag) != wanted.get(tag)]
    assert not wrong, (
        f"{what}: afterwards the list shows {after.get(wrong[0], 'nothing')} for {wrong[0]}, "
        f"and should show {wanted.get(wrong[0], 'nothing')}"
    )


def expect_answer(what: str, response: httpx.Response, row: Row) -> None:
    """Fail, and say what was seen, unless an answer shows the hive as it is stored."""
    if response.json() != row:
        raise lesson(
            "answer-is-not-the-hive",
            seen="{what} answered {answer}. The hive is {row}.",
            production="The page of the club shows something that is not in the book.",
            look="From what is this answer made, and at which moment?",
            what=what,
            answer=cut(response.text),
            row=str(row),
        )


def expect_unchanged(what: str, before: dict[str, Row], after: dict[str, Row]) -> None:
    """Fail with a lesson if a refused request has changed something."""
    if before != after:
        raise lesson(
            "refused-and-done",
            seen="{what} has changed the stored hives. Before: {before}. After: {after}.",
            production="The client believes that nothing was done.",
            look="What has this endpoint done before it refuses?",
            what=what,
            before=str(before),
            after=str(after),
        )


def expect_reason(response: httpx.Response) -> None:
    """Fail with a lesson unless a refusal gives its reason as `detail`."""
    try:
        body = response.json()
    except ValueError:
        body = None
    detail = body.get("detail") if isinstance(body, dict) else None
    if not isinstance(detail, str) or not detail.strip():
        raise lesson(
            "no-reason",
            seen="The refusal with {status} has the body {body}. There is no text `detail` in it.",
            production="The person in front of the screen is not told why.",
            look="Compare this body with the other refusals of the service, for example a 405.",
            status=response.status_code,
            body=cut(response.text),
        )


def same_answer(one: httpx.Response, other: httpx.Response) -> bool:
    """Tell whether a reading succeeded and shows what another answer has shown."""
    try:
        return one.status_code == 200 and bool(one.json() == other.json())
    except ValueError:
        return False
