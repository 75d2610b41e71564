"""Near-miss: an error of the database becomes an `HTTPException`.

Rejected by: test_server_learns_the_cause
Coach: You turn an exception into an answer that says less. To the server an `HTTPException` is
    an answer, not a failure: no log shows what the database said.
Why: 503 sounds right for a database that refuses something.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any
from uuid import uuid4

from fastapi import Depends, FastAPI, HTTPException, Request, status
from pydantic import BaseModel, Field
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

DATABASE_URL = "sqlite+aiosqlite:///time_bank.db"

metadata = MetaData()
members = Table(
    "members",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("hours", Integer, nullable=False),
)
transfers = Table(
    "transfers",
    metadata,
    Column("receipt", String(40), primary_key=True),
    Column("giver", String(40), nullable=False),
    Column("receiver", String(40), nullable=False),
    Column("hours", Integer, nullable=False),
)

Name = Annotated[str, Field(min_length=1, max_length=40)]


class Transfer(BaseModel):
    giver: Name
    receiver: Name
    hours: Annotated[int, Field(ge=1, le=100)]


class Receipt(Transfer):
    receipt: str


async def next_receipt() -> str:
    """Get the number of the next receipt."""
    return uuid4().hex


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Open the database, and close it at the end."""
    engine = create_async_engine(DATABASE_URL)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        yield {"sessions": async_sessionmaker(engine)}
    finally:
        await engine.dispose()


async def get_session(request: Request) -> AsyncIterator[AsyncSession]:
    """Lend a session to one request, and save what was done with it."""
    async with request.state.sessions() as session:
        try:
            yield session
        except SQLAlchemyError as error:
            await session.rollback()
            raise HTTPException(503, "The database is busy") from error
        await session.commit()


Session = Annotated[AsyncSession, Depends(get_session, scope="function")]

app = FastAPI(title="Time bank", lifespan=lifespan)


@app.post("/transfers", status_code=status.HTTP_201_CREATED)
async def give_hours(transfer: Transfer, session: Session) -> Receipt:
    """Move hours from one member to another."""
    hours = members.c.hours
    giver = update(members).where(members.c.name == transfer.giver, hours >= transfer.hours)
    left = giver.values(hours=hours - transfer.hours).returning(hours)
    if await session.scalar(left) is None:
        raise HTTPException(409, "The giver does not have so many hours")
    receiver = update(members).where(members.c.name == transfer.receiver)
    now = receiver.values(hours=hours + transfer.hours).returning(hours)
    if await session.scalar(now) is None:
        raise HTTPException(404, "The time bank does not know the receiver")
    receipt = Receipt(receipt=await next_receipt(), **transfer.model_dump())
    await session.execute(insert(transfers).values(receipt.model_dump()))
    return receipt
