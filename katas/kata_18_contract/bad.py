"""Ferry line between three islands: its sailings, and the vehicles that have a place on deck."""

import os
from typing import Annotated, Literal

from fastapi import APIRouter, FastAPI, HTTPException, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field

Harbour = Literal["holm", "skar", "vik"]
SailingId = Annotated[int, Path(ge=1)]
Plate = Annotated[str, Path(pattern=r"^[A-Z]{1,3}-\d{1,4}$")]


class Sailing(BaseModel):
    id: int
    harbour: Harbour
    deck_cm: int


class Vehicle(BaseModel):
    model_config = ConfigDict(json_schema_extra={"example": {"kind": "car", "length": 4.5}})

    kind: Literal["car", "van", "lorry"]
    length_cm: Annotated[int, Field(ge=100, le=2500)]


class Reservation(BaseModel):
    sailing_id: int
    plate: str
    vehicle: Vehicle


SAILINGS = {1: Sailing(id=1, harbour="holm", deck_cm=9000)}
DECKS: dict[int, dict[str, Reservation]] = {}
SHOW_DOCS = os.environ.get("FERRY_STAGE") != "production"

sailings = APIRouter(tags=["sailings"], responses={404: {"description": "Not found"}})
reservations = APIRouter(tags=["reservations"])


@sailings.get("/sailings")
async def list_sailings(harbour: Harbour | None = None) -> list[Sailing]:
    return [sailing for sailing in SAILINGS.values() if harbour in (None, sailing.harbour)]


@sailings.get("/sailings/{sailing_id}")
async def read_sailing(sailing_id: SailingId) -> Sailing:
    if sailing_id not in SAILINGS:
        raise HTTPException(404, "There is no such sailing")
    return SAILINGS[sailing_id]


@reservations.put("/sailings/{sailing_id}/reservations/{plate}", description="Reservation")
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


@reservations.delete("/sailings/{sailing_id}/reservations/{plate}", status_code=204)
async def cancel(sailing_id: SailingId, plate: Plate) -> None:
    if DECKS.get(sailing_id, {}).pop(plate, None) is None:
        raise HTTPException(404, "There is no such reservation")


def client_method(route: APIRoute) -> str:
    """Name an operation after its method and its subject, for the generated clients."""
    return f"{min(route.methods or {'get'})}_{route.tags[0]}".lower()


app = FastAPI(
    title="Ferry line",
    generate_unique_id_function=client_method,
    docs_url="/docs" if SHOW_DOCS else None,
    redoc_url="/redoc" if SHOW_DOCS else None,
)
app.include_router(sailings)
app.include_router(reservations)


@app.exception_handler(RequestValidationError)
async def refuse(request: Request, error: RequestValidationError) -> JSONResponse:
    """Name the fields that break a rule."""
    fields = {".".join(str(part) for part in item["loc"]) for item in error.errors()}
    content = {"detail": "The request breaks a rule", "fields": sorted(fields)}
    return JSONResponse(content, status_code=422)
