"""Near-miss: `await asyncio.sleep(0)` before each blocking call.

Rejected by: test_loop_turns_while_carrier_answers, test_requests_wait_for_carrier_together,
    test_no_line_stops_the_loop
Coach: Whatever you added around them, the call and the pause still stop the loop where they stand. A
    turn of the loop just before, as with `sleep(0)`, is over when the call begins.
Why: "Give the loop a chance to breathe" is advice for long calculations; people copy it to waiting.
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
    for attempt in range(ATTEMPTS):
        if attempt:
            await asyncio.sleep(0)
            time.sleep(PAUSE_SECONDS)
        await asyncio.sleep(0)
        response = httpx.get(f"{CARRIER_URL}/labels/{order_id}", timeout=10)
        if response.status_code == 404:
            raise HTTPException(status_code=404, detail="The carrier does not know this order")
        if response.status_code == 200:
            return Label(order_id=order_id, tracking=response.json()["tracking"])
    raise HTTPException(status_code=503, detail="The carrier has not printed the label yet")
