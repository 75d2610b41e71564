"""Alternative: one function answers all kinds of errors and asks for their class.

Right because: It is registered for the two parent classes of refusals and for `Exception`. A known
    failure is an `HTTPException` whose detail has the code in it.
Trade-off: One place to read. It grows with each kind, and a forgotten case falls down to the 500.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import date
from http import HTTPStatus
from typing import Annotated, Any

import httpx
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field, ValidationError, field_validator
from starlette.exceptions import HTTPException as HTTPErrorBase

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


def problem(
    request: Request,
    status: int,
    code: str,
    detail: str,
    headers: Mapping[str, str] | None = None,
    **members: Any,
) -> JSONResponse:
    """Describe an error as RFC 9457 wants it."""
    content = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": request.url.path,
        "code": code,
        **members,
    }
    return JSONResponse(content, status, headers, media_type="application/problem+json")


async def answer_error(request: Request, error: Exception) -> JSONResponse:
    """Answer an error of any kind."""
    match error:
        case RequestValidationError():
            errors = [{key: one[key] for key in ("loc", "msg", "type")} for one in error.errors()]
            return problem(request, 422, "invalid", "The request is not valid", errors=errors)
        case HTTPErrorBase(detail={"code": code, "detail": detail}):
            return problem(request, error.status_code, code, detail, error.headers)
        case HTTPErrorBase():
            detail = str(error.detail)
            return problem(request, error.status_code, "refused", detail, error.headers)
    return problem(request, 500, "fault", "The observatory cannot answer now")


for kind in (RequestValidationError, HTTPErrorBase, Exception):
    app.add_exception_handler(kind, answer_error)


def failure(status: int, code: str, detail: str) -> HTTPException:
    """Describe a known failure."""
    return HTTPException(status, {"code": code, "detail": detail})


def find_night(number: int) -> Night:
    """Read a night from the book."""
    if number not in NIGHTS:
        raise failure(404, "night_unknown", "There is no such night")
    return Night.model_validate({**NIGHTS[number], "number": number})


def add_night(new: NewNight, member: str) -> Night:
    """Write a night into the book."""
    if new.telescope not in TELESCOPES:
        raise failure(404, "telescope_unknown", "There is no such telescope")
    entry = new.model_dump(mode="json")
    if any({**row, **entry} == row for row in NIGHTS.values()):
        raise failure(409, "night_taken", "This night is taken")
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
    booked = add_night(new, member)
    response.headers["Location"] = f"/nights/{booked.number}"
    return booked


@app.get("/sky")
async def show_sky(mast: Mast) -> Sky:
    """Show what the weather mast sees."""
    try:
        reply = await mast.get("/now")
        if not reply.is_success:
            raise failure(502, "mast_failed", "The weather mast gives no data")
        return Sky.model_validate_json(reply.content)
    except httpx.TimeoutException as error:
        raise failure(504, "mast_slow", "The weather mast is too slow") from error
    except (httpx.HTTPError, ValidationError) as error:
        raise failure(502, "mast_failed", "The weather mast gives no data") from error
