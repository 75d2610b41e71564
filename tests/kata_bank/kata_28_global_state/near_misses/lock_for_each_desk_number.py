"""Near-miss: the module has a lock for each desk number, held while the roster answers.

Rejected by: test_desks_of_two_offices_call_together
Coach: Something of yours is still kept in the module, under the number of a desk. Desk 5 of one
    office waits there for desk 5 of the other one.
Why: Desks should not wait for each other, so each gets a lock. There are 20 desk numbers, which
    looks like a constant, and a lock does not look like something that changes.
"""

from asyncio import Lock, sleep
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

calling = {desk: Lock() for desk in range(1, 21)}


async def at_desk(x_desk: Annotated[int, Header(ge=1, le=20)]) -> Desk:
    """Tell which desk is calling, and who sits there."""
    async with calling[x_desk]:  # a desk calls one number after the other
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
