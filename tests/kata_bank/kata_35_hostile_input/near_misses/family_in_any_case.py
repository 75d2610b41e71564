"""Near-miss: the family is compared in small letters.

Rejected by: test_family_is_compared_as_it_is
Coach: You compare families without their capital letters, so another family answers. And who puts a
    letter into a small one, the database or Python, do they agree on É?
Why: The page leaves capital letters of the search open, so why not those of the family?
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import escape
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, HTTPException, Path, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, ForeignKey, String, delete, func, select
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


ORDERS: dict[tuple[str, str], ColumnElement[Any]] = {
    ("name", "asc"): Plant.name.asc(),
    ("name", "desc"): Plant.name.desc(),
    ("price", "asc"): Plant.price.asc(),
    ("price", "desc"): Plant.price.desc(),
}

# Any character but NUL, which no text of a database can hold.
Text = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00]*$")]
# What fits into an INTEGER column.
Number = Annotated[int, Field(ge=1, le=2_147_483_647)]


class PlantSearch(BaseModel):
    model_config = ConfigDict(extra="forbid")

    q: Text | None = None
    family: Text | None = None
    max_price: Number | None = None
    sort: Literal["name", "price"] = "name"
    direction: Literal["asc", "desc"] = "asc"


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

app = FastAPI(title="Nursery", lifespan=lifespan)


@app.get("/plants")
async def find_plants(
    session: Session, search: Annotated[PlantSearch, Query()]
) -> list[PlantOut]:
    """Find plants by a text in the name, by the family and by the price."""
    query = select(Plant)
    if search.q is not None:
        query = query.where(Plant.name.contains(search.q, autoescape=True))
    if search.family is not None:
        query = query.where(func.lower(Plant.family) == search.family.lower())
    if search.max_price is not None:
        query = query.where(Plant.price <= search.max_price)
    query = query.order_by(ORDERS[search.sort, search.direction], Plant.id).limit(100)
    return [PlantOut.model_validate(plant) for plant in await session.scalars(query)]


@app.get("/plants/{number}/label")
async def print_label(number: Annotated[Number, Path()], session: Session) -> HTMLResponse:
    """Make the label for the pot of one plant."""
    plant = await session.get(Plant, number)
    if plant is None:
        raise HTTPException(404, "There is no such plant")
    name = escape(plant.name)
    return HTMLResponse(f'<h1 title="{name}">{name}</h1><p>{plant.price} cents</p>')


@app.delete("/reservations/{code}", status_code=204)
async def cancel_reservation(code: Annotated[Text, Path()], session: Session) -> None:
    """Put a plant back that was put aside under this code."""
    cancel = delete(Reservation).where(Reservation.code == code).returning(Reservation.code)
    if await session.scalar(cancel) is None:
        raise HTTPException(404, "Nothing is put aside under this code")
    await session.commit()
