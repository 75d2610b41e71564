"""Near-miss: the code is made from the status.

Rejected by: test_known_failure_has_status_and_code, test_failing_mast_is_502_or_504
Coach: Your code says the status once more. A program cannot tell a missing night from a
    missing telescope, or from a wrong address.
Why: One table for all codes is simple, and the statuses are known.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from http import HTTPStatus
from typing import Annotated, Any

import httpx
from fastapi import Depends, FastAPI, Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field, ValidationError, field_validator
from starlette.exceptions import HTTPException

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


class ObservatoryError(Exception):
    """A known failure, with a code that programs can rely on."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail


def problem(request: Request, status: int, code: str, detail: str, **members: Any) -> JSONResponse:
    """Describe an error as RFC 9457 wants it."""
    content = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": request.url.path,
        "code": HTTPStatus(status).name.lower(),
        **members,
    }
    return JSONResponse(content, status, media_type="application/problem+json")


@app.exception_handler(ObservatoryError)
async def answer_known_failure(request: Request, error: ObservatoryError) -> JSONResponse:
    """Answer a failure that the observatory knows."""
    return problem(request, error.status, error.code, error.detail)


@app.exception_handler(HTTPException)
async def answer_http_error(request: Request, error: HTTPException) -> JSONResponse:
    """Answer a refused request, whoever refused it: an endpoint, a dependency or the router."""
    answer = problem(request, error.status_code, f"http_{error.status_code}", str(error.detail))
    answer.headers.update(error.headers or {})
    return answer


@app.exception_handler(RequestValidationError)
async def answer_invalid_request(request: Request, error: RequestValidationError) -> JSONResponse:
    """Answer a request that does not fit its model."""
    errors = jsonable_encoder(error.errors())
    return problem(request, 422, "invalid_request", "The request is not valid", errors=errors)


@app.exception_handler(Exception)
async def answer_fault(request: Request, error: Exception) -> JSONResponse:
    """Answer a fault. It is raised again after this answer, and the server logs it."""
    return problem(request, 500, "internal_error", "The observatory cannot answer now")


def find_night(number: int) -> Night:
    """Read a night from the book."""
    if number not in NIGHTS:
        raise ObservatoryError(404, "night_unknown", "There is no such night")
    return Night.model_validate({**NIGHTS[number], "number": number})


def add_night(new: NewNight, member: str) -> Night:
    """Write a night into the book."""
    if new.telescope not in TELESCOPES:
        raise ObservatoryError(404, "telescope_unknown", "There is no such telescope")
    entry = new.model_dump(mode="json")
    if any({**row, **entry} == row for row in NIGHTS.values()):
        raise ObservatoryError(409, "night_taken", "This night is taken")
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
        reply.raise_for_status()
        return Sky.model_validate_json(reply.content)
    except httpx.TimeoutException as error:
        raise ObservatoryError(504, "mast_slow", "The weather mast is too slow") from error
    except (httpx.HTTPError, ValidationError) as error:
        raise ObservatoryError(502, "mast_failed", "The weather mast gives no data") from error
