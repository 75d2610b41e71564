"""The coach: after an attempt, one hint at a time, and a word about a well-known mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fastapi_katas.coach import (
    Advice,
    advise,
    next_hint,
    patterns_path,
    read_patterns,
    recognise,
    write_patterns,
)
from fastapi_katas.progress import KataProgress

if TYPE_CHECKING:
    from course import Course

GOAL = "test_price_counts_for_each_item"
NONE_YET = KataProgress()


def test_without_an_attempt_nothing_is_offered(course: Course) -> None:
    found = course.check(1, "bad")
    assert advise(course.kata(1), found, NONE_YET, touched=False) == Advice(found.first_red)


def test_after_an_attempt_the_first_hint_is_offered(course: Course) -> None:
    course.attempt()
    advice = advise(course.kata(1), course.check(), NONE_YET, touched=True)
    assert advice.focus is not None
    assert advice.focus.name == GOAL
    assert advice.hint is not None
    assert advice.hint.level == 1


def test_after_a_pass_there_is_nothing_to_say(course: Course) -> None:
    found = course.check(1, "good")
    assert advise(course.kata(1), found, NONE_YET, touched=True) == Advice()


@pytest.mark.parametrize(("taken", "due"), [(0, 1), (1, 2), (2, 3), (3, None)])
def test_hints_come_one_after_the_other(course: Course, taken: int, due: int | None) -> None:
    hint = next_hint(course.kata(1), GOAL, KataProgress(hints={GOAL: taken}))
    assert (hint.level if hint else None) == due


def test_hints_of_another_test_do_not_count(course: Course) -> None:
    hint = next_hint(course.kata(1), GOAL, KataProgress(hints={"test_empty_order_is_free": 3}))
    assert hint is not None
    assert hint.level == 1


def test_a_guard_has_no_hint(course: Course) -> None:
    assert next_hint(course.kata(1), "test_price_is_published", NONE_YET) is None


@pytest.mark.parametrize("number", [1, 2], ids=["file", "package"])
def test_every_near_miss_is_recognised(course: Course, number: int) -> None:
    kata = course.kata(number)
    for miss in kata.near_misses:
        assert recognise(kata, course.check(number, str(miss.path))) == miss.coach


def test_an_attempt_of_its_own_kind_is_not_recognised(course: Course) -> None:
    course.attempt()
    assert recognise(course.kata(1), course.check()) == ""


def test_a_pass_and_a_fault_are_not_recognised(course: Course) -> None:
    course.fix("no python")
    assert recognise(course.kata(1), course.check()) == ""
    assert recognise(course.kata(1), course.check(1, "good")) == ""


def alike(course: Course, first: str, second: str) -> str:
    """Let two near-misses fail alike, and return what is said about the first."""
    kata = course.kata(1)
    patterns = read_patterns(kata)
    patterns[second] = patterns[first]
    write_patterns(kata, patterns)
    return recognise(kata, course.check(1, str(kata.bank / "near_misses" / f"{first}.py")))


def test_two_that_fail_alike_and_say_different_things_are_not_recognised(course: Course) -> None:
    assert alike(course, "squared", "always_twelve") == ""


def test_two_that_fail_alike_and_say_the_same_are_recognised(course: Course) -> None:
    kata = course.kata(1)
    said = {miss.name: miss.coach for miss in kata.near_misses}
    path = kata.bank / "near_misses" / "always_twelve.py"
    text = path.read_text("utf-8").replace(said["always_twelve"], said["squared"])
    path.write_text(text, encoding="utf-8")
    assert alike(course, "squared", "always_twelve") == said["squared"]


def test_patterns_that_are_missing_or_damaged_recognise_nothing(course: Course) -> None:
    kata = course.kata(1)
    found = course.check(1, str(kata.bank / "near_misses" / "squared.py"))
    for data in (b"", b"[]", b"\xff", b'{"squared": 3}'):
        patterns_path(kata).write_bytes(data)
        assert recognise(kata, found) == "", data
    patterns_path(kata).unlink()
    assert recognise(kata, found) == ""


def test_damaged_hints_and_a_damaged_bank_do_not_hide_the_verdict(course: Course) -> None:
    kata = course.kata(1)
    course.attempt()
    course.write(kata.folder / "hints.md", b"\xff")
    course.write(kata.bank / "near_misses" / "bare.py", "x = 1\n")
    found = course.check()
    assert advise(kata, found, NONE_YET, touched=True) == Advice(found.first_red)
