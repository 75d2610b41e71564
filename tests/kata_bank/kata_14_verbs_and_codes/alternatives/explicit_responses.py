"""Alternative: each endpoint makes its response itself.

Right because: Status, header and body stand in one place, and `Response(status_code=204)`
    has no body.
Trade-off: FastAPI checks and documents none of it, unless the decorator says the same once
    more.
"""

from typing import Annotated

from fastapi import FastAPI, Response
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


def refusal(status: int, detail: str) -> JSONResponse:
    """Make the answer to a request that cannot be done."""
    return JSONResponse({"detail": detail}, status_code=status)


@app.get("/hives")
async def list_hives() -> list[Hive]:
    """Show all hives."""
    return list(HIVES.values())


@app.post("/hives", status_code=201, response_model=Hive)
async def add_hive(new: NewHive) -> Response:
    """Set up a new hive."""
    if new.tag in HIVES:
        return refusal(409, "There is a hive with this tag already")
    HIVES[new.tag] = Hive(**new.model_dump(), feedings=0)
    address = f"/hives/{new.tag}"
    content = HIVES[new.tag].model_dump()
    return JSONResponse(content, status_code=201, headers={"Location": address})


@app.get("/hives/{tag}", response_model=Hive)
async def show_hive(tag: str) -> Hive | Response:
    """Show one hive."""
    if tag not in HIVES:
        return refusal(404, "There is no such hive")
    return HIVES[tag]


@app.put("/hives/{tag}", response_model=Hive)
async def replace_hive(tag: str, state: HiveState) -> Hive | Response:
    """Write down the state of a hive."""
    if tag not in HIVES:
        return refusal(404, "There is no such hive")
    HIVES[tag] = HIVES[tag].model_copy(update=state.model_dump())
    return HIVES[tag]


@app.post("/hives/{tag}/feed", response_model=Hive)
async def feed_hive(tag: str) -> Hive | Response:
    """Write down that a hive was fed once more."""
    if tag not in HIVES:
        return refusal(404, "There is no such hive")
    hive = HIVES[tag]
    HIVES[tag] = hive.model_copy(update={"feedings": hive.feedings + 1})
    return HIVES[tag]


@app.delete("/hives/{tag}", status_code=204)
async def remove_hive(tag: str) -> Response:
    """Take a hive out of the list."""
    if tag not in HIVES:
        return refusal(404, "There is no such hive")
    del HIVES[tag]
    return Response(status_code=204)
