"""Near-miss: each table is read once, as a whole, and put together by hand.

Rejected by: test_rows_of_other_walks_are_not_read
Coach: The number of statements stays the same. Their rows grow with the table: for a page of
    two walks you load the programme of all years.
Why: With two hundred rows it is fast, and the count of statements is perfect.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Query, Request
from pydantic import BaseModel, ConfigDict
from sqlalchemy import ForeignKey, String, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

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


async def show_all(session: AsyncSession, walks: Sequence[Walk]) -> list[WalkOut]:
    """Read what belongs to walks, each table once, and put it together."""
    rain_ids = {walk.rain_walk_id for walk in walks}
    rain_walks = await session.scalars(select(Walk).where(Walk.id.in_(rain_ids)))
    rain = {walk.id: RainWalkOut.model_validate(walk) for walk in rain_walks}
    walkers = defaultdict(list)
    query = select(Walker).order_by(Walker.id)
    for walker in await session.scalars(query):
        walkers[walker.walk_id].append(WalkerOut.model_validate(walker))
    ours = select(Stage).order_by(Stage.number)
    stages = (await session.scalars(ours)).all()
    notices = defaultdict(list)
    texts = select(Notice).order_by(Notice.id)
    for notice in await session.scalars(texts):
        notices[notice.stage_id].append(NoticeOut.model_validate(notice))
    parts = defaultdict(list)
    for stage in stages:
        number, kilometres = stage.number, stage.kilometres
        shown = StageOut(number=number, kilometres=kilometres, notices=notices[stage.id])
        parts[stage.walk_id].append(shown)
    return [
        WalkOut(
            id=walk.id,
            name=walk.name,
            kilometres=sum(stage.kilometres for stage in parts[walk.id]),
            rain_walk=rain.get(walk.rain_walk_id or 0),
            stages=parts[walk.id],
            walkers=walkers[walk.id],
        )
        for walk in walks
    ]


@app.get("/walks")
async def list_walks(session: Session, limit: Limit = 20) -> list[WalkOut]:
    """Show the next walks."""
    walks = await session.scalars(select(Walk).order_by(Walk.id).limit(limit))
    return await show_all(session, walks.all())


@app.get("/walks/{walk_id}")
async def read_walk(walk_id: int, session: Session) -> WalkOut:
    """Show one walk."""
    walk = await session.get(Walk, walk_id)
    if walk is None:
        raise HTTPException(404, "There is no such walk")
    return (await show_all(session, [walk]))[0]
