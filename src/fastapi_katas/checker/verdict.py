"""The verdict on one module: plain data, the one thing that every face renders."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from fastapi_katas.exit_codes import (
    EXIT_ENVIRONMENT,
    EXIT_INTERRUPTED,
    EXIT_MODULE,
    EXIT_PASSED,
    EXIT_RED,
    EXIT_USAGE,
)

__all__ = [
    "EXIT_ENVIRONMENT", "EXIT_INTERRUPTED", "EXIT_MODULE", "EXIT_PASSED", "EXIT_RED", "EXIT_USAGE",
    "SCHEMA_VERSION", "CodePlace", "Fault", "Kind", "LessonData", "Outcome", "State", "TestResult",
    "Verdict",
]

SCHEMA_VERSION = 1

State = Literal["passed", "red", "fault", "hang", "environment"]
Kind = Literal["goal", "guard", ""]
Outcome = Literal["passed", "failed", "skipped"]

_EXIT_CODES: dict[State, int] = {
    "passed": EXIT_PASSED,
    "red": EXIT_RED,
    "environment": EXIT_ENVIRONMENT,
    "fault": EXIT_MODULE,
    "hang": EXIT_MODULE,
}


@dataclass(frozen=True, slots=True)
class CodePlace:
    """A line of the module under test.

    Attributes:
        file: The path of the file.
        line: The line, counted from 1; 0 if there is none.
        code: The text of the line.
    """

    file: str
    line: int
    code: str = ""


@dataclass(frozen=True, slots=True)
class LessonData:
    """What a failed test teaches, as data; ``fastapi_katas.probes.Lesson`` has the same fields.

    Attributes:
        key: A name for what was seen; it stays the same when numbers or words change.
        seen: What was seen in this very run.
        production: What that does in production.
        look: Where to look.
        evidence: What was measured, by name; the names and values differ from lesson to lesson.
        where: The lines of the module that it is about.
    """

    key: str
    seen: str
    production: str
    look: str
    evidence: dict[str, Any]
    where: tuple[CodePlace, ...]


@dataclass(frozen=True, slots=True)
class TestResult:
    """What one test said.

    Attributes:
        name: The name of the test, with its parameters in brackets.
        kind: ``goal`` or ``guard``.
        title: The sentence that the learner reads.
        outcome: ``passed``, ``failed`` or ``skipped``.
        lesson: The lesson, if the test failed with one.
        message: The first words of a failure that is no lesson.
        where: The line of the module that such a failure came from, if one is known.
        details: pytest's own report of the failure.
        events: What happened in the run, in order, if the test has written it down.
    """

    name: str
    kind: Kind
    title: str
    outcome: Outcome
    lesson: LessonData | None = None
    message: str = ""
    where: CodePlace | None = None
    details: str = ""
    events: tuple[str, ...] = ()

    @property
    def function(self) -> str:
        """The name of the test without parameters."""
        return self.name.split("[")[0]


@dataclass(frozen=True, slots=True)
class Fault:
    """Why nothing could be tested, or why the run ended early.

    Attributes:
        kind: One word, for example ``syntax``, ``import``, ``renamed``, ``hang``.
        message: One or two sentences.
        where: The line to look at, if one is known.
        test: The test that was running, if one was.
    """

    kind: str
    message: str
    where: CodePlace | None = None
    test: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the tests of a kata say about one module.

    Attributes:
        number: The number of the kata.
        name: The name of its folder.
        title: Its title.
        target: ``bad``, ``fix``, ``good`` or the path that was asked for.
        path: The path of the module that was checked.
        state: ``passed``, ``red``, ``fault`` (the module cannot be used), ``hang``, or
            ``environment`` (the installation or the kata's own files are at fault).
        results: The tests that ran, in the order of the file.
        fault: What is wrong, unless the state is ``passed`` or ``red``.
        warnings: Warnings of Python that were not expected by a test.
        output: What the module printed; a long output is cut in the middle.
        report: pytest's own report, if it was asked for.
        schema: The version of this format; it is 1.
    """

    number: int
    name: str
    title: str
    target: str
    path: str
    state: State
    results: tuple[TestResult, ...] = ()
    fault: Fault | None = None
    warnings: tuple[str, ...] = ()
    output: str = ""
    report: str = ""
    schema: int = field(default=SCHEMA_VERSION, init=False)

    @property
    def exit_code(self) -> int:
        """The exit code that a command ends with."""
        return _EXIT_CODES[self.state]

    @property
    def passed(self) -> bool:
        """Whether every test is green."""
        return self.state == "passed"

    @property
    def red(self) -> tuple[TestResult, ...]:
        """The failed tests."""
        return tuple(result for result in self.results if result.outcome == "failed")

    @property
    def first_red(self) -> TestResult | None:
        """The test to look at next: the first red goal, else the first red guard."""
        red = self.red
        return next((result for result in red if result.kind == "goal"), red[0] if red else None)

    def pattern(self) -> dict[str, str]:
        """What this verdict looks like: each red test, with the key of its lesson."""
        return {
            result.name: result.lesson.key if result.lesson else "no-lesson" for result in self.red
        }

    def as_dict(self) -> dict[str, Any]:
        """Return the verdict as JSON-ready data."""
        return asdict(self)
