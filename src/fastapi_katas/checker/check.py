"""Checking one module of one kata: from a job to a verdict."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

from fastapi_katas.catalog.kata import Kata
from fastapi_katas.checker.job import DEFAULT_LIMIT_SECONDS, Job
from fastapi_katas.checker.process import Ending, Runner
from fastapi_katas.checker.verdict import (
    CodePlace,
    Fault,
    LessonData,
    State,
    TestResult,
    Verdict,
)


def check(
    kata: Kata,
    target: str,
    runner: Runner,
    *,
    limit: float = DEFAULT_LIMIT_SECONDS,
    sabotage: bool = False,
    report: bool = False,
) -> Verdict:
    """Run the tests of a kata on one module, in a child process.

    Args:
        kata: The kata.
        target: ``bad``, ``fix``, ``good`` or the path of a module.
        runner: Where the child process comes from.
        limit: Seconds after which a test counts as a hang.
        sabotage: Whether the module is spoilt on purpose; see ``pytest_plugin.sabotage``.
        report: Whether pytest's own report is wanted in the verdict.

    Returns:
        The verdict. Whatever happens in the child becomes part of it.
    """
    named = {"bad": kata.bad, "fix": kata.fix, "good": kata.good}
    path = named.get(target, Path(target)).absolute()
    with tempfile.TemporaryDirectory(prefix="kata-", ignore_cleanup_errors=True) as folder:
        job = Job(
            tests=str(kata.tests_file),
            root=str(kata.root),
            # A path is made whole here: tests may change the working directory.
            target=target if target in named else str(path),
            events=str(Path(folder) / "events.jsonl"),
            limit=limit,
            sabotage=sabotage,
            report=report,
        )
        ending = runner.run(job)
        events = _read_events(Path(job.events))
        stacks = _read_text(job.hang_dump)
    return _Builder(kata, target, path, ending, events, stacks, report=report).verdict()


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _read_events(path: Path) -> list[dict[str, Any]]:
    events = []
    for line in _read_text(path).splitlines():
        try:
            events.append(json.loads(line))
        except ValueError:
            break  # the process ended in the middle of a line
    return events


class _Builder:
    """Puts the events of a child together to a verdict."""

    def __init__(
        self,
        kata: Kata,
        target: str,
        path: Path,
        ending: Ending,
        events: list[dict[str, Any]],
        stacks: str,
        *,
        report: bool,
    ) -> None:
        self._kata = kata
        self._target = target
        self._path = path
        self._ending = ending
        self._events = events
        self._stacks = stacks
        self._report = report

    def verdict(self) -> Verdict:
        results = self._results()
        state, fault = self._outcome(results)
        return Verdict(
            number=self._kata.number,
            name=self._kata.name,
            title=self._kata.title,
            target=self._target,
            path=str(self._path),
            state=state,
            results=tuple(results),
            fault=fault,
            warnings=tuple(event["text"] for event in self._of("warning")),
            output="" if self._report else self._ending.output,
            report=self._ending.output if self._report else "",
        )

    def _of(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self._events if event["event"] == name]

    def _collected(self) -> list[dict[str, Any]]:
        return [test for event in self._of("collected") for test in event["tests"]]

    def _results(self) -> list[TestResult]:
        reports: dict[str, list[dict[str, Any]]] = {}
        for event in self._of("report"):
            reports.setdefault(event["test"], []).append(event)
        results = []
        for test in self._collected():
            phases = reports.get(test["name"])
            if not phases or any("fault" in phase for phase in phases):
                continue
            # The first phase that failed tells why; without one, the call itself.
            told = next((phase for phase in phases if phase["outcome"] == "failed"), phases[0])
            if told["outcome"] == "skipped" and self._faults():
                continue
            results.append(_result(test, told))
        return results

    def _faults(self) -> list[dict[str, Any]]:
        found = [event["fault"] for event in self._of("fault")]
        return found + [event["fault"] for event in self._of("report") if "fault" in event]

    def _outcome(self, results: list[TestResult]) -> tuple[State, Fault | None]:
        hangs = self._of("hang")
        if hangs:
            return "hang", _hang(hangs[0]["limit"], hangs[0]["where"], hangs[0]["test"])
        if faults := self._faults():
            found = faults[0]
            return "fault", Fault(found["kind"], found["message"], _place(found["where"]))
        if self._stacks.strip() or self._ending.killed:
            place, running = self._place_in_stacks(), self._running()
            if place is None and not running:
                return "hang", self._silence()
            return "hang", _hang(0, place, running)
        broken = self._of("broken-tests") + self._of("internal-error")
        if broken:
            message = "The tests of this kata cannot be run; `--verbose` shows why."
            last = broken[0]["details"].strip().splitlines()[-1:]
            message += f" ({last[0].strip()})" if last else ""
            return "environment", Fault("broken-tests", message)
        if not self._of("finished"):
            return self._died()
        if not results:
            code = self._of("finished")[0]["code"]
            tail = " ".join(self._ending.output.strip().splitlines()[-1:])
            message = f"No test ran (pytest ended with {code}). {tail}".strip()
            return "environment", Fault("no-tests", message)
        return ("passed" if all(r.outcome == "passed" for r in results) else "red"), None

    def _died(self) -> tuple[State, Fault]:
        running = self._running()
        if not running and not self._collected():
            tail = "\n".join(self._ending.output.strip().splitlines()[-3:])
            message = f"The run did not start (exit code {self._ending.code}).\n{tail}".strip()
            return "environment", Fault("not-started", message)
        how = f"exit code {self._ending.code}"
        if self._ending.code < 0:
            how = f"signal {-self._ending.code}"
        return "fault", Fault("ended", f"The process ended in the middle ({how}).", test=running)

    def _silence(self) -> Fault:
        # Nobody knows whether the module stands still or the machine is too busy to begin.
        message = (
            "Nothing was heard of the run for a long time, so it was ended. If this machine is "
            f"busy, `kata check {self._kata.number} --limit 100` waits longer."
        )
        return Fault("hang", message)

    def _running(self) -> str:
        done = {event["test"] for event in self._of("report")}
        waiting = [test["name"] for test in self._collected() if test["name"] not in done]
        return waiting[0] if waiting else ""

    def _place_in_stacks(self) -> dict[str, Any] | None:
        for escaped, line in re.findall(r'File "(.+?)", line (\d+)', self._stacks):
            # faulthandler writes what is not ASCII as escapes.
            file = re.sub(
                r"\\(?:x(..)|u(....)|U(........))",
                lambda match: chr(int(match[1] or match[2] or match[3], 16)),
                escaped,
            )
            if Path(file) == self._path or self._path in Path(file).parents:
                lines = _read_text(Path(file)).splitlines()
                code = lines[int(line) - 1].strip() if int(line) <= len(lines) else ""
                return {"file": file, "line": int(line), "code": code}
        return None


def _hang(limit: float, where: dict[str, Any] | None, test: str) -> Fault:
    seconds = f" for {limit:g} seconds" if limit else ""
    message = f"The run stood still{seconds} and was ended."
    return Fault("hang", message, _place(where), test)


def _place(data: dict[str, Any] | None) -> CodePlace | None:
    return CodePlace(data["file"], data["line"], data["code"]) if data else None


def _result(test: dict[str, Any], told: dict[str, Any]) -> TestResult:
    lesson = None
    if found := told.get("lesson"):
        places = tuple(place for data in found["where"] if (place := _place(data)))
        lesson = LessonData(**{**found, "where": places})
    return TestResult(
        name=test["name"],
        kind=test["kind"],
        title=test["title"],
        outcome=told["outcome"],
        lesson=lesson,
        message=told.get("message", ""),
        where=_place(told.get("where")),
        details=told.get("details", ""),
        events=tuple(map(str, told.get("events", ()))),
    )
