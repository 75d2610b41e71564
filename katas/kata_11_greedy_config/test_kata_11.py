"""The club changes a text only where the contract lets it, and judges addresses by the rules."""

from __future__ import annotations

import itertools
import socket
import sys
from types import ModuleType
from typing import Any

import httpx
import pytest

from fastapi_katas.probes import Lesson, expect_status, lesson

# What people really have at the edge of a password: typed, pasted, or made by a manager.
EDGES = ["  {}", "{} ", "\t{}\n", "\u00a0{}", "{}\u3000"]
REAL = [
    "ana+chess@example.com",
    "m.o'brien@example.org",
    "bank&sons@mail.example.net",
    "club=42/juniors@example.com",
    "jürgen+turm@schachklub-münchen.de",
]
NONSENSE = [
    "..@...x",
    "a@-.-.co",
    "ana@example..com",
    ".ana@example.com",
    "ana.@example.com",
    "ana..ruiz@example.com",
    "ana@-example.com",
    "ana@example-.com",
    "ana@192.168.0.1",
    "ana@exam_ple.com",
    f"ana@{'a' * 64}.com",
]
# These have the form of an address. That they cannot exist stands in a list, not in a pattern.
RESERVED = ["ana@club.test", "ana@printer.local"]
USUAL = [
    "ana.ruiz@mail.example.com",
    "Ana.RUIZ@example.org",
    "7@example.org",
    "ana-maria_r@example.photography",
    "jürgen@example.com",
    "ana@schachklub-münchen.de",
    # As long as an address can be: 254 characters.
    f"{'k' * 64}@{'b' * 63}.{'c' * 63}.{'d' * 49}.example.com",
]
BROKEN = [
    "",
    "ana",
    "@example.com",
    "ana@",
    "ana@example",
    "ana@@example.com",
    "ana ruiz@example.com",
    "ana@example.com,bo@example.com",
    "ana@example.com\nBcc: bo@example.com",
]
PASSWORD_DOORS = ["sign-up", "change"]
PROFILE_DOORS = ["sign-up", "profile"]
DONE = {"sign-up": 201, "profile": 200, "change": 204}


class Club:
    """The desk of the club, with a federation that notes what reaches it."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.numbers = itertools.count(1)
        self.opened: list[tuple[Any, Any]] = []
        self.changed: list[tuple[Any, Any, Any]] = []
        self.looked_up: list[str] = []
        self.refusal: type[Exception] | None = None

    async def sign_up(self, **fields: Any) -> httpx.Response:
        form = {
            "name": "Ana Ruiz",
            "email": f"player{next(self.numbers)}@example.com",
            "password": "Nf3-to-g5-check",
        }
        return await self.client.post("/members", json=form | fields)

    async def join(self, **fields: Any) -> int:
        """Sign a member up, and return the number of the member."""
        response = await self.sign_up(**fields)
        expect_status(response, 201, because="a member signs up")
        number: int = response.json()["id"]
        return number

    async def send(self, door: str, **fields: Any) -> httpx.Response:
        """Send a valid form with some fields changed; a member is signed up first if needed."""
        self.opened.clear()
        if door == "sign-up":
            return await self.sign_up(**fields)
        number = await self.join(bio="Plays since 1998.")
        self.opened.clear()
        self.changed.clear()
        if door == "profile":
            form = {"name": "Bo Larsen", "bio": "Likes endgames.", "openings": ["Réti"]}
            return await self.client.put(f"/members/{number}/profile", json=form | fields)
        form = {"current_password": "Nf3-to-g5-check", "new_password": "Qh5-and-then-f7"}
        return await self.client.put(f"/members/{number}/password", json=form | fields)

    async def set_password(self, door: str, password: str) -> httpx.Response:
        return await self.send(
            door, **{"password" if door == "sign-up" else "new_password": password}
        )

    @property
    def passwords(self) -> list[Any]:
        """The new passwords that reached the federation."""
        return [call[-1] for call in [*self.opened, *self.changed]]


@pytest.fixture
def club(module: ModuleType, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> Club:
    club = Club(client)

    async def open_account(self: Any, email: str, password: str) -> None:
        club.opened.append((email, password))
        if club.refusal:
            raise club.refusal

    async def change(self: Any, email: str, current: str, new: str) -> None:
        club.changed.append((email, current, new))
        if club.refusal:
            raise club.refusal

    monkeypatch.setattr(module.FederationAccounts, "open", open_account)
    monkeypatch.setattr(module.FederationAccounts, "change", change)

    _watch_lookups(club, monkeypatch)
    return club


@pytest.mark.goal
async def test_password_of_sign_up_arrives_as_typed(club: Club) -> None:
    """The federation gets the password of a new member exactly as it was typed."""
    await _expect_as_typed(club, "sign-up", "password", "rook takes e5")


@pytest.mark.goal
@pytest.mark.parametrize("field", ["current_password", "new_password"])
async def test_passwords_of_a_change_arrive_as_typed(club: Club, field: str) -> None:
    """The federation gets both passwords of a change exactly as they were typed."""
    await _expect_as_typed(club, "change", field, "bishop to c4")


@pytest.mark.goal
@pytest.mark.parametrize("door", PASSWORD_DOORS)
async def test_every_character_of_a_password_counts(club: Club, door: str) -> None:
    """The length of a password is 10 to 128 characters, counted as it was typed."""
    for typed, allowed in [
        (" pawn-e4. ", True),
        (" " * 9, False),
        (" " * 10, True),
        (" " + "k" * 127 + " ", False),
    ]:
        response = await club.set_password(door, typed)
        expected = DONE[door] if allowed else 422
        if response.status_code != expected and response.status_code in (201, 204, 422):
            raise lesson(
                "password-miscounted",
                seen="A password of {length} characters, {spaces} of them spaces, was sent to "
                "{door}. Expected {expected}, the answer was {status}: {says}.",
                production="The form in the browser and the service count differently, and nobody "
                "can explain to the member what is wrong with the password.",
                look="Which characters are there when the length is measured?",
                length=len(typed),
                spaces=typed.count(" "),
                door=door,
                expected=expected,
                status=response.status_code,
                says=_complaints(response),
            )
        expect_status(response, expected, because="a password has 10 to 128 characters")


@pytest.mark.goal
@pytest.mark.parametrize("door", PROFILE_DOORS)
async def test_bio_may_be_empty(club: Club, door: str) -> None:
    """An empty bio is a bio: it is accepted, stored and shown as an empty text."""
    response = await club.send(door, bio="")
    if response.status_code == 422:
        raise lesson(
            "empty-bio-refused",
            seen='A form with the bio "" was sent to {door}. The answer was 422: {says}.',
            production="A member who wants to say nothing has to invent something, and one who "
            "wants to take words back cannot.",
            look="Which line asks for a minimum here?",
            door=door,
            says=_complaints(response),
        )
    expect_status(response, DONE[door], because="a bio may be empty")
    shown = (await club.client.get(f"/members/{response.json()['id']}")).json()
    bios = [response.json().get("bio", "no bio"), shown.get("bio", "no bio")]
    if bios != ["", ""]:
        raise lesson(
            "bio-changed",
            seen='The bio "" was sent to {door}. The answer shows {answered}, and the member is '
            "stored with {stored}.",
            production="Clients that know this field as a text meet something else.",
            look="Follow the empty text from the form to the member.",
            door=door,
            answered=repr(bios[0]),
            stored=repr(bios[1]),
        )


@pytest.mark.goal
async def test_real_addresses_are_accepted(club: Club) -> None:
    """An address that can receive mail is an address, whatever it looks like."""
    await _expect_accepted(club, REAL)


@pytest.mark.goal
async def test_nonsense_addresses_are_refused(club: Club) -> None:
    """What can be nobody's address is refused, and no account is opened for it."""
    await _expect_refused(club, NONSENSE + RESERVED)


@pytest.mark.guard
async def test_usual_addresses_stay_accepted(club: Club) -> None:
    """What was right stays right, international addresses too."""
    await _expect_accepted(club, USUAL)


@pytest.mark.guard
async def test_broken_addresses_stay_refused(club: Club) -> None:
    """What was wrong stays wrong."""
    await _expect_refused(club, BROKEN)


@pytest.mark.guard
async def test_spaces_around_an_address_are_removed(club: Club) -> None:
    """Spaces around an address do not belong to it."""
    await _expect_accepted(club, ["  ana@example.com ", " jo.doe@example.org"])


@pytest.mark.guard
async def test_sign_up_asks_no_name_server(club: Club) -> None:
    """Whether a domain exists is not asked while somebody signs up."""
    await club.join(email="ana@club-of-nobody.example.net")
    if club.looked_up:
        raise lesson(
            "asked-the-network",
            seen="One sign-up made {count} lookups of names in the network: {names}.",
            production="The whole service waits for a name server that somebody else runs, and "
            "refuses real members when it is down.",
            look="What does the check of the address do by default?",
            count=len(club.looked_up),
            names=", ".join(club.looked_up),
        )


@pytest.mark.guard
@pytest.mark.parametrize("door", PROFILE_DOORS)
async def test_names_and_openings_are_stripped(club: Club, door: str) -> None:
    """Spaces around a name, and around each opening, are removed; those inside stay."""
    fields = {
        "name": "\u00a0\tAna de la  Cruz\u3000 ",
        "openings": [" Sicilian Defence\n", "London \u00a0"],
    }
    response = await club.send(door, **fields)
    expect_status(response, DONE[door], because="spaces around a name do no harm")
    body = response.json()
    for field, wanted in [
        ("name", "Ana de la  Cruz"),
        ("openings", ["Sicilian Defence", "London"]),
    ]:
        if body.get(field) != wanted:
            raise lesson(
                f"{field}-not-stripped",
                seen="{door} got {sent} as {field}, and the member is stored with {stored}.",
                production="Lists are sorted wrongly, and a search for the text finds nothing.",
                look="Which line removes the spaces around this text now?",
                door=door,
                field=field,
                sent=repr(fields[field]),
                stored=repr(body.get(field)),
            )


@pytest.mark.guard
@pytest.mark.parametrize(("field", "most"), [("name", 60), ("openings", 40)])
async def test_length_of_names_and_openings(club: Club, field: str, most: int) -> None:
    """A name has 1 to 60 characters and an opening 1 to 40, without the spaces around them."""
    for door in PROFILE_DOORS:
        for text, allowed in [
            ("", False),
            ("   ", False),
            ("K", True),
            ("K" * most, True),
            (f" {'K' * most} ", True),
            ("K" * (most + 1), False),
        ]:
            value = text if field == "name" else ["Réti", text]
            _judge(await club.send(door, **{field: value}), door, field, text, allowed)


@pytest.mark.guard
@pytest.mark.parametrize("door", PROFILE_DOORS)
async def test_limits_of_the_profile(club: Club, door: str) -> None:
    """A bio has at most 300 characters, and there are at most 5 openings."""
    for field, value, allowed in [
        ("bio", "b" * 300, True),
        ("bio", "b" * 301, False),
        ("openings", [], True),
        ("openings", ["King's Gambit"] * 5, True),
        ("openings", ["King's Gambit"] * 6, False),
    ]:
        _judge(await club.send(door, **{field: value}), door, field, value, allowed)


@pytest.mark.guard
@pytest.mark.parametrize("door", PASSWORD_DOORS)
async def test_usual_passwords(club: Club, door: str) -> None:
    """Without spaces at its edges, a password of 10 to 128 characters arrives, and no other."""
    for typed, allowed in [
        ("Bb5+ Kf1!", False),
        (" Bb5 Kf1 ", False),
        ("Bb5+ Kf1!?", True),
        ("Zu\u0308g  UND Gegenzug", True),
        ("\u265e" * 9, False),
        ("\u265e" * 128, True),
        ("x" * 128, True),
        ("x" * 129, False),
    ]:
        response = await club.set_password(door, typed)
        _judge(response, door, "password", typed, allowed)
        if club.passwords != [typed] * allowed:
            raise _password_changed("password", [(typed, club.passwords)], asked=1)
        assert not allowed or typed not in response.text


@pytest.mark.guard
async def test_current_password_may_be_short(club: Club) -> None:
    """The current password has 1 to 128 characters: older accounts have shorter ones."""
    for length in (0, 1, 9, 128, 129):
        response = await club.send("change", current_password="q" * length)
        _judge(response, "change", "current_password", "q" * length, 1 <= length <= 128)


@pytest.mark.guard
async def test_unknown_fields_are_refused(club: Club) -> None:
    """A field that no form has is an error, not something to ignore."""
    for door in DONE:
        response = await club.send(door, rating=2800)
        expect_status(response, 422, because=f"the form of {door} has no such field")


@pytest.mark.guard
async def test_what_is_no_text_is_refused(club: Club) -> None:
    """A number, a list or nothing in the place of a text is an error of the form."""
    for door, field, value in [
        ("sign-up", "name", 7),
        ("sign-up", "email", ["ana@example.com"]),
        ("sign-up", "password", 1234567890),
        ("profile", "openings", ["Réti", None]),
        ("profile", "bio", None),
        ("change", "current_password", 1234567890),
    ]:
        response = await club.send(door, **{field: value})
        expect_status(response, 422, because=f"{field} of {door} cannot be {value!r}")
        assert (club.opened, club.changed) == ([], [])


@pytest.mark.guard
async def test_member_is_stored_and_changed(club: Club) -> None:
    """A sign-up without bio and openings stores a member, whose profile can be replaced."""
    response = await club.sign_up(email="cleo@example.org")
    expect_status(response, 201, because="bio and openings may be left out")
    address, member = response.headers["Location"], response.json()
    profile = {"name": "Ana Ruiz", "bio": "", "openings": []}
    assert member == {"id": member["id"], "email": "cleo@example.org"} | profile
    assert address == f"/members/{member['id']}"
    for sent in (
        {"name": "Cleo Ruiz", "bio": "Two  knights,\none rook.", "openings": ["Réti", "Caro-Kann"]},
        {"name": "Ana Ruiz"},
    ):
        response = await club.client.put(f"{address}/profile", json=sent)
        expect_status(response, 200, because="a member may replace the profile")
        shown = await club.client.get(address)
        expect_status(shown, 200, because="the member is there")
        replaced = member | profile | sent
        if not response.json() == shown.json() == replaced:
            raise lesson(
                "profile-not-replaced",
                seen="A profile was replaced by {sent}. The answer is {answered}, and the member "
                "is stored as {stored}.",
                production="Members see a profile that they have not sent, and what they took out "
                "stays on the page of the club.",
                look="What does the contract say about this field, and about one that is left out?",
                sent=repr(sent),
                answered=response.text,
                stored=shown.text,
            )


@pytest.mark.guard
async def test_refusals_of_the_federation_and_unknown_members(
    club: Club, module: ModuleType
) -> None:
    """A taken address is 409, a wrong current password 403, an unknown member 404."""
    number = await club.join()
    club.refusal = module.AddressTakenError
    expect_status(await club.sign_up(), 409, because="the address is taken")
    club.refusal = module.WrongPasswordError
    form = {"current_password": "guess", "new_password": "Qh5-and-then-f7"}
    for who, expected in [(number, 403), (number + 7, 404)]:
        response = await club.client.put(f"/members/{who}/password", json=form)
        expect_status(response, expected, because="the page says so")
    for unknown in (number + 1, number + 7):
        response = await club.client.get(f"/members/{unknown}")
        expect_status(response, 404, because=f"only {number} is a member, the other was refused")


def _watch_lookups(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    """Note who asks for a name in the network, and let nobody get there."""

    def check(domain: str, *args: Any, **options: Any) -> dict[str, str]:
        club.looked_up.append(domain)
        return {"unknown-deliverability": "timeout"}

    def look_up(*args: Any, **options: Any) -> None:
        club.looked_up.append(next(str(name) for name in args if isinstance(name, str | bytes)))
        raise OSError("no network in tests")

    # The library imports its half with the name servers late, since that takes long. It need not
    # be imported here at all.
    half: Any = ModuleType("email_validator.deliverability")
    half.validate_email_deliverability = check
    half.caching_resolver = lambda **options: None
    monkeypatch.setitem(sys.modules, half.__name__, half)
    if "dns.resolver" in sys.modules:
        monkeypatch.setattr(sys.modules["dns.resolver"].Resolver, "resolve", look_up)
    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def _complaints(response: httpx.Response) -> str:
    """What a 422 complains about, without what was sent."""
    if response.status_code != 422:
        return "no complaint"
    detail = response.json()["detail"]
    return "; ".join(f"{error['loc'][-1]}: {error['msg']}" for error in detail)


async def _expect_accepted(club: Club, addresses: list[str]) -> None:
    refused: dict[str, str] = {}
    changed: dict[str, str] = {}
    for email in addresses:
        response = await club.send("sign-up", email=email)
        if response.status_code == 422:
            refused[email] = _complaints(response)
            continue
        expect_status(response, 201, because=f"{email} is a real address")
        shown = {response.json().get("email"), *(call[0] for call in club.opened)}
        if shown != {email.strip()} or len(club.opened) != 1:
            changed[email] = " and ".join(sorted(map(repr, shown)))
    if refused:
        raise lesson(
            "real-address-refused",
            seen="{count} of {asked} addresses were refused with 422: {emails}. The last one "
            "because of this: {says}.",
            production="A person with this address cannot become a member, and no other address "
            "is at hand.",
            look="Read the check of the address character by character: what is not in it?",
            count=len(refused),
            asked=len(addresses),
            emails=", ".join(map(repr, refused)),
            says=list(refused.values())[-1],
        )
    if changed:
        raise lesson(
            "address-changed",
            seen="{count} of {asked} addresses became something else: {changes}.",
            production="Mail goes to somebody else, or nowhere.",
            look="Follow the address from the form to the account and to the answer.",
            count=len(changed),
            asked=len(addresses),
            changes="; ".join(f"{sent!r} became {shown}" for sent, shown in changed.items()),
        )


async def _expect_refused(club: Club, addresses: list[str]) -> None:
    accepted: list[str] = []
    accounts = 0
    for email in addresses:
        response = await club.send("sign-up", email=email)
        accounts += len(club.opened)
        if response.status_code == 201:
            accepted.append(email)
            continue
        expect_status(response, 422, because=f"{email!r} can be nobody's address")
    if accepted or accounts:
        only_reserved = set(accepted) <= {*RESERVED}
        raise lesson(
            "reserved-accepted" if only_reserved else "nonsense-accepted",
            seen="{count} of {asked} addresses were accepted: {emails}. The federation opened "
            "{accounts} accounts for them.",
            production="The member never gets a message, and nobody knows why.",
            look="What does the check know about a domain, apart from its characters?"
            if only_reserved
            else "Read the check of the address: in which order may its characters stand?",
            count=len(accepted),
            asked=len(addresses),
            emails=", ".join(map(repr, accepted)),
            accounts=accounts,
        )


async def _expect_as_typed(club: Club, door: str, field: str, core: str) -> None:
    lost: list[tuple[str, list[Any]]] = []
    for edge in EDGES:
        typed = edge.format(core)
        response = await club.send(door, **{field: typed})
        expect_status(response, DONE[door], because="this password is long enough")
        calls = club.opened if door == "sign-up" else club.changed
        got = [call[1 if field != "new_password" else 2] for call in calls]
        if got != [typed]:
            lost.append((typed, got))
    if lost:
        raise _password_changed(field, lost, asked=len(EDGES))


def _password_changed(field: str, lost: list[tuple[str, list[Any]]], asked: int) -> Lesson:
    trimmed = all(got == [typed.strip()] for typed, got in lost)
    return lesson(
        f"{field.replace('_', '-')}-{'trimmed' if trimmed else 'changed'}",
        seen="Of {asked} texts typed as {field}, {count} did not arrive as they were typed: "
        "{changes}.",
        production="The member types the same password on the pages of the federation, which "
        "compares every character, and is refused.",
        look="Which line touches this text between the request and the endpoint?",
        asked=asked,
        field=field,
        count=len(lost),
        changes="; ".join(
            f"{typed!a} arrived as {', '.join(map(ascii, got)) or 'nothing at all'}"
            for typed, got in lost
        ),
    )


def _judge(response: httpx.Response, door: str, field: str, value: Any, allowed: bool) -> None:
    """Expect the answer of a form whose one field is allowed or not."""
    expected = DONE[door] if allowed else 422
    if response.status_code != expected and response.status_code in (200, 201, 204, 422):
        size = "items" if isinstance(value, list) else "characters"
        stripped = len(value.strip()) if isinstance(value, str) else len(value)
        raise lesson(
            f"{field.replace('_', '-')}-{'refused' if allowed else 'accepted'}",
            seen="{door} got {length} {size} as {field}, {stripped} without spaces around them. "
            "Expected {expected}, the answer was {status}: {says}.",
            production="The rule that the page states does not hold any more.",
            look="Compare the rule of this field with the contract on the page of this kata.",
            door=door,
            field=field,
            length=len(value),
            size=size,
            stripped=stripped,
            expected=expected,
            status=response.status_code,
            says=_complaints(response),
        )
    expect_status(response, expected, because=f"the page states the length of {field}")
