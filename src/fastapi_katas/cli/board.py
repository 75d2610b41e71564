"""``kata board``: the whole course at a glance."""

from __future__ import annotations

import textwrap

from fastapi_katas.catalog.errors import CatalogError
from fastapi_katas.catalog.kata import Kata
from fastapi_katas.catalog.page import TRACKS, FrontMatter
from fastapi_katas.cli.context import Plain, course, is_passed, make_face, progress_of, tell
from fastapi_katas.render import Face

_STATES = {"passed": ("✓", "green"), "begun": ("…", "yellow"), "open": (" ", "")}


def board(plain: Plain = False) -> None:
    """Show all katas by track: their state, their minutes, and the next one."""
    catalog = course()
    progress, face = progress_of(catalog), make_face(plain=plain)
    done = progress.all()
    states = {
        kata: "passed" if is_passed(done.get(kata.name)) else
        "begun" if kata.name in done else "open"
        for kata in catalog
    }  # fmt: skip
    following = next((kata for kata in catalog if states[kata] != "passed"), None)
    heads = {kata: _head(kata) for kata in catalog}
    for track in (*TRACKS, None):
        members = [kata for kata, head in heads.items() if (head.track if head else None) == track]
        if members:
            face.say(track or "Pages that cannot be read", "bold")
        for kata in members:
            _row(face, kata, heads[kata], states[kata], chosen=kata is following)
        if members:
            face.say()
    left = [kata for kata in catalog if states[kata] != "passed"]
    minutes = sum(head.minutes for kata in left if (head := heads[kata]))
    face.say(f"{len(catalog) - len(left)} of {len(catalog)} passed; about {minutes} minutes to go.")
    if following is not None:
        face.say(
            f"Next: kata {following.number:02d}, {following.title}. `kata show {following.number}` "
            f"is its page, `kata check {following.number}` runs its tests."
        )
    tell(progress)


def _head(kata: Kata) -> FrontMatter | None:
    try:
        return kata.page.head
    except CatalogError:
        return None  # `kata self-check` says what to mend; the learner needs the list


def _row(
    face: Face, kata: Kata, head: FrontMatter | None, state: str, *, chosen: bool
) -> None:
    symbol, style = _STATES[state]
    minutes = f"{head.minutes} min" if head else ""
    words = f"{state:<7}{kata.number:02d}  {minutes:<8}"
    prefix = f"  {words}" if face.plain else f"  {symbol} {words}"
    title = f"{kata.title} (next)" if chosen else kata.title
    width = max(face.console.width - len(prefix), 20)
    lines = textwrap.wrap(title, width, break_long_words=False, break_on_hyphens=False)
    face.say(prefix + lines[0], f"bold {style}".strip() if chosen else style)
    for line in lines[1:]:
        face.say(line, style, indent=len(prefix))
