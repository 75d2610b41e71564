"""Near-miss: the change of the password lost its base class.

Rejected by: test_password_is_changed
Coach: The rules of your password are in its type now. The base class that went away with the old
    rules had a setting too: it refused unknown fields.
Why: With the rules in a type, the base class seems to have nothing left to give.
"""

import logging
from itertools import count
from typing import Annotated

from fastapi import FastAPI, HTTPException
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

log = logging.getLogger("car_sharing")


class Vault:
    """The service that keeps the passwords, as hashes; here it only writes to the log."""

    async def set_password(self, driver_id: int, password: str) -> None:
        log.info("Driver %d has a new password", driver_id)


def checked_licence(value: str) -> str:
    value = value.replace(" ", "")
    if len(value) != 9 or not (value.isascii() and value.isdigit()):
        raise ValueError("a licence has nine digits")
    digits = [int(digit) for digit in value]
    if (sum(digits[::2]) + 3 * sum(digits[1::2])) % 10 != 0:
        raise ValueError("the check digit of the licence is wrong")
    return value


def with_plus(value: str) -> str:
    if value.startswith("00"):
        return "+" + value[2:]
    return value


def has_digit_and_capital(value: str) -> str:
    if not any(char.isdigit() for char in value):
        raise ValueError("a password needs a digit")
    if not any(char.isupper() for char in value):
        raise ValueError("a password needs a capital letter")
    return value


Name = Annotated[str, Field(min_length=1, max_length=80)]
Licence = Annotated[str, AfterValidator(checked_licence)]
Phone = Annotated[str, Field(pattern=r"^(\+|00)[1-9][0-9]{7,14}$"), AfterValidator(with_plus)]
Password = Annotated[
    str, Field(min_length=10, max_length=100), AfterValidator(has_digit_and_capital)
]


class Input(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Details(Input):
    name: Name
    licence: Licence
    phone: Phone | None = None


class Registration(Details):
    password: Password


class PasswordChange(BaseModel):
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
