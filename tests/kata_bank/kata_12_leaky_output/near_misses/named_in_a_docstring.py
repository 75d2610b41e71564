"""Near-miss: the docstring of an endpoint says what is not shown.

Rejected by: test_schema_names_only_public_fields
Coach: The docstring of an endpoint is public: FastAPI writes it into the OpenAPI document. Yours
    names a private field there.
Why: A docstring seems to be a note for those who read the code.
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


class MemberOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    call_sign: str
    rank: str


class TeamOut(BaseModel):
    id: int
    name: str
    leader: MemberOut
    members: list[MemberOut]


class Roster(BaseModel):
    station: str
    members: list[MemberOut]


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
    members = [MemberOut.model_validate(member) for member in MEMBERS.values()]
    return Roster(station=STATION, members=members)


@app.get("/members/{member_id}", response_model=MemberOut)
async def read_member(member_id: int) -> Member:
    """Show one member, without `phone` and `password_hash`."""
    if member_id not in MEMBERS:
        raise HTTPException(status_code=404, detail="There is no such member")
    return MEMBERS[member_id]


@app.post("/members", status_code=201, response_model=MemberOut)
async def add_member(new: MemberIn) -> Member:
    """Take in a new member."""
    password_hash = await hash_password(new.password)
    member_id = max(MEMBERS, default=0) + 1
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
