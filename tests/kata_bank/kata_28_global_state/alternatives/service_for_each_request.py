"""Alternative: the lifespan state has the data, and each request gets a service around it.

Right because: The service lives as long as one request, so it may know the desk. What all
    requests share is the dict and the count, and those are the application's.
Trade-off: One more layer. It pays off when the service needs more of the request, such as a
    session or a user.
"""

from asyncio import sleep
from collections.abc import AsyncIterator, Iterator
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


class State(TypedDict):
    numbers: Iterator[int]
    tickets: dict[int, Ticket]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[State]:
    """Begin with no ticket, for the time from a start to the stop."""
    yield {"numbers": count(1), "tickets": {}}


class Office:
    """The waiting room, as one request sees it."""

    def __init__(self, request: Request) -> None:
        self.numbers: Iterator[int] = request.state.numbers
        self.tickets: dict[int, Ticket] = request.state.tickets

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


async def get_office(request: Request) -> Office:
    """Give an office around the data of this application."""
    return Office(request)


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
