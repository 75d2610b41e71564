"""Repair café: takes in broken things for a deposit, and shows what is waiting for a mender."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import APIRouter, FastAPI, HTTPException, Path, Response
from pydantic import BaseModel, Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="CAFE_", extra="ignore")

    database_url: str
    deposit: Annotated[int, Field(ge=0, le=10_000)]


settings = Settings()
engine = create_async_engine(settings.database_url)
sessions = async_sessionmaker(engine)

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
        async with engine.connect() as connection:
            await connection.execute(select(1))
        yield
    finally:
        await engine.dispose()


Number = Annotated[int, Path(ge=1, le=2**31 - 1)]

board = APIRouter(tags=["board"])
desk = APIRouter(tags=["desk"])


@board.get("/deposit")
async def show_deposit() -> int:
    """Show what a guest has to leave for a thing, in cents."""
    return settings.deposit


@board.get("/jobs")
async def list_jobs() -> list[Job]:
    """Show all things that wait for a mender."""
    async with sessions() as session:
        rows = await session.execute(select(jobs).order_by(jobs.c.number))
        return [Job.model_validate(row) for row in rows]


@desk.post("/jobs", status_code=201)
async def take_in(new: NewJob, response: Response) -> Job:
    """Take in a broken thing, for the deposit of today."""
    values = {"thing": new.thing, "deposit": settings.deposit}
    async with sessions() as session:
        added = await session.execute(insert(jobs).values(values).returning(jobs))
        job = Job.model_validate(added.one())
        await session.commit()
    response.headers["Location"] = f"/jobs/{job.number}"
    return job


@desk.get("/jobs/{number}")
async def show_job(number: Number) -> Job:
    """Show one thing."""
    async with sessions() as session:
        found = await session.execute(select(jobs).where(jobs.c.number == number))
        row = found.first()
    if row is None:
        raise HTTPException(status_code=404, detail="There is no such job")
    return Job.model_validate(row)


app = FastAPI(title="Repair café", lifespan=lifespan)
app.include_router(board)
app.include_router(desk)
