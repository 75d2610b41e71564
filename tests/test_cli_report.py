"""``kata report``: enough to help with, and nothing private."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fastapi_katas.checker.process import Runner
from fastapi_katas.cli import report as verb
from fastapi_katas.privacy import Redactor

if TYPE_CHECKING:
    from course import Course

MARKER = "zanzibar"


@pytest.fixture(autouse=True)
def warm_report(warm: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the report use the warm process of the suite."""
    monkeypatch.setattr(verb, "ColdRunner", lambda: contextlib.nullcontext(warm))


def test_versions_change_verdict_and_hints(course: Course) -> None:
    shutil.copy(course.kata(1).bank / "near_misses" / "squared.py", course.kata(1).fix)
    course.call("check", "1")
    course.call("hint", "1")
    ran = course.call("report", "1")
    assert ran.code == 0
    assert ran.out.startswith("# Report on kata-01, The first fault\n\n| what | version |\n")
    assert "\n| fastapi | " in ran.out
    assert "\n- Attempts: 1\n- Passed: not yet\n- Hint taken: `test_price_counts" in ran.out
    assert "`, up to level 1\n" in ran.out
    assert "\n```diff\n--- bad.py\n+++ fix.py\n" in ran.out
    assert "\n+    return count * count\n" in ran.out
    assert "\n## RED: kata 01, The first fault\n" in ran.out
    assert "\n> You multiply the number by itself; " in ran.out
    assert "Read the report before you paste it" in " ".join(ran.err.split())
    assert course.progress.of("kata_01_first").attempts == 1, "a report is no attempt"


def test_before_the_first_check(course: Course) -> None:
    ran = course.call("report", "2")
    assert ran.code == 0
    assert "\n## What was changed in bad\n\nNothing yet.\n" in ran.out
    assert "- Attempts: 0\n- Passed: not yet\n- Hints taken: none\n" in ran.out
    assert not course.kata(2).fix.exists()


def test_nothing_private_is_told(
    make_course: Callable[[Path], Course], tmp_path: Path
) -> None:
    """As a process of its own, so that the home and the variables are real."""
    home = tmp_path / f"home-{MARKER}"
    course = make_course(home / "my courses" / "katas")
    secrets = {
        "HOME": str(home),
        "USERPROFILE": str(home),
        "USER": f"{MARKER}-user",
        "LOGNAME": f"{MARKER}-user",
        "MY_TOKEN": f"{MARKER}-token",
        "SHORT": "q7zx",
        "MY_DATABASE": f"postgresql://{MARKER}-role:p4ss%21w@{MARKER}.example:5/shop",
        "MY_LINES": f"first-{MARKER}\nsecond-{MARKER}",
    }
    course.handler(
        "raise RuntimeError(f'{os.environ} {__file__} {sys.path} {sys.prefix}')",
        top="print(*os.environ.values(), __file__, os.path.expanduser('~/notes'), 'p4ss!w')",
    )
    with course.kata(1).fix.open("a", encoding="utf-8") as file:
        file.write(f"# {secrets['MY_TOKEN']} q7zx {home}/x p4ss!w {MARKER}-role\n")
        file.write(f"# first-{MARKER} alone, second-{MARKER} alone, {home.name}\n")
    ran = course.run("report", "1", env=secrets)
    assert ran.code == 0, ran.err
    assert "RuntimeError" in ran.out
    assert "The module printed:" in ran.out
    assert "\n+# <environment value> <environment value> ~/x <environment value>" in ran.out
    for secret in (MARKER, "q7zx", "p4ss", str(tmp_path), str(Path.home()), os.environ["PATH"]):
        assert secret not in ran.out, secret


def test_the_words_of_the_course_are_no_secrets(tmp_path: Path) -> None:
    redactor = Redactor(
        tmp_path,
        {"A": "price", "B": "True", "C": "asyncio", "D": "Secretive"},
        home=tmp_path / "h",
        names=["app", "carol"],
        public="The price of the app.",
    )
    told = redactor.text("price True asyncio app, carol and carols, secretive")
    assert told == "price True asyncio app, <name> and carols, <environment value>"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{root}/katas/fix.py:3", "katas/fix.py:3"),
        ("in {root}", "in ."),
        ("{root}-other/x", "~/course-other/x"),
        ("{home}/other", "~/other"),
        ("{home}", "~"),
        ("file:{root}/a%20b", "file:a%20b"),
    ],
)
def test_paths(text: str, told: str) -> None:
    home = Path("/home/somebody")
    redactor = Redactor(home / "course", {}, home=home, names=[])
    assert redactor.text(text.format(root=home / "course", home=home)) == told


def test_windows_paths_in_a_repr() -> None:
    redactor = Redactor(Path("/course"), {"A": "C:\\Users\\Carol"}, home=Path("/h"), names=[])
    for written in ("C:\\Users\\Carol", "C:\\\\Users\\\\Carol", "c:\\users\\carol"):
        assert redactor.text(f"at {written}") == "at <environment value>"
