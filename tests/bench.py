"""The speed of the course, as ratios of two things that are measured in one run.

Run by ``nox -s bench``. Machines differ and are shared, so no time of its own says anything here:
each thing is measured beside another one, turn by turn, and the median of the ratios is compared
with its budget. The run fails only where a ratio is far beyond: more than twice the budget.
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fastapi_katas.catalog import Catalog, Kata

ROOT = Path(__file__).resolve().parent.parent
#: A ratio that is so many times its budget is no noise.
FAR_BEYOND = 2.0
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        what: What was measured.
        beside: What it was measured beside.
        ratios: One ratio for each pair of measurements.
        budget: The ratio that it should not exceed.
    """

    what: str
    beside: str
    ratios: Sequence[float]
    budget: float

    @property
    def ratio(self) -> float:
        """The median of the ratios."""
        return statistics.median(self.ratios)

    @property
    def is_far_beyond(self) -> bool:
        """Whether the run fails because of this row."""
        return self.ratio > FAR_BEYOND * self.budget

    def __str__(self) -> str:
        word = "ok" if self.ratio <= self.budget else "over"
        word = "FAR BEYOND" if self.is_far_beyond else word
        return (
            f"{self.what:<44} {self.beside:<34} {len(self.ratios):>5} {self.ratio:>6.2f} "
            f"{min(self.ratios):>5.2f}-{max(self.ratios):<5.2f} {self.budget:>6.2f}  {word}"
        )


HEAD = f"{'what':<44} {'beside':<34} {'pairs':>5} {'median':>6} {'range':>11} {'budget':>6}"


def seconds(command: Sequence[str]) -> float:
    """Run a command at the root of the course and return how long it took.

    Raises:
        subprocess.CalledProcessError: If it does not end with 0: then it has not done its work.
    """
    start = time.perf_counter()
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)
    return time.perf_counter() - start


def pairs(count: int, first: Callable[[], float], second: Callable[[], float]) -> list[float]:
    """Measure two things in turn, and return their ratios."""
    return [first() / second() for _ in range(count)]


def program(name: str) -> str:
    """A program of the environment that runs this file."""
    return str(Path(sys.executable).with_name(name))


def pytest_on(kata: Kata) -> list[str]:
    """The command that everything is compared with: a cold pytest on the tests of a kata."""
    return [
        sys.executable, "-m", "pytest", "-q", "--kata-target", "good", str(kata.tests_file),
    ]  # fmt: skip


class Watching:
    """``kata watch`` on a copy of the course: each save is answered by a verdict."""

    def __init__(self, root: Path, kata: Kata) -> None:
        copy = root / kata.folder.relative_to(ROOT)
        self._fix, self._good = copy / "fix.py", kata.good.read_text(encoding="utf-8")
        self._save(self._good)
        self._process = subprocess.Popen(
            [program("kata"), "watch", str(kata.number), "--plain"],
            cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._head = ["PASSED", "kata", f"{kata.number:02},"]
        self._seen = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()
        self._saves = 0
        self._wait()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            if line.split()[:3] == self._head:
                self._seen.set()

    def _wait(self) -> None:
        if not self._seen.wait(_PATIENCE_SECONDS):
            msg = "`kata watch` gave no verdict"
            raise TimeoutError(msg)
        self._seen.clear()

    def _save(self, text: str) -> None:
        unfinished = self._fix.with_name("fix.py.tmp")
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(self._fix)

    def save(self) -> float:
        """Save a changed copy and return the seconds until its verdict is there."""
        time.sleep(0.2)  # the watch has come to rest, as it has when a person types
        self._saves += 1
        start = time.perf_counter()
        self._save(f"{self._good}\n# save {self._saves}\n")
        self._wait()
        return time.perf_counter() - start

    def close(self) -> None:
        """End the watch."""
        self._process.terminate()
        self._process.wait(_PATIENCE_SECONDS)


@contextmanager
def watching(kata: Kata) -> Iterator[Watching]:
    """Start the watch on a copy of the course that is deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix="kata-bench-") as folder:
        root = Path(folder).resolve()
        for part in ("katas", "solutions", "tests/kata_bank"):
            ignored = shutil.ignore_patterns("__pycache__", "fix.py", "fix")
            shutil.copytree(ROOT / part, root / part, ignore=ignored)
        shutil.copy(ROOT / "pyproject.toml", root)
        watch = Watching(root, kata)
        try:
            yield watch
        finally:
            watch.close()


def measure(catalog: Catalog, rounds: int, saves: int) -> Iterator[Row]:
    """Measure the whole table.

    Args:
        catalog: The course.
        rounds: How many pairs for each command.
        saves: How many pairs for the watch.

    Yields:
        The rows, each as soon as it is there.
    """
    kata = catalog.named("1")
    cold = pytest_on(kata)
    beside = "python -m pytest on the same tests"
    nox = [sys.executable, "-m", "nox", "-s", "kata-01", "--", "--target", "good"]
    check = [program("kata"), "check", "1", "--target", "good"]
    seconds(cold), seconds(nox)  # whatever is made once, is made now
    yield Row("nox -s kata-01", beside, pairs(rounds, lambda: seconds(nox), lambda: seconds(cold)),
              1.5)  # fmt: skip
    yield Row("kata check 1", beside, pairs(rounds, lambda: seconds(check), lambda: seconds(cold)),
              1.15)  # fmt: skip
    with watching(kata) as watch:
        yield Row("kata watch 1: from save to verdict", beside,
                  pairs(saves, watch.save, lambda: seconds(cold)), 0.3)  # fmt: skip
    imports = [sys.executable, "-c", "import typer, rich"]
    listing = [program("kata"), "list"]
    yield Row("kata list", 'python -c "import typer, rich"',
              pairs(rounds, lambda: seconds(listing), lambda: seconds(imports)), 2.0)  # fmt: skip
    yield self_check(catalog)


def self_check(catalog: Catalog) -> Row:
    """Measure a self-check of the whole course beside a cold pytest for each of its runs."""
    start = time.perf_counter()
    finished = subprocess.run(
        [program("kata"), "self-check", "--plain"],
        cwd=ROOT, capture_output=True, check=True, text=True,
    )  # fmt: skip
    took = time.perf_counter() - start
    found = re.search(r"(\d+) katas, (\d+) runs", finished.stdout)
    if found is None:
        msg = f"`kata self-check` did not say how many runs it made: {finished.stdout[-200:]!r}"
        raise ValueError(msg)
    cold = statistics.mean(seconds(pytest_on(kata)) for kata in catalog)
    runs = int(found[2])
    return Row(f"kata self-check, {runs} runs", f"{runs} x python -m pytest", [took / runs / cold],
               0.2)  # fmt: skip


def main() -> int:
    """Print the table, and return 1 if a ratio is far beyond its budget."""
    parser = argparse.ArgumentParser(description="The speed of the course, as ratios.")
    parser.add_argument("--rounds", type=int, default=9, help="pairs for each command")
    parser.add_argument("--saves", type=int, default=20, help="pairs for the watch")
    options = parser.parse_args()
    print(HEAD, flush=True)
    rows = []
    for row in measure(Catalog.at(ROOT), options.rounds, options.saves):
        print(row, flush=True)
        rows.append(row)
    return int(any(row.is_far_beyond for row in rows))


if __name__ == "__main__":
    sys.exit(main())
