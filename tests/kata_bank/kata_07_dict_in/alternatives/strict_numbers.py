"""Alternative: numbers are strict, and today is filled in by the endpoint.

Right because: The contract leaves it open whether the text "3" is a number. A day that was left
    out is `None` until the endpoint asks the clock.
Trade-off: Clients that send numbers as text are refused, forms in a browser among them.
"""

from datetime import UTC, date, datetime
from itertools import count
from typing import Annotated, Any
from uuid import uuid4

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict, Field, StringConstraints


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

BoatCode = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}-[0-9]{2}$")]
Customer = Annotated[str, StringConstraints(pattern=r"\S", max_length=60)]
People = Annotated[int, Field(strict=True, ge=1, le=8)]
Hours = Annotated[int, Field(strict=True, ge=1, le=12)]
Jackets = Annotated[int, Field(strict=True, ge=0, le=8)]
Note = Annotated[str, StringConstraints(max_length=200)]


class Received(BaseModel):
    """A body from outside: what is not declared is refused."""

    model_config = ConfigDict(extra="forbid")


class Extras(Received):
    life_jackets: Jackets = 0
    dog: bool = False
    note: Note = ""


class ReservationIn(Received):
    boat: BoatCode
    customer: Customer
    people: People
    hours: Hours
    day: date | None = None
    extras: Extras = Extras()


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


class WaitingIn(Received):
    customer: Customer
    people: People
    day: date | None = None


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
        "day": data.day or clock.today(),
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
    row = {**data.model_dump(), "day": data.day or clock.today(), "place": len(logbook.waiting) + 1}
    logbook.waiting.append(row)
    return WaitingOut.model_validate(row)
