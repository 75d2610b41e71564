"""Alternative: `subqueryload` for the lists.

Right because: Each list is loaded by one statement that has the first one in it as a sub-query.
Trade-off: The first statement is worked out again for each list, and it needs an order without
    ties.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Query, Request
from pydantic import BaseModel, ConfigDict
from sqlalchemy import ForeignKey, String, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    joinedload,
    mapped_column,
    relationship,
    subqueryload,
)

DATABASE_URL = "sqlite+aiosqlite:///walks.db"


class Base(DeclarativeBase):
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


WITH_ALL = (
    joinedload(Walk.rain_walk),
    subqueryload(Walk.stages).subqueryload(Stage.notices),
    subqueryload(Walk.walkers),
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
