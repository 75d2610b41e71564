"""``kata hint``: the next hint for the first red goal."""

from __future__ import annotations

from typing import Annotated

import typer

from fastapi_katas.catalog.errors import CatalogError
from fastapi_katas.checker.verdict import EXIT_ENVIRONMENT, EXIT_RED
from fastapi_katas.cli.context import (
    KataName,
    Plain,
    course,
    end,
    make_face,
    named_or_current,
    progress_of,
    tell,
)


def hint(
    name: KataName = None,
    level: Annotated[
        int | None, typer.Option(min=1, max=3, help="Show a hint again that you have taken.")
    ] = None,
    plain: Plain = False,
) -> None:
    """Show the next hint for the first red goal of your last check."""
    kata = named_or_current(name)
    progress = progress_of(course())
    entry = progress.of(kata.name)
    number = kata.number
    tell(progress)
    if not entry.attempts:
        end(f"Try first: change {kata.fix}, then run `kata check {number}`.", EXIT_RED)
    test = entry.first_red
    if not test and entry.passed:
        end(f"Nothing is red in {kata.label}. `kata solution {number}` compares.", EXIT_RED)
    if not test:
        end(f"No test has run yet. First mend what `kata check {number}` says.", EXIT_RED)
    try:
        hints = kata.hints_for(test)
    except CatalogError as error:
        end(str(error), EXIT_ENVIRONMENT)
    if not hints:
        end(f"There is no hint for {test}: `kata check {number}` says what it saw.", EXIT_RED)
    taken = entry.hints.get(test, 0)
    wanted = level or taken + 1
    if wanted > taken + 1:
        due = f"`kata hint {number}` gives level {taken + 1}."
        end(f"Take the hints in their order: {due}", EXIT_RED)
    chosen = next((hint for hint in hints if hint.level == wanted), None)
    if chosen is None:
        end(
            f"There is no further hint for this test. `kata hint {number} --level {taken}` shows "
            f"the last one again; `kata solution {number} --spoil` shows a solution.",
            EXIT_RED,
        )
    progress.record_hint(kata.name, test, chosen.level)
    face = make_face(plain=plain)
    face.say(f"Hint {chosen.level} of {len(hints)}: {chosen.title}", "bold")
    face.say(f"For the test {test}.")
    face.say()
    face.markdown(chosen.text)
    tell(progress)
