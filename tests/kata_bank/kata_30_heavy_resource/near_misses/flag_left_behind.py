"""Near-miss: the flag is cleared after success and after an `OSError`, and at no other end.

Rejected by: test_failure_that_nobody_waited_for
Coach: When the request that began the load has been cancelled, nobody takes back what the shelf
    remembers of it. What must be forgotten at every end needs a place that every end passes.
Why: Success and the known failure are the two ends that one sees.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
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

    reader: Reader | None = None
    loading: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


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
    """Take the model from the shelf; whoever comes first puts it there."""
    shelf: Shelf = request.state.shelf
    async with shelf.lock:
        if shelf.reader is None:
            shelf.loading = True
            try:
                shelf.reader = await run_in_threadpool(load_reader)
            except OSError as error:
                shelf.loading = False
                raise HTTPException(503, "The model cannot be loaded") from error
            shelf.loading = False
    return shelf.reader


app = FastAPI(title="Archive", lifespan=lifespan)


@app.get("/health")
async def health() -> dict[str, str]:
    """Tell that the process is alive."""
    return {"status": "ok"}


@app.get("/ready")
async def ready(request: Request) -> Readiness:
    """Tell how far the model is."""
    shelf: Shelf = request.state.shelf
    if shelf.reader is not None:
        return Readiness(reader="loaded")
    return Readiness(reader="loading" if shelf.loading else "absent")


@app.post("/texts")
def read_line(line: Line, reader: Annotated[Reader, Depends(get_reader)]) -> Text:
    """Read one line of handwriting."""
    return Text(text=reader.read(line.line))
