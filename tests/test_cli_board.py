"""``kata board``: tracks, states, minutes, and what is next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from course import Course


def test_the_whole_course_at_a_glance(course: Course) -> None:
    course.passed(1)
    ran = course.call("board")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == (
        "Async hygiene\n"
        "  passed 01  10 min  The first fault\n"
        "  open   02  10 min  The second fault (next)\n"
        "\n"
        "1 of 2 passed; about 10 minutes to go.\n"
        "Next: kata 02, The second fault. `kata show 2` is its page, "
        "`kata check 2` runs its tests.\n"
    )


def test_a_kata_that_was_begun(course: Course) -> None:
    course.tried(1)
    assert "  begun  01  10 min  The first fault (next)\n" in course.call("board").out


def test_after_the_last_pass_there_is_no_next(course: Course) -> None:
    course.passed(1)
    course.passed(2)
    out = course.call("board").out
    assert out.endswith("2 of 2 passed; about 0 minutes to go.\n")
    assert "next" not in out


def test_a_long_title_is_wrapped_below_itself(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = course.kata(1).folder / "README.md"
    text = page.read_text("utf-8").replace("The first fault", "A title of so many words that it is")
    page.write_text(text, encoding="utf-8")
    monkeypatch.setenv("COLUMNS", "45")
    out = course.call("board").out
    assert "  open   01  10 min  A title of so many words\n" in out
    assert "\n                     that it is (next)\n" in out
    assert max(map(len, out.splitlines())) <= 45


def test_a_page_that_cannot_be_read_does_not_hide_the_others(course: Course) -> None:
    course.write(course.kata(2).folder / "README.md", "no front matter")
    ran = course.call("board")
    assert ran.code == 0
    assert "  open   01  10 min  The first fault (next)\n" in ran.out
    assert "Pages that cannot be read\n  open   02          Second\n" in ran.out


def test_damaged_progress_is_told(course: Course) -> None:
    course.write(".kata/progress.json", "{")
    ran = course.call("board")
    assert ran.code == 0
    assert "is damaged" in ran.err
