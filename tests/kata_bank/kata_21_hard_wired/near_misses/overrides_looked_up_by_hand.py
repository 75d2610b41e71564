"""Near-miss: the endpoints look into `dependency_overrides` by themselves

Rejected by: test_session_of_a_test_reaches_every_operation,
    test_settings_of_a_test_reach_every_operation
Coach: You look for the override and call it yourself. FastAPI does more than that: it finds
    out what the function needs, gives it that, and ends what it has opened.
Why: The dict is public, and the two functions can stay as they were.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, HTTPException, Path, Request, Response
from pydantic import BaseModel, Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="CAFE_", extra="ignore")

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


@lru_cache
def get_settings() -> Settings:
    """Read the settings once, when somebody asks for them."""
    return Settings()  # type: ignore[call-arg]  # the environment gives the fields


async def current_settings() -> Settings:
    """Give the settings, or those that a test has put in their place."""
    other = app.dependency_overrides.get(get_settings)
    return await other() if other else get_settings()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Prepare the database without a connection, and close it at the end."""
    engine = create_async_engine(get_settings().database_url)
    try:
        yield {"sessions": async_sessionmaker(engine)}
    finally:
        await engine.dispose()


async def get_session(request: Request) -> AsyncIterator[AsyncSession]:
    """Lend a session to one request."""
    async with request.state.sessions() as session:
        yield session


@asynccontextmanager
async def borrow(request: Request) -> AsyncIterator[AsyncSession]:
    """Lend a session, or the one that a test has put in its place."""
    other = app.dependency_overrides.get(get_session)
    async for session in other() if other else get_session(request):
        yield session


Number = Annotated[int, Path(ge=1, le=2**31 - 1)]

board = APIRouter(tags=["board"])
desk = APIRouter(tags=["desk"])


@board.get("/deposit")
async def show_deposit() -> int:
    """Show what a guest has to leave for a thing, in cents."""
    return (await current_settings()).deposit


@board.get("/jobs")
async def list_jobs(request: Request) -> list[Job]:
    """Show all things that wait for a mender."""
    async with borrow(request) as session:
        rows = await session.execute(select(jobs).order_by(jobs.c.number))
        return [Job.model_validate(row) for row in rows]


@desk.post("/jobs", status_code=201)
async def take_in(new: NewJob, response: Response, request: Request) -> Job:
    """Take in a broken thing, for the deposit of today."""
    values = {"thing": new.thing, "deposit": (await current_settings()).deposit}
    async with borrow(request) as session:
        added = await session.execute(insert(jobs).values(values).returning(jobs))
        job = Job.model_validate(added.one())
        await session.commit()
    response.headers["Location"] = f"/jobs/{job.number}"
    return job


@desk.get("/jobs/{number}")
async def show_job(number: Number, request: Request) -> Job:
    """Show one thing."""
    async with borrow(request) as session:
        found = await session.execute(select(jobs).where(jobs.c.number == number))
        row = found.first()
    if row is None:
        raise HTTPException(status_code=404, detail="There is no such job")
    return Job.model_validate(row)


app = FastAPI(title="Repair café", lifespan=lifespan)
app.include_router(board)
app.include_router(desk)
