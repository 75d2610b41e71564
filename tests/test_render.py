"""The faces of a verdict: what a terminal shows, what a pipe gets, and what a program reads."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from fastapi_katas.catalog.hints import Hint
from fastapi_katas.checker import verdict as data
from fastapi_katas.checker.verdict import CodePlace, Fault, LessonData, Verdict
from fastapi_katas.coach import Advice
from fastapi_katas.render import Face
from fastapi_katas.render_json import as_json

PLACE = CodePlace("/course/katas/kata_01_first/fix.py", 12, "time.sleep(1)")
LESSON = LessonData(
    key="too-little",
    seen="Four items at 3 each cost 7.",
    production="The shop loses money.",
    look="Where does the price meet the number?",
    evidence={"total": 7},
    where=(PLACE,),
)
GOAL = data.TestResult("test_goal", "goal", "Four items cost more.", "failed", LESSON)
OTHER = data.TestResult("test_other", "goal", "The second goal.", "failed", message="assert 1 == 2")
GUARD = data.TestResult("test_guard", "guard", "The contract stays.", "passed")
HINT = Hint(1, "What do four items cost?", ("test_goal",), "Compare.")


def verdict(state: Any = "red", *results: data.TestResult, **more: Any) -> Verdict:
    """A verdict on the learner's copy."""
    return Verdict(
        number=1,
        name="kata_01_first",
        title="The first fault",
        target="fix",
        path="/course/katas/kata_01_first/fix.py",
        state=state,
        results=results or (GUARD, GOAL, OTHER),
        **more,
    )


def plain(found: Verdict, advice: Advice | None = None, *, width: int = 80, **more: Any) -> str:
    """What the plain face writes."""
    stream = io.StringIO()
    face = Face(plain=True, stream=stream, width=width)
    face.verdict(found, advice or Advice(found.first_red), **more)
    return stream.getvalue()


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a terminal with colours."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def on_terminal(found: Verdict, terminal: Terminal | None = None) -> str:
    """What a terminal gets."""
    stream = terminal or Terminal()
    Face(stream=stream, width=80).verdict(found, Advice(found.first_red))
    return stream.getvalue()


# --- what is said, and in which order ------------------------------------------------------------


def test_first_the_verdict_then_the_one_next_thing_then_the_rest() -> None:
    assert plain(verdict()) == (
        "RED  kata 01, The first fault: 2 of 3 tests are red; 0 of 2 goals reached.\n"
        "\n"
        "goal: Four items cost more.\n"
        "  Four items at 3 each cost 7.\n"
        "  /course/katas/kata_01_first/fix.py:12   time.sleep(1)\n"
        "  In production: The shop loses money.\n"
        "  Look: Where does the price meet the number?\n"
        "\n"
        "  green   guard: The contract stays.\n"
        "  red     goal: The second goal.\n"
        "\n"
        "Next: change /course/katas/kata_01_first/fix.py, then run the check again.\n"
    )


def test_all_tells_every_failure() -> None:
    text = plain(verdict(), everything=True)
    assert "goal: The second goal.\n  assert 1 == 2\n" in text
    assert "red     goal" not in text


def test_a_pass_says_what_comes_next() -> None:
    text = plain(verdict("passed", GUARD))
    assert text == (
        "PASSED  kata 01, The first fault: all 1 tests are green.\n"
        "\n"
        "Next: `kata solution 1` to compare, then `kata next`.\n"
    )


def test_a_hint_and_a_near_miss_are_offered() -> None:
    text = plain(verdict(), Advice(GOAL, HINT, "You multiply the number by itself."))
    assert "You multiply the number by itself.\n" in text
    assert text.endswith("Next: `kata hint 1` asks a question about the first red test.\n")


@pytest.mark.parametrize(
    ("state", "word"),
    [("hang", "HANGS"), ("fault", "CANNOT BE USED"), ("environment", "CANNOT BE CHECKED")],
)
def test_a_fault_is_told_with_its_line(state: str, word: str) -> None:
    fault = Fault("hang", "The run stood still for 2 seconds and was ended.", PLACE, "test_goal")
    assert plain(Verdict(1, "k", "The first fault", "fix", "fix.py", state, (), fault)) == (  # type: ignore[arg-type]
        f"{word}  kata 01, The first fault.\n"
        "\n"
        "The run stood still for 2 seconds and was ended.\n"
        "  /course/katas/kata_01_first/fix.py:12   time.sleep(1)\n"
        "The test that was running: test_goal.\n"
        "\n"
    )


def test_paths_below_the_current_folder_are_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    place = CodePlace(str(tmp_path / "katas" / "fix.py"), 3, "x = 1")
    fault = Fault("import", "It failed.", place)
    text = plain(Verdict(1, "k", "T", "fix", "fix.py", "fault", (), fault))
    assert f"  {Path('katas', 'fix.py')}:3   x = 1\n" in text


def test_a_warning_is_told_once() -> None:
    text = plain(verdict(warnings=("RuntimeWarning: never awaited", ) * 3))
    assert text.count("never awaited") == 1


# --- what the module printed ---------------------------------------------------------------------


def test_a_long_output_is_cut_in_the_middle() -> None:
    text = plain(verdict(output="\n".join(f"line {number}" for number in range(1000))))
    assert "line 9\n[… 980 lines left out …]\nline 990\n" in text


def test_an_endless_line_is_cut() -> None:
    assert len(plain(verdict(output="x" * 1_000_000))) < 2_000


def test_the_output_of_the_module_does_not_steer_the_terminal() -> None:
    nasty = "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b[2J bell\x07 back\x08 \x1b]8;;http://x\x1b\\link"
    text = plain(verdict(output=nasty + "\r\n\x9b1m"))
    assert [char for char in text if not char.isprintable() and char != "\n"] == []
    assert "red" in text
    assert "link" in text


# --- the shape of the text -----------------------------------------------------------------------

WORDY = LessonData(
    key="wordy",
    seen="word " * 60,
    production="in production, " * 20,
    look="look " * 50,
    evidence={},
    where=(CodePlace("/a" * 80, 1, "code " * 40),),
)
LONG = data.TestResult("test_goal", "goal", "A title of many words. " * 9, "failed", WORDY)


@pytest.mark.parametrize("width", [1, 20, 40, 79, 80, 200])
def test_no_line_ends_in_a_space(width: int) -> None:
    found = verdict("red", LONG, OTHER, GUARD, output="printed   \n  \n", warnings=("w " * 90,))
    text = plain(found, Advice(LONG, HINT, "near " * 40), width=width, everything=True)
    assert [line for line in text.splitlines() if line != line.rstrip()] == []


def test_the_width_is_respected() -> None:
    text = plain(verdict("red", LONG), width=60)
    prose = [line for line in text.splitlines() if not line.startswith(("  /a", "    code"))]
    assert max(map(len, prose)) <= 60


def test_a_long_line_of_the_list_goes_on_below_its_words() -> None:
    text = plain(verdict("red", GOAL, OTHER, GUARD), width=30)
    assert "\n  red     goal: The second\n          goal.\n" in text
    assert "\n  green   guard: The contract\n          stays.\n" in text


def test_a_path_is_never_cut() -> None:
    """A path with a line break in it cannot be clicked or copied."""
    assert f"  {'/a' * 80}:1\n    code code" in plain(verdict("red", LONG), width=40)
    stream = io.StringIO()
    Face(plain=True, stream=stream, width=40).say(f"Your copy is {'/b' * 80}. Change it.")
    assert f"\n{'/b' * 80}.\n" in stream.getvalue()


@pytest.mark.parametrize("columns", ["", "0", "abc", "-5", "1", "٣"])
def test_a_strange_width_in_the_environment_does_no_harm(
    monkeypatch: pytest.MonkeyPatch, columns: str, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    Face().verdict(verdict(), Advice(GOAL))
    assert "RED" in capsys.readouterr().out


# --- terminals and pipes -------------------------------------------------------------------------


@pytest.mark.usefixtures("colours")
def test_a_terminal_gets_colours_symbols_and_links() -> None:
    text = on_terminal(verdict())
    assert "\x1b[" in text
    assert "✗" in text
    assert "file:///course/katas/kata_01_first/fix.py" in text


@pytest.mark.usefixtures("colours")
def test_every_symbol_has_a_word_beside_it() -> None:
    lines = on_terminal(verdict()).splitlines()
    for symbol, words in {"✗": ("RED", "red "), "✓": ("green",)}.items():
        marked = [line for line in lines if symbol in line]
        assert marked
        assert all(any(word in line for word in words) for line in marked)


@pytest.mark.usefixtures("colours")
def test_no_color_takes_the_colours_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in on_terminal(verdict())


@pytest.mark.usefixtures("colours")
@pytest.mark.parametrize("stream", [Terminal, io.StringIO], ids=["--plain", "pipe"])
def test_plain_and_pipes_have_no_escapes_and_no_symbols(stream: type[io.StringIO]) -> None:
    target = stream()
    face = Face(plain=stream is Terminal, stream=target, width=80)
    face.verdict(verdict(), Advice(GOAL))
    face.markdown("# Title\n\n*text* with `code`")
    face.code("x = 1\n", "python")
    text = target.getvalue()
    assert text.isascii()
    assert "\x1b" not in text
    assert "# Title\n\n*text* with `code`\nx = 1\n" in text


@pytest.mark.usefixtures("colours")
def test_a_terminal_without_unicode_gets_words_only() -> None:
    class Old(Terminal):
        encoding = "cp437"

    assert on_terminal(verdict(), Old()).isascii()


def test_markdown_in_a_pipe_is_as_it_is_in_the_file() -> None:
    stream = io.StringIO()
    text = "See [a page](https://fastapi.tiangolo.com/" + "a" * 90 + ") and more words after it.\n"
    Face(plain=True, stream=stream, width=40).markdown(text)
    assert stream.getvalue() == text


def test_square_brackets_are_no_markup() -> None:
    stream = io.StringIO()
    Face(stream=stream, width=80).say("list[int] and [bold]this[/bold] :smile:")
    assert stream.getvalue() == "list[int] and [bold]this[/bold] :smile:\n"


# --- JSON ----------------------------------------------------------------------------------------


def test_json_has_the_verdict_the_advice_and_the_notices() -> None:
    found = json.loads(as_json(verdict(), Advice(GOAL, HINT, "near"), ["notice"]))
    assert found["state"] == "red"
    assert found["exit_code"] == 1
    assert found["schema"] == 1
    assert found["advice"] == {"test": "test_goal", "hint_level": 1, "near_miss": "near"}
    assert found["notices"] == ["notice"]
    assert found["results"][1]["lesson"]["where"] == [
        {"file": PLACE.file, "line": 12, "code": "time.sleep(1)"}
    ]


def test_json_survives_names_that_are_no_text() -> None:
    text = as_json(verdict(output="\udcff\x00"), Advice(), [])
    assert json.loads(text)["output"] == "\udcff\x00"


def test_the_next_command_can_be_left_to_the_caller() -> None:
    advice = Advice(GOAL, HINT)
    assert "kata hint" in plain(verdict(), advice)
    assert "kata hint" not in plain(verdict(), advice, what_next=False)
