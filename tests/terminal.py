"""A pseudo-terminal with the ``kata`` command in it: what is typed there, and what is seen."""

from __future__ import annotations

import contextlib
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

#: A bound that only ends a test that hangs.
PATIENCE_SECONDS = 60.0

#: What a program writes to clear the screen.
CLEAR = "\x1b[2J"

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\].*?(?:\x07|\x1b\\))")


class Terminal:
    """Runs the command on a pseudo-terminal that it owns, as a shell's terminal is owned."""

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        columns: int = 100,
        before: str = "",
    ) -> None:
        """Start the command.

        Args:
            folder: Where it stands.
            arguments: Its arguments.
            env: Environment variables to set besides.
            columns: The width.
            before: Python code that runs in the process before the command does.
        """
        import fcntl
        import struct
        import termios

        self._ours, theirs = os.openpty()
        # Kept open: the terminal outlives the command, as it does below a shell.
        self._theirs = theirs
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.before = self.attributes()
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in {"NO_COLOR", "COLUMNS", "LINES", "FORCE_COLOR"}
        }
        # A session of its own, whose terminal this is: then Ctrl-C and Ctrl-Z are signals.
        own = "import fcntl, termios\nfcntl.ioctl(0, termios.TIOCSCTTY, 0)"
        code = f"{own}\n{before}\nfrom fastapi_katas.cli import main\nmain()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            cwd=folder,
            env={**inherited, "TERM": "xterm-256color", "PYTHONDONTWRITEBYTECODE": "1",
                 **(env or {})},
            stdin=theirs, stdout=theirs, stderr=theirs,
            start_new_session=True,
        )  # fmt: skip
        self.raw = ""
        self._read_to = 0
        self._plain = ""

    def attributes(self) -> list[Any]:
        """How the terminal is set: echo, lines, special characters."""
        import termios

        return termios.tcgetattr(self._theirs)

    def expect(self, text: str) -> str:
        """Wait until a text is seen that was not seen by an earlier call.

        Args:
            text: The text; a run of white space matches any other.

        Returns:
            What was seen before it, and the text.

        Raises:
            AssertionError: If it does not come; with all that came instead.
        """
        wanted = re.compile(r"\s+".join(map(re.escape, text.split())))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            if found := wanted.search(self._plain, self._read_to):
                seen = self._plain[self._read_to : found.end()]
                self._read_to = found.end()
                return seen
            ended = self.process.poll() is not None
            more = self._receive(0.1)
            if (ended and not more) or time.monotonic() > deadline:
                msg = f"{text!r} was not seen. Seen since the last:\n{self.unseen}"
                raise AssertionError(msg)

    @property
    def unseen(self) -> str:
        """What came since the last text that was expected, as far as it was received."""
        return self._plain[self._read_to :]

    @property
    def text(self) -> str:
        """All that was received, without escapes."""
        return self._plain

    def _receive(self, seconds: float) -> bool:
        if not select.select([self._ours], [], [], seconds)[0]:
            return False
        data = b""
        with contextlib.suppress(OSError):
            data = os.read(self._ours, 65_536)
        self.raw += data.decode("utf-8", "replace").replace("\r\n", "\n")
        self._plain = _ESCAPES.sub("", self.raw)
        return bool(data)

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self._ours, keys.encode())

    def wait(self) -> int:
        """Wait for the end of the command, and return its exit code."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            self._receive(0.05)
        while self._receive(0.0):
            pass
        return self.process.wait(timeout=1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)
