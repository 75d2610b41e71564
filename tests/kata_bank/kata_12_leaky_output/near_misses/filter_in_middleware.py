"""Near-miss: a middleware that removes private names from every body.

Rejected by: test_column_of_tomorrow_is_not_shown, test_schema_names_only_public_fields
Coach: You filter the bodies on their way out, by a list of forbidden names. What is not on the
    list passes, such as a column that is added tomorrow. And the OpenAPI document promises what the
    filter takes away.
Why: One place for all answers sounds safer than one model for each.
"""

import asyncio
import hashlib
import json
import secrets
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.middleware.base import RequestResponseEndpoint


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


class MemberCreated(MemberIn):
    id: int


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


STATION = "Nordhafen"
ANNA = Member(1, "Anna Brandt", "NH-11", "officer", "+49401234501", "1f0c:8d52")
EMRE = Member(2, "Emre Kaya", "NH-21", "firefighter", "+49401234502", "7a3b:e610")
MEMBERS = {member.id: member for member in (ANNA, EMRE)}
TEAMS = {1: Team(1, "Pump", "K7-4411-90", leader=ANNA, members=[EMRE])}

app = FastAPI(title="Fire brigade roster")


PRIVATE = {"phone", "password", "password_hash", "radio_key"}


def without_private(value: Any) -> Any:
    """Drop the private names on every level."""
    if isinstance(value, dict):
        return {k: without_private(v) for k, v in value.items() if k not in PRIVATE}
    if isinstance(value, list):
        return [without_private(v) for v in value]
    return value


@app.middleware("http")
async def remove_private(
    request: Request, call_next: RequestResponseEndpoint
) -> Response:
    """Take the private fields out of every answer."""
    response = await call_next(request)
    body = b"".join([chunk async for chunk in response.body_iterator])  # type: ignore[attr-defined]
    if request.url.path == app.openapi_url:
        return Response(body, response.status_code, dict(response.headers))
    return JSONResponse(without_private(json.loads(body)), response.status_code)


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
    members = [MemberInDB(**vars(member)) for member in MEMBERS.values()]
    return Roster(station=STATION, members=members)


@app.get("/members/{member_id}")
async def read_member(member_id: int):
    """Show one member."""
    if member_id not in MEMBERS:
        raise HTTPException(status_code=404, detail="There is no such member")
    return MEMBERS[member_id]


@app.post("/members", status_code=201)
async def add_member(new: MemberIn) -> MemberCreated:
    """Take in a new member."""
    password_hash = await hash_password(new.password)
    member_id = max(MEMBERS, default=0) + 1
    MEMBERS[member_id] = Member(
        member_id, new.name, new.call_sign, new.rank, new.phone, password_hash
    )
    return MemberCreated(id=member_id, **new.model_dump())


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
