"""The words of a verdict that all its faces share."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi_katas.checker.verdict import Outcome, State, Verdict
    from fastapi_katas.coach import Advice

STATE_WORDS: dict[State, str] = {
    "passed": "PASSED",
    "red": "RED",
    "hang": "HANGS",
    "fault": "CANNOT BE USED",
    "environment": "CANNOT BE CHECKED",
}
OUTCOME_WORDS: dict[Outcome, str] = {"passed": "green", "failed": "red", "skipped": "skipped"}

_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours and movements
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # titles and links
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)


def kata_name(verdict: Verdict) -> str:
    """Return the number and the title."""
    return f"kata {verdict.number:02d}, {verdict.title}"


def count(verdict: Verdict) -> str:
    """Say how many tests are green or red; empty if the tests did not run to their end."""
    total = len(verdict.results)
    if verdict.state == "passed":
        return f"all {total} tests are green"
    if verdict.state != "red":
        return ""
    goals = [result for result in verdict.results if result.kind == "goal"]
    reached = sum(result.outcome == "passed" for result in goals)
    return (
        f"{len(verdict.red)} of {total} tests are red; {reached} of {len(goals)} goals reached"
    )


def what_next(verdict: Verdict, advice: Advice) -> str:
    """Say what to do next; empty if there is nothing to say."""
    number = verdict.number
    if verdict.passed and verdict.target == "fix":
        return f"Next: `kata solution {number}` to compare, then `kata next`."
    if advice.hint is not None:
        does = "asks a question" if advice.hint.level == 1 else "says more"
        return f"Next: `kata hint {number}` {does} about the first red test."
    if verdict.state == "red" and verdict.target == "fix":
        return f"Next: change {relative(Path(verdict.path))}, then run the check again."
    return ""


def relative(path: Path) -> str:
    """Return a path below the current folder in its short form, another one whole."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def shortened(output: str, lines: int = 20) -> str:
    """Return what a module printed, cut in the middle.

    Args:
        output: The text. It must not steer the terminal, nor colour a pipe.
        lines: How many lines are kept.
    """
    kept = _CONTROL.sub("", output).rstrip().splitlines()
    if len(kept) > lines:
        cut = len(kept) - lines
        kept = [*kept[: lines // 2], f"[… {cut} lines left out …]", *kept[-lines // 2 :]]
    return "\n".join(line[:500] for line in kept)
