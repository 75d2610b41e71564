"""The face of a verdict for programs: JSON.

The format is described in ``docs/reference/verdict-json.md``; ``SCHEMA_VERSION`` of the verdict is
its version.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from fastapi_katas.checker.verdict import Verdict
from fastapi_katas.coach import Advice


@dataclass(frozen=True, slots=True)
class AdviceData:
    """What to say next.

    Attributes:
        test: The test to look at next; null if no test is red.
        hint_level: The level of the hint that `kata hint` would give; null if none is due.
        near_miss: One sentence about a well-known wrong repair that fails in just this way; null
            if it is none.
    """

    test: str | None
    hint_level: int | None
    near_miss: str | None


@dataclass(frozen=True, slots=True)
class Extras:
    """What `kata check --json` adds to the verdict.

    Attributes:
        advice: What to say next.
        exit_code: The exit code of the command: 0 passed, 1 red, 3 environment, 4 fault or hang.
        notices: What the learner must be told besides, one sentence each.
    """

    advice: AdviceData
    exit_code: int
    notices: list[str]


def as_json(verdict: Verdict, advice: Advice, notices: list[str]) -> str:
    """Render a verdict as JSON.

    Args:
        verdict: The verdict.
        advice: What to say next.
        notices: What the learner must be told besides.
    """
    told = AdviceData(
        test=advice.focus.name if advice.focus else None,
        hint_level=advice.hint.level if advice.hint else None,
        near_miss=advice.near_miss or None,
    )
    data = verdict.as_dict() | asdict(Extras(told, verdict.exit_code, notices))
    return json.dumps(data, indent=2, ensure_ascii=False, default=str)
