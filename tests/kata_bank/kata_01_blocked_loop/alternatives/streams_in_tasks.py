"""Alternative: the question in a task of its own.

Right because: Whatever waits is awaited; the loop is free.
Trade-off: More parts than the work needs.
"""

import asyncio
import os
import time
import json

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


async def ask(order_id: int) -> tuple[int, bytes]:
    url = httpx.URL(f"{CARRIER_URL}/labels/{order_id}")
    reader, writer = await asyncio.open_connection(url.host, url.port or 80)
    try:
        writer.write(
            f"GET {url.raw_path.decode()} HTTP/1.0\r\nHost: {url.host}\r\n\r\n".encode()
        )
        await writer.drain()
        raw = await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()
    head, _, body = raw.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


@app.get("/orders/{order_id}/label")
async def get_label(order_id: int) -> Label:
    """Return the label, giving the carrier time to print it."""
    for attempt in range(ATTEMPTS):
        if attempt:
            await asyncio.sleep(PAUSE_SECONDS)
        status, body = await ask(order_id)
        if status == 404:
            raise HTTPException(status_code=404, detail="The carrier does not know this order")
        if status == 200:
            return Label(order_id=order_id, tracking=json.loads(body)["tracking"])
    raise HTTPException(status_code=503, detail="The carrier has not printed the label yet")
