"""A small kata that keeps every promise, for tests that break one of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fastapi_katas.catalog import Catalog, Kata
from fastapi_katas.checker import Runner, warm_runner
from fastapi_katas.selfcheck import BrokenPromise, SelfCheck
from fastapi_katas.selfcheck.words import broken_words

PAGE = """\
---
title: The wrong sum
law: A sum is the sum of its parts.
track: Async hygiene
minutes: 10
difficulty: 1
rules: [A1, A2, A3, A9, A11]
requires: []
needs: []
references:
  - title: "FastAPI: First steps"
    url: https://fastapi.tiangolo.com/tutorial/first-steps/
---

## What happened

The till gives too much change.

## What you see

<!-- output: bad -->

## Your task

Repair the sum. The name `app` stays.

## The law

**A sum is the sum of its parts.**

## Traps

- A sum of small numbers may be right by luck.

## Going further

- Try three numbers.
"""

HINTS = """\
# Hints

## Level 1: What is three and four?
For: test_sum_is_right

Compare the answer with your own.

## Level 2: The operator
For: test_sum_is_right

See [First steps](https://fastapi.tiangolo.com/tutorial/first-steps/).

## Level 3: The change in words
For: test_sum_is_right

Add instead of subtract.
"""

TESTS = '''\
"""The till adds."""

import httpx
import pytest

from fastapi_katas.probes import expect_status, lesson


@pytest.mark.goal
async def test_sum_is_right(client: httpx.AsyncClient) -> None:
    """The sum of two numbers is right."""
    for first, second in ((2, 2), (3, 4), (0, -5), (10, 10)):
        response = await client.get(f"/sum?a={first}&b={second}")
        expect_status(response, 200, because="two numbers have a sum")
        if response.json() != first + second:
            raise lesson(
                f"wrong-sum-{first}",
                seen="{first} and {second} gave {answer}.",
                production="The till gives too much change.",
                look="Read the endpoint.",
                first=first,
                second=second,
                answer=response.json(),
            )


@pytest.mark.guard
async def test_health_answers(client: httpx.AsyncClient) -> None:
    """The health check answers."""
    response = await client.get("/health")
    expect_status(response, 200, because="the service is up")
'''

MODULE = '''\
"""The till."""

from fastapi import FastAPI

app = FastAPI()


@app.get("/health")
async def health() -> str:
    return "ok"


@app.get("/sum")
async def add(a: int, b: int) -> int:
    return {expression}
'''

NOTES = """\
## Why it works

It adds.

## Trade-offs

None.

## Other right ways

Count on fingers.

## What older guides say

Nothing.
"""

NEAR_MISS = '''\
"""Near-miss: {title}.

Rejected by: test_sum_is_right
Coach: {coach}
Why: It is quick.
"""
'''

ALTERNATIVE = '''\
"""Alternative: {title}.

Right because: It adds.
Trade-off: None.
"""
'''

NEAR_MISSES = {
    "at_most_nine": ("min(a + b, 9)", "You stop at nine; a large sum breaks it."),
    "always_seven": ("7", "You return a fixed number."),
    "of_absolutes": ("abs(a) + abs(b)", "You drop the sign; a negative number breaks it."),
    "product": ("a * b", "You multiply; that is right for two and two only."),
}


@dataclass(frozen=True, slots=True)
class Workshop:
    """One kata on disk, to be broken and examined.

    Attributes:
        kata: The kata.
        runner: A warm process for its runs.
    """

    kata: Kata
    runner: Runner

    def replace(self, path: Path, old: str, new: str) -> None:
        """Replace a text that must be there."""
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{old!r} is not in {path.name}"
        path.write_text(text.replace(old, new), encoding="utf-8")

    def words(self) -> list[BrokenPromise]:
        """Read the kata as it is on disk now."""
        return broken_words(Kata(self.kata.number, self.kata.slug, self.kata.root))

    def deeds(self, *, repeat: int = 1, code: bool = False) -> list[BrokenPromise]:
        """Run the kata as it is on disk now."""
        kata = Kata(self.kata.number, self.kata.slug, self.kata.root)
        return SelfCheck([kata], repeat=repeat, code=code, runners=[self.runner]).run().broken

    @property
    def near_miss(self) -> Path:
        """One of the near-misses."""
        return self.kata.bank / "near_misses" / "product.py"

    @property
    def alternative(self) -> Path:
        """One of the alternatives."""
        return self.kata.bank / "alternatives" / "with_sum.py"


@pytest.fixture(scope="session")
def runner() -> Iterator[Runner]:
    """One warm process for all runs."""
    with warm_runner() as warm:
        yield warm


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, runner: Runner) -> Path:
    """The root of a course with one kata that keeps every promise."""
    root = tmp_path_factory.mktemp("template")
    (root / "katas" / "kata_01_wrong_sum").mkdir(parents=True)
    (kata,) = Catalog.at(root)
    kata.solution.mkdir(parents=True)
    (kata.bank / "near_misses").mkdir(parents=True)
    (kata.bank / "alternatives").mkdir()
    (kata.folder / "README.md").write_text(PAGE, encoding="utf-8")
    (kata.folder / "hints.md").write_text(HINTS, encoding="utf-8")
    kata.tests_file.write_text(TESTS, encoding="utf-8")
    kata.bad.write_text(_module("a - b"), encoding="utf-8")
    kata.good.write_text(_module("a + b"), encoding="utf-8")
    kata.notes_file.write_text(NOTES, encoding="utf-8")
    for name, (expression, coach) in NEAR_MISSES.items():
        head = NEAR_MISS.format(title=name, coach=coach)
        text = head + _module(expression).split("\n", 1)[1]
        (kata.bank / "near_misses" / f"{name}.py").write_text(text, encoding="utf-8")
    for name, expression in {"with_sum": "sum([a, b])", "swapped": "b + a"}.items():
        text = ALTERNATIVE.format(title=name) + _module(expression).split("\n", 1)[1]
        (kata.bank / "alternatives" / f"{name}.py").write_text(text, encoding="utf-8")
    SelfCheck([kata], code=False, write_patterns=True, runners=[runner]).run()
    return root


@pytest.fixture
def workshop(tmp_path: Path, template: Path, runner: Runner) -> Workshop:
    """A kata that keeps every promise, to be broken."""
    shutil.copytree(template, tmp_path / "course")
    (kata,) = Catalog.at(tmp_path / "course")
    return Workshop(kata, runner)


def _module(expression: str) -> str:
    return MODULE.format(expression=expression)


@pytest.fixture
def breaks() -> Callable[[list[BrokenPromise], str, Path], None]:
    """Assert that a certain promise is broken, and that the sentence names the file to mend."""

    def assert_broken(found: list[BrokenPromise], code: str, file: Path) -> None:
        matching = [promise for promise in found if promise.code == code]
        assert matching, f"no {code} in {[str(promise) for promise in found]}"
        assert any(promise.file == file for promise in matching), [str(p) for p in matching]
        assert all(promise.problem.endswith((".", ")")) for promise in matching)

    return assert_broken
