"""Alternative: a dataclass that is filled and checked by hand.

Right because: Every setting is read in one function at the start. Each refusal names the
    variable and its rule, and the two keys are `SecretStr`, which needs no model.
Trade-off: Every rule and every message has to be written, and the next setting will be
    forgotten in one of the places.
"""

import logging
import os
import secrets
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

import jwt
from dotenv import dotenv_values
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, SecretStr

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    signing_key: SecretStr
    till_key: SecretStr
    ticket_minutes: int
    ticket_algorithm: str
    stations: list[str]
    debug: bool


def read() -> Settings:
    """Read each setting and check it; the environment wins."""
    found = {**dotenv_values(".env"), **os.environ}

    def wrong(name: str, rule: str) -> RuntimeError:
        return RuntimeError(f"{name} must be {rule}")

    for name in ("SIGNING_KEY", "TILL_KEY"):
        if not found.get(name):
            raise wrong(name, "set to a text that is not empty")
    minutes = found.get("TICKET_MINUTES") or "480"
    if not minutes.isascii() or not minutes.isdigit() or not 1 <= int(minutes) <= 1440:
        raise wrong("TICKET_MINUTES", "a whole number, 1 to 1440")
    algorithm = found.get("TICKET_ALGORITHM") or "HS256"
    if algorithm not in {"HS256", "HS384", "HS512"}:
        raise wrong("TICKET_ALGORITHM", "HS256, HS384 or HS512")
    debug = (found.get("DEBUG") or "false").lower()
    if debug not in {"true", "false"}:
        raise wrong("DEBUG", "true or false")
    stations = (found.get("STATIONS") or "Valley,Middle,Summit").split(",")
    return Settings(
        signing_key=SecretStr(found["SIGNING_KEY"] or ""),
        till_key=SecretStr(found["TILL_KEY"] or ""),
        ticket_minutes=int(minutes),
        ticket_algorithm=algorithm,
        stations=[name.strip() for name in stations],
        debug=debug == "true",
    )


class Till:
    """What is there while the service runs."""

    settings: Settings


def get_settings() -> Settings:
    """Give the settings of the running service."""
    return Till.settings


Current = Annotated[Settings, Depends(get_settings)]


class SoldTicket(BaseModel):
    ticket: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Read the settings, and write them down."""
    Till.settings = read()
    logger.info("The till starts with %s", Till.settings)
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
