"""What a check of the learner's own copy leaves behind: an entry in the progress, and advice."""

from __future__ import annotations

from fastapi_katas import workspace
from fastapi_katas.catalog.kata import Kata
from fastapi_katas.checker.verdict import Verdict
from fastapi_katas.coach import Advice, advise
from fastapi_katas.progress import Progress


def conclude(kata: Kata, verdict: Verdict, progress: Progress) -> Advice:
    """Record a check, if it was an attempt, and choose what to say next.

    A check is an attempt when the learner's copy differs from BAD and its tests could be run.

    Args:
        kata: The kata.
        verdict: The verdict on it.
        progress: The progress of the course; what cannot be saved is told in its notices.

    Returns:
        The advice.
    """
    touched = verdict.target == "fix" and _is_touched(kata)
    if touched and verdict.state != "environment":
        progress.record_check(kata.name, passed=verdict.passed, first_red=_first_red(verdict))
    return advise(kata, verdict, progress.of(kata.name), touched=touched)


def _is_touched(kata: Kata) -> bool:
    """Whether the copy differs from BAD; one that cannot be read counts as the learner's own."""
    try:
        return not workspace.is_untouched(kata)
    except OSError:
        return True


def _first_red(verdict: Verdict) -> str | None:
    """The test to look at next; empty after a pass, ``None`` if the tests did not say."""
    if verdict.first_red is not None:
        return verdict.first_red.function
    return "" if verdict.passed else None
