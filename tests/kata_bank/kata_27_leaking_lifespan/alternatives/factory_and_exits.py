"""Alternative: devices that are context managers themselves, in a stack, in a factory.

Right because: A class with `__aenter__` and `__aexit__` can be entered by a stack or by `async with`. The stack ties each
    exit to its entry.
Trade-off: Only possible where the classes are yours. Each start gets a new stack.
"""

from asyncio import sleep
from collections.abc import AsyncIterator, Awaitable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
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


class Held(AbstractAsyncContextManager[Any]):
    """A device that is opened by one function, and closed by one of its methods."""

    def __init__(self, opening: Awaitable[Any], closer: str) -> None:
        self.opening, self.closer = opening, closer

    async def __aenter__(self) -> Any:
        self.device = await self.opening
        return self.device

    async def __aexit__(self, *error: object) -> None:
        await getattr(self.device, self.closer)()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        journal = await stack.enter_async_context(Held(open_journal(), "close"))
        line = await stack.enter_async_context(Held(take_line(journal), "hang_up"))
        panel = await stack.enter_async_context(Held(light_panel(line), "switch_off"))
        app.state.journal, app.state.line, app.state.panel = journal, line, panel
        yield


def create_app() -> FastAPI:
    """Make an application of its own."""
    return FastAPI(title="Laundry room", lifespan=lifespan)


app = create_app()


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
