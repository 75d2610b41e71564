"""Near-miss: `lru_cache` around the loading function.

Rejected by: test_a_crowd_loads_once, test_each_start_begins_anew
Coach: `lru_cache` keeps results. It does not make callers wait for each other: all that come
    during the first call make a call of their own. And it belongs to the module, so it outlives
    the service.
Why: It is the usual advice for "make it once".
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
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


@lru_cache
def cached_reader() -> Reader:
    return load_reader()


async def get_reader(request: Request) -> Reader:
    """Have the model loaded; the cache remembers it."""
    shelf: Shelf = request.state.shelf
    shelf.loading = True
    try:
        shelf.reader = await run_in_threadpool(cached_reader)
    except OSError as error:
        raise HTTPException(503, "The model cannot be loaded") from error
    finally:
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
