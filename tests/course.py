"""A small course on disk, and the ``kata`` command in it.

Two katas that keep every promise and need no sockets: 01 is one file, 02 is a package. Their files
stand in ``tests/fixtures/course``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi_katas.catalog import Catalog, Kata
from fastapi_katas.checker import Runner, Verdict, check
from fastapi_katas.progress import Progress

FILES = Path(__file__).with_name("fixtures") / "course"

#: What the handler of kata 01 does in BAD, and what it should do.
WRONG, RIGHT = "return PRICE + count", "return PRICE * count"


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended.

    Attributes:
        code: The exit code.
        out: Its standard output.
        err: Its standard error.
    """

    code: int
    out: str
    err: str

    @property
    def all(self) -> str:
        """Everything that a person sees."""
        return self.out + self.err


@dataclass(frozen=True, slots=True)
class Course:
    """A course on disk.

    Attributes:
        root: Its root; the copy of one test, to be changed at will.
        runner: A warm process that checks its katas quickly.
        calls: Runs the command in this process; see :meth:`call`.
    """

    root: Path
    runner: Runner
    calls: Callable[[Path, tuple[str, ...]], Ran]

    @classmethod
    def at(
        cls, root: Path, runner: Runner, calls: Callable[[Path, tuple[str, ...]], Ran]
    ) -> Course:
        """Make the course in a folder that does not exist yet."""
        shutil.copytree(FILES, root, ignore=shutil.ignore_patterns("__pycache__"))
        return cls(root, runner, calls)

    # --- files -------------------------------------------------------------------------------

    @property
    def catalog(self) -> Catalog:
        """The catalog, read anew."""
        return Catalog.at(self.root)

    def kata(self, number: int) -> Kata:
        """A kata by its number."""
        return self.catalog.named(str(number))

    def write(self, path: str | Path, text: str | bytes) -> Path:
        """Write a file; a relative path begins at the root."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return file

    def fix(self, text: str | bytes) -> Path:
        """Write the learner's copy of kata 01."""
        return self.write(self.kata(1).fix, text)

    def handler(self, body: str, *, top: str = "", asynchronous: bool = True) -> Path:
        """Write a copy of kata 01 whose handler has another body.

        Args:
            body: One line; it may use ``os``, ``sys``, ``time`` and ``asyncio``.
            top: A line at the top level of the module.
            asynchronous: Whether the handler is ``async def``.
        """
        text = self.kata(1).bad.read_text("utf-8")
        text = text.replace(
            "from fastapi", f"import asyncio, os, sys, time\n{top}\nfrom fastapi", 1
        )
        text = text.replace("    return {\"total\": total(count)}", f"    {body}")
        return self.fix(text if asynchronous else text.replace("async def", "def"))

    def repair(self, number: int) -> Path:
        """Put the reference repair in the place of the learner's copy."""
        kata = self.kata(number)
        if kata.is_package:
            shutil.copytree(kata.good, kata.fix, dirs_exist_ok=True)
        else:
            shutil.copy(kata.good, kata.fix)
        return kata.fix

    def attempt(self, number: int = 1, *, note: str = "tried") -> Path:
        """Make a copy that is still wrong, but differs from BAD by a comment."""
        kata = self.kata(number)
        if kata.is_package:
            shutil.copytree(kata.bad, kata.fix, dirs_exist_ok=True)
        entry = kata.fix / "__init__.py" if kata.is_package else kata.fix
        source = kata.bad / "__init__.py" if kata.is_package else kata.bad
        entry.write_text(f"{source.read_text('utf-8')}\n# {note}\n", encoding="utf-8")
        return kata.fix

    def tried(self, number: int = 1, first_red: str = "test_price_counts_for_each_item") -> None:
        """Make an attempt, and record it as a check would, without running one."""
        self.attempt(number)
        self.progress.record_check(self.kata(number).name, passed=False, first_red=first_red)

    def passed(self, number: int = 1) -> None:
        """Repair a kata, and record the pass as a check would, without running one."""
        self.repair(number)
        self.progress.record_check(self.kata(number).name, passed=True, first_red="")

    @property
    def progress(self) -> Progress:
        """The progress, read anew."""
        return Progress(self.root)

    def leftovers(self) -> list[str]:
        """The temporary files that somebody forgot: there must be none."""
        marks = (".tmp", ".new", ".old", ".partial")
        return [
            str(path.relative_to(self.root))
            for path in self.root.rglob("*")
            if any(mark in path.name for mark in marks) or path.name == "__pycache__"
        ]

    # --- checks and commands -----------------------------------------------------------------

    def check(self, number: int = 1, target: str = "fix", **options: Any) -> Verdict:
        """Check a kata in a warm process."""
        return check(self.kata(number), target, self.runner, **options)

    def check_hang(self, number: int = 1) -> Verdict:
        """Check a copy that stands still, with the least limit at which this machine gets there.

        Half a second is enough on a quiet machine. On a busy one the limit may come before the
        module is reached; then there is no line to name yet, and a longer limit is tried.
        """
        for limit in (0.5, 2.0, 8.0):
            found = self.check(number, limit=limit)
            if found.fault is not None and found.fault.where is not None:
                break
        return found

    def call(self, *arguments: str) -> Ran:
        """Run the ``kata`` command in this process, with a warm child: quick."""
        return self.calls(self.root, arguments)

    def run(
        self, *arguments: str, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> Ran:
        """Run the ``kata`` command as a process of its own, as a learner does: about a second."""
        process = self.start(*arguments, env=env, cwd=cwd)
        out, err = process.communicate(timeout=60)
        return Ran(process.returncode, out, err)

    def start(
        self, *arguments: str, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.Popen[str]:
        """Start the ``kata`` command as a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "fastapi_katas", *arguments],
            cwd=cwd or self.root,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
