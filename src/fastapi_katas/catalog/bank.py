"""The bank of a kata: wrong repairs that people make, and other right ones."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from fastapi_katas.catalog.errors import CatalogError


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A wrong repair that people really make.

    Attributes:
        path: The file, or the folder of a package.
        title: What it is.
        rejected_by: The tests that must be red.
        coach: What this approach is, and the case that breaks it.
        why: Why people write it.
    """

    path: Path
    title: str
    rejected_by: tuple[str, ...]
    coach: str
    why: str

    @property
    def name(self) -> str:
        """The name of the file without its ending."""
        return self.path.stem


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another right repair.

    Attributes:
        path: The file, or the folder of a package.
        title: What it is.
        right_because: Why it obeys the law.
        trade_off: What it costs.
    """

    path: Path
    title: str
    right_because: str
    trade_off: str

    @property
    def name(self) -> str:
        """The name of the file without its ending."""
        return self.path.stem


def modules_in(folder: Path) -> list[Path]:
    """List the modules of a folder of the bank: files, and packages."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    )


def read_near_miss(path: Path) -> NearMiss:
    """Read the head of a near-miss.

    Raises:
        CatalogError: If the docstring does not have the form that the format asks for.
    """
    fields = _head(path, "Near-miss", ("Rejected by", "Coach", "Why"))
    tests = tuple(re.findall(r"\w+", fields["Rejected by"]))
    return NearMiss(path, fields["Near-miss"], tests, fields["Coach"], fields["Why"])


def read_alternative(path: Path) -> Alternative:
    """Read the head of an alternative.

    Raises:
        CatalogError: If the docstring does not have the form that the format asks for.
    """
    fields = _head(path, "Alternative", ("Right because", "Trade-off"))
    return Alternative(path, fields["Alternative"], fields["Right because"], fields["Trade-off"])


def _head(path: Path, kind: str, names: tuple[str, ...]) -> dict[str, str]:
    entry = path / "__init__.py" if path.is_dir() else path
    try:
        docstring = ast.get_docstring(ast.parse(entry.read_bytes())) or ""
    except (SyntaxError, ValueError) as error:
        raise CatalogError(entry, f"This is not Python: {error}. Mend it.") from None
    fields: dict[str, str] = {}
    labels = "|".join(map(re.escape, (kind, *names)))
    for match in re.finditer(
        rf"^({labels}):\s*(.+?)(?=^(?:{labels}):|\Z)", docstring, re.MULTILINE | re.DOTALL
    ):
        fields[match[1]] = " ".join(match[2].split())
    missing = [name for name in (kind, *names) if not fields.get(name)]
    if missing:
        labels = " and ".join(f"`{name}:`" for name in missing)
        raise CatalogError(entry, f"The docstring lacks {labels}: write it.")
    fields[kind] = fields[kind].rstrip(".")
    return fields
