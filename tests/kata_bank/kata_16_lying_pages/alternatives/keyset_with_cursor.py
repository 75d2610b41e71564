"""Alternative: the position is the row that was shown last; within a day the newest comes first.

Right because: The next page begins after this row, in an order without ties. A new item may
    come before it and moves nothing. One row more than the page has tells whether another page
    follows.
Trade-off: Nobody can jump to page 7, and the condition must fit the order exactly. New items of
    a day that is passed already are not seen.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from math import ceil
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Column, Date, Integer, MetaData, String, Table, and_, func, or_, select
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
    after_day: date | None = None,
    after_id: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
) -> Page:
    """Show what was found, page by page."""
    query = select(items)
    if station is not None:
        query = query.where(items.c.station == station)
    if since is not None:
        query = query.where(items.c.found_on >= since)
    total = await connection.scalar(select(func.count()).select_from(query.subquery())) or 0
    in_order = query.order_by(items.c.found_on, items.c.id.desc())
    if after_day is not None:
        later = items.c.found_on > after_day
        same_day = and_(items.c.found_on == after_day, items.c.id < after_id)
        in_order = in_order.where(or_(later, same_day))
    rows = (await connection.execute(in_order.limit(limit + 1))).all()
    following = None
    if len(rows) > limit:
        rows = rows[:limit]
        after = {"after_day": str(rows[-1].found_on), "after_id": rows[-1].id}
        following = str(request.url.include_query_params(limit=limit, **after))
    return Page(
        items=[Item.model_validate(row) for row in rows],
        total=total,
        pages=ceil(total / limit),
        next=following,
    )
