"""Near-miss: the number of each sent row is remembered.

Rejected by: test_nothing_is_kept_for_each_row
Coach: You stream the rows, but you remember something of each of them. It is small, and there are
    millions of rows.
Why: A reader complained about a row that came twice, and a set of numbers is a quick remedy.
"""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Iterable
from typing import Annotated, Self

from fastapi import Depends, FastAPI, Path
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


async def trips_of(month: Month) -> AsyncIterator[TripCursor]:
    """Open the trips of a month, and close them when the answer has ended, however it ended."""
    async with await open_trips(month) as trips:
        yield trips


async def csv_parts(trips: TripCursor) -> AsyncIterator[str]:
    yield csv_line(Trip.model_fields)
    sent: set[int] = set()
    async for trip in trips:
        if trip.trip_id not in sent:
            sent.add(trip.trip_id)
            yield csv_line(trip.model_dump().values())


@app.get("/trips/{month}/export.csv")
async def export_csv(
    month: Month, trips: Annotated[TripCursor, Depends(trips_of)]
) -> StreamingResponse:
    """Stream the trips of a month as a CSV file."""
    return StreamingResponse(
        csv_parts(trips),
        media_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="trips-{month}.csv"'},
    )


@app.get("/trips/{month}/export.jsonl")
async def export_json_lines(
    trips: Annotated[TripCursor, Depends(trips_of)],
) -> AsyncIterator[Trip]:
    """Stream the trips of a month as JSON Lines."""
    async for trip in trips:
        yield trip
