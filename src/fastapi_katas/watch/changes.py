"""Tells that files of a kata may have changed: by events of the system, else by looking."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Protocol

#: How often files are looked at where events arrive: a safety net, and a proof that they do.
SELDOM_SECONDS = 1.0
#: How often they are looked at where no events arrive.
OFTEN_SECONDS = 0.25

# Milliseconds, as watchfiles wants them: how long to wait for more events of the same save, and
# at most, while a burst goes on; how long one call waits for the first event.
_STEP, _BURST, _PATIENCE = 20, 200, 60


class Events(Protocol):
    """A source of events about one folder."""

    def close(self) -> None:
        """Stop; no event comes afterwards."""


#: Starts a source for a folder, which calls a function, in any thread, when something happened.
StartEvents = Callable[[Path, Callable[[], None]], Events]


class SystemEvents:
    """Events of the operating system, through ``watchfiles``, received in a thread of its own."""

    def __init__(self, folder: Path, happened: Callable[[], None]) -> None:
        """Begin to receive.

        Args:
            folder: The folder; what stands below it counts too.
            happened: Called after each group of events.

        Raises:
            ImportError: If ``watchfiles`` is not installed.
            OSError: If the system gives no events, for example because its limit is reached.
        """
        import watchfiles

        self._happened = happened
        self._stop = threading.Event()
        self._groups = watchfiles.watch(
            folder,
            watch_filter=None,
            debounce=_BURST,
            step=_STEP,
            rust_timeout=_PATIENCE,
            yield_on_timeout=True,
            # Polling is ours: it starts when it is seen that events do not arrive.
            force_polling=False,
            ignore_permission_denied=True,
            # The first call is made in the main thread, where a Ctrl-C must not be lost.
            raise_interrupt=True,
            stop_event=self._stop,
        )
        # The first group is waited for here: then the system is asked, and errors are ours.
        self._tell(next(self._groups, set()))
        self._thread = threading.Thread(target=self._receive, daemon=True, name="kata-events")
        self._thread.start()

    def _tell(self, group: Collection[object]) -> None:
        if group:
            self._happened()

    def _receive(self) -> None:
        try:
            for group in self._groups:
                self._tell(group)
        except Exception:  # noqa: BLE001 - whatever ends the events, looking takes their place
            return

    def close(self) -> None:
        """Stop receiving."""
        self._stop.set()
        self._thread.join(timeout=2.0)


class Changes:
    """Wakes the watch when files may have changed, and knows how often it must look by itself.

    Events are only a wish to look: what changed is seen by comparing files. So an event that is
    lost, doubled or about a temporary file does no harm. A change that is seen without any event
    proves that they do not arrive here (a network drive, a folder of Windows seen from Linux);
    from then on the files are looked at often.
    """

    def __init__(
        self,
        folder: Path,
        wake: Callable[[], None],
        *,
        poll: bool = False,
        start: StartEvents = SystemEvents,
    ) -> None:
        """Begin.

        Args:
            folder: The folder of the kata.
            wake: Called in any thread when it is time to look.
            poll: Whether to do without events from the beginning.
            start: Where the events come from.
        """
        self._wake = wake
        self._arrived = 0
        self._events: Events | None = None
        if not poll:
            try:
                self._events = start(folder, self._note)
            except (ImportError, OSError, RuntimeError):
                self._events = None  # no wheel for this system, or a limit of the kernel

    def _note(self) -> None:
        self._arrived += 1
        self._wake()

    @property
    def polls(self) -> bool:
        """Whether files are looked at often, for want of events."""
        return self._events is None

    @property
    def interval(self) -> float:
        """Seconds until the files should be looked at, if no event comes."""
        return OFTEN_SECONDS if self.polls else SELDOM_SECONDS

    def mark(self) -> int:
        """Return a mark for :meth:`doubt`: to be taken just before files are looked at."""
        return self._arrived

    def doubt(self, mark: int) -> bool:
        """Take note that a change was found; without an event, polling begins.

        Args:
            mark: The mark of the last look that did not see the change. Events take a moment to
                arrive, so some time should pass between the find and this call.

        Returns:
            Whether polling begins just now.
        """
        if self._events is None or self._arrived != mark:
            return False
        self.close()
        return True

    def close(self) -> None:
        """Stop the events."""
        if self._events is not None:
            self._events.close()
            self._events = None
