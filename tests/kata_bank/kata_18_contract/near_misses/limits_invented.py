"""Near-miss: the ids of sailings get an upper limit, because limits were to be documented.

Rejected by: test_documented_limits_are_the_real_ones, test_requests_are_answered_as_before
Coach: You gave a parameter a limit that it never had. The document and the service agree, and some
    requests that were right are refused now.
Why: A document with a limit at each number looks complete.
"""

import os
from typing import Annotated, Any, Literal

from fastapi import APIRouter, FastAPI, HTTPException, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field

Harbour = Literal["holm", "skar", "vik"]
SailingId = Annotated[int, Path(ge=1, le=9999, description="The number of the sailing.")]
Plate = Annotated[
    str, Path(pattern=r"^[A-Z]{1,3}-\d{1,4}$", description="The number plate of the vehicle.")
]


class Sailing(BaseModel):
    id: int
    harbour: Harbour
    deck_cm: int


class Vehicle(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "car", "length_cm": 450}]})

    kind: Literal["car", "van", "lorry"]
    length_cm: Annotated[int, Field(ge=100, le=2500)]


class Reservation(BaseModel):
    sailing_id: int
    plate: str
    vehicle: Vehicle


class Missing(BaseModel):
    detail: str


class Invalid(BaseModel):
    detail: str
    fields: list[str]


class FullDeck(BaseModel):
    reason: str
    free_cm: int


class Full(BaseModel):
    detail: FullDeck


Responses = dict[int | str, dict[str, Any]]
NO_SAILING: Responses = {404: {"model": Missing, "description": "There is no such sailing"}}
NO_RESERVATION: Responses = {404: {"model": Missing, "description": "There is no such reservation"}}
NO_PLACE: Responses = {409: {"model": Full, "description": "The vehicle does not fit on deck"}}
CREATED: Responses = {201: {"model": Reservation, "description": "The vehicle has a new place"}}
INVALID: Responses = {422: {"model": Invalid, "description": "The request breaks a rule"}}

SAILINGS = {1: Sailing(id=1, harbour="holm", deck_cm=9000)}
DECKS: dict[int, dict[str, Reservation]] = {}
SHOW_DOCS = os.environ.get("FERRY_STAGE") != "production"

sailings = APIRouter(tags=["sailings"])
reservations = APIRouter(tags=["reservations"])


@sailings.get(
    "/sailings",
    summary="List the sailings",
    response_description="The sailings, in no special order",
)
async def list_sailings(
    harbour: Annotated[
        Harbour | None, Query(description="Only sailings that start from this harbour.")
    ] = None,
) -> list[Sailing]:
    """Show all sailings, or those that start from one harbour."""
    return [sailing for sailing in SAILINGS.values() if harbour in (None, sailing.harbour)]


@sailings.get(
    "/sailings/{sailing_id}",
    summary="Show one sailing",
    response_description="The sailing that was asked for",
    operation_id="get_sailing",
    responses=NO_SAILING,
)
async def read_sailing(sailing_id: SailingId) -> Sailing:
    """Show where a sailing starts, and how long its deck is."""
    if sailing_id not in SAILINGS:
        raise HTTPException(404, "There is no such sailing")
    return SAILINGS[sailing_id]


@reservations.put(
    "/sailings/{sailing_id}/reservations/{plate}",
    summary="Reserve a place on deck",
    response_description="The vehicle keeps its place",
    responses=CREATED | NO_SAILING | NO_PLACE,
)
async def reserve(
    sailing_id: SailingId, plate: Plate, vehicle: Vehicle, response: Response
) -> Reservation:
    """Reserve a place on deck; a vehicle that has one keeps it, with its new length."""
    if sailing_id not in SAILINGS:
        raise HTTPException(404, "There is no such sailing")
    deck = DECKS.setdefault(sailing_id, {})
    taken = sum(row.vehicle.length_cm for row in deck.values() if row.plate != plate)
    free = SAILINGS[sailing_id].deck_cm - taken
    if vehicle.length_cm > free:
        raise HTTPException(409, {"reason": "The deck is full", "free_cm": free})
    response.status_code = 200 if plate in deck else 201
    deck[plate] = Reservation(sailing_id=sailing_id, plate=plate, vehicle=vehicle)
    return deck[plate]


@reservations.delete(
    "/sailings/{sailing_id}/reservations/{plate}",
    status_code=204,
    summary="Cancel a reservation",
    response_description="The place is free again",
    responses=NO_RESERVATION,
)
async def cancel(sailing_id: SailingId, plate: Plate) -> None:
    """Give the place of a vehicle on deck back to the line."""
    if DECKS.get(sailing_id, {}).pop(plate, None) is None:
        raise HTTPException(404, "There is no such reservation")


def client_method(route: APIRoute) -> str:
    """Name an operation after its method and its subject, for the generated clients."""
    return f"{min(route.methods or {'get'})}_{route.tags[0]}".lower()


app = FastAPI(
    title="Ferry line",
    generate_unique_id_function=client_method,
    openapi_url="/openapi.json" if SHOW_DOCS else None,
    docs_url="/docs" if SHOW_DOCS else None,
    redoc_url="/redoc" if SHOW_DOCS else None,
    responses=INVALID,
)
app.include_router(sailings)
app.include_router(reservations)


@app.exception_handler(RequestValidationError)
async def refuse(request: Request, error: RequestValidationError) -> JSONResponse:
    """Name the fields that break a rule."""
    fields = {".".join(str(part) for part in item["loc"]) for item in error.errors()}
    content = {"detail": "The request breaks a rule", "fields": sorted(fields)}
    return JSONResponse(content, status_code=422)
