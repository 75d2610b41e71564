"""Alternative: one function finds the hive or raises, and `url_for` makes the address.

Right because: Every endpoint refuses a missing hive in the same way. The address is made
    from the route of the endpoint that shows a hive, so it cannot name another path.
Trade-off: The `Location` is absolute, so behind a proxy the service must know its public
    name.
"""

from typing import Annotated

from fastapi import FastAPI, HTTPException, Request, Response, status
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


def find(tag: str) -> Hive:
    """Return a hive, or refuse the request."""
    hive = HIVES.get(tag)
    if hive is None:
        raise HTTPException(status_code=404, detail="There is no such hive")
    return hive


@app.get("/hives")
async def list_hives() -> list[Hive]:
    """Show all hives."""
    return list(HIVES.values())


@app.post("/hives", status_code=status.HTTP_201_CREATED)
async def add_hive(new: NewHive, request: Request, response: Response) -> Hive:
    """Set up a new hive."""
    if new.tag in HIVES:
        raise HTTPException(status_code=409, detail="There is a hive with this tag already")
    HIVES[new.tag] = Hive(**new.model_dump(), feedings=0)
    response.headers["Location"] = str(request.url_for("show_hive", tag=new.tag))
    return HIVES[new.tag]


@app.get("/hives/{tag}")
async def show_hive(tag: str) -> Hive:
    """Show one hive."""
    return find(tag)


@app.put("/hives/{tag}")
async def replace_hive(tag: str, state: HiveState) -> Hive:
    """Write down the state of a hive."""
    HIVES[tag] = find(tag).model_copy(update=state.model_dump())
    return HIVES[tag]


@app.post("/hives/{tag}/feed")
async def feed_hive(tag: str) -> Hive:
    """Write down that a hive was fed once more."""
    hive = find(tag)
    HIVES[tag] = hive.model_copy(update={"feedings": hive.feedings + 1})
    return HIVES[tag]


@app.delete("/hives/{tag}", status_code=status.HTTP_204_NO_CONTENT)
async def remove_hive(tag: str) -> None:
    """Take a hive out of the list."""
    del HIVES[find(tag).tag]
