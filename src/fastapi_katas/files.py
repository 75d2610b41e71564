"""Writing files so that a crash, a full disk or a second process never leaves half a file."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file as a whole: afterwards it has the old content or the new one.

    Args:
        path: The file; it need not exist.
        data: The new content.

    Raises:
        OSError: If the data cannot be written; the old content is intact.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def copy_whole(source: Path, target: Path) -> None:
    """Copy a file or a folder to a place where nothing is, completely or not at all.

    Args:
        source: What to copy.
        target: Where to; the folder it stands in must exist.

    Raises:
        FileExistsError: If something is there.
        OSError: If the copy cannot be written; nothing is left behind.
    """
    if target.exists():
        raise FileExistsError(target)
    if source.is_file():
        _copy_file(source, target)
        return
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, temporary / target.name, ignore=ignore)
        try:
            (temporary / target.name).rename(target)
        except OSError as error:
            # Somebody was quicker: systems name this case differently.
            if target.exists():
                raise FileExistsError(target) from error
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _copy_file(source: Path, target: Path) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(source.read_bytes())
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        try:
            # A link fails if the target has appeared meanwhile; a rename would overwrite it.
            os.link(temporary, target)
        except FileExistsError:
            raise
        except OSError:
            # A file system without links. The check above is all the protection there is.
            temporary.replace(target)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def reason(error: OSError) -> str:
    """Return in a few words why something could not be read or written."""
    if isinstance(error, shutil.Error) and isinstance(error.args[0], list) and error.args[0]:
        # A folder was copied: a list of (source, target, what the system said).
        told = str(error.args[0][0][-1])
        found = re.match(r"\[\w+ \d+\] (.+?)(?:: ['\"]|$)", told)
        return found[1] if found else told
    return error.strerror or str(error)


def stamp() -> str:
    """Return the present time as a name that sorts by age and is valid on every system."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S-%f")
