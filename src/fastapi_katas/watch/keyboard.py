"""Single keys from a terminal, and a terminal that is left as it was found."""

from __future__ import annotations

import _thread
import contextlib
import os
import re
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

#: The keys that end the watch: also Ctrl-D.
QUIT = ("q", "\x04")

# An arrow or function key is a sequence of characters; its letters are no keys of ours.
_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|.)?", re.DOTALL)
# More characters than this at once were pasted, not typed.
_TYPED_AT_MOST = 4


def keys_in(text: str) -> list[str]:
    """Split what a terminal sent into keys.

    Args:
        text: What one read returned.

    Returns:
        One character for each key, in lower case; nothing for a sequence or for pasted text.
    """
    typed = _SEQUENCE.sub("", text)
    return list(typed.lower()) if len(typed) <= _TYPED_AT_MOST else []


class Keyboard:
    """Reads keys in a thread of its own while it is open.

    Attributes:
        busy: Set while a check runs in the main thread: the key to quit interrupts it then.
        quitting: Whether that has happened.
    """

    def __init__(self, pressed: Callable[[str], None]) -> None:
        """Make the reader; nothing is read or changed before it is entered.

        Args:
            pressed: Called with each key, in the thread of the reader.
        """
        self._pressed = pressed
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._before: list[Any] | None = None
        self._handlers: dict[int, Any] = {}
        self.busy = False
        self.quitting = False

    def __enter__(self) -> Self:
        """Let the terminal hand over each key at once, and begin to read."""
        self._enter()
        self._thread = threading.Thread(target=self._read, daemon=True, name="kata-keys")
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the terminal as it was."""
        # A second, impatient Ctrl-C must not come between us and the terminal.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            self._stopped.set()
            self._leave()
            if self._thread is not None:
                self._thread.join(timeout=1.0)
        finally:
            signal.signal(signal.SIGINT, before)

    def _take(self, key: str) -> None:
        if key in QUIT and self.busy:
            self.quitting = True
            _thread.interrupt_main()
        else:
            self._pressed(key)

    if sys.platform == "win32":

        def _enter(self) -> None:
            """A console of Windows needs no preparation."""

        def _leave(self) -> None:
            """Nor does it need to be put back."""

        def _read(self) -> None:
            import msvcrt

            while not self._stopped.wait(0.05):
                while msvcrt.kbhit():
                    key = msvcrt.getwch()
                    if key in {"\x00", "\xe0"}:
                        msvcrt.getwch()  # the second half of an arrow or function key
                    elif key == "\x03":
                        _thread.interrupt_main()
                    else:
                        self._take(key.lower())

    else:

        def _enter(self) -> None:
            import termios

            self._before = termios.tcgetattr(sys.stdin.fileno())
            self._one_key_at_a_time()
            self._handlers = {
                signal.SIGTSTP: signal.signal(signal.SIGTSTP, self._pause),
                signal.SIGCONT: signal.signal(signal.SIGCONT, self._go_on),
            }

        def _leave(self) -> None:
            for number, handler in self._handlers.items():
                signal.signal(number, handler)
            self._handlers = {}
            self._put_back()

        def _one_key_at_a_time(self) -> None:
            import termios

            # Without lines and echo. Ctrl-C stays a signal, and output is not touched.
            attributes = termios.tcgetattr(sys.stdin.fileno())
            attributes[3] &= ~(termios.ICANON | termios.ECHO)
            attributes[6][termios.VMIN], attributes[6][termios.VTIME] = 1, 0
            termios.tcsetattr(sys.stdin.fileno(), termios.TCSANOW, attributes)

        def _put_back(self) -> None:
            import termios

            if self._before is not None:
                # A terminal that was closed meanwhile needs nothing back.
                with contextlib.suppress(termios.error, OSError):
                    termios.tcsetattr(sys.stdin.fileno(), termios.TCSANOW, self._before)

        def _pause(self, number: int, frame: FrameType | None) -> None:
            """Ctrl-Z: the shell gets its terminal back while the watch sleeps."""
            self._put_back()
            os.kill(os.getpid(), signal.SIGSTOP)

        def _go_on(self, number: int, frame: FrameType | None) -> None:
            """`fg`: the shell has changed the terminal meanwhile."""
            self._one_key_at_a_time()

        def _read(self) -> None:
            import select

            keyboard = sys.stdin.fileno()
            while not self._stopped.is_set():
                try:
                    if not select.select([keyboard], [], [], 0.2)[0]:
                        continue
                    data = os.read(keyboard, 1024)
                except OSError:
                    data = b""
                if not data:  # the terminal is gone
                    self._take(QUIT[0])
                    return
                for key in keys_in(data.decode("utf-8", "ignore")):
                    self._take(key)
