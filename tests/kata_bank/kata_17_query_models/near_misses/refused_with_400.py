"""Near-miss: an unknown parameter is answered with 400.

Rejected by: test_unknown_parameter_is_refused
Coach: You refuse the right requests with another status than the other refusals of this address.
    Clients look for 422 when a parameter is wrong.
Why: 400 is the status that people know for a bad request.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Literal

from fastapi import Depends, FastAPI, HTTPException, Query, Request
from pydantic import BaseModel, ConfigDict
from sqlalchemy import Column, Integer, MetaData, String, Table, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

DATABASE_URL = "sqlite+aiosqlite:///auction.db"

metadata = MetaData()
lots = Table(
    "lots",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("title", String(120), nullable=False),
    Column("maker", String(60), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("year", Integer, nullable=False),
    Column("estimate", Integer, nullable=False),
    Column("reserve", Integer, nullable=False),
    Column("consignor", String(60), nullable=False),
)

ORDERS = {
    "number": lots.c.number.asc(),
    "year": lots.c.year.asc(),
    "-year": lots.c.year.desc(),
    "estimate": lots.c.estimate.asc(),
    "-estimate": lots.c.estimate.desc(),
}

Kind = Literal["bowed", "plucked", "wind", "keys", "drum"]
Sort = Literal["number", "year", "-year", "estimate", "-estimate"]
Year = Annotated[int, Query(ge=1500, le=2100)]


class Lot(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    number: int
    title: str
    maker: str
    kind: str
    year: int
    estimate: int


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, AsyncEngine]]:
    """Keep the database open while the service runs."""
    engine = create_async_engine(DATABASE_URL)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        yield {"engine": engine}
    finally:
        await engine.dispose()


app = FastAPI(title="Auction", lifespan=lifespan)


async def connect(request: Request) -> AsyncIterator[AsyncConnection]:
    """Lend a connection to one request."""
    async with request.state.engine.connect() as connection:
        yield connection


PARAMETERS = {"q", "kind", "maker", "year_from", "year_to", "sort", "limit"}


async def only_declared(request: Request) -> None:
    """Refuse a request with a parameter that the catalogue does not have."""
    for name in request.query_params:
        if name not in PARAMETERS:
            raise HTTPException(status_code=400, detail=f"There is no parameter {name!r}")


@app.get("/lots", dependencies=[Depends(only_declared)])
async def list_lots(
    connection: Annotated[AsyncConnection, Depends(connect)],
    q: Annotated[str | None, Query(min_length=1, max_length=50)] = None,
    kind: Kind | None = None,
    maker: Annotated[str | None, Query(min_length=1, max_length=60)] = None,
    year_from: Year | None = None,
    year_to: Year | None = None,
    sort: Sort = "number",
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> list[Lot]:
    """Find lots by kind, by maker, by the years they may be from, and by a text in the title."""
    query = select(lots)
    if kind is not None:
        query = query.where(lots.c.kind == kind)
    if maker is not None:
        query = query.where(lots.c.maker == maker)
    if q is not None:
        query = query.where(lots.c.title.contains(q, autoescape=True))
    if year_from is not None:
        query = query.where(lots.c.year >= year_from)
    if year_to is not None:
        query = query.where(lots.c.year <= year_to)
    query = query.order_by(ORDERS[sort], lots.c.number).limit(limit)
    rows = await connection.execute(query)
    return [Lot.model_validate(row) for row in rows]
