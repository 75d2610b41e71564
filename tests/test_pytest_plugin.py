"""The pytest plugin: the module under test, fresh for every test, in any pytest run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import FastAPI, Request

from fastapi_katas.pytest_plugin.target import RenamedError, Target, TargetFault

if TYPE_CHECKING:
    from course import Course


def target(course: Course, number: int = 1, name: str = "bad") -> Target:
    """A module of a kata, with the names that BAD promises."""
    kata = course.kata(number)
    return Target({"bad": kata.bad, "fix": kata.fix, "good": kata.good}[name], kata.bad)


# --- the module under test -----------------------------------------------------------------------


def test_the_module_is_executed_afresh_each_time(course: Course) -> None:
    under_test = target(course)
    with under_test.loaded() as first:
        first.PRICE = 5
        assert first.total(1) == 6
    with under_test.loaded() as second:
        assert second.PRICE == 3
        assert second.app is not first.app


def test_all_loads_of_one_run_see_the_same_source(course: Course) -> None:
    course.repair(1)
    under_test = target(course, name="fix")
    with under_test.loaded() as module:
        assert module.total(4) == 12
    course.fix("an editor saves the next version\n")
    with under_test.loaded() as module:
        assert module.total(4) == 12


def test_a_package_is_loaded_with_its_relative_imports(course: Course) -> None:
    with target(course, 2).loaded() as module:
        assert module.app.title == "Door"
        assert "bad.words" in sys.modules
    assert [name for name in sys.modules if name.split(".")[0] == "bad"] == []


def test_loading_leaves_nothing_behind(course: Course) -> None:
    before = list(sys.path)
    for number in (1, 2):
        with target(course, number).loaded():
            pass
    assert sys.path == before
    assert course.leftovers() == []


def test_a_name_of_the_contract_that_is_gone_is_a_fault(course: Course) -> None:
    course.fix("app = None\n")
    with target(course, name="fix").loaded() as module:
        with pytest.raises(RenamedError, match="The name `total` is gone") as caught:
            _ = module.total
        assert caught.value.kind == "renamed"
        with pytest.raises(AttributeError):
            _ = module.never_was_there


def test_a_test_can_replace_only_what_the_contract_has(course: Course) -> None:
    with target(course).loaded() as module, pytest.raises(AttributeError):
        module.misspelt = 1


def test_a_fault_shows_its_place_and_its_line(course: Course) -> None:
    file = course.fix("x = 1\ny = x.z\n")
    with pytest.raises(TargetFault) as caught, target(course, name="fix").loaded():
        pass
    assert str(caught.value) == (
        f"{file}:2: The module cannot be imported: "
        "AttributeError: 'int' object has no attribute 'z'\n    y = x.z"
    )


# --- any pytest run ------------------------------------------------------------------------------


def run_pytest(course: Course, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest as an editor does, without the command of the course."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto",
         "--import-mode=importlib", "katas/kata_01_first", *arguments],
        cwd=course.root, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip


def test_plain_pytest_takes_the_copy_if_there_is_one(course: Course) -> None:
    before = run_pytest(course)
    assert "2 failed, 1 passed" in before.stdout
    course.repair(1)
    after = run_pytest(course)
    assert (after.returncode, "3 passed" in after.stdout) == (0, True)
    assert "2 failed, 1 passed" in run_pytest(course, "--kata-target", "bad").stdout


def test_a_lesson_is_shown_without_a_traceback(course: Course) -> None:
    report: Any = course.check(1, "bad", report=True).report
    assert "Four items at 3 each cost 7.\nIn production: The shop loses money" in report
    assert "raise lesson(" not in report


def test_a_fault_is_told_once_and_the_rest_is_skipped(course: Course) -> None:
    course.fix("def\n")
    report: Any = course.check(report=True).report
    assert report.count("SyntaxError: invalid syntax") == 1
    assert report.count("SKIPPED") == 2


class TestApp:
    @pytest.fixture
    def raw_app(self) -> FastAPI:
        """An application whose requests write into the state that its lifespan has made."""

        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
            yield {"shared": []}

        application = FastAPI(lifespan=lifespan)

        @application.get("/")
        async def count(request: Request) -> list[int]:
            request.state.shared.append(1)
            mine = getattr(request.state, "mine", 0) + 1
            request.state.mine = mine
            return [len(request.state.shared), mine]

        return application

    async def test_each_request_gets_its_own_copy_of_the_state(
        self, client: httpx.AsyncClient
    ) -> None:
        assert [(await client.get("/")).json() for _ in range(2)] == [[1, 1], [2, 1]]
