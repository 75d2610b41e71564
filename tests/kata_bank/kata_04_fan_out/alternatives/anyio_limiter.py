"""Alternative: AnyIO's task group and capacity limiter, made when the application starts.

Right because: The limiter is one for the process, and the task group ends as a whole.
Trade-off: Two ways of structured concurrency in one code base; AnyIO is there already, since
    Starlette stands on it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import anyio
from fastapi import FastAPI, HTTPException, Query
from pydantic import BaseModel

LAB_LIMIT = 4
CRITICAL_ABOVE = 6.0

@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.lab_places = anyio.CapacityLimiter(LAB_LIMIT)
    yield


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
    await anyio.sleep(0.2)
    return {"S-1": 4.1, "S-2": 6.4, "S-3": 3.9, "S-4": 5.2, "S-5": 7.0}.get(sample)


async def fetch_result(sample: str) -> Result:
    async with app.state.lab_places:
        value = await call_laboratory(sample)
    if value is None:
        raise HTTPException(status_code=404, detail=f"The laboratory does not know sample {sample}")
    return Result(sample=sample, value=value, critical=value > CRITICAL_ABOVE)


async def fetch_all(samples: list[str]) -> list[Result]:
    results: dict[int, Result] = {}
    refusals: list[HTTPException] = []

    async with anyio.create_task_group() as group:

        async def fetch_one(index: int, sample: str) -> None:
            try:
                results[index] = await fetch_result(sample)
            except HTTPException as error:
                refusals.append(error)
                group.cancel_scope.cancel()

        for index, sample in enumerate(samples):
            group.start_soon(fetch_one, index, sample)
    if refusals:
        raise refusals[0]
    return [results[index] for index in range(len(samples))]


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
