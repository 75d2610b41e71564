"""Near-miss: the office belongs to the application, and still remembers who is calling.

Rejected by: test_desks_call_together
Coach: Your office belongs to one application, and many requests use it at the same time.
    What belongs to one of them is overwritten there by the next one.
Why: Most of the red tests turn green with the office alone, and one call after the other
    works.
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
        self.desk: int | None = None
        self.clerk: str | None = None

    def draw(self) -> Ticket:
        ticket = Ticket(number=next(self.numbers))
        self.tickets[ticket.number] = ticket
        return ticket

    def call_next(self) -> Ticket | None:
        """Call the lowest number that waits."""
        for ticket in self.tickets.values():
            if ticket.desk is None:
                ticket.desk, ticket.clerk = self.desk, self.clerk
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


async def at_desk(x_desk: Annotated[int, Header(ge=1, le=20)], office: CurrentOffice) -> None:
    """Note which desk is calling, and who sits there."""
    office.desk = x_desk
    office.clerk = await clerk_at(x_desk)


router = APIRouter()


@router.post("/draws")
async def draw_ticket(office: CurrentOffice) -> Ticket:
    """Draw the next number."""
    return office.draw()


@router.get("/tickets")
async def list_tickets(office: CurrentOffice) -> list[Ticket]:
    """Show all tickets by their number."""
    return list(office.tickets.values())


@router.post("/calls", dependencies=[Depends(at_desk)])
async def call_next(office: CurrentOffice) -> Ticket:
    """Call the next number to a desk."""
    ticket = office.call_next()
    if ticket is None:
        raise HTTPException(status_code=409, detail="Nobody waits")
    return ticket


def create_app(title: str = "Citizens' office") -> FastAPI:
    """Make the application of one office."""
    app = FastAPI(title=title, lifespan=lifespan)
    app.include_router(router)
    return app


app = create_app()
