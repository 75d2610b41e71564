"""Near-miss: the model cuts blanks off each text.

Rejected by: test_filters_select_lots
Coach: Your model changes the text before the search begins. A blank at the end is a character, too:
    whoever searches for `5 ` does not want `15`.
Why: `str_strip_whitespace` is good for names that people type into a form.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Literal

from fastapi import Depends, FastAPI, Query, Request
from pydantic import BaseModel, ConfigDict, Field
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

Year = Annotated[int, Field(ge=1500, le=2100)]


class LotSearch(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    q: Annotated[str, Field(min_length=1, max_length=50)] | None = None
    kind: Literal["bowed", "plucked", "wind", "keys", "drum"] | None = None
    maker: Annotated[str, Field(min_length=1, max_length=60)] | None = None
    year_from: Year | None = None
    year_to: Year | None = None
    sort: Literal["number", "year", "-year", "estimate", "-estimate"] = "number"
    limit: Annotated[int, Field(ge=1, le=100)] = 20


ALL_LOTS = LotSearch()


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


@app.get("/lots")
async def list_lots(
    connection: Annotated[AsyncConnection, Depends(connect)],
    search: Annotated[LotSearch, Query()] = ALL_LOTS,
) -> list[Lot]:
    """Find lots by kind, by maker, by the years they may be from, and by a text in the title."""
    query = select(lots)
    if search.kind is not None:
        query = query.where(lots.c.kind == search.kind)
    if search.maker is not None:
        query = query.where(lots.c.maker == search.maker)
    if search.q is not None:
        query = query.where(lots.c.title.contains(search.q, autoescape=True))
    if search.year_from is not None:
        query = query.where(lots.c.year >= search.year_from)
    if search.year_to is not None:
        query = query.where(lots.c.year <= search.year_to)
    query = query.order_by(ORDERS[search.sort], lots.c.number).limit(search.limit)
    rows = await connection.execute(query)
    return [Lot.model_validate(row) for row in rows]
