"""``kata doctor``: what is wrong around the course, and the command that mends it."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from fastapi_katas.cli.context import Plain, end, make_face
from fastapi_katas.exit_codes import EXIT_ENVIRONMENT, EXIT_PASSED

_STATES = {"fine": ("✓", "green"), "note": ("-", "yellow"), "wrong": ("✗", "bold red")}


def doctor(plain: Plain = False) -> None:
    """Look for what is wrong with the installation; each finding ends with a command."""
    from fastapi_katas.doctor import examine

    face = make_face(plain=plain)
    try:
        found = examine(Path.cwd(), os.environ)
    except OSError as error:
        end(f"The course cannot be read: {error.strerror or error}.", EXIT_ENVIRONMENT)
    for finding in found:
        symbol, style = _STATES[finding.state]
        mark = "" if face.plain else f"{symbol} "
        face.say(f"{mark}{finding.state:<6} {finding.topic}: {finding.text}", style)
        if finding.command:
            face.say(f"Run: {finding.command}", indent=9 if face.plain else 11)
    wrong = sum(finding.state == "wrong" for finding in found)
    face.say()
    if not wrong:
        face.say("Nothing is wrong.")
    else:
        things = "One thing is" if wrong == 1 else f"{wrong} things are"
        face.say(f"{things} wrong. Run the commands above, from the top, then `kata doctor`.")
    raise typer.Exit(EXIT_ENVIRONMENT if wrong else EXIT_PASSED)
