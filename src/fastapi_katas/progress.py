"""What the learner has done: attempts, hints taken, passes.

One small JSON file below ``.kata``. It is written as a whole, under a lock, so that two checks at
once lose nothing; a file that is damaged or comes from a newer version is set aside, never lost.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi_katas.files import reason, stamp, write_atomically

VERSION = 1

_LOCK_SECONDS = 10.0


@dataclass(slots=True)
class KataProgress:
    """What was done in one kata.

    Attributes:
        attempts: How many times the learner's own copy was checked after a change.
        passed_at: When it passed first, in UTC and ISO format; empty if it has not.
        hints: For each test, the highest level of hint that was taken.
        first_red: The test that was to be looked at after the last check; empty if none was red.
    """

    attempts: int = 0
    passed_at: str = ""
    hints: dict[str, int] = field(default_factory=dict)
    first_red: str = ""

    @property
    def passed(self) -> bool:
        """Whether the kata was ever passed."""
        return bool(self.passed_at)


class Progress:
    """The file of progress of one course.

    Attributes:
        notices: What the learner must be told about the file, one sentence each.
    """

    def __init__(self, root: Path) -> None:
        """Make the keeper of a course's progress; nothing is read or written yet.

        Args:
            root: The root of the course.
        """
        self._folder = root / ".kata"
        self._file = self._folder / "progress.json"
        self.notices: list[str] = []

    def of(self, kata: str) -> KataProgress:
        """Return what was done in a kata.

        Args:
            kata: The name of its folder.
        """
        return self._read().get(kata, KataProgress())

    def all(self) -> dict[str, KataProgress]:
        """Return what was done in each kata that was begun."""
        return self._read()

    def record_check(self, kata: str, *, passed: bool, first_red: str | None) -> None:
        """Record that the learner's copy was checked.

        Args:
            kata: The name of the folder.
            passed: Whether every test was green.
            first_red: The test to look at next; empty if none is red; ``None`` if the tests did
                not say, so that the test of the check before stays the one to look at.
        """
        def change(entry: KataProgress) -> None:
            entry.attempts += 1
            if first_red is not None:
                entry.first_red = first_red
            if passed and not entry.passed_at:
                entry.passed_at = datetime.now(UTC).isoformat(timespec="seconds")

        self._change(kata, change)

    def record_hint(self, kata: str, test: str, level: int) -> None:
        """Record that a hint was taken.

        Args:
            kata: The name of the folder.
            test: The test that the hint is tied to.
            level: The level of the hint.
        """
        def change(entry: KataProgress) -> None:
            entry.hints[test] = max(level, entry.hints.get(test, 0))

        self._change(kata, change)

    def _change(self, kata: str, change: Callable[[KataProgress], None]) -> None:
        """Change one entry under the lock. What cannot be saved is told, not raised."""
        from filelock import FileLock, Timeout  # a slow import that reading does not need

        try:
            self._folder.mkdir(exist_ok=True)
            with FileLock(self._folder / "progress.lock", timeout=_LOCK_SECONDS):
                entries = self._read(set_aside=True)
                change(entries.setdefault(kata, KataProgress()))
                data = {
                    "version": VERSION,
                    "katas": {name: asdict(entry) for name, entry in sorted(entries.items())},
                }
                text = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
                write_atomically(self._file, text.encode())
        except Timeout:
            self._tell("Your progress was not saved: another check holds the file for too long.")
        except OSError as error:
            self._tell(f"Your progress was not saved: {reason(error)}.")

    def _read(self, *, set_aside: bool = False) -> dict[str, KataProgress]:
        try:
            text = self._file.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            if set_aside:
                raise  # what cannot be read must not be written over
            self._tell(f"Your progress cannot be read: {reason(error)}.")
            return {}
        try:
            data = json.loads(text)
            version = data["version"]
            if version == VERSION:
                return {name: _entry(entry) for name, entry in data["katas"].items()}
            problem = f"was written by another version of the course (format {version})"
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            problem = "is damaged"
        if set_aside:
            kept = self._file.with_name(f"progress.kept-{stamp()}.json")
            self._file.replace(kept)
            self._tell(f"The file of your progress {problem}. It is kept as {kept}.")
        else:
            self._tell(f"The file of your progress {problem}: {self._file}.")
        return {}

    def _tell(self, notice: str) -> None:
        if notice not in self.notices:
            self.notices.append(notice)


def _entry(data: Any) -> KataProgress:
    entry = KataProgress(**data)
    kinds = (int, str, dict, str)
    values = (entry.attempts, entry.passed_at, entry.hints, entry.first_red)
    if not all(
        isinstance(value, kind) for value, kind in zip(values, kinds, strict=True)
    ) or not all(isinstance(level, int) for level in entry.hints.values()):
        msg = "an entry has a field of the wrong type"
        raise TypeError(msg)
    return entry
