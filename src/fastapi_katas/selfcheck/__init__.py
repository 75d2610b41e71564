"""Self-check: one command that proves the promises of every kata."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from fastapi_katas.catalog.errors import CatalogError
from fastapi_katas.catalog.kata import Kata
from fastapi_katas.checker import Runner, Verdict, check, warm_runner
from fastapi_katas.coach import write_patterns
from fastapi_katas.selfcheck.deeds import (
    Trial,
    broken_by,
    broken_patterns,
    canned,
    trials,
)
from fastapi_katas.selfcheck.load import busy_processes
from fastapi_katas.selfcheck.promise import BrokenPromise
from fastapi_katas.selfcheck.quality import broken_code
from fastapi_katas.selfcheck.words import broken_words

__all__ = ["BrokenPromise", "Outcome", "SelfCheck"]


@dataclass(slots=True)
class Outcome:
    """What a self-check found.

    Attributes:
        katas: How many katas were looked at.
        runs: How many runs were made.
        broken: The broken promises.
        flips: Runs whose verdict was not that of the first run of the same module.
    """

    katas: int = 0
    runs: int = 0
    broken: list[BrokenPromise] = field(default_factory=list)
    flips: int = 0

    @property
    def ok(self) -> bool:
        """Whether every promise is kept."""
        return not self.broken

    def summary(self) -> str:
        """Say it in one line."""
        return (
            f"{self.katas} katas, {self.runs} runs: "
            f"{len(self.broken)} broken promises, {self.flips} flips."
        )


@dataclass(slots=True)
class SelfCheck:
    """Proves the promises of some katas.

    Attributes:
        katas: The katas.
        repeat: How many times every run is made; verdicts that differ are flips.
        under_load: Whether busy processes run beside it.
        write_patterns: Whether the patterns of the near-misses are saved.
        code: Whether mypy and ruff look at the solutions too.
        patterns: Whether the patterns of the near-misses are compared with the saved ones. Those
            are of runs without a server; on another database a wrong repair may fail in other
            tests as well.
        runners: The processes to use, one per run at the same time; warm ones, two per core, if
            none are given. A run waits about as long as it computes.
    """

    katas: Sequence[Kata]
    repeat: int = 1
    under_load: bool = False
    write_patterns: bool = False
    code: bool = True
    patterns: bool = True
    runners: Sequence[Runner] = ()

    def run(
        self,
        progress: Callable[[str], None] = lambda _: None,
        status: Callable[[str], None] = lambda _: None,
    ) -> Outcome:
        """Read, run and compare everything.

        Args:
            progress: Called with one line after each round.
            status: Called with a short text, after each run and from any thread: how far it is.

        Returns:
            What was found.
        """
        outcome = Outcome(katas=len(self.katas))
        for kata in self.katas:
            outcome.broken += broken_words(kata)
        planned = [trial for kata in self.katas for trial in trials(kata)]
        first: dict[Trial, Verdict] = {}
        seconds: dict[Trial, float] = {}
        with ExitStack() as stack:
            runners = self.runners or [
                stack.enter_context(warm_runner()) for _ in range(2 * (os.cpu_count() or 1))
            ]
            if self.under_load:
                stack.enter_context(busy_processes())
            for number in range(1, self.repeat + 1):
                # The longest first: then no runner is left with one of them at the end.
                order = sorted(planned, key=lambda trial: -seconds.get(trial, 0.0))
                label = f"Round {number} of {self.repeat}"
                verdicts, seconds = _round(order, runners, status, label)
                outcome.runs += len(verdicts)
                if number == 1:
                    first = verdicts
                flips = Counter(
                    trial for trial in planned if _shape(verdicts[trial]) != _shape(first[trial])
                )
                for trial in flips:
                    outcome.flips += 1
                    flip = _flip(trial, number, first[trial], verdicts[trial])
                    outcome.broken.append(flip)
                    progress(flip.problem)  # hours may pass before the end
                progress(
                    f"Round {number} of {self.repeat}: {len(verdicts)} runs, {len(flips)} flips."
                )
        for kata in self.katas:
            outcome.broken += self._judge(kata, first)
        if self.code:
            status("Reading the solutions with mypy and ruff.")
            outcome.broken += broken_code(self.katas)
        return outcome

    def _judge(self, kata: Kata, verdicts: dict[Trial, Verdict]) -> list[BrokenPromise]:
        own = {trial: verdict for trial, verdict in verdicts.items() if trial.kata is kata}
        broken = [problem for trial, seen in own.items() for problem in broken_by(trial, seen)]
        by_role = {trial.role: verdict for trial, verdict in own.items()}
        if "bad" in by_role:
            broken += canned(by_role["bad"], by_role["sabotage"], kata)
        patterns = {
            trial.path.stem: verdict.pattern()
            for trial, verdict in own.items()
            if trial.role == "near-miss" and verdict.state == "red"
        }
        # A run that came to nothing must not wipe out what an earlier one saw.
        if self.write_patterns and not any(promise.code == "not-run" for promise in broken):
            write_patterns(kata, patterns)
        if not self.patterns:
            return broken
        with suppress(CatalogError):  # told by the reading of the words
            broken += broken_patterns(kata, patterns)
        return broken


def _round(
    planned: Sequence[Trial],
    runners: Sequence[Runner],
    status: Callable[[str], None],
    label: str,
) -> tuple[dict[Trial, Verdict], dict[Trial, float]]:
    """Make every run once, as many at the same time as there are runners.

    Returns:
        The verdicts, and how many seconds each run took.
    """
    waiting: queue.SimpleQueue[Trial] = queue.SimpleQueue()
    for trial in planned:
        waiting.put(trial)
    verdicts: dict[Trial, Verdict] = {}
    seconds: dict[Trial, float] = {}
    errors: list[BaseException] = []

    def work(runner: Runner) -> None:
        try:
            while not errors:
                trial = waiting.get_nowait()
                sabotage = trial.role == "sabotage"
                start = time.monotonic()
                verdicts[trial] = check(trial.kata, trial.target, runner, sabotage=sabotage)
                seconds[trial] = time.monotonic() - start
                status(f"{label}: {len(verdicts)} of {len(planned)} runs.")
        except queue.Empty:
            return
        except BaseException as error:  # noqa: BLE001 - raised again by the caller's thread
            errors.append(error)

    threads = [threading.Thread(target=work, args=(runner,), daemon=True) for runner in runners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return verdicts, seconds


def _shape(verdict: Verdict) -> tuple[str, tuple[tuple[str, str], ...]]:
    return verdict.state, tuple(sorted(verdict.pattern().items()))


def _flip(trial: Trial, number: int, first: Verdict, now: Verdict) -> BrokenPromise:
    problem = (
        f"Run {number} of {trial.label} gave {_shape(now)}, the first run gave {_shape(first)}: "
        "find what the test leaves to chance."
    )
    return BrokenPromise(trial.kata.name, "flip", trial.kata.tests_file, problem)
