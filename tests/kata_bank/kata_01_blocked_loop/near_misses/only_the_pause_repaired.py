"""Near-miss: `asyncio.sleep`, and the synchronous call as before.

Rejected by: test_loop_turns_while_carrier_answers, test_requests_wait_for_carrier_together,
    test_no_line_stops_the_loop
Coach: The pause lets the loop go on now. The call to the carrier, which takes longest, still stops it.
Why: `time.sleep` is the famous one; that an HTTP call waits as well is easy to overlook.
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
    for attempt in range(ATTEMPTS):
        if attempt:
            await asyncio.sleep(PAUSE_SECONDS)
        response = httpx.get(f"{CARRIER_URL}/labels/{order_id}", timeout=10)
        if response.status_code == 404:
            raise HTTPException(status_code=404, detail="The carrier does not know this order")
        if response.status_code == 200:
            return Label(order_id=order_id, tracking=response.json()["tracking"])
    raise HTTPException(status_code=503, detail="The carrier has not printed the label yet")
