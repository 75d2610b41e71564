"""Near-miss: a hash that was made once is used again for the same secret.

Rejected by: test_new_row_holds_what_was_sent
Coach: You keep the hash of a secret for the next one who has it. The salt of a hash is there so
    that nobody sees who has the same secret; and the cache keeps the secrets themselves.
Why: A hash takes a while, and a cache is one line.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, FastAPI, HTTPException, Path, Request
from fastapi.concurrency import run_in_threadpool
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from pydantic import BaseModel, Field
from sqlalchemy import DateTime, ForeignKey, Numeric, String
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

DATABASE_URL = "sqlite+aiosqlite:///observatory.db"
# Quick, for a course. A real service takes PasswordHash.recommended().
SECRETS = PasswordHash([Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1)])


@lru_cache
def hash_of(text: str) -> str:
    """Return the hash of a secret."""
    return SECRETS.hash(text)


def now() -> datetime:
    """Return the point in time of this moment."""
    return datetime.now(UTC)


class Base(DeclarativeBase):
    id: Mapped[int] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)
    updated_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), default=now, onupdate=now
    )


class Observer(Base):
    __tablename__ = "observers"

    name: Mapped[str] = mapped_column(String(60))
    joined_on: Mapped[date]
    password_hash: Mapped[str] = mapped_column(String(200))
    telescopes: Mapped[list["Telescope"]] = relationship(back_populates="keeper", lazy="selectin")


class Telescope(Base):
    __tablename__ = "telescopes"

    name: Mapped[str] = mapped_column(String(60))
    fee: Mapped[Decimal] = mapped_column(Numeric(8, 2))
    key_hash: Mapped[str] = mapped_column(String(200))
    keeper_id: Mapped[int | None] = mapped_column(ForeignKey(Observer.id), index=True)
    keeper: Mapped[Observer | None] = relationship(back_populates="telescopes", lazy="selectin")


Id = Annotated[int, Field(ge=1, le=2_147_483_647)]
Name = Annotated[str, Field(min_length=1, max_length=60)]
Fee = Annotated[Decimal, Field(ge=0, max_digits=8, decimal_places=2)]
Secret = Annotated[str, Field(min_length=8, max_length=100)]


class NewObserver(BaseModel, extra="forbid"):
    name: Name
    joined_on: date
    password: Secret


class ObserverChange(NewObserver):
    # May be left out, never null. Only what was sent is written, so these defaults never are.
    name: Name = ""
    joined_on: date = date.min
    password: Secret = ""


class NewTelescope(BaseModel, extra="forbid"):
    name: Name
    fee: Fee
    key: Secret
    keeper_id: Id | None = None


class TelescopeChange(NewTelescope):
    name: Name = ""
    fee: Fee = Decimal(0)
    key: Secret = ""


class Shown(BaseModel, from_attributes=True):
    id: int
    name: str


class Dated(Shown):
    created_at: datetime
    updated_at: datetime


class ObserverOut(Dated):
    joined_on: date
    telescopes: list[Shown]


class TelescopeOut(Dated):
    fee: Decimal
    keeper: Shown | None


RowT = TypeVar("RowT", bound=Base)


class Repository(Generic[RowT]):
    """Reads and writes the rows of one table, whichever it is."""

    def __init__(self, model: type[RowT]) -> None:
        self.model = model

    async def get(self, session: AsyncSession, key: int) -> RowT | None:
        """Return a row, or None."""
        return await session.get(self.model, key)

    async def create(self, session: AsyncSession, values: dict[str, Any]) -> RowT:
        """Store a new row."""
        row = self.model(**values)
        session.add(row)
        await session.commit()
        await session.refresh(row)
        return row

    async def update(self, session: AsyncSession, row: RowT, values: dict[str, Any]) -> RowT:
        """Store a change of a row."""
        for name, value in values.items():
            setattr(row, name, value)
        await session.commit()
        await session.refresh(row)
        return row

    async def remove(self, session: AsyncSession, key: int) -> bool:
        """Remove a row, and tell whether there was one."""
        row = await session.get(self.model, key)
        if row is None:
            return False
        await session.delete(row)
        await session.commit()
        return True


observers = Repository(Observer)
telescopes = Repository(Telescope)


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
Key = Annotated[Id, Path()]

app = FastAPI(title="Observatory", lifespan=lifespan)


async def columns_of(sent: BaseModel, secret: str) -> dict[str, Any]:
    """Return what was sent as columns: instead of the secret, its hash."""
    values = sent.model_dump(exclude_unset=True)
    if secret in values:
        # A hash takes its time, so another thread makes it.
        values[f"{secret}_hash"] = await run_in_threadpool(hash_of, values.pop(secret))
    return values


def found(row: RowT | None) -> RowT:
    """Return a row that is there, or refuse the request."""
    if row is None:
        raise HTTPException(404, "Nothing has this number")
    return row


@app.post("/observers", status_code=201)
async def add_observer(new: NewObserver, session: Session) -> ObserverOut:
    row = await observers.create(session, await columns_of(new, "password"))
    return ObserverOut.model_validate(row)


@app.get("/observers/{key}")
async def show_observer(key: Key, session: Session) -> ObserverOut:
    return ObserverOut.model_validate(found(await observers.get(session, key)))


@app.patch("/observers/{key}")
async def change_observer(key: Key, change: ObserverChange, session: Session) -> ObserverOut:
    row = found(await observers.get(session, key))
    values = await columns_of(change, "password")
    return ObserverOut.model_validate(await observers.update(session, row, values))


@app.delete("/observers/{key}", status_code=204)
async def remove_observer(key: Key, session: Session) -> None:
    if not await observers.remove(session, key):
        raise HTTPException(404, "Nothing has this number")


@app.post("/telescopes", status_code=201)
async def add_telescope(new: NewTelescope, session: Session) -> TelescopeOut:
    row = await telescopes.create(session, await columns_of(new, "key"))
    return TelescopeOut.model_validate(row)


@app.get("/telescopes/{key}")
async def show_telescope(key: Key, session: Session) -> TelescopeOut:
    return TelescopeOut.model_validate(found(await telescopes.get(session, key)))


@app.patch("/telescopes/{key}")
async def change_telescope(key: Key, change: TelescopeChange, session: Session) -> TelescopeOut:
    row = found(await telescopes.get(session, key))
    values = await columns_of(change, "key")
    return TelescopeOut.model_validate(await telescopes.update(session, row, values))


@app.delete("/telescopes/{key}", status_code=204)
async def remove_telescope(key: Key, session: Session) -> None:
    if not await telescopes.remove(session, key):
        raise HTTPException(404, "Nothing has this number")
