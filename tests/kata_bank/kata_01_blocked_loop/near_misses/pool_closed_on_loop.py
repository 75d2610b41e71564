"""Near-miss: a thread pool that is closed before its result is awaited.

Rejected by: test_loop_turns_while_carrier_answers, test_requests_wait_for_carrier_together,
    test_no_line_stops_the_loop
Coach: The call runs in a thread, but `with` closes the pool at the end of the block. Closing waits for
    the thread, and it waits on the loop.
Why: `with` is the tidy way to use a pool, and the wait at its end is not to be seen in the code.
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

app = FastAPI(title="Packing desk")


class Label(BaseModel):
    order_id: int
    tracking: str


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


def fetch(order_id: int) -> httpx.Response:
    """Ask once, blocking."""
    return httpx.get(f"{CARRIER_URL}/labels/{order_id}", timeout=10)


async def ask_carrier(order_id: int) -> httpx.Response:
    """Ask once, in a thread."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(max_workers=1) as pool:
        answer = loop.run_in_executor(pool, fetch, order_id)
    return await answer


@app.get("/orders/{order_id}/label")
async def get_label(order_id: int) -> Label:
    """Return the label, giving the carrier time to print it."""
    for attempt in range(ATTEMPTS):
        if attempt:
            await asyncio.sleep(PAUSE_SECONDS)
        response = await ask_carrier(order_id)
        if response.status_code == 404:
            raise HTTPException(status_code=404, detail="The carrier does not know this order")
        if response.status_code == 200:
            return Label(order_id=order_id, tracking=response.json()["tracking"])
    raise HTTPException(status_code=503, detail="The carrier has not printed the label yet")
