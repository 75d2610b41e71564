"""The register of rules: every rule that the course knows, and where it is taught."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_REGISTER = Path(__file__).with_name("rules.toml")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        id: The letter of its chapter and a number, for example ``A1``.
        chapter: The title of the chapter.
        statement: The rule in one sentence.
        katas: The numbers of the katas that teach it.
        prose: The page of the guide that tells it, where no behaviour can be tested.
    """

    id: str
    chapter: str
    statement: str
    katas: tuple[int, ...]
    prose: str | None


@cache
def rules() -> dict[str, Rule]:
    """Return all rules by their ids, in the order of the register."""
    data = tomllib.loads(_REGISTER.read_text(encoding="utf-8"))
    return {
        name: Rule(
            name,
            data["chapters"][name.rstrip("0123456789")],
            entry["statement"],
            tuple(entry.get("katas", ())),
            entry.get("prose"),
        )
        for name, entry in data["rules"].items()
    }
