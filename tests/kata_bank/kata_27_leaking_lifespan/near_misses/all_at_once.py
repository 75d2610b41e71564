"""Near-miss: all closings at the same time, with `gather`.

Rejected by: test_end_closes_everything, test_failing_close_leaves_nothing_open, test_failing_close_is_told
Coach: `gather` begins all closings at once, so a device goes away while another one still uses it. And with
    `return_exceptions=True` nobody looks at what failed.
Why: `return_exceptions=True` keeps one failure from stopping the rest, in one line.
"""

from asyncio import gather, sleep
from collections.abc import AsyncIterator, Awaitable, Callable
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
    closings: list[Callable[[], Awaitable[None]]] = []
    try:
        app.state.journal = await open_journal()
        closings.append(app.state.journal.close)
        app.state.line = await take_line(app.state.journal)
        closings.append(app.state.line.hang_up)
        app.state.panel = await light_panel(app.state.line)
        closings.append(app.state.panel.switch_off)
        yield
    finally:
        await gather(*(close() for close in reversed(closings)), return_exceptions=True)


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
