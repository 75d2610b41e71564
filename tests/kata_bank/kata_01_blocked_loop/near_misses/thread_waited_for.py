"""Near-miss: a thread whose result is waited for on the loop.

Rejected by: test_loop_turns_while_carrier_answers, test_requests_wait_for_carrier_together,
    test_no_line_stops_the_loop
Coach: The call runs in a thread now, but the loop stands still until that thread is done: `result()` waits
    without giving the loop back.
Why: The call is in a thread, so it seems to be solved; the line after it looks harmless.
"""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

import httpx
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

CARRIER_URL = os.environ.get("CARRIER_URL", "http://127.0.0.1:9801")
PAUSE_SECONDS = 0.1
ATTEMPTS = 3

pool = ThreadPoolExecutor(max_workers=8)
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
        future = pool.submit(httpx.get, f"{CARRIER_URL}/labels/{order_id}", timeout=10)
        response = future.result()
        if response.status_code == 404:
            raise HTTPException(status_code=404, detail="The carrier does not know this order")
        if response.status_code == 200:
            return Label(order_id=order_id, tracking=response.json()["tracking"])
    raise HTTPException(status_code=503, detail="The carrier has not printed the label yet")
