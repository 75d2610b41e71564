"""A test that fails here fails with a lesson: what this very run showed, and why it matters."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable
from dataclasses import dataclass

from fastapi_katas.probes.places import Place

Evidence = str | int | float | bool | None | list[str] | list[int] | dict[str, int]

_KEY = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(eq=False)
class Lesson(AssertionError):  # noqa: N818 - it is no error, it teaches
    """The failure of a test, told as evidence. Make one with :func:`lesson`.

    Attributes:
        key: A short stable name of what was observed, for example ``loop-blocked``.
        seen: What this run showed.
        production: What the same thing does in production.
        look: Where to look next; never the cure.
        evidence: The values of this run that ``seen`` was made from.
        where: The lines of the learner's code that were caught in the act.
    """

    key: str
    seen: str
    production: str
    look: str
    evidence: dict[str, Evidence]
    where: tuple[Place, ...]

    def __post_init__(self) -> None:
        super().__init__(str(self))

    def __str__(self) -> str:
        lines = [self.seen]
        lines += [f"  at {place}   {place.code}".rstrip() for place in self.where]
        lines += [f"In production: {self.production}", f"Look: {self.look}"]
        return "\n".join(lines)


def lesson(
    key: str,
    *,
    seen: str,
    production: str,
    look: str,
    where: Place | Iterable[Place | None] | None = None,
    **evidence: Evidence,
) -> Lesson:
    """Make the lesson that a failing test raises.

    A sentence that would read the same whatever happened is no evidence, so ``seen`` must use at
    least one value of this run::

        raise lesson(
            "loop-blocked",
            seen="The event loop made {turns} turns while the request waited.",
            production="Every other request waits too.",
            look="Which call in the handler gives the loop nothing to do?",
            where=held.blocked_at,
            turns=held.turns,
        )

    Args:
        key: A short stable name in kebab case. Coaching compares it between runs.
        seen: A format template; its fields are the names of ``evidence``.
        production: One or two sentences on what this does in production.
        look: Where to look. A question is good; the cure is not.
        where: Lines of the code under test; ``None`` entries and repetitions are left out.
        evidence: The values that were measured in this run.

    Returns:
        The exception to raise.

    Raises:
        ValueError: If the key is not in kebab case, a text is empty, or ``seen`` uses no evidence.
        KeyError: If ``seen`` names a value that is not in the evidence.
    """
    if not _KEY.fullmatch(key):
        msg = f"lesson key {key!r} is not in kebab case"
        raise ValueError(msg)
    for name, text in (("seen", seen), ("production", production), ("look", look)):
        if not text.strip():
            msg = f"lesson {key!r} has an empty {name!r}"
            raise ValueError(msg)
    if not any(field for _, field, _, _ in string.Formatter().parse(seen) if field):
        msg = f"lesson {key!r} shows no evidence: use a value of this run in 'seen'"
        raise ValueError(msg)
    if where is None:
        places: tuple[Place, ...] = ()
    elif isinstance(where, Place):
        places = (where,)
    else:
        places = tuple(dict.fromkeys(place for place in where if place is not None))
    return Lesson(key, seen.format_map(evidence), production, look, dict(evidence), places)


def cut(text: str, length: int = 200) -> str:
    """Shorten a text that would fill the screen, for the evidence of a lesson.

    Args:
        text: The text.
        length: How many characters it may have; the last one is then an ellipsis.

    Returns:
        The text, or its beginning.
    """
    return text if len(text) <= length else text[: length - 1] + "…"
