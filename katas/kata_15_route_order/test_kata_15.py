"""Each documented address answers at once, and all of them follow one plan."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from fastapi_katas.probes import expect_status, lesson

API = "/api/v1"
# The operations of the contract, with the domain of each.
OPERATIONS = {
    f"GET {API}/members": "members",
    f"GET {API}/members/me": "members",
    f"GET {API}/members/{{}}": "members",
    f"GET {API}/courses": "courses",
    f"POST {API}/courses": "courses",
    f"GET {API}/courses/open": "courses",
    f"GET {API}/courses/{{}}": "courses",
    f"GET {API}/lockers": "lockers",
    f"GET {API}/lockers/{{}}": "lockers",
}
NEW = {"title": "Night bouldering", "places": 6}


@pytest.fixture(autouse=True)
def rows(module: Any) -> None:
    """Put rows in place that the module does not know."""
    module.MEMBERS.clear()
    module.CARDS.clear()
    module.COURSES.clear()
    module.LOCKERS.clear()
    for number, name in ((31, "Vera Lund"), (32, "Oto Kral")):
        module.MEMBERS[number] = module.Member(id=number, name=name)
        module.CARDS[f"blue-{number}"] = number
    for number, title, places in ((51, "Lead climbing", 0), (52, "Rescue", 3)):
        module.COURSES[number] = module.Course(id=number, title=title, places=places)
    module.LOCKERS[71] = module.Locker(id=71, floor=2)


@pytest.mark.goal
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("members/me", {"id": 32, "name": "Oto Kral"}),
        ("courses/open", [{"id": 52, "title": "Rescue", "places": 3}]),
    ],
    ids=["me", "open"],
)
async def test_fixed_path_is_found(path: str, expected: object, client: httpx.AsyncClient) -> None:
    """A fixed path is answered by its own endpoint."""
    response = await client.get(f"{API}/{path}", headers={"X-Card": "blue-32"})
    if response.status_code == 422:
        raise lesson(
            "fixed-path-taken",
            seen="GET {path} gave 422. It refused {given!r} at {loc}.",
            production="A fixed address that is in the document cannot be called by anybody.",
            look="Which endpoint looked at the last part of this address?",
            path=f"{API}/{path}",
            given=response.json()["detail"][0]["input"],
            loc=response.json()["detail"][0]["loc"],
        )
    expect_status(response, 200, because=f"{path} is a fixed path")
    assert response.json() == expected


@pytest.mark.goal
@pytest.mark.parametrize("call", ["GET members", "GET courses", "POST courses"])
async def test_collection_answers_at_once(call: str, client: httpx.AsyncClient) -> None:
    """A collection answers at its address, without a redirect."""
    method, name = call.split()
    response = await client.request(method, f"{API}/{name}", json=NEW if method == "POST" else None)
    if response.is_redirect:
        raise lesson(
            "redirected",
            seen="{method} {path} gave {status} and sent the client to {target}.",
            production="Each call costs two. Behind a proxy the target can be a wrong host or"
            " http, and some clients do not follow, or lose the body or a header.",
            look="How does the path end in the call, and how where it is declared?",
            method=method,
            path=f"{API}/{name}",
            status=response.status_code,
            target=response.headers["location"],
        )
    expect_status(response, 201 if method == "POST" else 200, because="the collection is here")
    body = response.json()
    if method == "POST":
        assert body == {"id": 53, **NEW}
    else:
        assert [row["id"] for row in body] == ([31, 32] if name == "members" else [51, 52])


@pytest.mark.goal
async def test_every_path_is_versioned(client: httpx.AsyncClient) -> None:
    """Every address, also of the lockers, begins with the version."""
    outside = [path for path in await documented(client) if f" {API}/" not in path]
    if outside:
        raise lesson(
            "outside-version",
            seen="These operations are outside {api}: {outside}.",
            production="A proxy that passes on one prefix hides them, and a second version"
            " cannot be served beside them.",
            look="Where does each router get the first part of its paths?",
            api=API,
            outside=", ".join(outside),
        )
    for path, expected in (
        ("lockers", [{"id": 71, "floor": 2}]),
        ("lockers/71", {"id": 71, "floor": 2}),
    ):
        response = await client.get(f"{API}/{path}")
        expect_status(response, 200, because="the lockers are served under the version")
        assert response.json() == expected
    slash = await client.get(f"{API}/lockers/")
    if not slash.is_redirect:
        expect_status(slash, 404, because="a slash at the end is no second address")
    old = await client.get("/lockers/71")
    expect_status(old, 404, because="nothing is served outside the version")


@pytest.mark.goal
async def test_document_has_each_path_once(client: httpx.AsyncClient) -> None:
    """The document has exactly the operations of the contract."""
    found = await documented(client)
    missing = sorted(OPERATIONS.keys() - found.keys())
    extra = sorted(found.keys() - OPERATIONS.keys())
    if missing or extra:
        raise lesson(
            "two-plans" if missing else "second-address",
            seen="In the document, missing: {missing}. Not in the contract: {extra}.",
            production="Clients are made from this document. They call what it says.",
            look="Compare each path in the document with the table on the page.",
            missing=", ".join(missing) or "nothing",
            extra=", ".join(extra) or "nothing",
        )


@pytest.mark.goal
async def test_operations_carry_the_tag_of_their_domain(client: httpx.AsyncClient) -> None:
    """Each operation has the tag of its domain, and no other."""
    found = await documented(client)
    wrong = [
        f"{name} {operation.get('tags', [])}"
        for name, operation in found.items()
        for domain in ("members", "courses", "lockers")
        if domain in name.split("/") and operation.get("tags") != [domain]
    ]
    if wrong:
        raise lesson(
            "wrong-tags",
            seen="The tags of these operations are not those of their domain: {wrong}.",
            production="In the document they stand under another heading, and a client that is"
            " made from it puts them into another class.",
            look="Where do the other operations have their tag from?",
            wrong=", ".join(wrong),
        )


@pytest.mark.guard
@pytest.mark.parametrize("name", ["members", "courses"])
async def test_slash_is_no_second_address(name: str, client: httpx.AsyncClient) -> None:
    """Of a path with a slash and one without, only one answers by itself."""
    answers = [await client.get(f"{API}/{name}{end}") for end in ("", "/")]
    assert all(answer.status_code in (200, 307, 308, 404) for answer in answers)
    direct = [str(answer.url) for answer in answers if answer.status_code == 200]
    if len(direct) != 1:
        raise lesson(
            "two-spellings",
            seen="{count} spellings answer by themselves: {direct}.",
            production="Caches, rules of a proxy and logs treat them as different addresses.",
            look="For which paths is this endpoint declared?",
            count=len(direct),
            direct=", ".join(direct),
        )


@pytest.mark.guard
@pytest.mark.parametrize("name", ["members", "courses"])
async def test_row_is_read_by_its_id(name: str, client: httpx.AsyncClient) -> None:
    """A row is found by its id, and an unknown id is 404."""
    number = {"members": 31, "courses": 51}[name]
    response = await client.get(f"{API}/{name}/{number}")
    expect_status(response, 200, because="the row is there")
    assert response.json()["id"] == number
    expect_status(await client.get(f"{API}/{name}/{number + 9}"), 404, because="it is not there")


@pytest.mark.guard
@pytest.mark.parametrize("name", ["members", "courses"])
async def test_id_stays_a_number(name: str, client: httpx.AsyncClient) -> None:
    """A text that is neither a number nor a fixed path is refused."""
    response = await client.get(f"{API}/{name}/meander")
    if response.status_code != 404:
        expect_status(response, 422, because="an id is a number")
    found = await documented(client)
    parameters = found[f"GET {API}/{name}/{{}}"]["parameters"]
    kinds = [each["schema"].get("type") for each in parameters if each["in"] == "path"]
    if kinds != ["integer"]:
        raise lesson(
            "id-of-any-text",
            seen="GET {path} takes an id of the types {kinds} in the document.",
            production="A client that sends a wrong id is not told so, by no check and no type.",
            look="Which values does the endpoint accept as an id?",
            path=f"{API}/{name}/{{id}}",
            kinds=kinds,
        )


async def documented(client: httpx.AsyncClient) -> dict[str, dict[str, Any]]:
    """Give each operation of the document, with the names of its parameters left out."""
    response = await client.get("/openapi.json")
    expect_status(response, 200, because="the document is public")
    return {
        f"{method.upper()} {'/'.join('{}' if '{' in part else part for part in path.split('/'))}": (
            operation
        )
        for path, operations in response.json()["paths"].items()
        for method, operation in operations.items()
    }
