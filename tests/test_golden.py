"""The faces of a verdict, letter by letter, beside the files in ``tests/golden``.

A change of a face is seen in the change of these files. They are renewed by one command, which
fails once and names what it changed, so that nothing is renewed unseen::

    nox -s tests -- tests/test_golden.py --renew-golden
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import verdict_schema
from samples import SAMPLES

from fastapi_katas.checker.verdict import Verdict
from fastapi_katas.coach import Advice
from fastapi_katas.render import Face
from fastapi_katas.render_json import as_json
from fastapi_katas.render_markdown import as_markdown

GOLDEN = Path(__file__).with_name("golden")
NOTICES = ["Your copy is /course/katas/kata_07_late_parcel/fix.py. Change it, and check again."]


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def shown(
    stream: io.StringIO, found: Verdict, advice: Advice, *, width: int | None, plain: bool = False
) -> str:
    """What the face of terminals and pipes writes, with every lesson."""
    face = Face(plain=plain, stream=stream, width=width)
    face.verdict(found, advice, everything=True)
    return stream.getvalue()


def readable(text: str) -> str:
    """Show escapes as words, so that a golden file can be read and compared anywhere."""
    return text.replace("\x1b", "␛")


def link_numbers_out(text: str) -> str:
    """Take out the random numbers that rich gives to links."""
    return re.sub(r"␛\]8;id=\d+;", "␛]8;id=N;", text)


FACES: dict[str, Callable[[Verdict, Advice], str]] = {
    "plain-60": lambda found, advice: shown(io.StringIO(), found, advice, width=60, plain=True),
    "plain-200": lambda found, advice: shown(io.StringIO(), found, advice, width=200, plain=True),
    "terminal-60": lambda found, advice: shown(Terminal(), found, advice, width=60),
    "terminal-200": lambda found, advice: shown(Terminal(), found, advice, width=200),
    "json": lambda found, advice: as_json(found, advice, NOTICES) + "\n",
    "markdown": lambda found, advice: as_markdown(found, advice, NOTICES, everything=True),
}


@pytest.fixture
def compare(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Compare a text with a file, or renew the file and fail with its name."""

    def check(path: Path, text: str) -> None:
        expected = path.read_bytes().decode() if path.exists() else None
        if text != expected and request.config.getoption("--renew-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
            pytest.fail(f"{path} was renewed: read the change, and run the tests again.")
        assert text == expected, f"{path.name}: see the head of {Path(__file__).name}"

    return check


@pytest.fixture(autouse=True)
def colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a terminal with colours, in no folder of a course."""
    for name in (
        "NO_COLOR", "FORCE_COLOR", "COLORTERM", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS"
    ):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("sample", SAMPLES)
def test_face(sample: str, face: str, compare: Callable[[Path, str], None]) -> None:
    text = link_numbers_out(readable(FACES[face](*SAMPLES[sample])))
    compare(GOLDEN / f"{sample}.{face}.txt", text)


def test_no_color(monkeypatch: pytest.MonkeyPatch, compare: Callable[[Path, str], None]) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    text = link_numbers_out(readable(FACES["terminal-60"](*SAMPLES["red-with-advice"])))
    compare(GOLDEN / "red-with-advice.no-color-60.txt", text)
    assert "␛[3" not in text


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_pipe_gets_the_plain_face(sample: str) -> None:
    found, advice = SAMPLES[sample]
    piped = shown(io.StringIO(), found, advice, width=60)
    assert piped == (GOLDEN / f"{sample}.plain-60.txt").read_bytes().decode()


def test_the_schema_of_the_json(compare: Callable[[Path, str], None]) -> None:
    """The published schema is made from the dataclasses."""
    compare(verdict_schema.PUBLISHED, verdict_schema.as_text())


def test_no_golden_file_is_left_over() -> None:
    expected = {f"{sample}.{face}.txt" for sample in SAMPLES for face in FACES}
    expected.add("red-with-advice.no-color-60.txt")
    assert {path.name for path in GOLDEN.iterdir()} == expected
