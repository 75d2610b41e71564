"""Near-miss: rows that break the rules are left out of the lists.

Rejected by: test_old_rows_can_be_read, test_schema_promises_only_what_old_rows_keep
Coach: You catch the error and leave the row out. The list answers 200 again, and a member of
    the brigade is missing in it. Nobody who reads the list can see that.
Why: One bad row must not take the list down, so it is skipped.
"""

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict, Field, ValidationError


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


class MemberIn(MemberBase):
    phone: Annotated[str, Field(pattern=r"^\+\d{6,15}$")]
    password: Annotated[str, Field(min_length=12, max_length=128)]


class MemberOut(MemberBase):
    model_config = ConfigDict(from_attributes=True)

    id: int


class MemberDetail(BaseModel):
    id: int
    name: str
    call_sign: str
    rank: str


class TeamOut(BaseModel):
    id: int
    name: str
    leader: MemberDetail
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


log = logging.getLogger("roster")


async def hash_password(password: str) -> str:
    """Hash a password with a salt of its own."""
    salt = secrets.token_bytes(16)
    digest = await asyncio.to_thread(
        hashlib.scrypt, password.encode(), salt=salt, n=2**14, r=8, p=1
    )
    return f"{salt.hex()}:{digest.hex()}"


def readable(rows: Iterable[Member]) -> list[MemberOut]:
    """Leave out rows that do not keep the rules."""
    shown = []
    for row in rows:
        try:
            shown.append(MemberOut.model_validate(row))
        except ValidationError:
            log.warning("Member %d cannot be shown", row.id)
    return shown


def readable_team(team: Team) -> TeamOut:
    leader = MemberDetail.model_validate(team.leader, from_attributes=True)
    return TeamOut(id=team.id, name=team.name, leader=leader, members=readable(team.members))


@app.get("/members")
async def list_members() -> Roster:
    """Show the whole brigade."""
    members = readable(MEMBERS.values())
    return Roster(station=STATION, members=members)


@app.get("/members/{member_id}", response_model=MemberDetail)
async def read_member(member_id: int) -> Member:
    """Show one member."""
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


@app.get("/teams")
async def list_teams() -> list[TeamOut]:
    """Show all teams with their members."""
    return [readable_team(team) for team in TEAMS.values()]


@app.get("/teams/{team_id}")
async def read_team(team_id: int) -> TeamOut:
    """Show one team with its members."""
    if team_id not in TEAMS:
        raise HTTPException(status_code=404, detail="There is no such team")
    return readable_team(TEAMS[team_id])
