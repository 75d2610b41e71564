"""The promises about the code of the solutions: ``mypy --strict`` and ruff find nothing."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from fastapi_katas.catalog.kata import Kata
from fastapi_katas.files import copy_whole
from fastapi_katas.selfcheck.promise import BrokenPromise

_TOOLS = ("mypy", "ruff")


def broken_code(katas: Sequence[Kata]) -> Iterator[BrokenPromise]:
    """Run mypy and ruff on the solutions.

    Args:
        katas: The katas.

    Yields:
        One broken promise per finding, and one per solution if a tool is not installed or does
        not run: what was not looked at is not proved.
    """
    katas = [kata for kata in katas if kata.good.exists()]
    for tool in _TOOLS if katas else ():
        if importlib.util.find_spec(tool) is None:
            yield from _not_looked_at(katas, tool, "it is not installed")
        else:
            yield from (_mypy if tool == "mypy" else _ruff)(katas)


def _mypy(katas: Sequence[Kata]) -> Iterator[BrokenPromise]:
    # All references are called ``good``; under names of their own, one run can look at all.
    by_name = {kata.name: kata for kata in katas}
    with tempfile.TemporaryDirectory(prefix="kata-types-") as folder:
        for kata in katas:
            copy_whole(kata.good, Path(folder, kata.name + kata.good.suffix))
        cache = f"--cache-dir={katas[0].root / '.mypy_cache'}"
        finished = _run(
            folder, "mypy", "--strict", "--no-error-summary", "--config-file=", cache, "."
        )
    for line in finished.stdout.splitlines():
        if match := re.match(r"(\w+)(.*?):(\d+): error: (.+)", line):
            kata = by_name[match[1]]
            place = f"{match[2].removeprefix('.py').lstrip('/')} line {match[3]}".strip()
            yield _finding(kata, f"mypy, {place}: {match[4]}")
    if finished.returncode not in {0, 1}:
        yield from _not_looked_at(katas, "mypy", finished.stderr or finished.stdout)


def _ruff(katas: Sequence[Kata]) -> Iterator[BrokenPromise]:
    by_path = {kata.good.resolve(): kata for kata in katas}
    options = ("check", "--output-format=concise", "--quiet", "--no-cache")
    finished = _run(katas[0].root, "ruff", *options, *map(str, by_path))
    for line in finished.stdout.splitlines():
        if match := re.match(r"(.+?):(\d+):\d+: (.+)", line):
            path = (katas[0].root / match[1]).resolve()
            kata = next(by_path[own] for own in (path, *path.parents) if own in by_path)
            yield _finding(kata, f"ruff, line {match[2]}: {match[3]}")
    if finished.returncode not in {0, 1}:
        yield from _not_looked_at(katas, "ruff", finished.stderr)


def _run(folder: str | Path, tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", tool, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )


def _finding(kata: Kata, finding: str) -> BrokenPromise:
    return BrokenPromise(kata.name, "code", kata.good, f"{finding}. Mend it.")


def _not_looked_at(katas: Sequence[Kata], tool: str, why: str) -> Iterator[BrokenPromise]:
    for kata in katas:
        problem = f"{tool} did not look at this file ({why.strip()[:300]}). Mend that first."
        yield BrokenPromise(kata.name, "code", kata.good, problem)
