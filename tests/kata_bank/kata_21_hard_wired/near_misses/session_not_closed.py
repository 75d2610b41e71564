"""Near-miss: the dependency returns a session and nobody closes it

Rejected by: test_requests_share_one_pool
Coach: `get_session` hands out a session, and nothing ends it after the request. Its
    connection stays lent until the garbage collector comes by.
Why: The endpoints had `async with`; a dependency that returns something is shorter than one
    that yields.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Path, Request, Response
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


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Prepare the database without a connection, and close it at the end."""
    engine = create_async_engine(get_settings().database_url)
    try:
        yield {"sessions": async_sessionmaker(engine)}
    finally:
        await engine.dispose()


async def get_session(request: Request) -> AsyncSession:
    """Make a session for one request."""
    session: AsyncSession = request.state.sessions()
    return session


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
