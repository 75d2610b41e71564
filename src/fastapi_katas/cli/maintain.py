"""``kata self-check`` and ``kata new``: for those who write katas."""

from __future__ import annotations

from typing import Annotated

import typer

from fastapi_katas.catalog.errors import CatalogError
from fastapi_katas.checker.verdict import EXIT_INTERRUPTED, EXIT_PASSED, EXIT_RED, EXIT_USAGE
from fastapi_katas.cli.context import Plain, course, end, make_face, named
from fastapi_katas.waiting import StatusLine


def self_check(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[N]...", help="Katas; without any, all.")
    ] = None,
    repeat: Annotated[int, typer.Option(min=1, help="Run everything this many times.")] = 1,
    under_load: Annotated[
        bool, typer.Option("--under-load", help="Run beside busy processes, one per core.")
    ] = False,
    write_patterns: Annotated[
        bool, typer.Option("--write-patterns", help="Save how each near-miss fails.")
    ] = False,
    plain: Plain = False,
) -> None:
    """Prove the promises that every kata makes."""
    from fastapi_katas.selfcheck import SelfCheck  # only this verb needs it

    katas = [named(name) for name in names] if names else list(course())
    face = make_face(plain=plain)
    line = StatusLine(plain=plain)

    def say(text: str) -> None:
        line.clear()
        face.say(text)

    try:
        outcome = SelfCheck(
            katas, repeat=repeat, under_load=under_load, write_patterns=write_patterns
        ).run(progress=say, status=line.show)
    except KeyboardInterrupt:
        line.clear()
        end("Interrupted.", EXIT_INTERRUPTED)
    finally:
        line.clear()
    for promise in outcome.broken:
        face.say()
        face.error(str(promise))
    face.say()
    face.say(outcome.summary(), "bold green" if outcome.ok else "bold red")
    raise typer.Exit(EXIT_PASSED if outcome.ok else EXIT_RED)


def new(
    number: Annotated[int, typer.Argument(min=1, max=99, help="The number of the new kata.")],
    slug: Annotated[str, typer.Argument(help="Its short name, for example late_commit.")],
) -> None:
    """Make the skeleton of a kata."""
    from fastapi_katas.selfcheck.skeleton import make_skeleton

    try:
        paths = make_skeleton(course(), number, slug)
    except CatalogError as error:
        end(str(error), EXIT_USAGE)
    for path in paths:
        typer.echo(path)
    typer.echo(f"Fill them in, then run `kata self-check {number}`: it says what is missing.")
