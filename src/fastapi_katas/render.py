"""The face of a verdict on a terminal and in a pipe."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from fastapi_katas.render_words import (
    OUTCOME_WORDS,
    STATE_WORDS,
    count,
    kata_name,
    relative,
    shortened,
    what_next,
)

if TYPE_CHECKING:
    # Not needed by verbs that only write: `kata list` should start quickly.
    from fastapi_katas.checker.verdict import CodePlace, Fault, LessonData, TestResult, Verdict
    from fastapi_katas.coach import Advice

_SYMBOLS = {"passed": ("✓", "green"), "failed": ("✗", "red"), "skipped": ("-", "yellow")}

INTERRUPTED = "Interrupted. Nothing was recorded; your file is as it was."


class Face:
    """Writes to one stream, in colour on a terminal and plain elsewhere."""

    def __init__(
        self, *, plain: bool = False, stream: IO[str] | None = None, width: int | None = None
    ) -> None:
        """Make a face.

        Args:
            plain: Whether colours, symbols and links are left out.
            stream: Where to write; standard output if it is not given.
            width: Columns; those of the terminal if it is not given.
        """
        self.console = Console(
            file=stream,
            width=width,
            no_color=plain or None,
            force_terminal=False if plain else None,
            highlight=False,
            soft_wrap=False,
            emoji=False,
            markup=False,
        )
        # A terminal without Unicode cannot show the symbols; the words beside them suffice.
        self.plain = plain or not self.console.is_terminal or "utf" not in self.console.encoding
        if stream is None and not self.console.is_terminal and width is None:
            # A pipe has no width; text that is searched or saved should not be cut at 80.
            columns = os.environ.get("COLUMNS", "")
            self.console.width = int(columns) if columns.isdecimal() and int(columns) else 100

    def say(self, text: str = "", style: str = "", *, indent: int = 0) -> None:
        """Write one paragraph, wrapped, with an indentation in columns."""
        self._wrapped(Text(text, style=style), indent=indent)

    def _wrapped(self, text: Text, *, indent: int = 0, hanging: int = 0) -> None:
        width = max(self.console.width - indent, 20)
        for paragraph in text.split("\n", allow_blank=True):
            lines = paragraph.divide(_breaks(paragraph.plain, width, hanging))
            for number, line in enumerate(lines):
                line.rstrip()
                margin = " " * (indent + (hanging if number else 0))
                self.console.print(Text(margin) + line if line else "", soft_wrap=True)

    def _as_it_is(self, text: str) -> None:
        for line in text.splitlines():
            self.console.print(Text(line.rstrip()), soft_wrap=True)

    def error(self, text: str) -> None:
        """Write what went wrong."""
        self.say(text, "red")

    def markdown(self, text: str) -> None:
        """Write Markdown: formatted on a terminal, as it is elsewhere."""
        if self.plain:
            self._as_it_is(text)
        else:
            from rich.markdown import Markdown  # a slow import that few commands need

            self.console.print(Markdown(text))

    def code(self, text: str, language: str) -> None:
        """Write source text, with colours on a terminal."""
        if self.plain:
            self.console.print(Text(text.rstrip("\n")), soft_wrap=True)
        else:
            from rich.syntax import Syntax  # a slow import that few commands need

            self.console.print(Syntax(text, language, theme="ansi_dark", word_wrap=True))

    # --- verdicts ------------------------------------------------------------------------------

    def verdict(
        self,
        verdict: Verdict,
        advice: Advice,
        *,
        everything: bool = False,
        what_next: bool = True,
    ) -> None:
        """Write a verdict: its line, the one next thing, and the rest as a list.

        Args:
            verdict: The verdict.
            advice: What to say next.
            everything: Whether every lesson is told, not only the first.
            what_next: Whether the command to type next is named at the end.
        """
        self._headline(verdict)
        if verdict.fault is not None:
            self._fault(verdict.fault)
        focus = advice.focus
        shown = [focus] if focus else []
        if everything:
            shown += [result for result in verdict.red if result is not focus]
        for result in shown:
            self._failure(result)
        if advice.near_miss:
            self.say()
            self.say(advice.near_miss, "yellow")
        self._rest(verdict, shown)
        if verdict.warnings:
            self.say()
            self.say("Python warned:")
            for warning in dict.fromkeys(verdict.warnings):
                self.say(warning, indent=2)
        if verdict.output.strip():
            self.say()
            self.say("Your module printed:")
            self._as_it_is(shortened(verdict.output))
        if what_next:
            self._what_next(verdict, advice)

    def _headline(self, verdict: Verdict) -> None:
        symbol, style = {"passed": ("✓", "bold green"), "red": ("✗", "bold red")}.get(
            verdict.state, ("!", "bold red")
        )
        counted = count(verdict)
        text = f"{kata_name(verdict)}: {counted}." if counted else f"{kata_name(verdict)}."
        self._line(symbol, STATE_WORDS[verdict.state], style, text)

    def _line(self, symbol: str, word: str, style: str, text: str) -> None:
        line = Text() if self.plain else Text(f"{symbol} ", style=style)
        line.append(f"{word}  ", style=style)
        line.append(text)
        self._wrapped(line)

    def _fault(self, fault: Fault) -> None:
        self.say()
        self.say(fault.message)
        if fault.where is not None:
            self._place(fault.where)
        if fault.test:
            self.say(f"The test that was running: {fault.test}.")

    def _failure(self, result: TestResult) -> None:
        self.say()
        self.say(f"{result.kind or 'test'}: {result.title or result.name}", "bold")
        if result.lesson is not None:
            self._lesson(result.lesson)
            return
        self.say(result.message, indent=2)
        if result.where is not None:
            self._place(result.where)

    def _lesson(self, lesson: LessonData) -> None:
        self.say(lesson.seen, indent=2)
        for place in lesson.where:
            self._place(place)
        self.say(f"In production: {lesson.production}", indent=2)
        self.say(f"Look: {lesson.look}", indent=2)

    def _place(self, place: CodePlace) -> None:
        path = Path(place.file)
        shown = f"{relative(path)}:{place.line}" if place.line else relative(path)
        text = Text("  ")
        link = "" if self.plain else f"link {path.as_uri()}" if path.is_absolute() else ""
        text.append(shown, style=f"cyan {link}".strip())
        code = place.code.strip()
        if code and text.cell_len + 3 + cell_len(code) <= self.console.width:
            text.append(f"   {code}")
        self.console.print(text, soft_wrap=True)
        if code and not text.plain.endswith(code):
            # Beside the path there is no room for it: a line that the terminal breaks is no code.
            self.console.print(Text(f"    {code}"), soft_wrap=True)

    def _rest(self, verdict: Verdict, shown: Iterable[TestResult | None]) -> None:
        names = {result.name for result in shown if result}
        rest = [result for result in verdict.results if result.name not in names]
        if verdict.passed or not rest:
            return
        self.say()
        for result in rest:
            symbol, style = _SYMBOLS[result.outcome]
            line = Text("  ")
            if not self.plain:
                line.append(f"{symbol} ", style=style)
            line.append(f"{OUTCOME_WORDS[result.outcome]:<7} ", style=style)
            column = line.cell_len
            line.append(f"{result.kind}: {result.title or result.name}")
            self._wrapped(line, hanging=column)

    def _what_next(self, verdict: Verdict, advice: Advice) -> None:
        self.say()
        if told := what_next(verdict, advice):
            self.say(told)


def _breaks(text: str, width: int, hanging: int = 0) -> list[int]:
    """Find where new lines begin. A word is never cut: a long one is a path, to be copied.

    Args:
        text: One paragraph.
        width: Columns that a line may have.
        hanging: Columns that stay free at the beginning of each new line.
    """
    breaks, column = [], cell_len(text) - cell_len(text.lstrip())
    for number, word in enumerate(re.finditer(r"\S+\s*", text)):
        if number and column + cell_len(word[0].rstrip()) > width:
            breaks.append(word.start())
            column = hanging
        column += cell_len(word[0])
    return breaks
