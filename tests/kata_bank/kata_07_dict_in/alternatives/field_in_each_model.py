"""Alternative: limits written at each field, with `Field`.

Right because: A limit is the same whether it is declared at the field or in a named type. A
    validator refuses blanks.
Trade-off: The limits of `customer` and `people` stand in two places and can come apart.
"""

from datetime import UTC, date, datetime
from itertools import count
from typing import Any
from uuid import uuid4

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict, Field, field_validator


class Boat(BaseModel):
    name: str
    seats: int
    cents_per_hour: int


class Clock:
    """The clock of the pier; it stands still at `moment` once somebody sets that."""

    moment: datetime | None = None

    def now(self) -> datetime:
        return self.moment or datetime.now(UTC)

    def today(self) -> date:
        return self.now().date()


class Logbook:
    """What the pier has written down: reservations by number, and who waits."""

    def __init__(self) -> None:
        self.reservations: dict[int, dict[str, Any]] = {}
        self.waiting: list[dict[str, Any]] = []


FLEET = {
    "RB-07": Boat(name="Perch", seats=4, cents_per_hour=1200),
    "RB-08": Boat(name="Roach", seats=3, cents_per_hour=1100),
    "SB-01": Boat(name="Heron", seats=8, cents_per_hour=3450),
}
clock = Clock()
logbook = Logbook()
numbers = count(1)

class Received(BaseModel):
    """A body from outside: what is not declared is refused."""

    model_config = ConfigDict(extra="forbid")


class Extras(Received):
    life_jackets: int = Field(default=0, ge=0, le=8)
    dog: bool = False
    note: str = Field(default="", max_length=200)


class Party(Received):
    customer: str = Field(min_length=1, max_length=60)
    people: int = Field(ge=1, le=8)
    day: date = Field(default_factory=lambda: clock.today())

    @field_validator("customer")
    @classmethod
    def not_blank(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("a name is not blank")
        return value


class ReservationIn(Party):
    boat: str = Field(pattern=r"^[A-Z][A-Z]-[0-9][0-9]$")
    hours: int = Field(gt=0, lt=13)
    extras: Extras = Field(default_factory=Extras)


class ReservationOut(BaseModel):
    number: int
    boat: str
    customer: str
    people: int
    hours: int
    day: date
    extras: Extras
    price_cents: int
    taken_at: datetime


class WaitingIn(Party):
    pass


class WaitingOut(BaseModel):
    place: int
    customer: str
    people: int
    day: date


app = FastAPI(title="Boat rental")


async def hold_deposit(customer: str, cents: int) -> str:
    """Hold a deposit on the customer's card; whoever knows the reference can release it."""
    return f"hold-{uuid4().hex}"


@app.post("/reservations", status_code=201)
async def reserve(data: ReservationIn) -> ReservationOut:
    """Reserve a boat, and hold its price as a deposit."""
    boat = FLEET.get(data.boat)
    if boat is None:
        raise HTTPException(status_code=404, detail="There is no such boat")
    if data.people > boat.seats:
        raise HTTPException(status_code=409, detail="The boat has too few seats")
    price = boat.cents_per_hour * data.hours
    row = {
        **data.model_dump(),
        "number": next(numbers),
        "price_cents": price,
        "deposit_ref": await hold_deposit(data.customer, price),
        "taken_at": clock.now(),
    }
    logbook.reservations[row["number"]] = row
    return ReservationOut.model_validate(row)


@app.get("/reservations/{number}")
async def show(number: int) -> ReservationOut:
    """Show a reservation."""
    row = logbook.reservations.get(number)
    if row is None:
        raise HTTPException(status_code=404, detail="There is no such reservation")
    return ReservationOut.model_validate(row)


@app.post("/waiting-list", status_code=201)
async def wait_for_a_boat(data: WaitingIn) -> WaitingOut:
    """Put a party on the waiting list."""
    row = {**data.model_dump(), "place": len(logbook.waiting) + 1}
    logbook.waiting.append(row)
    return WaitingOut.model_validate(row)
