"""Alternative: a pause made of an event that never comes.

Right because: `wait_for` gives the loop back until its time is over.
Trade-off: A roundabout way to say `asyncio.sleep`, useful when something may end the pause early.
"""

import asyncio
import os
import time
import threading

import httpx
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

CARRIER_URL = os.environ.get("CARRIER_URL", "http://127.0.0.1:9801")
PAUSE_SECONDS = 0.1
ATTEMPTS = 3

closing = threading.Event()
app = FastAPI(title="Packing desk")


class Label(BaseModel):
    order_id: int
    tracking: str


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/orders/{order_id}/label")
def get_label(order_id: int) -> Label:
    """Return the label, giving the carrier time to print it."""
    for attempt in range(ATTEMPTS):
        if attempt:
            closing.wait(PAUSE_SECONDS)
        response = httpx.get(f"{CARRIER_URL}/labels/{order_id}", timeout=10)
        if response.status_code == 404:
            raise HTTPException(status_code=404, detail="The carrier does not know this order")
        if response.status_code == 200:
            return Label(order_id=order_id, tracking=response.json()["tracking"])
    raise HTTPException(status_code=503, detail="The carrier has not printed the label yet")
