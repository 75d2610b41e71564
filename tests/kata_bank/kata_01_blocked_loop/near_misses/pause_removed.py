"""Near-miss: the pause taken out.

Rejected by: test_carrier_gets_time_between_questions
Coach: The carrier does not get its time: nothing waits for the end of a pause before the next question
    is asked. A label that is printed late is never found.
Why: What is not there cannot block.
"""

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
        for _ in range(ATTEMPTS):
            response = await client.get(f"{CARRIER_URL}/labels/{order_id}")
            if response.status_code == 404:
                raise HTTPException(status_code=404, detail="The carrier does not know this order")
            if response.status_code == 200:
                return Label(order_id=order_id, tracking=response.json()["tracking"])
    raise HTTPException(status_code=503, detail="The carrier has not printed the label yet")
