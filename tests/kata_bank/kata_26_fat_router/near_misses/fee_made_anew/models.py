"""What is stored, and what clients send and see."""

from typing import Annotated

from pydantic import BaseModel, EmailStr, Field
from sqlalchemy import Column, Integer, MetaData, String, Table

metadata = MetaData()
kilns = Table(
    "kilns",
    metadata,
    Column("name", String(20), primary_key=True),
    Column("height", Integer, nullable=False),
    Column("heat", Integer, nullable=False),
)
firings = Table(
    "firings",
    metadata,
    Column("kiln", String(20), primary_key=True),
    Column("potter", String(80), nullable=False),
    Column("height", Integer, nullable=False),
    Column("heat", Integer, nullable=False),
    Column("fee", Integer, nullable=False),
)


class Kiln(BaseModel, from_attributes=True):
    name: str
    height: int
    heat: int


class NewFiring(BaseModel, extra="forbid"):
    kiln: Annotated[str, Field(min_length=1, max_length=20)]
    potter: Annotated[EmailStr, Field(max_length=80)]
    height: Annotated[int, Field(ge=1, le=200, description="of the ware, in cm")]
    heat: Annotated[int, Field(ge=600, le=1400, description="in degrees Celsius")]


class Firing(BaseModel, from_attributes=True):
    kiln: str
    potter: str
    height: int
    heat: int
    fee: int
