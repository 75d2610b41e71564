"""Promises that are proved by running: each is broken once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastapi_katas.selfcheck import BrokenPromise

Breaks = Callable[[list[BrokenPromise], str, Path], None]


def test_a_kata_that_keeps_every_promise(workshop: Any) -> None:
    assert workshop.deeds(repeat=2, code=True) == []


def test_goal_that_is_already_green(workshop: Any, breaks: Breaks) -> None:
    workshop.replace(workshop.kata.bad, "a - b", "a + b")
    breaks(workshop.deeds(), "already-green", workshop.kata.tests_file)


def test_goal_that_fails_without_a_lesson(workshop: Any, breaks: Breaks) -> None:
    workshop.replace(workshop.kata.bad, '@app.get("/sum")', '@app.get("/add")')
    tests = workshop.kata.tests_file
    workshop.replace(tests, 'expect_status(response, 200, because="two numbers have a sum")', "")
    workshop.replace(tests, "response.json() != first", 'response.json()["sum"] != first')
    breaks(workshop.deeds(), "stray-exception", tests)


def test_lesson_that_would_say_the_same_whatever_happened(workshop: Any, breaks: Breaks) -> None:
    tests = workshop.kata.tests_file
    workshop.replace(tests, 'expect_status(response, 200, because="two numbers have a sum")', "")
    workshop.replace(
        tests,
        "        if response.json() != first + second:\n",
        "        if not response.is_success or response.json() != first + second:\n",
    )
    workshop.replace(tests, "answer=response.json(),", 'answer="something else",')
    breaks(workshop.deeds(), "canned-lesson", tests)


def test_guard_that_asserts_nothing(workshop: Any, breaks: Breaks) -> None:
    tests = workshop.kata.tests_file
    workshop.replace(tests, 'expect_status(response, 200, because="the service is up")', "")
    breaks(workshop.deeds(), "looks-at-nothing", tests)


def test_guard_that_is_red_on_bad(workshop: Any, breaks: Breaks) -> None:
    workshop.replace(workshop.kata.tests_file, '"/health"', '"/healthy"')
    breaks(workshop.deeds(), "red-guard", workshop.kata.tests_file)


def test_reference_that_is_rejected(workshop: Any, breaks: Breaks) -> None:
    workshop.replace(workshop.kata.good, "a + b", "a - b")
    breaks(workshop.deeds(), "rejected-good", workshop.kata.good)


def test_alternative_that_is_rejected(workshop: Any, breaks: Breaks) -> None:
    workshop.replace(workshop.alternative, "sum([a, b])", "max(a, b)")
    breaks(workshop.deeds(), "rejected-alternative", workshop.alternative)


def test_near_miss_that_is_accepted(workshop: Any, breaks: Breaks) -> None:
    workshop.replace(workshop.near_miss, "a * b", "a + b")
    breaks(workshop.deeds(), "accepted-near-miss", workshop.near_miss)


def test_near_miss_that_another_test_rejects(workshop: Any, breaks: Breaks) -> None:
    workshop.replace(
        workshop.near_miss, "Rejected by: test_sum_is_right", "Rejected by: test_health_answers"
    )
    breaks(workshop.deeds(), "accepted-near-miss", workshop.near_miss)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("app = FastAPI()", "app = FastAPI(", id="syntax"),
        pytest.param("app = FastAPI()", "import nothing_here\n\napp = FastAPI()", id="import"),
        pytest.param("app = FastAPI()", "raise SystemExit(0)", id="exit"),
    ],
)
@pytest.mark.parametrize("name", ["bad", "good"])
def test_module_that_cannot_be_used(
    workshop: Any, breaks: Breaks, name: str, old: str, new: str
) -> None:
    path = getattr(workshop.kata, name)
    workshop.replace(path, old, new)
    breaks(workshop.deeds(), "not-run", path)


def test_tests_that_cannot_be_collected(workshop: Any, breaks: Breaks) -> None:
    workshop.replace(
        workshop.kata.tests_file, "import httpx\n", "import httpx\nimport nothing_here\n"
    )
    breaks(workshop.deeds(), "not-run", workshop.kata.tests_file)


@pytest.mark.parametrize("which", ["kata.good", "alternative"])
def test_warning(workshop: Any, breaks: Breaks, which: str) -> None:
    path = workshop.kata.good if which == "kata.good" else workshop.alternative
    workshop.replace(
        path,
        "    return a" if which == "kata.good" else "    return sum",
        "    import warnings\n    warnings.warn('old', DeprecationWarning, 1)\n    return a"
        if which == "kata.good"
        else "    import warnings\n    warnings.warn('old', DeprecationWarning, 1)\n    return sum",
    )
    breaks(workshop.deeds(), "warning", path)


def test_reference_that_prints(workshop: Any, breaks: Breaks) -> None:
    workshop.replace(workshop.kata.good, "    return a", "    print('here')\n    return a")
    breaks(workshop.deeds(), "prints", workshop.kata.good)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(
            "async def add(a: int, b: int) -> int:", "async def add(a: int, b: int):", id="mypy"
        ),
        pytest.param(
            "from fastapi import FastAPI", "import os\n\nfrom fastapi import FastAPI", id="ruff"
        ),
    ],
)
def test_reference_that_the_tools_find_fault_with(
    workshop: Any, breaks: Breaks, old: str, new: str
) -> None:
    workshop.replace(workshop.kata.good, old, new)
    breaks(workshop.deeds(code=True), "code", workshop.kata.good)


def test_near_misses_that_fail_alike_but_are_coached_differently(
    workshop: Any, breaks: Breaks
) -> None:
    workshop.replace(workshop.near_miss, "a * b", "7")
    breaks(workshop.deeds(), "same-pattern", workshop.near_miss.parent)


def test_patterns_that_are_out_of_date(workshop: Any, breaks: Breaks) -> None:
    workshop.replace(workshop.near_miss, "a * b", "a * b + 0.5")
    breaks(workshop.deeds(), "patterns", workshop.kata.bank / "patterns.json")


def test_verdict_that_flips(workshop: Any, breaks: Breaks, tmp_path: Path) -> None:
    marker = tmp_path / "was-here"
    workshop.replace(
        workshop.kata.tests_file,
        'expect_status(response, 200, because="the service is up")',
        'expect_status(response, 200, because="the service is up")\n'
        f"    with open({str(marker)!r}, 'a+') as file:\n"
        "        file.seek(0)\n"
        "        assert len(file.read()) < 9, 'run for the second time'\n"
        "        file.write('x')",
    )
    breaks(workshop.deeds(repeat=2), "flip", workshop.kata.tests_file)
