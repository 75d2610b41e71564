"""Which files of a kata matter to a check, and what they hold at one moment."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

#: A snapshot: for each file, by its path in the kata's folder, its time of change and content.
Snapshot = dict[str, tuple[int, bytes]]

#: What a module or its tests are made of. Pages and hints change no verdict, and what a module
#: writes while it runs (a database, a log, data) must not start the next run.
SUFFIXES = frozenset({".py", ".html", ".sql", ".toml", ".ini"})

_TOOLS = ("flycheck_", "flymake_")


def matters(name: str) -> bool:
    """Tell whether a file or folder of this name can change a verdict.

    Editors keep swap, backup and temporary files beside the file that is edited. Nearly all of them
    are hidden, or their name ends in something else than a suffix of source text: ``.fix.py.swp``,
    ``.#fix.py``, ``fix.py~``, ``#fix.py#``, ``4913``, ``fix.py___jb_tmp___``, ``fix.py.bak``.

    Args:
        name: The last part of its path.
    """
    if name.startswith((".", "#", *_TOOLS)) or name == "__pycache__":
        return False
    stem, suffix = os.path.splitext(name)  # noqa: PTH122 - a name, looked at very often
    return suffix in SUFFIXES and not stem.endswith(("~", "_flymake"))


def take_snapshot(folder: Path) -> Snapshot:
    """Read all files that matter in a folder and below it.

    The content is read, not only the time: some file systems count time in steps of two seconds.

    Args:
        folder: The folder of a kata; it may be missing.

    Returns:
        The snapshot. A file that vanishes meanwhile, or cannot be read, is left out.
    """
    found: Snapshot = {}
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and name != "__pycache__"
        )
        for name in sorted(filter(matters, files)):
            path = Path(place, name)
            try:
                content = hashlib.blake2b(path.read_bytes(), digest_size=16).digest()
                time = path.stat().st_mtime_ns
            except OSError:
                continue
            found[path.relative_to(folder).as_posix()] = (time, content)
    return found


def changed_names(before: Snapshot, after: Snapshot) -> list[str]:
    """List the files that two snapshots differ in, those that came or went included."""
    names = before.keys() | after.keys()
    return sorted(name for name in names if before.get(name) != after.get(name))
