"""The order that a child process gets: which tests to run on which module."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

DEFAULT_LIMIT_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Job:
    """One run of one kata's tests.

    Attributes:
        tests: The test file.
        root: The root of the course, which pytest takes as its own.
        target: What ``--kata-target`` gets: ``bad``, ``fix``, ``good`` or a path.
        events: The file that the child appends its findings to, one JSON object a line.
        limit: Seconds after which a test, or the import of the module, counts as a hang.
        sabotage: Whether the module is spoilt on purpose.
        report: Whether pytest's own report is wanted on standard output.
        processes: How many processes share the tests.
    """

    tests: str
    root: str
    target: str
    events: str
    limit: float = DEFAULT_LIMIT_SECONDS
    sabotage: bool = False
    report: bool = False
    processes: int = 1

    def to_line(self) -> bytes:
        """Write the job as one line."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Job:
        """Read a job from one line."""
        return cls(**json.loads(line))

    @property
    def hang_dump(self) -> Path:
        """Where the stacks go when even Python's threads stand still."""
        return Path(self.events).with_suffix(".stacks")
