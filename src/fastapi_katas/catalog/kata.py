"""A kata: one broken module, its tests, its words, its solution and its bank."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fastapi_katas.catalog.bank import (
    Alternative,
    NearMiss,
    modules_in,
    read_alternative,
    read_near_miss,
)
from fastapi_katas.catalog.errors import CatalogError
from fastapi_katas.catalog.folders import KataFolder
from fastapi_katas.catalog.hints import Hint, read_hints

if TYPE_CHECKING:
    from fastapi_katas.catalog.page import Page


@dataclass(frozen=True, slots=True)
class KataTest:
    """One test of a kata, as its source states it.

    Attributes:
        name: The name of the function.
        kind: ``goal`` or ``guard``; empty if the marker is missing.
        title: The first line of the docstring; empty if there is none.
        line: The line of its definition.
    """

    name: str
    kind: Literal["goal", "guard", ""]
    title: str
    line: int


@dataclass(frozen=True)
class Kata:
    """One kata. Paths are known at once; the words are read and validated when asked for.

    Attributes:
        number: The stable number.
        slug: The short name.
        root: The root of the course.
    """

    number: int
    slug: str
    root: Path

    @classmethod
    def at(cls, folder: KataFolder) -> Kata:
        """Make the kata of a folder."""
        return cls(folder.number, folder.slug, folder.path.parent.parent)

    @property
    def name(self) -> str:
        """The name of the folder, for example ``kata_01_blocked_loop``."""
        return f"kata_{self.number:02d}_{self.slug}"

    @property
    def label(self) -> str:
        """The short name that people type, for example ``kata-01``."""
        return f"kata-{self.number:02d}"

    @property
    def folder(self) -> Path:
        """The folder that the learner works in."""
        return self.root / "katas" / self.name

    @property
    def solution(self) -> Path:
        """The folder of the reference repair."""
        return self.root / "solutions" / self.name

    @property
    def bank(self) -> Path:
        """The folder of near-misses and alternatives."""
        return self.root / "tests" / "kata_bank" / self.name

    @property
    def is_package(self) -> bool:
        """Whether the module is a package of several files."""
        return (self.folder / "bad" / "__init__.py").is_file()

    @property
    def bad(self) -> Path:
        """The exhibit."""
        return self.folder / ("bad" if self.is_package else "bad.py")

    @property
    def fix(self) -> Path:
        """The learner's copy; it may not exist."""
        return self.folder / ("fix" if self.is_package else "fix.py")

    @property
    def good(self) -> Path:
        """The reference repair."""
        return self.solution / ("good" if self.is_package else "good.py")

    @property
    def tests_file(self) -> Path:
        """The tests."""
        return self.folder / f"test_kata_{self.number:02d}.py"

    @property
    def notes_file(self) -> Path:
        """The notes on the reference repair."""
        return self.solution / "NOTES.md"

    @property
    def title(self) -> str:
        """The title, without validating the page."""
        return KataFolder(self.number, self.slug, self.folder).title

    @cached_property
    def page(self) -> Page:
        """The page.

        Raises:
            CatalogError: If it breaks the format.
        """
        # Imported here: validation needs Pydantic, and a check must not wait for its import.
        from fastapi_katas.catalog.page import read_page

        return read_page(self.folder / "README.md")

    @cached_property
    def hints(self) -> tuple[Hint, ...]:
        """The hints.

        Raises:
            CatalogError: If they break the format.
        """
        return read_hints(self.folder / "hints.md")

    def hints_for(self, test: str) -> list[Hint]:
        """The hints that help with a test, in the order of their levels."""
        return sorted(
            (hint for hint in self.hints if test in hint.tests), key=lambda hint: hint.level
        )

    @cached_property
    def near_misses(self) -> tuple[NearMiss, ...]:
        """The wrong repairs of the bank.

        Raises:
            CatalogError: If a head breaks the format.
        """
        return tuple(map(read_near_miss, modules_in(self.bank / "near_misses")))

    @cached_property
    def alternatives(self) -> tuple[Alternative, ...]:
        """The other right repairs of the bank.

        Raises:
            CatalogError: If a head breaks the format.
        """
        return tuple(map(read_alternative, modules_in(self.bank / "alternatives")))

    @cached_property
    def tests(self) -> tuple[KataTest, ...]:
        """The tests, in the order of the file.

        Raises:
            CatalogError: If the file is missing or is not Python.
        """
        try:
            tree = ast.parse(self.tests_file.read_bytes())
        except FileNotFoundError:
            raise CatalogError(self.tests_file, "The tests are missing: write them.") from None
        except (SyntaxError, ValueError) as error:
            raise CatalogError(self.tests_file, f"This is not Python: {error}.") from None
        return tuple(
            KataTest(
                node.name,
                _kind(node),
                (ast.get_docstring(node) or "").split("\n")[0],
                node.lineno,
            )
            for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and node.name.startswith("test_")
        )


def _kind(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Literal["goal", "guard", ""]:
    for decorator in node.decorator_list:
        text = ast.unparse(decorator)
        if text == "pytest.mark.goal":
            return "goal"
        if text == "pytest.mark.guard":
            return "guard"
    return ""
