"""Alternative: plain generators in worker threads.

Right because: Starlette runs a plain generator in a worker thread, which asks the loop for each
    row. The dependency closes the source on the loop.
Trade-off: Two changes of thread for every row. Worth it only when the writing of a row blocks.
"""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Annotated, Self

import anyio.from_thread
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


async def next_trip(trips: TripCursor) -> Trip | None:
    return await anext(trips, None)


def rows_of(trips: TripCursor) -> Iterator[Trip]:
    while (trip := anyio.from_thread.run(next_trip, trips)) is not None:
        yield trip


def csv_parts(trips: TripCursor) -> Iterator[str]:
    yield csv_line(Trip.model_fields)
    for trip in rows_of(trips):
        yield csv_line(trip.model_dump().values())


@app.get("/trips/{month}/export.csv")
def export_csv(
    month: Month, trips: Annotated[TripCursor, Depends(trips_of)]
) -> StreamingResponse:
    """Stream the trips of a month as a CSV file."""
    return StreamingResponse(
        csv_parts(trips),
        media_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="trips-{month}.csv"'},
    )


@app.get("/trips/{month}/export.jsonl")
def export_json_lines(
    trips: Annotated[TripCursor, Depends(trips_of)],
) -> Iterator[Trip]:
    """Stream the trips of a month as JSON Lines."""
    yield from rows_of(trips)
