"""Verbs load only what they need; the quick way says the same as the long one."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from typer.main import get_command

from fastapi_katas.cli import quick
from fastapi_katas.cli.verbs import VERBS, app

if TYPE_CHECKING:
    from course import Course


def imported_by(course: Course, *words: str) -> set[str]:
    """The modules that a command has imported at its end."""
    code = (
        "import atexit, json, sys\n"
        f"sys.argv = ['kata', *{words!r}]\n"
        "atexit.register(lambda: sys.stderr.write(json.dumps(sorted(sys.modules))))\n"
        "from fastapi_katas.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=course.root, capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stderr))


def test_list_needs_neither_typer_nor_pydantic_nor_the_checker(course: Course) -> None:
    modules = imported_by(course, "list")
    assert modules.isdisjoint({"typer", "pydantic", "fastapi", "pytest", "yaml"})
    assert not any(name.startswith("fastapi_katas.checker") for name in modules)


@pytest.mark.parametrize("words", [("list",), ("list", "--plain")])
def test_both_ways_say_the_same(course: Course, words: tuple[str, ...]) -> None:
    course.passed(1)
    course.tried(2, "test_door")
    assert quick.find(words) is not None
    short, long = course.run(*words), course.call(*words)  # the latter always goes through typer
    assert short == long
    assert short.out == "01  passed  The first fault\n02  begun   The second fault\n"


@pytest.mark.parametrize(
    "words", [(), ("list", "--help"), ("list", "1"), ("lists",), ("--plain", "list"), ("check",)]
)
def test_everything_else_goes_through_typer(words: tuple[str, ...]) -> None:
    assert quick.find(words) is None


def test_a_damaged_course_is_told_in_the_quick_way_too(course: Course) -> None:
    course.write(".kata/progress.json", "{")
    ran = course.run("list")
    assert ran.code == 0
    assert "is damaged" in ran.err


def test_a_verb_loads_no_other_verb(course: Course) -> None:
    modules = imported_by(course, "next")
    assert "fastapi_katas.cli.listing" in modules
    assert modules.isdisjoint({"fastapi_katas.cli.check", "fastapi_katas.cli.doctor"})


def test_the_help_names_every_verb(course: Course) -> None:
    out = course.call("--help").out
    for verb in VERBS:
        assert f"\n  {verb} " in out
        assert course.call(verb, "--help").code == 0


def test_a_verb_that_does_not_exist_is_guessed(course: Course) -> None:
    ran = course.call("lst")
    assert ran.code == 2
    assert "Did you mean 'list'?" in ran.err
    assert get_command(app).name == "kata"
