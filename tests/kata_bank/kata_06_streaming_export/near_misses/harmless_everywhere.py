"""Near-miss: the rows themselves are changed, for both formats.

Rejected by: test_json_lines_are_complete
Coach: You make the texts harmless in the row itself, so the apostrophe reaches JSON Lines too,
    where no spreadsheet reads and the text must be exact.
Why: One place for both exports looks tidier.
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


def harmless(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA_SIGNS) else text


async def trips_of(month: Month) -> AsyncIterator[AsyncIterator[Trip]]:
    """Open the trips of a month, and close them when the answer has ended, however it ended."""
    async with await open_trips(month) as trips:
        yield (
            trip.model_copy(
                update={"rider": harmless(trip.rider), "remark": harmless(trip.remark)}
            )
            async for trip in trips
        )


def csv_line(cells: Iterable[object]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()


async def csv_parts(trips: AsyncIterator[Trip]) -> AsyncIterator[str]:
    yield csv_line(Trip.model_fields)
    async for trip in trips:
        yield csv_line(trip.model_dump().values())


@app.get("/trips/{month}/export.csv")
async def export_csv(
    month: Month, trips: Annotated[AsyncIterator[Trip], Depends(trips_of)]
) -> StreamingResponse:
    """Stream the trips of a month as a CSV file."""
    return StreamingResponse(
        csv_parts(trips),
        media_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="trips-{month}.csv"'},
    )


@app.get("/trips/{month}/export.jsonl")
async def export_json_lines(
    trips: Annotated[AsyncIterator[Trip], Depends(trips_of)],
) -> AsyncIterator[Trip]:
    """Stream the trips of a month as JSON Lines."""
    async for trip in trips:
        yield trip
