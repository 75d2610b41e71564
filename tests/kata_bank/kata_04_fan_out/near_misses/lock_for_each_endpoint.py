"""Near-miss: one semaphore for the process, and a lock for each endpoint as well.

Rejected by: test_requests_share_the_places
Coach: The limit holds because requests wait for each other at your lock. A request with two samples
    now leaves half of the places empty while the next one waits outside.
Why: When the laboratory complains, one more brake looks safe, and one request alone is as
    fast as ever.
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
alarms_lock = asyncio.Lock()
results_lock = asyncio.Lock()
summary_lock = asyncio.Lock()


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
    """Fetch the results together, and end as a whole when one of them cannot be had."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(fetch_result(sample)) for sample in samples]
    except* HTTPException as refusals:
        raise refusals.exceptions[0] from None
    return [task.result() for task in tasks]


@app.get("/results")
async def list_results(samples: Samples) -> list[Result]:
    """Return one result for each sample, in the order of the request."""
    async with results_lock:
        return await fetch_all(samples)


@app.get("/alarms")
async def list_alarms(samples: Samples) -> list[Result]:
    """Return the critical results, in the order of the request."""
    async with alarms_lock:
        return [result for result in await fetch_all(samples) if result.critical]


@app.get("/summary")
async def summarise(samples: Samples) -> Summary:
    """Return the range of the values."""
    async with summary_lock:
        values = [result.value for result in await fetch_all(samples)]
    return Summary(count=len(values), lowest=min(values), highest=max(values))
