"""What the tests of a kata say at build time, remembered until something changes."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import io
import json
import os
import platform
import queue
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from fastapi_katas.catalog import Kata
from fastapi_katas.checker import CodePlace, Runner, Verdict, check, warm_runner
from fastapi_katas.coach import Advice
from fastapi_katas.files import write_atomically
from fastapi_katas.render import Face

#: The width of output on a page, in columns.
COLUMNS = 78
#: The state that a module of a kata has, as its name promises.
PROMISED = {"bad": "red", "good": "passed"}

_PACKAGE = Path(__file__).resolve().parents[1]

# The words of a lesson may come from any of these, so another version means another run.
_LIBRARIES = ("anyio", "fastapi", "httpx", "pydantic", "pytest", "starlette", "uvicorn")


class UnexpectedRunError(Exception):
    """A module of a kata did not do what its place promises, so no page may show it."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of a kata's tests said.

    Attributes:
        state: The state of the verdict: ``red``, ``passed``, …
        headline: The verdict line.
        first_red: The kind and the sentence of the first red test; empty if there is none.
        seen: What the lesson of that test saw in the run; empty if there is no lesson.
        output: All that the command prints.
        places: The lines that lessons name, as ``(file, line)``; files relative to the root.
        events: What a test wrote down, in order, by the name of the test.
    """

    state: str
    headline: str
    first_red: str
    seen: str
    output: str
    places: tuple[tuple[str, int], ...] = ()
    events: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, verdict: Verdict, root: Path) -> Run:
        """Take from a verdict what pages show; no path of this machine is kept."""
        verdict = _portable(verdict, root)
        stream = io.StringIO()
        focus = verdict.first_red
        Face(plain=True, stream=stream, width=COLUMNS).verdict(verdict, Advice(focus))
        output = stream.getvalue().replace(f"{root}/", "").strip("\n")
        lesson = focus.lesson if focus else None
        return cls(
            state=verdict.state,
            headline=" ".join(output.split("\n\n")[0].split()),
            first_red=f"{focus.kind or 'test'}: {focus.title or focus.name}" if focus else "",
            seen=lesson.seen if lesson else (focus.message if focus else ""),
            output=output,
            places=tuple(
                (place.file, place.line)
                for result in verdict.red
                if result.lesson
                for place in result.lesson.where
            ),
            events={
                result.name: list(result.events) for result in verdict.results if result.events
            },
        )

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Run:
        """Read a run that was remembered."""
        places = tuple((file, line) for file, line in data["places"])
        return cls(**{**data, "places": places})


class Runs:
    """The runs of a course; each is made once for the same files and versions."""

    def __init__(self, cache: Path) -> None:
        """Use a cache.

        Args:
            cache: The folder for what is remembered; it need not exist.
        """
        self._cache = cache
        self._course = _course_fingerprint()
        self._keys: dict[str, str] = {}
        self._known: dict[str, dict[str, Run]] = {}
        self._lock = threading.Lock()

    def make(self, wanted: Iterable[tuple[Kata, str]]) -> int:
        """Make the runs that are not known yet, several at the same time.

        Args:
            wanted: Katas with their targets; see :meth:`of`.

        Returns:
            How many were made.
        """
        missing = [(kata, target) for kata, target in wanted if not self._has(kata, target)]
        if not missing:
            return 0
        waiting: queue.SimpleQueue[Runner] = queue.SimpleQueue()

        def work(kata: Kata, target: str) -> None:
            runner = waiting.get()
            try:
                self._remember(kata, target, Run.of(check(kata, target, runner), kata.root))
            finally:
                waiting.put(runner)

        # A run waits for its child most of the time, so two per core are not too many.
        count = min(len(missing), 2 * (os.cpu_count() or 1))
        with contextlib.ExitStack() as stack:
            for _ in range(count):
                waiting.put(stack.enter_context(warm_runner()))
            with ThreadPoolExecutor(count) as pool:
                for done in [pool.submit(work, *one) for one in missing]:
                    done.result()
        return len(missing)

    def of(self, kata: Kata, target: str, *, expect: str) -> Run:
        """Return the run of one module.

        Args:
            kata: The kata.
            target: ``bad``, ``good``, or the path of a module.
            expect: The state that the module must have: ``red`` or ``passed``.

        Raises:
            UnexpectedRunError: If it has another one.
        """
        self.make([(kata, target)])
        name = _name(kata, target)
        run = self._of_kata(kata)[name]
        if run.state != expect:
            msg = f"{kata.label}, {name}: expected {expect}, and the tests say: {run.headline}"
            raise UnexpectedRunError(msg)
        return run

    def _has(self, kata: Kata, target: str) -> bool:
        return _name(kata, target) in self._of_kata(kata)

    def _key(self, kata: Kata) -> str:
        if kata.name not in self._keys:
            digest = hashlib.sha256(self._course)
            for path in _files([kata.folder, kata.solution, kata.bank]):
                # A learner's copy changes no page.
                if path != kata.fix and kata.fix not in path.parents:
                    digest.update(path.relative_to(kata.root).as_posix().encode() + b"\0")
                    digest.update(hashlib.sha256(path.read_bytes()).digest())
            self._keys[kata.name] = digest.hexdigest()
        return self._keys[kata.name]

    def _of_kata(self, kata: Kata) -> dict[str, Run]:
        if kata.name not in self._known:
            try:
                data = json.loads(self._file(kata).read_text(encoding="utf-8"))
                found = data["runs"] if data["key"] == self._key(kata) else {}
                self._known[kata.name] = {name: Run.from_data(run) for name, run in found.items()}
            except (OSError, ValueError, TypeError, KeyError):
                self._known[kata.name] = {}
        return self._known[kata.name]

    def _remember(self, kata: Kata, target: str, run: Run) -> None:
        with self._lock:
            runs = self._of_kata(kata)
            runs[_name(kata, target)] = run
            data = {"key": self._key(kata), "runs": {name: asdict(runs[name]) for name in runs}}
            self._cache.mkdir(parents=True, exist_ok=True)
            write_atomically(self._file(kata), json.dumps(data, indent=1).encode())

    def _file(self, kata: Kata) -> Path:
        return self._cache / f"{kata.name}.json"


def _name(kata: Kata, target: str) -> str:
    path = Path(target)
    return path.relative_to(kata.root).as_posix() if path.is_absolute() else target


def _files(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def _course_fingerprint() -> bytes:
    digest = hashlib.sha256(platform.python_version().encode())
    for library in _LIBRARIES:
        digest.update(importlib.metadata.version(library).encode() + b"\0")
    for path in _files([_PACKAGE]):
        # The rest of the site only places what the runs have said.
        if _PACKAGE / "site" not in path.parents or path == Path(__file__).resolve():
            digest.update(path.read_bytes())
    return digest.digest()


def _portable(verdict: Verdict, root: Path) -> Verdict:
    def place(found: CodePlace) -> CodePlace:
        path = Path(found.file)
        if root not in path.parents:
            return found
        return replace(found, file=path.relative_to(root).as_posix())

    return replace(
        verdict,
        results=tuple(
            replace(
                result,
                where=place(result.where) if result.where else None,
                lesson=replace(result.lesson, where=tuple(map(place, result.lesson.where)))
                if result.lesson
                else None,
            )
            for result in verdict.results
        ),
        fault=replace(verdict.fault, where=place(verdict.fault.where))
        if verdict.fault and verdict.fault.where
        else verdict.fault,
    )
