"""Near-miss: the globals are built at their first use

Rejected by: test_session_of_a_test_reaches_every_operation,
    test_settings_of_a_test_reach_every_operation
Coach: You moved the moment, and not the door: the settings and the engine are made later,
    and every endpoint still fetches them itself. A test that overrides `get_session` is not
    asked.
Why: The traceback of the import is gone, and functions with the right names exist.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import APIRouter, FastAPI, HTTPException, Path, Response
from pydantic import BaseModel, Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="CAFE_", extra="ignore")

    database_url: str
    deposit: Annotated[int, Field(ge=0, le=10_000)]


_settings: Settings | None = None
_engine: AsyncEngine | None = None


def get_settings() -> Settings:
    """Read the settings when they are needed for the first time."""
    global _settings
    if _settings is None:
        _settings = Settings()
    return _settings


def get_engine() -> AsyncEngine:
    """Make the engine when it is needed for the first time."""
    global _engine
    if _engine is None:
        _engine = create_async_engine(get_settings().database_url)
    return _engine


def get_session() -> AsyncSession:
    """Make a session."""
    return AsyncSession(get_engine())


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


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Make sure that the database is there, and close it at the end."""
    try:
        yield
    finally:
        await get_engine().dispose()


Number = Annotated[int, Path(ge=1, le=2**31 - 1)]

board = APIRouter(tags=["board"])
desk = APIRouter(tags=["desk"])


@board.get("/deposit")
async def show_deposit() -> int:
    """Show what a guest has to leave for a thing, in cents."""
    return get_settings().deposit


@board.get("/jobs")
async def list_jobs() -> list[Job]:
    """Show all things that wait for a mender."""
    async with get_session() as session:
        rows = await session.execute(select(jobs).order_by(jobs.c.number))
        return [Job.model_validate(row) for row in rows]


@desk.post("/jobs", status_code=201)
async def take_in(new: NewJob, response: Response) -> Job:
    """Take in a broken thing, for the deposit of today."""
    values = {"thing": new.thing, "deposit": get_settings().deposit}
    async with get_session() as session:
        added = await session.execute(insert(jobs).values(values).returning(jobs))
        job = Job.model_validate(added.one())
        await session.commit()
    response.headers["Location"] = f"/jobs/{job.number}"
    return job


@desk.get("/jobs/{number}")
async def show_job(number: Number) -> Job:
    """Show one thing."""
    async with get_session() as session:
        found = await session.execute(select(jobs).where(jobs.c.number == number))
        row = found.first()
    if row is None:
        raise HTTPException(status_code=404, detail="There is no such job")
    return Job.model_validate(row)


app = FastAPI(title="Repair café", lifespan=lifespan)
app.include_router(board)
app.include_router(desk)
