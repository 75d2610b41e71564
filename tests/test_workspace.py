"""The learner's copy: begun, reset, brought back, compared. Nothing that was written is lost."""

from __future__ import annotations

import errno
import functools
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fastapi_katas import workspace
from fastapi_katas.catalog import Kata
from fastapi_katas.files import copy_whole
from fastapi_katas.workspace import WorkspaceError

if TYPE_CHECKING:
    from course import Course

BOTH_KINDS = pytest.mark.parametrize("number", [1, 2], ids=["file", "package"])

Tree = dict[str, bytes]


def tree(path: Path) -> Tree:
    """Everything below a path, as bytes."""
    if path.is_file():
        return {"": path.read_bytes()}
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }


def kept(kata: Kata) -> list[Tree]:
    """What the backups of a kata hold, oldest first."""
    return [tree(backup / kata.fix.name) for backup in workspace.backups(kata)]


# --- start ---------------------------------------------------------------------------------------


@BOTH_KINDS
def test_the_first_start_copies_bad(course: Course, number: int) -> None:
    kata = course.kata(number)
    assert workspace.start(kata) == workspace.Started(kata.fix, created=True)
    assert tree(kata.fix) == tree(kata.bad)
    assert workspace.is_untouched(kata)


@BOTH_KINDS
def test_a_later_start_changes_nothing(course: Course, number: int) -> None:
    kata = course.kata(number)
    course.attempt(number)
    before = tree(kata.fix)
    assert workspace.start(kata) == workspace.Started(kata.fix, created=False)
    assert tree(kata.fix) == before
    assert not workspace.is_untouched(kata)


@BOTH_KINDS
def test_two_starts_at_once_make_one_copy(
    course: Course, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other start ends at the worst moment: when this one has seen that nothing is there."""
    kata = course.kata(number)
    really, calls = copy_whole, []

    def late(source: Path, target: Path) -> None:
        calls.append(target)
        temporary = kata.root / "other"
        really(source, temporary)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Path, "exists", quicker(temporary, target))
            really(source, target)

    monkeypatch.setattr(workspace, "copy_whole", late)
    assert workspace.start(kata) == workspace.Started(kata.fix, created=False)
    assert calls == [kata.fix]
    assert tree(kata.fix) == tree(kata.bad)
    assert course.leftovers() == []


def quicker(ready: Path, target: Path) -> Callable[..., bool]:
    """Answer that the target is not there, and put it there in the same moment."""
    really = Path.exists

    def exists(path: Path, **options: Any) -> bool:
        seen = really(path, **options)
        if path == target and really(ready):
            ready.rename(target)
        return seen

    return exists


def test_the_copy_of_a_package_has_no_bytecode(course: Course) -> None:
    kata = course.kata(2)
    course.write(kata.bad / "__pycache__" / "door.cpython-311.pyc", b"\0")
    workspace.start(kata)
    assert not (kata.fix / "__pycache__").exists()
    assert workspace.is_untouched(kata)


# --- reset and undo ------------------------------------------------------------------------------


@BOTH_KINDS
def test_reset_keeps_the_work_in_a_dated_backup(course: Course, number: int) -> None:
    kata = course.kata(number)
    course.attempt(number)
    work = tree(kata.fix)
    backup = workspace.reset(kata)
    assert backup is not None
    assert backup.parent == course.root / ".kata" / "backups" / kata.name
    assert backup.name[:4].isdecimal()
    assert tree(backup / kata.fix.name) == work
    assert tree(kata.fix) == tree(kata.bad)
    assert course.leftovers() == []


@BOTH_KINDS
def test_undo_brings_it_back(course: Course, number: int) -> None:
    kata = course.kata(number)
    course.attempt(number)
    work = tree(kata.fix)
    workspace.reset(kata)
    workspace.undo(kata)
    assert tree(kata.fix) == work
    assert course.leftovers() == []


@BOTH_KINDS
def test_two_resets_have_two_undos(course: Course, number: int) -> None:
    kata = course.kata(number)
    course.attempt(number, note="first")
    first = tree(kata.fix)
    workspace.reset(kata)
    course.attempt(number, note="second")
    second = tree(kata.fix)
    workspace.reset(kata)
    workspace.undo(kata)
    assert tree(kata.fix) == second
    workspace.undo(kata)
    assert tree(kata.fix) == first
    with pytest.raises(WorkspaceError, match=f"There is no reset of {kata.label} to undo"):
        workspace.undo(kata)
    assert tree(kata.fix) == first


@BOTH_KINDS
def test_a_reset_of_bad_does_not_stand_in_the_way_of_undo(course: Course, number: int) -> None:
    kata = course.kata(number)
    course.attempt(number)
    work = tree(kata.fix)
    workspace.reset(kata)
    assert workspace.reset(kata) is None
    workspace.undo(kata)
    assert tree(kata.fix) == work


@BOTH_KINDS
def test_undo_keeps_what_was_written_since(course: Course, number: int) -> None:
    kata = course.kata(number)
    course.attempt(number, note="before")
    workspace.reset(kata)
    course.attempt(number, note="since")
    since = tree(kata.fix)
    workspace.undo(kata)
    assert since in kept(kata)


@BOTH_KINDS
def test_reset_and_undo_without_end_lose_nothing(course: Course, number: int) -> None:
    kata = course.kata(number)
    seen = []
    for turn in range(4):
        course.attempt(number, note=f"turn {turn}")
        seen.append(tree(kata.fix))
        workspace.reset(kata)
        if turn % 2:
            workspace.undo(kata)
    assert all(work in [*kept(kata), tree(kata.fix)] for work in seen)


def test_reset_without_a_copy_makes_one(course: Course) -> None:
    kata = course.kata(1)
    assert workspace.reset(kata) is None
    assert workspace.is_untouched(kata)


def test_reset_removes_files_that_bad_does_not_have(course: Course) -> None:
    kata = course.kata(2)
    course.attempt(2)
    course.write(kata.fix / "mine.py", "mine = 1\n")
    backup = workspace.reset(kata)
    assert backup is not None
    assert not (kata.fix / "mine.py").exists()
    assert (backup / "fix" / "mine.py").is_file()


def test_bytes_that_are_no_text_survive_reset_and_undo(course: Course) -> None:
    kata = course.kata(1)
    course.fix(b"\xff\x00\r\n")
    workspace.reset(kata)
    workspace.undo(kata)
    assert kata.fix.read_bytes() == b"\xff\x00\r\n"


# --- a full disk ---------------------------------------------------------------------------------


class FullDisk:
    """Lets the first steps that write succeed, and fails all those that follow."""

    STEPS = ((os, "mkdir"), (os, "open"), (os, "fsync"), (os, "link"), (os, "rename"),
             (os, "replace"), (shutil, "copy2"))  # fmt: skip

    def __init__(self, patch: pytest.MonkeyPatch, *, once: bool) -> None:
        self.room = 0
        self.failures = 0
        self._once = once
        for module, name in self.STEPS:
            patch.setattr(module, name, self._limited(getattr(module, name)))
        # `copytree` has taken the function that copies a file from the module already.
        late = functools.partial(shutil.copytree, copy_function=shutil.copy2)
        patch.setattr(shutil, "copytree", late)

    def _limited(self, step: Callable[..., Any]) -> Callable[..., Any]:
        def limited(*arguments: Any, **options: Any) -> Any:
            self.room -= 1
            if self.room < 0 and not (self._once and self.failures):
                self.failures += 1
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return step(*arguments, **options)

        return limited


def fails_at_every_step(
    course: Course, kata: Kata, deed: Callable[[Kata], object], *, once: bool
) -> int:
    """Do a deed with room for 0, 1, 2, … steps until it succeeds; return how many tries it took."""
    for room in range(100):
        before = tree(kata.fix)
        others = kept(kata)
        with pytest.MonkeyPatch.context() as patch:
            disk = FullDisk(patch, once=once)
            disk.room = room
            told = ""
            try:
                deed(kata)
            except WorkspaceError as error:
                told = str(error)
        if not told:
            return room
        assert "No space left on device. " in told
        assert tree(kata.fix) == before, f"after step {room}"
        assert all(other in kept(kata) for other in others), f"after step {room}"
        assert course.leftovers() == [], f"after step {room}"
    pytest.fail("it never succeeded")


@BOTH_KINDS
def test_a_disk_that_is_full_for_a_moment_leaves_the_copy_intact(
    course: Course, number: int
) -> None:
    kata = course.kata(number)
    course.attempt(number)
    work = tree(kata.fix)
    assert fails_at_every_step(course, kata, workspace.reset, once=True) > 3
    assert tree(kata.fix) == tree(kata.bad)
    assert fails_at_every_step(course, kata, workspace.undo, once=True) > 2
    assert tree(kata.fix) == work


def test_a_reset_that_failed_is_not_undone(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    kata = course.kata(1)
    course.attempt(note="old")
    old = tree(kata.fix)
    workspace.reset(kata)
    course.attempt(note="new")
    with monkeypatch.context() as patch:
        patch.setattr(workspace, "_replace", raise_full)
        with pytest.raises(WorkspaceError, match="Your file is as it was"):
            workspace.reset(kata)
    workspace.undo(kata)
    assert tree(kata.fix) == old


def raise_full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@BOTH_KINDS
def test_a_start_on_a_full_disk_leaves_nothing_behind(course: Course, number: int) -> None:
    kata = course.kata(number)
    with pytest.MonkeyPatch.context() as patch:
        FullDisk(patch, once=False)
        with pytest.raises(WorkspaceError, match="No space left on device"):
            workspace.start(kata)
    assert not kata.fix.exists()
    assert course.leftovers() == []


@BOTH_KINDS
def test_an_interruption_at_any_step_loses_nothing(course: Course, number: int) -> None:
    """What Ctrl-C cuts short is there afterwards: in the copy, or in a backup."""
    kata = course.kata(number)
    course.attempt(number)
    work = tree(kata.fix)
    for room in range(100):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(FullDisk, "_limited", interrupted)
            disk = FullDisk(patch, once=True)
            disk.room = room
            try:
                workspace.reset(kata)
            except KeyboardInterrupt:
                assert work in [tree(kata.fix), *kept(kata)], f"after step {room}"
            else:
                break
    assert work in kept(kata)


def interrupted(disk: FullDisk, step: Callable[..., Any]) -> Callable[..., Any]:
    """Interrupt at one step instead of failing it."""

    def limited(*arguments: Any, **options: Any) -> Any:
        disk.room -= 1
        if disk.room == -1:
            raise KeyboardInterrupt
        return step(*arguments, **options)

    return limited


# --- compare -------------------------------------------------------------------------------------


def test_the_difference_is_a_diff_from_bad(course: Course) -> None:
    course.repair(1)
    text = workspace.difference(course.kata(1))
    assert text.startswith("--- bad.py\n+++ fix.py\n")
    assert "-    return PRICE + count\n+    return PRICE * count\n" in text


def test_the_difference_of_a_package_names_its_files(course: Course) -> None:
    course.repair(2)
    text = workspace.difference(course.kata(2))
    assert f"--- {Path('bad', 'words.py')}\n+++ {Path('fix', 'words.py')}\n" in text
    assert "door.py" not in text


def test_the_difference_shows_bytes_that_are_no_text(course: Course) -> None:
    course.fix(b"x = '\xff'")
    assert "+x = '\\xff'\n" in workspace.difference(course.kata(1))


def test_without_a_change_there_is_no_difference(course: Course) -> None:
    workspace.start(course.kata(2))
    assert workspace.difference(course.kata(2)) == ""
