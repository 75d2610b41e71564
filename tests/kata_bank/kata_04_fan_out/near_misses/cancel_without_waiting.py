"""Near-miss: the other tasks are cancelled, and nobody waits for their end.

Rejected by: test_nothing_goes_on_after_the_answer
Coach: You ask the other tasks to stop and answer at once. `cancel()` only asks: they need a moment
    to close their enquiry, and the answer does not wait for it.
Why: `cancel()` reads as if the task were gone when it returns.
"""

import asyncio
from typing import Annotated

from fastapi import FastAPI, HTTPException, Query
from pydantic import BaseModel

LAB_LIMIT = 4
CRITICAL_ABOVE = 6.0

app = FastAPI(
    title="Ward round",
    description=f"The laboratory allows this process {LAB_LIMIT} open enquiries at a time.",
)

Samples = Annotated[list[str], Query(alias="sample", min_length=1, max_length=50)]

lab_places = asyncio.Semaphore(LAB_LIMIT)


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
    async with lab_places:
        value = await call_laboratory(sample)
    if value is None:
        raise HTTPException(status_code=404, detail=f"The laboratory does not know sample {sample}")
    return Result(sample=sample, value=value, critical=value > CRITICAL_ABOVE)


async def fetch_all(samples: list[str]) -> list[Result]:
    tasks = [asyncio.create_task(fetch_result(sample)) for sample in samples]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        raise


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
