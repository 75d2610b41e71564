"""Near-miss: one task for all, and only the one that begins is shielded.

Rejected by: test_who_leaves_disturbs_nobody
Coach: All requests share one task, and whoever awaits it directly hands a cancellation on to
    it. So one request that is cancelled ends the load for everybody.
Why: The cancelled beginner is the case that one thinks of.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field

MODEL_BYTES = 400_000_000


class Reader:
    """A model that reads handwriting."""

    def __init__(self, weights: bytes) -> None:
        self._weights = weights

    def read(self, line: str) -> str:
        """Return the line in the spelling of today."""
        return " ".join(line.replace("\N{LATIN SMALL LETTER LONG S}", "s").split())


def load_reader() -> Reader:
    """Load the model from the disk, which takes some seconds."""
    return Reader(bytes(MODEL_BYTES))


@dataclass
class Shelf:
    """What the service keeps between two requests."""

    task: asyncio.Task[Reader] | None = None

    def forget_failure(self, task: asyncio.Task[Reader]) -> None:
        """Let the next request try again."""
        if task.cancelled() or task.exception() is not None:
            self.task = None



class Line(BaseModel):
    line: Annotated[str, Field(min_length=1, max_length=500)]


class Text(BaseModel):
    text: str


class Readiness(BaseModel):
    reader: Literal["absent", "loading", "loaded"]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Give the service an empty shelf."""
    yield {"shelf": Shelf()}


async def get_reader(request: Request) -> Reader:
    """Take the model from the shelf; whoever comes first has it put there."""
    shelf: Shelf = request.state.shelf
    began = shelf.task is None
    if shelf.task is None:
        shelf.task = asyncio.create_task(run_in_threadpool(load_reader))
        shelf.task.add_done_callback(shelf.forget_failure)
    try:
        return await (asyncio.shield(shelf.task) if began else shelf.task)
    except OSError as error:
        raise HTTPException(503, "The model cannot be loaded") from error


app = FastAPI(title="Archive", lifespan=lifespan)


@app.get("/health")
async def health() -> dict[str, str]:
    """Tell that the process is alive."""
    return {"status": "ok"}


@app.get("/ready")
async def ready(request: Request) -> Readiness:
    """Tell how far the model is."""
    shelf: Shelf = request.state.shelf
    if shelf.task is None:
        return Readiness(reader="absent")
    return Readiness(reader="loaded" if shelf.task.done() else "loading")


@app.post("/texts")
def read_line(line: Line, reader: Annotated[Reader, Depends(get_reader)]) -> Text:
    """Read one line of handwriting."""
    return Text(text=reader.read(line.line))
