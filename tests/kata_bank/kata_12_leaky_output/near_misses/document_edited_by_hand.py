"""Near-miss: private fields excluded from the bodies, and cut out of the finished document.

Rejected by: test_schema_names_only_public_fields
Coach: You cut the private fields out of the finished OpenAPI document. Your knife has to find
    every place: `required` still names them, and the next model is not on your list.
Why: The models seem fixed, and the document is only a dict.
"""

import asyncio
import hashlib
import secrets
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field


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


class MemberBase(BaseModel):
    name: Annotated[str, Field(min_length=2, max_length=40)]
    call_sign: Annotated[str, Field(pattern=r"^[A-Z]{2}-\d{2}$")]
    rank: Literal["trainee", "firefighter", "officer"]
    phone: Annotated[str, Field(pattern=r"^\+\d{6,15}$")]


class MemberIn(MemberBase):
    password: Annotated[str, Field(min_length=12, max_length=128)]


class MemberInDB(BaseModel):
    id: int
    name: str
    call_sign: str
    rank: str
    phone: str
    password_hash: str


class TeamInDB(BaseModel):
    id: int
    name: str
    radio_key: str
    leader: MemberInDB
    members: list[MemberInDB]


class Roster(BaseModel):
    station: str
    members: list[MemberInDB]


PRIVATE = {"phone", "password_hash"}
TEAM_PRIVATE = {"radio_key": True, "leader": PRIVATE, "members": {"__all__": PRIVATE}}

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


@app.get("/members", response_model_exclude={"members": {"__all__": PRIVATE}})
async def list_members() -> Roster:
    """Show the whole brigade."""
    members = [MemberInDB(**vars(member)) for member in MEMBERS.values()]
    return Roster(station=STATION, members=members)


@app.get("/members/{member_id}", response_model=MemberInDB, response_model_exclude=PRIVATE)
async def read_member(member_id: int) -> Member:
    """Show one member."""
    if member_id not in MEMBERS:
        raise HTTPException(status_code=404, detail="There is no such member")
    return MEMBERS[member_id]


@app.post(
    "/members", status_code=201, response_model=MemberInDB, response_model_exclude=PRIVATE
)
async def add_member(new: MemberIn) -> Member:
    """Take in a new member."""
    password_hash = await hash_password(new.password)
    member_id = max(MEMBERS, default=0) + 1
    MEMBERS[member_id] = Member(
        member_id, new.name, new.call_sign, new.rank, new.phone, password_hash
    )
    return MEMBERS[member_id]


@app.get("/teams", response_model=list[TeamInDB], response_model_exclude={"__all__": TEAM_PRIVATE})
async def list_teams() -> list[Team]:
    """Show all teams with their members."""
    return list(TEAMS.values())


@app.get("/teams/{team_id}", response_model=TeamInDB, response_model_exclude=TEAM_PRIVATE)
async def read_team(team_id: int) -> Team:
    """Show one team with its members."""
    if team_id not in TEAMS:
        raise HTTPException(status_code=404, detail="There is no such team")
    return TEAMS[team_id]


def edited_openapi() -> dict[str, Any]:
    """Leave the private fields out of the document."""
    document = FastAPI.openapi(app)
    models = document["components"]["schemas"]
    for name in ("phone", "password_hash"):
        models["MemberInDB"]["properties"].pop(name, None)
    models["TeamInDB"]["properties"].pop("radio_key", None)
    return document


app.openapi = edited_openapi  # type: ignore[method-assign]
