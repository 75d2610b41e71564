"""The file of progress: it counts, survives damage, and loses nothing."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from fastapi_katas.progress import KataProgress, Progress

KATA = "kata_01_first"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of progress, in a folder that exists."""
    path = tmp_path / ".kata" / "progress.json"
    path.parent.mkdir()
    return path


def record(root: Path, *, passed: bool = False, first_red: str | None = "test_a") -> Progress:
    """Record one check, as a new process would."""
    progress = Progress(root)
    progress.record_check(KATA, passed=passed, first_red=first_red)
    return progress


# --- what is counted -----------------------------------------------------------------------------


def test_nothing_was_done_at_first(tmp_path: Path) -> None:
    progress = Progress(tmp_path)
    assert progress.of(KATA) == KataProgress()
    assert progress.all() == {}
    assert progress.notices == []
    assert list(tmp_path.iterdir()) == []


def test_attempts_are_counted(tmp_path: Path) -> None:
    record(tmp_path)
    record(tmp_path)
    assert Progress(tmp_path).of(KATA).attempts == 2


def test_the_first_pass_stays(tmp_path: Path) -> None:
    record(tmp_path, passed=True, first_red="")
    passed_at = Progress(tmp_path).of(KATA).passed_at
    record(tmp_path)
    record(tmp_path, passed=True, first_red="")
    assert passed_at
    assert Progress(tmp_path).of(KATA).passed_at == passed_at
    assert Progress(tmp_path).of(KATA).passed


def test_the_highest_hint_stays(tmp_path: Path) -> None:
    for level in (1, 3, 2):
        Progress(tmp_path).record_hint(KATA, "test_a", level)
    assert Progress(tmp_path).of(KATA).hints == {"test_a": 3}


def test_a_check_without_results_leaves_the_test_to_look_at(tmp_path: Path) -> None:
    record(tmp_path, first_red="test_a")
    record(tmp_path, first_red=None)
    assert Progress(tmp_path).of(KATA).first_red == "test_a"
    assert Progress(tmp_path).of(KATA).attempts == 2


def test_katas_do_not_disturb_each_other(tmp_path: Path) -> None:
    record(tmp_path)
    Progress(tmp_path).record_hint("kata_02_second", "test_b", 1)
    assert Progress(tmp_path).all() == {
        KATA: KataProgress(attempts=1, first_red="test_a"),
        "kata_02_second": KataProgress(hints={"test_b": 1}),
    }


def test_the_file_can_be_read_by_people(tmp_path: Path, file: Path) -> None:
    record(tmp_path, first_red="test_größe")
    text = file.read_text("utf-8")
    assert '\n      "first_red": "test_größe",' in text or '"first_red": "test_größe"' in text
    assert json.loads(text)["version"] == 1


# --- damage --------------------------------------------------------------------------------------

DAMAGED = [
    pytest.param(b"", id="empty"),
    pytest.param(b'{"version": 1, "katas": {"kata_01', id="cut short"),
    pytest.param(b"\xff\xfe\x00", id="no text"),
    pytest.param(b"null", id="nothing"),
    pytest.param(b"[]", id="a list"),
    pytest.param(b"{}", id="no version"),
    pytest.param(b'{"version": 1}', id="no katas"),
    pytest.param(b'{"version": 1, "katas": []}', id="katas in a list"),
    pytest.param(b'{"version": 1, "katas": {"k": 3}}', id="entry that is a number"),
    pytest.param(b'{"version": 1, "katas": {"k": {"stars": 3}}}', id="unknown field"),
    pytest.param(b'{"version": 1, "katas": {"k": {"attempts": "3"}}}', id="field of another type"),
    pytest.param(b'{"version": 1, "katas": {"k": {"hints": {"t": "1"}}}}', id="hint of a type"),
    pytest.param(b"[" * 100_000, id="deep"),
]


@pytest.mark.parametrize("data", DAMAGED)
def test_a_damaged_file_is_told_and_left_alone_by_reading(
    tmp_path: Path, file: Path, data: bytes
) -> None:
    file.write_bytes(data)
    progress = Progress(tmp_path)
    assert progress.of(KATA) == KataProgress()
    assert progress.notices == [f"The file of your progress is damaged: {file}."]
    assert file.read_bytes() == data


@pytest.mark.parametrize("data", DAMAGED)
def test_a_damaged_file_is_kept_aside_by_writing(tmp_path: Path, file: Path, data: bytes) -> None:
    file.write_bytes(data)
    progress = record(tmp_path)
    (kept,) = file.parent.glob("progress.kept-*.json")
    assert kept.read_bytes() == data
    assert progress.notices == [f"The file of your progress is damaged. It is kept as {kept}."]
    assert Progress(tmp_path).of(KATA).attempts == 1


def test_a_file_of_a_future_version_is_kept_aside_and_told(tmp_path: Path, file: Path) -> None:
    data = b'{"version": 2, "katas": {"kata_01_first": {"stars": 3}}}'
    file.write_bytes(data)
    reading = Progress(tmp_path)
    assert reading.of(KATA) == KataProgress()
    assert "another version of the course (format 2)" in reading.notices[0]
    assert file.read_bytes() == data
    writing = record(tmp_path)
    (kept,) = file.parent.glob("progress.kept-*.json")
    assert kept.read_bytes() == data
    assert "(format 2). It is kept as" in writing.notices[0]


def test_damage_that_comes_twice_is_kept_twice(tmp_path: Path, file: Path) -> None:
    for data in (b"first", b"second"):
        file.write_bytes(data)
        record(tmp_path)
    kept = {path.read_bytes() for path in file.parent.glob("progress.kept-*.json")}
    assert kept == {b"first", b"second"}


def test_a_file_that_cannot_be_read_is_not_written_over(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tmp_path)
    before = file.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", denied)
        progress = record(tmp_path)
    assert progress.notices == ["Your progress was not saved: Permission denied."]
    assert file.read_bytes() == before


def denied(_: Path) -> bytes:
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


# --- a bad day for the disk ----------------------------------------------------------------------


@pytest.mark.parametrize("step", ["mkstemp", "fsync", "chmod", "replace"])
def test_what_cannot_be_saved_is_told_and_the_old_file_stays(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    record(tmp_path)
    before = file.read_bytes()
    owner = {"mkstemp": tempfile, "fsync": os}.get(step, Path)
    with monkeypatch.context() as patch:
        patch.setattr(owner, step, full)
        progress = record(tmp_path)
    assert progress.notices == ["Your progress was not saved: No space left on device."]
    assert file.read_bytes() == before
    assert {path.name for path in file.parent.iterdir()} <= {"progress.json", "progress.lock"}


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda folder: folder.rmdir() or folder.write_text(""), id="a file .kata"),
        pytest.param(lambda folder: (folder / "progress.json").mkdir(), id="a folder"),
    ],
)
def test_something_else_in_the_place_of_the_file(
    tmp_path: Path, file: Path, spoil: Callable[[Path], object]
) -> None:
    spoil(file.parent)
    progress = record(tmp_path)
    assert progress.of(KATA) == KataProgress()
    assert progress.notices[0].startswith("Your progress was not saved: ")


def test_a_lock_that_is_never_given_back_is_told(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from filelock import FileLock

    monkeypatch.setattr("fastapi_katas.progress._LOCK_SECONDS", 0.0)
    with FileLock(file.parent / "progress.lock"):
        progress = record(tmp_path)
    assert progress.notices == [
        "Your progress was not saved: another check holds the file for too long."
    ]


# --- many at once --------------------------------------------------------------------------------

_WRITER = """
import sys
from pathlib import Path
from fastapi_katas.progress import Progress
sys.stdin.readline()
for _ in range(20):
    progress = Progress(Path(sys.argv[1]))
    progress.record_check("kata_01_first", passed=False, first_red="")
    progress.record_hint(sys.argv[2], "test_a", 1)
    assert not progress.notices, progress.notices
"""


def test_two_processes_at_once_lose_nothing(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path), f"kata_{number}"],
            stdin=subprocess.PIPE,
        )
        for number in (1, 2)
    ]
    for writer in writers:
        writer.communicate(b"go\n", timeout=60)
    assert [writer.returncode for writer in writers] == [0, 0]
    found = Progress(tmp_path).all()
    assert found[KATA].attempts == 40
    assert found.keys() == {KATA, "kata_1", "kata_2"}
