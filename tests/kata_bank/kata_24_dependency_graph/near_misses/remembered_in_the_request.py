"""Near-miss: `get_current_user` keeps the person in `request.state` and is called directly.

Rejected by: test_one_override_reaches_every_check
Coach: You load the person once, but you do it by hand: a function that calls
    `get_current_user` by its name calls the real one, whatever the app was told to use
    in its place.
Why: It mends the counter at once, and the direct calls can stay as they are.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field


class Person(BaseModel):
    name: str
    may: list[str] = []
    active: bool = True


class Costume(BaseModel):
    tag: str
    borrower: str | None = None
    handled_by: str | None = None


class Loan(BaseModel):
    borrower: Annotated[str, Field(min_length=1, max_length=60)]


class Register:
    """Whose key is whose. Each load is one question to the staff office."""

    def __init__(self, rows: dict[str, Person]) -> None:
        self.rows = rows

    async def load(self, key: str) -> Person | None:
        return self.rows.get(key)


REGISTER = Register({"silk-4471": Person(name="Nele", may=["lend", "retire"])})
COSTUMES = {"cloak-12": Costume(tag="cloak-12"), "crown-3": Costume(tag="crown-3")}

Key = Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]


async def get_current_user(request: Request, key: Key) -> Person:
    """Give the person whose key was sent."""
    if not hasattr(request.state, "person"):
        request.state.person = await REGISTER.load(key.credentials)
    person: Person | None = request.state.person
    if person is None:
        raise HTTPException(401, "Nobody has this key", {"WWW-Authenticate": "Bearer"})
    return person


async def get_active_user(request: Request, key: Key) -> Person:
    """Give the person whose key was sent, if this person still works here."""
    person = await get_current_user(request, key)
    if not person.active:
        raise HTTPException(403, "You do not work here any more")
    return person


ActiveUser = Annotated[Person, Depends(get_active_user)]


class PermissionChecker:
    """Let in only those who may do one thing."""

    def __init__(self, permission: str) -> None:
        self.permission = permission

    async def __call__(self, request: Request, key: Key) -> None:
        person = await get_active_user(request, key)
        if self.permission not in person.may:
            raise HTTPException(403, f"You may not {self.permission} costumes")


may_lend = PermissionChecker("lend")
may_retire = PermissionChecker("retire")


def find_costume(tag: str) -> Costume:
    """Find a costume, or answer 404."""
    if tag not in COSTUMES:
        raise HTTPException(404, "There is no such costume")
    return COSTUMES[tag]


wardrobe = APIRouter(prefix="/wardrobe", dependencies=[Depends(get_active_user)])


@wardrobe.get("/costumes")
async def list_costumes() -> list[Costume]:
    """Show all costumes."""
    return list(COSTUMES.values())


@wardrobe.get("/loans", dependencies=[Depends(may_lend)])
async def list_loans() -> list[Costume]:
    """Show the costumes that somebody has borrowed."""
    return [costume for costume in COSTUMES.values() if costume.borrower is not None]


@wardrobe.post("/costumes/{tag}/loan", dependencies=[Depends(may_lend)])
async def lend_costume(tag: str, loan: Loan, person: ActiveUser) -> Costume:
    """Lend a costume."""
    costume = find_costume(tag)
    costume.borrower, costume.handled_by = loan.borrower, person.name
    return costume


@wardrobe.delete("/costumes/{tag}", dependencies=[Depends(may_retire)])
async def retire_costume(tag: str, person: ActiveUser) -> Costume:
    """Take a costume out of the wardrobe for good."""
    costume = find_costume(tag)
    costume.handled_by = person.name
    return COSTUMES.pop(tag)


app = FastAPI(title="Wardrobe")
app.include_router(wardrobe)


@app.get("/programme")
async def show_programme() -> list[str]:
    """Show what plays tonight; everybody may know."""
    return ["The Winter's Tale"]
