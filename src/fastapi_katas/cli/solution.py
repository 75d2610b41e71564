"""``kata solution``: the reference repair, after a pass or on demand."""

from __future__ import annotations

from typing import Annotated

import typer

from fastapi_katas import workspace
from fastapi_katas.checker.verdict import EXIT_ENVIRONMENT, EXIT_RED
from fastapi_katas.cli.context import (
    GivenKata,
    Plain,
    course,
    end,
    make_face,
    named,
    progress_of,
    tell,
)


def solution(
    name: GivenKata,
    spoil: Annotated[bool, typer.Option("--spoil", help="Show it before you have passed.")] = False,
    plain: Plain = False,
) -> None:
    """Compare with the reference solution, once you have passed."""
    kata = named(name)
    progress = progress_of(course())
    passed = progress.of(kata.name).passed
    tell(progress)
    if not spoil and not passed:
        number = kata.number
        end(
            f"You have not passed {kata.label} yet. `kata hint {number}` helps; "
            f"`kata solution {number} --spoil` shows the solution all the same.",
            EXIT_RED,
        )
    try:
        notes = kata.notes_file.read_text(encoding="utf-8")
        change = workspace.difference(kata, against=kata.good)
    except OSError as error:
        end(f"The solution cannot be read: {error.strerror or error}.", EXIT_ENVIRONMENT)
    face = make_face(plain=plain)
    face.say(f"{kata.good}", "bold")
    face.say()
    face.code(change, "diff")
    face.say()
    face.markdown(notes)
