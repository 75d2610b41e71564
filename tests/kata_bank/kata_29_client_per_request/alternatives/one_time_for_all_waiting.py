"""Alternative: one limit around the whole question.

Right because: The pool of the one client has its limit, and `asyncio.timeout` ends whatever a
    question waits for, all kinds of waiting together.
Trade-off: A request that got its connection late has less time for the answer.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
from fastapi import Depends, FastAPI, HTTPException, Path, Request
from pydantic import BaseModel

RIVER_URL = "http://127.0.0.1:9829"
TIMEOUT_SECONDS = 3.0
MAX_CONNECTIONS = 5
GAUGES = ["bridge", "weir", "harbour"]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Keep one client for the river office, which allows a few connections only."""
    limits = httpx.Limits(max_connections=MAX_CONNECTIONS)
    async with httpx.AsyncClient(base_url=RIVER_URL, limits=limits, timeout=None) as client:
        yield {"client": client}


app = FastAPI(title="Rowing club", lifespan=lifespan)


class Level(BaseModel):
    gauge: str
    centimetres: int


def get_client(request: Request) -> httpx.AsyncClient:
    """Get the client for the river office, which all requests share."""
    client: httpx.AsyncClient = request.state.client
    return client


Client = Annotated[httpx.AsyncClient, Depends(get_client)]
Gauge = Annotated[str, Path(pattern="^[a-z]{1,20}$")]


async def ask_office(client: httpx.AsyncClient, gauge: str) -> Level:
    """Ask the river office for the level at one gauge."""
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            response = await client.get(f"/gauges/{gauge}")
    except TimeoutError as error:
        raise HTTPException(504, "The river office does not answer in time") from error
    except httpx.TransportError as error:
        raise HTTPException(502, "The river office cannot be reached") from error
    if response.status_code == httpx.codes.NOT_FOUND:
        raise HTTPException(404, "The river office has no such gauge")
    if response.status_code != httpx.codes.OK:
        raise HTTPException(502, "The river office has a problem")
    return Level(gauge=gauge, centimetres=response.json()["centimetres"])


@app.get("/levels")
async def show_levels(client: Client) -> list[Level]:
    """Show the level at each of our gauges."""
    return await asyncio.gather(*(ask_office(client, gauge) for gauge in GAUGES))


@app.get("/levels/{gauge}")
async def show_level(gauge: Gauge, client: Client) -> Level:
    """Show the level at one gauge."""
    return await ask_office(client, gauge)
