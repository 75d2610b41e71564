"""Near-miss: PUT adds the notes that are not there yet.

Rejected by: test_put_replaces_the_whole_state
Coach: Your PUT may be repeated now, and still it does not replace: what stands in the hive
    afterwards is not what the request said.
Why: The doubled notes were the complaint, and each note stands there only once now.
"""

from typing import Annotated

from fastapi import FastAPI, HTTPException, Response
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


@app.post("/hives", status_code=201)
async def add_hive(new: NewHive, response: Response) -> Hive:
    """Set up a new hive."""
    if new.tag in HIVES:
        raise HTTPException(status_code=409, detail="There is a hive with this tag already")
    HIVES[new.tag] = Hive(**new.model_dump(), feedings=0)
    response.headers["Location"] = f"/hives/{new.tag}"
    return HIVES[new.tag]


@app.get("/hives/{tag}")
async def show_hive(tag: str) -> Hive:
    """Show one hive."""
    if tag not in HIVES:
        raise HTTPException(status_code=404, detail="There is no such hive")
    return HIVES[tag]


@app.put("/hives/{tag}")
async def replace_hive(tag: str, state: HiveState) -> Hive:
    """Write down the state of a hive."""
    if tag not in HIVES:
        raise HTTPException(status_code=404, detail="There is no such hive")
    hive = HIVES[tag]
    changes = state.model_dump()
    if state.notes:
        changes["notes"] = list(dict.fromkeys(hive.notes + state.notes))
    HIVES[tag] = hive.model_copy(update=changes)
    return HIVES[tag]


@app.post("/hives/{tag}/feed")
async def feed_hive(tag: str) -> Hive:
    """Write down that a hive was fed once more."""
    if tag not in HIVES:
        raise HTTPException(status_code=404, detail="There is no such hive")
    hive = HIVES[tag]
    HIVES[tag] = hive.model_copy(update={"feedings": hive.feedings + 1})
    return HIVES[tag]


@app.delete("/hives/{tag}", status_code=204)
async def remove_hive(tag: str) -> None:
    """Take a hive out of the list."""
    if tag not in HIVES:
        raise HTTPException(status_code=404, detail="There is no such hive")
    del HIVES[tag]
