"""Alternative: the parameters in one model, and pages that look one row ahead.

Right because: The model states all bounds. One row more than the page has tells whether
    something follows; the order has no ties.
Trade-off: Two ways to know the end: the total, and the row ahead. They can differ for a moment
    while items come in.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
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

app = FastAPI(title="Lost property", lifespan=lifespan)


class Search(BaseModel):
    station: Annotated[str | None, Field(min_length=1, max_length=40)] = None
    since: date | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    offset: Annotated[int, Field(ge=0, le=10_000_000)] = 0


@app.get("/items")
async def list_items(
    request: Request, connection: Connection, search: Annotated[Search, Query()]
) -> Page:
    """Show what was found, page by page."""
    query = select(items)
    if search.station is not None:
        query = query.where(items.c.station == search.station)
    if search.since is not None:
        query = query.where(items.c.found_on >= search.since)
    total = await connection.scalar(select(func.count()).select_from(query.subquery())) or 0
    ahead = query.order_by(items.c.found_on, items.c.id).offset(search.offset)
    rows = (await connection.execute(ahead.limit(search.limit + 1))).all()
    following = request.url.include_query_params(
        limit=search.limit, offset=search.offset + search.limit
    )
    return Page(
        items=[Item.model_validate(row) for row in rows[: search.limit]],
        total=total,
        pages=(total + search.limit - 1) // search.limit,
        next=str(following) if len(rows) > search.limit else None,
    )
