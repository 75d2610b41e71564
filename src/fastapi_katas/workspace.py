"""The learner's copy of a kata: start it, reset it, bring it back, compare it.

Nothing here deletes work. What leaves ``fix.py`` goes to a dated folder below ``.kata/backups``.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from fastapi_katas.catalog.kata import Kata
from fastapi_katas.files import copy_whole, reason, stamp

_UNDONE = ".undone"
_KEPT = ".kept"


class WorkspaceError(Exception):
    """The learner's copy could not be made, reset or brought back. It is as it was before."""


@dataclass(frozen=True, slots=True)
class Started:
    """What :func:`start` did.

    Attributes:
        path: The learner's copy.
        created: Whether it was made just now.
    """

    path: Path
    created: bool


def start(kata: Kata) -> Started:
    """Make the learner's copy of BAD, unless there is one.

    Args:
        kata: The kata.

    Raises:
        WorkspaceError: If the copy cannot be written.
    """
    if kata.fix.exists():
        return Started(kata.fix, created=False)
    try:
        copy_whole(kata.bad, kata.fix)
    except FileExistsError:
        return Started(kata.fix, created=False)
    except OSError as error:
        msg = f"{kata.fix.name} cannot be made in {kata.folder}: {reason(error)}."
        raise WorkspaceError(msg) from error
    return Started(kata.fix, created=True)


def is_untouched(kata: Kata) -> bool:
    """Tell whether the learner's copy is missing or still the same as BAD."""
    return not kata.fix.exists() or _content(kata.fix) == _content(kata.bad)


def reset(kata: Kata) -> Path | None:
    """Put BAD back in place of the learner's copy, which is kept as a backup.

    Args:
        kata: The kata.

    Returns:
        The backup, or ``None`` if there was nothing to keep: no copy, or one that is still BAD.

    Raises:
        WorkspaceError: If the backup or the new copy cannot be written. The learner's copy is
            intact then.
    """
    backup = None
    try:
        if not is_untouched(kata):
            backup = _back_up(kata, "")
        _replace(kata, kata.bad)
    except OSError as error:
        if backup is not None:
            # There was no reset, so there is nothing that `undo` could bring back.
            _set_aside(backup, kata)
        msg = f"{kata.label} was not reset: {reason(error)}. Your file is as it was."
        raise WorkspaceError(msg) from error
    return backup


def undo(kata: Kata) -> Path:
    """Bring back what the last reset took away; call again for the one before it.

    What stands in the learner's copy now is kept too, unless it is the same as BAD.

    Args:
        kata: The kata.

    Returns:
        The backup that was brought back.

    Raises:
        WorkspaceError: If there is no backup, or it cannot be brought back.
    """
    waiting = [path for path in backups(kata) if not path.suffix]
    if not waiting:
        msg = f"There is no reset of {kata.label} to undo."
        raise WorkspaceError(msg)
    latest = waiting[-1]
    try:
        if not is_untouched(kata) and _content(kata.fix) != _content(latest / kata.fix.name):
            _back_up(kata, _KEPT)
        # Marked first: what fails now can be taken back, a copy that is replaced cannot.
        undone = latest.rename(latest.with_name(latest.name + _UNDONE))
        try:
            _replace(kata, undone / kata.fix.name)
        except OSError:
            undone.rename(latest)
            raise
    except OSError as error:
        msg = f"The reset was not undone: {reason(error)}. The backup is {latest}."
        raise WorkspaceError(msg) from error
    return latest


def backups(kata: Kata) -> list[Path]:
    """List the backups of a kata, oldest first."""
    folder = _backup_folder(kata)
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def difference(kata: Kata, *, against: Path | None = None) -> str:
    """Compare BAD with another module, as a unified diff.

    Args:
        kata: The kata.
        against: The other module; without it, the learner's copy.
    """
    other = against or kata.fix
    before, after = _content(kata.bad), _content(other)
    parts: list[str] = []
    for name in sorted(before.keys() | after.keys()):
        parts += difflib.unified_diff(
            _lines(before.get(name)),
            _lines(after.get(name)),
            str(Path(kata.bad.name, name)),
            str(Path(other.name, name)),
        )
    return "".join(parts)


def _lines(data: bytes | None) -> list[str]:
    text = (data or b"").decode("utf-8", "backslashreplace")
    if text and not text.endswith("\n"):
        text += "\n"
    return text.splitlines(keepends=True)


def _content(path: Path) -> dict[str, bytes]:
    """Read a module: one entry for a file, one per file for a package."""
    if path.is_file():
        return {"": path.read_bytes()}
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts
    }


def _backup_folder(kata: Kata) -> Path:
    return kata.root / ".kata" / "backups" / kata.name


def _back_up(kata: Kata, suffix: str) -> Path:
    # The folder gets its final name last: a backup that is cut short is not taken for one.
    final = _backup_folder(kata) / (stamp() + suffix)
    partial = final.with_name(f"{final.name}.partial.tmp")
    partial.mkdir(parents=True)
    try:
        copy_whole(kata.fix, partial / kata.fix.name)
        partial.rename(final)
    except BaseException:
        _discard(partial)
        raise
    return final


def _set_aside(backup: Path, kata: Kata) -> None:
    """Take a backup out of the way of ``undo``; it is removed only if the copy is the same."""
    with contextlib.suppress(OSError):
        if kata.fix.exists() and _content(kata.fix) == _content(backup / kata.fix.name):
            _discard(backup)
        else:
            backup.rename(backup.with_name(backup.name + _KEPT))


def _replace(kata: Kata, source: Path) -> None:
    """Put a copy of a module in the place of the learner's, whole or not at all."""
    # A name of its own each time: what a crash leaves behind must not be in the way later.
    name = f".{kata.fix.name}.{stamp()}.{os.getpid()}"
    fresh, old = kata.folder / f"{name}.new", kata.folder / f"{name}.old"
    try:
        copy_whole(source, fresh)
        if kata.fix.is_dir():
            # Folders cannot be replaced in one step: the old one steps aside first.
            kata.fix.rename(old)
            try:
                fresh.rename(kata.fix)
            except BaseException:
                old.rename(kata.fix)
                raise
        else:
            fresh.replace(kata.fix)
    finally:
        _discard(fresh)
        if kata.fix.exists():
            _discard(old)


def _discard(path: Path) -> None:
    """Remove a temporary copy; never called with a learner's only copy."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
