"""The table of speeds: how it judges. The speeds themselves are measured by ``nox -s bench``."""

from __future__ import annotations

import subprocess
import sys

import bench
import pytest


@pytest.mark.parametrize(
    ("ratios", "word", "fails"),
    [
        pytest.param([0.9, 5.0, 1.0], "ok", False, id="on the budget, with one slow pair"),
        pytest.param([1.4, 1.5, 1.3], "over", False, id="over the budget"),
        pytest.param([2.5, 2.2, 0.5], "FAR BEYOND", True, id="far beyond"),
    ],
)
def test_a_row_is_judged_by_its_median(ratios: list[float], word: str, fails: bool) -> None:
    row = bench.Row("this", "that", ratios, 1.0)
    assert str(row).endswith(word)
    assert row.is_far_beyond is fails


def test_pairs_are_measured_in_turn() -> None:
    order = []

    def measured(name: str, value: float) -> float:
        order.append(name)
        return value

    ratios = bench.pairs(2, lambda: measured("first", 3.0), lambda: measured("second", 2.0))
    assert ratios == [1.5, 1.5]
    assert order == ["first", "second", "first", "second"]


def test_a_command_that_fails_is_not_measured() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        bench.seconds([sys.executable, "-c", "raise SystemExit(1)"])
