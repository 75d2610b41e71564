"""The face of a verdict for pages, chats and issues: Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from fastapi_katas.checker.verdict import CodePlace, TestResult, Verdict
from fastapi_katas.coach import Advice
from fastapi_katas.render_words import (
    OUTCOME_WORDS,
    STATE_WORDS,
    count,
    kata_name,
    relative,
    shortened,
    what_next,
)


def as_markdown(
    verdict: Verdict,
    advice: Advice,
    notices: Sequence[str] = (),
    *,
    everything: bool = False,
    level: int = 2,
) -> str:
    """Render a verdict as Markdown.

    Args:
        verdict: The verdict.
        advice: What to say next.
        notices: What the learner must be told besides.
        everything: Whether every lesson is told, not only the first.
        level: The level of its heading.

    Returns:
        The text, with a newline at its end.
    """
    focus = advice.focus
    shown = [focus] if focus else []
    if everything:
        shown += [result for result in verdict.red if result is not focus]
    heading = "#" * level
    blocks = [prose(notice) for notice in notices]
    blocks.append(f"{heading} {STATE_WORDS[verdict.state]}: {prose(kata_name(verdict))}")
    if counted := count(verdict):
        blocks.append(f"{counted[0].upper()}{counted[1:]}.")
    if verdict.fault is not None:
        blocks.append(prose(verdict.fault.message))
        blocks += _places([verdict.fault.where] if verdict.fault.where else [])
        if verdict.fault.test:
            blocks.append(f"The test that was running: {inline_code(verdict.fault.test)}.")
    for result in shown:
        blocks += _failure(result, heading + "#")
    if advice.near_miss:
        blocks.append(f"> {prose(advice.near_miss)}")
    blocks += _table(verdict)
    if verdict.warnings:
        told = "\n".join(f"- {prose(warning)}" for warning in dict.fromkeys(verdict.warnings))
        blocks += ["Python warned:", told]
    if verdict.output.strip():
        blocks += ["The module printed:", fenced(shortened(verdict.output), "text")]
    if told := what_next(verdict, advice):
        blocks.append(prose(told))
    return "\n\n".join(blocks) + "\n"


def _failure(result: TestResult, heading: str) -> Iterator[str]:
    yield f"{heading} {result.kind or 'test'}: {prose(result.title or result.name)}"
    lesson = result.lesson
    if lesson is None:
        yield prose(result.message)
        yield from _places([result.where] if result.where else [])
        return
    yield prose(lesson.seen)
    yield from _places(lesson.where)
    yield f"**In production:** {prose(lesson.production)}"
    yield f"**Look:** {prose(lesson.look)}"


def _places(places: Sequence[CodePlace]) -> Iterator[str]:
    lines = []
    for place in places:
        path = relative(Path(place.file))
        line = f"- {inline_code(f'{path}:{place.line}' if place.line else path)}"
        if place.code.strip():
            line += f": {inline_code(place.code.strip())}"
        lines.append(line)
    if lines:
        yield "\n".join(lines)


def _table(verdict: Verdict) -> Iterator[str]:
    if verdict.passed or not verdict.results:
        return
    lines = ["| state | kind | test |", "|---|---|---|"]
    for result in verdict.results:
        cells = (OUTCOME_WORDS[result.outcome], result.kind, prose(result.title or result.name))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    yield "\n".join(lines)


def prose(text: str) -> str:
    """Return a sentence so that Markdown shows it as it is; code in backticks stays code.

    Args:
        text: One or more lines.
    """
    parts = re.split(r"(`[^`\n]+`)", shortened(text, lines=60))
    for number in range(0, len(parts), 2):
        # An underscore within a word, as in the name of a test, is no emphasis.
        special = r"([\\*<\[`]|(?<![^\W_])_|_(?![^\W_]))"
        parts[number] = re.sub(special, r"\\\1", parts[number])
    beginning = r"^(\s*(?:\d+(?=[.)]))?)([#>+.)-])"
    return re.sub(beginning, r"\1\\\2", "".join(parts), flags=re.MULTILINE)


def inline_code(text: str) -> str:
    """Return a text as code within a line, whatever backticks it holds."""
    text = " ".join(text.split())
    runs = {len(run) for run in re.findall(r"`+", text)}
    mark = next("`" * length for length in range(1, len(text) + 2) if length not in runs)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{mark}{space}{text}{space}{mark}"


def fenced(text: str, language: str) -> str:
    """Return a text as a code block, whatever fences it holds.

    Args:
        text: The text.
        language: The word after the fence.
    """
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"
