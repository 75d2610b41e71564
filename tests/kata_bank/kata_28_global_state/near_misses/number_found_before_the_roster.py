"""Near-miss: the call finds a number, asks the roster, and then writes on the ticket.

Rejected by: test_desks_call_together, test_desks_of_two_offices_call_together
Coach: Between the search for a number and the writing, your call waits for the roster. Meanwhile
    the number still waits for every other desk, and all of them find it.
Why: It keeps all that is about one ticket in one place, and asks the roster only when somebody
    waits.
"""

from asyncio import sleep
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Annotated, TypedDict

from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Request
from pydantic import BaseModel


class Ticket(BaseModel):
    number: int
    desk: int | None = None
    clerk: str | None = None


async def clerk_at(desk: int) -> str:
    """Ask the roster of the staff who sits at a desk now."""
    await sleep(0)  # the way to the roster
    return f"Clerk {desk}"


class Office:
    """The waiting room: all tickets of the day."""

    def __init__(self) -> None:
        self.numbers = count(1)
        self.tickets: dict[int, Ticket] = {}

    def draw(self) -> Ticket:
        ticket = Ticket(number=next(self.numbers))
        self.tickets[ticket.number] = ticket
        return ticket

    def next_waiting(self) -> Ticket | None:
        """Find the lowest number that waits."""
        return next((ticket for ticket in self.tickets.values() if ticket.desk is None), None)


class State(TypedDict):
    office: Office


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[State]:
    """Open the office for the time from a start to the stop."""
    yield {"office": Office()}


async def get_office(request: Request) -> Office:
    """Give the office of the application that the request came to."""
    office: Office = request.state.office
    return office


CurrentOffice = Annotated[Office, Depends(get_office)]


router = APIRouter()


@router.post("/draws")
async def draw_ticket(office: CurrentOffice) -> Ticket:
    """Draw the next number."""
    return office.draw()


@router.get("/tickets")
async def list_tickets(office: CurrentOffice) -> list[Ticket]:
    """Show all tickets by their number."""
    return list(office.tickets.values())


@router.post("/calls")
async def call_next(office: CurrentOffice, x_desk: Annotated[int, Header(ge=1, le=20)]) -> Ticket:
    """Call the next number to a desk."""
    ticket = office.next_waiting()
    if ticket is None:
        raise HTTPException(status_code=409, detail="Nobody waits")
    clerk = await clerk_at(x_desk)
    ticket.desk, ticket.clerk = x_desk, clerk
    return ticket


def create_app(title: str = "Citizens' office") -> FastAPI:
    """Make the application of one office."""
    app = FastAPI(title=title, lifespan=lifespan)
    app.include_router(router)
    return app


app = create_app()
