"""Near-miss: the word "pitch" in what the database said means a taken pitch.

Rejected by: test_other_failures_are_not_called_taken
Coach: You read `error.orig` and not the statement, but one word is no constraint. The name of
    another rule can have "pitch" in it, and then you say "taken" for a pitch that nobody has.
Why: SQLite says `bookings.pitch` and PostgreSQL `bookings_pitch_key`: the word fits both.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any
from uuid import uuid4

from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel, Field
from sqlalchemy import Connection, String, event, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import NullPool

DATABASE_URL = "sqlite+aiosqlite:///flea_market.db"


class Base(DeclarativeBase):
    pass


class Booking(Base):
    __tablename__ = "bookings"

    number: Mapped[int] = mapped_column(primary_key=True)
    pitch: Mapped[str] = mapped_column(String(3), unique=True)
    trader: Mapped[str] = mapped_column(String(40))


class Bill(Base):
    __tablename__ = "bills"

    number: Mapped[str] = mapped_column(String(40), primary_key=True)
    pitch: Mapped[str] = mapped_column(String(3))
    euros: Mapped[int]


class NewBooking(BaseModel):
    pitch: Annotated[str, Field(pattern=r"^[A-Z][0-9]{1,2}$")]
    trader: Annotated[str, Field(pattern=r"^[\w .'-]{1,40}$")]


class Booked(NewBooking):
    bill: str


class Line(BaseModel):
    pitch: str
    status: int


def begin_before_savepoint(connection: Connection, name: str | None) -> None:
    """Begin the transaction that a savepoint belongs to: the driver of SQLite does not."""
    driver: Any = connection.connection.driver_connection
    if not driver.in_transaction:
        connection.exec_driver_sql("BEGIN")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Open the database, and close it at the end."""
    engine = create_async_engine(DATABASE_URL, poolclass=NullPool, connect_args={"timeout": 30})
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "savepoint", begin_before_savepoint)
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
Sheet = Annotated[list[NewBooking], Field(min_length=1, max_length=10)]

app = FastAPI(title="Flea market", lifespan=lifespan)


async def next_bill_number() -> str:
    """Get the number of the next bill."""
    return uuid4().hex


async def refuse_if_taken(session: AsyncSession, pitch: str) -> None:
    """Refuse a booking if a trader has the pitch already."""
    holder = await session.scalar(select(Booking.trader).where(Booking.pitch == pitch))
    if holder is not None:
        raise HTTPException(409, f"{pitch} is taken by {holder}")


async def book(session: AsyncSession, new: NewBooking) -> Booked:
    """Give a pitch to a trader, and make the bill."""
    try:
        async with session.begin():
            session.add(Booking(pitch=new.pitch, trader=new.trader))
            await session.flush()
            bill = Bill(number=await next_bill_number(), pitch=new.pitch, euros=15)
            session.add(bill)
    except IntegrityError as error:
        if "pitch" in str(error.orig):
            await refuse_if_taken(session, new.pitch)
            raise HTTPException(409, f"{new.pitch} is taken by another trader") from error
        raise
    return Booked(bill=bill.number, **new.model_dump())


async def book_line(request: Request, new: NewBooking) -> Line:
    """Book one line of a sheet, and tell how it went."""
    try:
        async with request.state.sessions() as session:
            await book(session, new)
    except HTTPException as refusal:
        return Line(pitch=new.pitch, status=refusal.status_code)
    return Line(pitch=new.pitch, status=201)


@app.post("/bookings", status_code=201)
async def book_pitch(new: NewBooking, session: Session) -> Booked:
    """Book one pitch."""
    return await book(session, new)


@app.post("/sheets")
async def book_sheet(sheet: Sheet, request: Request) -> list[Line]:
    """Book the pitches of a sheet, each one on its own."""
    async with asyncio.TaskGroup() as group:
        lines = [group.create_task(book_line(request, new)) for new in sheet]
    return [line.result() for line in lines]
