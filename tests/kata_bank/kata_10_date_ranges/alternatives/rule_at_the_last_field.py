"""Alternative: the rule at whichever of the two fields is declared last.

Right because: The rule stands where the other point is already known, in each model at another
    field, and it stays silent when that point is missing because it was not valid.
Trade-off: It is right for today's order of the fields. Whoever moves a field must move the rule
    too, and nothing tells them so.
"""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import FastAPI, HTTPException, Query
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, ValidationInfo

RoomType = Literal["single", "twin", "double", "triple", "attic", "garden", "family", "suite"]

# How many rooms of each type the house has, from the smallest to the largest.
ROOMS: dict[RoomType, int] = {
    "single": 2,
    "twin": 2,
    "double": 3,
    "triple": 1,
    "attic": 1,
    "garden": 1,
    "family": 2,
    "suite": 1,
}


def earlier_than_end(value: datetime, info: ValidationInfo) -> datetime:
    ends_at = info.data.get("ends_at")
    if ends_at is not None and value >= ends_at:
        raise ValueError("a stay ends later than it starts")
    return value


def later_than_start(value: datetime, info: ValidationInfo) -> datetime:
    starts_at = info.data.get("starts_at")
    if starts_at is not None and value <= starts_at:
        raise ValueError("a stay ends later than it starts")
    return value


EndOfStay = Annotated[AwareDatetime, AfterValidator(later_than_start)]
StartOfStay = Annotated[AwareDatetime, AfterValidator(earlier_than_end)]


class Search(BaseModel):
    """What the search form of the website asks for."""

    ends_at: AwareDatetime
    room_type: RoomType
    starts_at: StartOfStay


class BookingIn(BaseModel):
    guest: Annotated[str, Field(min_length=1, max_length=60)]
    room_type: RoomType
    starts_at: AwareDatetime
    ends_at: EndOfStay


class FreeRooms(BaseModel):
    room_type: RoomType
    free: int


class Booking(BaseModel):
    number: int
    guest: str
    room_type: RoomType
    starts_at: AwareDatetime
    ends_at: AwareDatetime


bookings: list[Booking] = []

app = FastAPI(title="Guest house")


def count_free(room_type: RoomType, starts_at: datetime, ends_at: datetime) -> int:
    """Count the rooms of a type that nobody has booked between two points in time."""
    same_type = [booking for booking in bookings if booking.room_type == room_type]
    taken = [b for b in same_type if b.starts_at < ends_at and starts_at < b.ends_at]
    return ROOMS[room_type] - len(taken)


@app.get("/free-rooms")
async def free_rooms(search: Annotated[Search, Query()]) -> FreeRooms:
    """Tell how many rooms of a type are free for a stay."""
    free = count_free(search.room_type, search.starts_at, search.ends_at)
    return FreeRooms(room_type=search.room_type, free=free)


@app.post("/bookings", status_code=201)
async def book(booking: BookingIn) -> Booking:
    """Book a room of a type for a stay."""
    if count_free(booking.room_type, booking.starts_at, booking.ends_at) < 1:
        raise HTTPException(status_code=409, detail="No room of this type is free")
    booked = Booking(number=len(bookings) + 1, **booking.model_dump())
    bookings.append(booked)
    return booked
