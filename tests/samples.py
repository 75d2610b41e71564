"""Verdicts for the tests of their faces: one of each kind, made of fixed words."""

from __future__ import annotations

from fastapi_katas.catalog.hints import Hint
from fastapi_katas.checker import verdict as data
from fastapi_katas.checker.verdict import CodePlace, Fault, LessonData, State, Verdict
from fastapi_katas.coach import Advice

FIX = "/course/katas/kata_07_late_parcel/fix.py"
WAITING = LessonData(
    key="waits-in-turn",
    seen="Twelve parcels were asked for one after the other: the carrier saw 1 enquiry at a time, "
    "and `track` was called 12 times.",
    production="A customer with twelve parcels waits twelve times as long as one with a single "
    "parcel, and the page times out on the day of the sale.",
    look="Which of these answers does the next question need?",
    evidence={"most_at_once": 1, "calls": 12, "order": ["P-1", "P-2"]},
    where=(
        CodePlace(FIX, 41, "        answers.append(await track(parcel))"),
        CodePlace("/course/katas/kata_07_late_parcel/helpers.py", 0, ""),
    ),
)
TOGETHER = data.TestResult(
    "test_parcels_are_asked_for_together", "goal", "Parcels are asked for together.", "failed",
    WAITING, details="E   Lesson: waits-in-turn",
)  # fmt: skip
UNKNOWN = data.TestResult(
    "test_unknown_parcel_is_404[P-9]", "goal", "An unknown parcel is 404 | never 500.", "failed",
    message="KeyError: 'P-9' <in *track*>", where=CodePlace(FIX, 44, "return found[parcel]"),
    details="E   KeyError: 'P-9'",
)  # fmt: skip
ORDER = data.TestResult("test_order_stays", "guard", "The order of the request stays.", "passed")
SLOW = data.TestResult("test_slow", "guard", "A slow carrier is waited for.", "skipped")
HINT = Hint(2, "Where the waits meet", ("test_parcels_are_asked_for_together",), "See above.")
NEAR_MISS = (
    "You start all enquiries and then await them in turn. They do overlap, but the first failure "
    "leaves the others running."
)


def verdict(state: State, results: tuple[data.TestResult, ...], **more: object) -> Verdict:
    """A verdict on the learner's copy."""
    return Verdict(7, "kata_07_late_parcel", "The late parcel", "fix", FIX, state, results, **more)  # type: ignore[arg-type]


_RED = (TOGETHER, UNKNOWN, ORDER, SLOW)
_LINE = CodePlace(FIX, 41, "    while not ready: pass")

#: One of each kind: the verdict, and what is said next.
SAMPLES: dict[str, tuple[Verdict, Advice]] = {
    "red": (verdict("red", _RED), Advice(TOGETHER)),
    "red-with-advice": (
        verdict(
            "red", _RED,
            warnings=("RuntimeWarning: coroutine 'track' was never awaited (fix.py:41)",) * 2,
            output="asked P-1\n\x1b[31masked P-2\x1b[0m\n```\n",
        ),
        Advice(TOGETHER, HINT, NEAR_MISS),
    ),
    "passed": (
        verdict("passed", tuple(
            data.TestResult(result.name, result.kind, result.title, "passed") for result in _RED
        )),
        Advice(),
    ),
    "hang": (
        verdict("hang", (ORDER,), fault=Fault(
            "hang", "The run stood still for 20 seconds and was ended.", _LINE, "test_slow"
        )),
        Advice(),
    ),
    "fault": (
        verdict("fault", (), fault=Fault(
            "syntax", "This is not Python: '(' was never closed.", CodePlace(FIX, 3, "app = F(")
        )),
        Advice(),
    ),
    "environment": (
        verdict("environment", (), fault=Fault(
            "not-started", "The run did not start (exit code 1).\nNo module named pytest"
        )),
        Advice(),
    ),
}  # fmt: skip
