"""The till of a cable car: it sells the tickets that the turnstiles of the stations check."""

import logging
import os
import secrets
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated

import jwt
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel
from pydantic_settings import BaseSettings, SettingsConfigDict

logger = logging.getLogger(__name__)

TICKET_MINUTES = int(os.environ.get("TICKET_MINUTES", "480"))
TICKET_ALGORITHM = os.environ.get("TICKET_ALGORITHM", "HS256")


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_file=".env")

    signing_key: str = "cable-car-signing-key-for-development"
    till_key: str = "till-key-for-development"
    stations: list[str] = ["Valley", "Middle", "Summit"]
    debug: bool = True


@lru_cache
def get_settings() -> Settings:
    """Read the settings once, and keep them."""
    return Settings()


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
    if not secrets.compare_digest(x_till_key.encode(), settings.till_key.encode()):
        raise HTTPException(status_code=403, detail="This is not the key of a till")
    now = datetime.now(UTC)
    claims = {"iat": now, "exp": now + timedelta(minutes=TICKET_MINUTES), "at": settings.stations}
    ticket = jwt.encode(claims, settings.signing_key, algorithm=TICKET_ALGORITHM)
    return SoldTicket(ticket=ticket)
