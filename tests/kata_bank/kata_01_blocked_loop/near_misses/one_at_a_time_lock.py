"""Near-miss: an asynchronous client behind one lock.

Rejected by: test_requests_wait_for_carrier_together
Coach: The loop is free, but a lock lets only one order talk to the carrier. The others wait in a row, as
    before.
Why: After an incident people want to be careful with the carrier, and a lock feels safe.
"""

import asyncio
import os

import httpx
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

CARRIER_URL = os.environ.get("CARRIER_URL", "http://127.0.0.1:9801")
PAUSE_SECONDS = 0.1
ATTEMPTS = 3

carrier_lock = asyncio.Lock()
app = FastAPI(title="Packing desk")


class Label(BaseModel):
    order_id: int
    tracking: str


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/orders/{order_id}/label")
async def get_label(order_id: int) -> Label:
    """Return the label, giving the carrier time to print it."""
    async with carrier_lock, httpx.AsyncClient(timeout=10) as client:
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(PAUSE_SECONDS)
            response = await client.get(f"{CARRIER_URL}/labels/{order_id}")
            if response.status_code == 404:
                raise HTTPException(status_code=404, detail="The carrier does not know this order")
            if response.status_code == 200:
                return Label(order_id=order_id, tracking=response.json()["tracking"])
    raise HTTPException(status_code=503, detail="The carrier has not printed the label yet")
