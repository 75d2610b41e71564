"""Near-miss: the lifetime and the algorithm have no rule.

Rejected by: test_start_is_refused
Coach: Your service starts with a lifetime of 0 minutes or an algorithm that does not sign. Each
    ticket it sells is worthless, and nobody is told.
Why: The rule for keys came from the story, and the others are only numbers and names.
"""

import logging
import secrets
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any

import jwt
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

logger = logging.getLogger(__name__)

Secret = Annotated[SecretStr, Field(min_length=1)]


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_file=".env", extra="ignore", hide_input_in_errors=True)

    signing_key: Secret
    till_key: Secret
    ticket_minutes: int = 480
    ticket_algorithm: str = "HS256"
    stations: Annotated[list[str], NoDecode] = ["Valley", "Middle", "Summit"]
    debug: bool = False

    @field_validator("stations", mode="before")
    @classmethod
    def split(cls, value: Any) -> Any:
        """Take a text apart at its commas; the default is a list already."""
        return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


@lru_cache
def get_settings() -> Settings:
    """Read the settings once, and keep them."""
    return Settings()  # type: ignore[call-arg]  # they come from outside


Current = Annotated[Settings, Depends(get_settings)]


class SoldTicket(BaseModel):
    ticket: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Read the settings anew, and write down with which the service starts."""
    get_settings.cache_clear()
    logger.info("The till starts with %r", get_settings())
    yield


app = FastAPI(title="Cable car tickets", lifespan=lifespan)


@app.exception_handler(Exception)
async def answer_fault(request: Request, error: Exception) -> PlainTextResponse:
    """Answer a fault; developers see its traceback."""
    if get_settings().debug:
        return PlainTextResponse("".join(traceback.format_exception(error)), status_code=500)
    return PlainTextResponse("Internal Server Error", status_code=500)


@app.get("/stations")
async def list_stations(settings: Current) -> list[str]:
    """List the stations at which a ticket opens the turnstile."""
    return settings.stations


@app.post("/tickets", status_code=201)
async def sell_ticket(x_till_key: Annotated[str, Header()], settings: Current) -> SoldTicket:
    """Sell a ticket; only a till may do that."""
    till_key = settings.till_key.get_secret_value()
    if not secrets.compare_digest(x_till_key.encode(), till_key.encode()):
        raise HTTPException(status_code=403, detail="This is not the key of a till")
    now = datetime.now(UTC)
    end = now + timedelta(minutes=settings.ticket_minutes)
    claims = {"iat": now, "exp": end, "at": settings.stations}
    signing_key = settings.signing_key.get_secret_value()
    ticket = jwt.encode(claims, signing_key, algorithm=settings.ticket_algorithm)
    return SoldTicket(ticket=ticket)
