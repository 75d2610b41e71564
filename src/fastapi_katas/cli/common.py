"""What every verb needs: the course, the kata that is meant, the progress, the face.

Without typer, so that a verb that only reads can start without it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from fastapi_katas.catalog.catalog import Catalog
from fastapi_katas.catalog.errors import UnknownKataError
from fastapi_katas.exit_codes import EXIT_ENVIRONMENT, EXIT_USAGE

if TYPE_CHECKING:
    from fastapi_katas.catalog.kata import Kata
    from fastapi_katas.progress import Progress
    from fastapi_katas.render import Face


def end(message: str, code: int) -> NoReturn:
    """Say on standard error why the command ends here.

    Args:
        message: What is wrong, and what to do.
        code: The exit code.

    Raises:
        SystemExit: Always.
    """
    sys.stderr.write(f"{message}\n")
    raise SystemExit(code)


def course() -> Catalog:
    """Return the course that the person stands in."""
    try:
        catalog = Catalog.find(Path.cwd())
    except OSError as error:
        end(f"The course cannot be read: {error.strerror or error}.", EXIT_ENVIRONMENT)
    if catalog is None:
        end("There are no katas here. Go to the folder of the course.", EXIT_ENVIRONMENT)
    return catalog


def named(name: str) -> Kata:
    """Return the kata that a person named, or end with suggestions."""
    try:
        return course().named(name)
    except UnknownKataError as error:
        end(str(error), EXIT_USAGE)


def named_or_current(name: str | None) -> Kata:
    """Return the kata that was named; without a name, the first that was not passed yet."""
    if name is not None:
        return named(name)
    current = first_open()
    if current is None:
        end("Every kata is passed. Name the one you mean: `kata check 1`.", EXIT_USAGE)
    return current


def first_open() -> Kata | None:
    """Return the first kata that was not passed yet, if there is one."""
    catalog = course()
    progress = progress_of(catalog)
    done = progress.all()
    tell(progress)
    return next((kata for kata in catalog if not is_passed(done.get(kata.name))), None)


def is_passed(entry: object) -> bool:
    """Tell whether an entry of the progress says that its kata was passed."""
    return bool(getattr(entry, "passed", False))


def progress_of(catalog: Catalog) -> Progress:
    """Return the progress of a course."""
    from fastapi_katas.progress import Progress  # not needed before a check runs

    return Progress(catalog.root)


def tell(progress: Progress) -> None:
    """Say on standard error what the person must know about the file of progress."""
    for notice in progress.notices:
        sys.stderr.write(f"{notice}\n")
    progress.notices.clear()


def make_face(*, plain: bool = False) -> Face:
    """Return the face that writes to standard output."""
    from fastapi_katas.render import Face  # not needed before a check runs

    return Face(plain=plain)
