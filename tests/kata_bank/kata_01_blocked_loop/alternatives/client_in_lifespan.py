"""Alternative: one AsyncClient for the life of the application.

Right because: The client is asynchronous, and its connections are shared by all requests.
Trade-off: A lifespan and a place for the client are needed; later katas explain both.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel

CARRIER_URL = os.environ.get("CARRIER_URL", "http://127.0.0.1:9801")
PAUSE_SECONDS = 0.1
ATTEMPTS = 3

@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with httpx.AsyncClient(base_url=CARRIER_URL, timeout=10) as client:
        app.state.carrier = client
        yield


app = FastAPI(title="Packing desk", lifespan=lifespan)


class Label(BaseModel):
    order_id: int
    tracking: str


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/orders/{order_id}/label")
async def get_label(order_id: int, request: Request) -> Label:
    """Return the label, giving the carrier time to print it."""
    for attempt in range(ATTEMPTS):
        if attempt:
            await asyncio.sleep(PAUSE_SECONDS)
        response = await request.app.state.carrier.get(f"/labels/{order_id}")
        if response.status_code == 404:
            raise HTTPException(status_code=404, detail="The carrier does not know this order")
        if response.status_code == 200:
            return Label(order_id=order_id, tracking=response.json()["tracking"])
    raise HTTPException(status_code=503, detail="The carrier has not printed the label yet")
