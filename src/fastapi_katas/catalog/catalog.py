"""All katas of a course, and the one that a person means."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fastapi_katas.catalog.errors import UnknownKataError
from fastapi_katas.catalog.folders import course_root, kata_folders
from fastapi_katas.catalog.kata import Kata


@dataclass(frozen=True, slots=True)
class Catalog:
    """The katas of one course, in the order of their numbers.

    Attributes:
        root: The root of the course.
        katas: The katas.
    """

    root: Path
    katas: tuple[Kata, ...]

    @classmethod
    def at(cls, root: Path) -> Catalog:
        """Read the folders of a course.

        Args:
            root: The root, which holds ``katas/``.
        """
        return cls(root, tuple(Kata.at(folder) for folder in kata_folders(root)))

    @classmethod
    def find(cls, start: Path) -> Catalog | None:
        """Find the course at or above a folder, else the one this package was installed from.

        Args:
            start: The folder to begin with, usually the current one.
        """
        root = course_root(start) or course_root(Path(__file__).resolve().parents[3])
        return cls.at(root) if root else None

    def __iter__(self) -> Iterator[Kata]:
        return iter(self.katas)

    def __len__(self) -> int:
        return len(self.katas)

    def named(self, query: str) -> Kata:
        """Find the kata that a person means.

        Args:
            query: A number (``3``, ``03``, ``kata-03``), a folder name, a slug, or the beginning
                or a part of a slug that fits only one kata.

        Raises:
            UnknownKataError: If no kata fits, or more than one.
        """
        words = query.strip().lower().replace("-", "_").replace(" ", "_")
        words = words.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
        digits = words.removeprefix("kata").strip("_")
        if digits.isdecimal():
            # Compared as text: a number may be too long to be read.
            wanted = digits.lstrip("0")
            return self._one([kata for kata in self if str(kata.number) == wanted], query)
        exact = [kata for kata in self if words in {kata.slug, kata.name}]
        if exact:
            return exact[0]
        starting = [kata for kata in self if kata.slug.startswith(words)]
        return self._one(starting or [kata for kata in self if words in kata.slug], query)

    def _one(self, found: list[Kata], query: str) -> Kata:
        if len(found) == 1:
            return found[0]
        if found:
            names = [f"{kata.label} ({kata.slug})" for kata in found]
            raise UnknownKataError(query, names, ambiguous=True)
        raise UnknownKataError(query, self._similar(query))

    def _similar(self, query: str) -> list[str]:
        by_slug = {kata.slug: kata for kata in self}
        close = difflib.get_close_matches(query.lower().replace("-", "_"), by_slug, n=2, cutoff=0.5)
        if not close and self.katas:
            digits = "".join(filter(str.isdecimal, query))[:9]
            if digits:
                return [min(self, key=lambda kata: abs(kata.number - int(digits))).label]
        return [f"{by_slug[slug].label} ({slug})" for slug in close]
