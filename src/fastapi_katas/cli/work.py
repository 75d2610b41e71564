"""``kata reset``, ``undo`` and ``diff``: the learner's copy."""

from __future__ import annotations

from fastapi_katas import workspace
from fastapi_katas.checker.verdict import EXIT_ENVIRONMENT, EXIT_RED
from fastapi_katas.cli.context import (
    GivenKata,
    KataName,
    Plain,
    end,
    make_face,
    named,
    named_or_current,
)


def reset(name: GivenKata, plain: Plain = False) -> None:
    """Begin a kata again; your copy is kept as a backup."""
    kata = named(name)
    try:
        backup = workspace.reset(kata)
    except workspace.WorkspaceError as error:
        end(str(error), EXIT_ENVIRONMENT)
    face = make_face(plain=plain)
    face.say(f"{kata.fix} is BAD again.")
    if backup is not None:
        face.say(f"What it held is kept in {backup}.")
        face.say(f"`kata undo {kata.number}` brings it back.")


def undo(name: GivenKata, plain: Plain = False) -> None:
    """Bring back what the last reset took away; again for the one before."""
    kata = named(name)
    try:
        backup = workspace.undo(kata)
    except workspace.WorkspaceError as error:
        end(str(error), EXIT_RED)
    face = make_face(plain=plain)
    face.say(f"{kata.fix} holds again what it held before the reset of {backup.name[:19]} (UTC).")


def diff(name: KataName = None, plain: Plain = False) -> None:
    """Show what you changed."""
    kata = named_or_current(name)
    face = make_face(plain=plain)
    if not kata.fix.exists():
        end(f"You have no copy of {kata.label} yet: `kata check {kata.number}` makes it.", EXIT_RED)
    text = workspace.difference(kata)
    if text:
        face.code(text, "diff")
    else:
        face.say(f"{kata.fix.name} is still the same as {kata.bad.name}.")
