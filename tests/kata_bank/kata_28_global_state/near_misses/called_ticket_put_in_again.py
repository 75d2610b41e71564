"""Near-miss: a call puts a new ticket in the place of the old one, at the end of the dict.

Rejected by: test_lowest_number_is_called
Coach: Your call takes the ticket out and puts it in again. A dict keeps the order of putting in, so
    the list is in the order of the calls, no more in the order of the numbers.
Why: Tickets that never change are a good idea, and `del` and a new item look like a replacement.
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


class Desk(BaseModel):
    number: int
    clerk: str


class Office:
    """The waiting room: all tickets of the day."""

    def __init__(self) -> None:
        self.numbers = count(1)
        self.tickets: dict[int, Ticket] = {}

    def draw(self) -> Ticket:
        ticket = Ticket(number=next(self.numbers))
        self.tickets[ticket.number] = ticket
        return ticket

    def call_next(self, desk: Desk) -> Ticket | None:
        """Call the lowest number that waits."""
        for ticket in self.tickets.values():
            if ticket.desk is None:
                del self.tickets[ticket.number]
                called = Ticket(number=ticket.number, desk=desk.number, clerk=desk.clerk)
                self.tickets[called.number] = called
                return called
        return None


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


async def at_desk(x_desk: Annotated[int, Header(ge=1, le=20)]) -> Desk:
    """Tell which desk is calling, and who sits there."""
    return Desk(number=x_desk, clerk=await clerk_at(x_desk))


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
async def call_next(office: CurrentOffice, desk: Annotated[Desk, Depends(at_desk)]) -> Ticket:
    """Call the next number to a desk."""
    ticket = office.call_next(desk)
    if ticket is None:
        raise HTTPException(status_code=409, detail="Nobody waits")
    return ticket


def create_app(title: str = "Citizens' office") -> FastAPI:
    """Make the application of one office."""
    app = FastAPI(title=title, lifespan=lifespan)
    app.include_router(router)
    return app


app = create_app()
