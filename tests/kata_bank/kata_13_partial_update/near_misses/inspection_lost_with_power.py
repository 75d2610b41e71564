"""Near-miss: a station that gets more power counts as not inspected.

Rejected by: test_rest_of_the_station_stays
Coach: You write a field that was not sent. The board decides about the inspection, and a change by
    the owner has no say in it, however sensible the reason is.
Why: An inspection of the old station seems to say nothing about the stronger one.
"""

from typing import Annotated, Any, Literal

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict, Field

Row = dict[str, Any]
Role = Literal["member", "officer"]
CallSign = Annotated[str, Field(pattern=r"^[A-Z0-9]{3,10}$")]
Locator = Annotated[str, Field(pattern=r"^[A-R]{2}[0-9]{2}[a-x]{2}$")]

NULLABLE = {"bio", "rig", "antenna"}
rows: dict[int, Row] = {
    1: {"id": 1, "call_sign": "DL1RUTH", "locator": "JO62qm", "bio": "Morse only.", "listed": True}
    | {"role": "officer", "is_active": True}
    | {"rig": "HF-90", "antenna": "dipole", "power_watts": 400, "inspected": True},
    2: {"id": 2, "call_sign": "OE5KAI", "locator": "JN68re", "bio": None, "listed": False}
    | {"role": "member", "is_active": False}
    | {"rig": None, "antenna": "loop", "power_watts": 25, "inspected": False},
}


class NotNullError(Exception):
    """A column that needs a value would be NULL."""


class Input(BaseModel):
    model_config = ConfigDict(extra="forbid")


class StationIn(Input):
    rig: str | None = Field(default=None, max_length=40)
    antenna: str | None = Field(default=None, max_length=40)
    power_watts: int = Field(default=100, ge=1, le=750)


class ProfileIn(Input):
    call_sign: CallSign
    locator: Locator
    bio: str | None = Field(default=None, max_length=200)
    listed: bool = True
    station: StationIn = StationIn()


class ProfileUpdate(ProfileIn):
    # May be left out, never null. Only sent fields are written, so these defaults never are.
    call_sign: CallSign = ""
    locator: Locator = ""


class Station(BaseModel):
    rig: str | None
    antenna: str | None
    power_watts: int
    inspected: bool


class Profile(BaseModel):
    id: int
    call_sign: str
    locator: str
    bio: str | None
    listed: bool
    role: Role
    is_active: bool
    station: Station


app = FastAPI(title="Call book")


def find(profile_id: int) -> Row:
    """Return the row of a profile, or answer 404."""
    if profile_id not in rows:
        raise HTTPException(status_code=404, detail="There is no such profile")
    return rows[profile_id]


def save(row: Row) -> Profile:
    """Write a row as a database would: whole, or not at all. Return it as clients see it."""
    for column, value in row.items():
        if value is None and column not in NULLABLE:
            raise NotNullError(f"the column {column!r} needs a value")
    rows[row["id"]] = row
    return shown(row)


def shown(row: Row) -> Profile:
    """Return a row as clients see it: with the columns of the station together."""
    return Profile.model_validate({**row, "station": row})


def flat(values: Row) -> Row:
    """Return values as columns: those of the station beside those of the profile."""
    station = values.pop("station", {})
    return {**values, **station}


@app.post("/profiles", status_code=201)
async def create_profile(profile: ProfileIn) -> Profile:
    """Enter a new member into the call book."""
    decided = {"role": "member", "is_active": True, "inspected": False}
    return save({"id": len(rows) + 1, **decided, **flat(profile.model_dump())})


@app.get("/profiles/{profile_id}")
async def read_profile(profile_id: int) -> Profile:
    """Return one profile."""
    return shown(find(profile_id))


@app.put("/profiles/{profile_id}")
async def replace_profile(profile_id: int, profile: ProfileIn) -> Profile:
    """Replace what a member says about themselves."""
    return save({**find(profile_id), **flat(profile.model_dump())})


@app.patch("/profiles/{profile_id}")
async def update_profile(profile_id: int, changes: ProfileUpdate) -> Profile:
    """Change a part of what a member says about themselves."""
    row = find(profile_id)
    values = flat(changes.model_dump(exclude_unset=True))
    if values.get("power_watts", 0) > row["power_watts"]:
        values["inspected"] = False
    return save({**row, **values})
