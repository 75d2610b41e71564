"""The ``kata`` command: what each verb says, and the code that it ends with."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fastapi_katas.checker import verdict

if TYPE_CHECKING:
    from course import Course


# --- as a process, the way a learner meets it ----------------------------------------------------


def test_the_first_check_makes_a_copy_and_ends_red(course: Course) -> None:
    ran = course.run("check", "1")
    assert ran.code == verdict.EXIT_RED
    assert ran.err == ""
    said = " ".join(ran.out.split())
    assert said.startswith(f"Your copy is {course.kata(1).fix}. Change it, and check again. RED ")
    assert "\nRED  kata 01, The first fault: 2 of 3 tests are red; 0 of 2 goals" in ran.out
    assert "\n  Four items at 3 each cost 7.\n" in ran.out
    assert course.kata(1).fix.read_bytes() == course.kata(1).bad.read_bytes()
    assert course.leftovers() == []


def test_a_pipe_gets_no_escapes_no_symbols_and_no_trailing_spaces(course: Course) -> None:
    course.attempt()
    ran = course.run("check", "1", "--all", env={"COLUMNS": "50", "TERM": "xterm-256color"})
    assert "\x1b" not in ran.all
    assert ran.all.isascii()
    assert [line for line in ran.all.splitlines() if line != line.rstrip()] == []


@pytest.mark.skipif(sys.platform == "win32", reason="there is no pseudo-terminal here")
@pytest.mark.parametrize(
    ("arguments", "env", "coloured"),
    [((), {}, True), (("--plain",), {}, False), ((), {"NO_COLOR": "1"}, False)],
    ids=["colours", "--plain", "NO_COLOR"],
)
def test_a_terminal_gets_colours_unless_they_are_unwanted(
    course: Course, arguments: tuple[str, ...], env: dict[str, str], coloured: bool
) -> None:
    text = on_terminal(course, ("check", "1", *arguments), env)
    assert "RED  kata 01" in re.sub(r"\x1b\[[\d;]*m", "", text)
    assert coloured == bool(re.search(r"\x1b\[(\d+;)*3\dm", text))
    # Bold is no colour: NO_COLOR leaves it, --plain does not.
    assert ("\x1b" in text) == ("--plain" not in arguments)


def on_terminal(course: Course, arguments: tuple[str, ...], env: dict[str, str]) -> str:
    """Run the command on a pseudo-terminal, and return what it wrote there."""
    import pty

    ours, theirs = pty.openpty()
    inherited = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    process = subprocess.Popen(
        [sys.executable, "-m", "fastapi_katas", *arguments],
        cwd=course.root,
        env={**inherited, "TERM": "xterm-256color", "COLUMNS": "80", **env},
        stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    written = b""
    with contextlib.suppress(OSError):  # Linux ends a terminal with an error
        while data := os.read(ours, 65_536):
            written += data
    process.wait()
    os.close(ours)
    return written.decode()


def test_a_stream_that_cannot_show_a_name_gets_escapes(
    make_course: Callable[[Path], Course], tmp_path: Path
) -> None:
    course = make_course(tmp_path / "kurs für ü")
    ran = course.run("next", env={"PYTHONIOENCODING": "ascii"})
    assert ran.code == 0
    assert "kurs f\\xfcr \\xfc" in " ".join(ran.out.split())


# --- exit codes ----------------------------------------------------------------------------------


def test_0_is_a_pass(course: Course) -> None:
    course.repair(1)
    ran = course.call("check", "1")
    assert ran.code == verdict.EXIT_PASSED == 0
    assert ran.out == (
        "PASSED  kata 01, The first fault: all 3 tests are green.\n"
        "\n"
        "Next: `kata solution 1` to compare, then `kata next`.\n"
    )


def test_1_is_a_red_test(course: Course) -> None:
    assert course.call("check", "1").code == verdict.EXIT_RED == 1


@pytest.mark.parametrize(
    "arguments",
    [("frobnicate",), ("check", "--frobnicate"), ("check", "1", "2"), ("reset",), ("check", "-1"),
     ("check", "1", "--limit", "soon"), ("check", "1", "--limit", "0"), ("hint", "--level", "4"),
     ("check", "1", "--target", "nowhere.py"), ("new", "100", "late"), ("new", "1", "late"),
     ("new", "3", "Late-Commit"), ()],
)  # fmt: skip
def test_2_is_usage(course: Course, arguments: tuple[str, ...]) -> None:
    ran = course.call(*arguments)
    assert ran.code == verdict.EXIT_USAGE == 2
    assert ran.all
    assert "Traceback" not in ran.all


@pytest.mark.parametrize(
    "verb", ["check", "hint", "reset", "undo", "diff", "solution", "self-check"]
)
def test_2_is_an_unknown_or_ambiguous_kata(course: Course, verb: str) -> None:
    ran = course.call(verb, "frist")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "There is no kata `frist`. Did you mean kata-01 (first)?\n"
    ran = course.call(verb, "7")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "There is no kata `7`. Did you mean kata-02?\n"
    (course.root / "katas" / "kata_03_fist").mkdir()
    ran = course.call(verb, "fi")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "`fi` fits more than one kata: kata-01 (first), kata-03 (fist).\n"


def test_3_is_the_course_s_own_files(course: Course) -> None:
    course.kata(1).tests_file.write_text("def\n")
    ran = course.call("check", "1")
    assert ran.code == verdict.EXIT_ENVIRONMENT == 3
    assert "\nCANNOT BE CHECKED  kata 01, The first fault.\n" in ran.out


def test_4_is_a_module_that_cannot_be_used(course: Course) -> None:
    course.fix("def\n")
    ran = course.call("check", "1")
    assert ran.code == verdict.EXIT_MODULE == 4
    assert ran.out.startswith("CANNOT BE USED  kata 01")
    assert f"  {Path('katas', 'kata_01_first', 'fix.py')}:1   def\n" in ran.out


def test_130_is_an_interruption(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fastapi_katas.workspace.reset", interrupt)
    assert course.call("reset", "1").code == verdict.EXIT_INTERRUPTED == 130


# --- check ---------------------------------------------------------------------------------------


def test_without_a_number_the_first_open_kata_is_checked(course: Course) -> None:
    course.repair(1)
    assert "kata 01" in course.call("check").out
    assert "kata 02" in course.call("check").out
    course.repair(2)
    assert course.call("check").code == 0
    ran = course.call("check")
    assert ran.code == 2
    assert ran.err == "Every kata is passed. Name the one you mean: `kata check 1`.\n"


def test_another_module_can_be_checked(course: Course) -> None:
    for target in ("good", str(course.kata(1).alternatives[0].path)):
        assert course.call("check", "1", "--target", target).code == 0
    assert course.call("check", "1", "--target", "bad").code == 1
    assert course.progress.all() == {}
    assert not course.kata(1).fix.exists()


def test_the_target_fix_makes_the_copy_too(course: Course) -> None:
    assert course.call("check", "1", "--target", "fix").code == 1
    assert course.kata(1).fix.exists()


def test_only_an_attempt_is_recorded(course: Course) -> None:
    course.call("check", "1")
    assert course.progress.all() == {}
    course.attempt()
    course.call("check", "1")
    entry = course.progress.of("kata_01_first")
    assert (entry.attempts, entry.passed, entry.first_red) == (
        1, False, "test_price_counts_for_each_item",
    )  # fmt: skip
    course.repair(1)
    course.call("check", "1")
    entry = course.progress.of("kata_01_first")
    assert (entry.attempts, entry.passed, entry.first_red) == (2, True, "")


def test_only_an_attempt_is_offered_a_hint(course: Course) -> None:
    assert "kata hint" not in course.call("check", "1").out
    course.attempt()
    assert course.call("check", "1").out.endswith(
        "Next: `kata hint 1` asks a question about the first red test.\n"
    )


def test_a_known_mistake_is_recognised(course: Course) -> None:
    shutil.copy(course.kata(1).bank / "near_misses" / "squared.py", course.kata(1).fix)
    assert "\nYou multiply the number by itself;" in course.call("check", "1").out


def test_json_can_be_parsed(course: Course) -> None:
    course.call("check", "1")
    course.attempt()
    found = json.loads(course.call("check", "1", "--json").out)
    assert found["state"] == "red"
    assert found["exit_code"] == 1
    assert found["advice"]["hint_level"] == 1
    assert found["notices"] == []


@pytest.mark.parametrize("text", ["def", "import os; os._exit(3)", "print('x' * 9**7)\n1/0"])
def test_json_can_be_parsed_whatever_happens(course: Course, text: str) -> None:
    course.fix(text)
    ran = course.call("check", "1", "--json")
    assert ran.code == 4
    assert json.loads(ran.out)["fault"]["where"]["file"] == str(course.kata(1).fix)


def test_verbose_shows_the_report_of_pytest(course: Course) -> None:
    ran = course.call("check", "1", "--verbose")
    assert "test_price_counts_for_each_item FAILED" in ran.out
    assert "\x1b" not in ran.out


def test_a_package_is_checked_like_a_file(course: Course) -> None:
    ran = course.call("check", "2")
    assert ran.code == 1
    assert f"Your copy is {course.kata(2).fix}." in " ".join(ran.out.split())
    course.repair(2)
    assert course.call("check", "2").code == 0


# --- hint ----------------------------------------------------------------------------------------


def test_a_hint_needs_an_attempt(course: Course) -> None:
    course.call("check", "1")
    ran = course.call("hint", "1")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == f"Try first: change {course.kata(1).fix}, then run `kata check 1`.\n"


def test_hints_come_in_their_order(course: Course) -> None:
    course.tried()
    early = course.call("hint", "1", "--level", "2")
    assert (early.code, early.out) == (1, "")
    assert early.err == "Take the hints in their order: `kata hint 1` gives level 1.\n"
    for level, title in enumerate(
        ("What do four items cost?", "The function", "The change in words"), start=1
    ):
        ran = course.call("hint", "1")
        assert ran.code == 0
        assert ran.out.startswith(f"Hint {level} of 3: {title}\n")
    ran = course.call("hint", "1")
    assert ran.code == 1
    assert ran.err.startswith("There is no further hint for this test. `kata hint 1 --level 3`")


def test_a_hint_can_be_shown_again(course: Course) -> None:
    course.tried()
    first = course.call("hint", "1").out
    course.call("hint", "1")
    assert course.call("hint", "1", "--level", "1").out == first
    assert course.call("hint", "1").out.startswith("Hint 3 of 3")


def test_there_is_no_hint_after_a_pass(course: Course) -> None:
    course.passed()
    ran = course.call("hint", "1")
    assert (ran.code, ran.err) == (
        1, "Nothing is red in kata-01. `kata solution 1` compares.\n",
    )  # fmt: skip


def test_a_syntax_error_does_not_forget_the_red_test(course: Course) -> None:
    course.tried()
    course.fix("def")
    course.call("check", "1")
    assert course.call("hint", "1").out.startswith("Hint 1 of 3")


def test_when_no_test_has_run_a_hint_says_so(course: Course) -> None:
    course.fix("def")
    course.call("check", "1")
    ran = course.call("hint", "1")
    assert (ran.code, ran.err) == (
        1, "No test has run yet. First mend what `kata check 1` says.\n",
    )  # fmt: skip


def test_a_guard_has_no_hint_and_the_command_says_so(course: Course) -> None:
    course.fix(course.kata(1).good.read_text("utf-8").replace('"price": PRICE', '"price": 1'))
    assert "kata hint" not in course.call("check", "1").out
    ran = course.call("hint", "1")
    assert ran.code == 1
    assert ran.err.startswith("There is no hint for test_price_is_published: ")


def test_damaged_hints_are_the_environment(course: Course) -> None:
    course.attempt()
    course.write(course.kata(1).folder / "hints.md", b"\xff")
    assert course.call("check", "1").code == 1
    ran = course.call("hint", "1")
    assert ran.code == 3
    assert "hints.md: The hints are not UTF-8 text" in ran.err


# --- solution ------------------------------------------------------------------------------------


def test_the_solution_is_refused_before_a_pass(course: Course) -> None:
    course.tried()
    ran = course.call("solution", "1")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("You have not passed kata-01 yet. `kata hint 1` helps;")
    assert "PRICE * count" not in ran.err


@pytest.mark.parametrize("number", [1, 2], ids=["file", "package"])
def test_the_solution_is_shown_after_a_pass(course: Course, number: int) -> None:
    course.passed(number)
    ran = course.call("solution", str(number))
    assert ran.code == 0
    assert "\n+    return " in ran.out
    assert "## Why it works" in ran.out


def test_the_solution_is_shown_on_demand(course: Course) -> None:
    ran = course.call("solution", "1", "--spoil")
    assert ran.code == 0
    assert "+    return PRICE * count\n" in ran.out
    assert not course.progress.of("kata_01_first").passed


def test_a_missing_solution_is_the_environment(course: Course) -> None:
    course.kata(1).notes_file.unlink()
    ran = course.call("solution", "1", "--spoil")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith("The solution cannot be read: ")


# --- reset, undo, diff ---------------------------------------------------------------------------


@pytest.mark.parametrize("number", ["1", "2"], ids=["file", "package"])
def test_reset_and_undo_say_where_things_are(course: Course, number: str) -> None:
    fix = course.attempt(int(number))
    ran = course.call("reset", number)
    words = " ".join(ran.out.split())
    assert ran.code == 0
    assert f"{fix} is BAD again." in words
    assert f"`kata undo {number}` brings it back." in words
    assert (course.root / ".kata" / "backups").is_dir()
    ran = course.call("undo", number)
    assert ran.code == 0
    assert f"{fix} holds again what it held before the reset of 2" in " ".join(ran.out.split())
    ran = course.call("undo", number)
    assert (ran.code, ran.err) == (1, f"There is no reset of kata-0{number} to undo.\n")


def test_diff_shows_the_change_as_a_patch(course: Course) -> None:
    ran = course.call("diff", "1")
    assert (ran.code, ran.err) == (
        1, "You have no copy of kata-01 yet: `kata check 1` makes it.\n",
    )  # fmt: skip
    course.call("check", "1")
    assert course.call("diff", "1").out == "fix.py is still the same as bad.py.\n"
    course.repair(1)
    ran = course.call("diff", "1")
    assert ran.code == 0
    assert ran.out.startswith("--- bad.py\n+++ fix.py\n@@ ")
    assert "\n-    return PRICE + count\n+    return PRICE * count\n" in ran.out


# --- list, next, new -----------------------------------------------------------------------------


def test_list_is_a_table_of_contents(course: Course) -> None:
    assert course.call("list").out == "01          The first fault\n02          The second fault\n"
    course.passed(1)
    course.tried(2)
    assert course.call("list").out == "01  passed  The first fault\n02  begun   The second fault\n"


def test_next_makes_the_copy_of_the_first_open_kata(course: Course) -> None:
    ran = course.call("next")
    assert ran.code == 0
    assert ran.out.startswith("Next: kata 01, The first fault.\n")
    assert course.kata(1).fix.exists()
    for number in (1, 2):
        course.passed(number)
    assert course.call("next").out.startswith("Every kata is passed.")


def test_new_makes_a_skeleton_that_says_what_is_missing(course: Course) -> None:
    ran = course.call("new", "3", "late_commit")
    assert ran.code == 0
    kata = course.kata(3)
    assert kata.slug == "late_commit"
    for path in (kata.bad, kata.good, kata.tests_file, kata.notes_file, kata.folder / "hints.md"):
        assert path.is_file()
        assert f"{path}\n" in ran.out
    assert ran.out.endswith("then run `kata self-check 3`: it says what is missing.\n")


# --- where the command is called -----------------------------------------------------------------


def test_the_command_works_in_every_folder_of_the_course(course: Course) -> None:
    ran = course.run("check", "1", "--target", "bad.py", cwd=course.kata(1).folder)
    assert ran.code == 1
    assert "kata 01, The first fault" in ran.out


@pytest.mark.skipif(sys.platform == "win32", reason="a folder in use cannot be removed here")
def test_a_folder_that_was_removed_is_told(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    code = "import os, sys; os.rmdir(os.getcwd()); sys.argv = ['kata', 'list']; "
    code += "from fastapi_katas.cli import main; main()"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=gone, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 3
    assert ran.stderr.startswith("The course cannot be read: ")
