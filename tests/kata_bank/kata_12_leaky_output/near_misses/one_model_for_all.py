"""Near-miss: one model for the request, the row and the answer, with excluded fields.

Rejected by: test_client_cannot_set_server_fields, test_schema_names_only_public_fields
Coach: You have one model for the request, the row and the answer, and exclude the private
    fields from what goes out. What comes in is open: a client can send an `id` and a
    `password_hash` of its own.
Why: One class for everything saves three others.
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


class MemberModel(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int | None = None
    name: str
    call_sign: str
    rank: str
    phone: Annotated[str, Field(exclude=True)]
    password: Annotated[str | None, Field(min_length=12, max_length=128, exclude=True)] = None
    password_hash: Annotated[str | None, Field(exclude=True)] = None


class MemberIn(MemberModel):
    name: Annotated[str, Field(min_length=2, max_length=40)]
    call_sign: Annotated[str, Field(pattern=r"^[A-Z]{2}-\d{2}$")]
    rank: Literal["trainee", "firefighter", "officer"]
    phone: Annotated[str, Field(pattern=r"^\+\d{6,15}$")]
    password: Annotated[str, Field(min_length=12, max_length=128)]


class TeamOut(BaseModel):
    id: int
    name: str
    leader: MemberModel
    members: list[MemberModel]


class Roster(BaseModel):
    station: str
    members: list[MemberModel]


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
    members = [MemberModel.model_validate(member) for member in MEMBERS.values()]
    return Roster(station=STATION, members=members)


@app.get("/members/{member_id}", response_model=MemberModel)
async def read_member(member_id: int) -> Member:
    """Show one member."""
    if member_id not in MEMBERS:
        raise HTTPException(status_code=404, detail="There is no such member")
    return MEMBERS[member_id]


@app.post("/members", status_code=201, response_model=MemberModel)
async def add_member(new: MemberIn) -> Member:
    """Take in a new member."""
    password_hash = new.password_hash or await hash_password(new.password)
    member_id = new.id or max(MEMBERS, default=0) + 1
    member = Member(member_id, new.name, new.call_sign, new.rank, new.phone, password_hash)
    MEMBERS[member_id] = member
    return member


@app.get("/teams", response_model=list[TeamOut])
async def list_teams() -> list[Team]:
    """Show all teams with their members."""
    return list(TEAMS.values())


@app.get("/teams/{team_id}", response_model=TeamOut)
async def read_team(team_id: int) -> Team:
    """Show one team with its members."""
    if team_id not in TEAMS:
        raise HTTPException(status_code=404, detail="There is no such team")
    return TEAMS[team_id]
