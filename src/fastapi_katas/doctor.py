"""What can be wrong around a course, and the command that mends it.

Each examination returns findings. None of them changes anything, apart from a probe file that is
written and removed again.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import shlex
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from packaging.requirements import InvalidRequirement, Requirement

import fastapi_katas
from fastapi_katas.catalog.catalog import Catalog
from fastapi_katas.catalog.folders import course_root
from fastapi_katas.files import reason
from fastapi_katas.progress import Progress
from fastapi_katas.services import SERVICES

if TYPE_CHECKING:
    from fastapi_katas.watch.changes import StartEvents

LOWEST_PYTHON = (3, 11)
#: More than the coarsest file system rounds a time.
CLOCK_TOLERANCE_SECONDS = 3.0
#: Events that arrive at all arrive within a small part of this.
EVENT_SECONDS = 2.0
RENEW = "nox -s board"
_PROBE = ".kata-doctor-"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one examination found.

    Attributes:
        topic: What was examined, in one or two words.
        state: ``fine``, ``note`` (nothing to do) or ``wrong``.
        text: One or two sentences.
        command: For what is wrong, the command to run.
    """

    topic: str
    state: Literal["fine", "note", "wrong"]
    text: str
    command: str = ""


def examine(here: Path, environ: Mapping[str, str]) -> list[Finding]:
    """Examine everything.

    Args:
        here: The folder in which the command was called.
        environ: The environment variables.

    Returns:
        The findings, in the order in which they should be mended.
    """
    found = [*python(sys.version_info[:3])]
    catalog = Catalog.find(here)
    found += folder(here, catalog)
    if catalog is None:
        return found
    root = catalog.root
    found += [*environment(root), *packages(root), *shadowing(dict.fromkeys((root, here)))]
    unwritable = [*writable(catalog)]
    found += unwritable
    if all(finding.state == "fine" for finding in unwritable):
        found += [*clock(root / "katas")]
    found += [*watching(root / "katas"), *progress(root), *services(environ)]
    return found


def python(version: Sequence[int]) -> Iterator[Finding]:
    """Look at the version of Python."""
    text = ".".join(map(str, version))
    if tuple(version[:2]) >= LOWEST_PYTHON:
        yield Finding("Python", "fine", f"{text}.")
    else:
        wanted = ".".join(map(str, LOWEST_PYTHON))
        told = f"{text} is too old: the course needs {wanted} or newer."
        yield Finding("Python", "wrong", told, "python3.13 -m pip install nox")


def folder(here: Path, catalog: Catalog | None) -> Iterator[Finding]:
    """Look where the command was called, and which copy of the course answers."""
    if catalog is None:
        told = "There are no katas here or above. Go to the folder of the course."
        yield Finding("Folder", "wrong", told, "cd fastapi-katas")
        return
    root = catalog.root
    if course_root(here) is None:
        told = f"This is not the folder of the course: {here}."
        yield Finding("Folder", "wrong", told, f"cd {_quoted(root)}")
        return
    home = Path(fastapi_katas.__file__).resolve().parents[2]
    if (root / "src" / "fastapi_katas").is_dir() and home != root.resolve():
        told = f"The katas are those of {root}, but this command belongs to {home}."
        yield Finding("Folder", "wrong", told, RENEW)
        return
    yield Finding("Folder", "fine", f"{root}, {len(catalog)} katas.")


def environment(root: Path) -> Iterator[Finding]:
    """Look whether ``.venv`` is finished and as new as the files that it is made from."""
    home = root / ".venv"
    if not home.exists():
        yield Finding("Environment", "note", f"There is no .venv; this is {sys.prefix}.")
        return
    try:
        made_for = dict(json.loads((home / "katas.json").read_text("utf-8"))["made_for"])
    except (OSError, ValueError, TypeError, KeyError):
        yield Finding("Environment", "wrong", ".venv is unfinished or was made by hand.", RENEW)
        return
    if made_for.get("folder") != str(root.resolve()):
        yield Finding("Environment", "wrong", ".venv was made for another folder.", RENEW)
        return
    files = [name for name in made_for if (root / name).is_file()]
    stale = [
        name
        for name in files
        if made_for[name] != hashlib.sha256((root / name).read_bytes()).hexdigest()
    ]
    if stale:
        told = f".venv is older than {', '.join(sorted(stale))}."
        yield Finding("Environment", "wrong", told, RENEW)
    elif Path(sys.prefix).resolve() != home.resolve():
        told = f"This command runs in {sys.prefix}, not in .venv. `nox` uses .venv."
        yield Finding("Environment", "note", told)
    else:
        yield Finding("Environment", "fine", ".venv is up to date.")


def packages(root: Path) -> Iterator[Finding]:
    """Compare the packages of this Python with the pinned versions."""
    pinned = root / "constraints" / "katas.txt"
    try:
        lines = pinned.read_text(encoding="utf-8").splitlines()
    except OSError:
        yield Finding("Packages", "note", "There are no pinned versions to compare with.")
        return
    different, count = [], 0
    for line in lines:
        if not line[:1].isalnum():
            continue
        try:
            wanted = Requirement(line.rstrip(" \\"))
        except InvalidRequirement:
            continue
        if wanted.marker is not None and not wanted.marker.evaluate():
            continue
        count += 1
        try:
            version = importlib.metadata.version(wanted.name)
        except importlib.metadata.PackageNotFoundError:
            different.append(f"{wanted.name} is missing")
            continue
        if not wanted.specifier.contains(version, prereleases=True):
            different.append(f"{wanted.name} is {version}, not {str(wanted.specifier)[2:]}")
    if different:
        more = f", and {len(different) - 3} more" if len(different) > 3 else ""
        told = f"Other versions than the pinned ones: {'; '.join(different[:3])}{more}."
        yield Finding("Packages", "wrong", told, RENEW)
    else:
        yield Finding("Packages", "fine", f"All {count} have the pinned versions.")


def shadowing(folders: Iterable[Path]) -> Iterator[Finding]:
    """Look for files that hide a library: `python -m` looks into the current folder first."""
    known = set(sys.stdlib_module_names) | set(importlib.metadata.packages_distributions())
    known -= {"fastapi_katas"}
    hiding = [
        path
        for place in folders
        for path in sorted(place.iterdir())
        if path.stem in known
        and (path.suffix == ".py" or (path / "__init__.py").is_file())
    ]
    for path in hiding:
        told = f"{path.name} in {path.parent} hides the library `{path.stem}`."
        yield Finding("Names", "wrong", told, _rename(path, f"my_{path.name}"))
    if not hiding:
        yield Finding("Names", "fine", "No file hides a library.")


def writable(catalog: Catalog) -> Iterator[Finding]:
    """Look whether the folders that a learner's work goes to can be written."""
    places = [catalog.root, *(kata.folder for kata in catalog)]
    state = catalog.root / ".kata"
    if state.exists():
        places.append(state)
    problems = {place: told for place in places if (told := _cannot_write(place))}
    problems |= {
        kata.fix: "it is read-only"
        for kata in catalog
        if kata.fix.is_file() and not os.access(kata.fix, os.W_OK)
    }
    if not problems:
        yield Finding("Writing", "fine", "Your work can be saved.")
        return
    first, told = next(iter(problems.items()))
    more = f" The same holds for {len(problems) - 1} more." if len(problems) > 1 else ""
    root = _quoted(catalog.root)
    command = f"attrib -R /S /D {root}\\*" if os.name == "nt" else f"chmod -R u+w {root}"
    yield Finding("Writing", "wrong", f"{first} cannot be written: {told}.{more}", command)


def _cannot_write(place: Path) -> str:
    try:
        with tempfile.NamedTemporaryFile(prefix=_PROBE, suffix=".tmp", dir=place):
            return ""
    except OSError as error:
        return reason(error)


def clock(place: Path) -> Iterator[Finding]:
    """Compare the clock of the file system with that of the computer.

    They differ on some shared folders and after a virtual machine has slept. Then Python may take
    an old compiled module for a new one, and a saved file may go unseen.
    """
    difference = _file_time(place) - time.time()
    if abs(difference) <= CLOCK_TOLERANCE_SECONDS:
        yield Finding("Clock", "fine", "The file system and the computer agree on the time.")
        return
    way = "ahead of" if difference > 0 else "behind"
    told = f"The clock of the file system is {abs(difference):.0f} s {way} that of the computer."
    command = {
        "win32": "w32tm /resync", "darwin": "sudo systemsetup -setusingnetworktime on"
    }.get(sys.platform, "sudo timedatectl set-ntp true")  # fmt: skip
    yield Finding("Clock", "wrong", told, command)


def _file_time(place: Path) -> float:
    with tempfile.NamedTemporaryFile(prefix=_PROBE, suffix=".tmp", dir=place) as probe:
        probe.write(b"x")
        probe.flush()
        return Path(probe.name).stat().st_mtime


def watching(place: Path) -> Iterator[Finding]:
    """Tell how `kata watch` works on this system, and how it sees files of a folder change."""
    from fastapi_katas.checker.process import uses_forks

    how = "forks of a warm process" if uses_forks() else "a spare process that is kept prepared"
    sees = (
        "The system tells when a file changes." if events_arrive(place)
        else "The system does not tell when a file changes here, so files are looked at often."
    )  # fmt: skip
    keys = "" if sys.stdin is not None and sys.stdin.isatty() else " There are no keys in a pipe."
    yield Finding("Watch", "fine", f"{sees} Checks run in {how}.{keys}")


def events_arrive(place: Path, start: StartEvents | None = None) -> bool:
    """Try whether the system tells that a file of a folder has changed.

    Args:
        place: The folder; a probe file is written to it and removed again.
        start: Where the events come from; the system, if it is not given.
    """
    from fastapi_katas.watch.changes import SystemEvents

    told = threading.Event()
    try:
        source = (start or SystemEvents)(place, told.set)
        try:
            _file_time(place)
            return told.wait(EVENT_SECONDS)
        finally:
            source.close()
    except (ImportError, OSError):
        return False


def progress(root: Path) -> Iterator[Finding]:
    """Look whether the file of progress can be read."""
    keeper = Progress(root)
    done = keeper.all()
    for notice in keeper.notices:
        command = _rename(root / ".kata" / "progress.json", "progress.damaged.json")
        yield Finding("Progress", "wrong", notice, command)
    if not keeper.notices:
        passed = sum(entry.passed for entry in done.values())
        yield Finding("Progress", "fine", f"{len(done)} begun, {passed} of them passed.")


def services(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Look whether the services that the environment names can be reached."""
    for service in SERVICES:
        address = environ.get(service.variable, "")
        if not address or address.startswith("sqlite"):
            told = f"{service.name} is not needed: the katas use {service.own}."
            yield Finding("Services", "fine", told)
        elif problem := service.unreachable(address):
            forget = "set {}=" if os.name == "nt" else "unset {}"
            told = f"{problem} ({service.variable} names it)."
            yield Finding("Services", "wrong", told, forget.format(service.variable))
        else:
            host, port = service.host_and_port(address)
            yield Finding("Services", "fine", f"{service.name} at {host}:{port} can be reached.")


def _rename(path: Path, name: str) -> str:
    if os.name == "nt":
        return f'ren "{path}" "{name}"'
    return f"mv {_quoted(path)} {_quoted(path.with_name(name))}"


def _quoted(path: Path) -> str:
    return f'"{path}"' if os.name == "nt" else shlex.quote(str(path))
