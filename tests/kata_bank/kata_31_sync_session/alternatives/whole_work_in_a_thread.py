"""Alternative: the whole work of a request runs in one worker thread.

Right because: Session, statements, commit and the reading after it are in the same thread, and
    nothing of it on the loop.
Trade-off: That is what a plain `def` endpoint does by itself, with fewer words.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Path, Request, status
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import String, create_engine, make_url
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

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
    # The setting is shared with other programs and names their driver.
    address = make_url(DATABASE_URL).set(drivername="sqlite")
    engine = create_engine(address, connect_args={"timeout": 15})
    try:
        Base.metadata.create_all(engine)
        yield {"sessions": sessionmaker(engine)}
    finally:
        engine.dispose()


async def in_thread(request: Request, work: Callable[[Session], Any]) -> Any:
    """Do the work of one request in a worker thread, in a session of its own."""

    def do() -> Any:
        with request.state.sessions() as session:
            return work(session)

    return await asyncio.to_thread(do)


ToyId = Annotated[int, Path(ge=1, le=2_147_483_647)]

app = FastAPI(title="Toy library", lifespan=lifespan)


def find(session: Session, toy_id: int) -> Toy:
    """Get a toy, or say that there is none."""
    toy = session.query(Toy).filter(Toy.id == toy_id).one_or_none()
    if toy is None:
        raise HTTPException(404, "There is no such toy")
    return toy


@app.get("/toys")
async def list_toys(request: Request) -> list[ToyOut]:
    """Show all toys."""
    toys: list[ToyOut] = await in_thread(
        request,
        lambda session: [
            ToyOut.model_validate(toy) for toy in session.query(Toy).order_by(Toy.id).all()
        ],
    )
    return toys


@app.get("/toys/{toy_id}")
async def read_toy(toy_id: ToyId, request: Request) -> ToyOut:
    """Show one toy."""
    shown: ToyOut = await in_thread(
        request, lambda session: ToyOut.model_validate(find(session, toy_id))
    )
    return shown


@app.post("/toys", status_code=status.HTTP_201_CREATED)
async def add_toy(new: NewToy, request: Request) -> ToyOut:
    """Take in a toy."""

    def add(session: Session) -> ToyOut:
        toy = Toy(name=new.name)
        session.add(toy)
        session.commit()
        return ToyOut.model_validate(toy)

    shown: ToyOut = await in_thread(request, add)
    return shown


@app.post("/toys/{toy_id}/loans", status_code=status.HTTP_201_CREATED)
async def lend_toy(toy_id: ToyId, request: Request) -> ToyOut:
    """Lend a toy."""

    def lend(session: Session) -> ToyOut:
        toy = find(session, toy_id)
        toy.times_lent = Toy.times_lent + 1
        session.commit()
        return ToyOut.model_validate(toy)

    shown: ToyOut = await in_thread(request, lend)
    return shown
