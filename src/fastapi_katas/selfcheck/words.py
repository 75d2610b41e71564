"""The promises that can be proved by reading: files, front matter, hints, heads of the bank."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from fastapi_katas.catalog.errors import CatalogError
from fastapi_katas.catalog.hints import LEVELS
from fastapi_katas.catalog.kata import Kata
from fastapi_katas.catalog.page import OUTPUT_MARKER, SECTIONS, SEQUENCE_MARKER, section_titles
from fastapi_katas.catalog.rules import rules
from fastapi_katas.coach import PATTERNS_FILE
from fastapi_katas.selfcheck.promise import BrokenPromise

NEAR_MISSES_AT_LEAST = 4
ALTERNATIVES_AT_LEAST = 2
NOTES_SECTIONS = (
    "Why it works",
    "Trade-offs",
    "Other right ways",
    "What older guides say",
)

_IGNORED = {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache"}


def broken_words(kata: Kata) -> list[BrokenPromise]:
    """Read all files of a kata and return the promises that they break.

    Args:
        kata: The kata.
    """
    found: list[BrokenPromise] = []
    for examine in (_files, _page, _tests, _hints, _bank, _notes):
        try:
            found += [BrokenPromise(kata.name, *problem) for problem in examine(kata)]
        except CatalogError as error:
            found.append(BrokenPromise(kata.name, "format", error.path, error.problem))
    # Two readers may meet the same unreadable file.
    return list(dict.fromkeys(found))


Problem = tuple[str, Path, str]


def _files(kata: Kata) -> Iterator[Problem]:
    for path in (kata.bad, kata.good):
        if not path.exists():
            yield "missing-file", path, "The module is missing: write it."
    allowed = {
        kata.folder: {"README.md", "hints.md", kata.bad.name, kata.fix.name, kata.tests_file.name},
        kata.solution: {"NOTES.md", kata.good.name},
        kata.bank: {"near_misses", "alternatives", PATTERNS_FILE},
    }
    for folder, names in allowed.items():
        if not folder.is_dir():
            yield "missing-file", folder, "The folder is missing: make it."
            continue
        for path in sorted(folder.iterdir()):
            if path.name not in names | _IGNORED:
                yield "stray-file", path, "This file does not belong here: remove it or move it."
    for folder in (kata.bank / "near_misses", kata.bank / "alternatives"):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            is_module = path.suffix == ".py" or (path / "__init__.py").is_file()
            if path.name not in _IGNORED and not is_module:
                yield "stray-file", path, "This file does not belong here: remove it or move it."


def _page(kata: Kata) -> Iterator[Problem]:
    path, page = kata.folder / "README.md", kata.page
    titles = section_titles(page.body)
    if titles != list(SECTIONS):
        wanted = ", ".join(f"`## {title}`" for title in SECTIONS)
        yield "page-sections", path, f"The sections must be, in this order: {wanted}."
    if OUTPUT_MARKER not in page.body:
        problem = f"The page shows no real output: write `{OUTPUT_MARKER}` under What you see."
        yield "page-output", path, problem
    known = {test.name for test in kata.tests}
    for marker in SEQUENCE_MARKER.finditer(page.body):
        if (test := marker[2].partition("[")[0]) not in known:
            yield "page-sequence", path, f"`{marker[0]}` names no test: there is no {test}."
    if f"**{page.head.law}**" not in " ".join(page.body.split()):
        yield "page-law", path, "The section The law must begin with the law of the head, in bold."
    for number in page.head.requires:
        if number >= kata.number:
            problem = f"`requires` names kata {number}, which does not come before this one."
            yield "requires", path, problem
    taught = {name for name, rule in rules().items() if kata.number in rule.katas}
    register = Path(importlib.util.find_spec("fastapi_katas").origin or "").parent  # type: ignore[union-attr]
    for name in page.head.rules:
        if name not in taught:
            problem = f"Rule {name} does not name kata {kata.number}: add it to its `katas`."
            yield "rule-register", register / "catalog" / "rules.toml", problem
    for name in sorted(taught - set(page.head.rules)):
        problem = f"The register says that this kata teaches {name}: add it to `rules`."
        yield "rule-register", path, problem


def _tests(kata: Kata) -> Iterator[Problem]:
    path = kata.tests_file
    counts = Counter(test.name for test in kata.tests)
    for test in kata.tests:
        if not test.kind:
            problem = f"{test.name} (line {test.line}) is neither goal nor guard: mark it."
            yield "test-kind", path, problem
        if not test.title.endswith("."):
            problem = (
                f"{test.name} (line {test.line}) needs a docstring: one sentence for the learner."
            )
            yield "test-title", path, problem
        if counts[test.name] > 1:
            yield "test-name", path, f"{test.name} is defined twice: rename one of them."
    for kind in ("goal", "guard"):
        if not any(test.kind == kind for test in kata.tests):
            yield "test-kind", path, f"There is no {kind}: write at least one."
    for node in ast.walk(ast.parse(path.read_bytes())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            if name.split(".")[0] in {"bad", "fix", "good"}:
                problem = f"The tests import `{name}`: use the fixture `module` instead."
                yield "test-import", path, problem


def _hints(kata: Kata) -> Iterator[Problem]:
    path = kata.folder / "hints.md"
    goals = [test.name for test in kata.tests if test.kind == "goal"]
    names = {test.name for test in kata.tests}
    for hint in kata.hints:
        for unknown in sorted(set(hint.tests) - names):
            problem = (
                f"The hint `{hint.title}` is tied to {unknown}, which is no test: mend the name."
            )
            yield "hint-untied", path, problem
        if hint.level == 1 and "?" not in hint.title + hint.text:
            yield "hint-level", path, f"The hint `{hint.title}` of level 1 must ask a question."
        if hint.level == 2 and "https://" not in hint.text:
            problem = f"The hint `{hint.title}` of level 2 must link to official documentation."
            yield "hint-level", path, problem
    for goal in goals:
        levels = [hint.level for hint in kata.hints_for(goal)]
        if levels != list(LEVELS):
            problem = f"{goal} has hints of the levels {levels}: it needs one each of 1, 2 and 3."
            yield "hint-levels", path, problem


def _bank(kata: Kata) -> Iterator[Problem]:
    names = {test.name for test in kata.tests}
    for entries, wanted, folder, what in (
        (kata.near_misses, NEAR_MISSES_AT_LEAST, "near_misses", "near-misses"),
        (kata.alternatives, ALTERNATIVES_AT_LEAST, "alternatives", "alternatives"),
    ):
        if len(entries) < wanted:
            problem = f"There are {len(entries)} {what}: write at least {wanted}."
            yield "bank-size", kata.bank / folder, problem
        for entry in entries:
            if entry.name in sys.stdlib_module_names or _is_installed(entry.name):
                problem = "The file has the name of an installed module: rename it."
                yield "bank-name", entry.path, problem
    for near_miss in kata.near_misses:
        for unknown in sorted(set(near_miss.rejected_by) - names):
            problem = f"`Rejected by:` names {unknown}, which is no test: mend the name."
            yield "bank-head", near_miss.path, problem
        if not near_miss.rejected_by:
            yield "bank-head", near_miss.path, "`Rejected by:` names no test: name at least one."


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return True


def _notes(kata: Kata) -> Iterator[Problem]:
    path = kata.notes_file
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        yield "notes", path, "The notes on the solution are missing: write them."
        return
    titles = section_titles(text)
    if titles != list(NOTES_SECTIONS):
        wanted = ", ".join(f"`## {title}`" for title in NOTES_SECTIONS)
        yield "notes", path, f"The sections must be, in this order: {wanted}."
    if not text.startswith("## "):
        yield "notes", path, "Begin with the first section: the page has a title of its own."
    if re.search(r"^## .+\n+(?=## |\Z)", text, re.MULTILINE):
        yield "notes", path, "A section is empty: write it."
