"""Where katas are, by the names of folders alone.

Standard library only: ``noxfile.py`` reads the table of contents from here before any
environment exists.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

FOLDER_NAME = re.compile(r"kata_(?P<number>\d{2})_(?P<slug>[a-z][a-z0-9_]*)")


@dataclass(frozen=True, slots=True, order=True)
class KataFolder:
    """The folder of one kata.

    Attributes:
        number: The stable number.
        slug: The short name, for example ``blocked_loop``.
        path: The folder under ``katas/``.
    """

    number: int
    slug: str
    path: Path

    @property
    def title(self) -> str:
        """The title from the front matter of the page, or the slug in words."""
        try:
            text = (self.path / "README.md").read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            text = ""
        match = re.search(r"^title:\s*(.+?)\s*$", text.split("\n---", 1)[0], re.MULTILINE)
        return match[1].strip("\"'") if match else self.slug.replace("_", " ").capitalize()


def kata_folders(root: Path) -> list[KataFolder]:
    """List the kata folders of a course, in the order of their numbers.

    Args:
        root: The root of the course, which holds ``katas/``.
    """
    found = []
    for path in (root / "katas").iterdir() if (root / "katas").is_dir() else ():
        match = FOLDER_NAME.fullmatch(path.name)
        if match and path.is_dir():
            found.append(KataFolder(int(match["number"]), match["slug"], path))
    return sorted(found)


def course_root(start: Path) -> Path | None:
    """Find the root of the course at or above a folder.

    Args:
        start: The folder to begin with.

    Returns:
        The nearest folder that holds ``katas/`` with at least one kata, or ``None``.
    """
    for folder in (start, *start.parents):
        if kata_folders(folder):
            return folder
    return None


def sibling_good(folder: Path) -> Path:
    """The solution folder that belongs to a kata folder."""
    return folder.parent.parent / "solutions" / folder.name
