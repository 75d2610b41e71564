"""An observatory lends out its telescopes: book a night, look one up, ask for the sky above."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from http import HTTPStatus
from typing import Annotated, Any

import httpx
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field, field_validator

MEMBERS = {"lyra-5530": "Lyra school", "vega-9142": "Vega club"}
TELESCOPES = {"north", "dome"}
NIGHTS: dict[int, dict[str, Any]] = {
    1: {"telescope": "north", "night": "2026-01-16", "member": "Vega club"},
}


class NewNight(BaseModel):
    telescope: Annotated[str, Field(min_length=1, max_length=20)]
    night: date

    @field_validator("night")
    @classmethod
    def check_dark(cls, night: date) -> date:
        """Accept the months in which it gets dark."""
        if night.month in {6, 7}:
            raise ValueError("the sky stays bright in June and July")
        return night


class Night(BaseModel):
    number: int
    telescope: str
    night: date
    member: str


class Sky(BaseModel):
    clear: bool
    wind: float


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Keep one connection pool to the weather mast."""
    async with httpx.AsyncClient(base_url="http://mast.example", timeout=3.0) as client:
        yield {"mast": client}


async def mast(request: Request) -> httpx.AsyncClient:
    """Give the client of the weather mast."""
    client: httpx.AsyncClient = request.state.mast
    return client


async def member(
    sent: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())],
) -> str:
    """Give the name of the member whose key was sent."""
    if sent.credentials not in MEMBERS:
        raise HTTPException(401, "This key is not valid", {"WWW-Authenticate": "Bearer"})
    return MEMBERS[sent.credentials]


Mast = Annotated[httpx.AsyncClient, Depends(mast)]
Member = Annotated[str, Depends(member)]

app = FastAPI(title="Telescope nights", lifespan=lifespan)


def problem(request: Request, status: int, detail: str) -> JSONResponse:
    """Describe an error as RFC 9457 wants it."""
    content = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": str(request.url),
    }
    return JSONResponse(content, status, media_type="application/problem+json")


@app.exception_handler(HTTPException)
async def answer_http_error(request: Request, error: HTTPException) -> JSONResponse:
    """Answer a refused request."""
    return problem(request, error.status_code, error.detail)


@app.exception_handler(ValueError)
async def answer_value_error(request: Request, error: ValueError) -> JSONResponse:
    """Answer a request with a wrong value."""
    return problem(request, 400, str(error))


def find_night(number: int) -> Night:
    """Read a night from the book."""
    if number not in NIGHTS:
        raise ValueError("There is no such night")
    return Night.model_validate({**NIGHTS[number], "number": number})


def add_night(new: NewNight, member: str) -> Night:
    """Write a night into the book."""
    if new.telescope not in TELESCOPES:
        raise HTTPException(404, "There is no such telescope")
    entry = new.model_dump(mode="json")
    if any({**row, **entry} == row for row in NIGHTS.values()):
        raise HTTPException(409, "This night is taken")
    number = max(NIGHTS, default=0) + 1
    NIGHTS[number] = {**entry, "member": member}
    return find_night(number)


@app.get("/nights/{number}")
async def show_night(number: int) -> Night:
    """Show one night."""
    return find_night(number)


@app.post("/nights", status_code=201)
async def book_night(new: NewNight, member: Member, response: Response) -> Night:
    """Book a night."""
    try:
        booked = add_night(new, member)
    except Exception as error:
        raise HTTPException(500, f"The night was not booked: {error}") from error
    response.headers["Location"] = f"/nights/{booked.number}"
    return booked


@app.get("/sky")
async def show_sky(mast: Mast) -> Sky:
    """Show what the weather mast sees."""
    reply = await mast.get("/now")
    return Sky.model_validate(reply.json())
