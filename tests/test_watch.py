"""``kata watch``, driven through a pseudo-terminal and through a pipe."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from processes import ends
from terminal import CLEAR, Terminal

from fastapi_katas.checker import verdict
from fastapi_katas.watch.changes import Changes, SystemEvents
from fastapi_katas.watch.keyboard import keys_in
from fastapi_katas.watch.sources import changed_names, matters, take_snapshot

if TYPE_CHECKING:
    from course import Course

#: The last words of the line of keys: after them the watch waits.
READY = "q quit"

needs_terminal = pytest.mark.skipif(
    sys.platform == "win32", reason="there is no pseudo-terminal here"
)


@pytest.fixture
def watch(course: Course) -> Iterator[Callable[..., Terminal]]:
    """Start the watch on a terminal; it is ended with the test."""
    started: list[Terminal] = []

    def start(*arguments: str, before: str = "") -> Terminal:
        started.append(Terminal(course.root, "watch", *arguments, before=before))
        return started[-1]

    yield start
    for terminal in started:
        with terminal:
            pass


def good(course: Course, number: int = 1) -> str:
    """The reference repair, as text."""
    return course.kata(number).good.read_text(encoding="utf-8")


def wrong(course: Course, note: str) -> str:
    """A copy that is red, and differs from all others by a note."""
    return course.kata(1).bad.read_text(encoding="utf-8") + f"\n# {note}\n"


def replace(path: Path, text: str) -> None:
    """Save as many editors do: write another file, then move it over the old one."""
    temporary = path.with_name(f"{path.name}.new-4711")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def wait_until(seen: Callable[[], bool]) -> None:
    """Wait for something that another process does, for at most a minute."""
    deadline = time.monotonic() + 60
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def attempts(course: Course, number: int = 1) -> int:
    """How many checks of a changed copy were recorded."""
    return course.progress.of(course.kata(number).name).attempts


# --- from red to green ---------------------------------------------------------------------------


@needs_terminal
@pytest.mark.parametrize("runner", ["fork", "spare"])
def test_from_red_over_green_to_the_next_kata(
    course: Course, watch: Callable[..., Terminal], runner: str
) -> None:
    terminal = watch("--runner", runner)
    seen = terminal.expect("RED kata 01, The first fault: 2 of 3 tests are red")
    assert f"Your copy is {course.kata(1).fix}." in " ".join(seen.split())
    terminal.expect(READY)

    course.fix(wrong(course, "tried"))
    terminal.expect("Changed: fix.py.")
    terminal.expect("RED kata 01")
    terminal.expect("Next: change fix.py and save it. The key h asks a question")
    terminal.expect(READY)

    course.repair(1)
    seen = terminal.expect("PASSED kata 01, The first fault: all 3 tests are green.")
    terminal.expect("The law: A price counts once for each item.")
    terminal.expect("Press n to go on with kata 02.")
    terminal.expect(READY)
    assert course.progress.of(course.kata(1).name).passed
    assert "kata 02" not in seen, "the next kata is only named after the pass"
    assert not course.kata(2).fix.exists(), "nothing is begun unasked"

    terminal.press("n")
    seen = terminal.expect("Read the page first. Then press Enter")
    terminal.expect(READY)
    assert "Kata 02, The second fault." in seen
    assert str(course.kata(2).folder / "README.md") in "".join(seen.split("\n"))
    assert course.kata(2).fix.is_dir()
    assert "RED" not in seen

    terminal.press("\r")
    terminal.expect("RED kata 02, The second fault: 1 of 2 tests")
    terminal.expect("Next: change a file in fix and save it.")
    terminal.expect(READY)

    for file in course.kata(2).good.iterdir():
        if file.is_file():
            shutil.copy(file, course.kata(2).fix / file.name)
    terminal.expect("PASSED kata 02")
    terminal.expect("Every kata is passed.")
    terminal.press("q")
    assert terminal.wait() == 0
    assert terminal.unseen.strip().endswith("The watch has ended. `kata watch 2` begins again.")
    assert terminal.attributes() == terminal.before
    assert course.leftovers() == []


@needs_terminal
def test_a_kata_can_be_named(course: Course, watch: Callable[..., Terminal]) -> None:
    terminal = watch("second")
    terminal.expect("RED kata 02")
    terminal.expect(READY)
    course.repair(2)
    terminal.expect("PASSED kata 02")
    terminal.expect("Press n to go on with kata 01.")


# --- saving --------------------------------------------------------------------------------------


@needs_terminal
def test_an_atomic_save_is_one_check(course: Course, watch: Callable[..., Terminal]) -> None:
    terminal = watch()
    terminal.expect(READY)
    replace(course.kata(1).fix, wrong(course, "tried"))
    terminal.expect("Changed: fix.py.")
    terminal.expect("RED kata 01")
    terminal.expect(READY)
    replace(course.kata(1).fix, good(course))
    terminal.expect("Changed: fix.py.")
    terminal.expect("PASSED kata 01")
    terminal.expect(READY)
    assert attempts(course) == 2


@needs_terminal
def test_a_save_that_removes_the_file_first_tells_of_no_loss(
    course: Course, watch: Callable[..., Terminal]
) -> None:
    terminal = watch()
    terminal.expect(READY)
    fix = course.kata(1).fix
    backup = fix.with_name("fix.py~")
    fix.rename(backup)
    course.fix(good(course))
    backup.unlink()
    seen = terminal.expect("PASSED kata 01")
    assert "not there" not in seen


@needs_terminal
def test_files_of_editors_start_no_check(
    course: Course, watch: Callable[..., Terminal]
) -> None:
    terminal = watch()
    terminal.expect(READY)
    folder = course.kata(1).folder
    for name in (".fix.py.swp", "4913", "fix.py~", "#fix.py#", "fix.py.bak", "notes.md", "x.db"):
        (folder / name).write_text("broken (", encoding="utf-8")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "fix.cpython-311.pyc").write_bytes(b"x")
    # The watch has looked, and goes on to answer.
    terminal.press("l")
    seen = terminal.expect("(you are here)")
    terminal.expect("The second fault")
    course.repair(1)
    seen += terminal.expect("Changed:")
    assert "RED" not in seen
    terminal.expect("PASSED")
    assert attempts(course) == 1
    assert terminal.text.count("Changed: fix.py.\n") == 2, "told before the run and after it"


@needs_terminal
def test_the_tests_and_their_helpers_are_watched_too(
    course: Course, watch: Callable[..., Terminal]
) -> None:
    tests = course.kata(1).tests_file
    helper = tests.with_name("prices.py")
    terminal = watch()
    terminal.expect("Four items at 3 each cost 7.")
    terminal.expect(READY)
    tests.write_text(tests.read_text("utf-8").replace("Four items at", "4 items at"), "utf-8")
    terminal.expect("Changed: test_kata_01.py.")
    terminal.expect("4 items at 3 each cost 7.")
    terminal.expect(READY)
    helper.write_text("PRICE = 3\n", encoding="utf-8")
    terminal.expect("Changed: prices.py.")
    terminal.expect("RED")
    terminal.expect(READY)


@needs_terminal
def test_a_file_that_is_deleted_is_waited_for(
    course: Course, watch: Callable[..., Terminal]
) -> None:
    terminal = watch()
    terminal.expect(READY)
    course.kata(1).fix.unlink()
    terminal.expect("fix.py is not there any more.")
    seen = terminal.expect(READY)
    assert "The watch waits until it is back." in seen
    assert not course.kata(1).fix.exists(), "the watch makes no file unasked"
    course.fix(good(course))
    terminal.expect("It is back.")
    terminal.expect("PASSED kata 01")
    terminal.expect(READY)

    course.kata(1).fix.rename(course.kata(1).fix.with_name("renamed.py"))
    terminal.expect("fix.py is not there any more.")
    terminal.expect(READY)
    terminal.press("r")
    terminal.expect("y/n")
    terminal.press("y")
    terminal.expect("fix.py is BAD again.")
    terminal.expect("RED kata 01")


@needs_terminal
def test_the_last_of_many_saves_counts(course: Course, watch: Callable[..., Terminal]) -> None:
    terminal = watch()
    terminal.expect(READY)
    for number in range(50):
        course.fix(wrong(course, str(number)))
    course.repair(1)
    terminal.expect("PASSED kata 01")
    assert attempts(course) < 10


@needs_terminal
@pytest.mark.parametrize("runner", ["fork", "spare"])
def test_saves_during_a_run_lead_to_one_more_run_and_one_verdict(
    course: Course, watch: Callable[..., Terminal], tmp_path: Path, runner: str
) -> None:
    began, gate = tmp_path / "began", tmp_path / "gate"
    terminal = watch("--runner", runner)
    terminal.expect(READY)
    # The module says that it runs, and waits until it may go on.
    top = (
        f"open({str(began)!r}, 'w').close()\n"
        f"while not os.path.exists({str(gate)!r}): time.sleep(0.01)\n"
    )
    course.handler('return {"total": 1}', top=top)
    wait_until(began.exists)
    for number in range(3):
        course.fix(wrong(course, str(number)))
    course.repair(1)
    gate.touch()
    terminal.expect("Changed: fix.py.")
    terminal.expect("PASSED kata 01")
    terminal.expect(READY)
    terminal.press("l")
    terminal.expect("(you are here)")
    # What was saved first has changed before its verdict was there: nobody is told it.
    assert "RED kata 01" not in terminal.text
    assert attempts(course) == 1
    assert "gives no events" not in terminal.text


# --- keys ----------------------------------------------------------------------------------------


@needs_terminal
def test_hints_come_after_an_attempt_level_by_level(
    course: Course, watch: Callable[..., Terminal]
) -> None:
    terminal = watch()
    terminal.expect(READY)
    terminal.press("h")
    terminal.expect("Try first: change fix.py and save it.")
    course.fix(wrong(course, "tried"))
    terminal.expect(READY)
    for text in ("Hint 1 of 3: What do four items cost?", "Hint 2 of 3", "Hint 3 of 3"):
        terminal.press("h")
        terminal.expect(text)
    terminal.press("h")
    terminal.expect("Hint 3 of 3")
    terminal.expect("There is no further hint for this test.")
    hints = course.progress.of(course.kata(1).name).hints
    assert hints == {"test_price_counts_for_each_item": 3}
    course.repair(1)
    terminal.expect(READY)
    terminal.press("h")
    terminal.expect("Nothing is red.")


@needs_terminal
def test_all_lessons_again_and_the_list(course: Course, watch: Callable[..., Terminal]) -> None:
    terminal = watch()
    seen = terminal.expect(READY)
    assert "An order of nothing cost" not in seen
    terminal.press("A")
    terminal.expect("An order of nothing cost 3.")
    terminal.expect(READY)
    terminal.press("l")
    seen = terminal.expect("The second fault")
    assert "01 The first fault (you are here)" in " ".join(seen.split())
    terminal.press("c")
    terminal.expect("RED kata 01")
    terminal.expect(READY)
    terminal.press("?")
    terminal.expect(READY)


@needs_terminal
def test_next_before_a_pass_asks(course: Course, watch: Callable[..., Terminal]) -> None:
    terminal = watch()
    terminal.expect(READY)
    terminal.press("n")
    terminal.expect("kata-01 is not green. Leave it, and go on with kata-02? y/n")
    terminal.press("x")
    terminal.expect("No. Everything stays as it is.")
    terminal.press("n")
    terminal.expect("y/n")
    terminal.press("y")
    terminal.expect("Kata 02, The second fault.")
    terminal.expect(READY)


@needs_terminal
def test_reset_asks_and_undo_brings_back(
    course: Course, watch: Callable[..., Terminal]
) -> None:
    course.repair(1)
    terminal = watch("1")
    terminal.expect("PASSED")
    terminal.expect(READY)
    terminal.press("r")
    terminal.expect("Begin kata-01 again from BAD?")
    terminal.expect("y/n")
    terminal.press("n")
    terminal.expect("No.")
    assert course.kata(1).fix.read_text("utf-8") == good(course)
    terminal.press("r")
    terminal.expect("y/n")
    terminal.press("y")
    terminal.expect("fix.py is BAD again. What it held is kept in")
    terminal.expect("RED kata 01")
    terminal.expect(READY)
    assert course.kata(1).fix.read_bytes() == course.kata(1).bad.read_bytes()
    terminal.press("u")
    terminal.expect("fix.py holds again what it held before the last reset.")
    terminal.expect("PASSED kata 01")
    terminal.expect(READY)
    assert course.kata(1).fix.read_text("utf-8") == good(course)
    terminal.press("u")
    terminal.expect("There is no reset of kata-01 to undo.")


def test_sequences_and_pasted_text_are_no_keys() -> None:
    assert keys_in("q") == ["q"]
    assert keys_in("rY") == ["r", "y"]
    assert keys_in("\x1b[A") == keys_in("\x1bOQ") == keys_in("\x1b[1;5D") == []
    assert keys_in("\x1b") == []
    assert keys_in("return total * count\n") == []


# --- ends ----------------------------------------------------------------------------------------


@needs_terminal
@pytest.mark.parametrize(
    ("key", "code"), [("\x03", verdict.EXIT_INTERRUPTED), ("q", 0), ("\x04", 0)]
)
def test_the_terminal_is_left_as_it_was(
    watch: Callable[..., Terminal], key: str, code: int
) -> None:
    terminal = watch()
    terminal.expect(READY)
    assert terminal.attributes() != terminal.before
    terminal.press(key)
    assert terminal.wait() == code
    assert terminal.attributes() == terminal.before
    assert "Traceback" not in terminal.text
    assert "\x1b[?25l" not in terminal.raw, "the cursor is never hidden"


@needs_terminal
@pytest.mark.parametrize("runner", ["fork", "spare"])
@pytest.mark.parametrize(("key", "code"), [("\x03", verdict.EXIT_INTERRUPTED), ("q", 0)])
def test_a_run_that_stands_still_can_be_left(
    course: Course,
    watch: Callable[..., Terminal],
    tmp_path: Path,
    runner: str,
    key: str,
    code: int,
) -> None:
    began = tmp_path / "began"
    os.mkfifo(began)
    terminal = watch("--runner", runner, "--limit", "50")
    terminal.expect(READY)
    say = f"print(os.getpid(), file=open({str(began)!r}, 'w'), flush=True)"
    course.handler('return {"total": 1}', top=f"{say}\nwhile True: pass")
    children = [int(line) for line in began.read_text().split()]
    terminal.press(key)
    assert terminal.wait() == code
    assert terminal.attributes() == terminal.before
    assert "Traceback" not in terminal.text
    assert all(ends(child) for child in children)
    assert attempts(course) == 0


@needs_terminal
def test_a_crash_and_an_order_to_end_leave_the_terminal_clean(
    course: Course, watch: Callable[..., Terminal]
) -> None:
    crash = "from fastapi_katas.watch import session\nsession.changed_names = None"
    terminal = watch(before=crash)
    terminal.expect(READY)
    course.repair(1)
    assert terminal.wait() == 1
    assert "TypeError" in terminal.text
    assert terminal.attributes() == terminal.before

    terminal = watch()
    terminal.expect(READY)
    terminal.process.terminate()
    assert terminal.wait() == 128 + signal.SIGTERM
    assert terminal.attributes() == terminal.before


@needs_terminal
def test_ctrl_z_gives_the_terminal_back_until_the_watch_goes_on(
    watch: Callable[..., Terminal],
) -> None:
    terminal = watch()
    terminal.expect(READY)
    terminal.press("\x1a")
    pid, status = os.waitpid(terminal.process.pid, os.WUNTRACED)
    assert (pid, os.WIFSTOPPED(status)) == (terminal.process.pid, True)
    assert terminal.attributes() == terminal.before
    terminal.process.send_signal(signal.SIGCONT)
    terminal.press("l")
    terminal.press("\n")  # without it a terminal with lines would keep the key
    terminal.expect("(you are here)")
    assert terminal.attributes() != terminal.before
    terminal.press("q")
    assert terminal.wait() == 0
    assert terminal.attributes() == terminal.before


# --- without keys --------------------------------------------------------------------------------


def lines_until(process: subprocess.Popen[str], text: str) -> list[str]:
    """Read lines until one holds a text; a timer ends a process that does not say it."""
    assert process.stdout is not None
    timer = threading.Timer(60, process.kill)
    timer.start()
    try:
        lines = []
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if text in line:
                return lines
    finally:
        timer.cancel()
    msg = f"{text!r} was not seen in {lines}"
    raise AssertionError(msg)


@pytest.mark.parametrize("options", [(), ("--poll",)])
def test_a_pipe_gets_plain_text_and_no_keys(course: Course, options: tuple[str, ...]) -> None:
    process = course.start("watch", *options)
    try:
        said = lines_until(process, "Next: change fix.py and save it.")
        assert any(line.startswith("RED  kata 01") for line in said)
        course.repair(1)
        said += lines_until(process, "To go on: end this with Ctrl-C, then `kata watch 2`.")
        assert "Changed: fix.py." in said
        assert any(line.startswith("PASSED  kata 01") for line in said)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == verdict.EXIT_INTERRUPTED
    assert err == "Interrupted. Your files are as they are.\n"
    text = "\n".join(said) + out
    assert text.isascii()
    assert "\x1b" not in text
    assert "quit" not in text
    assert "Press" not in text


@needs_terminal
def test_plain_on_a_terminal_clears_nothing_and_takes_no_keys(
    course: Course, watch: Callable[..., Terminal]
) -> None:
    terminal = watch("--plain")
    terminal.expect("Next: change fix.py and save it.")
    assert terminal.attributes() == terminal.before
    course.repair(1)
    terminal.expect("kata watch 2`.")
    assert "\x1b" not in terminal.raw
    terminal.press("\x03")
    assert terminal.wait() == verdict.EXIT_INTERRUPTED


@needs_terminal
def test_a_terminal_is_cleared_before_each_verdict(
    course: Course, watch: Callable[..., Terminal]
) -> None:
    terminal = watch()
    terminal.expect(READY)
    course.repair(1)
    terminal.expect(READY)
    assert CLEAR in terminal.raw
    last = terminal.raw.rpartition(CLEAR)[2]
    assert "PASSED" in last
    assert "RED" not in last


# --- events and looking --------------------------------------------------------------------------


@needs_terminal
@pytest.mark.parametrize(
    "watcher",
    [
        "lambda *a, **k: iter(lambda: __import__('time').sleep(0.05) or set(), None)",
        "lambda *a, **k: (_ for _ in ()).throw(OSError(28, 'inotify watch limit reached'))",
    ],
    ids=["silent", "refused"],
)
def test_without_events_the_files_are_looked_at(
    course: Course, watch: Callable[..., Terminal], watcher: str
) -> None:
    terminal = watch(before=f"import watchfiles\nwatchfiles.watch = {watcher}")
    terminal.expect(READY)
    course.fix(wrong(course, "tried"))
    terminal.expect("Changed: fix.py.")
    terminal.expect("RED")
    terminal.expect(READY)
    if "throw" not in watcher:
        terminal.expect("This folder gives no events about saved files")
    course.repair(1)
    terminal.expect("PASSED")
    terminal.press("q")
    assert terminal.wait() == 0


class NoEvents:
    """A source that never says anything."""

    def __init__(self, folder: Path, happened: Callable[[], None]) -> None:
        self.happened = happened
        self.closed = False

    def close(self) -> None:
        self.closed = True


def test_a_change_without_an_event_begins_the_polling(tmp_path: Path) -> None:
    sources: list[NoEvents] = []

    def start(folder: Path, happened: Callable[[], None]) -> NoEvents:
        sources.append(NoEvents(folder, happened))
        return sources[-1]

    woken: list[bool] = []
    changes = Changes(tmp_path, lambda: woken.append(True), start=start)
    mark = changes.mark()
    sources[0].happened()
    assert woken == [True]
    assert not changes.doubt(mark), "an event has told of it"
    assert not changes.polls
    slow = changes.interval
    assert changes.doubt(changes.mark())
    assert changes.polls
    assert changes.interval < slow
    assert sources[0].closed
    assert not changes.doubt(changes.mark()), "told once"


def test_the_system_tells_of_a_saved_file(tmp_path: Path) -> None:
    happened = threading.Event()
    events = SystemEvents(tmp_path, happened.set)
    try:
        (tmp_path / "fix.py").write_text("x = 1\n", encoding="utf-8")
        assert happened.wait(60)
    finally:
        events.close()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("fix.py", True), ("test_kata_01.py", True), ("page.html", True), ("schema.sql", True),
        (".fix.py.swp", False), (".#fix.py", False), ("#fix.py#", False), ("fix.py~", False),
        ("4913", False), ("fix.py___jb_tmp___", False), ("fix.py.bak", False), ("README.md", False),
        ("flycheck_fix.py", False), ("fix_flymake.py", False), ("fix.cpython-311.pyc", False),
        ("__pycache__", False), ("data.json", False), ("shop.db", False), (".fix.py.x1.tmp", False),
    ],
)  # fmt: skip
def test_what_matters(name: str, *, expected: bool) -> None:
    assert matters(name) is expected


def test_a_snapshot_sees_content_below_the_folder(tmp_path: Path) -> None:
    file = tmp_path / "fix" / "part.py"
    file.parent.mkdir()
    file.write_text("a", encoding="utf-8")
    before = take_snapshot(tmp_path)
    times = (file.stat().st_atime_ns, file.stat().st_mtime_ns)
    file.write_text("b", encoding="utf-8")
    os.utime(file, ns=times)  # a file system whose clock is coarse
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "x.py").write_text("c", encoding="utf-8")
    after = take_snapshot(tmp_path)
    assert changed_names(before, after) == ["fix/part.py"]
    shutil.rmtree(tmp_path)
    assert take_snapshot(tmp_path) == {}
