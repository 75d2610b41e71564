"""Alternative: relationships that refuse to load by themselves, and a length from the database.

Right because: `lazy="raise"` names a forgotten relationship at once, in every test. The length
    is part of the first statement, as a sub-query of each row.
Trade-off: Each place that loads walks has to say what it needs.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Query, Request
from pydantic import BaseModel, ConfigDict
from sqlalchemy import ForeignKey, String, func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    column_property,
    joinedload,
    mapped_column,
    relationship,
    selectinload,
)

DATABASE_URL = "sqlite+aiosqlite:///walks.db"


class Base(DeclarativeBase):
    """All tables of the club."""


class Walk(Base):
    __tablename__ = "walks"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    rain_walk_id: Mapped[int | None] = mapped_column(ForeignKey("walks.id"), index=True)
    rain_walk: Mapped["Walk | None"] = relationship(remote_side="Walk.id", lazy="raise")
    stages: Mapped[list["Stage"]] = relationship(order_by="Stage.number", lazy="raise")
    walkers: Mapped[list["Walker"]] = relationship(order_by="Walker.id", lazy="raise")



class Stage(Base):
    __tablename__ = "stages"

    id: Mapped[int] = mapped_column(primary_key=True)
    walk_id: Mapped[int] = mapped_column(ForeignKey("walks.id"), index=True)
    number: Mapped[int]
    kilometres: Mapped[int]
    notices: Mapped[list["Notice"]] = relationship(order_by="Notice.id", lazy="raise")


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


LENGTH = select(func.coalesce(func.sum(Stage.kilometres), 0)).where(Stage.walk_id == Walk.id)
Walk.kilometres = column_property(  # type: ignore[attr-defined]
    LENGTH.correlate_except(Stage).scalar_subquery()
)


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


WITH_ALL = (
    joinedload(Walk.rain_walk),
    selectinload(Walk.stages).selectinload(Stage.notices),
    selectinload(Walk.walkers),
)


@app.get("/walks")
async def list_walks(session: Session, limit: Limit = 20) -> list[WalkOut]:
    """Show the next walks."""
    query = select(Walk).order_by(Walk.id).limit(limit).options(*WITH_ALL)
    walks = (await session.scalars(query)).all()
    return [WalkOut.model_validate(walk) for walk in walks]


@app.get("/walks/{walk_id}")
async def read_walk(walk_id: int, session: Session) -> WalkOut:
    """Show one walk."""
    walk = await session.get(Walk, walk_id, options=WITH_ALL)
    if walk is None:
        raise HTTPException(404, "There is no such walk")
    return WalkOut.model_validate(walk)
