"""Near-miss: one order at a time may ask again.

Rejected by: test_late_labels_wait_together
Coach: First questions go side by side. Orders whose label is late wait for one another, each with its pause.
Why: A lock around the second question is meant kindly, to spare a carrier that is slow already.
"""

import asyncio
import os
import time

import httpx
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

CARRIER_URL = os.environ.get("CARRIER_URL", "http://127.0.0.1:9801")
PAUSE_SECONDS = 0.1
ATTEMPTS = 3

retry_lock = asyncio.Lock()
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
    async with httpx.AsyncClient(timeout=10) as client:
        for attempt in range(ATTEMPTS):
            if attempt:
                async with retry_lock:
                    await asyncio.sleep(PAUSE_SECONDS)
                    response = await client.get(f"{CARRIER_URL}/labels/{order_id}")
            else:
                response = await client.get(f"{CARRIER_URL}/labels/{order_id}")
            if response.status_code == 404:
                raise HTTPException(status_code=404, detail="The carrier does not know this order")
            if response.status_code == 200:
                return Label(order_id=order_id, tracking=response.json()["tracking"])
    raise HTTPException(status_code=503, detail="The carrier has not printed the label yet")
