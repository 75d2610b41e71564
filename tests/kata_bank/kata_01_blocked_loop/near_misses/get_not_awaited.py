"""Near-miss: an AsyncClient whose `get` is not awaited.

Rejected by: test_printed_label_is_returned, test_unknown_order_is_404
Coach: You call the asynchronous client, but the call alone only makes a coroutine. Nothing was sent, and
    there is no response to look at.
Why: Replacing `httpx.get` by `client.get` looks complete; the synchronous habit leaves out `await`.
"""

import asyncio
import os

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
            response = client.get(f"{CARRIER_URL}/labels/{order_id}")
            if response.status_code == 404:
                raise HTTPException(status_code=404, detail="The carrier does not know this order")
            if response.status_code == 200:
                return Label(order_id=order_id, tracking=response.json()["tracking"])
    raise HTTPException(status_code=503, detail="The carrier has not printed the label yet")
