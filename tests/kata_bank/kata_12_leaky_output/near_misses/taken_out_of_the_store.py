"""Near-miss: the private fields taken out of the stored object itself.

Rejected by: test_reading_changes_nothing_stored, test_column_of_tomorrow_is_not_shown,
    test_schema_names_only_public_fields
Coach: You empty the private fields on the object that is returned. It is no copy: it is the
    stored row. After the first look at a member, the hash is gone for good.
Why: `vars(member)` looks like a dict of its own.
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


def shown_member(member: Member) -> dict[str, Any]:
    """Leave out what is private."""
    row = vars(member)
    row.pop("phone", None)
    row.pop("password_hash", None)
    return row


def shown_team(team: Team) -> dict[str, Any]:
    """Leave out what is private."""
    row = vars(team)
    row.pop("radio_key", None)
    return row | {
        "leader": shown_member(team.leader),
        "members": [shown_member(member) for member in team.members],
    }


@app.get("/members")
async def list_members() -> dict[str, Any]:
    """Show the whole brigade."""
    members = [shown_member(member) for member in MEMBERS.values()]
    return {"station": STATION, "members": members}


@app.get("/members/{member_id}")
async def read_member(member_id: int) -> dict[str, Any]:
    """Show one member."""
    if member_id not in MEMBERS:
        raise HTTPException(status_code=404, detail="There is no such member")
    return shown_member(MEMBERS[member_id])


@app.post("/members", status_code=201)
async def add_member(new: MemberIn) -> dict[str, Any]:
    """Take in a new member."""
    password_hash = await hash_password(new.password)
    member_id = max(MEMBERS, default=0) + 1
    MEMBERS[member_id] = Member(
        member_id, new.name, new.call_sign, new.rank, new.phone, password_hash
    )
    return shown_member(MEMBERS[member_id])


@app.get("/teams")
async def list_teams() -> list[dict[str, Any]]:
    """Show all teams with their members."""
    return [shown_team(team) for team in TEAMS.values()]


@app.get("/teams/{team_id}")
async def read_team(team_id: int) -> dict[str, Any]:
    """Show one team with its members."""
    if team_id not in TEAMS:
        raise HTTPException(status_code=404, detail="There is no such team")
    return shown_team(TEAMS[team_id])
