"""Catalogue of an auction house for musical instruments: the lots of the next sale."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI, Query, Request
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


async def column_filters(request: Request) -> dict[str, str]:
    """Take the filters on columns out of the query, such as `kind` and `maker`."""
    return {name: value for name, value in request.query_params.items() if hasattr(lots.c, name)}


@app.get("/lots")
async def list_lots(
    filters: dict[str, str] = Depends(column_filters),
    q: str | None = Query(default=None, min_length=1, max_length=50),
    year_from: int | None = Query(default=None, ge=1500, le=2100),
    year_to: int | None = Query(default=None, ge=1500, le=2100),
    sort: str = Query(default="number"),
    limit: int = Query(default=20, ge=1, le=100),
    connection: AsyncConnection = Depends(connect),
) -> list[Lot]:
    """Find lots by their columns, by the years they may be from, and by a text in the title."""
    query = select(lots)
    for name, value in filters.items():
        query = query.where(getattr(lots.c, name) == value)
    if q is not None:
        query = query.where(lots.c.title.contains(q))
    if year_from is not None:
        query = query.where(lots.c.year >= year_from)
    if year_to is not None:
        query = query.where(lots.c.year <= year_to)
    column = getattr(lots.c, sort.removeprefix("-"), lots.c.number)
    order = column.desc() if sort.startswith("-") else column.asc()
    rows = await connection.execute(query.order_by(order, lots.c.number).limit(limit))
    return [Lot.model_validate(row) for row in rows]
