"""The page of a kata: its front matter, validated, and its body."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, HttpUrl, ValidationError

from fastapi_katas.catalog.errors import CatalogError
from fastapi_katas.catalog.rules import rules

TRACKS = (
    "Async hygiene",
    "Pydantic v2",
    "API design",
    "Dependency injection",
    "Lifespan and state",
    "Database",
    "Authentication and authorisation",
    "Production",
)
SECTIONS = (
    "What happened", "What you see", "Your task", "The law", "Traps", "Going further",
)
OUTPUT_MARKER = "<!-- output: bad -->"
#: ``<!-- sequence: bad, test_order -->``: the events that this test wrote down, as a picture.
SEQUENCE_MARKER = re.compile(r"^<!-- sequence: (bad|good), (.+?) -->$", re.MULTILINE)

_FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---\n(.*)\Z", re.DOTALL)


def _known_rule(rule: str) -> str:
    if rule not in rules():
        msg = f"{rule} is no rule of the register"
        raise ValueError(msg)
    return rule


def _known_track(track: str) -> str:
    if track not in TRACKS:
        msg = f"{track!r} is no track; the tracks are {', '.join(TRACKS)}"
        raise ValueError(msg)
    return track


def _one_sentence(text: str) -> str:
    if not text.endswith(".") or ". " in text:
        msg = "a law is one sentence with a full stop"
        raise ValueError(msg)
    return text


class Reference(BaseModel):
    """A page of official documentation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: Annotated[str, Field(min_length=3)]
    url: HttpUrl


class FrontMatter(BaseModel):
    """What the head of a page says about its kata. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: Annotated[str, Field(min_length=3, max_length=60)]
    law: Annotated[str, Field(min_length=10, max_length=200), AfterValidator(_one_sentence)]
    track: Annotated[str, AfterValidator(_known_track)]
    minutes: Annotated[int, Field(ge=10, le=25)]
    difficulty: Annotated[int, Field(ge=1, le=3)]
    rules: Annotated[list[Annotated[str, AfterValidator(_known_rule)]], Field(min_length=1)]
    requires: list[Annotated[int, Field(ge=1, le=99)]]
    needs: list[Literal["threads", "sockets", "processes", "database", "redis"]]
    references: Annotated[list[Reference], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Page:
    """A page: the validated head and the Markdown below it."""

    head: FrontMatter
    body: str


def read_page(path: Path) -> Page:
    """Read and validate the page of a kata.

    Args:
        path: The ``README.md`` of the kata.

    Raises:
        CatalogError: If the file is missing, has no front matter, or breaks a rule of it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CatalogError(path, "The page is missing: write it.") from None
    except UnicodeDecodeError:
        raise CatalogError(path, "The page is not UTF-8 text: save it as UTF-8.") from None
    match = _FRONT_MATTER.match(text.replace("\r\n", "\n"))
    if match is None:
        raise CatalogError(path, "The page has no front matter between two lines of `---`: add it.")
    try:
        head = FrontMatter.model_validate(yaml.safe_load(match[1]))
    except yaml.YAMLError as error:
        reason = str(error).replace("\n", " ")
        raise CatalogError(path, f"The front matter is not YAML: {reason}") from None
    except ValidationError as error:
        problems = "; ".join(
            f"`{'.'.join(map(str, problem['loc'])) or 'front matter'}`: {problem['msg']}"
            for problem in error.errors()
        )
        raise CatalogError(path, f"Mend the front matter: {problems}.") from None
    return Page(head, match[2])


def section_titles(body: str) -> list[str]:
    """List the second-level headings of a page."""
    return re.findall(r"^## (.+?)\s*$", body, re.MULTILINE)
