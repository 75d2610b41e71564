"""The checker: every way in which a run can go becomes a verdict, with each kind of process."""

from __future__ import annotations

import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from processes import ends

from fastapi_katas.checker import (
    ColdRunner,
    ForkRunner,
    Runner,
    SpareRunner,
    check,
    process,
    verdict,
)
from fastapi_katas.checker.job import Job
from fastapi_katas.checker.process import Ending
from fastapi_katas.checker.verdict import Verdict

if TYPE_CHECKING:
    from course import Course

RUNNERS: dict[str, Callable[[], Runner]] = {
    "cold": ColdRunner,
    "spare": SpareRunner,
    "fork": ForkRunner,
    "shared": lambda: ForkRunner(processes=3),
}


@pytest.fixture(scope="module", params=RUNNERS)
def runner(request: pytest.FixtureRequest) -> Iterator[Runner]:
    """Each kind of process in turn."""
    if request.param in {"fork", "shared"} and not hasattr(os, "fork"):
        pytest.skip("this system has no fork")
    with RUNNERS[request.param]() as made:
        yield made


def outcomes(found: Verdict) -> dict[str, str]:
    """What each test said."""
    return {result.name: result.outcome for result in found.results}


# --- the states, with each kind of process -------------------------------------------------------


def test_bad_is_red_with_lessons(course: Course, runner: Runner) -> None:
    found = check(course.kata(1), "bad", runner)
    assert (found.state, found.exit_code) == ("red", 1)
    assert outcomes(found) == {
        "test_price_counts_for_each_item": "failed",
        "test_empty_order_is_free": "failed",
        "test_price_is_published": "passed",
    }
    first = found.first_red
    assert first is not None
    assert first.kind == "goal"
    assert first.title == "Four items cost four times the price."
    assert first.lesson is not None
    assert first.lesson.seen == "Four items at 3 each cost 7."
    assert first.lesson.evidence == {"total": 7}
    assert found.pattern() == {
        "test_price_counts_for_each_item": "too-little",
        "test_empty_order_is_free": "charged-as-one",
    }


def test_cases_of_one_test_are_told_apart(course: Course) -> None:
    tests = course.kata(1).tests_file
    more = """

@pytest.mark.parametrize("count", [pytest.param(0, id="none"), pytest.param(1, id="one")])
@pytest.mark.guard
def test_count_is_counted(count: int) -> None:
    \"\"\"Every count is a count.\"\"\"
    assert count in {0, 1}
"""
    tests.write_text(tests.read_text(encoding="utf-8") + more, encoding="utf-8")
    titles = {result.name: result.title for result in course.check(1, "bad").results}
    assert titles["test_count_is_counted[none]"] == "Every count is a count: none."
    assert titles["test_count_is_counted[one]"] == "Every count is a count: one."


def test_good_passes(course: Course, runner: Runner) -> None:
    found = check(course.kata(2), "good", runner)
    assert (found.state, found.exit_code) == ("passed", 0)
    assert found.red == ()
    assert found.warnings == ()
    assert found.output == ""


def test_a_module_that_cannot_be_used_is_a_fault(course: Course, runner: Runner) -> None:
    file = course.fix("import fastapi\n\napp = fastapi.FastAPI(\n")
    found = check(course.kata(1), "fix", runner)
    assert (found.state, found.exit_code) == ("fault", 4)
    assert found.fault is not None
    assert found.fault.kind == "syntax"
    assert found.fault.where == verdict.CodePlace(str(file), 3, "app = fastapi.FastAPI(")


def test_a_module_that_stands_still_is_a_hang(course: Course, runner: Runner) -> None:
    file = course.handler("time.sleep(1000)")
    found = replace(course, runner=runner).check_hang()
    assert (found.state, found.exit_code) == ("hang", 4)
    assert found.fault is not None
    assert re.fullmatch(
        r"The run stood still for (0\.5|2|8) seconds and was ended\.", found.fault.message
    )
    # Where the tests are shared, another one may stand still as well.
    assert found.fault.test in {"test_price_counts_for_each_item", "test_empty_order_is_free"}
    assert found.fault.where is not None
    assert found.fault.where.file == str(file)
    assert found.fault.where.code == "time.sleep(1000)"


def test_tests_that_cannot_be_run_are_the_environment(course: Course, runner: Runner) -> None:
    course.kata(1).tests_file.write_text("import nothing_of_this_name\n")
    found = check(course.kata(1), "bad", runner)
    assert (found.state, found.exit_code) == ("environment", 3)
    assert found.fault is not None
    assert found.fault.kind == "broken-tests"
    assert "nothing_of_this_name" in found.fault.message


def test_missing_tests_are_the_environment(course: Course) -> None:
    course.kata(1).tests_file.unlink()
    found = course.check(1, "bad")
    assert found.state == "environment"


def test_an_empty_test_file_is_the_environment(course: Course) -> None:
    course.kata(1).tests_file.write_text("")
    found = course.check(1, "bad")
    assert found.state == "environment"
    assert found.fault is not None
    assert found.fault.kind == "no-tests"


def test_temporary_folders_are_of_one_run_and_go_with_it(
    course: Course, runner: Runner, tmp_path: Path
) -> None:
    note = tmp_path / "folder"
    text = f"""
@pytest.mark.guard
def test_uses_a_folder(tmp_path) -> None:
    (tmp_path / "file").write_text("left")
    with open({str(note)!r}, "w") as file:
        file.write(str(tmp_path))
"""
    add_tests(course, text)
    assert check(course.kata(1), "good", runner).passed
    folder = Path(note.read_text())
    assert folder.parent.parent.parent.name.startswith("kata-")
    assert not folder.exists()


# --- tests shared by several processes ----------------------------------------------------------


@pytest.fixture(scope="module")
def shared() -> Iterator[Runner]:
    """A runner whose jobs are shared by three processes."""
    if not hasattr(os, "fork"):
        pytest.skip("this system has no fork")
    with ForkRunner(processes=3) as made:
        yield made


def add_tests(course: Course, text: str) -> None:
    """Add tests to those of kata 01."""
    tests = course.kata(1).tests_file
    tests.write_text(f"{tests.read_text('utf-8')}\n\n{text}", encoding="utf-8")


def test_tests_of_one_run_run_at_the_same_time(course: Course, shared: Runner) -> None:
    wait_for_each_other = """
import time
from pathlib import Path

@pytest.mark.guard
@pytest.mark.parametrize("own, other", [("a", "b"), ("b", "a")])
def test_two_are_here(own: str, other: str) -> None:
    folder = Path(__file__).parent
    (folder / own).touch()
    deadline = time.monotonic() + 10
    while not (folder / other).exists():
        assert time.monotonic() < deadline
        time.sleep(0.005)
"""
    add_tests(course, wait_for_each_other)
    found = check(course.kata(1), "good", shared)
    assert found.passed
    # In the order of the file, whoever was ready first.
    assert list(outcomes(found))[:3] == list(outcomes(course.check(1, "good")))[:3]
    assert len(found.results) == 5


def test_what_tests_share_is_made_once(course: Course, shared: Runner, tmp_path: Path) -> None:
    note = tmp_path / "made"
    fixture = f"""
@pytest.fixture(scope="module")
def noted():
    with open({str(note)!r}, "a") as file:
        file.write("made\\n")
    yield
    with open({str(note)!r}, "a") as file:
        file.write("undone\\n")

@pytest.mark.guard
@pytest.mark.parametrize("number", range(4))
def test_uses_it(noted, number: int) -> None:
    assert number < 4
"""
    add_tests(course, fixture)
    assert check(course.kata(1), "good", shared).passed
    assert note.read_text().split() == ["made", "undone"]


@pytest.mark.parametrize(
    ("end", "kind"), [("os._exit(7)", "exit"), ("os.kill(os.getpid(), 9)", "ended")]
)
def test_a_process_that_ends_in_the_middle_is_told(
    course: Course, shared: Runner, end: str, kind: str
) -> None:
    """Whichever process it is, the run does not look finished."""
    course.handler(f"{{'total': 3 * count}} if count else {end}")
    found = check(course.kata(1), "fix", shared)
    assert found.state == "fault"
    assert found.fault is not None
    assert found.fault.kind == kind


def test_what_the_module_prints_is_in_the_verdict(course: Course) -> None:
    course.handler("print('seen', count) or print('err', file=sys.stderr) or 1")
    assert "seen 4\nerr" in course.check(1, "fix").output


def test_pytest_s_own_report_comes_on_demand(course: Course) -> None:
    found = course.check(1, "bad", report=True)
    assert "test_price_counts_for_each_item FAILED" in found.report
    assert found.output == ""
    assert found.state == "red"


def test_runs_do_not_see_each_other(course: Course) -> None:
    """What a module leaves behind in a warm process is gone in the next run."""
    course.handler("return {}", top="import fastapi; fastapi.FastAPI.__init__ = None")
    assert course.check().state == "fault"
    course.repair(1)
    assert course.check().state == "passed"


def test_the_child_ends_with_everything_that_it_started(
    course: Course, runner: Runner, tmp_path: Path
) -> None:
    note = tmp_path / "pid"
    top = (
        "import subprocess; open({!r}, 'w').write(str(subprocess.Popen([sys.executable, '-c', "
        "'import time; time.sleep(1000)']).pid))"
    )
    course.handler("return {'total': 3 * count}", top=top.format(str(note)))
    assert check(course.kata(1), "fix", runner).state == "passed"
    assert ends(int(note.read_text()))


@pytest.mark.skipif(os.name != "posix", reason="this system has no signals of this kind")
def test_an_interruption_ends_the_child_and_the_runner_goes_on(
    course: Course, runner: Runner, tmp_path: Path
) -> None:
    note = tmp_path / "pid"
    course.handler(
        f"open({str(note)!r} + '.part', 'w').write(str(os.getpid())); "
        f"os.rename({str(note)!r} + '.part', {str(note)!r}); time.sleep(1000)"
    )

    def interrupt() -> None:
        while not note.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    finger = threading.Thread(target=interrupt, daemon=True)
    finger.start()
    with pytest.raises(KeyboardInterrupt):
        check(course.kata(1), "fix", runner)
    assert ends(int(note.read_text()))
    assert check(course.kata(1), "good", runner).passed


def test_files_of_the_learner_do_not_hide_packages(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A learner may call a file of notes ``httpx.py`` or ``fastapi.py``."""
    for folder in (course.root, course.kata(1).folder):
        course.write(folder / "httpx.py", "raise RuntimeError('mine')\n")
        course.write(folder / "fastapi.py", "raise RuntimeError('mine')\n")
    monkeypatch.chdir(course.kata(1).folder)
    with ColdRunner() as here:
        assert check(course.kata(1), "good", here).state == "passed"


def test_settings_for_other_pytest_runs_do_not_change_a_verdict(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", "--maxfail=1 -k nothing")
    monkeypatch.setenv("PYTEST_PLUGINS", "no_such_plugin")
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    course.write("pytest.ini", "[pytest]\naddopts = --no-such-option\n")
    course.write("conftest.py", "")
    with ColdRunner() as here:
        assert check(course.kata(1), "good", here).state == "passed"


# --- which module is checked ---------------------------------------------------------------------


def test_a_path_may_be_the_target(course: Course) -> None:
    for kata in course.catalog:
        assert course.check(kata.number, str(kata.alternatives[0].path)).passed
        miss = kata.near_misses[0]
        found = course.check(kata.number, str(miss.path))
        assert {result.function for result in found.red} == set(miss.rejected_by)


def test_the_verdict_has_the_path_that_was_checked(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(course.root)
    path = shutil.copy(course.kata(1).good, course.root / "my try.py")
    with ColdRunner() as here:
        found = check(course.kata(1), "my try.py", here)
    assert found.passed
    assert found.path == str(path)


@pytest.mark.parametrize("target", ["fix", "nowhere.py"])
@pytest.mark.parametrize("number", [1, 2], ids=["file", "package"])
def test_a_module_that_is_not_there_is_a_fault(course: Course, number: int, target: str) -> None:
    found = course.check(number, target)
    assert (found.state, found.exit_code) == ("fault", 4)
    assert found.fault is not None
    assert found.fault.kind == "missing"
    assert "UsageError" not in found.fault.message


# --- the verdict as data -------------------------------------------------------------------------


def test_the_first_red_goal_comes_before_a_red_guard(course: Course) -> None:
    course.fix(course.kata(1).bad.read_text("utf-8").replace('"price": PRICE', '"price": 1'))
    found = course.check()
    assert found.first_red is not None
    assert found.first_red.name == "test_price_counts_for_each_item"
    assert found.pattern()["test_price_is_published"] == "no-lesson"


def test_a_crash_is_told_with_its_line(course: Course) -> None:
    file = course.handler("return {'total': 1 // 0}")
    first = course.check().first_red
    assert first is not None
    assert first.lesson is not None
    assert "ZeroDivisionError" in first.lesson.seen
    assert [place.file for place in first.lesson.where] == [str(file)]


def test_a_red_test_without_a_lesson_is_told_with_its_words(course: Course) -> None:
    course.fix(course.kata(1).good.read_text("utf-8").replace('"price": PRICE', '"price": 1'))
    (result,) = course.check().red
    assert result.lesson is None
    assert result.message.startswith("assert {'price': 1} == {'price': 3}")
    assert result.details


def test_warnings_of_python_are_in_the_verdict(course: Course) -> None:
    course.handler("asyncio.sleep(0); return {'total': 3 * count}")
    assert any("never awaited" in warning for warning in course.check().warnings)


def test_a_verdict_is_ready_for_json(course: Course) -> None:
    data: dict[str, Any] = course.check(1, "bad").as_dict()
    assert data["schema"] == 1
    assert data["results"][0]["lesson"]["key"] == "too-little"


class Silent(ColdRunner):
    """A process of which nothing is heard, until it is ended from outside."""

    def run(self, job: Job) -> Ending:
        return Ending(-9, "", killed=True)


def test_a_run_that_never_began_is_told_without_blame(course: Course) -> None:
    found = check(course.kata(1), "bad", Silent())
    assert found.state == "hang"
    assert found.fault is not None
    assert "Nothing was heard of the run" in found.fault.message
    assert "`kata check 1 --limit 100`" in found.fault.message


@pytest.mark.parametrize(("begun", "killed"), [(False, False), (True, True)])
def test_silence_counts_from_the_first_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: bool, killed: bool
) -> None:
    """A machine that takes long to import the libraries says nothing about the module."""
    monkeypatch.setattr(process, "_KILL_GRACE_SECONDS", 0.0)
    events = tmp_path / "events.jsonl"
    if begun:
        events.write_text("{}\n", encoding="utf-8")
    job = Job(tests="", root="", target="bad", events=str(events), limit=0.0)
    ended = threading.Event()
    threading.Timer(1.3, ended.set).start()
    assert process._watch(ended, job, ended.set) is killed


def test_a_relative_target_is_found_when_a_test_changes_the_folder(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    tests = course.kata(1).tests_file
    moves = "\n\n@pytest.fixture(autouse=True)\ndef _elsewhere(monkeypatch, tmp_path):\n"
    moves += "    monkeypatch.chdir(tmp_path)\n"
    tests.write_text(tests.read_text("utf-8") + moves, encoding="utf-8")
    monkeypatch.chdir(course.root)
    target = course.kata(1).bad.relative_to(course.root)
    with ColdRunner() as cold:
        assert check(course.kata(1), str(target), cold).state == "red"
