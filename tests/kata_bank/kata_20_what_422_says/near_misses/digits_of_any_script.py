"""Near-miss: the validator of the tax number becomes the pattern `\\d{11}`.

Rejected by: test_tax_number_stays_strict
Coach: Your rule takes digits of any script, so numbers are accepted that were refused before. `\\d`
    means all of them in a pattern of Pydantic, and so does `isdecimal`.
Why: A pattern has no message that could quote the value, and `\\d` is the usual word for a digit.
"""

import logging
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, ValidationError


class BankRefund(BaseModel):
    iban: Annotated[str, Field(pattern=r"^[A-Z]{2}\d{18,22}$")]


class ChequeRefund(BaseModel):
    address: Annotated[str, Field(min_length=10, max_length=200)]


class ClientIn(BaseModel):
    name: Annotated[str, Field(min_length=2, max_length=80)]
    tax_number: Annotated[str, Field(pattern=r"^\d{11}$")]
    passphrase: Annotated[str, Field(min_length=12, max_length=128)]
    refund: BankRefund | ChequeRefund


class Receipt(BaseModel):
    shop: Annotated[str, Field(min_length=1, max_length=80)]
    cents: Annotated[int, Field(gt=0, le=100_000_000)]


class Batch(BaseModel):
    lines: Annotated[list[str], Field(min_length=1, max_length=500)]


class Accepted(BaseModel):
    accepted: int


log = logging.getLogger("portal")
app = FastAPI(title="Tax adviser's portal")


def refuse(request: Request, errors: list[Any]) -> JSONResponse:
    """Tell the client, and the log, why a request is not accepted."""
    told = [{"loc": item["loc"], "msg": item["msg"], "type": item["type"]} for item in errors]
    log.warning("refused %s %s: %s", request.method, request.url.path, told)
    return JSONResponse({"detail": told}, status_code=422)


@app.exception_handler(RequestValidationError)
async def invalid_request(request: Request, error: RequestValidationError) -> JSONResponse:
    """Answer a request that does not fit its model."""
    return refuse(request, list(error.errors()))


@app.post("/clients", status_code=201)
async def register(new: ClientIn) -> Accepted:
    """Register a client."""
    return Accepted(accepted=1)


@app.get("/receipts")
async def list_receipts(
    access_code: Annotated[str, Query(pattern=r"^[a-z]{4}-\d{8}$")],
    year: Annotated[int, Query(ge=2000, le=2100)],
) -> list[Receipt]:
    """Show the receipts of one year."""
    return []


@app.post("/receipts/import", status_code=201, response_model=Accepted)
async def import_receipts(batch: Batch, request: Request) -> Accepted | JSONResponse:
    """Take in receipts, one JSON text for each line of an exported file."""
    for number, line in enumerate(batch.lines):
        try:
            Receipt.model_validate_json(line)
        except ValidationError as error:
            errors = [
                {**item, "loc": ("body", "lines", number, *item["loc"])} for item in error.errors()
            ]
            return refuse(request, errors)
    return Accepted(accepted=len(batch.lines))
