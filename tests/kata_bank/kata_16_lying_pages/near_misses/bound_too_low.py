"""Near-miss: the offset has a bound that a real list goes beyond.

Rejected by: test_page_behind_the_end_is_empty
Coach: Your bound on the position is lower than the list is long. Whoever follows `next` gets 422 in
    the middle, and the items behind it cannot be read.
Why: A deep offset is slow, and ten thousand seems to be enough for every list.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from math import ceil
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Column, Date, Integer, MetaData, String, Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

DATABASE_URL = "sqlite+aiosqlite:///lost_property.db"

metadata = MetaData()
items = Table(
    "items",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("label", String(80), nullable=False),
    Column("station", String(40), nullable=False),
    Column("found_on", Date, nullable=False),
)


class Item(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    label: str
    station: str
    found_on: date


class Page(BaseModel):
    items: Annotated[list[Item], Field(max_length=100)]
    total: int
    pages: int
    next: str | None


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Open the database, and close it at the end."""
    engine = create_async_engine(DATABASE_URL)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        yield {"engine": engine}
    finally:
        await engine.dispose()


async def get_connection(request: Request) -> AsyncIterator[AsyncConnection]:
    """Lend a connection to one request."""
    async with request.state.engine.connect() as connection:
        yield connection


Connection = Annotated[AsyncConnection, Depends(get_connection)]
Station = Annotated[str, Query(min_length=1, max_length=40)]

app = FastAPI(title="Lost property", lifespan=lifespan)


@app.get("/items")
async def list_items(
    request: Request,
    connection: Connection,
    station: Station | None = None,
    since: date | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    offset: Annotated[int, Query(ge=0, le=10_000)] = 0,
) -> Page:
    """Show what was found, page by page."""
    query = select(items)
    if station is not None:
        query = query.where(items.c.station == station)
    if since is not None:
        query = query.where(items.c.found_on >= since)
    total = await connection.scalar(select(func.count()).select_from(query.subquery())) or 0
    in_order = query.order_by(items.c.found_on, items.c.id)
    rows = await connection.execute(in_order.limit(limit).offset(offset))
    following = request.url.include_query_params(limit=limit, offset=offset + limit)
    return Page(
        items=[Item.model_validate(row) for row in rows],
        total=total,
        pages=ceil(total / limit),
        next=str(following) if offset + limit < total else None,
    )
