"""Near-miss: the warnings are hidden where they arise, in a `with` block.

Rejected by: test_module_loads_without_a_warning, test_deposit_is_taken_without_a_warning,
    test_sheet_is_read_without_a_warning, test_sheet_with_a_site_is_read_without_a_warning,
    test_documentation_is_made_without_a_warning,
    test_warnings_are_not_hidden
Coach: Your block hides the warnings of the lines inside it. The lines are the same as before, so
    they still break with the release that takes the old names away.
Why: It looks careful: only the known warnings of known lines are silent.
"""

import warnings
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

from fastapi import FastAPI, Query
from pydantic import BaseModel, Field, ValidationError, validator


@dataclass
class Accession:
    """One row of the catalogue, as the storage hands it out."""

    number: int
    species: str
    label: str
    grams: Decimal
    tags: list[str]
    site: str | None


with warnings.catch_warnings():
    warnings.simplefilter("ignore")

    class Deposit(BaseModel):
        species: str = Field(max_length=80)
        label: str | None = Field(default=None, max_length=80)
        grams: Decimal = Field(gt=0, le=50_000)
        tags: list[str] = Field(default=[], max_items=5)
        site: str | None = Field(default=None, max_length=60)

        class Config:
            extra = "forbid"

        @validator("species")
        def genus_and_epithet(cls, species: str) -> str:
            words = species.split()
            if len(words) != 2:
                raise ValueError("a species is a genus and an epithet")
            return f"{words[0].capitalize()} {words[1].lower()}"

        @validator("label", always=True)
        def label_or_species(cls, label: str | None, values: dict[str, Any]) -> str | None:
            return label or values.get("species")

        @validator("tags", each_item=True)
        def plain_tag(cls, tag: str) -> str:
            if not tag.strip():
                raise ValueError("a tag is not blank")
            return tag.strip().lower()


class Sheet(BaseModel):
    """A day of field work: one deposit per line, as JSON, and the site of all of them, if known."""

    lines: list[str] = Field(max_length=500)
    site: str | None = Field(default=None, max_length=60)


class SheetReport(BaseModel):
    accepted: list[int]
    refused_lines: list[int]


class Shown(BaseModel):
    species: str
    grams: Decimal

    class Config:
        orm_mode = True
        json_encoders = {Decimal: float}


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
    accession = Accession(number=len(CATALOGUE) + 1, **deposit.dict())
    CATALOGUE[accession.number] = accession
    return accession


for entry in OPENING_STOCK:
    shelve(Deposit.parse_obj(entry))

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
            deposit = Deposit.parse_raw(line)
        except ValidationError:
            refused.append(number)
            continue
        if sheet.site is not None:
            deposit = deposit.copy(update={"site": sheet.site})
        accepted.append(shelve(deposit).number)
    return SheetReport(accepted=accepted, refused_lines=refused)


@app.get("/accessions", response_model=list[ShownAccession])
async def list_accessions(
    genus: Annotated[str | None, Query(regex="^[A-Z][a-z]+$")] = None,
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
