"""The promises that can be proved only by running: BAD, its sabotage, GOOD and the bank."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fastapi_katas.catalog.errors import CatalogError
from fastapi_katas.catalog.kata import Kata
from fastapi_katas.checker.verdict import Verdict
from fastapi_katas.coach import patterns_path, read_patterns
from fastapi_katas.selfcheck.promise import BrokenPromise

Role = Literal["bad", "sabotage", "good", "alternative", "near-miss"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One run that self-check makes.

    Attributes:
        kata: The kata.
        role: What the module is to the kata.
        target: What the checker gets.
        path: The module.
        named: For a near-miss, the tests that must reject it.
    """

    kata: Kata
    role: Role
    target: str
    path: Path
    named: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The trial in a few words."""
        extra = f" {self.path.stem}" if self.role in {"alternative", "near-miss"} else ""
        return f"{self.kata.label} {self.role}{extra}"


def trials(kata: Kata) -> list[Trial]:
    """List the runs that prove the promises of a kata. What cannot be read is left out."""
    found = [
        Trial(kata, "bad", "bad", kata.bad),
        Trial(kata, "sabotage", "bad", kata.bad),
        Trial(kata, "good", "good", kata.good),
    ]
    try:
        found += [Trial(kata, "alternative", str(a.path), a.path) for a in kata.alternatives]
        found += [
            Trial(kata, "near-miss", str(miss.path), miss.path, miss.rejected_by)
            for miss in kata.near_misses
        ]
    except CatalogError:
        # Told by the reading of the words; what can be run is run.
        pass
    return [trial for trial in found if trial.path.exists()]


def broken_by(trial: Trial, verdict: Verdict) -> Iterator[BrokenPromise]:
    """Compare what one run showed with what was promised.

    Args:
        trial: The run.
        verdict: What it showed.

    Yields:
        The promises that it breaks.
    """
    judge = {
        "bad": _bad, "sabotage": _sabotage, "good": _right, "alternative": _right,
        "near-miss": _near_miss,
    }[trial.role]  # fmt: skip
    for code, file, problem in judge(trial, verdict):
        yield BrokenPromise(trial.kata.name, code, file, problem)


Problem = tuple[str, Path, str]


def _not_run(trial: Trial, verdict: Verdict) -> Problem | None:
    if verdict.fault is None:
        return None
    where = verdict.fault.where
    place = f" at {Path(where.file).name}:{where.line}" if where else ""
    message = verdict.fault.message.replace("\n", " ").rstrip(".")
    at_fault = trial.kata.tests_file if verdict.state == "environment" else trial.path
    return (
        "not-run",
        at_fault,
        f"The run of {trial.label} came to nothing{place}: {message}. Mend it.",
    )


def _bad(trial: Trial, verdict: Verdict) -> Iterator[Problem]:
    tests = trial.kata.tests_file
    if unusable := _not_run(trial, verdict):
        yield unusable
        return
    for result in verdict.results:
        if result.kind == "goal" and result.outcome == "passed":
            problem = f"{result.name} is already green on BAD: make it see the fault, or drop it."
            yield "already-green", tests, problem
        elif result.kind == "goal" and result.lesson is None:
            problem = (
                f"{result.name} fails on BAD without a lesson ({result.message}): "
                "look at that first, and raise lesson(...) with what was seen."
            )
            yield "stray-exception", tests, problem
        elif result.kind == "guard" and result.outcome != "passed":
            told = result.lesson.seen if result.lesson else result.message
            problem = f"The guard {result.name} is red on BAD ({told}): mend it, or make it a goal."
            yield "red-guard", tests, problem


def _sabotage(trial: Trial, verdict: Verdict) -> Iterator[Problem]:
    if verdict.fault is not None:
        return  # told for BAD itself
    for result in verdict.results:
        if result.outcome == "passed":
            problem = (
                f"{result.name} stays green while every request and every function of the module "
                "crashes: it looks at nothing. Let it look at the answer first."
            )
            yield "looks-at-nothing", trial.kata.tests_file, problem


def canned(bad: Verdict, sabotage: Verdict, kata: Kata) -> Iterator[BrokenPromise]:
    """Find lessons that read the same for BAD as for a module that only crashes.

    Args:
        bad: The verdict on BAD.
        sabotage: The verdict on the sabotaged BAD.
        kata: The kata.
    """
    crashed = {result.name: result.lesson for result in sabotage.results}
    for result in bad.results:
        other = crashed.get(result.name)
        if result.lesson is not None and other is not None and result.lesson.seen == other.seen:
            problem = (
                f"The lesson of {result.name} reads the same when every request crashes: it does "
                "not come from the run. Look at the answer first, and show what was measured."
            )
            yield BrokenPromise(kata.name, "canned-lesson", kata.tests_file, problem)


def _right(trial: Trial, verdict: Verdict) -> Iterator[Problem]:
    if unusable := _not_run(trial, verdict):
        yield unusable
        return
    for result in verdict.red:
        told = result.lesson.seen if result.lesson else result.message
        where = "the test is too narrow, or the module is wrong"
        problem = f"{result.name} rejects the {trial.role} {trial.path.stem} ({told}): {where}."
        yield f"rejected-{trial.role}", trial.path, problem
    for warning in dict.fromkeys(verdict.warnings):
        yield "warning", trial.path, f"Python warns about the {trial.role}: {warning}. Mend it."
    if verdict.output.strip():
        problem = f"The {trial.role} prints ({verdict.output.strip()[:80]!r}): take it out."
        yield "prints", trial.path, problem


def _near_miss(trial: Trial, verdict: Verdict) -> Iterator[Problem]:
    if unusable := _not_run(trial, verdict):
        yield unusable
        return
    red = {result.function for result in verdict.red}
    if not red:
        problem = "Every test accepts this wrong repair: write the test that rejects it."
        yield "accepted-near-miss", trial.path, problem
        return
    for test in trial.named:
        if test not in red:
            problem = (
                f"`Rejected by:` names {test}, which accepts it; red are {', '.join(sorted(red))}. "
                "Mend the test or the head."
            )
            yield "accepted-near-miss", trial.path, problem


def broken_patterns(kata: Kata, patterns: dict[str, dict[str, str]]) -> Iterator[BrokenPromise]:
    """Check that coaching can tell the near-misses apart, and knows how they fail today.

    Args:
        kata: The kata.
        patterns: How each near-miss failed in this run.
    """
    sentences: dict[str, set[str]] = {}
    names: dict[str, list[str]] = {}
    for near_miss in kata.near_misses:
        if near_miss.name in patterns:
            shape = str(sorted(patterns[near_miss.name].items()))
            sentences.setdefault(shape, set()).add(near_miss.coach)
            names.setdefault(shape, []).append(near_miss.name)
    for shape, said in sentences.items():
        if len(said) > 1:
            problem = (
                f"The near-misses {', '.join(names[shape])} fail alike but are coached "
                "differently: write a test that tells them apart, or give them one shared "
                "`Coach:` sentence."
            )
            folder = kata.bank / "near_misses"
            yield BrokenPromise(kata.name, "same-pattern", folder, problem)
    if read_patterns(kata) != patterns:
        problem = (
            "The saved patterns of the near-misses are not those of this run: look why, then "
            f"`kata self-check {kata.number} --write-patterns` saves them."
        )
        yield BrokenPromise(kata.name, "patterns", patterns_path(kata), problem)
