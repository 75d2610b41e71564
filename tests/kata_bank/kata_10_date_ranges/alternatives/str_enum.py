"""Alternative: a `StrEnum`, and the rule as a function that two models share.

Right because: The members of the enum have an order and are in the description. Each model keeps
    its own fields in its own order, and each has a rule that runs when all of them are valid.
Trade-off: Every new model with a stay must remember to call the function.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self

from fastapi import FastAPI, HTTPException, Query
from pydantic import AwareDatetime, BaseModel, Field, model_validator


class RoomType(StrEnum):
    SINGLE = "single"
    TWIN = "twin"
    DOUBLE = "double"
    TRIPLE = "triple"
    ATTIC = "attic"
    GARDEN = "garden"
    FAMILY = "family"
    SUITE = "suite"


# How many rooms of each type the house has, from the smallest to the largest.
ROOMS: dict[RoomType, int] = {
    RoomType.SINGLE: 2,
    RoomType.TWIN: 2,
    RoomType.DOUBLE: 3,
    RoomType.TRIPLE: 1,
    RoomType.ATTIC: 1,
    RoomType.GARDEN: 1,
    RoomType.FAMILY: 2,
    RoomType.SUITE: 1,
}


def expect_length(starts_at: datetime, ends_at: datetime) -> None:
    if ends_at <= starts_at:
        raise ValueError("a stay ends later than it starts")


class Search(BaseModel):
    """What the search form of the website asks for."""

    ends_at: AwareDatetime
    room_type: RoomType
    starts_at: AwareDatetime

    @model_validator(mode="after")
    def has_length(self) -> Self:
        expect_length(self.starts_at, self.ends_at)
        return self


class BookingIn(BaseModel):
    guest: Annotated[str, Field(min_length=1, max_length=60)]
    room_type: RoomType
    starts_at: AwareDatetime
    ends_at: AwareDatetime

    @model_validator(mode="after")
    def has_length(self) -> Self:
        expect_length(self.starts_at, self.ends_at)
        return self


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
