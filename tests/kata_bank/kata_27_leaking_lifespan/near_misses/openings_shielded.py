"""Near-miss: each opening is shielded from a cancellation.

Rejected by: test_cancelled_start_closes_what_was_open
Coach: A cancellation ends your waiting for the opening, and not the opening. The device opens when
    the start has ended, and nobody knows of it.
Why: "An opening must not be cut in half" sounds right, and `shield` sounds like the word for it.
"""

from asyncio import shield, sleep
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated

from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel, Field


class Wash(BaseModel):
    machine: Annotated[int, Field(ge=1, le=4)]
    room: Annotated[int, Field(ge=100, le=599)]


class Journal:
    """The book for the bills. Its last page reaches the disk when it is closed."""

    def __init__(self) -> None:
        self.page: list[str] = []

    async def close(self) -> None:
        await sleep(0)  # the way to the disk


class Line:
    """A line to the controller in the cellar, which lends three of them at a time."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.free = {1, 2, 3, 4}

    async def hang_up(self) -> None:
        self.journal.page.append(f"Hung up. Free: {sorted(self.free)}")


class Panel:
    """The sign at the door. It shows its text for as long as nobody switches it off."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.text = f"Free: {sorted(line.free)}"

    async def switch_off(self) -> None:
        self.text = f"Closed. Still running: {4 - len(self.line.free)}"


async def open_journal() -> Journal:
    await sleep(0)  # the way to the disk
    return Journal()


async def take_line(journal: Journal) -> Line:
    await sleep(0)  # the way to the cellar
    return Line(journal)


async def light_panel(line: Line) -> Panel:
    await sleep(0)  # the way to the door
    return Panel(line)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the journal, the line and the panel, and close all that is open, however this ends."""
    async with AsyncExitStack() as stack:
        app.state.journal = await shield(open_journal())
        stack.push_async_callback(app.state.journal.close)
        app.state.line = await shield(take_line(app.state.journal))
        stack.push_async_callback(app.state.line.hang_up)
        app.state.panel = await shield(light_panel(app.state.line))
        stack.push_async_callback(app.state.panel.switch_off)
        yield


app = FastAPI(title="Laundry room", lifespan=lifespan)


@app.post("/washes", status_code=201)
async def start_wash(wash: Wash, request: Request) -> Wash:
    """Start a machine, write the wash down for the bill, and show what is free now."""
    devices = request.app.state
    if wash.machine not in devices.line.free:
        raise HTTPException(status_code=409, detail="This machine is running")
    devices.line.free.remove(wash.machine)
    devices.journal.page.append(f"Room {wash.room}: machine {wash.machine}")
    devices.panel.text = f"Free: {sorted(devices.line.free)}"
    return wash
