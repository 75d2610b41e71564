"""Promises that are proved by reading: each is broken once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastapi_katas.selfcheck import BrokenPromise

Breaks = Callable[[list[BrokenPromise], str, Path], None]


def test_a_kata_that_keeps_every_promise(workshop: Any) -> None:
    assert workshop.words() == []


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        pytest.param("difficulty: 1", "difficulty: 1\nauthor: me", "format", id="unknown key"),
        pytest.param("minutes: 10", "minutes: 90", "format", id="too long"),
        pytest.param("A11]", "A11, Z99]", "format", id="unknown rule"),
        pytest.param("needs: []", "needs: [luck]", "format", id="unknown need"),
        pytest.param("track: Async hygiene", "track: Fun", "format", id="unknown track"),
        pytest.param("https://", "ftp://", "format", id="reference that is no page"),
        pytest.param("parts.\ntrack", "parts\ntrack", "format", id="law without a full stop"),
        pytest.param("---\ntitle", "title", "format", id="no front matter"),
        pytest.param("requires: []", "requires: [7]", "requires", id="requires a later kata"),
        pytest.param("A2, ", "", "rule-register", id="rule left out"),
        pytest.param("## Traps", "## Pitfalls", "page-sections", id="section renamed"),
        pytest.param("<!-- output: bad -->", "FAILED", "page-output", id="typed output"),
        pytest.param(
            "## Traps", "<!-- sequence: bad, test_none -->\n\n## Traps", "page-sequence",
            id="picture of no test",
        ),
        pytest.param("**A sum", "**The sum", "page-law", id="law not on the page"),
    ],
)
def test_page(workshop: Any, breaks: Breaks, old: str, new: str, code: str) -> None:
    page = workshop.kata.folder / "README.md"
    workshop.replace(page, old, new)
    breaks(workshop.words(), code, page)


def test_rule_that_the_register_gives_to_other_katas(workshop: Any) -> None:
    workshop.replace(workshop.kata.folder / "README.md", "A11]", "A11, A4]")
    (broken,) = workshop.words()
    assert broken.code == "rule-register"
    assert broken.file.name == "rules.toml"


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        pytest.param("For: test_sum_is_right\n\nAdd", "\nAdd", "format", id="tied to nothing"),
        pytest.param("For: test_sum_is", "For: test_some_is", "hint-untied", id="unknown test"),
        pytest.param("## Level 3", "## Level 2", "hint-levels", id="a level missing"),
        pytest.param("## Level 3", "## Level 7", "format", id="no such level"),
        pytest.param("What is three and four?", "Think.", "hint-level", id="no question"),
        pytest.param("https://", "www.", "hint-level", id="no official reference"),
        pytest.param("Add instead of subtract.", "", "format", id="empty"),
        pytest.param("## Level", "### Level", "format", id="no hint at all"),
    ],
)
def test_hints(workshop: Any, breaks: Breaks, old: str, new: str, code: str) -> None:
    hints = workshop.kata.folder / "hints.md"
    workshop.replace(hints, old, new)
    breaks(workshop.words(), code, hints)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        pytest.param("@pytest.mark.guard\n", "", "test-kind", id="neither goal nor guard"),
        pytest.param("@pytest.mark.guard", "@pytest.mark.goal", "test-kind", id="no guard"),
        pytest.param("test_health_answers", "test_sum_is_right", "test-name", id="twice"),
        pytest.param('    """The health check answers."""\n', "", "test-title", id="no docstring"),
        pytest.param(
            "import httpx\n", "import bad\nimport httpx\n", "test-import", id="import bad"
        ),
        pytest.param(
            "import httpx\n", "from fix import app\nimport httpx\n", "test-import", id="fix"
        ),
        pytest.param("import httpx\n", "import httpx :\n", "format", id="no Python"),
    ],
)
def test_tests(workshop: Any, breaks: Breaks, old: str, new: str, code: str) -> None:
    workshop.replace(workshop.kata.tests_file, old, new)
    breaks(workshop.words(), code, workshop.kata.tests_file)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        pytest.param("Coach: You", "Coach:\nYou", "", id="coach on the next line is fine"),
        pytest.param("Coach:", "Say:", "format", id="no coach"),
        pytest.param("Rejected by: test_sum_is_right\n", "", "format", id="rejected by nothing"),
        pytest.param("test_sum_is_right", "test_nothing", "bank-head", id="unknown test"),
        pytest.param('"""Near-miss', 'x = """Near-miss', "format", id="no docstring"),
        pytest.param("app = ", "app == = ", "format", id="no Python"),
    ],
)
def test_heads_of_the_bank(workshop: Any, breaks: Breaks, old: str, new: str, code: str) -> None:
    workshop.replace(workshop.near_miss, old, new)
    if code:
        breaks(workshop.words(), code, workshop.near_miss)
    else:
        assert workshop.words() == []


def test_head_of_an_alternative(workshop: Any, breaks: Breaks) -> None:
    workshop.replace(workshop.alternative, "Right because:", "Because:")
    breaks(workshop.words(), "format", workshop.alternative)


def test_too_small_a_bank(workshop: Any, breaks: Breaks) -> None:
    workshop.near_miss.unlink()
    workshop.alternative.unlink()
    found = workshop.words()
    breaks(found, "bank-size", workshop.near_miss.parent)
    breaks(found, "bank-size", workshop.alternative.parent)


@pytest.mark.parametrize("name", ["queue.py", "httpx.py"])
def test_file_of_the_bank_that_hides_a_module(workshop: Any, breaks: Breaks, name: str) -> None:
    renamed = workshop.near_miss.rename(workshop.near_miss.with_name(name))
    breaks(workshop.words(), "bank-name", renamed)


@pytest.mark.parametrize("place", ["folder", "solution", "bank"])
def test_stray_file(workshop: Any, breaks: Breaks, place: str) -> None:
    stray = getattr(workshop.kata, place) / "notes.txt"
    stray.write_text("later", encoding="utf-8")
    breaks(workshop.words(), "stray-file", stray)


def test_stray_file_among_the_near_misses(workshop: Any, breaks: Breaks) -> None:
    stray = workshop.near_miss.with_suffix(".txt")
    stray.write_text("later", encoding="utf-8")
    breaks(workshop.words(), "stray-file", stray)


def test_a_learners_copy_is_no_stray_file(workshop: Any) -> None:
    workshop.kata.fix.write_text("", encoding="utf-8")
    assert workshop.words() == []


@pytest.mark.parametrize("name", ["bad", "good"])
def test_missing_module(workshop: Any, breaks: Breaks, name: str) -> None:
    path = getattr(workshop.kata, name)
    path.unlink()
    breaks(workshop.words(), "missing-file", path)


@pytest.mark.parametrize("name", ["README.md", "hints.md"])
def test_missing_words(workshop: Any, breaks: Breaks, name: str) -> None:
    path = workshop.kata.folder / name
    path.unlink()
    breaks(workshop.words(), "format", path)


def test_missing_notes(workshop: Any, breaks: Breaks) -> None:
    workshop.kata.notes_file.unlink()
    breaks(workshop.words(), "notes", workshop.kata.notes_file)


def test_title_above_the_notes(workshop: Any, breaks: Breaks) -> None:
    notes = workshop.kata.notes_file
    notes.write_text("# Notes\n\n" + notes.read_text(encoding="utf-8"), encoding="utf-8")
    breaks(workshop.words(), "notes", notes)


def test_empty_section_of_the_notes(workshop: Any, breaks: Breaks) -> None:
    workshop.replace(workshop.kata.notes_file, "Count on fingers.\n", "")
    breaks(workshop.words(), "notes", workshop.kata.notes_file)
