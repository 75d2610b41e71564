"""Citizens' offices: people draw a number, and the desks call one number after the other."""

from asyncio import sleep
from itertools import count
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel


class Ticket(BaseModel):
    number: int
    desk: int | None = None
    clerk: str | None = None


async def clerk_at(desk: int) -> str:
    """Ask the roster of the staff who sits at a desk now."""
    await sleep(0)  # the way to the roster
    return f"Clerk {desk}"


numbers = count(1)


class Office:
    """The waiting room: all tickets of the day, and the desk that is calling."""

    def __init__(self) -> None:
        self.tickets: dict[int, Ticket] = {}
        self.desk: int | None = None
        self.clerk: str | None = None

    def draw(self) -> Ticket:
        ticket = Ticket(number=next(numbers))
        self.tickets[ticket.number] = ticket
        return ticket

    def call_next(self) -> Ticket | None:
        """Call the lowest number that waits."""
        for ticket in self.tickets.values():
            if ticket.desk is None:
                ticket.desk, ticket.clerk = self.desk, self.clerk
                return ticket
        return None


office = Office()


async def get_office() -> Office:
    """Give the office to an endpoint."""
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
    app = FastAPI(title=title)
    app.include_router(router)
    return app


app = create_app()
