"""Alternative: the profiles are stored as models, and a counter gives the ids.

Right because: `MISSING` keeps what was not sent out of the dump. `model_copy` lays the rest over
    the stored profile, and the same over its station.
Trade-off: `model_copy` checks nothing, so it must only get values that a model has checked.
"""

from itertools import count
from typing import Annotated, Any, Literal

from fastapi import FastAPI, HTTPException
from pydantic import MISSING, BaseModel, ConfigDict, Field

Role = Literal["member", "officer"]
CallSign = Annotated[str, Field(pattern=r"^[A-Z0-9]{3,10}$")]
Locator = Annotated[str, Field(pattern=r"^[A-R]{2}[0-9]{2}[a-x]{2}$")]


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


class StationPatch(Input):
    rig: Annotated[str, Field(max_length=40)] | MISSING | None = MISSING
    antenna: Annotated[str, Field(max_length=40)] | MISSING | None = MISSING
    power_watts: Annotated[int, Field(ge=1, le=750)] | MISSING = MISSING


class ProfilePatch(Input):
    call_sign: CallSign | MISSING = MISSING
    locator: Locator | MISSING = MISSING
    bio: Annotated[str, Field(max_length=200)] | MISSING | None = MISSING
    listed: bool | MISSING = MISSING
    station: StationPatch | MISSING = MISSING


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


ids = count(1001)
profiles: dict[int, Profile] = {
    1: Profile(
        id=1,
        call_sign="DL1RUTH",
        locator="JO62qm",
        bio="Morse only.",
        listed=True,
        role="officer",
        is_active=True,
        station=Station(rig="HF-90", antenna="dipole", power_watts=400, inspected=True),
    ),
    2: Profile(
        id=2,
        call_sign="OE5KAI",
        locator="JN68re",
        bio=None,
        listed=False,
        role="member",
        is_active=False,
        station=Station(rig=None, antenna="loop", power_watts=25, inspected=False),
    ),
}
app = FastAPI(title="Call book")


def find(profile_id: int) -> Profile:
    """Return a profile, or answer 404."""
    try:
        return profiles[profile_id]
    except KeyError:
        raise HTTPException(status_code=404, detail="There is no such profile") from None


def changed(old: Profile, values: dict[str, Any]) -> Profile:
    """Store a copy of a profile with other values."""
    station = old.station.model_copy(update=values.pop("station", {}))
    profiles[old.id] = old.model_copy(update={**values, "station": station})
    return profiles[old.id]


@app.post("/profiles", status_code=201)
async def create_profile(body: ProfileIn) -> Profile:
    """Enter a new member into the call book."""
    values = body.model_dump()
    values["station"]["inspected"] = False
    profile = Profile(id=next(ids), role="member", is_active=True, **values)
    profiles[profile.id] = profile
    return profile


@app.get("/profiles/{profile_id}")
async def read_profile(profile_id: int) -> Profile:
    """Return one profile."""
    return find(profile_id)


@app.put("/profiles/{profile_id}")
async def replace_profile(profile_id: int, body: ProfileIn) -> Profile:
    """Replace what a member says about themselves."""
    return changed(find(profile_id), body.model_dump())


@app.patch("/profiles/{profile_id}")
async def patch_profile(profile_id: int, body: ProfilePatch) -> Profile:
    """Change a part of what a member says about themselves."""
    return changed(find(profile_id), body.model_dump())
