"""Alternative: errors of the domain, and a handler that gives each one its status.

Right because: The handlers answer with the status of the contract, whoever raises the
    error. PUT writes each field of the state into the row.
Trade-off: More lines, and the reader of an endpoint does not see the status. It pays off
    once the rules live outside of the endpoints.
"""

from typing import Annotated

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(min_length=1, max_length=60)]


class HiveState(BaseModel):
    model_config = ConfigDict(extra="forbid")

    place: Text
    queen: Text | None = None
    notes: Annotated[list[Text], Field(max_length=20)] = []


class NewHive(HiveState):
    tag: Annotated[str, Field(pattern=r"^[a-z]{2,12}-\d{1,3}$")]


class Hive(BaseModel):
    tag: str
    place: str
    queen: str | None
    notes: list[str]
    feedings: int


HIVES: dict[str, Hive] = {
    "lime-1": Hive(tag="lime-1", place="Lime avenue", queen="Ada", notes=[], feedings=2),
    "moor-7": Hive(tag="moor-7", place="High moor", queen=None, notes=["Swarmed"], feedings=0),
}

app = FastAPI(title="Hives")


class MissingHiveError(Exception):
    """There is no such hive."""


class TakenTagError(Exception):
    """There is a hive with this tag already."""


@app.exception_handler(MissingHiveError)
async def answer_missing(request: Request, error: Exception) -> JSONResponse:
    """Answer that there is no such hive."""
    return JSONResponse({"detail": "There is no such hive"}, status_code=404)


@app.exception_handler(TakenTagError)
async def answer_taken(request: Request, error: Exception) -> JSONResponse:
    """Answer that the tag is taken."""
    return JSONResponse({"detail": "This tag is taken"}, status_code=409)


@app.get("/hives")
async def list_hives() -> list[Hive]:
    """Show all hives."""
    return list(HIVES.values())


@app.post("/hives", status_code=201)
async def add_hive(new: NewHive, response: Response) -> Hive:
    """Set up a new hive."""
    if new.tag in HIVES:
        raise TakenTagError
    HIVES[new.tag] = Hive(**new.model_dump(), feedings=0)
    response.headers["Location"] = f"/hives/{new.tag}"
    return HIVES[new.tag]


@app.get("/hives/{tag}")
async def show_hive(tag: str) -> Hive:
    """Show one hive."""
    if tag not in HIVES:
        raise MissingHiveError
    return HIVES[tag]


@app.put("/hives/{tag}")
async def replace_hive(tag: str, state: HiveState) -> Hive:
    """Write down the state of a hive."""
    if tag not in HIVES:
        raise MissingHiveError
    hive = HIVES[tag]
    hive.place = state.place
    hive.queen = state.queen
    hive.notes = state.notes
    return HIVES[tag]


@app.post("/hives/{tag}/feed")
async def feed_hive(tag: str) -> Hive:
    """Write down that a hive was fed once more."""
    if tag not in HIVES:
        raise MissingHiveError
    hive = HIVES[tag]
    hive.feedings += 1
    return HIVES[tag]


@app.delete("/hives/{tag}", status_code=204)
async def remove_hive(tag: str) -> None:
    """Take a hive out of the list."""
    if tag not in HIVES:
        raise MissingHiveError
    del HIVES[tag]
