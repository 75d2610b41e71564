"""Near-miss: the minimum taken out of the base, and only the passwords opt out of the stripping.

Rejected by: test_length_of_names_and_openings, test_current_password_may_be_short
Coach: The bio may be empty now, because nothing has a minimum any more. A name or an opening of
    three spaces is stripped and then accepted as an empty text.
Why: The minimum is what the lesson about the bio complains of, so it goes.
"""

import itertools
import logging
from typing import Annotated

from fastapi import FastAPI, HTTPException, Response
from pydantic import BaseModel, ConfigDict, EmailStr, Field, StringConstraints

log = logging.getLogger("chess_club")
app = FastAPI(title="Chess club")


class AddressTakenError(Exception):
    """There is an account for this address already."""


class WrongPasswordError(Exception):
    """The current password is not the one of the account."""


class FederationAccounts:
    """The accounts of the chess federation; until the club is connected, only the log sees them."""

    async def open(self, email: str, password: str) -> None:
        log.info("An account for %s is opened", email)

    async def change(self, email: str, current: str, new: str) -> None:
        log.info("The account of %s has a new password", email)


class ClubModel(BaseModel):
    """What all requests to the club have in common."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


Password = Annotated[str, StringConstraints(strip_whitespace=False, min_length=10, max_length=128)]


class Profile(ClubModel):
    name: Annotated[str, Field(max_length=60)]
    bio: Annotated[str, Field(max_length=300)] = ""
    openings: Annotated[list[Annotated[str, Field(max_length=40)]], Field(max_length=5)] = []


class SignUp(Profile):
    email: EmailStr
    password: Password


class PasswordChange(ClubModel):
    current_password: Annotated[str, StringConstraints(strip_whitespace=False, max_length=128)]
    new_password: Password


class Member(BaseModel):
    id: int
    email: str
    name: str
    bio: str
    openings: list[str]


accounts = FederationAccounts()
members: dict[int, Member] = {}
numbers = itertools.count(1)


def member_or_404(member_id: int) -> Member:
    member = members.get(member_id)
    if member is None:
        raise HTTPException(status_code=404, detail="There is no such member")
    return member


@app.post("/members", status_code=201)
async def sign_up(form: SignUp, response: Response) -> Member:
    """Sign a member up, and open the account at the federation."""
    try:
        await accounts.open(form.email, form.password)
    except AddressTakenError as error:
        raise HTTPException(status_code=409, detail="This address is taken") from error
    member = Member(id=next(numbers), **form.model_dump(exclude={"password"}))
    members[member.id] = member
    response.headers["Location"] = f"/members/{member.id}"
    return member


@app.get("/members/{member_id}")
async def show_member(member_id: int) -> Member:
    return member_or_404(member_id)


@app.put("/members/{member_id}/profile")
async def edit_profile(member_id: int, profile: Profile) -> Member:
    """Replace the profile of a member."""
    member = member_or_404(member_id).model_copy(update=profile.model_dump())
    members[member_id] = member
    return member


@app.put("/members/{member_id}/password", status_code=204)
async def change_password(member_id: int, form: PasswordChange) -> None:
    """Change the password of a member's account at the federation."""
    member = member_or_404(member_id)
    try:
        await accounts.change(member.email, form.current_password, form.new_password)
    except WrongPasswordError as error:
        raise HTTPException(status_code=403, detail="The current password is wrong") from error
