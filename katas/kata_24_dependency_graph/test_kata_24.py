"""One dependency says who asks; every check builds on it, and the router guards every route."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Header

from fastapi_katas.probes import Place, WatchingTransport, expect_status, lesson, place_in_stack

# Who asks: with which key, and what the register says of this person.
KEYS = {"stranger": "wool-0", "leaver": "lace-3", "dresser": "felt-8", "lender": "hemp-5"}
KEYS["keeper"] = "jute-2"
# No keys: the text of a good one, with another scheme and without any.
NO_KEYS = {"other-scheme": f"Basic {KEYS['keeper']}", "no-scheme": KEYS["lender"]}
PEOPLE: dict[str, dict[str, Any]] = {
    "leaver": {"name": "Lore", "may": ["lend", "retire"], "active": False},
    "dresser": {"name": "Dana", "may": []},
    "lender": {"name": "Levi", "may": ["lend"]},
    "keeper": {"name": "Kim", "may": ["retire"]},
}

# Who may do what. Only those who may do it are told that a costume is missing or a body is wrong.
CALLERS = ["nobody", *NO_KEYS, *KEYS]
TABLE = {
    #                                      nobody other none stranger leaver dresser lender keeper
    "GET /wardrobe/costumes":                "401  401  401  401      403    200     200    200",
    "GET /wardrobe/loans":                   "401  401  401  401      403    403     200    403",
    "POST /wardrobe/costumes/wig-4/loan":    "401  401  401  401      403    403     200    403",
    "POST /wardrobe/costumes/wig-9/loan":    "401  401  401  401      403    403     404    403",
    "POST /wardrobe/costumes/wig-4/loan {}": "401  401  401  401      403    403     422    403",
    "DELETE /wardrobe/costumes/wig-4":       "401  401  401  401      403    403     403    200",
    "DELETE /wardrobe/costumes/wig-9":       "401  401  401  401      403    403     403    404",
}  # fmt: skip
NAMES = ["list", "loans", "lend", "lend-missing", "lend-empty", "retire", "retire-missing"]
ANY_STAFF, LOANS = "GET /wardrobe/costumes", "GET /wardrobe/loans"
LEND = "POST /wardrobe/costumes/wig-4/loan"

# What can be wrong with a cell, the worst first, and what that means.
MEANING = {
    "let-in": (
        "Whoever finds the address reads or changes what is not theirs, and nobody notices.",
        "Which checks does this request pass, and which ones do the other requests pass?",
    ),
    "told-before-refused": (
        "Somebody without the right learns which costumes exist and which fields a request has.",
        "What has been looked at before anybody asks who is there?",
    ),
    "other-refusal": (
        "A client with an old key does not get a new one, or a person with a good key is asked "
        "for it again and again.",
        "How many places decide which refusal this is?",
    ),
    "shut-out": (
        "People with a good key cannot do their work.",
        "Which check refuses this person, and what does it look at?",
    ),
}
OTHER = (
    "Clients read the answer, and decide by it what to do next.",
    "Compare the answer with what the page says about it.",
)
FAULTS = [*MEANING, "done-all-the-same", "no-challenge", "other-status", "other-name"]


@pytest.fixture(autouse=True)
def loads(module: Any) -> list[Place | None]:
    """Put people into the register, and write down the line that asks for each load."""
    register = module.REGISTER
    load, lines = register.load, list[Place | None]()

    async def counted_load(key: str) -> Any:
        # The line in the caller's caller, if that is the module's too, else the line of the call.
        asking = sys._getframe(1)
        lines.append(place_in_stack(asking.f_back) or place_in_stack(asking))
        return await load(key)

    register.rows.clear()
    register.rows.update((KEYS[who], module.Person(**row)) for who, row in PEOPLE.items())
    register.load = counted_load
    return lines


def cells(line: str) -> dict[str, int]:
    """Give for each caller the status that the table has in this line."""
    return dict(zip(CALLERS, map(int, TABLE[line].split()), strict=True))


def headers_of(caller: str) -> dict[str, str]:
    """Give the headers that a caller sends."""
    if caller in NO_KEYS:
        return {"Authorization": NO_KEYS[caller]}
    return {"Authorization": f"Bearer {KEYS[caller]}"} if caller in KEYS else {}


async def send(
    line: str, module: Any, client: httpx.AsyncClient, headers: dict[str, str]
) -> httpx.Response:
    """Send the request of one line of the table, with one costume in the wardrobe."""
    module.COSTUMES.clear()
    module.COSTUMES["wig-4"] = module.Costume(tag="wig-4")
    method, path, *empty = line.split()
    body = None if method != "POST" else {} if empty else {"borrower": "Stage two"}
    response = await client.request(method, path, headers=headers, json=body)
    if response.status_code == 500:
        expect_status(response, 200, because="no request of the table is a crash")
    return response


def judge(response: httpx.Response, wanted: int, module: Any) -> str:
    """Say what is wrong with the answer in one cell of the table, by its name in `FAULTS`."""
    status, refusals = response.status_code, (401, 403)
    if wanted in refusals and status not in refusals:
        return "let-in" if response.is_success else "told-before-refused"
    if status != wanted and wanted in refusals:
        return "other-refusal"
    if status != wanted:
        return "shut-out" if status in refusals else "other-status"
    challenge = response.headers.get("WWW-Authenticate", "")
    if wanted == 401 and not challenge.lower().startswith("bearer"):
        return "no-challenge"
    untouched = {"wig-4": module.Costume(tag="wig-4")}
    return "done-all-the-same" if wanted >= 400 and untouched != module.COSTUMES else ""


def told(who: str, response: httpx.Response, wanted: int, fault: str) -> str:
    """Tell what was seen in one cell."""
    status = response.status_code
    wrong = f"instead of {wanted}" if status != wanted else f"and {fault.replace('-', ' ')}"
    return f"{who} got {status} {wrong}"


@pytest.mark.goal
@pytest.mark.parametrize("line", TABLE, ids=NAMES)
async def test_each_key_opens_what_the_table_says(
    line: str, module: Any, client: httpx.AsyncClient
) -> None:
    """Each request is answered for each key as the table says; who is refused learns no more."""
    faults = {}
    for caller, wanted in cells(line).items():
        response = await send(line, module, client, headers_of(caller))
        if fault := judge(response, wanted, module):
            faults[told(caller, response, wanted, fault)] = fault
    if faults:
        key = min(faults.values(), key=FAULTS.index)
        production, look = MEANING.get(key, OTHER)
        raise lesson(
            key,
            seen="{line}: {faults}.",
            production=production,
            look=look,
            line=line,
            faults="; ".join(faults),
        )


@pytest.mark.goal
async def test_person_is_loaded_once_for_each_request(
    module: Any, client: httpx.AsyncClient, loads: list[Place | None]
) -> None:
    """Each request with a key asks the register once, and is answered by the row of now."""
    asked: dict[str, list[Place | None]] = {}
    for line, caller in ((line, caller) for line in TABLE for caller in KEYS):
        loads.clear()
        await send(line, module, client, headers_of(caller))
        asked[f"{line} as {caller}"] = list(loads)
    most = max(asked, key=lambda request: len(asked[request]))
    if len(asked[most]) > 1:
        raise lesson(
            "loaded-twice" if len(asked[most]) == 2 else "loaded-many-times",
            seen="{request} asked the register {count} times for one person.",
            production="The staff office answers each of these questions over the network, and "
            "two answers to one request may differ.",
            look="Who asks at each of these lines, and for whom?",
            where=asked[most],
            request=most,
            count=len(asked[most]),
        )
    if never := [request for request, lines in asked.items() if not lines]:
        raise lesson(
            "not-loaded",
            seen="{count} of {all} requests with a key were answered, and the register was never "
            "asked. The first one: {request}.",
            production="A key that was handed in an hour ago still opens the wardrobe.",
            look="From where does this request know who sent it?",
            request=never[0],
            count=len(never),
            all=len(asked),
        )
    key, told_now = KEYS["lender"], list[str]()
    for who in ("lender", "leaver", "stranger", "lender"):
        module.REGISTER.rows.pop(key, None)
        if who in PEOPLE:
            module.REGISTER.rows[key] = module.Person(**PEOPLE[who])
        response = await send(LOANS, module, client, headers_of("lender"))
        told_now.append(f"{who}, {response.status_code}")
        if response.is_success != (cells(LOANS)[who] == 200):
            raise lesson(
                "old-row-used",
                seen="The row of one key was changed between requests. {line} with this key "
                "was answered: {answers}. The last one should be {wanted}.",
                production="A right that the office took away an hour ago still counts, or one "
                "that it gave does not.",
                look="For how long does the service keep what the register has said?",
                line=LOANS,
                answers="; ".join(told_now),
                wanted=cells(LOANS)[who],
            )


@pytest.mark.goal
async def test_one_override_reaches_every_check(
    module: Any, raw_app: FastAPI, client: httpx.AsyncClient, loads: list[Place | None]
) -> None:
    """With `get_current_user` overridden, the table holds for its person, whatever the key."""

    def signed_in(x_badge: Annotated[str, Header()]) -> Any:
        return module.Person(**PEOPLE[x_badge])

    raw_app.dependency_overrides[module.get_current_user] = signed_in
    # The key of somebody who may do all: it must not count beside the override.
    module.REGISTER.rows["silk-1"] = module.Person(name="Sira", may=["lend", "retire"])
    faults, places = dict[str, str](), list[Place | None]()
    without_key, requests = set[str](), 0
    for line, caller in ((line, caller) for line in TABLE for caller in PEOPLE):
        wanted, cell = cells(line)[caller], f"{line} as {caller}"
        for key in ({}, {"Authorization": "Bearer silk-1"}):
            loads.clear()
            response = await send(line, module, client, {"X-Badge": caller, **key})
            requests += 1
            fault = judge(response, wanted, module)
            if not fault and response.is_success and line not in (ANY_STAFF, LOANS):
                same = response.json().get("handled_by") == PEOPLE[caller]["name"]
                fault = "" if same else "other-name"
            if fault:
                who = f"{cell}, with the key of somebody else," if key else cell
                faults[told(who, response, wanted, fault)] = fault
                without_key |= set[str]() if key else {cell}
                places += loads
    if faults:
        everywhere = len(without_key) == len(TABLE) * len(PEOPLE)
        still_asked = f"register-asked-{'everywhere' if everywhere else 'in-places'}"
        worst = min(faults.values(), key=FAULTS.index)
        kind = f"override-{worst}" if without_key else f"key-beside-override-{worst}"
        raise lesson(
            still_asked if places else kind,
            seen="`get_current_user` was overridden, and each request was sent without a key and "
            "with one. {count} of {all} were not answered as the table says for the person that "
            "the override gave. The first one: {first}.",
            production="Tests of other teams cannot come in as anybody, so they switch checks "
            "off or keep real keys. A new way of signing in reaches only a part of the routes.",
            look="From where does each check get its person?",
            where=places,
            all=requests,
            count=len(faults),
            first=next(iter(faults)),
        )


@pytest.mark.goal
async def test_router_guards_routes_that_come_later(
    module: Any, raw_app: FastAPI, client: httpx.AsyncClient
) -> None:
    """What is added to `wardrobe`, a route or a router, is guarded, here and in another app."""
    module.wardrobe.add_api_route("/mended", mended)
    attic = APIRouter()
    attic.add_api_route("/stored", mended)
    module.wardrobe.include_router(attic, prefix="/attic")
    cellar = FastAPI()
    cellar.include_router(module.wardrobe, prefix="/cellar")
    transport = WatchingTransport(cellar)
    async with httpx.AsyncClient(transport=transport, base_url="http://cellar") as other:
        for app, asks, what in ((raw_app, client, "the app"), (cellar, other, "another app")):
            for end in ("/mended", "/stored", "/costumes"):
                path = next((path for path in app.openapi()["paths"] if path.endswith(end)), end)
                await expect_guarded(asks, path, what)


async def mended() -> list[str]:
    """Show the costumes that were mended; the tests add this as a route."""
    return ["wig-4"]


async def expect_guarded(client: httpx.AsyncClient, path: str, what: str) -> None:
    """Fail with a lesson unless a route lets in the staff, and nobody else."""
    nested = "nested-" if path.endswith("/stored") else ""
    for caller, wanted in cells(ANY_STAFF).items():
        response = await client.get(path, headers=headers_of(caller))
        if response.is_success and wanted != 200:
            raise lesson(
                f"{nested}route-unguarded-in-{what.replace(' ', '-')}",
                seen="In {what}, GET {path}, a route of `wardrobe`, answered {status} to "
                "{caller}; it should be {wanted}.",
                production="The next route that somebody writes is open, until somebody sees it.",
                look="Where does a route of the wardrobe get its guard from?",
                what=what,
                path=path,
                status=response.status_code,
                caller=caller,
                wanted=wanted,
            )
        expect_status(response, wanted, because=f"this is what the wardrobe says to {caller}")


@pytest.mark.guard
async def test_current_user_may_have_left(module: Any) -> None:
    """`get_current_user` alone, in another app, lets in each person with a key, or answers 401."""
    office = FastAPI()
    office.add_api_route("/desk", mended, dependencies=[Depends(module.get_current_user)])
    transport = WatchingTransport(office)
    async with httpx.AsyncClient(transport=transport, base_url="http://office") as client:
        for caller in CALLERS:
            response = await client.get("/desk", headers=headers_of(caller))
            wanted = 200 if caller in PEOPLE else 401
            expect_status(response, wanted, because=f"get_current_user was asked about {caller}")


@pytest.mark.guard
async def test_programme_is_open(client: httpx.AsyncClient, loads: list[Place | None]) -> None:
    """Everybody may read what plays tonight, and the document, with any key or none."""
    for caller in CALLERS:
        for path in ("/openapi.json", "/programme"):
            response = await client.get(path, headers=headers_of(caller))
            expect_status(response, 200, because=f"{path} is open to {caller}")
        assert response.json() == ["The Winter's Tale"]
    assert not loads, "the register was asked about a request that may come from anybody"


@pytest.mark.guard
async def test_costumes_are_lent_and_retired(module: Any, client: httpx.AsyncClient) -> None:
    """A loan and a retirement are in the answer and in the lists, with the name of who did it."""
    response = await send(LEND, module, client, headers_of("lender"))
    lent = {"tag": "wig-4", "borrower": "Stage two", "handled_by": "Levi"}
    expect_status(response, 200, because="the lender may lend, and the costume is there")
    assert response.json() == lent
    module.COSTUMES["hat-1"] = module.Costume(tag="hat-1")
    loans = await client.get("/wardrobe/loans", headers=headers_of("lender"))
    assert loans.json() == [lent]
    costumes = await client.get("/wardrobe/costumes", headers=headers_of("dresser"))
    assert costumes.json() == [lent, {"tag": "hat-1", "borrower": None, "handled_by": None}]
    response = await client.delete("/wardrobe/costumes/wig-4", headers=headers_of("keeper"))
    expect_status(response, 200, because="the keeper may retire, and the costume is there")
    assert response.json() == {**lent, "handled_by": "Kim"}
    assert list(module.COSTUMES) == ["hat-1"], "the retired costume is gone, and no other"
