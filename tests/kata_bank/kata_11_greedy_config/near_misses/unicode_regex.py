"""Near-miss: a regular expression with all rules for form, for every language.

Rejected by: test_nonsense_addresses_are_refused
Coach: Your pattern knows the form of an address, in every language. Which domains are reserved is
    a list, and the list changes: `club.test` has the right form, and no message arrives there.
Why: Every refused address of the tests can be mended with one more piece of the pattern.
"""

import itertools
import logging
from typing import Annotated

from fastapi import FastAPI, HTTPException, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

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

    model_config = ConfigDict(extra="forbid")


Password = Annotated[str, Field(min_length=10, max_length=128)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60)]
Opening = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=40)]


ATOM = r"[\w!#$%&'*+/=?^`{|}~-]+"
LABEL = r"[^\W_]([^\W_]|-){0,61}[^\W_]|[^\W_]"
Email = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        max_length=254,
        pattern=rf"^{ATOM}(\.{ATOM})*@(({LABEL})\.)+[^\W\d_]{{2,63}}$",
    ),
]


class Profile(ClubModel):
    name: Name
    bio: Annotated[str, Field(max_length=300)] = ""
    openings: Annotated[list[Opening], Field(max_length=5)] = []


class SignUp(Profile):
    email: Email
    password: Password


class PasswordChange(ClubModel):
    current_password: Annotated[str, Field(min_length=1, max_length=128)]
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
