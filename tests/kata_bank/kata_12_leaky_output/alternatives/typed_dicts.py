"""Alternative: the answers are typed dicts.

Right because: A `TypedDict` as return annotation is a contract too: FastAPI makes the schema
    from it and checks the answer against it.
Trade-off: On Python 3.11 Pydantic needs the `TypedDict` of `typing_extensions`. A typed dict
    has no `model_validate`, so each field is copied by name.
"""

import asyncio
import hashlib
import secrets
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field
from typing_extensions import TypedDict


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


class MemberOut(TypedDict):
    id: int
    name: str
    call_sign: str
    rank: str


class TeamOut(TypedDict):
    id: int
    name: str
    leader: MemberOut
    members: list[MemberOut]


class Roster(TypedDict):
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


def member_out(member: Member) -> MemberOut:
    """Choose what is public about a member."""
    return MemberOut(
        id=member.id, name=member.name, call_sign=member.call_sign, rank=member.rank
    )


def team_out(team: Team) -> TeamOut:
    """Choose what is public about a team."""
    return TeamOut(
        id=team.id,
        name=team.name,
        leader=member_out(team.leader),
        members=[member_out(member) for member in team.members],
    )


@app.get("/members")
async def list_members() -> Roster:
    """Show the whole brigade."""
    members = [member_out(member) for member in MEMBERS.values()]
    return Roster(station=STATION, members=members)


@app.get("/members/{member_id}")
async def read_member(member_id: int) -> MemberOut:
    """Show one member."""
    if member_id not in MEMBERS:
        raise HTTPException(status_code=404, detail="There is no such member")
    return member_out(MEMBERS[member_id])


@app.post("/members", status_code=201)
async def add_member(new: MemberIn) -> MemberOut:
    """Take in a new member."""
    password_hash = await hash_password(new.password)
    member_id = max(MEMBERS, default=0) + 1
    member = Member(member_id, new.name, new.call_sign, new.rank, new.phone, password_hash)
    MEMBERS[member_id] = member
    return member_out(member)


@app.get("/teams")
async def list_teams() -> list[TeamOut]:
    """Show all teams with their members."""
    return [team_out(team) for team in TEAMS.values()]


@app.get("/teams/{team_id}")
async def read_team(team_id: int) -> TeamOut:
    """Show one team with its members."""
    if team_id not in TEAMS:
        raise HTTPException(status_code=404, detail="There is no such team")
    return team_out(TEAMS[team_id])
