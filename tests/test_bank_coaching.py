"""Coaching with the real bank: each near-miss is known by its sentence, right repairs never are."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fastapi_katas.catalog import Catalog, Kata, NearMiss
from fastapi_katas.checker import Runner, Verdict, check, verdict
from fastapi_katas.checker.verdict import LessonData
from fastapi_katas.coach import advise, read_patterns, recognise
from fastapi_katas.progress import KataProgress

if TYPE_CHECKING:
    from conftest import Call

ROOT = Path(__file__).resolve().parent.parent
KATAS = list(Catalog.at(ROOT))
NEAR_MISSES = [
    pytest.param(kata, miss, id=f"{kata.label}-{miss.name}")
    for kata in KATAS
    for miss in kata.near_misses
]
RIGHT = [
    pytest.param(kata, path, id=f"{kata.label}-{path.stem}")
    for kata in KATAS
    for path in (kata.good, *(alternative.path for alternative in kata.alternatives))
]


def failing(kata: Kata, pattern: dict[str, str]) -> Verdict:
    """A verdict with just these red tests, each with the key of its lesson."""
    kinds = {test.name: test.kind for test in kata.tests}
    results = tuple(
        verdict.TestResult(
            name, kinds[name.split("[")[0]], "", "failed",
            None if key == "no-lesson" else LessonData(key, "", "", "", {}, ()),
        )
        for name, key in pattern.items()
    )  # fmt: skip
    return Verdict(kata.number, kata.name, kata.title, "fix", str(kata.fix), "red", results)


@pytest.mark.parametrize(("kata", "miss"), NEAR_MISSES)
def test_each_near_miss_gets_its_own_sentence(kata: Kata, miss: NearMiss) -> None:
    pattern = read_patterns(kata)[miss.name]
    assert pattern
    assert recognise(kata, failing(kata, pattern)) == miss.coach


@pytest.mark.parametrize("kata", KATAS, ids=lambda kata: kata.label)
def test_every_pattern_belongs_to_a_near_miss(kata: Kata) -> None:
    assert set(read_patterns(kata)) == {miss.name for miss in kata.near_misses}


@pytest.mark.parametrize(("kata", "path"), RIGHT)
def test_right_repairs_never_get_one(warm: Runner, kata: Kata, path: Path) -> None:
    found = check(kata, str(path), warm)
    assert found.state == "passed"
    advice = advise(kata, found, KataProgress(), touched=True)
    assert (advice.near_miss, advice.hint, advice.focus) == ("", None, None)


@pytest.mark.parametrize("kata", KATAS, ids=lambda kata: kata.label)
def test_the_broken_module_itself_is_no_attempt(warm: Runner, kata: Kata) -> None:
    found = check(kata, "bad", warm)
    assert advise(kata, found, KataProgress(), touched=False).near_miss == ""


@pytest.mark.parametrize("kata", KATAS, ids=lambda kata: kata.label)
def test_a_learner_s_file_that_is_a_near_miss_is_told(
    kata: Kata, tmp_path: Path, call: Call
) -> None:
    for folder in (kata.folder, kata.bank):
        ignore = shutil.ignore_patterns("fix.py", "fix", "__pycache__")
        shutil.copytree(folder, tmp_path / folder.relative_to(kata.root), ignore=ignore)
    (own,) = Catalog.at(tmp_path)
    miss = own.near_misses[0]
    if own.is_package:
        shutil.copytree(miss.path, own.fix)
    else:
        shutil.copy(miss.path, own.fix)
    ran = call(tmp_path, ("check", str(kata.number)))
    assert ran.code == 1, ran.all
    assert miss.coach in " ".join(ran.out.split())
