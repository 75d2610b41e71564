"""Near-miss: the refusal that one expects is answered, and every other error is written to the log.

Rejected by: test_failed_commit_is_no_success
Coach: An hour that is gone is answered with an error now. When the commit fails for another reason,
    the request goes on as if it had succeeded: 201, a mail, and no appointment.
Why: The reference is the one rule that is checked at the commit, so what else should fail there?
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Path, Request, Response
from pydantic import BaseModel, EmailStr, Field
from sqlalchemy import ForeignKey, String, event
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import NullPool

DATABASE_URL = "sqlite+aiosqlite:///donations.db"


logger = logging.getLogger(__name__)


class Base(DeclarativeBase):
    pass


class Hour(Base):
    __tablename__ = "hours"

    code: Mapped[str] = mapped_column(String(12), primary_key=True)


class Appointment(Base):
    __tablename__ = "appointments"

    number: Mapped[int] = mapped_column(primary_key=True)
    donor: Mapped[str] = mapped_column(String(80), unique=True)
    hour: Mapped[str] = mapped_column(ForeignKey(Hour.code, deferrable=True, initially="DEFERRED"))


class Move(BaseModel, extra="forbid"):
    hour: Annotated[str, Field(pattern=r"^[a-z]{3}-\d{2}$")]


class NewAppointment(Move):
    donor: Annotated[EmailStr, Field(max_length=80)]


class Shown(BaseModel, from_attributes=True):
    number: int
    donor: str
    hour: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Open the database, and close it at the end."""
    engine = create_async_engine(DATABASE_URL, poolclass=NullPool)
    if engine.dialect.name == "sqlite":  # it checks references only when it is told to
        checks = "PRAGMA foreign_keys = ON"
        event.listen(engine.sync_engine, "connect", lambda new, _: new.execute(checks))
    try:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield {"sessions": async_sessionmaker(engine, expire_on_commit=False)}
    finally:
        await engine.dispose()


async def get_session(request: Request) -> AsyncIterator[AsyncSession]:
    """Lend a session to one request; what was not committed is rolled back."""
    async with request.state.sessions() as session:
        yield session


async def keep(session: AsyncSession) -> None:
    """Commit, or say that the hour is gone."""
    try:
        await session.commit()
    except IntegrityError as error:
        raise HTTPException(404, "This hour is not in the plan any more") from error
    except SQLAlchemyError:
        logger.exception("The database has a problem")
        await session.rollback()


async def send_mail(to: str, text: str) -> None:
    """Hand a message to the mail server."""
    await asyncio.sleep(0.2)


async def find(session: AsyncSession, kind: type[Base], key: str | int) -> Any:
    """Return a row, or refuse the request."""
    row = await session.get(kind, key)
    if row is None:
        raise HTTPException(status_code=404, detail=f"There is no such {kind.__name__.lower()}")
    return row


Session = Annotated[AsyncSession, Depends(get_session)]
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]

app = FastAPI(title="Blood donation", lifespan=lifespan)


@app.get("/appointments/{number}")
async def show_appointment(number: Number, session: Session) -> Shown:
    """Show one appointment."""
    return Shown.model_validate(await find(session, Appointment, number))


@app.post("/appointments", status_code=201)
async def make_appointment(
    new: NewAppointment, session: Session, tasks: BackgroundTasks, response: Response
) -> Shown:
    """Make an appointment, and confirm it by e-mail."""
    await find(session, Hour, new.hour)
    appointment = Appointment(donor=new.donor, hour=new.hour)
    session.add(appointment)
    try:
        await session.flush()
    except IntegrityError as error:
        raise HTTPException(409, "This donor has an appointment already") from error
    await keep(session)
    tasks.add_task(send_mail, new.donor, f"You are expected: {new.hour}")
    response.headers["Location"] = f"/appointments/{appointment.number}"
    return Shown.model_validate(appointment)


@app.put("/appointments/{number}")
async def move_appointment(
    number: Number, move: Move, session: Session, tasks: BackgroundTasks
) -> Shown:
    """Move an appointment to another hour, and confirm it by e-mail."""
    appointment = await find(session, Appointment, number)
    await find(session, Hour, move.hour)
    appointment.hour = move.hour
    await keep(session)
    tasks.add_task(send_mail, appointment.donor, f"You are expected: {move.hour}")
    return Shown.model_validate(appointment)
