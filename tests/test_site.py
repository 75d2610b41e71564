"""The pages that are made from the catalog, and the site that is built from them."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
from course import FILES, RIGHT, WRONG, Course

from fastapi_katas.catalog import Kata
from fastapi_katas.catalog.rules import rules
from fastapi_katas.site import indexes, markup
from fastapi_katas.site.hook import show_runs
from fastapi_katas.site.kata_pages import kata_page, solution_page, targets_of
from fastapi_katas.site.runs import Runs, UnexpectedRunError
from fastapi_katas.site.sequences import sequence_diagram

ROOT = Path(__file__).resolve().parent.parent

needs_mkdocs = pytest.mark.skipif(
    importlib.util.find_spec("material") is None,
    reason="mkdocs-material is not installed; `nox -s docs` installs it",
)


@pytest.fixture
def runs(course: Course) -> Runs:
    return Runs(course.root / ".cache" / "site")


# --- runs ------------------------------------------------------------------------------------


def test_a_run_is_made_once_for_the_same_files(course: Course, runs: Runs) -> None:
    wanted = [(course.kata(1), "bad")]
    assert runs.make(wanted) == 1
    assert runs.make(wanted) == 0
    later = Runs(course.root / ".cache" / "site")
    assert later.make(wanted) == 0
    assert later.of(course.kata(1), "bad", expect="red") == runs.of(
        course.kata(1), "bad", expect="red"
    )


def test_a_changed_test_is_run_again_and_a_learners_copy_is_not(course: Course, runs: Runs) -> None:
    wanted = [(course.kata(1), "bad")]
    runs.make(wanted)
    course.attempt(1)
    assert Runs(course.root / ".cache" / "site").make(wanted) == 0
    tests = course.kata(1).tests_file
    tests.write_text(tests.read_text("utf-8") + "\n# changed\n", encoding="utf-8")
    assert Runs(course.root / ".cache" / "site").make(wanted) == 1


def test_a_damaged_cache_is_made_again(course: Course, runs: Runs) -> None:
    wanted = [(course.kata(1), "bad")]
    runs.make(wanted)
    course.write(".cache/site/kata_01_first.json", "{")
    assert Runs(course.root / ".cache" / "site").make(wanted) == 1


def test_output_names_files_from_the_root(course: Course, runs: Runs) -> None:
    run = runs.of(course.kata(1), "bad", expect="red")
    assert run.headline.startswith("RED kata 01, ")
    assert str(course.root) not in run.output
    assert run.first_red in " ".join(run.output.split())


def test_a_module_that_breaks_its_promise_is_not_shown(course: Course, runs: Runs) -> None:
    bad = course.kata(1).bad
    bad.write_text(bad.read_text("utf-8").replace(WRONG, RIGHT), encoding="utf-8")
    with pytest.raises(UnexpectedRunError, match=r"kata-01, bad: expected red, .* PASSED"):
        kata_page(course.kata(1), course.catalog, runs)


# --- pages -----------------------------------------------------------------------------------


def test_a_kata_page_has_what_a_learner_needs(course: Course, runs: Runs) -> None:
    kata = course.kata(1)
    page = kata_page(kata, course.catalog, runs)
    assert runs.of(kata, "bad", expect="red").output in page
    assert "<!-- output" not in page
    assert 'python title="bad.py" linenums="1"' in page
    assert page.index("## The broken module") < page.index("## Your task")
    for hint in kata.hints:
        assert f'??? question "Level {hint.level}: {hint.title}"' in page
    assert RIGHT not in page


def test_a_package_is_shown_file_by_file(course: Course, runs: Runs) -> None:
    page = kata_page(course.kata(2), course.catalog, runs)
    assert 'title="bad/door.py"' in page
    assert 'title="bad/words.py"' in page


def test_a_solution_page_shows_the_whole_bank_with_its_verdicts(
    course: Course, runs: Runs
) -> None:
    kata = course.kata(1)
    page = solution_page(kata, runs)
    assert f"-    {WRONG}" in page
    assert f"+    {RIGHT}" in page
    for miss in kata.near_misses:
        assert miss.coach in page
        assert runs.of(kata, str(miss.path), expect="red").headline in page
    assert "-\"\"\"" not in page, "the head of a file of the bank is no change"
    for other in kata.alternatives:
        assert other.trade_off in page
        assert runs.of(kata, str(other.path), expect="passed").headline in page
    assert len(targets_of(kata)) == 2 + len(kata.near_misses) + len(kata.alternatives)


def test_every_rule_is_in_the_matrix(course: Course) -> None:
    matrix = indexes.rules_matrix(course.catalog)
    for rule in rules().values():
        (line,) = [row for row in matrix.splitlines() if f'id="{rule.id.lower()}"' in row]
        for number in rule.katas:
            exists = number in {1, 2}
            assert (f"(katas/{number:02d}-" if exists else f"kata {number:02d} (planned)") in line
        if rule.prose:
            assert f"({rule.prose}.md)" in line
            assert (ROOT / "docs" / f"{rule.prose}.md").is_file()


def test_the_map_and_the_laws_name_every_kata(course: Course) -> None:
    for page in (indexes.course_map(course.catalog), indexes.law_index(course.catalog)):
        for kata in course.catalog:
            assert kata.page.head.law in page
            assert f"{kata.number:02d} {kata.title}" in page


def test_links_to_katas_know_which_ones_exist(course: Course) -> None:
    text = "[first](kata:1), [later](kata:41), `[words](kata:7)`, [](kata:2)"
    resolved = markup.resolve_katas(text, course.catalog, "../")
    assert resolved == (
        "[first](../katas/01-first.md), later (planned), `[words](kata:7)`, "
        f"[02 {course.kata(2).title}](../katas/02-second.md)"
    )


@pytest.fixture
def recorded(course: Course) -> Kata:
    """A kata whose page asks for the order of events in its first test, on BAD and on GOOD."""
    kata = course.kata(1)
    tests = kata.tests_file.read_text("utf-8")
    name = "test_price_counts_for_each_item"
    tests = tests.replace(
        f"{name}(client: httpx.AsyncClient)",
        f"{name}(client: httpx.AsyncClient, record_property: Any)",
    ).replace(
        "    if total != 12:",
        '    record_property("events", ["http.request GET /total/4", f"till: {total} #; asked"])\n'
        "    if total != 12:",
    )
    kata.tests_file.write_text(tests, encoding="utf-8")
    page = kata.folder / "README.md"
    markers = f"<!-- sequence: bad, {name} -->\n\n<!-- sequence: good, {name} -->\n\n## Traps"
    page.write_text(page.read_text("utf-8").replace("## Traps", markers), encoding="utf-8")
    return course.kata(1)


def test_a_page_draws_what_a_test_wrote_down(course: Course, runs: Runs, recorded: Kata) -> None:
    page = kata_page(recorded, course.catalog, runs)
    assert "<!-- sequence" not in page
    first, second = re.findall(r"``` mermaid\n(.*?)```", page, re.DOTALL)
    assert first.splitlines() == [
        "sequenceDiagram",
        "    participant p0 as client",
        "    participant p1 as application",
        "    participant p2 as till",
        "    p0->>p1: GET /total/4",
        "    p1->>p2: 7 #35;#59; asked",
    ]
    assert second == first.replace("7 ", "12 ")
    assert "1. `till: 12 #; asked`" in page


def test_nothing_is_drawn_that_was_not_written_down(
    course: Course, runs: Runs, recorded: Kata
) -> None:
    page = recorded.folder / "README.md"
    page.write_text(
        page.read_text("utf-8").replace("bad, test_price_counts", "bad, test_price_is_counts"),
        encoding="utf-8",
    )
    with pytest.raises(UnexpectedRunError, match="has written no events down"):
        kata_page(course.kata(1), course.catalog, runs)


def test_every_kind_of_event_has_its_place_in_a_picture() -> None:
    events = ["http.response.start 201", "http.response.body", "raised OSError", "stopped"]
    assert "\n".join(
        [
            "    p1->>p0: the response begins, status 201",
            "    p1->>p0: body",
            "    Note over p1: OSError leaves the application",
            "    Note over p1: stopped",
        ]
    ) in sequence_diagram(events)


def test_a_page_by_hand_shows_a_run(course: Course, runs: Runs) -> None:
    shown = show_runs("=== tab\n\n    <!-- run: 1 good -->\n", course.catalog, runs)
    assert "\n    PASSED  kata 01" in shown


def test_code_with_fences_of_its_own_stays_one_block() -> None:
    assert markup.code('"""```"""', "python").startswith("```` python\n")


def test_bars_outside_code_do_not_end_a_cell() -> None:
    assert "| a &#124; b and `int | None` |" in markup.table(["x"], [["a | b and `int | None`"]])


# --- the built site --------------------------------------------------------------------------


class Links(HTMLParser):
    """What a page fetches, links to and defines."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.linked: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        self.ids |= {value for name in ("id", "name") if (value := names.get(name))}
        if tag in {"script", "img", "iframe", "source"} and names.get("src"):
            self.fetched.append(names["src"] or "")
        if tag == "link" and names.get("href"):
            self.fetched.append(names["href"] or "")
        if tag == "a" and names.get("href"):
            self.linked.append(names["href"] or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of the small course, built strictly, by a command of its own."""
    root = tmp_path_factory.mktemp("site") / "course"
    shutil.copytree(FILES, root, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "docs", root / "docs")
    shutil.copy(ROOT / "CONTRIBUTING.md", root)
    hook = "src/fastapi_katas/site/hook.py"
    settings = (ROOT / "mkdocs.yml").read_text("utf-8").replace(hook, str(ROOT / hook))
    (root / "mkdocs.yml").write_text(settings, encoding="utf-8")
    for folder in ("src", "tests/kata_bank"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "NO_MKDOCS_2_WARNING": "1"},
        check=True,
    )
    return root / "site"


def pages(site: Path) -> Iterator[Path]:
    return site.rglob("*.html")


@needs_mkdocs
def test_pages_show_real_output(site: Path) -> None:
    for page in ("index.html", "katas/01-first.html"):
        assert "RED  kata 01, The first fault" in (site / page).read_text("utf-8")
    assert "PASSED  kata 01" in (site / "index.html").read_text("utf-8")


@needs_mkdocs
def test_hints_and_the_way_to_the_solution_are_folded(site: Path) -> None:
    text = (site / "katas" / "01-first.html").read_text("utf-8")
    article = text[text.index("<article") : text.index("</article")]
    blocks = re.findall(r"<details class=\"question\">.*?</details>", article, re.DOTALL)
    assert [block[: block.index("</summary>")][-40:].count("Level") for block in blocks] == [1] * 3
    outside = re.sub(r"<details.*?</details>", "", article, flags=re.DOTALL)
    assert "Multiply where the function adds" in article
    assert "Multiply where the function adds" not in outside
    assert "solutions/01-first.html" in article
    assert "solutions/01-first.html" not in outside
    assert "<details open" not in article


@needs_mkdocs
def test_solutions_are_not_found_by_the_search(site: Path) -> None:
    index = (site / "search" / "search_index.json").read_text("utf-8")
    assert "katas/01-first.html" in index
    assert "Multiply where the function adds" not in index
    assert not re.search(r'"location": ?"solutions/', index)


@needs_mkdocs
def test_nothing_is_fetched_from_another_host(site: Path) -> None:
    for page in pages(site):
        for address in Links(page.read_text("utf-8")).fetched:
            assert not urlsplit(address).netloc, f"{page.relative_to(site)} fetches {address}"
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", sheet.read_text("utf-8"))


@needs_mkdocs
def test_a_page_with_a_diagram_brings_the_script_before_the_theme(site: Path) -> None:
    with_diagram = [page for page in pages(site) if 'class="mermaid"' in page.read_text("utf-8")]
    for page in with_diagram:
        text = page.read_text("utf-8")
        assert 0 < text.index("mermaid.min.js") < text.index("javascripts/bundle.")
    assert (site / "assets" / "javascripts" / "mermaid.min.js").stat().st_size > 1_000_000


@needs_mkdocs
def test_every_link_and_anchor_resolves_in_a_folder(site: Path) -> None:
    known = {page: Links(page.read_text("utf-8")) for page in pages(site)}
    for page, links in known.items():
        if page.name == "404.html":
            continue  # it is served for any address, so its links begin at the root
        for address in links.linked + links.fetched:
            path, anchor = urldefrag(address)
            if urlsplit(path).scheme:
                continue
            target = (page.parent / unquote(path)).resolve() if path else page
            assert target.is_file(), f"{page.relative_to(site)}: {address}"
            if anchor and target in known:
                assert anchor in known[target].ids, f"{page.relative_to(site)}: {address}"


@needs_mkdocs
def test_the_reference_of_the_probes_is_markdown(site: Path) -> None:
    text = (site / "probes.html").read_text("utf-8")
    assert 'id="fastapi_katas.probes.heartbeat.Heartbeat"' in text
    assert not re.search(r"<p>[^<]*::</p>|:(?:class|func|meth):", text)


@needs_mkdocs
def test_every_rule_is_on_the_built_page(site: Path) -> None:
    ids = Links((site / "rules.html").read_text("utf-8")).ids
    assert {rule.lower() for rule in rules()} <= ids


@needs_mkdocs
def test_no_page_names_a_path_of_this_machine(site: Path) -> None:
    for page in (*pages(site), site / "search" / "search_index.json"):
        assert str(site.parent) not in page.read_text("utf-8")
        assert str(ROOT) not in page.read_text("utf-8")
