"""Near-miss: the last number is an integer in the lifespan state.

Rejected by: test_numbers_go_up
Coach: You give `request.state` a new number. Each request has its own shallow copy of what
    the lifespan yielded: a changed dict is seen by all, and a new value only by this one.
Why: `request.state.last_number += 1` reads like a change of something shared. It puts a new
    integer into the copy of this request.
"""

from asyncio import sleep
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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
        self.tickets: list[Ticket] = []

    def call_next(self, desk: Desk) -> Ticket | None:
        """Call the lowest number that waits."""
        for ticket in self.tickets:
            if ticket.desk is None:
                ticket.desk, ticket.clerk = desk.number, desk.clerk
                return ticket
        return None


class State(TypedDict):
    last_number: int
    office: Office


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[State]:
    """Open the office for the time from a start to the stop."""
    yield {"last_number": 0, "office": Office()}


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
async def draw_ticket(office: CurrentOffice, request: Request) -> Ticket:
    """Draw the next number."""
    request.state.last_number += 1
    ticket = Ticket(number=request.state.last_number)
    office.tickets.append(ticket)
    return ticket


@router.get("/tickets")
async def list_tickets(office: CurrentOffice) -> list[Ticket]:
    """Show all tickets by their number."""
    return office.tickets


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
