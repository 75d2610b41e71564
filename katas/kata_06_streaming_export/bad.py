"""Bike hire: hands the trips of a month to the city, as CSV and as JSON Lines."""

import asyncio
import csv
import io
from typing import Annotated, Self

from fastapi import FastAPI, Path
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

Month = Annotated[str, Path(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")]

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


@app.get("/trips/{month}/export.csv")
async def export_csv(month: Month) -> StreamingResponse:
    """Stream the trips of a month as a CSV file."""
    async with await open_trips(month) as trips:
        rows = [trip.model_dump() async for trip in trips]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(Trip.model_fields))
    writer.writeheader()
    writer.writerows(rows)
    return StreamingResponse(
        io.BytesIO(text.getvalue().encode()),
        media_type="application/octet-stream",
        headers={"Content-Disposition": f'attachment; filename="trips-{month}.csv"'},
    )


@app.get("/trips/{month}/export.jsonl")
async def export_json_lines(month: Month) -> StreamingResponse:
    """Stream the trips of a month as JSON Lines."""
    async with await open_trips(month) as trips:
        lines = [trip.model_dump_json() + "\n" async for trip in trips]
    return StreamingResponse(io.BytesIO("".join(lines).encode()), media_type="application/jsonl")
