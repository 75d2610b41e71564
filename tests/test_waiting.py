"""The status line: on a terminal only, and gone afterwards."""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from fastapi_katas.waiting import StatusLine

if TYPE_CHECKING:
    from course import Course


class Terminal(io.StringIO):
    """A stream that says that it is a terminal, and that can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.written = threading.Event()

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        count = super().write(text)
        self.written.set()
        return count


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a terminal."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "20")


def test_a_text_takes_the_place_of_the_one_before() -> None:
    stream = Terminal()
    line = StatusLine(stream=stream)
    line.show("one")
    line.show("two " * 20)
    line.clear()
    line.clear()
    assert stream.getvalue() == "\r\x1b[Kone\r\x1b[Ktwo two two two two\r\x1b[K"


@pytest.mark.parametrize("kind", ["pipe", "--plain", "dumb"])
def test_elsewhere_it_is_silent(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    if kind == "dumb":
        monkeypatch.setenv("TERM", "dumb")
    stream = io.StringIO() if kind == "pipe" else Terminal()
    line = StatusLine(stream=stream, plain=kind == "--plain")
    with line.ticking(lambda _: "text", after=0):
        line.show("text")
    line.clear()
    assert stream.getvalue() == ""


def test_slow_work_is_told_and_the_line_is_taken_away() -> None:
    stream = Terminal()
    with StatusLine(stream=stream).ticking(lambda seconds: f"at {seconds}", after=0):
        assert stream.written.wait(20)
    assert stream.getvalue().startswith("\r\x1b[Kat 0")
    assert stream.getvalue().endswith("\r\x1b[K")


def test_quick_work_is_not_told() -> None:
    stream = Terminal()
    with StatusLine(stream=stream).ticking(lambda _: "text", after=1000):
        pass
    assert stream.getvalue() == ""


def test_the_line_is_taken_away_when_the_work_fails() -> None:
    stream = Terminal()

    def fail() -> None:
        with StatusLine(stream=stream).ticking(lambda _: "text", after=0):
            assert stream.written.wait(20)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert stream.getvalue().endswith("\r\x1b[K")


def test_a_stream_that_is_closed_does_no_harm() -> None:
    stream = Terminal()
    line = StatusLine(stream=stream)
    line.show("text")
    stream.close()
    line.show("more")
    line.clear()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no pseudo-terminal here")
def test_a_slow_check_on_a_real_terminal(course: Course) -> None:
    """The line comes once the check has taken three seconds; the limit ends it after four."""
    import pty

    course.handler("time.sleep(100)")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "fastapi_katas", "check", "1", "--limit", "4"],
        cwd=course.root,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80"},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    out, _ = process.communicate(timeout=60)
    written = b""
    with contextlib.suppress(OSError):  # Linux ends a terminal with an error
        while data := os.read(ours, 65_536):
            written += data
    os.close(ours)
    assert process.returncode == 4
    assert b"HANGS" in out
    assert b"may take" not in out
    assert re.search(rb"\r\x1b\[KThe tests are running: \d+ s \(a test may take 4 s\)\.", written)
    assert written.endswith(b"\r\x1b[K")
