"""Near-miss: everything is declared, and the defaults stand inside `Query(...)`.

Rejected by: test_list_is_callable_without_http
Coach: Over HTTP all is right. Whoever calls the function gets the `Query` objects of its signature
    in the place of values.
Why: Most older examples are written in this way, and a test with a client cannot see it.
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
            raise HTTPException(status_code=422, detail=f"There is no parameter {name!r}")


@app.get("/lots", dependencies=[Depends(only_declared)])
async def list_lots(
    q: str | None = Query(default=None, min_length=1, max_length=50),
    kind: Kind | None = Query(default=None),
    maker: str | None = Query(default=None, min_length=1, max_length=60),
    year_from: int | None = Query(default=None, ge=1500, le=2100),
    year_to: int | None = Query(default=None, ge=1500, le=2100),
    sort: Sort = Query(default="number"),
    limit: int = Query(default=20, ge=1, le=100),
    connection: AsyncConnection = Depends(connect),
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
