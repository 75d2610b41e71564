"""``kata show``: the page of a kata in the terminal."""

from __future__ import annotations

from fastapi_katas.catalog.errors import CatalogError
from fastapi_katas.catalog.page import OUTPUT_MARKER, SEQUENCE_MARKER
from fastapi_katas.cli.context import KataName, Plain, end, make_face, named_or_current
from fastapi_katas.exit_codes import EXIT_ENVIRONMENT

_DIFFICULTY = {1: "easy", 2: "medium", 3: "hard"}


def show(name: KataName = None, plain: Plain = False) -> None:
    """Show the page of a kata: what happened, your task, the law, the traps."""
    kata = named_or_current(name)
    try:
        page = kata.page
    except CatalogError as error:
        end(str(error), EXIT_ENVIRONMENT)
    head, number = page.head, kata.number
    face = make_face(plain=plain)
    face.say(f"Kata {number:02d}: {head.title}", "bold")
    face.say(f"{head.track}, {head.minutes} minutes, {_DIFFICULTY[head.difficulty]}.")
    if head.requires:
        face.say(f"It builds on kata {', '.join(f'{earlier:02d}' for earlier in head.requires)}.")
    face.say()
    # The site shows the output itself; here it is one command away, and then it is the learner's.
    seen = f"`kata check {number} --target bad --all` shows it."
    body = SEQUENCE_MARKER.sub("*The site shows this order as a picture.*", page.body.strip())
    face.markdown(body.replace(OUTPUT_MARKER, seen))
    face.say()
    face.say("References", "bold")
    for reference in head.references:
        face.say(f"{reference.title}: {reference.url}", indent=2)
