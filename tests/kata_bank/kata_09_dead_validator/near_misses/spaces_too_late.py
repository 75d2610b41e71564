"""Near-miss: the spaces are taken out after the check of the form.

Rejected by: test_driver_is_registered, test_details_are_replaced
Coach: You take the spaces out after the form is checked. The pattern still sees them, and refuses
    a licence that is typed in groups.
Why: Without `mode="before"` the value is surely a text, and the crash is gone.
"""

import logging
from itertools import count
from typing import Annotated

from fastapi import FastAPI, HTTPException
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

log = logging.getLogger("car_sharing")


class Vault:
    """The service that keeps the passwords, as hashes; here it only writes to the log."""

    async def set_password(self, driver_id: int, password: str) -> None:
        log.info("Driver %d has a new password", driver_id)


class Input(BaseModel):
    model_config = ConfigDict(extra="forbid")


def has_digit_and_capital(value: str) -> str:
    """Apply the rules for every password of the club."""
    if not any(char.isdigit() for char in value):
        raise ValueError("a password needs a digit")
    if not any(char.isupper() for char in value):
        raise ValueError("a password needs a capital letter")
    return value


Password = Annotated[
    str, Field(min_length=10, max_length=100), AfterValidator(has_digit_and_capital)
]


class Details(Input):
    name: Annotated[str, Field(min_length=1, max_length=80)]
    licence: Annotated[str, Field(pattern=r"^[0-9]{9}$")]
    phone: Annotated[str, Field(pattern=r"^(\+|00)[1-9][0-9]{7,14}$")] | None = None

    @field_validator("licence")
    @classmethod
    def without_spaces(cls, value: str) -> str:
        return value.replace(" ", "")

    @field_validator("licence")
    @classmethod
    def has_right_check_digit(cls, value: str) -> str:
        digits = [int(digit) for digit in value]
        if (sum(digits[::2]) + 3 * sum(digits[1::2])) % 10 != 0:
            raise ValueError("the check digit of the licence is wrong")
        return value

    @field_validator("phone")
    @classmethod
    def with_plus(cls, value: str | None) -> str | None:
        if value is None or value.startswith("+"):
            return value
        return "+" + value.removeprefix("00")


class Registration(Details):
    password: Password


class PasswordChange(Input):
    new_password: Password


class Driver(BaseModel):
    driver_id: int
    name: str
    licence: str
    phone: str | None


app = FastAPI(title="Car sharing, drivers")
vault = Vault()
drivers: dict[int, Driver] = {}
numbers = count(1)


def find_driver(driver_id: int) -> Driver:
    """Return a driver of the club, or answer 404."""
    if driver_id not in drivers:
        raise HTTPException(status_code=404, detail="There is no such driver")
    return drivers[driver_id]


@app.post("/drivers", status_code=201)
async def register(registration: Registration) -> Driver:
    """Register a new driver."""
    driver = Driver(driver_id=next(numbers), **registration.model_dump(exclude={"password"}))
    await vault.set_password(driver.driver_id, registration.password)
    drivers[driver.driver_id] = driver
    return driver


@app.get("/drivers/{driver_id}")
async def read_driver(driver_id: int) -> Driver:
    """Show a driver."""
    return find_driver(driver_id)


@app.put("/drivers/{driver_id}")
async def replace_details(driver_id: int, details: Details) -> Driver:
    """Replace all details of a driver."""
    driver = Driver(driver_id=find_driver(driver_id).driver_id, **details.model_dump())
    drivers[driver_id] = driver
    return driver


@app.put("/drivers/{driver_id}/password", status_code=204)
async def change_password(driver_id: int, change: PasswordChange) -> None:
    """Give a driver a new password."""
    await vault.set_password(find_driver(driver_id).driver_id, change.new_password)
