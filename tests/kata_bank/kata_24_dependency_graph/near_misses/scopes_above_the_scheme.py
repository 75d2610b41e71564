"""Near-miss: `Security` with scopes, and `HTTPBearer` at the end of the chain.

Rejected by: test_person_is_loaded_once_for_each_request
Coach: Your routes have scopes, and at the end of your chain stands a security scheme of
    FastAPI. What depends on a scheme is remembered for each set of scopes by itself, so
    the guard without scopes and the check with scopes do not share it.
Why: Both are in the tutorial, and the person is declared only once.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes
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


async def get_current_user(key: Key) -> Person:
    """Give the person whose key was sent."""
    person = await REGISTER.load(key.credentials)
    if person is None:
        raise HTTPException(401, "Nobody has this key", {"WWW-Authenticate": "Bearer"})
    return person


CurrentUser = Annotated[Person, Depends(get_current_user)]


async def get_active_user(person: CurrentUser) -> Person:
    """Give the person whose key was sent, if this person still works here."""
    if not person.active:
        raise HTTPException(403, "You do not work here any more")
    return person


ActiveUser = Annotated[Person, Depends(get_active_user)]


async def check_scopes(scopes: SecurityScopes, person: ActiveUser) -> Person:
    """Let in only those who may do all that the route asks for."""
    for permission in scopes.scopes:
        if permission not in person.may:
            raise HTTPException(403, f"You may not {permission} costumes")
    return person


Lender = Annotated[Person, Security(check_scopes, scopes=["lend"])]
Retirer = Annotated[Person, Security(check_scopes, scopes=["retire"])]


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


@wardrobe.get("/loans", dependencies=[Security(check_scopes, scopes=["lend"])])
async def list_loans() -> list[Costume]:
    """Show the costumes that somebody has borrowed."""
    return [costume for costume in COSTUMES.values() if costume.borrower is not None]


@wardrobe.post("/costumes/{tag}/loan")
async def lend_costume(tag: str, loan: Loan, person: Lender) -> Costume:
    """Lend a costume."""
    costume = find_costume(tag)
    costume.borrower, costume.handled_by = loan.borrower, person.name
    return costume


@wardrobe.delete("/costumes/{tag}")
async def retire_costume(tag: str, person: Retirer) -> Costume:
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
