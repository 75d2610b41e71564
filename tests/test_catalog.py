"""The catalog: it finds katas, and knows which one a person means."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fastapi_katas import catalog
from fastapi_katas.catalog import Catalog, CatalogError, Kata, UnknownKataError
from fastapi_katas.catalog.rules import rules

if TYPE_CHECKING:
    from course import Course


@pytest.fixture
def shelf(tmp_path: Path) -> Catalog:
    """A course of empty folders, to be named."""
    for name in ("kata_01_blocked_loop", "kata_02_lying_helper", "kata_23_late_commit",
                 "kata_24_late_answer"):  # fmt: skip
        (tmp_path / "katas" / name).mkdir(parents=True)
    (tmp_path / "katas" / "notes").mkdir()
    (tmp_path / "katas" / "kata_7_one_digit").mkdir()
    return Catalog.at(tmp_path)


# --- what is found -------------------------------------------------------------------------------


def test_katas_come_in_the_order_of_their_numbers(shelf: Catalog) -> None:
    assert [kata.number for kata in shelf] == [1, 2, 23, 24]


def test_a_kata_knows_where_its_files_are(course: Course) -> None:
    kata = course.kata(1)
    assert kata.bad == course.root / "katas/kata_01_first/bad.py"
    assert kata.fix == course.root / "katas/kata_01_first/fix.py"
    assert kata.good == course.root / "solutions/kata_01_first/good.py"
    assert kata.tests_file == course.root / "katas/kata_01_first/test_kata_01.py"
    assert kata.title == "The first fault"


def test_a_kata_may_be_a_package(course: Course) -> None:
    kata = course.kata(2)
    assert kata.is_package
    assert kata.bad == course.root / "katas/kata_02_second/bad"
    assert kata.fix == course.root / "katas/kata_02_second/fix"
    assert kata.good == course.root / "solutions/kata_02_second/good"


def test_the_tests_are_read_without_running_them(course: Course) -> None:
    assert [(test.name, test.kind) for test in course.kata(1).tests] == [
        ("test_price_counts_for_each_item", "goal"),
        ("test_empty_order_is_free", "goal"),
        ("test_price_is_published", "guard"),
    ]


def test_the_course_is_found_from_any_folder_in_it(course: Course) -> None:
    found = Catalog.find(course.kata(2).bad)
    assert found is not None
    assert found.root == course.root


def test_the_bank_is_read_with_its_heads(course: Course) -> None:
    kata = course.kata(1)
    miss = next(miss for miss in kata.near_misses if miss.name == "squared")
    assert miss.title == "the number times itself"
    assert miss.rejected_by == ("test_price_counts_for_each_item",)
    assert miss.coach.startswith("You multiply the number by itself;")
    assert [alternative.name for alternative in kata.alternatives] == ["in_a_loop", "with_sum"]


def test_hints_come_in_the_order_of_their_levels(course: Course) -> None:
    hints = course.kata(1).hints_for("test_empty_order_is_free")
    assert [hint.level for hint in hints] == [1, 2, 3]
    assert course.kata(1).hints_for("test_price_is_published") == []


def test_the_package_offers_what_it_promises() -> None:
    for name in catalog.__all__:
        assert isinstance(getattr(catalog, name), type), name


def test_the_register_of_rules_has_sentences() -> None:
    assert rules()["A1"].katas == (1,)
    assert all(rule.statement.endswith(".") for rule in rules().values())


# --- which kata is meant -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    ["23", "023", "kata-23", "kata 23", "KATA_23", "late_commit", "Late-Commit", "late_c", "commit",
     "kata_23_late_commit", "katas/kata_23_late_commit/", "katas\\kata_23_late_commit"],
)  # fmt: skip
def test_a_kata_has_many_names(shelf: Catalog, query: str) -> None:
    assert shelf.named(query).number == 23


def test_an_unknown_name_gets_the_nearest_ones(shelf: Catalog) -> None:
    with pytest.raises(UnknownKataError) as caught:
        shelf.named("blokced_loop")
    assert str(caught.value) == (
        "There is no kata `blokced_loop`. Did you mean kata-01 (blocked_loop)?"
    )


def test_an_unknown_number_gets_the_nearest_one(shelf: Catalog) -> None:
    with pytest.raises(UnknownKataError, match="Did you mean kata-24"):
        shelf.named("40")


def test_ambiguous_words_get_all_that_fit(shelf: Catalog) -> None:
    with pytest.raises(UnknownKataError) as caught:
        shelf.named("late")
    assert caught.value.ambiguous
    assert str(caught.value) == (
        "`late` fits more than one kata: kata-23 (late_commit), kata-24 (late_answer)."
    )


def test_a_number_that_two_katas_claim_is_ambiguous(shelf: Catalog) -> None:
    (shelf.root / "katas" / "kata_23_other").mkdir()
    with pytest.raises(UnknownKataError, match="fits more than one kata"):
        Catalog.at(shelf.root).named("23")


@pytest.mark.parametrize("query", ["", " ", "kata", "²", "9" * 5000, "0", "-3", "1.5", "..", "é"])
def test_strange_words_are_only_unknown(shelf: Catalog, query: str) -> None:
    with pytest.raises(UnknownKataError):
        shelf.named(query)


# --- files that break the format -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "text", "read", "problem"),
    [
        ("README.md", None, lambda kata: kata.page, "The page is missing"),
        ("README.md", b"\xff", lambda kata: kata.page, "not UTF-8"),
        ("README.md", b"no head", lambda kata: kata.page, "no front matter"),
        ("README.md", b"---\na: [\n---\n", lambda kata: kata.page, "not YAML"),
        ("README.md", b"---\ntitle: ok?\n---\n", lambda kata: kata.page, "`law`: Field required"),
        ("hints.md", None, lambda kata: kata.hints, "The hints are missing"),
        ("hints.md", b"nothing", lambda kata: kata.hints, "There is no hint"),
        ("hints.md", b"## Level 1: A?\n\ntext", lambda kata: kata.hints, "tied to no test"),
        ("hints.md", b"## Level 4: A?\nFor: test_a\n\nb", lambda kata: kata.hints, "has level 4"),
        ("hints.md", b"## Level 1: A?\nFor: test_a\n", lambda kata: kata.hints, "is empty"),
        ("hints.md", b"\xff", lambda kata: kata.hints, "not UTF-8"),
        ("test_kata_01.py", None, lambda kata: kata.tests, "The tests are missing"),
        ("test_kata_01.py", b"\0", lambda kata: kata.tests, "This is not Python"),
        ("test_kata_01.py", b"def", lambda kata: kata.tests, "This is not Python"),
    ],
)
def test_the_error_names_the_file_to_mend(
    course: Course,
    path: str,
    text: bytes | None,
    read: Callable[[Kata], object],
    problem: str,
) -> None:
    file = course.kata(1).folder / path
    file.unlink()
    if text is not None:
        file.write_bytes(text)
    with pytest.raises(CatalogError, match=problem) as caught:
        read(course.kata(1))
    assert caught.value.path == file
    assert str(caught.value).startswith(str(file))


def test_a_near_miss_without_a_head_is_an_error(course: Course) -> None:
    path = course.write(course.kata(1).bank / "near_misses" / "bare.py", "x = 1\n")
    with pytest.raises(CatalogError, match="lacks `Near-miss:` and `Rejected by:`") as caught:
        _ = course.kata(1).near_misses
    assert caught.value.path == path
