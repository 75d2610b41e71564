"""Near-miss: the answers are clean, the log line is unchanged.

Rejected by: test_values_stay_out_of_the_log
Coach: No client gets a value back now. The log line is still made from the unchanged errors or
    from the full address.
Why: The report was about answers, and nobody outside reads the log.
"""

import logging
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, ValidationError, field_validator


class BankRefund(BaseModel):
    iban: Annotated[str, Field(pattern=r"^[A-Z]{2}\d{18,22}$")]


class ChequeRefund(BaseModel):
    address: Annotated[str, Field(min_length=10, max_length=200)]


class ClientIn(BaseModel):
    name: Annotated[str, Field(min_length=2, max_length=80)]
    tax_number: str
    passphrase: Annotated[str, Field(min_length=12, max_length=128)]
    refund: BankRefund | ChequeRefund

    @field_validator("tax_number")
    @classmethod
    def check_tax_number(cls, value: str) -> str:
        """Accept the eleven digits that the tax office gives out."""
        if len(value) != 11 or not (value.isascii() and value.isdigit()):
            raise ValueError("a tax number has 11 digits")
        return value


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
    log.warning("refused %s %s: %s", request.method, request.url, errors)
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
