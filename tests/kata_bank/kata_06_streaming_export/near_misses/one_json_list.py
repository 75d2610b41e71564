"""Near-miss: JSON as one list, CSV as a stream.

Rejected by: test_json_lines_leave_while_the_archive_is_read, test_window_of_rows_is_kept,
    test_memory_does_not_grow_with_the_rows
Coach: The CSV is a stream now. The JSON side still collects all rows, because it thinks of them as
    one list.
Why: JSON has no rows, so the whole list seems to be needed before anything can be written.
"""

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator, Iterable
from typing import Annotated, Self

from fastapi import Depends, FastAPI, Path, Response
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
    async for trip in trips:
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
) -> Response:
    """Send the trips of a month as JSON Lines."""
    rows = [trip.model_dump() async for trip in trips]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    return Response(lines, media_type="application/jsonl")
