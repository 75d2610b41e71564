"""Alternative: a context manager for each device, and nested `async with`.

Right because: Each `async with` ties a closing to its opening. Python leaves the inner blocks first, and goes
    on to the outer ones whatever the inner ones raise.
Trade-off: A few lines for each device. With ten devices the helpers are still short, and the nesting is flat,
    because one `async with` takes several of them.
"""

from asyncio import sleep
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

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
async def journal_opened() -> AsyncIterator[Journal]:
    journal = await open_journal()
    try:
        yield journal
    finally:
        await journal.close()


@asynccontextmanager
async def line_taken(journal: Journal) -> AsyncIterator[Line]:
    line = await take_line(journal)
    try:
        yield line
    finally:
        await line.hang_up()


@asynccontextmanager
async def panel_lit(line: Line) -> AsyncIterator[Panel]:
    panel = await light_panel(line)
    try:
        yield panel
    finally:
        await panel.switch_off()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Hold the three devices while the service runs."""
    async with (
        journal_opened() as journal,
        line_taken(journal) as line,
        panel_lit(line) as panel,
    ):
        yield {"journal": journal, "line": line, "panel": panel}


app = FastAPI(title="Laundry room", lifespan=lifespan)


@app.post("/washes", status_code=201)
async def start_wash(wash: Wash, request: Request) -> Wash:
    """Start a machine, write the wash down for the bill, and show what is free now."""
    devices = request.state
    if wash.machine not in devices.line.free:
        raise HTTPException(status_code=409, detail="This machine is running")
    devices.line.free.remove(wash.machine)
    devices.journal.page.append(f"Room {wash.room}: machine {wash.machine}")
    devices.panel.text = f"Free: {sorted(devices.line.free)}"
    return wash
