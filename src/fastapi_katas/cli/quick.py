"""Verbs that only read, and that should answer at once.

``kata list`` is what people type most, between two other things. typer imports pydantic to read
any option, which takes longer than the whole list. So :func:`find` recognises the few command lines
that need no reading; every other one, with its errors and its help, goes through typer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from fastapi_katas.cli.common import course, is_passed, make_face, progress_of, tell


def list_katas(*, plain: bool = False) -> None:
    """List all katas with their state.

    Args:
        plain: Whether colours, symbols and links are left out.
    """
    catalog = course()
    progress, face = progress_of(catalog), make_face(plain=plain)
    done = progress.all()
    for kata in catalog:
        entry = done.get(kata.name)
        state = "passed" if is_passed(entry) else "begun" if entry else ""
        face.say(f"{kata.number:02d}  {state:<7} {kata.title}")
    tell(progress)


def find(words: Sequence[str]) -> Callable[[], None] | None:
    """Return what to do for a command line that needs no reading, or ``None``.

    Args:
        words: The command line after ``kata``.
    """
    match list(words):
        case ["list"]:
            return list_katas
        case ["list", "--plain"]:
            return partial(list_katas, plain=True)
    return None
