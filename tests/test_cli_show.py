"""``kata show``: the page of a kata in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi_katas.catalog.page import OUTPUT_MARKER

if TYPE_CHECKING:
    from course import Course


def test_the_page_of_a_kata(course: Course) -> None:
    kata = course.kata(2)
    ran = course.call("show", "2")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("Kata 02: The second fault\nAsync hygiene, 10 minutes, easy.\n")
    for line in kata.page.body.splitlines():
        if line != OUTPUT_MARKER:
            assert line in ran.out
    assert OUTPUT_MARKER not in ran.out
    assert "\n`kata check 2 --target bad --all` shows it.\n" in ran.out
    for reference in kata.page.head.references:
        assert f"{reference.title}: {reference.url}" in " ".join(ran.out.split())
    assert not kata.fix.exists()


def test_a_picture_is_on_the_site(course: Course) -> None:
    page = course.kata(1).folder / "README.md"
    text = page.read_text("utf-8")
    page.write_text(
        text.replace("## Traps", "<!-- sequence: bad, test_order -->\n\n## Traps"),
        encoding="utf-8",
    )
    out = course.call("show", "1").out
    assert "sequence:" not in out
    assert "The site shows this order as a picture." in out


def test_it_says_what_the_kata_builds_on(course: Course) -> None:
    page = course.kata(2).folder / "README.md"
    text = page.read_text("utf-8")
    page.write_text(
        "\n".join(
            "requires: [1]" if line.startswith("requires:") else line for line in text.splitlines()
        ),
        encoding="utf-8",
    )
    assert "\nIt builds on kata 01.\n" in course.call("show", "2").out


def test_without_a_number_it_is_the_next_kata(course: Course) -> None:
    assert course.call("show").out.startswith("Kata 01: ")
    course.passed(1)
    assert course.call("show").out.startswith("Kata 02: ")


def test_a_page_that_breaks_the_format(course: Course) -> None:
    page = course.write(course.kata(1).folder / "README.md", "no front matter")
    ran = course.call("show", "1")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith(f"{page}: The page has no front matter")
