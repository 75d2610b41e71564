"""Near-miss: each walk is loaded by a task with a session of its own, all at the same time.

Rejected by: test_statements_do_not_grow_with_the_walks,
    test_statements_do_not_grow_with_the_stages, test_statements_do_not_grow_with_the_rain_walks
Coach: The number of statements still follows the number of rows. Whether they are sent one
    after the other, at the same time, in bundles or out of sight: each of them is a way to the
    database.
Why: Waiting at the same time has made other things fast.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Query, Request
from pydantic import BaseModel, ConfigDict
from sqlalchemy import ForeignKey, String, select
from sqlalchemy.ext.asyncio import AsyncAttrs, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

DATABASE_URL = "sqlite+aiosqlite:///walks.db"


class Base(AsyncAttrs, DeclarativeBase):
    """All tables of the club."""


class Walk(Base):
    __tablename__ = "walks"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    rain_walk_id: Mapped[int | None] = mapped_column(ForeignKey("walks.id"), index=True)
    rain_walk: Mapped["Walk | None"] = relationship(remote_side="Walk.id")
    stages: Mapped[list["Stage"]] = relationship(order_by="Stage.number")
    walkers: Mapped[list["Walker"]] = relationship(order_by="Walker.id")

    @property
    def kilometres(self) -> int:
        """The length of the whole walk."""
        return sum(stage.kilometres for stage in self.stages)


class Stage(Base):
    __tablename__ = "stages"

    id: Mapped[int] = mapped_column(primary_key=True)
    walk_id: Mapped[int] = mapped_column(ForeignKey("walks.id"), index=True)
    number: Mapped[int]
    kilometres: Mapped[int]
    notices: Mapped[list["Notice"]] = relationship(order_by="Notice.id")


class Notice(Base):
    __tablename__ = "notices"

    id: Mapped[int] = mapped_column(primary_key=True)
    stage_id: Mapped[int] = mapped_column(ForeignKey("stages.id"), index=True)
    text: Mapped[str] = mapped_column(String(200))


class Walker(Base):
    __tablename__ = "walkers"

    id: Mapped[int] = mapped_column(primary_key=True)
    walk_id: Mapped[int] = mapped_column(ForeignKey("walks.id"), index=True)
    name: Mapped[str] = mapped_column(String(80))


class Shown(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class NoticeOut(Shown):
    text: str


class StageOut(Shown):
    number: int
    kilometres: int
    notices: list[NoticeOut]


class WalkerOut(Shown):
    name: str


class RainWalkOut(Shown):
    id: int
    name: str


class WalkOut(Shown):
    id: int
    name: str
    kilometres: int
    rain_walk: RainWalkOut | None
    stages: list[StageOut]
    walkers: list[WalkerOut]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Open the database, and close it at the end."""
    engine = create_async_engine(DATABASE_URL)
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


Session = Annotated[AsyncSession, Depends(get_session)]
Limit = Annotated[int, Query(ge=1, le=100)]

app = FastAPI(title="Walking club", lifespan=lifespan)


async def show(request: Request, walk_id: int) -> WalkOut:
    """Load a walk in a session of its own, and show it."""
    async with request.state.sessions() as session:
        walk = await session.get_one(Walk, walk_id)
        await walk.awaitable_attrs.rain_walk
        await walk.awaitable_attrs.walkers
        for stage in await walk.awaitable_attrs.stages:
            await stage.awaitable_attrs.notices
        return WalkOut.model_validate(walk)


@app.get("/walks")
async def list_walks(request: Request, session: Session, limit: Limit = 20) -> list[WalkOut]:
    """Show the next walks."""
    ids = (await session.scalars(select(Walk.id).order_by(Walk.id).limit(limit))).all()
    return list(await asyncio.gather(*(show(request, walk_id) for walk_id in ids)))


@app.get("/walks/{walk_id}")
async def read_walk(request: Request, walk_id: int, session: Session) -> WalkOut:
    """Show one walk."""
    walk = await session.get(Walk, walk_id)
    if walk is None:
        raise HTTPException(404, "There is no such walk")
    return await show(request, walk_id)
