"""Near-miss: a client for each request, and each is closed.

Rejected by: test_connection_is_used_again, test_crowd_shares_the_connections,
    test_silent_office_is_a_504
Coach: You close what you open, so nothing is left. But each request still opens connections of
    its own, and a limit of five for one request limits nothing.
Why: `async with httpx.AsyncClient()` is in nearly every example.
"""

import asyncio
from collections.abc import AsyncIterator
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


async def get_client() -> AsyncIterator[httpx.AsyncClient]:
    """Get a client for the river office, which allows a few connections only."""
    limits = httpx.Limits(max_connections=MAX_CONNECTIONS)
    timeout = httpx.Timeout(None, connect=TIMEOUT_SECONDS)
    async with httpx.AsyncClient(base_url=RIVER_URL, limits=limits, timeout=timeout) as client:
        yield client


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
