"""Near-miss: `lru_cache` around the function that makes the client.

Rejected by: test_stop_closes_every_connection, test_next_start_works_as_the_first
Coach: The cache keeps one client, and nobody closes it. It also outlives the application: the
    next start gets the client of the start before, with its event loop and its address.
Why: It is the shortest way to "only once".
"""

import asyncio
from functools import lru_cache
from typing import Annotated

import httpx
from fastapi import Depends, FastAPI, HTTPException, Path
from pydantic import BaseModel

RIVER_URL = "http://127.0.0.1:9829"
TIMEOUT_SECONDS = 3.0
MAX_CONNECTIONS = 5
GAUGES = ["bridge", "weir", "harbour"]

app = FastAPI(title="Rowing club")


class Level(BaseModel):
    gauge: str
    centimetres: int


@lru_cache
def river_client() -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=MAX_CONNECTIONS)
    return httpx.AsyncClient(base_url=RIVER_URL, limits=limits, timeout=TIMEOUT_SECONDS)


async def get_client() -> httpx.AsyncClient:
    """Get the client for the river office, which is made once."""
    return river_client()


Client = Annotated[httpx.AsyncClient, Depends(get_client)]
Gauge = Annotated[str, Path(pattern="^[a-z]{1,20}$")]


async def ask_office(client: httpx.AsyncClient, gauge: str) -> Level:
    """Ask the river office for the level at one gauge."""
    try:
        response = await client.get(f"/gauges/{gauge}")
    except httpx.TimeoutException as error:
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
