"""The two pages of a kata: the one to work with, and the solution."""

from __future__ import annotations

import re

from fastapi_katas.catalog import Alternative, Catalog, Hint, Kata, NearMiss
from fastapi_katas.catalog.page import OUTPUT_MARKER, SEQUENCE_MARKER
from fastapi_katas.site.markup import (
    code,
    difference,
    folded,
    kata_uri,
    output,
    solution_uri,
    sources,
    table,
)
from fastapi_katas.site.runs import PROMISED, Run, Runs, UnexpectedRunError
from fastapi_katas.site.sequences import sequence_diagram

_DIFFICULTY = {1: "1 of 3, a first step", 2: "2 of 3, takes thought", 3: "3 of 3, hard"}

_NEEDS = {
    "threads": "threads",
    "sockets": "sockets on this machine",
    "processes": "processes",
    "database": "a database",
    "redis": "Redis",
}


def needs_of(kata: Kata) -> str:
    """What the tests of a kata use beyond one event loop, in words."""
    return ", ".join(_NEEDS[need] for need in kata.page.head.needs) or "nothing special"


def targets_of(kata: Kata) -> list[str]:
    """The modules whose runs the pages of a kata show."""
    misses = [str(miss.path) for miss in kata.near_misses]
    return ["bad", "good", *misses, *(str(other.path) for other in kata.alternatives)]


def kata_page(kata: Kata, catalog: Catalog, runs: Runs) -> str:
    """Write the page of a kata.

    Raises:
        CatalogError: If a file of the kata breaks its format.
        UnexpectedRunError: If the broken module is not red, or a test that shall be shown as a
            picture has written nothing down.
    """
    run = runs.of(kata, "bad", expect="red")
    said = output(run.output, f"kata check {kata.number}, on {kata.bad.name}")
    body = _with_sequences(kata.page.body.strip(), kata, runs).replace(OUTPUT_MARKER, said)
    exhibit = _exhibit(kata, run)
    marker = "## Your task"
    body = body.replace(marker, f"{exhibit}\n{marker}", 1) if marker in body else body + exhibit
    return "\n".join([
        f"# {_heading(kata)}",
        "",
        _facts(kata, catalog),
        body,
        "",
        _hints(kata),
        _way_to_solution(kata),
        _references(kata),
    ])  # fmt: skip


def _with_sequences(text: str, kata: Kata, runs: Runs) -> str:
    """Put pictures of recorded events in the place of their markers."""

    def draw(marker: re.Match[str]) -> str:
        target, test = marker[1], marker[2]
        run = runs.of(kata, target, expect=PROMISED[target])
        if test not in run.events:
            msg = f"{kata.label}, {target}: {test} has written no events down for its picture"
            raise UnexpectedRunError(msg)
        return sequence_diagram(run.events[test])

    return SEQUENCE_MARKER.sub(draw, text)


def _heading(kata: Kata) -> str:
    return f"Kata {kata.number:02d}: {kata.page.head.title}"


def _facts(kata: Kata, catalog: Catalog) -> str:
    head = kata.page.head
    known = {other.number: other for other in catalog}
    requires = [
        f"[{number:02d} {known[number].title}]({_beside(known[number])})"
        if number in known
        else f"{number:02d}"
        for number in head.requires
    ]
    rows = [
        ("Law", head.law),
        ("Track", head.track),
        ("Time", f"{head.minutes} minutes"),
        ("Difficulty", _DIFFICULTY[head.difficulty]),
        ("Do first", ", ".join(requires) or "nothing, start here"),
        ("The tests use", needs_of(kata)),
        ("Rules", ", ".join(f"[{rule}](../rules.md#{rule.lower()})" for rule in head.rules)),
        ("Your file", f"`katas/{kata.name}/{kata.fix.name}`, checked with `nox -s {kata.label}`"),
    ]
    return table(("About", "This kata"), rows)


def _beside(kata: Kata) -> str:
    return kata_uri(kata).partition("/")[2]


def _exhibit(kata: Kata, run: Run) -> str:
    lines: dict[str, set[int]] = {}
    for file, line in run.places:
        lines.setdefault(file.removeprefix(f"katas/{kata.name}/"), set()).add(line)
    blocks = []
    marked = False
    for name, text in sources(kata.bad).items():
        named = sorted(line for line in lines.get(name, ()) if line)
        marked = marked or bool(named)
        highlight = " ".join(map(str, named))
        if text.strip():
            blocks.append(code(text, "python", title=name, linenums="1", hl_lines=highlight))
    note = "This is the module that your copy begins with."
    if marked:
        note += " The marked lines are those that the tests of the run above name."
    return f"## The broken module\n\n{note}\n\n" + "\n".join(blocks)


def _hints(kata: Kata) -> str:
    titles = {test.name: test.title for test in kata.tests}
    blocks = [_hint(hint, titles) for hint in sorted(kata.hints, key=lambda hint: hint.level)]
    # Hints are for those who ask, so the search does not show them.
    return (
        "## Hints { data-search-exclude }\n\n"
        "Try first. Then open one hint at a time: level 1 asks, level 2 points to the place, "
        "level 3 tells the change in words.\n\n" + "\n".join(blocks)
    )


def _hint(hint: Hint, titles: dict[str, str]) -> str:
    tests = "\n".join(f"- {titles.get(test) or test}" for test in hint.tests)
    body = f"{hint.text}\n\nIt helps with:\n\n{tests}"
    return folded("question", f"Level {hint.level}: {hint.title}", body)


def _way_to_solution(kata: Kata) -> str:
    body = (
        "The page shows the whole answer. It helps most after you have passed, or after the last "
        f"hint.\n\n[Show the solution of kata {kata.number:02d}](../{solution_uri(kata)})"
    )
    return f"## Solution {{ data-search-exclude }}\n\n{folded('danger', 'Spoiler', body)}"


def _references(kata: Kata) -> str:
    lines = [f"- [{reference.title}]({reference.url})" for reference in kata.page.head.references]
    return "## Official documentation\n\n" + "\n".join(lines) + "\n"


def solution_page(kata: Kata, runs: Runs) -> str:
    """Write the page of a solution.

    Raises:
        CatalogError: If a file of the kata breaks its format.
        UnexpectedRunError: If a module of the bank is not as red or green as its place says.
    """
    good = runs.of(kata, "good", expect="passed")
    whole = "\n".join(
        code(text, "python", title=name, linenums="1")
        for name, text in sources(kata.good).items()
        if text.strip()
    )
    parts = [
        # The answer is not to be met by accident.
        "---\nsearch:\n  exclude: true\n---\n",
        f"# Solution of kata {kata.number:02d}: {kata.page.head.title}\n",
        f"This page shows the answer. [Back to the kata](../{kata_uri(kata)})\n",
        f"**{kata.page.head.law}**\n",
        "## The change\n",
        code(difference(kata.bad, kata.good), "diff", title="BAD → GOOD"),
        folded("example", "The whole repaired module", whole),
        output(good.output, f"kata check {kata.number}, on {kata.good.name}"),
        _with_sequences(kata.notes_file.read_text(encoding="utf-8").strip(), kata, runs) + "\n",
        "## What people try first, and how it fails\n",
        "Each verdict below comes from a run when this page was made.\n",
        *(_near_miss(kata, miss, runs) for miss in kata.near_misses),
        "## Other repairs that pass\n",
        *(_alternative(kata, other, runs) for other in kata.alternatives),
    ]
    return "\n".join(parts)


def _near_miss(kata: Kata, miss: NearMiss, runs: Runs) -> str:
    run = runs.of(kata, str(miss.path), expect="red")
    said = f"{run.headline}\n\n{run.first_red}\n  {run.seen}"
    change = code(difference(kata.bad, miss.path), "diff", title="BAD → this attempt")
    return "\n".join([
        f"### {_capital(miss.title)}\n",
        f"{miss.coach}\n",
        f"*Why people write it:* {miss.why}\n",
        code(said, "text", title="What the tests say"),
        folded("example", "The attempt", change),
    ])  # fmt: skip


def _alternative(kata: Kata, other: Alternative, runs: Runs) -> str:
    run = runs.of(kata, str(other.path), expect="passed")
    change = code(difference(kata.bad, other.path), "diff", title="BAD → this repair")
    return "\n".join([
        f"### {_capital(other.title)}\n",
        f"*Right because:* {other.right_because}\n",
        f"*Trade-off:* {other.trade_off}\n",
        code(run.headline, "text", title="What the tests say"),
        folded("example", "The repair", change),
    ])  # fmt: skip


def _capital(title: str) -> str:
    return title[:1].upper() + title[1:]
