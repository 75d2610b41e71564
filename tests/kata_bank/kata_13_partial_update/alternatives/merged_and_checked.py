"""Alternative: merge the sent fields with the stored ones, then check the whole as on creation.

Right because: `model_copy(update=...)` checks nothing by itself, so the merged profile goes
    through the model of creation before it is written, and a failed check is answered as 422.
Trade-off: Rules that compare fields see the whole profile. But a stored value that breaks a newer
    rule then refuses every change.
"""

from typing import Annotated, Any, Literal

from fastapi import FastAPI, HTTPException
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

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


class StationUpdate(Input):
    rig: Any = None
    antenna: Any = None
    power_watts: Any = None


class ProfileUpdate(Input):
    call_sign: Any = None
    locator: Any = None
    bio: Any = None
    listed: Any = None
    station: StationUpdate = StationUpdate()


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
    station = StationIn.model_construct(**{name: row[name] for name in StationIn.model_fields})
    profile = ProfileIn.model_construct(
        **{name: row[name] for name in ProfileIn.model_fields if name in row},
        station=station.model_copy(update=changes.station.model_dump(exclude_unset=True)),
    )
    sent = changes.model_dump(exclude_unset=True, exclude={"station"})
    merged = profile.model_copy(update=sent)
    try:
        checked = ProfileIn.model_validate(merged.model_dump(warnings=False))
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error
    return save({**row, **flat(checked.model_dump())})
