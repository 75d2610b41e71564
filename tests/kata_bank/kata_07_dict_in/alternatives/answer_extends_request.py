"""Alternative: the answer extends the common part of the request.

Right because: What both directions share is declared once. The answer is built field by field, so
    a row gives away nothing by itself.
Trade-off: The answer inherits the limits of the request: a row that breaks them cannot be shown.
"""

from datetime import UTC, date, datetime
from itertools import count
from typing import Annotated, Any
from uuid import uuid4

from fastapi import FastAPI, HTTPException
from pydantic import AwareDatetime, BaseModel, BeforeValidator, Field, PositiveInt, conint, constr


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


def stripped(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


class Extras(BaseModel, extra="forbid"):
    life_jackets: conint(ge=0, le=8) = 0
    dog: bool = False
    note: constr(max_length=200) = ""


class Party(BaseModel, extra="forbid"):
    customer: Annotated[constr(min_length=1, max_length=60), BeforeValidator(stripped)]
    people: conint(ge=1, le=8)
    day: date = Field(default_factory=lambda: clock.now().date())


class ReservationIn(Party):
    boat: constr(pattern=r"^[A-Z]{2}-[0-9]{2}$")
    hours: PositiveInt = Field(lt=13)
    extras: Extras = Extras()


class ReservationOut(ReservationIn):
    number: int
    price_cents: int
    taken_at: AwareDatetime


class WaitingOut(Party):
    place: int


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
    return ReservationOut(**{name: row[name] for name in ReservationOut.model_fields})


@app.get("/reservations/{number}")
async def show(number: int) -> ReservationOut:
    """Show a reservation."""
    row = logbook.reservations.get(number)
    if row is None:
        raise HTTPException(status_code=404, detail="There is no such reservation")
    return ReservationOut(**{name: row[name] for name in ReservationOut.model_fields})


@app.post("/waiting-list", status_code=201)
async def wait_for_a_boat(data: Party) -> WaitingOut:
    """Put a party on the waiting list."""
    row = {**data.model_dump(), "place": len(logbook.waiting) + 1}
    logbook.waiting.append(row)
    return WaitingOut.model_validate(row)
