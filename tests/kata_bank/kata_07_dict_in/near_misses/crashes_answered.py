"""Near-miss: a handler that answers every crash with 422.

Rejected by: test_missing_field_is_named, test_value_beyond_its_limit_is_refused,
    test_refused_body_leaves_no_trace
Coach: You turned the crashes into 422. The answer names no field, what does not crash still comes
    through, and a mistake of the pier itself now looks like one of the client.
Why: The alarm counts answers with 500, and now there are none.
"""

from datetime import UTC, date, datetime
from itertools import count
from uuid import uuid4

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel


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
        self.reservations: dict = {}
        self.waiting: list = []


FLEET = {
    "RB-07": Boat(name="Perch", seats=4, cents_per_hour=1200),
    "RB-08": Boat(name="Roach", seats=3, cents_per_hour=1100),
    "SB-01": Boat(name="Heron", seats=8, cents_per_hour=3450),
}
clock = Clock()
logbook = Logbook()
numbers = count(1)

app = FastAPI(title="Boat rental")


@app.exception_handler(KeyError)
@app.exception_handler(TypeError)
@app.exception_handler(ValueError)
async def bad_request(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": "The request is not valid"}, status_code=422)


async def hold_deposit(customer: str, cents: int) -> str:
    """Hold a deposit on the customer's card; whoever knows the reference can release it."""
    return f"hold-{uuid4().hex}"


@app.post("/reservations", status_code=201)
async def reserve(data: dict):
    """Reserve a boat, and hold its price as a deposit."""
    boat = FLEET.get(data["boat"])
    if boat is None:
        raise HTTPException(status_code=404, detail="There is no such boat")
    if data["people"] > boat.seats:
        raise HTTPException(status_code=409, detail="The boat has too few seats")
    price = boat.cents_per_hour * data["hours"]
    row = {
        "number": next(numbers),
        "day": clock.today(),
        "extras": {},
        "price_cents": price,
        "deposit_ref": await hold_deposit(data["customer"], price),
        "taken_at": clock.now(),
        **data,
    }
    logbook.reservations[row["number"]] = row
    return row


@app.get("/reservations/{number}")
async def show(number):
    """Show a reservation."""
    row = logbook.reservations.get(int(number))
    if row is None:
        raise HTTPException(status_code=404, detail="There is no such reservation")
    return row


@app.post("/waiting-list", status_code=201)
async def wait_for_a_boat(data: dict):
    """Put a party on the waiting list."""
    row = {"place": len(logbook.waiting) + 1, "day": clock.today(), **data}
    logbook.waiting.append(row)
    return row
