"""Near-miss: the number is calculated in Python, under a lock for each toy.

Rejected by: test_loan_of_another_program_is_counted
Coach: Your lock lets the loans of one toy in one after the other, as far as they come to this
    process. Another process has its own lock or none, and its loan is overwritten.
Why: Two loans at the same time are both counted, and the answer needs no further statement.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Path, Request, status
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import String, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

DATABASE_URL = "sqlite+aiosqlite:///toys.db"


class Base(DeclarativeBase):
    """All tables of the library."""


class Toy(Base):
    __tablename__ = "toys"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    times_lent: Mapped[int] = mapped_column(default=0)


class NewToy(BaseModel):
    name: Annotated[str, Field(min_length=1, max_length=80)]


class ToyOut(NewToy):
    model_config = ConfigDict(from_attributes=True)

    id: int
    times_lent: int


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Open the database, and close it at the end."""
    engine = create_async_engine(DATABASE_URL, connect_args={"timeout": 15})
    try:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield {"sessions": async_sessionmaker(engine, expire_on_commit=False)}
    finally:
        await engine.dispose()


async def get_session(request: Request) -> AsyncIterator[AsyncSession]:
    """Lend a session to one request."""
    async with request.state.sessions() as session:
        yield session


Database = Annotated[AsyncSession, Depends(get_session)]
ToyId = Annotated[int, Path(ge=1, le=2_147_483_647)]
locks: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)

app = FastAPI(title="Toy library", lifespan=lifespan)


async def find(session: AsyncSession, toy_id: int) -> Toy:
    """Get a toy, or say that there is none."""
    toy = await session.get(Toy, toy_id)
    if toy is None:
        raise HTTPException(404, "There is no such toy")
    return toy


@app.get("/toys")
async def list_toys(session: Database) -> list[ToyOut]:
    """Show all toys."""
    toys = await session.scalars(select(Toy).order_by(Toy.id))
    return [ToyOut.model_validate(toy) for toy in toys]


@app.get("/toys/{toy_id}")
async def read_toy(toy_id: ToyId, session: Database) -> ToyOut:
    """Show one toy."""
    return ToyOut.model_validate(await find(session, toy_id))


@app.post("/toys", status_code=status.HTTP_201_CREATED)
async def add_toy(new: NewToy, session: Database) -> ToyOut:
    """Take in a toy."""
    toy = Toy(name=new.name)
    session.add(toy)
    await session.commit()
    return ToyOut.model_validate(toy)


@app.post("/toys/{toy_id}/loans", status_code=status.HTTP_201_CREATED)
async def lend_toy(toy_id: ToyId, session: Database) -> ToyOut:
    """Lend a toy."""
    async with locks[toy_id]:
        toy = await find(session, toy_id)
        toy.times_lent += 1
        await session.commit()
    return ToyOut.model_validate(toy)
