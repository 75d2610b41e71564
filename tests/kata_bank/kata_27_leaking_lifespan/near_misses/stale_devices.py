"""Near-miss: the clean-up closes what it finds in `app.state`.

Rejected by: test_first_opening_fails
Coach: `app.state` lives longer than one start. When a later start fails early, your clean-up finds the devices of the
    start before, and closes them a second time.
Why: The devices are there already, and `hasattr` seems to say whether they are open.
"""

from asyncio import sleep
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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
    """Open the journal, the line and the panel, and close them at the end."""
    try:
        app.state.journal = await open_journal()
        app.state.line = await take_line(app.state.journal)
        app.state.panel = await light_panel(app.state.line)
        yield
    finally:
        try:
            if hasattr(app.state, "panel"):
                await app.state.panel.switch_off()
        finally:
            try:
                if hasattr(app.state, "line"):
                    await app.state.line.hang_up()
            finally:
                if hasattr(app.state, "journal"):
                    await app.state.journal.close()


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
