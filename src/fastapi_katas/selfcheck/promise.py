"""A broken promise: what a kata owes its learners and does not keep."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class BrokenPromise:
    """One promise that a kata breaks.

    Attributes:
        kata: The name of the kata's folder.
        code: A short stable name of the promise, for example ``already-green``.
        file: The file to mend.
        problem: What is wrong and how to mend it, in one or two sentences.
    """

    kata: str
    code: str
    file: Path
    problem: str

    def __str__(self) -> str:
        return f"{self.kata} [{self.code}] {self.file}\n    {self.problem}"
