"""Alternative: one class for each known failure, with status and code as class attributes.

Right because: One handler for their common class makes the answers. The handlers are given to
    the app in a dict, the one for faults by the number 500, which means the same.
Trade-off: More classes. In return a caller inside can catch one failure and not another.
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

class ObservatoryError(Exception):
    """A known failure, with a code that programs can rely on."""

    status: int
    code: str
    detail: str


class NightUnknownError(ObservatoryError):
    status, code, detail = 404, "night_unknown", "There is no such night"


class TelescopeUnknownError(ObservatoryError):
    status, code, detail = 404, "telescope_unknown", "There is no such telescope"


class NightTakenError(ObservatoryError):
    status, code, detail = 409, "night_taken", "This night is taken"


class MastSlowError(ObservatoryError):
    status, code, detail = 504, "mast_slow", "The weather mast is too slow"


class MastFailedError(ObservatoryError):
    status, code, detail = 502, "mast_failed", "The weather mast gives no data"


class Problem(BaseModel):
    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str
    code: str
    errors: list[Any] | None = None


def problem(request: Request, status: int, code: str, detail: str, **members: Any) -> Response:
    """Describe an error as RFC 9457 wants it."""
    content = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=request.scope["path"],
        code=code,
        **members,
    )
    text = content.model_dump_json(exclude_none=True)
    return Response(text, status, media_type="application/problem+json")


async def answer_known_failure(request: Request, error: Any) -> Response:
    """Answer a failure that the observatory knows."""
    return problem(request, error.status, error.code, error.detail)


async def answer_http_error(request: Request, error: Any) -> Response:
    """Answer a refused request, whoever refused it: an endpoint, a dependency or the router."""
    answer = problem(request, error.status_code, f"http_{error.status_code}", str(error.detail))
    answer.headers.update(error.headers or {})
    return answer


async def answer_invalid_request(request: Request, error: Any) -> Response:
    """Answer a request that does not fit its model."""
    errors = jsonable_encoder(error.errors())
    return problem(request, 422, "invalid_request", "The request is not valid", errors=errors)


async def answer_fault(request: Request, error: Exception) -> Response:
    """Answer a fault. It is raised again after this answer, and the server logs it."""
    return problem(request, 500, "internal_error", "The observatory cannot answer now")


app = FastAPI(
    title="Telescope nights",
    lifespan=lifespan,
    exception_handlers={
        ObservatoryError: answer_known_failure,
        HTTPException: answer_http_error,
        RequestValidationError: answer_invalid_request,
        500: answer_fault,
    },
)


def find_night(number: int) -> Night:
    """Read a night from the book."""
    if number not in NIGHTS:
        raise NightUnknownError
    return Night.model_validate({**NIGHTS[number], "number": number})


def add_night(new: NewNight, member: str) -> Night:
    """Write a night into the book."""
    if new.telescope not in TELESCOPES:
        raise TelescopeUnknownError
    entry = new.model_dump(mode="json")
    if any({**row, **entry} == row for row in NIGHTS.values()):
        raise NightTakenError
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
        raise MastSlowError from error
    except (httpx.HTTPError, ValidationError) as error:
        raise MastFailedError from error
