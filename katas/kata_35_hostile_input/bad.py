"""A plant nursery: its catalogue, the labels for the pots, and the plants that are put aside."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Path, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict
from sqlalchemy import ForeignKey, String, select, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

DATABASE_URL = "sqlite+aiosqlite:///nursery.db"


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(100), unique=True)
    password_hash: Mapped[str] = mapped_column(String(200))


class Plant(Base):
    __tablename__ = "plants"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    family: Mapped[str] = mapped_column(String(100))
    price: Mapped[int]
    cost: Mapped[int]
    reservations: Mapped[list["Reservation"]] = relationship(back_populates="plant")


class Reservation(Base):
    __tablename__ = "reservations"

    code: Mapped[str] = mapped_column(String(100), primary_key=True)
    plant_id: Mapped[int] = mapped_column(ForeignKey(Plant.id), index=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey(Customer.id), index=True)
    plant: Mapped[Plant] = relationship(back_populates="reservations")


class PlantOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    family: str
    price: int


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Open the database, and close it at the end."""
    engine = create_async_engine(DATABASE_URL)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield {"sessions": async_sessionmaker(engine)}
    finally:
        await engine.dispose()


async def get_session(request: Request) -> AsyncIterator[AsyncSession]:
    """Lend a session to one request."""
    async with request.state.sessions() as session:
        yield session


Session = Annotated[AsyncSession, Depends(get_session)]
Number = Annotated[int, Path(ge=1)]

app = FastAPI(title="Nursery", lifespan=lifespan)


@app.get("/plants")
async def find_plants(
    request: Request,
    session: Session,
    q: Annotated[str | None, Query(min_length=1, max_length=100)] = None,
    max_price: Annotated[int | None, Query(ge=1)] = None,
    sort: str = "name",
    direction: str = "asc",
) -> list[PlantOut]:
    """Find plants by a text in the name, by the price, and by any column."""
    query = select(Plant)
    if q is not None:
        query = query.where(text(f"name LIKE '%{q}%'"))
    if max_price is not None:
        query = query.where(Plant.price <= max_price)
    for name, value in request.query_params.items():
        if hasattr(Plant, name):
            query = query.where(getattr(Plant, name) == value)
    query = query.order_by(text(f"{sort} {direction}"), Plant.id).limit(100)
    return [PlantOut.model_validate(plant) for plant in await session.scalars(query)]


@app.get("/plants/{number}/label")
async def print_label(number: Number, session: Session) -> HTMLResponse:
    """Make the label for the pot of one plant."""
    plant = await session.get(Plant, number)
    if plant is None:
        raise HTTPException(404, "There is no such plant")
    return HTMLResponse(f'<h1 title="{plant.name}">{plant.name}</h1><p>{plant.price} cents</p>')


@app.delete("/reservations/{code}", status_code=204)
async def cancel_reservation(
    code: Annotated[str, Path(min_length=1, max_length=100)], session: Session
) -> None:
    """Put a plant back that was put aside under this code."""
    cancel = text(f"DELETE FROM reservations WHERE code = '{code}' RETURNING code")
    if await session.scalar(cancel) is None:
        raise HTTPException(404, "Nothing is put aside under this code")
    await session.commit()
