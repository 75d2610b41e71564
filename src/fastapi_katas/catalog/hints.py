"""The hints of a kata, levelled from a question to near-code and tied to tests."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from fastapi_katas.catalog.errors import CatalogError

LEVELS = (1, 2, 3)

_HEADING = re.compile(r"^## Level (\d): (.+?)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Hint:
    """One hint.

    Attributes:
        level: 1 asks, 2 points to the place and the concept, 3 describes the change.
        title: The heading.
        tests: The names of the tests that it helps with.
        text: The hint itself, in Markdown.
    """

    level: int
    title: str
    tests: tuple[str, ...]
    text: str


def read_hints(path: Path) -> tuple[Hint, ...]:
    """Read the hints of a kata.

    Args:
        path: The ``hints.md`` of the kata.

    Raises:
        CatalogError: If the file is missing or a hint breaks the format.
    """
    try:
        text = path.read_text(encoding="utf-8").replace("\r\n", "\n")
    except FileNotFoundError:
        raise CatalogError(path, "The hints are missing: write them.") from None
    except UnicodeDecodeError:
        raise CatalogError(path, "The hints are not UTF-8 text: save them as UTF-8.") from None
    headings = list(_HEADING.finditer(text))
    if not headings:
        raise CatalogError(path, "There is no hint: write `## Level 1: …`, then `For: test_…`.")
    hints = []
    for heading, following in zip(headings, [*headings[1:], None], strict=True):
        block = text[heading.end() : following.start() if following else None].strip() + "\n"
        title, level = heading[2], int(heading[1])
        names, _, body = block.partition("\n\n")
        if not names.startswith("For:"):
            problem = f"The hint `{title}` is tied to no test: write `For: test_…` below it."
            raise CatalogError(path, problem)
        tests = tuple(re.findall(r"\w+", names.removeprefix("For:")))
        if level not in LEVELS:
            raise CatalogError(path, f"The hint `{title}` has level {level}: use 1, 2 or 3.")
        if not body.strip():
            raise CatalogError(path, f"The hint `{title}` is empty: write it.")
        hints.append(Hint(level, title, tests, body.strip()))
    return tuple(hints)
