"""One line that says how far long work is: on a terminal only, and gone when the work is done."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import IO

#: Work that takes no longer than this shows nothing.
PATIENCE_SECONDS = 3.0


class StatusLine:
    """A line that replaces itself. In a pipe, in plain mode and on a dumb terminal it is silent."""

    def __init__(self, *, plain: bool = False, stream: IO[str] | None = None) -> None:
        """Make a status line.

        Args:
            plain: Whether nothing is shown: plain output is never overwritten.
            stream: Where to write; standard error if it is not given.
        """
        self._stream = stream or sys.stderr
        self._shown = False
        self._lock = threading.Lock()
        self.active = (
            not plain and self._stream.isatty() and os.environ.get("TERM", "") != "dumb"
        )

    def show(self, text: str) -> None:
        """Put a text in the place of the one before.

        Args:
            text: A short sentence; it is cut at the width of the terminal.
        """
        if not self.active:
            return
        columns = shutil.get_terminal_size().columns
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._stream.write(f"\r\x1b[K{text[: columns - 1]}")
            self._stream.flush()
            self._shown = True

    def clear(self) -> None:
        """Take the line away."""
        with self._lock, contextlib.suppress(OSError, ValueError):
            if self._shown:
                self._stream.write("\r\x1b[K")
                self._stream.flush()
                self._shown = False

    @contextlib.contextmanager
    def ticking(
        self, text: Callable[[int], str], *, after: float = PATIENCE_SECONDS
    ) -> Iterator[None]:
        """Show a text each second while something runs, once it has taken a while.

        Args:
            text: Makes the text from the whole seconds that have gone by.
            after: Seconds before the first text.
        """
        if not self.active:
            yield
            return
        done, begun = threading.Event(), time.monotonic()

        def tick() -> None:
            wait = after
            while not done.wait(wait):
                self.show(text(int(time.monotonic() - begun)))
                wait = 1.0

        thread = threading.Thread(target=tick, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            self.clear()
