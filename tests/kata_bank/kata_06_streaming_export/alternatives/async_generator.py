"""Alternative: two async generators that open and close the source themselves.

Right because: `async with` closes the source at the end, after a failure, and when the generator
    is closed.
Trade-off: After a disconnect nobody closes the generator by hand; Python does it when it finds the
    generator unused, a little later. And if the request is cancelled while the generator waits for
    a row, a close that itself must wait is cancelled too.
"""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Iterable
from typing import Annotated, Self

from fastapi import FastAPI, Path
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

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


async def csv_parts(month: str) -> AsyncIterator[str]:
    async with await open_trips(month) as trips:
        yield csv_line(Trip.model_fields)
        async for trip in trips:
            yield csv_line(trip.model_dump().values())


async def json_parts(month: str) -> AsyncIterator[str]:
    async with await open_trips(month) as trips:
        async for trip in trips:
            yield trip.model_dump_json() + "\n"


@app.get("/trips/{month}/export.csv")
async def export_csv(month: Month) -> StreamingResponse:
    """Stream the trips of a month as a CSV file."""
    return StreamingResponse(
        csv_parts(month),
        media_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="trips-{month}.csv"'},
    )


@app.get("/trips/{month}/export.jsonl")
async def export_json_lines(month: Month) -> StreamingResponse:
    """Stream the trips of a month as JSON Lines."""
    return StreamingResponse(json_parts(month), media_type="application/jsonl")
