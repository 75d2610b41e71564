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
# A row of each domain.
ROWS = {"members": 31, "courses": 51, "lockers": 71}
# One call of each operation, and addresses that old clients or tired people would like as well.
CALLS = [name.replace("{}", str(ROWS[domain])) for name, domain in OPERATIONS.items()]
NOWHERE = [
    f"{API}/me",
    "/me",
    *(
        call.removeprefix("GET ").replace(API, prefix)
        for prefix in ("", "/api", "/v1", "/api/v2", "/api/latest")
        for call in CALLS
        if call.startswith("GET")
    ),
]


@pytest.fixture(autouse=True)
def rows(module: Any) -> None:
    """Put rows in place that the module does not know."""
    module.MEMBERS.clear()
    module.CARDS.clear()
    module.COURSES.clear()
    module.LOCKERS.clear()
    for number, name, card in ((31, "Vera Lund", "card-81"), (32, "Oto Kral", "blue-32")):
        module.MEMBERS[number] = module.Member(id=number, name=name)
        module.CARDS[card] = number
    for number, title, places in ((51, "Lead climbing", 0), (52, "Rescue", 1)):
        module.COURSES[number] = module.Course(id=number, title=title, places=places)
    module.LOCKERS[71] = module.Locker(id=71, floor=2)


@pytest.mark.goal
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("members/me", {"id": 32, "name": "Oto Kral"}),
        ("courses/open", [{"id": 52, "title": "Rescue", "places": 1}]),
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
    if path == "members/me":
        unknown = await client.get(f"{API}/{path}", headers={"X-Card": "blue-99"})
        expect_status(unknown, 404, because="nobody has this card")
        missing = await client.get(f"{API}/{path}")
        if missing.status_code != 422:
            expect_status(missing, 404, because="no card was read")


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
        stored = await client.get(f"{API}/{name}/53")
        expect_status(stored, 200, because="the new course was accepted")
        assert stored.json() == body
        refused = await client.post(f"{API}/{name}", json={"title": "Up", "places": 41})
        expect_status(refused, 422, because="the title is too short, and the places are too many")
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


@pytest.mark.goal
async def test_document_has_each_path_once(client: httpx.AsyncClient) -> None:
    """The document has exactly the operations of the contract, and nothing else answers."""
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
    answers = [await client.get(path, headers={"X-Card": "blue-32"}) for path in NOWHERE]
    hidden = [answer for answer in answers if answer.status_code != 404]
    if hidden:
        raise lesson(
            "hidden-address",
            seen="These addresses are not in the contract, and they are answered: {hidden}.",
            production="Somebody finds such an address and uses it. Nobody who reads the document"
            " knows about it, and it breaks when the version changes.",
            look="Which line declares this address?",
            hidden=", ".join(f"GET {each.url.path} ({each.status_code})" for each in hidden),
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
            look="Which lines give an operation a tag? Which of them does this operation pass?",
            wrong=", ".join(wrong),
        )


@pytest.mark.guard
async def test_slash_is_no_second_address(client: httpx.AsyncClient) -> None:
    """Of a path with a slash and one without, at most one answers by itself."""
    for call in CALLS:
        method, path = call.split()
        body = NEW if method == "POST" else None
        headers = {"X-Card": "blue-32"}
        answers = [
            await client.request(method, f"{path}{end}", json=body, headers=headers)
            for end in ("", "/")
        ]
        for answer in answers:
            if answer.is_server_error:
                expect_status(answer, 404, because="an address answers, or it is not there")
        direct = [answer.url.path for answer in answers if answer.is_success]
        if len(direct) > 1:
            raise lesson(
                "two-spellings",
                seen="{method} is answered at {count} spellings by themselves: {direct}.",
                production="Caches, rules of a proxy and logs treat them as different addresses.",
                look="For which paths is this endpoint declared?",
                method=method,
                count=len(direct),
                direct=", ".join(direct),
            )


@pytest.mark.guard
async def test_row_is_read_by_its_id(client: httpx.AsyncClient) -> None:
    """A row is found by its id, and an unknown id is 404."""
    for path, number in rows_of(await documented(client)):
        response = await client.get(f"{path}/{number}")
        expect_status(response, 200, because="the row is there")
        assert response.json()["id"] == number
        unknown = await client.get(f"{path}/{number + 9}")
        expect_status(unknown, 404, because="it is not there")


@pytest.mark.guard
async def test_id_stays_a_number(client: httpx.AsyncClient) -> None:
    """A text that is neither a number nor a fixed path is refused."""
    found = await documented(client)
    for path, _ in rows_of(found):
        for text in ("meander", "²"):
            response = await client.get(f"{path}/{text}")
            if response.status_code != 404:
                expect_status(response, 422, because="an id is a number")
        parameters = found[f"GET {path}/{{}}"]["parameters"]
        kinds = [each["schema"].get("type") for each in parameters if each["in"] == "path"]
        if kinds != ["integer"]:
            raise lesson(
                "id-of-any-text",
                seen="GET {path} takes an id of the types {kinds} in the document.",
                production="A client that sends a wrong id is told so by no check and no type.",
                look="Which values does the endpoint accept as an id?",
                path=f"{path}/{{id}}",
                kinds=kinds,
            )


def rows_of(found: dict[str, dict[str, Any]]) -> list[tuple[str, int]]:
    """Give the address of each collection whose rows are read by an id, and the id of one row."""
    lists = [name[4:-3] for name in found if name.startswith("GET ") and name.endswith("/{}")]
    return [(path, ROWS[path.split("/")[-1]]) for path in lists if path.split("/")[-1] in ROWS]


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
