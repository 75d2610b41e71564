"""The document is held against the service: it tells what happens, all of it and nothing else."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import httpx
import pytest

from fastapi_katas.probes import expect_status, lesson

# FastAPI warns when two operations have the same id. Here that is a matter of the tests.
pytestmark = pytest.mark.filterwarnings("ignore:Duplicate Operation ID")

Json = Any
Seen = dict[str, dict[str, list[httpx.Response]]]

LIST = "GET /sailings"
SHOW = "GET /sailings/{}"
RESERVE = "PUT /sailings/{}/reservations/{}"
CANCEL = "DELETE /sailings/{}/reservations/{}"
IDS = {
    LIST: "get_sailings",
    SHOW: "get_sailing",
    RESERVE: "put_reservations",
    CANCEL: "delete_reservations",
}

LATE = {"id": 41, "harbour": "vik", "deck_cm": 1000}
EARLY = {"id": 42, "harbour": "skar", "deck_cm": 90000}
VAN = {"kind": "van", "length_cm": 700}
ROOM = {"kind": "van", "length_cm": 999}
CAR = {"kind": "car", "length_cm": 450}
NO_SAILING = {"detail": "There is no such sailing"}
NO_PLACE = {"detail": {"reason": "The deck is full", "free_cm": 300}}
NO_RESERVATION = {"detail": "There is no such reservation"}
UNKNOWN = "/sailings/97700000/reservations/KA-12"
OURS = "/sailings/41/reservations/KA-12"
THEIRS = "/sailings/41/reservations/B-7"


def place(vehicle: Json) -> Json:
    """Return the answer to a reservation for KA-12 on the late sailing."""
    return {"sailing_id": 41, "plate": "KA-12", "vehicle": vehicle}


def invalid(*fields: str) -> Json:
    """Return the answer to a request that breaks a rule at these fields."""
    return {"detail": "The request breaks a rule", "fields": list(fields)}


# Values that a request may have, at the limits and far from them, and values that it may not have.
ALLOWED: dict[str, list[Json]] = {
    "sailing_id": [1, 42, 97700000],
    "plate": ["A-1", "ABC-1234"],
    "harbour": ["holm", "skar", "vik"],
    "length_cm": [100, 2500],
    "kind": ["car", "van", "lorry"],
}
FORBIDDEN: dict[str, list[Json]] = {
    "sailing_id": [0],
    "plate": ["ABCD-1", "A-12345", "a-1", "A1"],
    "harbour": ["Vik", "oslo"],
    "length_cm": [99, 2501, "long"],
    "kind": ["bike"],
}

# The requests of the tests in their order: operation, address, body, status and body of the answer.
REQUESTS: list[tuple[str, str, Json, int, Json]] = [
    (LIST, "/sailings", None, 200, [LATE, EARLY]),
    (LIST, "/sailings?harbour=skar", None, 200, [EARLY]),
    (LIST, "/sailings?harbour=atlantis", None, 422, invalid("query.harbour")),
    (SHOW, "/sailings/41", None, 200, LATE),
    (SHOW, "/sailings/97700000", None, 404, NO_SAILING),
    (SHOW, "/sailings/0", None, 422, invalid("path.sailing_id")),
    (SHOW, "/sailings/late", None, 422, invalid("path.sailing_id")),
    (RESERVE, OURS, VAN, 201, place(VAN)),
    (RESERVE, OURS, ROOM, 200, place(ROOM)),
    (RESERVE, OURS, VAN, 200, place(VAN)),
    (RESERVE, THEIRS, CAR, 409, NO_PLACE),
    (RESERVE, UNKNOWN, CAR, 404, NO_SAILING),
    (RESERVE, OURS, {"kind": "ship"}, 422, invalid("body.kind", "body.length_cm")),
    (RESERVE, "/sailings/41/reservations/b7", VAN, 422, invalid("path.plate")),
    (CANCEL, OURS, None, 204, None),
    (CANCEL, OURS, None, 404, NO_RESERVATION),
    (CANCEL, UNKNOWN, None, 404, NO_RESERVATION),
    (CANCEL, "/sailings/0/reservations/b7", None, 422, invalid("path.plate", "path.sailing_id")),
]


@pytest.fixture(autouse=True)
def stage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the stage before the module is loaded: development, unless the test says something."""
    value = getattr(request, "param", "development")
    if value is None:
        monkeypatch.delenv("FERRY_STAGE", raising=False)
    else:
        monkeypatch.setenv("FERRY_STAGE", value)


@pytest.mark.goal
async def test_every_status_is_documented(module: Any, client: httpx.AsyncClient) -> None:
    """Each status that the service gives is in the document, at its operation."""
    document = await Document.read(client)
    seen = await provoke(module, client)
    missing = [
        f"{name}: {code}"
        for name, codes in seen.items()
        for code in codes
        if code not in document.responses(name)
    ]
    if missing:
        raise lesson(
            "status-undocumented",
            seen="The service gave answers that the document does not know: {missing}.",
            production="A client that is generated from the document has no branch for them. It"
            " ends with an unexpected error in front of the customer.",
            look="What does this operation declare, and which answers can its code give?",
            missing=", ".join(missing),
        )


@pytest.mark.goal
async def test_no_status_is_documented_in_vain(module: Any, client: httpx.AsyncClient) -> None:
    """A status that an operation never gives is not in the document."""
    document = await Document.read(client)
    seen = await provoke(module, client)
    extra = [
        f"{name}: {code}"
        for name, codes in seen.items()
        for code in document.responses(name)
        if code not in codes
    ]
    if extra:
        raise lesson(
            "status-never-given",
            seen="After {count} requests, some documented answers were never given: {extra}.",
            production="People write and test code for answers that never come, and stop"
            " believing the rest of the document.",
            look="Where is this status declared, and for which operations does that hold?",
            count=len(REQUESTS),
            extra=", ".join(extra),
        )


@pytest.mark.goal
async def test_every_body_has_a_model(module: Any, client: httpx.AsyncClient) -> None:
    """Each documented answer with a body says which fields it has, and of which type."""
    document = await Document.read(client)
    vague: dict[str, Json] = {}
    for name, code, answer in await documented_answers(document, module, client):
        schema = document.schema_of(name, code, answer)
        if answer.content and not document.has_fields(schema):
            vague[f"{name}: {code}"] = schema
    if vague:
        raise lesson(
            "model-without-fields" if all(vague.values()) else "no-model",
            seen="The document names these answers, and not what their bodies are made of: "
            "{vague}.",
            production="The client gets a body without types. What it may read from it, somebody"
            " has to guess or to try out.",
            look="What does the document show under `content` for this status?",
            vague=", ".join(vague),
        )


@pytest.mark.goal
async def test_bodies_are_as_documented(module: Any, client: httpx.AsyncClient) -> None:
    """The body of each answer has the fields and the types of its documented model."""
    document = await Document.read(client)
    wrong: dict[str, list[str]] = {}
    for name, code, answer in await documented_answers(document, module, client):
        schema = document.schema_of(name, code, answer)
        if not document.has_fields(schema):  # told by the test before this one
            continue
        if faults := document.faults(schema, answer.json()):
            wrong.setdefault("; ".join(dict.fromkeys(faults)), []).append(
                f"{name}: {code} {answer.text[:80]}"
            )
    if wrong:
        untyped = any("without a type" in fault for fault in wrong)
        raise lesson(
            "field-without-type" if untyped else "body-differs",
            seen="In {count} answers the body is not as documented. {wrong}.",
            production="The generated client fails while it reads the answer, and the error that"
            " the customer sees is about the client and not about the request.",
            look="Who makes this body? Compare it, field by field, with the schema in /docs.",
            count=sum(len(places) for places in wrong.values()),
            wrong=". ".join(
                f"{places[0]}: {fault} ({len(places)} times)" for fault, places in wrong.items()
            ),
        )


@pytest.mark.goal
async def test_operation_ids_are_those_of_the_clients(client: httpx.AsyncClient) -> None:
    """Each operation has the id of the page, and no two have the same."""
    document = await Document.read(client)
    found = {name: document.operations[name].get("operationId") for name in IDS}
    shared = [str(each) for each, count in Counter(found.values()).items() if count > 1]
    if shared:
        names = [name for name, each in found.items() if str(each) in shared]
        raise lesson(
            "duplicate-id",
            seen="These operations share the id {shared}: {names}.",
            production="A generator makes a method from each id. The second one replaces the"
            " first, or gets a number that changes with the order.",
            look="From what is the id made, and what of it differs between these operations?",
            shared=", ".join(shared),
            names=", ".join(names),
        )
    changed = [f"{name}: {each}" for name, each in found.items() if each != IDS[name]]
    if changed:
        old = any(found[name] != IDS[name] for name in (LIST, RESERVE, CANCEL))
        raise lesson(
            "id-changed" if old else "id-not-agreed",
            seen="The ids of these operations are not those of the page: {changed}.",
            production="The methods of all generated clients get other names with the next"
            " release, and the programs that call them do not compile any more.",
            look="Compare the ids with the table of the page. Where does each one come from?",
            changed=", ".join(changed),
        )


@pytest.mark.goal
async def test_every_summary_is_written(client: httpx.AsyncClient) -> None:
    """Each operation has a summary of its own in the words of a person."""
    document = await Document.read(client)
    found = {name: document.text(name, "summary") for name in IDS}
    bare = [
        f"{name} ({text!r})"
        for name, text in found.items()
        if len(words(text)) < 3 or text == text.title()
    ]
    if bare:
        raise lesson(
            "summary-not-written",
            seen="{count} summaries are too short or have the form of a function's name: {bare}.",
            production="The list of operations is the first that a new client reads. It shows the"
            " names of functions, in capitals.",
            look="Where does this text come from, if nobody has written it?",
            count=len(bare),
            bare=", ".join(bare),
        )
    expect_no_repetition("summary", found)


@pytest.mark.goal
async def test_every_operation_is_described(client: httpx.AsyncClient) -> None:
    """Each operation has a description that says more than its summary."""
    document = await Document.read(client)
    found = {name: document.text(name, "description") for name in IDS}
    bare = [
        f"{name} ({text!r})"
        for name, text in found.items()
        if len(words(text)) < 6 or words(text) == words(document.text(name, "summary"))
    ]
    if bare:
        raise lesson(
            "not-described",
            seen="{count} descriptions are missing, have less than six words, or repeat the"
            " summary: {bare}.",
            production="Whoever wants to know what an operation does has to ask, or to read the"
            " code.",
            look="Does the function say what it does? If it does, what stands in the document?",
            count=len(bare),
            bare=", ".join(bare),
        )
    expect_no_repetition("description", found)


@pytest.mark.goal
async def test_every_answer_is_explained(client: httpx.AsyncClient) -> None:
    """Each documented answer says what it means here, a success too."""
    document = await Document.read(client)
    bare = [
        f"{name}: {code} ({answer.get('description', '')!r})"
        for name in IDS
        for code, answer in document.responses(name).items()
        if len(words(answer.get("description", ""))) < 3
    ]
    if bare:
        raise lesson(
            "answer-unexplained",
            seen="{count} documented answers do not say what they mean here: {bare}.",
            production="What a status is called, everybody knows. What has happened to the"
            " vehicle on deck, nobody can tell.",
            look="Which of these texts has somebody written, and which ones are filled in?",
            count=len(bare),
            bare=", ".join(bare),
        )


@pytest.mark.goal
async def test_every_parameter_is_explained(client: httpx.AsyncClient) -> None:
    """Each parameter in the path or in the query says what it means."""
    document = await Document.read(client)
    bare = [
        f"{name}: {each['name']}"
        for name in IDS
        for each in document.operations[name].get("parameters", [])
        if len(words(each.get("description") or each["schema"].get("description", ""))) < 3
    ]
    if bare:
        raise lesson(
            "parameter-unexplained",
            seen="{count} parameters have no description of three words: {bare}.",
            production="The client must guess whether it is the harbour of departure or of"
            " arrival, and finds out on the quay.",
            look="Where is the parameter declared, and what does it say besides its limits?",
            count=len(bare),
            bare=", ".join(bare),
        )


@pytest.mark.goal
async def test_examples_are_accepted(module: Any, client: httpx.AsyncClient) -> None:
    """The document shows a body for a reservation in `examples`, and the service takes each one."""
    document = await Document.read(client)
    fill(module)
    listed, single, parts = document.examples(RESERVE)
    for number, example in enumerate(listed + single + parts):
        answer = await client.put(f"/sailings/42/reservations/EX-{number}", json=example)
        if answer.status_code == 422:
            raise lesson(
                "example-refused",
                seen="With an example of the document, the body of a reservation is {example}. It"
                " is answered with {status}: {body}",
                production="Everybody begins with the example, and the first request of"
                " everybody fails.",
                look="Which fields has the model today, and where does the example stand?",
                example=str(example),
                status=answer.status_code,
                body=answer.text[:200],
            )
        expect_status(answer, 201, because="an example of the document is a good reservation")
    if single or not listed:
        raise lesson(
            "example-form",
            seen="The document has {listed} examples in the list `examples`, and {single} under "
            "the key `example`.",
            production="The single key is deprecated in OpenAPI 3.1. Tools that follow JSON"
            " Schema do not look at it, and show an empty form.",
            look="Under which key does the schema of the body show its examples?",
            listed=len(listed),
            single=len(single),
        )


@pytest.mark.goal
@pytest.mark.parametrize("stage", ["production"], indirect=True)
async def test_production_shows_no_document(raw_app: Any, client: httpx.AsyncClient) -> None:
    """In production neither the pages nor the document behind them are served, at any address."""
    addresses = ["/openapi.json", "/docs", "/redoc"]
    own = [raw_app.openapi_url, raw_app.docs_url, raw_app.redoc_url]
    answers = [await client.get(path) for path in dict.fromkeys([*addresses, *filter(None, own)])]
    shown = [answer for answer in answers if answer.is_success]
    for path in [getattr(route, "path", "") for route in raw_app.routes]:
        if path and "{" not in path and path not in (*addresses, *own):
            answer = await client.get(path)
            # The id of an operation is in the document, and in no other answer.
            shown += [answer] * (answer.is_success and "put_reservations" in answer.text)
    if shown:
        known = any(answer.url.path in addresses for answer in shown)
        raise lesson(
            "document-open" if known else "document-moved",
            seen="With FERRY_STAGE=production, {paths} answered 200. The first one is {count} "
            "bytes long and begins with {text}",
            production="Whoever looks for a way in gets the whole plan: each operation, each"
            " field, each limit.",
            look="Which addresses does the documentation have, and which of them makes the plan?",
            paths=", ".join(answer.url.path for answer in shown),
            count=len(shown[0].content),
            text=" ".join(shown[0].text.split())[:70],
        )
    for answer in answers:
        expect_status(answer, 404, because="in production there is no documentation")


@pytest.mark.guard
@pytest.mark.parametrize("stage", ["development", "production"], indirect=True)
async def test_requests_are_answered_as_before(module: Any, client: httpx.AsyncClient) -> None:
    """Each request has the same status and the same body as before, on both stages."""
    fill(module)
    for name, url, body, status, expected in REQUESTS:
        answer = await client.request(name.split()[0], url, json=body)
        expect_status(answer, status, because=f"{url} with {body} was answered so before")
        given = answer.json() if answer.content else None
        if given != expected:
            raise lesson(
                "answer-changed",
                seen="{name} gave {status} with {given}. Before, it was {expected}.",
                production="The clients that work today read the old answer. They fail.",
                look="What in this answer did your change touch?",
                name=name,
                status=status,
                given=str(given),
                expected=str(expected),
            )


@pytest.mark.guard
@pytest.mark.parametrize("stage", ["development", None], indirect=True)
async def test_development_shows_the_document(client: httpx.AsyncClient) -> None:
    """In development, and without a setting, the document and both pages are served."""
    document = await Document.read(client)
    for path in ("/docs", "/redoc"):
        page = await client.get(path)
        expect_status(page, 200, because="in development there is documentation")
        assert "/openapi.json" in page.text
    assert sorted(document.operations) == sorted(IDS), "the document has these four operations"


@pytest.mark.guard
async def test_documented_limits_are_the_real_ones(module: Any, client: httpx.AsyncClient) -> None:
    """What a request may have is as before, in the service and in the document."""
    document = await Document.read(client)
    fill(module)
    trials = [(field, value, True) for field, values in ALLOWED.items() for value in values]
    trials += [(field, value, False) for field, values in FORBIDDEN.items() for value in values]
    for field, value, allowed in trials:
        given: Json = {"sailing_id": 42, "plate": "KA-12", **CAR, field: value}
        url = f"/sailings/{given['sailing_id']}/reservations/{given['plate']}"
        if field == "harbour":
            answer = await client.get("/sailings", params={"harbour": value})
        else:
            answer = await client.put(url, json={key: given[key] for key in CAR})
        schema = document.field(LIST if field == "harbour" else RESERVE, field)
        refused = answer.status_code == 422
        if allowed == refused:
            raise lesson(
                "limits-changed",
                seen="With {field}={value!r} the service answers {status}. Before, this value was "
                "{before}.",
                production="A request that was right yesterday fails today, or one that was wrong"
                " comes through.",
                look="Which limits has this parameter or field, and which ones had it?",
                field=field,
                value=value,
                status=answer.status_code,
                before="accepted" if allowed else "refused",
            )
        if bool(document.faults(schema, value)) != refused:
            raise lesson(
                "limits-differ",
                seen="With {field}={value!r} the service answers {status}. The document says for "
                "{field}: {schema}.",
                production="The client checks its form with the limits of the document, and they"
                " are not those of the service.",
                look="Who refuses this value: the type of the parameter, or the code behind it?",
                field=field,
                value=value,
                status=answer.status_code,
                schema=str(schema),
            )


class Document:
    """The OpenAPI document as it is served, with the operations named as on the page."""

    def __init__(self, data: Json) -> None:
        """Take the parsed document."""
        self.data = data
        self.operations: dict[str, Json] = {
            f"{method.upper()} {re.sub('{[^}]*}', '{}', path)}": operation
            for path, operations in data["paths"].items()
            for method, operation in operations.items()
        }

    @classmethod
    async def read(cls, client: httpx.AsyncClient) -> Document:
        """Ask the service for its document."""
        answer = await client.get("/openapi.json")
        expect_status(answer, 200, because="in development the document is served")
        document = cls(answer.json())
        missing = [name for name in IDS if name not in document.operations]
        if missing:
            raise lesson(
                "operation-hidden",
                seen="The document has no operation {missing}.",
                production="A client that is generated from the document cannot call it.",
                look="Compare the operations in /docs with the table of the page.",
                missing=", ".join(missing),
            )
        return document

    def text(self, name: str, key: str) -> str:
        """Return a text of an operation, or an empty one."""
        return str(self.operations[name].get(key, ""))

    def responses(self, name: str) -> dict[str, Json]:
        """Return the documented answers of an operation."""
        return dict(self.operations[name]["responses"])

    def schema_of(self, name: str, code: str, answer: httpx.Response) -> Json:
        """Return the schema of an answer's body, for the media type that it really has."""
        content = self.responses(name)[code].get("content", {})
        media = answer.headers.get("content-type", "").split(";")[0]
        return content.get(media, {}).get("schema", {})

    def field(self, name: str, field: str) -> Json:
        """Return the schema of a parameter, or of a field of the body."""
        operation = self.operations[name]
        for each in operation.get("parameters", []):
            if each["name"] == field:
                return each["schema"]
        body = operation["requestBody"]["content"]["application/json"]["schema"]
        return self.resolve(body)["properties"][field]

    def resolve(self, schema: Json) -> Json:
        """Follow a reference."""
        while isinstance(schema, dict) and "$ref" in schema:
            schema = self.data["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return schema

    def examples(self, name: str) -> tuple[list[Json], list[Json], list[Json]]:
        """Return the bodies that examples make: listed ones, those under `example`, and parts.

        A part is one example of one field, put into a good body.
        """
        media = self.operations[name]["requestBody"]["content"]["application/json"]
        schema = self.resolve(media["schema"])
        fields = {key: self.resolve(each) | each for key, each in schema["properties"].items()}
        listed = [each["value"] for each in media.get("examples", {}).values()]
        listed += media["schema"].get("examples", []) + schema.get("examples", [])
        if all(each.get("examples") for each in fields.values()):
            listed.append({key: each["examples"][0] for key, each in fields.items()})
        holders = {id(each): each for each in (media, media["schema"], schema)}
        single = [each["example"] for each in holders.values() if "example" in each]
        single += [
            {**CAR, key: each["example"]} for key, each in fields.items() if "example" in each
        ]
        parts = [
            {**CAR, key: value}
            for key, each in fields.items()
            for value in each.get("examples", [])
        ]
        return listed, single, parts

    def has_fields(self, schema: Json) -> bool:
        """Tell whether a schema says anything about a value, and of an object which fields."""
        schema = self.resolve(schema)
        return bool(schema and schema.keys() & KINDS) and (
            schema.get("type") != "object" or bool(schema.get("properties"))
        )

    def faults(self, schema: Json, value: Json, at: str = "body") -> list[str]:
        """Say where a value is not as its schema says. A field more is a fault, as one less is."""
        schema = self.resolve(schema)
        parts = schema.get("anyOf", []) + schema.get("oneOf", [])
        if parts:
            return min((self.faults(part, value, at) for part in parts), key=len)
        if not schema.keys() & KINDS:
            return [f"`{at}` is documented without a type"]
        if "type" in schema and not isinstance(value, TYPES[schema["type"]]):
            return [f"`{at}` is no {schema['type']}"]
        if value not in schema.get("enum", [value]) or value != schema.get("const", value):
            return [f"`{at}` is none of the documented values"]
        found: list[str] = []
        if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
            found.append(f"`{at}` does not fit the pattern")
        if isinstance(value, int) and not (
            schema.get("minimum", value) <= value <= schema.get("maximum", value)
        ):
            found.append(f"`{at}` is beyond its limits")
        if isinstance(value, list):
            for each in value:
                found += self.faults(schema.get("items", {}), each, f"{at}[]")
        if isinstance(value, dict):
            fields = schema.get("properties", {})
            found += [f"`{at}.{key}` is not documented" for key in value if key not in fields]
            found += [f"`{at}.{key}` is not there" for key in fields if key not in value]
            for key in [key for key in fields if key in value]:
                found += self.faults(fields[key], value[key], f"{at}.{key}")
        return found


# What a schema must have one of, to say anything about a value.
KINDS = {"type", "enum", "const", "anyOf", "oneOf"}
TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}


def fill(module: Any) -> None:
    """Put the sailings of the tests in place, with empty decks."""
    module.SAILINGS.clear()
    module.DECKS.clear()
    for row in (LATE, EARLY):
        module.SAILINGS[row["id"]] = module.Sailing(**row)


async def provoke(module: Any, client: httpx.AsyncClient) -> Seen:
    """Send all requests, and return the answers by operation and status."""
    fill(module)
    seen: Seen = {name: {} for name in IDS}
    for name, url, body, status, _ in REQUESTS:
        answer = await client.request(name.split()[0], url, json=body)
        expect_status(answer, status, because=f"{url} with {body} was answered so before")
        seen[name].setdefault(str(status), []).append(answer)
    return seen


async def documented_answers(
    document: Document, module: Any, client: httpx.AsyncClient
) -> list[tuple[str, str, httpx.Response]]:
    """Send all requests, and return the answers whose status is in the document."""
    seen = await provoke(module, client)
    return [
        (name, code, answer)
        for name, codes in seen.items()
        for code, answers in codes.items()
        for answer in answers
        if code in document.responses(name)
    ]


def words(text: str) -> list[str]:
    """Return the words of a text, in small letters."""
    return re.findall(r"\w+", text.lower())


def expect_no_repetition(what: str, texts: dict[str, str]) -> None:
    """Fail with a lesson if two operations have the same text."""
    same = [name for name, text in texts.items() if list(texts.values()).count(text) > 1]
    if same:
        raise lesson(
            f"{what}-repeated",
            seen="These operations have the same {what}, {text!r}: {same}.",
            production="Side by side in the list, nobody can tell one from the other.",
            look="What does each of them do that the other one does not?",
            what=what,
            text=texts[same[0]],
            same=", ".join(same),
        )
