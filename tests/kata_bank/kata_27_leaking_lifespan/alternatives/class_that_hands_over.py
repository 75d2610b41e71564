"""Alternative: a class as the lifespan, which keeps the stack of a start that succeeded.

Right because: Inside `__aenter__` the stack closes what is open when the start ends early. `pop_all` hands the closings
    over only after the last opening.
Trade-off: A class can be tested alone. Who forgets `pop_all` closes everything before the first request.
"""

from asyncio import sleep
from contextlib import AsyncExitStack
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


class Devices:
    """The three devices, open from the start of the service to its end."""

    def __init__(self, app: FastAPI) -> None:
        self.state = app.state

    async def __aenter__(self) -> None:
        async with AsyncExitStack() as stack:
            self.state.journal = await open_journal()
            stack.push_async_callback(self.state.journal.close)
            self.state.line = await take_line(self.state.journal)
            stack.push_async_callback(self.state.line.hang_up)
            self.state.panel = await light_panel(self.state.line)
            stack.push_async_callback(self.state.panel.switch_off)
            self.closings = stack.pop_all()

    async def __aexit__(self, *error: Any) -> bool | None:
        return await self.closings.__aexit__(*error)


app = FastAPI(title="Laundry room", lifespan=Devices)


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
