"""``kata list`` and ``kata next``: what there is to do."""

from __future__ import annotations

from fastapi_katas import workspace
from fastapi_katas.cli import quick
from fastapi_katas.cli.context import Plain, first_open, make_face


def list_katas(plain: Plain = False) -> None:
    """List all katas with their state."""
    quick.list_katas(plain=plain)


def next_kata(plain: Plain = False) -> None:
    """Show the next kata to do, and make your copy of it."""
    face = make_face(plain=plain)
    kata = first_open()
    if kata is None:
        face.say("Every kata is passed. Well done: you have walked the whole course.")
        return
    face.say(f"Next: kata {kata.number:02d}, {kata.title}.", "bold")
    face.say(f"The page:   {kata.folder / 'README.md'}")
    try:
        face.say(f"Your copy:  {workspace.start(kata).path}")
    except workspace.WorkspaceError as error:
        face.error(str(error))
    face.say(f"Then:       kata check {kata.number}")
