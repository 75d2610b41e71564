"""The parameters that verbs share, and what every verb needs."""

from __future__ import annotations

from typing import Annotated

import typer

from fastapi_katas.cli.common import (
    course,
    end,
    first_open,
    is_passed,
    make_face,
    named,
    named_or_current,
    progress_of,
    tell,
)

__all__ = [
    "GivenKata", "KataName", "Plain", "course", "end", "first_open", "is_passed", "make_face",
    "named", "named_or_current", "progress_of", "tell",
]

KataName = Annotated[
    str | None,
    typer.Argument(metavar="[N]", help="Number or name; without it, the next kata to do."),
]
GivenKata = Annotated[str, typer.Argument(metavar="N", help="Number or name of the kata.")]
Plain = Annotated[bool, typer.Option("--plain", help="No colours, symbols or links.")]
