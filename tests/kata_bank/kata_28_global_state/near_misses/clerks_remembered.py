"""Near-miss: the office asks the roster once for each desk, and remembers the clerk.

Rejected by: test_lowest_number_is_called
Coach: Your office remembers who sat at a desk at its first call. It belongs to the application from
    start to stop, and the clerks change at noon.
Why: The roster is slow, and a cache belongs into the application, as the table on the page says.
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
        self.clerks: dict[int, str] = {}

    def draw(self) -> Ticket:
        ticket = Ticket(number=next(self.numbers))
        self.tickets[ticket.number] = ticket
        return ticket

    def call_next(self, desk: Desk) -> Ticket | None:
        """Call the lowest number that waits."""
        for ticket in self.tickets.values():
            if ticket.desk is None:
                ticket.desk, ticket.clerk = desk.number, desk.clerk
                return ticket
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


async def at_desk(x_desk: Annotated[int, Header(ge=1, le=20)], office: CurrentOffice) -> Desk:
    """Tell which desk is calling, and who sits there."""
    if x_desk not in office.clerks:
        office.clerks[x_desk] = await clerk_at(x_desk)
    return Desk(number=x_desk, clerk=office.clerks[x_desk])


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
