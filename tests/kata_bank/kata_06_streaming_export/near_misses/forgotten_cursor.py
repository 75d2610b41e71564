"""Near-miss: the source is closed only after the last row.

Rejected by: test_reader_who_leaves_ends_the_reading, test_failing_archive_is_told_and_closed
Coach: You close the source in the line after the loop. When the reader leaves or the archive
    fails, the loop does not end there, and the line is never reached.
Why: Reading top to bottom, every path seems to pass the last line.
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
    trips = await open_trips(month)
    yield csv_line(Trip.model_fields)
    async for trip in trips:
        yield csv_line(trip.model_dump().values())
    await trips.aclose()


async def json_parts(month: str) -> AsyncIterator[str]:
    trips = await open_trips(month)
    async for trip in trips:
        yield trip.model_dump_json() + "\n"
    await trips.aclose()


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
