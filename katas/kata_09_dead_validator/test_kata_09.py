"""Each rule of the club refuses what it forbids, and hands on what it allows."""

from __future__ import annotations

from itertools import product
from typing import Any

import httpx
import pytest

from fastapi_katas.probes import crash_of, expect_status, lesson, place_of_exception


def check_digit(stem: str) -> str:
    digits = [int(digit) for digit in stem]
    return str(-(sum(digits[::2]) + 3 * sum(digits[1::2])) % 10)


def licence(stem: str) -> str:
    return stem + check_digit(stem)


def wrong_licence(stem: str) -> str:
    return stem + str((int(check_digit(stem)) + 1) % 10)


REGISTER, REPLACE = "POST /drivers", "PUT /drivers/{id}"
FORMS = [pytest.param(REGISTER, id="register"), pytest.param(REPLACE, id="replace")]
ABSENT = object()
NUMBER = licence("71904463")
# Two licences without their last digit, and the way a driver may type such a number.
STEMS = [("40718253", "{}{}{} {}{}{} {}{}{}"), ("95630017", "{}{}{}{}{}{}{}{}{}")]
PASSWORD = "Brown-Otter-17"
WEAK = [
    pytest.param(["Brown-Otter-", "CAPITALS ONLY", "  spaces  "], id="no-digit"),
    pytest.param(["brown-otter-17", "7-lower-case", "1234567890"], id="no-capital"),
]
# The sums of these licences are right; only their form is wrong.
MALFORMED = [
    pytest.param("licence", ["", "12345676", "1234-56784", "\u0661" * 8 + "\u0664"], id="licence"),
    # Too many digits, or too few beside the spaces.
    pytest.param("licence", [" ", "1234567895", "1234567 6", "12345 67895"], id="licence-count"),
    pytest.param(
        "phone",
        ["", "+3460011", "003460011122233344", "600111222", "+0600111222", 34600111222],
        id="phone",
    ),
    pytest.param(
        "phone",
        ["+34600111222\n", "+3460 0111 222", "0034600111222 ", "+34600\u0661\u0661\u0661222"],
        id="phone-with-more",
    ),
    pytest.param("name", ["", "x" * 81, None], id="name"),
    pytest.param("extra", ["x"], id="unknown-field"),
]
OTHER_TYPES = [
    pytest.param([int(NUMBER), float(NUMBER)], id="number"),
    pytest.param([None], id="null"),
    pytest.param([[NUMBER], {"number": NUMBER}, True, [*NUMBER]], id="others"),
]


@pytest.mark.goal
@pytest.mark.parametrize("form", FORMS)
async def test_wrong_check_digit_is_refused(desk: Desk, form: str) -> None:
    """A licence with a wrong check digit is refused, however it is typed, and stored nowhere."""
    driver = await desk.registered()
    sent, accepted = 0, []
    for stem, typed in STEMS:
        right = check_digit(stem)
        for last in (digit for digit in "0123456789" if digit != right):
            sent += 1
            number = typed.format(*stem, last)
            response = await desk.send(form, licence=number)
            if response.is_success:
                accepted.append(number)
            else:
                expect_field(response, "licence", because="its check digit is wrong")
    if accepted:
        raise lesson(
            "wrong-licence-accepted",
            seen="{form} was sent {sent} licences with a wrong check digit, and accepted "
            "{accepted} of them, the first one {first!r}.",
            production="Cars are given to people whose licence does not exist. Nobody notices "
            "before the insurance asks.",
            look="Which code should refuse this value, and how would you know that it ran?",
            form=form,
            sent=sent,
            accepted=len(accepted),
            first=accepted[0],
        )
    await desk.expect_unchanged(driver)


@pytest.mark.goal
@pytest.mark.parametrize("form", FORMS)
async def test_phone_typed_with_00_is_kept(desk: Desk, form: str) -> None:
    """A telephone number that begins with 00 is stored with + in its place."""
    for stored in ("+34600111222", "+390061002003", "+49301123"):
        typed = "00" + stored[1:]
        response = await desk.send(form, phone=typed)
        expect_written(response, form)
        expect_phone(response, typed, stored)
        expect_phone(await desk.read(response.json()["driver_id"]), typed, stored)


@pytest.mark.goal
@pytest.mark.parametrize("values", OTHER_TYPES)
async def test_licence_of_another_type_is_refused(desk: Desk, values: list[Any]) -> None:
    """A licence that is no text is refused as any other wrong value, and nothing crashes."""
    driver = await desk.registered()
    for form, value in product((REGISTER, REPLACE), values):
        response = await desk.send(form, licence=value)
        if response.is_success:
            raise lesson(
                "wrong-type-accepted",
                seen="{form} took the licence {value}, which is no text, and answered {body}.",
                production="The schema promises one type, and the callers send several. One day "
                "a number that begins with zeros arrives without them.",
                look="What did the rules get to see, the value or something made of it?",
                form=form,
                value=repr(value),
                body=response.text,
            )
        crash = crash_of(response)
        if isinstance(crash, AttributeError):
            raise lesson(
                "wrong-type-crashes",
                seen="{form} got the licence {value} and ended in {error}, answered as {status}.",
                production="Anybody can make this request crash, each time with an alarm, and "
                "the app of the driver cannot say which field was wrong.",
                look="Which code sees the value before its type is checked?",
                where=place_of_exception(crash),
                form=form,
                value=repr(value),
                error=repr(crash),
                status=response.status_code,
            )
        expect_field(response, "licence", because="a licence that is no text breaks a rule")
    await desk.expect_unchanged(driver)


@pytest.mark.goal
@pytest.mark.parametrize("weak", WEAK)
async def test_new_password_obeys_the_rules(desk: Desk, weak: list[str]) -> None:
    """A changed password obeys the same rules as the first one."""
    driver = await desk.registered()
    for password in weak:
        response = await desk.change_password(driver["driver_id"], password)
        expect_refused_password(response, "new_password", password)
    await desk.expect_unchanged(driver)


@pytest.mark.goal
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("number", [wrong_licence("83310592"), None], ids=["digit", "null"])
async def test_broken_rules_are_reported_together(desk: Desk, form: str, number: Any) -> None:
    """One answer names every field that breaks a rule."""
    body: dict[str, Any] = {"name": "", "licence": number, "phone": "0049"}
    if form == REGISTER:
        body["password"] = "brown-otter"
    response = await desk.send(form, **body)
    expect_status(response, 422, because="all fields of this request break a rule")
    named = fields_of(response)
    if not named:
        raise no_field_named(response, ", ".join(body))
    missing = [field for field in body if field not in named]
    if missing:
        raise lesson(
            "some-fields-missing",
            seen="{form} was sent {sent} fields, and each of them breaks a rule. The answer names "
            "{named} and is silent about {missing}.",
            production="The driver mends one field, sends the form again, and learns of the next "
            "one only then; or never.",
            look="When is each of these rules applied, and what has to go well before?",
            form=form,
            sent=len(body),
            named=", ".join(named),
            missing=", ".join(missing),
        )


@pytest.mark.guard
@pytest.mark.parametrize(
    "typed",
    [
        pytest.param("{}{}{}{}{}{}{}{}{}", id="plain"),
        pytest.param("{}{}{} {}{}{} {}{}{}", id="groups"),
        pytest.param(" {}{} {}{}  {}{}{} {}{} ", id="spaces-around"),
    ],
)
async def test_driver_is_registered(desk: Desk, typed: str) -> None:
    """A driver is registered and can be read; the licence is stored without spaces."""
    for stem in ("00000000", "31415926", "27182818"):
        desk.vault.clear()
        number, password = licence(stem), f" {stem} Spaces Stay "
        response = await desk.send(REGISTER, licence=typed.format(*number), password=password)
        expect_written(response, REGISTER)
        driver = response.json()
        expected = {"driver_id": driver.get("driver_id"), **details(), "licence": number}
        expect_body(response, expected)
        expect_body(await desk.read(driver["driver_id"]), expected)
        desk.expect_vault((driver["driver_id"], password))


@pytest.mark.guard
@pytest.mark.parametrize("form", FORMS)
async def test_white_space_is_never_stored(desk: Desk, form: str) -> None:
    """A licence with a tab or a line break in it is refused, or stored without them."""
    for typed in (f"{NUMBER}\n", f"{NUMBER[:3]}\t{NUMBER[3:]}", f"\n{NUMBER}"):
        response = await desk.send(form, licence=typed)
        if response.is_success:
            expect_body(response, {**response.json(), **details(), "licence": NUMBER})
        else:
            expect_field(response, "licence", because="a line break is no digit")


@pytest.mark.guard
@pytest.mark.parametrize(
    "phone", [pytest.param(ABSENT, id="without-phone"), pytest.param(None, id="phone-null")]
)
async def test_details_are_replaced(desk: Desk, phone: Any) -> None:
    """All details are replaced; a driver may have no telephone, at first and later."""
    first = await desk.send(REGISTER, phone=phone)
    expect_written(first, REGISTER)
    expect_body(first, {**details(), "driver_id": first.json()["driver_id"], "phone": None})
    number = licence("16180339")
    for name, typed in (
        ("Ida Voss-Lind", number),
        (" ", " ".join(number)),
        ("\u00d6" * 80, number),
    ):
        response = await desk.send(REPLACE, name=name, licence=typed)
        expected = {"driver_id": desk.latest, "name": name, "licence": number}
        expect_body(response, {**details(), **expected})
    response = await desk.send(REPLACE, phone=phone)
    expected = {**details(), "driver_id": desk.latest, "phone": None}
    expect_body(response, expected)
    expect_body(await desk.read(desk.latest), expected)
    expect_body(await desk.read(first.json()["driver_id"]), first.json())


@pytest.mark.guard
async def test_password_is_changed(desk: Desk) -> None:
    """A new password reaches the vault exactly as it was typed, and nothing may stand beside it."""
    driver = await desk.registered()
    for password in ("Grey-Heron-3", " 4 Swans Swim ", "\u00c9-tangs-Bleus-9"):
        desk.vault.clear()
        response = await desk.change_password(driver["driver_id"], password)
        expect_status(response, 204, because="the password is changed")
        desk.expect_vault((driver["driver_id"], password))
    desk.vault.clear()
    body = {"new_password": PASSWORD, "extra": "x"}
    response = await desk.http.put(f"/drivers/{driver['driver_id']}/password", json=body)
    expect_field(response, "extra", because="a change of the password has one field")
    desk.expect_vault()


@pytest.mark.guard
@pytest.mark.parametrize("weak", WEAK)
async def test_first_password_obeys_the_rules(desk: Desk, weak: list[str]) -> None:
    """A password without a digit or without a capital letter is refused at registration."""
    for password in weak:
        response = await desk.send(REGISTER, password=password)
        expect_refused_password(response, "password", password)
    desk.expect_vault()


@pytest.mark.guard
@pytest.mark.parametrize(
    ("length", "allowed"),
    [
        pytest.param(9, False, id="below"),
        pytest.param(10, True, id="at-least"),
        pytest.param(100, True, id="at-most"),
        pytest.param(101, False, id="beyond"),
    ],
)
async def test_password_length(desk: Desk, length: int, allowed: bool) -> None:
    """A password has 10 to 100 characters, the first one and every later one."""
    password = "Heron3".ljust(length, "-")
    first = await desk.send(REGISTER, password=password)
    driver = await desk.registered()
    later = await desk.change_password(driver["driver_id"], password)
    because = f"a password of {length} characters has a wrong length"
    if allowed:
        expect_status(first, 201, because="a password of this length is allowed")
        expect_status(later, 204, because="a password of this length is allowed")
    else:
        expect_field(first, "password", because=because)
        expect_field(later, "new_password", because=because)


@pytest.mark.guard
@pytest.mark.parametrize(("field", "values"), MALFORMED)
async def test_malformed_value_is_refused(desk: Desk, field: str, values: list[Any]) -> None:
    """A value of a wrong form is refused, and so is an unknown field."""
    driver = await desk.registered()
    for form, value in product((REGISTER, REPLACE), values):
        because = f"{value!r} has a wrong form"
        expect_field(await desk.send(form, **{field: value}), field, because=because)
    await desk.expect_unchanged(driver)


@pytest.mark.guard
@pytest.mark.parametrize("form", FORMS)
async def test_right_phone_is_stored_as_it_is(desk: Desk, form: str) -> None:
    """A telephone number with + and 8 to 15 digits is stored as it is."""
    for phone in ("+34600112", "+346001112223334", "+390061002003"):
        response = await desk.send(form, phone=phone)
        expect_written(response, form)
        expect_phone(response, phone, phone)


@pytest.mark.guard
async def test_unknown_driver_is_not_found(desk: Desk) -> None:
    """A driver that nobody has registered is not found, not changed, and gets no password."""
    because = "there is no such driver"
    expect_status(await desk.http.get("/drivers/404"), 404, because=because)
    expect_status(await desk.change_password(404, PASSWORD), 404, because=because)
    response = await desk.http.put("/drivers/404", json=details())
    expect_status(response, 404, because=because)
    desk.expect_vault()


class Desk:
    """The desk of the club: it sends the forms, and remembers what the vault was given."""

    def __init__(self, http: httpx.AsyncClient, vault: list[tuple[Any, ...]]) -> None:
        self.http, self.vault = http, vault
        self.latest = 0
        self.registrations: list[tuple[int, str]] = []

    async def send(self, form: str, **fields: Any) -> httpx.Response:
        """Send a form that is right but for these fields; the replacements are for one driver."""
        body = {**details(), "password": PASSWORD, **fields}
        if form == REPLACE:
            self.latest = self.latest or (await self.registered())["driver_id"]
            del body["password"]
        body = {name: value for name, value in body.items() if value is not ABSENT}
        if form == REGISTER:
            return await self.http.post("/drivers", json=body)
        return await self.http.put(f"/drivers/{self.latest}", json=body)

    async def registered(self) -> dict[str, Any]:
        """Register a driver."""
        response = await self.http.post("/drivers", json={**details(), "password": PASSWORD})
        expect_status(response, 201, because="a driver whose form is right is registered")
        driver: dict[str, Any] = response.json()
        self.registrations.append((driver["driver_id"], PASSWORD))
        return driver

    async def change_password(self, driver_id: int, password: str) -> httpx.Response:
        return await self.http.put(
            f"/drivers/{driver_id}/password", json={"new_password": password}
        )

    async def read(self, driver_id: int) -> httpx.Response:
        response = await self.http.get(f"/drivers/{driver_id}")
        expect_status(response, 200, because="a registered driver can be read")
        return response

    async def expect_unchanged(self, driver: dict[str, Any]) -> None:
        """Fail unless the refused requests have left no trace."""
        for driver_id in [driver["driver_id"], self.latest or driver["driver_id"]]:
            expect_body(await self.read(driver_id), {**driver, "driver_id": driver_id})
        self.expect_vault(*self.registrations)

    def expect_vault(self, *calls: tuple[int, str]) -> None:
        """Fail unless exactly these passwords have reached the vault."""
        if self.vault != list(calls):
            raise lesson(
                "other-passwords-in-the-vault",
                seen="The vault was given {given}. By the contract it is {expected}.",
                production="The driver cannot sign in with the password that was typed.",
                look="Follow the password from the request to the vault.",
                given=repr(self.vault),
                expected=repr(list(calls)),
            )


def details() -> dict[str, Any]:
    return {"name": "Ida Voss", "licence": licence("62951413"), "phone": "+34600999888"}


def fields_of(response: httpx.Response) -> list[str]:
    """Return the names in the `loc` of all errors, in the order of the answer."""
    body = response.json()
    errors = body.get("detail") if isinstance(body, dict) else None
    named: list[str] = []
    for error in errors if isinstance(errors, list) else []:
        location = error.get("loc", []) if isinstance(error, dict) else []
        named += [str(part) for part in location[1:2]]
    return named


def no_field_named(response: httpx.Response, expected: str) -> AssertionError:
    body = response.json()
    listed = isinstance(body, dict) and isinstance(body.get("detail"), list)
    return lesson(
        "whole-body-named" if listed else "no-field-named",
        seen="{status} was answered with {body}. No `loc` in it names {expected}.",
        production="The app marks the wrong field by its `loc`. Without it, the driver reads "
        "that something is wrong, and guesses.",
        look="Compare this answer with the one for a name that is empty. Who made each of them?",
        status=response.status_code,
        body=response.text[:200],
        expected=expected,
    )


def expect_field(response: httpx.Response, field: str, *, because: str) -> None:
    """Fail unless a request was refused for this one field."""
    expect_status(response, 422, because=because)
    if field not in fields_of(response):
        raise no_field_named(response, field)


def expect_written(response: httpx.Response, form: str) -> None:
    status = 201 if form == REGISTER else 200
    expect_status(response, status, because=f"{form} with a right form is accepted")


def expect_body(response: httpx.Response, expected: dict[str, Any]) -> None:
    """Fail unless a driver is answered, and with exactly these values."""
    if not response.is_success:
        expect_status(response, 200, because="the request is right")
    if response.json() != expected:
        raise lesson(
            "other-values",
            seen="The answer is {body}. By the contract it is {expected}.",
            production="What was accepted is not what is stored, and nobody was told.",
            look="Which rule touches this value, and what does it hand on?",
            body=response.text,
            expected=repr(expected),
        )


def expect_phone(response: httpx.Response, typed: str, stored: str) -> None:
    phone = response.json().get("phone")
    if phone == stored:
        return
    raise lesson(
        "phone-lost" if phone is None else "phone-changed",
        seen="The telephone number {typed!r} was accepted with {status}. Stored is {phone}, "
        "where {stored!r} was promised.",
        production="The driver stands in front of a closed car, and the code to open it is sent "
        "to nobody.",
        look="Follow this one value through its rule, line by line. What leaves the rule?",
        typed=typed,
        status=response.status_code,
        phone=repr(phone),
        stored=stored,
    )


def expect_refused_password(response: httpx.Response, field: str, password: str) -> None:
    if response.is_success:
        raise lesson(
            "weak-password-accepted",
            seen="The `{field}` {password!r} was answered with {status}. It has {digits} digits "
            "and {capitals} capital letters.",
            production="The rule holds at one door, and everybody who wants a weak password takes "
            "the other one.",
            look="By which name does the rule know its field, and which names are there?",
            field=field,
            password=password,
            status=response.status_code,
            digits=sum(char.isdigit() for char in password),
            capitals=sum(char.isupper() for char in password),
        )
    expect_field(response, field, because="this password is too weak")


@pytest.fixture
def vault(module: Any) -> list[tuple[Any, ...]]:
    """The passwords that reached the vault, with the number of their driver."""
    calls: list[tuple[Any, ...]] = []

    async def set_password(self: Any, driver_id: int, password: str) -> None:
        calls.append((driver_id, password))

    module.Vault.set_password = set_password
    return calls


@pytest.fixture
def desk(vault: list[tuple[Any, ...]], client: httpx.AsyncClient) -> Desk:
    return Desk(client, vault)
