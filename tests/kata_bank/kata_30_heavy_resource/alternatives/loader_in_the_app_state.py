"""Alternative: a class that loads, kept in `app.state`.

Right because: The loader belongs to one application and is made anew by each start. It has the
    lock, the model and the state in one place.
Trade-off: A class more, which pays off when there is a second heavy resource.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Literal

import anyio
from fastapi import Depends, FastAPI, HTTPException, Request
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


class Loader:
    """Loads the model when it is first needed."""

    def __init__(self) -> None:
        self._lock = anyio.Lock()
        self._reader: Reader | None = None
        self.state: Literal["absent", "loading", "loaded"] = "absent"

    async def get(self) -> Reader:
        """Return the model, loading it if it is not there yet."""
        async with self._lock:
            if self._reader is None:
                self.state = "loading"
                try:
                    self._reader = await anyio.to_thread.run_sync(lambda: load_reader())
                except BaseException:
                    self.state = "absent"
                    raise
                self.state = "loaded"
        return self._reader



class Line(BaseModel):
    line: Annotated[str, Field(min_length=1, max_length=500)]


class Text(BaseModel):
    text: str


class Readiness(BaseModel):
    reader: Literal["absent", "loading", "loaded"]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Give the service an empty shelf."""
    app.state.loader = Loader()
    yield


async def get_reader(request: Request) -> Reader:
    """Ask the loader of the application."""
    loader: Loader = request.app.state.loader
    try:
        return await loader.get()
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
    return Readiness(reader=request.app.state.loader.state)


@app.post("/texts")
def read_line(line: Line, reader: Annotated[Reader, Depends(get_reader)]) -> Text:
    """Read one line of handwriting."""
    return Text(text=reader.read(line.line))
