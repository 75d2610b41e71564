"""The Markdown of a verdict: whatever a module prints or a test says, it stays text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from markdown_it import MarkdownIt
from samples import SAMPLES, UNKNOWN, verdict

from fastapi_katas.coach import Advice
from fastapi_katas.render_markdown import as_markdown, fenced, inline_code, prose

if TYPE_CHECKING:
    from course import Course

#: What people use on pages and in issues: tables, and HTML that is shown as HTML.
READER = MarkdownIt("commonmark", {"html": True}).enable("table")


def shown(markdown: str) -> str:
    """The HTML that a reader sees."""
    return str(READER.render(markdown)).strip()


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a *b* _c_ __d__ <e> [f](g)", "a *b* _c_ __d__ &lt;e&gt; [f](g)"),
        ("`code *a* <b>` and x", "<code>code *a* &lt;b&gt;</code> and x"),
        ("a ` alone", "a ` alone"),
        ("# no heading", "# no heading"),
        ("- no list", "- no list"),
        ("1. no list", "1. no list"),
        ("> no quote", "&gt; no quote"),
        ("test_a_b[x]", "test_a_b[x]"),
        ("\\*", "\\*"),
        ("\x1b[31mred\x1b[0m", "red"),
    ],
)
def test_prose_is_shown_as_it_is(text: str, html: str) -> None:
    assert shown(prose(text)) == f"<p>{html}</p>"


@pytest.mark.parametrize("text", ["x = 1", "`", "a `` b", "`a`", "<b>", "a | b"])
def test_inline_code(text: str) -> None:
    escaped = text.replace("<", "&lt;").replace(">", "&gt;")
    assert shown(inline_code(text)) == f"<p><code>{escaped}</code></p>"


def test_a_fence_holds_fences() -> None:
    html = shown(fenced("a\n````\nb\n", "text"))
    assert html == '<pre><code class="language-text">a\n````\nb\n</code></pre>'


def test_a_table_survives_bars() -> None:
    html = shown(as_markdown(verdict("red", (UNKNOWN,)), Advice(UNKNOWN)))
    assert "<td>An unknown parcel is 404 | never 500.</td>" in html


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_headings_have_the_level_that_is_asked_for(sample: str) -> None:
    html = shown(as_markdown(*SAMPLES[sample], level=4))
    assert html.startswith("<h4>")
    assert "<h1>" not in html
    assert "<h2>" not in html


def test_only_the_next_thing_unless_all_is_asked_for() -> None:
    found, advice = SAMPLES["red"]
    assert as_markdown(found, advice).count("\n### ") == 1
    assert as_markdown(found, advice, everything=True).count("\n### ") == 2


def test_the_command(course: Course) -> None:
    course.attempt()
    ran = course.call("check", "1", "--markdown")
    assert (ran.code, ran.err) == (1, "")
    assert ran.out.startswith("## RED: kata 01, The first fault\n\n2 of 3 tests are red; ")
    assert ran.out.endswith("Next: `kata hint 1` asks a question about the first red test.\n")
    ran = course.call("check", "1", "--markdown", "--all", "--verbose")
    assert ran.out.count("\n### ") == 2
    assert "test_price_counts_for_each_item FAILED" in ran.out


def test_one_form_at_a_time(course: Course) -> None:
    ran = course.call("check", "1", "--markdown", "--json")
    assert (ran.code, ran.err) == (2, "Choose one of --json and --markdown.\n")
