"""Near-miss: the row gets only what was sent.

Rejected by: test_answer_has_exactly_its_fields
Coach: You write down only the fields that were sent, and this goes for the object inside the body
    as well. Its defaults are missing in the row, and the answer cannot be made after the money is
    held.
Why: `exclude_unset=True` stands in the tutorial, beside every update.
"""

from datetime import UTC, date, datetime
from itertools import count
from typing import Annotated, Any
from uuid import uuid4

from fastapi import FastAPI, HTTPException
from pydantic import AfterValidator, BaseModel, ConfigDict, Field


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


def not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be blank")
    return value


BoatCode = Annotated[str, Field(pattern=r"^[A-Z]{2}-[0-9]{2}$")]
Customer = Annotated[str, Field(min_length=1, max_length=60), AfterValidator(not_blank)]
People = Annotated[int, Field(ge=1, le=8)]
Hours = Annotated[int, Field(ge=1, le=12)]
Day = Annotated[date, Field(default_factory=clock.today)]


class Received(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Extras(Received):
    life_jackets: Annotated[int, Field(ge=0, le=8)] = 0
    dog: bool = False
    note: Annotated[str, Field(max_length=200)] = ""


class ReservationIn(Received):
    boat: BoatCode
    customer: Customer
    people: People
    hours: Hours
    day: date = Field(default_factory=clock.today)
    extras: Extras = Field(default_factory=Extras)


class WaitingIn(Received):
    customer: Customer
    people: People
    day: date = Field(default_factory=clock.today)


class ExtrasOut(BaseModel):
    life_jackets: int
    dog: bool
    note: str


class ReservationOut(BaseModel):
    number: int
    boat: str
    customer: str
    people: int
    hours: int
    day: date
    extras: ExtrasOut
    price_cents: int
    taken_at: datetime


class WaitingOut(BaseModel):
    place: int
    customer: str
    people: int
    day: date


app = FastAPI(title="Boat rental")


async def hold_deposit(customer: str, cents: int) -> str:
    """Hold a deposit on the customer's card; whoever knows the reference can release it."""
    return f"hold-{uuid4().hex}"


@app.post("/reservations", status_code=201, response_model=ReservationOut)
async def reserve(data: ReservationIn) -> Any:
    """Reserve a boat, and hold its price as a deposit."""
    boat = FLEET.get(data.boat)
    if boat is None:
        raise HTTPException(status_code=404, detail="There is no such boat")
    if data.people > boat.seats:
        raise HTTPException(status_code=409, detail="The boat has too few seats")
    price = boat.cents_per_hour * data.hours
    row = {
        "day": data.day,
        "extras": data.extras,
        **data.model_dump(exclude_unset=True),
        "number": next(numbers),
        "price_cents": price,
        "deposit_ref": await hold_deposit(data.customer, price),
        "taken_at": clock.now(),
    }
    logbook.reservations[row["number"]] = row
    return row


@app.get("/reservations/{number}", response_model=ReservationOut)
async def show(number: int) -> Any:
    """Show a reservation."""
    row = logbook.reservations.get(number)
    if row is None:
        raise HTTPException(status_code=404, detail="There is no such reservation")
    return row


@app.post("/waiting-list", status_code=201, response_model=WaitingOut)
async def wait_for_a_boat(data: WaitingIn) -> Any:
    """Put a party on the waiting list."""
    row = {
        "place": len(logbook.waiting) + 1,
        "day": data.day,
        **data.model_dump(exclude_unset=True),
    }
    logbook.waiting.append(row)
    return row
