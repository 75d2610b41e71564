"""Near-miss: one body parameter for each field.

Rejected by: test_unknown_field_is_refused, test_all_faults_are_told_at_once,
    test_refused_body_leaves_no_trace
Coach: You declared each field as a parameter of its own. All limits hold, but nobody looks at
    fields that are not declared.
Why: It works for query parameters, so why not for a body.
"""

from datetime import UTC, date, datetime
from itertools import count
from typing import Annotated, Any
from uuid import uuid4

from fastapi import Body, FastAPI, HTTPException
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
Customer = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60)]
People = Annotated[int, Field(ge=1, le=8)]
Hours = Annotated[int, Field(ge=1, le=12)]
Jackets = Annotated[int, Field(ge=0, le=8)]
Note = Annotated[str, StringConstraints(max_length=200)]
Day = Annotated[date, Field(default_factory=clock.today)]


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
    day: Day
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
    day: Day


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
async def reserve(
    boat: Annotated[BoatCode, Body()],
    customer: Annotated[Customer, Body()],
    people: Annotated[People, Body()],
    hours: Annotated[Hours, Body()],
    day: Annotated[date, Body(default_factory=clock.today)],
    extras: Annotated[Extras, Body()] = Extras(),
) -> ReservationOut:
    """Reserve a boat, and hold its price as a deposit."""
    data = ReservationIn(
        boat=boat, customer=customer, people=people, hours=hours, day=day, extras=extras
    )
    return await take(data)


async def take(data: ReservationIn) -> ReservationOut:
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
async def wait_for_a_boat(
    customer: Annotated[Customer, Body()],
    people: Annotated[People, Body()],
    day: Annotated[date, Body(default_factory=clock.today)],
) -> WaitingOut:
    """Put a party on the waiting list."""
    row = {"customer": customer, "people": people, "day": day, "place": len(logbook.waiting) + 1}
    logbook.waiting.append(row)
    return WaitingOut.model_validate(row)
