"""Only what somebody chose leaves the roster, and what is stored can be read."""

from __future__ import annotations

import json
import linecache
import re
from collections.abc import Iterator
from dataclasses import field, fields, is_dataclass, make_dataclass
from typing import Any

import httpx
import pytest

from fastapi_katas.probes import Place, crash_of, cut, expect_status, lesson, place_of_exception

MEMBER = ("id", "name", "call_sign", "rank")
MEMBER_FIELDS = {*MEMBER, "phone", "password_hash"}
TEAM_FIELDS = {"id", "name", "radio_key", "leader", "members"}
# No request and no answer may name these.
NEVER_NAMED = {"password_hash", "radio_key"}

# Where members stand in each answer, and the other fields that are public there.
MEMBERS_IN = {
    "GET /members": ("members[]",),
    "GET /members/{}": ("",),
    "POST /members": ("",),
    "GET /teams": ("[].leader", "[].members[]"),
    "GET /teams/{}": ("leader", "members[]"),
}
OTHER_FIELDS = {
    "GET /members": {"station", "members"},
    "GET /teams": {"[].id", "[].name", "[].leader", "[].members"},
    "GET /teams/{}": {"id", "name", "leader", "members"},
}

NEW = {
    "name": "Mira Holm",
    "call_sign": "NH-37",
    "rank": "trainee",
    "phone": "+49409876543",
    "password": "seven ladders, one hose",
}

# What today's rules say about each field: below, at and beyond each bound.
RULES: dict[str, dict[str, int]] = {
    "name": {"X": 422, "Xi": 201, "n" * 40: 201, "n" * 41: 422},
    "call_sign": {"NH-7": 422, "ZZ-99": 201, "NH-777": 422, "XNH-77": 422, "nh-77": 422},
    "rank": {"officer": 201, "hose carrier": 422, "": 422},
    "phone": {"+12345": 422, "+123456": 201, "+" + "1" * 15: 201, "+" + "1" * 16: 422,
              "49401234567": 422},
    "password": {"p" * 11: 422, "p" * 11 + " ": 201, "p" * 12: 201, "p" * 128: 201, "p" * 129: 422},
}  # fmt: skip

# Rows from the card index, each against one of today's rules.
OLD_ROWS = {
    "one-letter-name": {"name": "Ö"},
    "empty-name": {"name": ""},
    "name-too-long": {"name": "Maximiliane " * 30},
    "old-call-sign": {"call_sign": 'Florian "Süd" 3/1'},
    "rank-of-then": {"rank": "hose carrier"},
    "no-rank": {"rank": ""},
    "no-phone": {"phone": ""},
}


@pytest.mark.goal
async def test_one_member_shows_only_public_fields(
    module: Any, raw_app: Any, client: httpx.AsyncClient
) -> None:
    """One member is shown with exactly the public fields."""
    brigade = Brigade(module)
    response = await client.get(f"/members/{brigade.emil.id}")
    expect_public(response, 200, "GET /members/{}", brigade.secrets, raw_app)


@pytest.mark.goal
async def test_roster_shows_only_public_fields(
    module: Any, raw_app: Any, client: httpx.AsyncClient
) -> None:
    """In the list of the whole brigade each member has exactly the public fields."""
    brigade = Brigade(module)
    response = await client.get("/members")
    expect_public(response, 200, "GET /members", brigade.secrets, raw_app)


@pytest.mark.goal
@pytest.mark.parametrize("answer", ["GET /teams/{}", "GET /teams"], ids=["one-team", "all-teams"])
async def test_teams_show_only_public_fields(
    answer: str, module: Any, raw_app: Any, client: httpx.AsyncClient
) -> None:
    """A team, its leader and its members are shown with exactly the public fields."""
    brigade = Brigade(module)
    response = await client.get(brigade.address(answer))
    expect_public(response, 200, answer, brigade.secrets, raw_app)


@pytest.mark.goal
async def test_new_member_gets_no_secret_back(
    module: Any, raw_app: Any, client: httpx.AsyncClient
) -> None:
    """The answer to a new member has exactly the public fields, and not what was typed in."""
    brigade = Brigade(module)
    response = await client.post("/members", json=NEW)
    secrets = {
        **brigade.secrets,
        "the password": NEW["password"],
        "the phone": NEW["phone"],
        "the new hash": brigade.hash_of(NEW["password"]),
    }
    expect_public(response, 201, "POST /members", secrets, raw_app)


@pytest.mark.goal
async def test_column_of_tomorrow_is_not_shown(module: Any, client: httpx.AsyncClient) -> None:
    """A field that is added to the stored classes later is in no answer."""
    brigade = Brigade(module, with_new_columns=True)
    shown = []
    for answer in READS:
        response = await client.get(brigade.address(answer))
        expect_status(response, 200, because="a row that has one more column is still a row")
        found = [name for name, value in brigade.tomorrow.items() if value in response.text]
        shown += [f"{name} in {answer.replace('{}', '{id}')}" for name in found]
    if shown:
        raise lesson(
            "new-column-shown",
            seen="The stored classes got one more field each, and nobody said that it is public. "
            "Answers that show it: {count}. They are {shown}.",
            production="Whoever adds a column publishes it, and no line of the review shows that.",
            look="Who decides in this answer which fields it has?",
            count=len(shown),
            shown=", ".join(shown),
        )


@pytest.mark.goal
@pytest.mark.parametrize("old", OLD_ROWS.values(), ids=OLD_ROWS)
async def test_old_rows_can_be_read(
    old: dict[str, str], module: Any, client: httpx.AsyncClient
) -> None:
    """A row that breaks the rules of today for new members is shown as it is stored."""
    brigade = Brigade(module, old=old)
    row = public(brigade.emil)
    broken: list[str] = []
    places: list[Place | None] = []
    others: list[str] = []
    for answer in READS:
        response = await client.get(brigade.address(answer))
        told = f"{answer.replace('{}', '{id}')} answers {response.status_code}"
        crash = crash_of(response)
        if response.status_code != 200:
            broken.append(f"{told} ({type(crash).__name__})" if crash else told)
            places.append(place_of_exception(crash) if crash else None)
        elif row not in (shown := shown_members(answer, json_of(response))):
            others.append(f"{told} with {len(shown)} members, and none of them is the stored row")
    asked = len(READS)
    if broken:
        raise lesson(
            "old-row-breaks-answer",
            seen="One stored member has {old}. {count} of {asked} answers with this member fail: "
            "{broken}.",
            production="One old row takes the whole list away from everybody, and nobody can "
            "correct a row that cannot be shown.",
            look="Which rules does this answer apply, and for whom were they written?",
            where=places,
            old=cut(str(old), 80),
            count=len(broken),
            asked=asked,
            broken=", ".join(broken),
        )
    if others:
        raise lesson(
            "old-row-not-shown",
            seen="One stored member has {old}, so its public fields are {row}. {count} of {asked} "
            "answers do not show it: {others}.",
            production="The member is in the database and not on the screen. At an alarm "
            "somebody counts on the screen.",
            look="Where does this row get lost or changed on its way out?",
            old=cut(str(old), 80),
            row=cut(str(row), 160),
            count=len(others),
            asked=asked,
            others=", ".join(others),
        )


@pytest.mark.goal
async def test_schema_names_only_public_fields(client: httpx.AsyncClient) -> None:
    """The OpenAPI document names for each answer exactly the public fields."""
    document = await openapi(client)
    private: list[str] = []
    missing: list[str] = []
    for answer in MEMBERS_IN:
        named = {path for path, _ in walk(document, schema_of(document, answer))}
        label = answer.replace("{}", "{id}")
        private += [f"{path} in {label}" for path in sorted(named - expected(answer))]
        missing += [f"{path} in {label}" for path in sorted(expected(answer) - named)]
    if private:
        only_required = all(ONLY_REQUIRED in path for path in private)
        raise lesson(
            "schema-requires-private" if only_required else "schema-names-private",
            seen="The OpenAPI document names {count} fields that are not public: {private}.",
            production="The document is a public promise: it tells a stranger what is stored, and "
            "client code that is made from it has these fields.",
            look="From which model does FastAPI make the schema of this answer?",
            count=len(private),
            private=shortened(private),
        )
    if missing:
        raise lesson(
            "schema-silent",
            seen="The OpenAPI document does not name {count} of the public fields: {missing}.",
            production="Nobody can see from the document what an answer contains. A field too "
            "many is noticed by nobody.",
            look="How does FastAPI learn what this endpoint answers?",
            count=len(missing),
            missing=shortened(missing),
        )
    elsewhere = sorted(name for name in NEVER_NAMED if name in json.dumps(document))
    if elsewhere:
        raise lesson(
            "schema-names-private-elsewhere",
            seen="No answer names it, but elsewhere in the OpenAPI document there is {names}.",
            production="The document tells a stranger which fields are stored, and that a "
            "request may perhaps set them.",
            look="Search for this name in /openapi.json. Which part of your module put it there?",
            names=", ".join(elsewhere),
        )


@pytest.mark.goal
async def test_schema_promises_only_what_old_rows_keep(client: httpx.AsyncClient) -> None:
    """The OpenAPI document promises nothing about an answer that an old row would break."""
    document = await openapi(client)
    untrue: dict[str, str] = {}
    for answer, prefixes in MEMBERS_IN.items():
        leaves = list(walk(document, schema_of(document, answer)))
        for row, old in OLD_ROWS.items():
            for name, value in old.items():
                paths = {join(prefix, name) for prefix in prefixes}
                untrue |= {
                    f"{row} at {path} in {answer.replace('{}', '{id}')}": answer
                    for path, leaf in leaves
                    if path in paths and not allows(document, leaf, value)
                }
    if set(untrue.values()) == {"POST /members"}:
        raise lesson(
            "schema-repeats-input-rules",
            seen="The OpenAPI document has rules for what POST /members answers. In {count} "
            "places they exclude a text that the other answers may have: {untrue}.",
            production="The rules stand in two places. Once they are loosened for the request "
            "only, a new member is stored, and the answer is 500.",
            look="Which rules does this answer have that the other answers with a member do not?",
            count=len(untrue),
            untrue=shortened(list(untrue)),
        )
    if untrue:
        raise lesson(
            "schema-promises-too-much",
            seen="In {count} places the OpenAPI document excludes a value that is stored: "
            "{untrue}.",
            production="A client that is made from this document checks what it gets, and refuses "
            "the old rows.",
            look="Compare the schema of an answer with the schema of the request body.",
            count=len(untrue),
            untrue=shortened(list(untrue)),
        )


@pytest.mark.guard
async def test_public_fields_keep_their_values(module: Any, client: httpx.AsyncClient) -> None:
    """Each answer shows all rows that it is about, with the values that are stored."""
    brigade = Brigade(module)
    brigade.teams[1].name = "B"
    for answer, rows in brigade.rows.items():
        response = await client.get(brigade.address(answer))
        expect_status(response, 200, because="what is stored can be read")
        body = json_of(response)
        shown = shown_members(answer, body)
        stored = [public(row) for row in rows]
        assert by_id(shown) == by_id(stored), f"{answer} shows {shown}, stored are {stored}"
        if answer == "GET /members":
            assert body["station"] == module.STATION
        if answer.startswith("GET /teams"):
            teams = body if isinstance(body, list) else [body]
            names = sorted((team["id"], team["name"], team["leader"]["id"]) for team in teams)
            wanted = [(team.id, team.name, team.leader.id) for team in brigade.teams[: len(teams)]]
            assert names == wanted, f"{answer} shows the teams {names}, stored are {wanted}"


@pytest.mark.guard
async def test_new_member_is_stored(module: Any, client: httpx.AsyncClient) -> None:
    """A new member is answered with its public values, stored, and shown in the roster."""
    brigade = Brigade(module)
    # The row before the last one has the number that counting the rows gives.
    for row in (module.Member(**_row(6, "Hana Abe", "officer")),
                module.Member(**_row(761, "Ida Berg", "trainee"))):  # fmt: skip
        module.MEMBERS[row.id] = row
    before = {number: in_full(row) for number, row in module.MEMBERS.items()}
    response = await client.post("/members", json=NEW)
    expect_status(response, 201, because="a new member that keeps the rules is taken in")
    number = json_of(response).get("id")
    if number in before:
        raise lesson(
            "stored-row-overwritten",
            seen="Stored were the members {before}. The new member got the number {number}, and "
            "stored under this number is now {stored}.",
            production="A member of the brigade is gone, and somebody else answers under their "
            "number.",
            look="How does this endpoint choose a number, and which numbers are taken?",
            before=str(sorted(before)),
            number=str(number),
            stored=str(in_full(module.MEMBERS.get(number))),
        )
    after = {other: in_full(row) for other, row in module.MEMBERS.items() if other != number}
    assert after == before, f"the stored rows were {before}, now they are {after}"
    wanted = {"id": number, **{name: NEW[name] for name in MEMBER[1:]}}
    shown = {name: json_of(response).get(name) for name in MEMBER}
    assert shown == wanted, f"the answer shows {shown}, sent was {wanted}"
    stored = in_full(module.MEMBERS.get(number))
    hashed = brigade.hash_of(NEW["password"])
    complete = {**wanted, "phone": NEW["phone"], "password_hash": hashed}
    if stored != complete:
        raise lesson(
            "new-member-not-stored",
            seen="The answer names the new member {number}. Stored under this number is {stored}.",
            production="The member cannot log in, or nobody can call them.",
            look="What does this endpoint store, and what happens to it afterwards?",
            number=str(number),
            stored=str(stored),
        )
    response = await client.get("/members")
    expect_status(response, 200, because="the roster can be read after a member was added")
    assert wanted in shown_members("GET /members", json_of(response)), "the roster misses them"


@pytest.mark.guard
async def test_reading_changes_nothing_stored(module: Any, client: httpx.AsyncClient) -> None:
    """After every kind of reading the stored rows are complete, also what is private."""
    brigade = Brigade(module)
    before = [in_full(row) for row in (*brigade.members, *brigade.teams)]
    for answer in READS:
        response = await client.get(brigade.address(answer))
        expect_status(response, 200, because="what is stored can be read")
        after = [in_full(row) for row in (*brigade.members, *brigade.teams)]
        changed = sum(old != new for old, new in zip(before, after, strict=True))
        if changed:
            raise lesson(
                "reading-changes-store",
                seen="After {answer}, {changed} of {rows} stored rows are no longer what they "
                "were.",
                production="Whoever was looked at cannot log in any more: the hash is gone.",
                look="On which object does this endpoint work, on a copy or on the stored one?",
                answer=answer.replace("{}", "{id}"),
                changed=changed,
                rows=len(before),
            )


@pytest.mark.guard
@pytest.mark.parametrize("name", RULES)
async def test_rules_for_new_members_stay(
    name: str, module: Any, client: httpx.AsyncClient
) -> None:
    """A new member has to keep the rules of today; who breaks one is refused and not stored."""
    Brigade(module)
    for value, status in RULES[name].items():
        stored = len(module.MEMBERS)
        response = await client.post("/members", json=NEW | {name: value})
        because = f"the rules for new members stay, and {name} is {value!r} here"
        expect_status(response, status, because=because)
        more = len(module.MEMBERS) - stored
        assert more == (1 if status == 201 else 0), f"{status}, and {more} rows more are stored"


@pytest.mark.guard
async def test_every_field_is_asked_for(module: Any, client: httpx.AsyncClient) -> None:
    """A new member without one of its fields is refused."""
    Brigade(module)
    for name in NEW:
        response = await client.post("/members", json={k: v for k, v in NEW.items() if k != name})
        expect_status(response, 422, because=f"a new member needs {name}")


@pytest.mark.guard
@pytest.mark.parametrize("name", ["id", "password_hash"])
async def test_client_cannot_set_server_fields(
    name: str, module: Any, client: httpx.AsyncClient
) -> None:
    """A client cannot choose the `id` or the `password_hash` of a new member."""
    brigade = Brigade(module)
    forged: Any = {"id": 99_001, "password_hash": "0000:forged"}[name]
    response = await client.post("/members", json=NEW | {name: forged})
    if response.status_code != 422:
        expect_status(response, 201, because="a field that is not asked for changes nothing")
    rows = [in_full(row) for number, row in module.MEMBERS.items() if number not in brigade.numbers]
    taken = [row[name] for row in rows if row[name] == forged]
    if taken:
        raise lesson(
            "server-field-set",
            seen="A request with {name} = {forged} was answered {status}, and {taken} is stored.",
            production="Anybody can write over a member, or log in with a hash of their own.",
            look="Which fields does the model of the request body have?",
            name=name,
            forged=str(forged),
            status=response.status_code,
            taken=str(taken[0]),
        )


@pytest.mark.guard
async def test_unknown_is_not_found(module: Any, client: httpx.AsyncClient) -> None:
    """A member or a team that is not stored is answered 404."""
    Brigade(module)
    for path in ("/members/404404", "/teams/404404"):
        response = await client.get(path)
        expect_status(response, 404, because="nothing is stored under this number")


ONLY_REQUIRED = " (under `required`)"
READS = ("GET /members/{}", "GET /members", "GET /teams/{}", "GET /teams")


class Brigade:
    """The rows of a test: three members, and two teams with leaders from outside.

    Attributes:
        members: All stored members.
        teams: All stored teams, by id.
        secrets: What no answer may contain, with its name.
        tomorrow: The values of the columns that only the rows of tomorrow have.
    """

    def __init__(
        self, module: Any, *, old: dict[str, str] | None = None, with_new_columns: bool = False
    ) -> None:
        member = _stored_class(module.Member, MEMBER_FIELDS)
        team = _stored_class(module.Team, TEAM_FIELDS)
        self.tomorrow: dict[str, str] = {}
        if with_new_columns:
            self.tomorrow = {"medical_note": "asthma since spring", "pager_code": "pager 5508"}
            member = _with_column(member, "medical_note", self.tomorrow["medical_note"])
            team = _with_column(team, "pager_code", self.tomorrow["pager_code"])
        self.emil, self.fay, self.gus = self.members = [
            member(**_row(731, "Emil Nordin", "officer") | (old or {})),
            member(**_row(745, "Fay Okoro", "firefighter")),
            member(**_row(762, "Gus Pereira", "trainee")),
        ]
        self.teams = [
            team(id=31, name="Ladder", radio_key="RK-5190-a", leader=self.emil,
                 members=[self.gus, self.fay]),
            team(id=48, name="Boat", radio_key="RK-7723-c", leader=self.fay,
                 members=[self.emil, self.gus]),
        ]  # fmt: skip
        self.numbers = [row.id for row in self.members]
        self.rows = {
            "GET /members/{}": [self.emil],
            "GET /members": self.members,
            "GET /teams/{}": [self.emil, self.fay, self.gus],
            "GET /teams": [*self.members, self.fay, self.emil, self.gus],
        }
        for store, rows in ((module.MEMBERS, self.members), (module.TEAMS, self.teams)):
            store.clear()
            store.update({row.id: row for row in rows})
        self.secrets: dict[str, str] = {}
        for row in self.members:
            self.secrets |= {
                f"the password_hash of {row.id}": row.password_hash,
                f"the phone of {row.id}": row.phone,
            }
        self.secrets |= {f"the radio_key of {row.id}": row.radio_key for row in self.teams}
        self.secrets = {name: value for name, value in self.secrets.items() if value}

        async def hash_password(password: str) -> str:
            return self.hash_of(password)

        module.hash_password = hash_password

    @staticmethod
    def hash_of(password: str) -> str:
        """Make the hash that the replaced `hash_password` makes."""
        return f"h{len(password)}:" + "".join(f"{ord(letter) * 7 % 256:02x}" for letter in password)

    @staticmethod
    def address(answer: str) -> str:
        """Name the address of one answer about Emil or his team."""
        path = answer.removeprefix("GET ")
        return path.replace("{}", "731" if "members" in path else "31")


def _row(number: int, name: str, rank: str) -> dict[str, Any]:
    return {
        "id": number,
        "name": name,
        "call_sign": f"NH-{number % 100:02}",
        "rank": rank,
        "phone": f"+494055{number}",
        "password_hash": f"{number * 7919:x}:{number * 104729:x}",
    }


def _stored_class(stored: Any, wanted: set[str]) -> Any:
    found = {f.name for f in fields(stored)} if is_dataclass(stored) else set()
    if found != wanted:
        raise lesson(
            "stored-class-changed",
            seen="The stored class {name} is a dataclass with the fields [{found}]. The contract "
            "has [{wanted}].",
            production="The code that loads the rows and checks the passwords relies on them.",
            look="Compare the stored classes with those of the broken module.",
            name=getattr(stored, "__name__", str(stored)),
            found=", ".join(sorted(found)),
            wanted=", ".join(sorted(wanted)),
        )
    return stored


def _with_column(stored: type[Any], name: str, value: str) -> type[Any]:
    return make_dataclass(stored.__name__, [(name, str, field(default=value))], bases=(stored,))


def public(row: Any) -> dict[str, Any]:
    """Give the public fields of a stored member."""
    return {name: getattr(row, name) for name in MEMBER}


def in_full(row: Any) -> dict[str, Any]:
    """Give all fields of a stored row as plain values; what is gone is `None`."""
    names = MEMBER_FIELDS if not hasattr(row, "leader") else TEAM_FIELDS - {"leader", "members"}
    return {name: getattr(row, name, None) for name in names}


def by_id(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: str(row["id"]))


def members_of(answer: str, body: Any) -> list[dict[str, Any]]:
    """Take all members out of the body of one answer."""
    if answer == "GET /members/{}":
        return [body]
    if answer == "GET /members":
        return list(body["members"])
    teams = body if answer == "GET /teams" else [body]
    return [member for team in teams for member in (team["leader"], *team["members"])]


def shown_members(answer: str, body: Any) -> list[dict[str, Any]]:
    """Take the public fields of all members out of the body of one answer."""
    return [{name: member.get(name) for name in MEMBER} for member in members_of(answer, body)]


def join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def shortened(found: list[str]) -> str:
    """Name the first of many."""
    return ", ".join(found[:6]) + (f" and {len(found) - 6} more" if len(found) > 6 else "")


def expected(answer: str) -> set[str]:
    """Give the paths of all fields that an answer may and must have."""
    of_members = {join(prefix, name) for prefix in MEMBERS_IN[answer] for name in MEMBER}
    return of_members | OTHER_FIELDS.get(answer, set())


def json_of(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        raise lesson(
            "not-json",
            seen="The answer {status} is no JSON, it is {body!r}.",
            production="Every client of the roster fails to read it.",
            look="What does the endpoint return, and who makes a response of it?",
            status=response.status_code,
            body=response.text[:80],
        ) from None


def paths_in(value: Any, prefix: str = "") -> Iterator[str]:
    """Name the path of each field in a body."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield join(prefix, name)
            yield from paths_in(inner, join(prefix, name))
    elif isinstance(value, list):
        for inner in value:
            yield from paths_in(inner, f"{prefix}[]")


def expect_public(
    response: httpx.Response, status: int, answer: str, secrets: dict[str, str], app: Any
) -> None:
    """Fail with a lesson unless an answer has exactly the public fields."""
    expect_status(response, status, because="the request is right")
    seen = set(paths_in(json_of(response)))
    sent = response.text + "".join(response.headers.values())
    told = [name for name, value in secrets.items() if value in sent]
    extra, missing = sorted(seen - expected(answer)), sorted(expected(answer) - seen)
    request = f"{response.request.method} {response.request.url.path}"
    where = _place_of_endpoint(app, response.request)
    if extra and told:
        raise lesson(
            "secrets-shown",
            seen="{request} shows {count} fields that are not public: {extra}. The answer "
            "contains {told}.",
            production="Whoever can send this request has them, and so has every cache and every "
            "log on the way.",
            look="Which fields does this answer have, and who chose them?",
            where=where,
            request=request,
            count=len(extra),
            extra=", ".join(extra),
            told=shortened(told),
        )
    if extra:
        raise lesson(
            "private-names-shown",
            seen="{request} shows {count} fields that are not public: {extra}. Their values are "
            "covered or empty: {body}",
            production="The answer tells what is stored, and it is one change away from telling "
            "the value.",
            look="Which fields does the contract name for this answer?",
            where=where,
            request=request,
            count=len(extra),
            extra=", ".join(extra),
            body=cut(response.text, 160),
        )
    if told:
        raise lesson(
            "secrets-under-other-names",
            seen="{request} has only public fields, but its values or headers contain {told}.",
            production="A secret is as public under another name.",
            look="Search the answer for the value.",
            where=where,
            request=request,
            told=shortened(told),
        )
    if missing:
        raise lesson(
            "public-fields-missing",
            seen="{request} does not show {missing}, which is public.",
            production="The screens of the brigade stay empty.",
            look="Compare the answer with the contract on the page of this kata.",
            where=where,
            request=request,
            missing=", ".join(missing),
        )


def _place_of_endpoint(app: Any, request: httpx.Request) -> Place | None:
    for route in app.routes:
        regex, methods = getattr(route, "path_regex", None), getattr(route, "methods", None) or ()
        code = getattr(getattr(route, "endpoint", None), "__code__", None)
        if regex and code and regex.match(request.url.path) and request.method in methods:
            text = linecache.getline(code.co_filename, code.co_firstlineno).strip()
            return Place(code.co_filename, code.co_firstlineno, code.co_name, text)
    return None


async def openapi(client: httpx.AsyncClient) -> dict[str, Any]:
    response = await client.get("/openapi.json")
    expect_status(response, 200, because="the OpenAPI document is public")
    document: dict[str, Any] = json_of(response)
    return document


def schema_of(document: dict[str, Any], answer: str) -> dict[str, Any]:
    """Find the schema of an answer of success; an empty one if there is none."""
    method, wanted = answer.split(" ")
    for path, operations in document.get("paths", {}).items():
        if re.sub(r"\{[^}]*\}", "{}", path) == wanted:
            responses = operations.get(method.lower(), {}).get("responses", {})
            schemas = [
                content["schema"]
                for status, told in responses.items()
                if status.startswith("2")
                for content in told.get("content", {}).values()
                if "schema" in content
            ]
            return {"anyOf": schemas}
    return {}


def resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        found: Any = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        schema = found
    return schema


def walk(
    document: dict[str, Any], schema: Any, prefix: str = "", depth: int = 0
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name the path of each field that a schema knows, with the schema of the field."""
    if not isinstance(schema, dict) or depth > 12:
        return
    schema = resolved(document, schema)
    for part in (part for key in ("allOf", "anyOf", "oneOf") for part in schema.get(key, ())):
        yield from walk(document, part, prefix, depth + 1)
    properties = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in properties:
            yield join(prefix, f"{name}{ONLY_REQUIRED}"), {}
    for name, inner in properties.items():
        yield join(prefix, name), inner
        yield from walk(document, inner, join(prefix, name), depth + 1)
    if properties and schema.get("additionalProperties"):
        yield join(prefix, "*"), {}
    for inner in (schema.get("items"), *schema.get("prefixItems", ())):
        yield from walk(document, inner, f"{prefix}[]", depth + 1)


def allows(document: dict[str, Any], schema: dict[str, Any], text: str) -> bool:
    """Tell whether a schema allows a text."""
    schema = resolved(document, schema)
    for key in ("anyOf", "oneOf"):
        if key in schema and not any(allows(document, part, text) for part in schema[key]):
            return False
    return (
        all(allows(document, part, text) for part in schema.get("allOf", ()))
        and "string" in schema.get("type", "string")
        and schema.get("minLength", 0) <= len(text) <= schema.get("maxLength", len(text))
        and re.search(schema.get("pattern", ""), text) is not None
        and text in schema.get("enum", (text,))
        and text == schema.get("const", text)
    )
