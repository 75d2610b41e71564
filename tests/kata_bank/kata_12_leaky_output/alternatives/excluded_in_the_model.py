"""Alternative: the private fields are marked in the model with `exclude=True`.

Right because: The field itself says that it never leaves. That holds nested and in lists, and
    FastAPI leaves such a field out of the schema of the answer too. The rules for new members are
    not in this model.
Trade-off: A new private field of this model is public until somebody thinks of the mark, and
    the model must not be used for a request. A separate output model needs no such care.
"""

import asyncio
import hashlib
import secrets
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict, Field


@dataclass
class Member:
    id: int
    name: str
    call_sign: str
    rank: str
    phone: str
    password_hash: str


@dataclass
class Team:
    id: int
    name: str
    radio_key: str
    leader: Member
    members: list[Member]


class MemberIn(BaseModel):
    name: Annotated[str, Field(min_length=2, max_length=40)]
    call_sign: Annotated[str, Field(pattern=r"^[A-Z]{2}-\d{2}$")]
    rank: Literal["trainee", "firefighter", "officer"]
    phone: Annotated[str, Field(pattern=r"^\+\d{6,15}$")]
    password: Annotated[str, Field(min_length=12, max_length=128)]


class MemberInDB(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    call_sign: str
    rank: str
    phone: Annotated[str, Field(exclude=True)]
    password_hash: Annotated[str, Field(exclude=True)]


class TeamInDB(BaseModel):
    id: int
    name: str
    radio_key: Annotated[str, Field(exclude=True)]
    leader: MemberInDB
    members: list[MemberInDB]


class Roster(BaseModel):
    station: str
    members: list[MemberInDB]


STATION = "Nordhafen"
ANNA = Member(1, "Anna Brandt", "NH-11", "officer", "+49401234501", "1f0c:8d52")
EMRE = Member(2, "Emre Kaya", "NH-21", "firefighter", "+49401234502", "7a3b:e610")
MEMBERS = {member.id: member for member in (ANNA, EMRE)}
TEAMS = {1: Team(1, "Pump", "K7-4411-90", leader=ANNA, members=[EMRE])}

app = FastAPI(title="Fire brigade roster")


async def hash_password(password: str) -> str:
    """Hash a password with a salt of its own."""
    salt = secrets.token_bytes(16)
    digest = await asyncio.to_thread(
        hashlib.scrypt, password.encode(), salt=salt, n=2**14, r=8, p=1
    )
    return f"{salt.hex()}:{digest.hex()}"


@app.get("/members")
async def list_members() -> Roster:
    """Show the whole brigade."""
    members = [MemberInDB.model_validate(member) for member in MEMBERS.values()]
    return Roster(station=STATION, members=members)


@app.get("/members/{member_id}", response_model=MemberInDB)
async def read_member(member_id: int) -> Member:
    """Show one member."""
    if member_id not in MEMBERS:
        raise HTTPException(status_code=404, detail="There is no such member")
    return MEMBERS[member_id]


@app.post("/members", status_code=201, response_model=MemberInDB)
async def add_member(new: MemberIn) -> Member:
    """Take in a new member."""
    password_hash = await hash_password(new.password)
    member_id = max(MEMBERS, default=0) + 1
    member = Member(member_id, new.name, new.call_sign, new.rank, new.phone, password_hash)
    MEMBERS[member_id] = member
    return member


@app.get("/teams", response_model=list[TeamInDB])
async def list_teams() -> list[Team]:
    """Show all teams with their members."""
    return list(TEAMS.values())


@app.get("/teams/{team_id}", response_model=TeamInDB)
async def read_team(team_id: int) -> Team:
    """Show one team with its members."""
    if team_id not in TEAMS:
        raise HTTPException(status_code=404, detail="There is no such team")
    return TEAMS[team_id]
