"""Bad input and bad days: what a learner's file, disk and fingers can do, and what is said then."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fastapi_katas import workspace
from fastapi_katas.checker.verdict import Fault, Verdict

if TYPE_CHECKING:
    from course import Course, Ran

POSIX = pytest.mark.skipif(os.name != "posix", reason="this system has no signals of this kind")


def fault(found: Verdict) -> Fault:
    """The fault of a verdict on a module that cannot be used."""
    assert (found.state, found.exit_code) == ("fault", 4), found
    assert found.fault is not None
    return found.fault


def line_of(file: Path, code: str) -> int:
    """The number of the line that holds some code."""
    lines = file.read_text("utf-8").splitlines()
    return next(number for number, line in enumerate(lines, start=1) if code in line)


def assert_at(found: Fault, file: Path, code: str) -> None:
    """The fault points to the learner's line."""
    assert found.where is not None, found
    assert (found.where.file, found.where.line) == (str(file), line_of(file, code))
    assert code in found.where.code


# --- a module that cannot be loaded --------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind", "message", "code"),
    [
        ("x = 1\ndef f(:\n", "syntax", "SyntaxError: invalid syntax", "def f(:"),
        ("def f():\nx = 1\n", "syntax", "IndentationError: ", "x = 1"),
        ("if x:\n\tx = 1\n        y = 2\n", "syntax", "TabError: ", "y = 2"),
        ("a\nimport nothing_here\n", "import", "NameError: name 'a' is not defined", "a"),
        ("\nimport nothing_here\n", "import", "No module named 'nothing_here'", "nothing_here"),
        ("from fastapi import Fast\n", "import", "cannot import name 'Fast'", "import Fast"),
        ("\n1 / 0\n", "import", "ZeroDivisionError: division by zero", "1 / 0"),
        ("def f(): f()\nf()\n", "import", "RecursionError: ", "def f(): f()"),
        ("class E(BaseException): ...\nraise E\n", "import", "cannot be imported: E", "raise E"),
        ("import sys\nsys.exit(3)\n", "exit", "ends the process (SystemExit(3))", "sys.exit(3)"),
        ("raise SystemExit\n", "exit", "ends the process (SystemExit())", "raise SystemExit"),
        ("import os\nos._exit(0)\n", "exit", "`os._exit(0)`", "os._exit(0)"),
    ],
)
def test_a_module_that_cannot_be_loaded_is_told_once_with_its_line(
    course: Course, text: str, kind: str, message: str, code: str
) -> None:
    file = course.fix(text)
    found = course.check()
    told = fault(found)
    assert told.kind == kind
    assert message in told.message
    assert_at(told, file, code)
    assert found.results == ()


@pytest.mark.parametrize(
    ("data", "line", "message"),
    [
        (b"x = 1\ny = '\xff'\n", 2, "not UTF-8 text"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", 1, "not UTF-8 text"),
        (b"x = 1\n\ny = '\x00'\n", 3, "null bytes"),
        ("x = 'é'".encode("utf-16"), 1, "not UTF-8 text"),
    ],
)
def test_bytes_that_are_no_text_are_told_with_their_line(
    course: Course, data: bytes, line: int, message: str
) -> None:
    file = course.fix(data)
    told = fault(course.check())
    assert told.kind in {"undecodable", "syntax"}
    assert message in told.message
    assert told.where is not None
    assert (told.where.file, told.where.line) == (str(file), line)


def test_a_file_with_a_byte_order_mark_and_windows_lines_is_fine(course: Course) -> None:
    text = course.kata(1).good.read_text("utf-8").replace("\n", "\r\n")
    course.fix(b"\xef\xbb\xbf" + text.encode())
    assert course.check().passed


def test_an_empty_file_has_no_app(course: Course) -> None:
    file = course.fix("")
    told = fault(course.check())
    assert told.kind == "no-app"
    assert told.message == "The module has no `app` any more. The tests send their requests to it."
    assert told.where is not None
    assert told.where.file == str(file)


def test_an_app_of_another_kind_is_no_app(course: Course) -> None:
    course.fix("app = 3\nPRICE = 3\n")
    told = fault(course.check())
    assert (told.kind, told.message) == ("no-app", "`app` is a int, not a FastAPI application.")


def test_a_renamed_public_name_is_told(course: Course) -> None:
    course.fix(course.kata(1).good.read_text("utf-8").replace("PRICE", "COST"))
    told = fault(course.check())
    assert told.kind == "renamed"
    assert told.message == "The name `PRICE` is gone. It is part of the contract and must stay."


def test_a_lifespan_that_fails_is_told_with_its_line(course: Course) -> None:
    text = course.kata(1).bad.read_text("utf-8")
    text = text.replace('FastAPI(title="Till")', "FastAPI(lifespan=start)").replace(
        "app = ",
        "from contextlib import asynccontextmanager\n@asynccontextmanager\n"
        "async def start(app):\n    raise OSError('no database')\n    yield\napp = ",
    )
    file = course.fix(text)
    told = fault(course.check())
    assert told.kind == "start-up"
    assert "OSError: no database" in told.message
    assert_at(told, file, "raise OSError")


@pytest.mark.parametrize("file", ["__init__.py", "words.py"])
def test_a_fault_in_a_package_is_told_with_the_file_it_is_in(course: Course, file: str) -> None:
    path = course.attempt(2) / file
    course.write(path, "x = (\n")
    told = fault(course.check(2))
    assert told.kind == "syntax"
    assert_at(told, path, "x = (")


# --- a module that ends the process while it serves ----------------------------------------------


@pytest.mark.parametrize("asynchronous", [True, False], ids=["async def", "def"])
@pytest.mark.parametrize("code", ["sys.exit(0)", "os._exit(0)"])
def test_a_handler_that_ends_the_process_is_told_with_its_line(
    course: Course, code: str, asynchronous: bool
) -> None:
    file = course.handler(code, asynchronous=asynchronous)
    told = fault(course.check())
    assert told.kind == "exit"
    assert_at(told, file, code)


@POSIX
def test_a_process_that_dies_by_a_signal_is_told_with_its_test(course: Course) -> None:
    course.handler("os.kill(os.getpid(), 11)")
    told = fault(course.check())
    assert told.kind == "ended"
    assert told.message == "The process ended in the middle (signal 11)."
    assert told.test == "test_price_counts_for_each_item"


# --- a module that stands still ------------------------------------------------------------------


def assert_hangs(found: Verdict, file: Path, code: str) -> None:
    """The verdict is a hang, and it points to the learner's line."""
    assert (found.state, found.exit_code) == ("hang", 4), found
    assert found.fault is not None
    assert "The run stood still" in found.fault.message
    assert_at(found.fault, file, code)


def test_an_endless_loop_at_import_is_ended_and_its_line_named(course: Course) -> None:
    file = course.fix("x = 0\nwhile True:\n    x = 1\n")
    found = course.check_hang()
    assert found.state == "hang"
    assert found.fault is not None
    assert found.fault.where is not None
    assert found.fault.where.file == str(file)
    assert found.fault.where.line in {2, 3}


@pytest.mark.parametrize(
    ("code", "asynchronous"),
    [
        pytest.param("while True: count = 1", True, id="loop in async def"),
        pytest.param("while True: count = 1", False, id="loop in def"),
        pytest.param("time.sleep(1000)", True, id="sleep in async def"),
        pytest.param("time.sleep(1000)", False, id="sleep in def"),
        pytest.param("await asyncio.Event().wait()", True, id="await that never ends"),
        pytest.param("await asyncio.sleep(1000)", True, id="await that ends too late"),
        pytest.param("while True: await asyncio.sleep(0)", True, id="loop that awaits"),
    ],
)
def test_a_hang_in_a_handler_is_ended_and_its_line_named(
    course: Course, code: str, asynchronous: bool
) -> None:
    file = course.handler(code, asynchronous=asynchronous)
    found = course.check_hang()
    assert_hangs(found, file, code)
    assert found.fault is not None
    assert found.fault.test == "test_price_counts_for_each_item"


def test_a_hang_that_stops_even_the_watchdog_is_ended_and_its_line_named(
    make_course: Callable[[Path], Course], tmp_path: Path
) -> None:
    """No Python code runs while this line keeps the interpreter's lock."""
    course = make_course(tmp_path / "für 日本 ok")
    code = "all(__import__('itertools').repeat(1))"
    file = course.handler(code)
    assert_hangs(course.check_hang(), file, code)


def test_a_hang_in_a_helper_names_the_helper(course: Course) -> None:
    text = course.kata(1).bad.read_text("utf-8")
    file = course.fix(text.replace("return PRICE + count", "while True: count = 2"))
    assert_hangs(course.check_hang(), file, "while True: count = 2")


def test_the_command_ends_a_hang_at_the_limit_of_the_learner(course: Course) -> None:
    file = course.handler("while True: pass")
    ran = course.run("check", "1", "--limit", "2")
    assert ran.code == 4
    assert ran.out.startswith("HANGS  kata 01, The first fault.\n")
    place = file.relative_to(course.root)
    assert f"  {place}:{line_of(file, 'while True')}   while True: pass\n" in ran.out
    assert "The test that was running: test_price_counts_for_each_item.\n" in ran.out


# --- a module that talks too much ----------------------------------------------------------------


def test_megabytes_of_output_are_cut(course: Course) -> None:
    course.handler("print(('y' * 99 + '\\n') * 200_000)\n    return {'total': 3 * count}")
    found = course.check()
    assert found.passed
    assert "bytes left out …]" in found.output
    assert len(found.output) < 70_000


def test_megabytes_in_one_line_do_not_fill_the_screen(course: Course) -> None:
    course.handler("print('y' * 20_000_000)\n    return {'total': 3 * count}")
    ran = course.call("check", "1")
    assert ran.code == 0
    assert len(ran.out) < 3_000


def test_output_that_is_no_text_is_shown_with_escapes(course: Course) -> None:
    course.handler(
        r"sys.stdout.buffer.write(b'a\xff\xfe\n'); sys.stdout.flush()"
        "\n    return {'total': 3 * count}"
    )
    found = course.check()
    assert found.passed
    assert "a\\xff\\xfe" in found.output
    assert "a\\xff\\xfe" in course.call("check", "1").out


def test_a_closed_standard_output_does_no_harm(course: Course) -> None:
    course.handler("os.close(1); os.close(2)\n    return {'total': 3 * count}", top="")
    assert course.check().state in {"passed", "red"}


# --- a file that goes away -----------------------------------------------------------------------


def test_a_copy_that_is_deleted_while_it_is_checked(course: Course) -> None:
    """All tests judge what was there when the run began."""
    file = course.handler(
        "os.path.exists(__file__) and os.unlink(__file__)\n    return {'total': 0}"
    )
    ran = course.call("check", "1")
    assert not file.exists()
    assert ran.code == 1
    assert "Four items at 3 each cost 0." in ran.out


def test_a_copy_that_is_deleted_before_it_is_loaded(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = course.attempt()
    really = course.runner.run

    def run(job: Any) -> Any:
        file.unlink()
        return really(job)

    monkeypatch.setattr(course.runner, "run", run)
    ran = course.call("check", "1")
    assert ran.code == 4
    assert "The file is gone." in ran.out
    assert "UsageError" not in ran.all
    assert course.progress.all() == {}


def test_a_package_that_loses_a_file_while_it_is_checked(course: Course) -> None:
    path = course.repair(2)
    course.write(path / "door.py", (path / "door.py").read_text("utf-8").replace(
        "return greet(guest)",
        "import pathlib; pathlib.Path(__file__).with_name('words.py').unlink(missing_ok=True)\n"
        "    return greet(guest)",
    ))  # fmt: skip
    found = course.check(2)
    assert not (path / "words.py").exists()
    assert found.passed or fault(found).kind == "import"


def test_a_copy_that_cannot_be_read_is_a_fault(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    course.kata(1).fix.mkdir()  # cannot be read even by an administrator
    ran = course.call("check", "1")
    assert ran.code == 4
    assert "Traceback" not in ran.all


# --- where the clone is --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["my courses", "kursübung 日本", "a'b\"c #1", "-50% off & more; $5"],
)
def test_the_path_of_the_clone_may_be_strange(
    make_course: Callable[[Path], Course], tmp_path: Path, name: str
) -> None:
    course = make_course(tmp_path / name)
    course.repair(2)
    assert course.call("check", "2").code == 0
    file = course.fix("def\n")
    assert_at(fault(course.check()), file, "def")


def test_every_verb_works_in_a_strange_path(
    make_course: Callable[[Path], Course], tmp_path: Path
) -> None:
    course = make_course(tmp_path / "mein kurs für 日本")
    course.attempt()
    assert course.run("check", "1").code == 1
    for arguments in (("hint", "1"), ("diff", "1"), ("reset", "1"), ("undo", "1"), ("list",),
                      ("next",), ("solution", "1", "--spoil")):  # fmt: skip
        assert course.call(*arguments).code == 0, arguments


# --- a clone that cannot be written --------------------------------------------------------------


def can_unshare() -> bool:
    """Whether this machine lets a process have mounts of its own."""
    if sys.platform != "linux":
        return False
    with contextlib.suppress(OSError):
        command = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    return False


@pytest.fixture(scope="session")
def mounts() -> None:
    """Skip where a process cannot have mounts of its own."""
    if not can_unshare():
        pytest.skip("a process cannot have mounts of its own here")


def run_mounted(course: Course, mount: str, *arguments: str) -> Ran:
    """Run the command while the course is mounted in another way."""
    from course import Ran

    script = f'{mount} && cd "$0" && exec "$@"'
    command = ["unshare", "-rm", "sh", "-c", script, str(course.root)]
    done = subprocess.run(
        [*command, sys.executable, "-m", "fastapi_katas", *arguments],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    return Ran(done.returncode, done.stdout, done.stderr)


READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0"'


@pytest.mark.usefixtures("mounts")
def test_in_a_read_only_clone_the_exhibit_is_checked(course: Course) -> None:
    ran = run_mounted(course, READ_ONLY, "check", "1")
    said = " ".join(ran.out.split())
    assert ran.code == 1
    assert "fix.py cannot be made in" in said
    assert "Read-only file system. The exhibit bad.py is checked instead." in said
    assert "RED kata 01" in said
    assert ran.err == ""


@pytest.mark.usefixtures("mounts")
def test_in_a_read_only_clone_a_copy_is_checked_but_not_recorded(course: Course) -> None:
    course.repair(1)
    ran = run_mounted(course, READ_ONLY, "check", "1")
    assert ran.code == 0
    assert "Your progress was not saved: Read-only file system.\n" in ran.out
    assert "PASSED  kata 01" in ran.out


@pytest.mark.usefixtures("mounts")
def test_in_a_read_only_clone_reset_is_refused(course: Course) -> None:
    file = course.attempt()
    work = file.read_bytes()
    ran = run_mounted(course, READ_ONLY, "reset", "1")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err == (
        "kata-01 was not reset: Read-only file system. Your file is as it was.\n"
    )
    assert file.read_bytes() == work


@pytest.mark.usefixtures("mounts")
def test_in_a_read_only_clone_reading_goes_on(course: Course) -> None:
    assert run_mounted(course, READ_ONLY, "list").code == 0
    ran = run_mounted(course, READ_ONLY, "next")
    assert ran.code == 0
    assert "Read-only file system" in " ".join(ran.out.split())


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is forbidden to this user"
)
def test_in_a_forbidden_clone_the_exhibit_is_checked(course: Course) -> None:
    folder = course.kata(1).folder
    folder.chmod(0o555)
    try:
        ran = course.call("check", "1")
    finally:
        folder.chmod(0o755)
    assert ran.code == 1
    assert "The exhibit bad.py is checked instead." in " ".join(ran.out.split())


def test_where_no_copy_can_be_made_the_exhibit_is_checked(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(workspace, "copy_whole", refuse)
    ran = course.call("check", "1")
    said = " ".join(ran.out.split())
    assert ran.code == 1
    assert "Permission denied. The exhibit bad.py is checked instead." in said


def test_without_a_place_for_temporary_files_the_check_says_so(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    course.attempt()
    monkeypatch.setattr("tempfile.TemporaryDirectory", refuse)
    ran = course.call("check", "1")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err == "The check cannot be run: No space left on device.\n"


# --- a full disk ---------------------------------------------------------------------------------

#: The course on a disk of its own that is then filled to the last byte; the copy comes back out.
FULL = (
    'cp -r "$0" /tmp/kept && mount -t tmpfs -o size=4m none "$0" && cp -r /tmp/kept/. "$0" && '
    '{ cat /dev/zero > "$0/filler" 2>/dev/null; true; }'
)


@pytest.mark.usefixtures("mounts")
@pytest.mark.parametrize("number", [1, 2], ids=["file", "package"])
def test_reset_on_a_full_disk_leaves_the_copy_intact(
    course: Course, tmp_path: Path, number: int
) -> None:
    fix = course.attempt(number).relative_to(course.root)
    kept, after = tmp_path / "kept", tmp_path / "after"
    script = FULL.replace("/tmp/kept", f"'{kept}'") + (
        f"; cd \"$0\"; \"$@\"; code=$?; rm filler; cp -r . '{after}'; exit $code"
    )
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, str(course.root), sys.executable, "-m",
         "fastapi_katas", "reset", str(number)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    told = f"kata-0{number} was not reset: No space left on device. Your file is as it was.\n"
    assert (done.returncode, done.stderr) == (3, told)
    before = contents(course.root / fix)
    assert contents(after / fix) == before
    names = [path.name for path in after.rglob("*")]
    assert [name for name in names if re.search(r"\.(tmp|new|old)", name)] == []


def contents(path: Path) -> dict[str, bytes]:
    """All files below a path."""
    paths = [path] if path.is_file() else [found for found in path.rglob("*") if found.is_file()]
    return {str(found.relative_to(path)): found.read_bytes() for found in paths}


# --- the file of progress, seen from the command -------------------------------------------------


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"{broken", "is damaged", id="damaged"),
        pytest.param(
            b'{"version": 9, "katas": {}}',
            "was written by another version of the course (format 9)",
            id="future",
        ),
    ],
)
def test_every_verb_tells_that_the_file_of_progress_is_not_used(
    course: Course, data: bytes, reason: str
) -> None:
    file = course.write(".kata/progress.json", data)
    course.attempt()
    for arguments in (("list",), ("next",), ("hint", "1"), ("solution", "1")):
        said = " ".join(course.call(*arguments).all.split())
        assert f"The file of your progress {reason}: {file}." in said, arguments
        assert file.read_bytes() == data
    said = " ".join(course.call("check", "1").out.split())
    (kept,) = file.parent.glob("progress.kept-*.json")
    assert f"The file of your progress {reason}. It is kept as {kept}." in said
    assert kept.read_bytes() == data
    assert course.progress.of("kata_01_first").attempts == 1


def test_json_has_the_notices_inside(course: Course) -> None:
    course.write(".kata/progress.json", "{broken")
    course.attempt()
    ran = course.call("check", "1", "--json")
    assert "is damaged. It is kept as" in json.loads(ran.out)["notices"][0]


# --- two at once, and fingers on Ctrl-C ----------------------------------------------------------


def test_two_checks_at_once_both_count(course: Course) -> None:
    course.attempt(1)
    course.attempt(2)
    processes = [course.start("check", number) for number in ("1", "1", "2")]
    ended = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [1, 1, 1]
    assert [err for _, err in ended] == ["", "", ""]
    assert course.progress.of("kata_01_first").attempts == 2
    assert course.progress.of("kata_02_second").attempts == 1
    assert course.leftovers() == []


@pytest.mark.parametrize("number", [1, 2], ids=["file", "package"])
def test_two_first_checks_at_once_make_one_copy(course: Course, number: int) -> None:
    kata = course.kata(number)
    processes = [course.start("check", str(number)) for _ in range(2)]
    said = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [1, 1]
    assert sum("Your copy is" in text for text in said) == 1
    assert workspace.is_untouched(kata)
    assert course.leftovers() == []


@pytest.fixture
def standing(course: Course, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A check that stands still in the module, and the child process that stands there."""
    note = tmp_path / "pid"
    course.handler(
        f"open({str(note)!r} + '.new', 'w').write(str(os.getpid())); "
        f"os.rename({str(note)!r} + '.new', {str(note)!r}); time.sleep(1000)"
    )
    process = course.start("check", "1")
    deadline = time.monotonic() + 30
    while not note.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    child = int(note.read_text())
    yield process, child
    for pid in (process.pid, child):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGTERM if os.name != "posix" else signal.SIGKILL)
    process.wait()


@POSIX
def test_ctrl_c_ends_a_check_cleanly(
    course: Course, standing: tuple[subprocess.Popen[str], int]
) -> None:
    process, child = standing
    work = course.kata(1).fix.read_bytes()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == ""
    assert err == "Interrupted. Nothing was recorded; your file is as it was.\n"
    assert not is_alive(child)
    assert course.progress.all() == {}
    assert course.kata(1).fix.read_bytes() == work
    assert course.leftovers() == []


@POSIX
def test_ctrl_c_leaves_no_temporary_folder(
    course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    note = tmp_path / "begun"
    course.handler(f"open({str(note)!r}, 'w').close(); time.sleep(1000)")
    process = course.start("check", "1", env={"TMPDIR": str(scratch)})
    deadline = time.monotonic() + 30
    while not note.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert list(scratch.iterdir()) == []


def is_alive(pid: int) -> bool:
    """Whether a process runs, or is still there to be fetched by a parent that is gone."""
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return True
