"""Alternative: the desk of a request in a context variable.

Right because: Each request runs in a context of its own, so a value that an asynchronous
    dependency sets is seen by the rest of this request and by no other one.
Trade-off: The signature of `Office.call_next` no longer says what it needs, and who calls it
    without HTTP has to know. A parameter is simpler where one is possible.
"""

from asyncio import sleep
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
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


calling: ContextVar[Desk] = ContextVar("calling")


class Office:
    """The waiting room: all tickets of the day."""

    def __init__(self) -> None:
        self.numbers = count(1)
        self.tickets: dict[int, Ticket] = {}

    def draw(self) -> Ticket:
        ticket = Ticket(number=next(self.numbers))
        self.tickets[ticket.number] = ticket
        return ticket

    def call_next(self) -> Ticket | None:
        """Call the lowest number that waits."""
        desk = calling.get()
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


async def at_desk(x_desk: Annotated[int, Header(ge=1, le=20)]) -> None:
    """Note which desk is calling, and who sits there."""
    calling.set(Desk(number=x_desk, clerk=await clerk_at(x_desk)))


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
