"""Alternative: as many workers as there are places, fed by one queue.

Right because: The number of workers is the limit. A request hands in its samples and waits for all
    of them, also when one fails.
Trade-off: More parts than a semaphore; worth it when the waiting line must be seen or bounded.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import FastAPI, HTTPException, Query
from pydantic import BaseModel

LAB_LIMIT = 4
CRITICAL_ABOVE = 6.0

@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.orders = asyncio.Queue()
    workers = [asyncio.create_task(work()) for _ in range(LAB_LIMIT)]
    yield
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)


app = FastAPI(
    title="Ward round",
    lifespan=lifespan,
    description=f"The laboratory allows this process {LAB_LIMIT} open enquiries at a time.",
)

Samples = Annotated[list[str], Query(alias="sample", min_length=1, max_length=50)]


class Result(BaseModel):
    sample: str
    value: float
    critical: bool


class Summary(BaseModel):
    count: int
    lowest: float
    highest: float


async def call_laboratory(sample: str) -> float | None:
    """Make one enquiry with the laboratory's own client; None means: sample unknown."""
    await asyncio.sleep(0.2)
    return {"S-1": 4.1, "S-2": 6.4, "S-3": 3.9, "S-4": 5.2, "S-5": 7.0}.get(sample)


async def fetch_result(sample: str) -> Result:
    value = await call_laboratory(sample)
    if value is None:
        raise HTTPException(status_code=404, detail=f"The laboratory does not know sample {sample}")
    return Result(sample=sample, value=value, critical=value > CRITICAL_ABOVE)


async def fetch_all(samples: list[str]) -> list[Result]:
    loop = asyncio.get_running_loop()
    orders = [(sample, loop.create_future()) for sample in samples]
    for order in orders:
        app.state.orders.put_nowait(order)
    outcomes = await asyncio.gather(*(future for _, future in orders), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return outcomes


async def work() -> None:
    while True:
        sample, future = await app.state.orders.get()
        if future.done():
            continue
        try:
            result = await fetch_result(sample)
        except Exception as error:
            if not future.done():
                future.set_exception(error)
        else:
            if not future.done():
                future.set_result(result)


@app.get("/results")
async def list_results(samples: Samples) -> list[Result]:
    """Return one result for each sample, in the order of the request."""
    return await fetch_all(samples)


@app.get("/alarms")
async def list_alarms(samples: Samples) -> list[Result]:
    """Return the critical results, in the order of the request."""
    return [result for result in await fetch_all(samples) if result.critical]


@app.get("/summary")
async def summarise(samples: Samples) -> Summary:
    """Return the range of the values."""
    values = [result.value for result in await fetch_all(samples)]
    return Summary(count=len(values), lowest=min(values), highest=max(values))
