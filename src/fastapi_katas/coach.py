"""What to say next: the first red goal, the hint that is due, the near-miss it looks like."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from fastapi_katas.catalog.errors import CatalogError
from fastapi_katas.catalog.hints import Hint
from fastapi_katas.catalog.kata import Kata
from fastapi_katas.checker.verdict import TestResult, Verdict
from fastapi_katas.progress import KataProgress

PATTERNS_FILE = "patterns.json"


@dataclass(frozen=True, slots=True)
class Advice:
    """What a face may add to a verdict.

    Attributes:
        focus: The test to look at next.
        hint: The next hint for it that was not taken yet.
        near_miss: What the attempt looks like, if it fails just as a known wrong repair does.
    """

    focus: TestResult | None = None
    hint: Hint | None = None
    near_miss: str = ""


def advise(kata: Kata, verdict: Verdict, progress: KataProgress, *, touched: bool) -> Advice:
    """Choose what to say after a check.

    Args:
        kata: The kata.
        verdict: The verdict of this check.
        progress: What the learner did before.
        touched: Whether the module differs from BAD; without an attempt nothing is offered.

    Returns:
        The advice; empty after a pass.
    """
    focus = verdict.first_red
    if focus is None:
        return Advice()
    if not touched:
        return Advice(focus)
    try:
        hint = next_hint(kata, focus.function, progress)
    except CatalogError:
        # A verdict is worth telling without a hint; `kata hint` says which file to mend.
        hint = None
    return Advice(focus, hint, recognise(kata, verdict))


def next_hint(kata: Kata, test: str, progress: KataProgress) -> Hint | None:
    """Return the lowest hint for a test that was not taken yet.

    Args:
        kata: The kata.
        test: The name of the test, without parameters.
        progress: What the learner did before.
    """
    taken = progress.hints.get(test, 0)
    return next((hint for hint in kata.hints_for(test) if hint.level > taken), None)


def recognise(kata: Kata, verdict: Verdict) -> str:
    """Return the sentence of the near-miss that fails in just the same pattern.

    Args:
        kata: The kata.
        verdict: The verdict on the learner's module.

    Returns:
        The sentence, or an empty string: near-misses that fail alike but say different things
        recognise nothing.
    """
    pattern = verdict.pattern()
    if verdict.state != "red":
        return ""
    try:
        known = read_patterns(kata)
        sentences = {
            miss.coach for miss in kata.near_misses if known.get(miss.name) == pattern
        }
    except CatalogError:
        return ""
    return sentences.pop() if len(sentences) == 1 else ""


def read_patterns(kata: Kata) -> dict[str, dict[str, str]]:
    """Read how each near-miss of a kata fails, as ``kata self-check --write-patterns`` saw it."""
    try:
        text = patterns_path(kata).read_text(encoding="utf-8")
        patterns = json.loads(text)
    except (OSError, ValueError):
        return {}
    return patterns if isinstance(patterns, dict) else {}


def write_patterns(kata: Kata, patterns: dict[str, dict[str, str]]) -> None:
    """Write how each near-miss fails."""
    text = json.dumps(patterns, indent=2, sort_keys=True) + "\n"
    patterns_path(kata).write_text(text, encoding="utf-8")


def patterns_path(kata: Kata) -> Path:
    """The file of the patterns of a kata."""
    return kata.bank / PATTERNS_FILE
