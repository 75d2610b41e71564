"""Near-miss: the fields were written anew, without their limits.

Rejected by: test_deposit_against_the_rules_is_refused
Coach: You wrote the fields of the deposit anew, and some of their limits stayed behind. None of
    them was warned of.
Why: Only what warned is tried afterwards, and no trial is so long or so heavy.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

from fastapi import FastAPI, Query
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    ValidationInfo,
    field_validator,
)


@dataclass
class Accession:
    """One row of the catalogue, as the storage hands it out."""

    number: int
    species: str
    label: str
    grams: Decimal
    tags: list[str]
    site: str | None


def plain_tag(tag: str) -> str:
    if not tag.strip():
        raise ValueError("a tag is not blank")
    return tag.strip().lower()


Tag = Annotated[str, AfterValidator(plain_tag)]
Grams = Annotated[Decimal, PlainSerializer(float, return_type=float, when_used="json")]


class Deposit(BaseModel):
    model_config = ConfigDict(extra="forbid")

    species: str
    label: str | None = Field(default=None, max_length=80, validate_default=True)
    grams: Decimal = Field(gt=0)
    tags: list[Tag] = Field(default=[], max_length=5)
    site: str | None = None

    @field_validator("species")
    @classmethod
    def genus_and_epithet(cls, species: str) -> str:
        words = species.split()
        if len(words) != 2:
            raise ValueError("a species is a genus and an epithet")
        return f"{words[0].capitalize()} {words[1].lower()}"

    @field_validator("label")
    @classmethod
    def label_or_species(cls, label: str | None, info: ValidationInfo) -> str | None:
        return label or info.data.get("species")


class Sheet(BaseModel):
    """A day of field work: one deposit per line, as JSON, and the site of all of them, if known."""

    lines: list[str] = Field(max_length=500)
    site: str | None = Field(default=None, max_length=60)


class SheetReport(BaseModel):
    accepted: list[int]
    refused_lines: list[int]


class Shown(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    species: str
    grams: Grams


class ShownAccession(Shown):
    number: int
    label: str
    tags: list[str]
    site: str | None


CATALOGUE: dict[int, Accession] = {}
OPENING_STOCK: list[dict[str, Any]] = [
    {"species": "quercus ROBUR", "label": "Oak", "grams": "812.5"},
    {"species": "Papaver rhoeas", "label": "Poppy", "grams": "3.2", "site": "Aesch"},
]


def shelve(deposit: Deposit) -> Accession:
    """Give a deposit the next number and put it into the catalogue."""
    accession = Accession(number=len(CATALOGUE) + 1, **deposit.model_dump())
    CATALOGUE[accession.number] = accession
    return accession


for entry in OPENING_STOCK:
    shelve(Deposit.model_validate(entry))

app = FastAPI(title="Seed bank")


@app.post("/accessions", status_code=201, response_model=ShownAccession)
async def take_deposit(deposit: Deposit) -> Accession:
    """Take one deposit."""
    return shelve(deposit)


@app.post("/sheets")
async def take_sheet(sheet: Sheet) -> SheetReport:
    """Take the good lines of a field sheet, and name the others."""
    accepted, refused = [], []
    for number, line in enumerate(sheet.lines, start=1):
        try:
            deposit = Deposit.model_validate_json(line)
        except ValidationError:
            refused.append(number)
            continue
        if sheet.site is not None:
            deposit = deposit.model_copy(update={"site": sheet.site})
        accepted.append(shelve(deposit).number)
    return SheetReport(accepted=accepted, refused_lines=refused)


@app.get("/accessions", response_model=list[ShownAccession])
async def list_accessions(
    genus: Annotated[str | None, Query(pattern="^[A-Z][a-z]+$")] = None,
) -> list[Accession]:
    """List the catalogue, or what it has of one genus."""
    return [row for row in CATALOGUE.values() if genus in (None, row.species.split()[0])]


@app.get("/stock")
async def stock() -> list[Shown]:
    """Add up what the bank holds of each species."""
    totals: dict[str, Decimal] = {}
    for row in CATALOGUE.values():
        totals[row.species] = totals.get(row.species, Decimal(0)) + row.grams
    return [Shown(species=species, grams=grams) for species, grams in totals.items()]
