"""A bee-keeper's hives: where each one stands, which queen it has, and how often it was fed."""

from typing import Annotated

from fastapi import FastAPI
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


@app.get("/hives")
async def list_hives() -> list[Hive]:
    """Show all hives."""
    return list(HIVES.values())


@app.post("/hives")
async def add_hive(new: NewHive) -> Hive | dict[str, str]:
    """Set up a new hive."""
    if new.tag in HIVES:
        return {"error": "There is a hive with this tag already"}
    HIVES[new.tag] = Hive(**new.model_dump(), feedings=0)
    return HIVES[new.tag]


@app.get("/hives/{tag}")
async def show_hive(tag: str) -> Hive | dict[str, str]:
    """Show one hive."""
    if tag not in HIVES:
        return {"error": "There is no such hive"}
    return HIVES[tag]


@app.put("/hives/{tag}")
async def replace_hive(tag: str, state: HiveState) -> Hive | dict[str, str]:
    """Write down the state of a hive."""
    if tag not in HIVES:
        return {"error": "There is no such hive"}
    hive = HIVES[tag]
    changes = state.model_dump(exclude_unset=True)
    changes["notes"] = hive.notes + state.notes
    HIVES[tag] = hive.model_copy(update=changes)
    return HIVES[tag]


@app.get("/hives/{tag}/feed")
async def feed_hive(tag: str) -> Hive | dict[str, str]:
    """Write down that a hive was fed once more."""
    if tag not in HIVES:
        return {"error": "There is no such hive"}
    hive = HIVES[tag]
    HIVES[tag] = hive.model_copy(update={"feedings": hive.feedings + 1})
    return HIVES[tag]


@app.delete("/hives/{tag}")
async def remove_hive(tag: str) -> JSONResponse:
    """Take a hive out of the list."""
    HIVES.pop(tag, None)
    return JSONResponse({"removed": tag}, status_code=204)
