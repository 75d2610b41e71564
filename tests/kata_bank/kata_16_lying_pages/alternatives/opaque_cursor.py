"""Alternative: a cursor in one text, compared as a pair by the database.

Right because: The pair of day and id is unique and is compared as a whole. A text that is no
    cursor is refused before the database is asked.
Trade-off: The cursor has to be read and checked by hand.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from math import ceil
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Column, Date, Integer, MetaData, String, Table, func, select, tuple_
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


def read_cursor(text: str) -> tuple[date, int]:
    """Read a position that an earlier page has named."""
    day, _, number = text.partition("_")
    try:
        return date.fromisoformat(day), int(number)
    except ValueError as error:
        raise HTTPException(status_code=422, detail="`after` is no position") from error


@app.get("/items")
async def list_items(
    request: Request,
    connection: Connection,
    station: Station | None = None,
    since: date | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[str | None, Query(pattern=r"^\d{4}-\d{2}-\d{2}_\d{1,9}$")] = None,
) -> Page:
    """Show what was found, page by page."""
    query = select(items)
    if station is not None:
        query = query.where(items.c.station == station)
    if since is not None:
        query = query.where(items.c.found_on >= since)
    total = await connection.scalar(select(func.count()).select_from(query.subquery())) or 0
    in_order = query.order_by(items.c.found_on, items.c.id)
    if after is not None:
        in_order = in_order.where(tuple_(items.c.found_on, items.c.id) > read_cursor(after))
    rows = (await connection.execute(in_order.limit(limit + 1))).all()
    following = None
    if len(rows) > limit:
        rows = rows[:limit]
        cursor = f"{rows[-1].found_on}_{rows[-1].id}"
        following = str(request.url.include_query_params(limit=limit, after=cursor))
    return Page(
        items=[Item.model_validate(row) for row in rows],
        total=total,
        pages=ceil(total / limit),
        next=following,
    )
