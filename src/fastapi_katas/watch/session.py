"""The loop of the watch: look, check, tell, and do what a key asks for."""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from fastapi_katas import workspace
from fastapi_katas.attempt import conclude
from fastapi_katas.catalog.catalog import Catalog
from fastapi_katas.catalog.errors import CatalogError
from fastapi_katas.catalog.kata import Kata
from fastapi_katas.checker.check import check
from fastapi_katas.checker.job import DEFAULT_LIMIT_SECONDS
from fastapi_katas.checker.process import Runner
from fastapi_katas.checker.verdict import Verdict
from fastapi_katas.coach import Advice, next_hint
from fastapi_katas.files import reason
from fastapi_katas.progress import Progress
from fastapi_katas.render import Face
from fastapi_katas.watch.changes import Changes, StartEvents, SystemEvents
from fastapi_katas.watch.keyboard import QUIT, Keyboard
from fastapi_katas.watch.sources import Snapshot, changed_names, take_snapshot

# A file that is missing or empty gets some time: many editors remove or cut it first, and write it
# then. Any other save is checked at once; if files change meanwhile, the run is made again.
_LOOK_SECONDS = 0.03
_BETWEEN_SECONDS = 0.4
_MOST_RUNS = 5

_KEYS = (
    "h hint", "a all lessons", "c check again", "n next", "l list", "r reset", "u undo", "q quit",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Key:
    """A key was pressed."""

    text: str


class _Wake:
    """Files may have changed."""


class Watch:
    """Checks one kata whenever its files change, until the learner ends it."""

    def __init__(
        self,
        catalog: Catalog,
        face: Face,
        runner: Runner,
        *,
        interactive: bool,
        limit: float = DEFAULT_LIMIT_SECONDS,
        poll: bool = False,
        events: StartEvents = SystemEvents,
    ) -> None:
        """Make a watch; nothing happens before :meth:`run`.

        Args:
            catalog: The course.
            face: Where verdicts are told.
            runner: Where the processes of the checks come from.
            interactive: Whether there is a terminal, to read keys from and to clear.
            limit: Seconds after which a test counts as a hang.
            poll: Whether to look at the files often from the beginning, without events.
            events: Where events about files come from.
        """
        self._catalog = catalog
        self._face = face
        self._runner = runner
        self._interactive = interactive
        self._limit = limit
        self._poll = poll
        self._start_events = events
        self._progress = Progress(catalog.root)
        self._inbox: queue.SimpleQueue[_Key | _Wake] = queue.SimpleQueue()
        self._keyboard = Keyboard(lambda key: self._inbox.put(_Key(key)))
        self._kata = catalog.katas[0]
        self._changes: Changes | None = None
        self._seen: Snapshot = {}
        self._mark = 0
        self._verdict: Verdict | None = None
        self._advice = Advice()
        self._missing = False
        self._yes: Callable[[], None] | None = None
        self._actions: dict[str, Callable[[], None]] = {
            "h": self._hint, "a": self._all, "c": self._check, "\r": self._check,
            "\n": self._check, "n": self._next, "l": self._list, "r": self._reset,
            "u": self._undo, "?": self._show_keys,
        }  # fmt: skip

    @property
    def kata(self) -> Kata:
        """The kata that is watched now."""
        return self._kata

    def run(self, kata: Kata) -> bool:
        """Watch until the learner quits.

        Args:
            kata: The kata to begin with.

        Returns:
            Whether the learner has quit; otherwise there was a Ctrl-C.

        Raises:
            WorkspaceError: If there is no copy and it cannot be made.
        """
        started = workspace.start(kata)
        try:
            if self._interactive:
                with self._keyboard:
                    self._watch(kata, started)
            else:
                self._watch(kata, started)
        except KeyboardInterrupt:
            return self._keyboard.quitting
        finally:
            if self._changes is not None:
                self._changes.close()
        return True

    def _watch(self, kata: Kata, started: workspace.Started) -> None:
        self._turn_to(kata)
        told = [f"Your copy is {started.path}."] if started.created else []
        if not self._interactive:
            told.append(f"{kata.label} is checked now and after each save. Ctrl-C ends this.")
        self._check(" ".join(told))
        self._loop()

    def _loop(self) -> None:
        while True:
            assert self._changes is not None
            try:
                event = self._inbox.get(timeout=self._changes.interval)
            except queue.Empty:
                event = _Wake()
            if isinstance(event, _Wake):
                self._look()
            elif event.text in QUIT:
                return
            else:
                self._press(event.text)

    # --- files ---------------------------------------------------------------------------------

    def _turn_to(self, kata: Kata) -> None:
        if self._changes is not None:
            self._changes.close()
        self._kata = kata
        self._verdict, self._advice, self._missing = None, Advice(), False
        self._changes = Changes(
            kata.folder,
            lambda: self._inbox.put(_Wake()),
            poll=self._poll,
            start=self._start_events,
        )
        self._remember()

    def _remember(self) -> None:
        """Take what the files hold now as seen."""
        assert self._changes is not None
        self._mark = self._changes.mark()
        self._seen = take_snapshot(self._kata.folder)

    def _look(self) -> None:
        """Check if files have changed since the last check began."""
        assert self._changes is not None
        mark = self._mark
        changed = take_snapshot(self._kata.folder) != self._seen
        if changed:
            now = self._settle()
            changed = now != self._seen
        if changed:
            names = changed_names(self._seen, now)
            back = " It is back." if self._missing and self._kata.fix.exists() else ""
            self._check(f"Changed: {', '.join(names)}.{back}")
        if changed and self._changes.doubt(mark):
            self._face.say(
                "This folder gives no events about saved files, so they are looked at four times "
                "a second.",
                "dim",
            )

    def _settle(self) -> Snapshot:
        """Wait for the copy that an editor is about to write, but not for ever."""
        begun = time.monotonic()
        while self._between() and time.monotonic() - begun < _BETWEEN_SECONDS:
            time.sleep(_LOOK_SECONDS)
        return take_snapshot(self._kata.folder)

    def _between(self) -> bool:
        """Whether the copy looks as in the middle of a save."""
        try:
            entry = self._kata.fix / "__init__.py" if self._kata.is_package else self._kata.fix
            return entry.stat().st_size == 0
        except OSError:
            return True

    # --- checks --------------------------------------------------------------------------------

    def _check(self, told: str = "") -> None:
        """Run the tests and tell the verdict.

        Args:
            told: What is told first: why this check runs.
        """
        self._yes = None
        self._clear()
        if told:
            self._face.say(told, "dim")
        # Before the run: what changes from now on leads to one more.
        self._remember()
        self._missing = not self._kata.fix.exists()
        if self._missing:
            self._verdict = None
            self._say_missing()
            return
        if self._interactive:
            self._face.say(f"Checking {self._kata.label}.", "dim")
        self._keyboard.busy = True
        try:
            verdict = self._verdict_of_whole_save()
        except OSError as error:
            self._verdict = None
            self._face.error(f"The check cannot be run: {reason(error)}.")
            return
        finally:
            self._keyboard.busy = False
        self._verdict = verdict
        self._advice = conclude(self._kata, verdict, self._progress)
        self._clear()
        if told:
            self._face.say(told, "dim")
        self._tell()

    def _verdict_of_whole_save(self) -> Verdict:
        """Run the tests, again if files have changed meanwhile: a save may come in pieces."""
        for _ in range(_MOST_RUNS):
            verdict = check(self._kata, "fix", self._runner, limit=self._limit)
            if take_snapshot(self._kata.folder) == self._seen:
                break
            self._settle()
            self._remember()
        return verdict

    def _tell(self, *, everything: bool = False) -> None:
        """Tell the last verdict, and what can be done now."""
        assert self._verdict is not None
        self._say_notices()
        self._face.verdict(self._verdict, self._advice, everything=everything, what_next=False)
        self._face.say()
        if self._verdict.passed:
            self._announce_pass()
        else:
            files = "a file in fix" if self._kata.is_package else self._kata.fix.name
            text = f"Next: change {files} and save it."
            if self._interactive and self._advice.hint is not None:
                does = "asks a question" if self._advice.hint.level == 1 else "says more"
                text += f" The key h {does} about the first red test."
            self._face.say(text)
        self._show_keys()

    def _announce_pass(self) -> None:
        number, following = self._kata.number, self._following()
        with contextlib.suppress(CatalogError, OSError):
            self._face.say(f"The law: {self._kata.page.head.law}")
            self._face.say()
        self._face.say(f"`kata solution {number}` compares with the reference repair.")
        if following is None:
            self._face.say("Every kata is passed. Well done: you have walked the whole course.")
        elif self._interactive:
            self._face.say(f"Press n to go on with kata {following.number:02d}.", "bold")
        else:
            self._face.say(f"To go on: end this with Ctrl-C, then `kata watch {following.number}`.")

    def _say_missing(self) -> None:
        self._face.say()
        self._face.say(f"{self._kata.fix.name} is not there any more.", "bold yellow")
        self._face.say("The watch waits until it is back.")
        if self._interactive:
            self._face.say("The key r makes a new one from BAD.")
        else:
            self._face.say(f"`kata reset {self._kata.number}` makes a new one from BAD.")
        self._show_keys()

    def _say_notices(self) -> None:
        for notice in self._progress.notices:
            self._face.say(notice, "yellow")
        self._progress.notices.clear()

    def _clear(self) -> None:
        if self._interactive:
            self._face.console.clear()
        else:
            self._face.say()

    def _show_keys(self) -> None:
        if self._interactive:
            self._face.say()
            line = ""
            for key in _KEYS:
                longer = f"{line}   {key}" if line else key
                if len(longer) > self._face.console.width:
                    self._face.say(line, "dim")  # a key and its word stay together
                    longer = key
                line = longer
            self._face.say(line, "dim")

    # --- keys ----------------------------------------------------------------------------------

    def _press(self, key: str) -> None:
        if self._yes is not None:
            do, self._yes = self._yes, None
            if key == "y":
                do()
            else:
                self._face.say("No. Everything stays as it is.")
        elif action := self._actions.get(key):
            action()

    def _ask(self, question: str, do: Callable[[], None]) -> None:
        self._face.say()
        self._face.say(f"{question} y/n", "bold")
        self._yes = do

    def _all(self) -> None:
        if self._verdict is None:
            self._face.say("There is no verdict yet.")
            return
        self._clear()
        self._tell(everything=True)

    def _hint(self) -> None:
        self._face.say()
        kata, entry = self._kata, self._progress.of(self._kata.name)
        if self._verdict is not None and self._verdict.passed:
            self._face.say("Nothing is red.")
        elif not entry.attempts:
            self._face.say(f"Try first: change {kata.fix.name} and save it.")
        elif not entry.first_red:
            self._face.say("No test has run yet. First mend what is told above.")
        else:
            self._show_hint(entry.first_red)
        self._say_notices()

    def _show_hint(self, test: str) -> None:
        try:
            hints = self._kata.hints_for(test)
            hint = next_hint(self._kata, test, self._progress.of(self._kata.name))
        except CatalogError as error:
            self._face.error(str(error))
            return
        if not hints:
            self._face.say(f"There is no hint for {test}: the verdict tells what it saw.")
            return
        shown = hint or hints[-1]
        self._progress.record_hint(self._kata.name, test, shown.level)
        self._face.say(f"Hint {shown.level} of {len(hints)}: {shown.title}", "bold")
        self._face.say(f"For the test {test}.")
        self._face.say()
        self._face.markdown(shown.text)
        due = next_hint(self._kata, test, self._progress.of(self._kata.name))
        self._advice = replace(self._advice, hint=due)
        if hint is None:
            self._face.say()
            self._face.say(
                "There is no further hint for this test. "
                f"`kata solution {self._kata.number} --spoil` shows a solution."
            )

    def _list(self) -> None:
        done = self._progress.all()
        self._face.say()
        for kata in self._catalog:
            entry = done.get(kata.name)
            state = "" if entry is None else "passed" if entry.passed else "begun"
            here = "   (you are here)" if kata.number == self._kata.number else ""
            self._face.say(f"{kata.number:02d}  {state:<7} {kata.title}{here}")
        self._say_notices()

    def _following(self) -> Kata | None:
        """The next kata that is not passed: after this one, else from the beginning."""
        done, here = self._progress.all(), self._kata.number
        waiting = [
            kata
            for kata in self._catalog
            if kata.number != here and not (kata.name in done and done[kata.name].passed)
        ]
        later = [kata for kata in waiting if kata.number > here]
        return next(iter(later or waiting), None)

    def _next(self) -> None:
        following = self._following()
        if following is None:
            self._face.say()
            self._face.say("There is no other kata that waits for you.")
        elif self._verdict is not None and self._verdict.passed:
            self._go_to(following)
        else:
            self._ask(
                f"{self._kata.label} is not green. Leave it, and go on with {following.label}?",
                lambda: self._go_to(following),
            )

    def _go_to(self, kata: Kata) -> None:
        """Show where the next kata begins; its tests run only when they are asked for."""
        try:
            started = workspace.start(kata)
        except workspace.WorkspaceError as error:
            self._face.error(str(error))
            return
        self._turn_to(kata)
        self._clear()
        self._face.say(f"Kata {kata.number:02d}, {kata.title}.", "bold")
        self._face.say()
        self._face.say(f"The page:   {kata.folder / 'README.md'}")
        self._face.say(f"Your copy:  {started.path}")
        self._face.say()
        self._face.say("Read the page first. Then press Enter to see what the tests say.")
        self._show_keys()

    def _reset(self) -> None:
        self._ask(
            f"Begin {self._kata.label} again from BAD? Your copy is kept, and u brings it back.",
            self._do_reset,
        )

    def _do_reset(self) -> None:
        try:
            backup = workspace.reset(self._kata)
        except workspace.WorkspaceError as error:
            self._face.error(str(error))
            return
        kept = f" What it held is kept in {backup}." if backup is not None else ""
        self._check(f"{self._kata.fix.name} is BAD again.{kept}")

    def _undo(self) -> None:
        try:
            workspace.undo(self._kata)
        except workspace.WorkspaceError as error:
            self._face.say()
            self._face.say(str(error))
            return
        self._check(f"{self._kata.fix.name} holds again what it held before the last reset.")
