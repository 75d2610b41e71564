"""Near-miss: a blocking pause on the way to 503.

Rejected by: test_no_line_stops_the_loop
Coach: The usual ways through the endpoint are free. The way to 503 still stops the loop.
Why: The path that ends in an error is rarely tried by hand.
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
                await asyncio.sleep(PAUSE_SECONDS)
            response = await client.get(f"{CARRIER_URL}/labels/{order_id}")
            if response.status_code == 404:
                raise HTTPException(status_code=404, detail="The carrier does not know this order")
            if response.status_code == 200:
                return Label(order_id=order_id, tracking=response.json()["tracking"])
        time.sleep(PAUSE_SECONDS)
    raise HTTPException(status_code=503, detail="The carrier has not printed the label yet")
