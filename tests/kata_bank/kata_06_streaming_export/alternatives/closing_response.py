"""Alternative: a response that closes its own generator.

Right because: `async with` stands in the generator, and the response closes the generator at once,
    also when the reader has left.
Trade-off: A class of your own to maintain, for what a dependency with `yield` does as well.
"""

import asyncio
import csv
import io
from collections.abc import AsyncGenerator, Iterable
from typing import Annotated, Any, Self

from fastapi import FastAPI, Path
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

Month = Annotated[str, Path(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")]

FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")

app = FastAPI(title="Bike hire")


class Trip(BaseModel):
    trip_id: int
    rider: str
    remark: str
    minutes: int
    charge_cents: int


class TripCursor:
    """The trips of one month, read one by one. It holds a connection until it is closed."""

    def __init__(self, month: str) -> None:
        self._month = month
        self._ids = iter(range(1, 1001))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Trip:
        await asyncio.sleep(0)  # the way to the archive and back
        number = next(self._ids, None)
        if number is None:
            raise StopAsyncIteration
        remark = f"Trip {number} of {self._month}"
        return Trip(trip_id=number, rider="Ada", remark=remark, minutes=12, charge_cents=250)

    async def aclose(self) -> None:
        self._ids = iter(())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


async def open_trips(month: str) -> TripCursor:
    """Take a connection to the archive and open the trips of a month."""
    return TripCursor(month)


def as_text(cell: object) -> object:
    """Keep a spreadsheet from taking a text for a formula."""
    if isinstance(cell, str) and cell.startswith(FORMULA_SIGNS):
        return f"'{cell}"
    return cell


def csv_line(cells: Iterable[object]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(as_text(cell) for cell in cells)
    return line.getvalue()


class ClosingResponse(StreamingResponse):
    """Closes its own body when it ends, however it ends."""

    def __init__(self, parts: AsyncGenerator[str, None], **kwargs: Any) -> None:
        super().__init__(parts, **kwargs)
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._parts.aclose()


async def csv_parts(month: str) -> AsyncGenerator[str, None]:
    async with await open_trips(month) as trips:
        yield csv_line(Trip.model_fields)
        async for trip in trips:
            yield csv_line(trip.model_dump().values())


async def json_parts(month: str) -> AsyncGenerator[str, None]:
    async with await open_trips(month) as trips:
        async for trip in trips:
            yield trip.model_dump_json() + "\n"


@app.get("/trips/{month}/export.csv")
async def export_csv(month: Month) -> StreamingResponse:
    """Stream the trips of a month as a CSV file."""
    return ClosingResponse(
        csv_parts(month),
        media_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="trips-{month}.csv"'},
    )


@app.get("/trips/{month}/export.jsonl")
async def export_json_lines(month: Month) -> StreamingResponse:
    """Stream the trips of a month as JSON Lines."""
    return ClosingResponse(json_parts(month), media_type="application/jsonl")
