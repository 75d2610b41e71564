"""Alternative: settings without a library, read for each request; a callable object lends the
    sessions

Right because: The environment is read when a request asks. The instance `get_session` is
    one object, so FastAPI finds its override. It makes its engine at the first use, and the
    lifespan closes it.
Trade-off: Reading each time costs a little, and each variable has to be named by hand.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Path, Response
from pydantic import BaseModel, Field
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine


class Settings(BaseModel):
    database_url: str
    deposit: Annotated[int, Field(ge=0, le=10_000)]


metadata = MetaData()
jobs = Table(
    "jobs",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("thing", String(80), nullable=False),
    Column("deposit", Integer, nullable=False),
)


class NewJob(BaseModel, extra="forbid"):
    thing: Annotated[str, Field(min_length=1, max_length=80)]


class Job(BaseModel, from_attributes=True):
    number: int
    thing: str
    deposit: int


async def get_settings() -> Settings:
    """Read the settings of this moment."""
    return Settings(
        database_url=os.environ["CAFE_DATABASE_URL"], deposit=int(os.environ["CAFE_DEPOSIT"])
    )


class Sessions:
    """Lends sessions; the engine behind them is made at the first use."""

    def __init__(self) -> None:
        self._sessions: async_sessionmaker[AsyncSession] | None = None

    async def __call__(
        self, settings: Annotated[Settings, Depends(get_settings)]
    ) -> AsyncIterator[AsyncSession]:
        if self._sessions is None:
            self._sessions = async_sessionmaker(create_async_engine(settings.database_url))
        async with self._sessions() as session:
            yield session

    async def close(self) -> None:
        """Close all connections."""
        if self._sessions is not None:
            await self._sessions.kw["bind"].dispose()
            self._sessions = None


get_session = Sessions()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Close the database at the end."""
    try:
        yield
    finally:
        await get_session.close()


CurrentSettings = Annotated[Settings, Depends(get_settings)]
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
Session = Annotated[AsyncSession, Depends(get_session)]

board = APIRouter(tags=["board"])
desk = APIRouter(tags=["desk"])


@board.get("/deposit")
async def show_deposit(settings: CurrentSettings) -> int:
    """Show what a guest has to leave for a thing, in cents."""
    return settings.deposit


@board.get("/jobs")
async def list_jobs(session: Session) -> list[Job]:
    """Show all things that wait for a mender."""
    rows = await session.execute(select(jobs).order_by(jobs.c.number))
    return [Job.model_validate(row) for row in rows]


@desk.post("/jobs", status_code=201)
async def take_in(
    new: NewJob, response: Response, settings: CurrentSettings, session: Session
) -> Job:
    """Take in a broken thing, for the deposit of today."""
    values = {"thing": new.thing, "deposit": settings.deposit}
    added = await session.execute(insert(jobs).values(values).returning(jobs))
    job = Job.model_validate(added.one())
    await session.commit()
    response.headers["Location"] = f"/jobs/{job.number}"
    return job


@desk.get("/jobs/{number}")
async def show_job(number: Number, session: Session) -> Job:
    """Show one thing."""
    found = await session.execute(select(jobs).where(jobs.c.number == number))
    row = found.first()
    if row is None:
        raise HTTPException(status_code=404, detail="There is no such job")
    return Job.model_validate(row)


app = FastAPI(title="Repair café", lifespan=lifespan)
app.include_router(board)
app.include_router(desk)
