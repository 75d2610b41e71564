"""``kata doctor``: each thing that can be wrong is found, with the command that mends it."""

from __future__ import annotations

import hashlib
import json
import socket
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from fastapi_katas import doctor
from fastapi_katas.doctor import Finding
from fastapi_katas.services import SERVICES

if TYPE_CHECKING:
    from course import Course


@pytest.fixture(autouse=True)
def no_services(monkeypatch: pytest.MonkeyPatch) -> None:
    """The services are chosen by the test."""
    for service in SERVICES:
        monkeypatch.delenv(service.variable, raising=False)


def only(found: Iterable[Finding]) -> Finding:
    """The one finding; what is wrong must have a command."""
    (finding,) = found
    assert (finding.state == "wrong") == bool(finding.command)
    return finding


def test_nothing_is_wrong(course: Course) -> None:
    ran = course.call("doctor")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.endswith("\nNothing is wrong.\n")
    assert "wrong " not in ran.out
    assert course.leftovers() == []


def test_what_is_wrong_ends_with_a_command_and_the_code_3(course: Course) -> None:
    course.write("fastapi.py", "")
    ran = course.call("doctor")
    assert ran.code == 3
    lines = ran.out.splitlines()
    number = next(i for i, line in enumerate(lines) if line.startswith("wrong  Names: fastapi.py"))
    assert any(line.strip().startswith("Run: ") for line in lines[number + 1 : number + 4])
    assert lines[-1].startswith("One thing is wrong. Run the commands above")


def test_an_old_python() -> None:
    assert only(doctor.python((3, 13, 1))) == Finding("Python", "fine", "3.13.1.")
    assert "3.10.2 is too old" in only(doctor.python((3, 10, 2))).text


def test_the_wrong_folder(course: Course, tmp_path: Path) -> None:
    finding = only(doctor.folder(tmp_path, course.catalog))
    assert str(tmp_path) in finding.text
    assert finding.command.endswith(str(course.root))
    assert only(doctor.folder(course.kata(1).folder, course.catalog)).state == "fine"
    assert only(doctor.folder(tmp_path, None)).command == "cd fastapi-katas"


def test_the_command_of_another_copy(course: Course) -> None:
    course.write("src/fastapi_katas/__init__.py", "")
    finding = only(doctor.folder(course.root, course.catalog))
    assert "this command belongs to" in finding.text


def made(course: Course, **changes: str) -> Finding:
    """What is found after a set-up with one difference."""
    course.write("pyproject.toml", "[project]\n")
    made_for = {
        "Python": "cpython",
        "folder": str(course.root.resolve()),
        "pyproject.toml": hashlib.sha256(b"[project]\n").hexdigest(),
        **changes,
    }
    course.write(".venv/katas.json", json.dumps({"made_for": made_for, "packages": []}))
    return only(doctor.environment(course.root))


def test_a_stale_environment(course: Course) -> None:
    assert only(doctor.environment(course.root)).state == "note"
    assert made(course).state == "note", "this Python is not that of the .venv"
    stale = made(course, **{"pyproject.toml": "0"})
    assert (stale.text, stale.command) == (".venv is older than pyproject.toml.", "nox -s board")
    assert made(course, folder="/elsewhere").text == ".venv was made for another folder."


def test_the_environment_that_is_used(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(course.root / ".venv"))
    assert made(course).state == "fine"


@pytest.mark.parametrize("stamp", [None, "", "{}", '{"made_for": 3}'])
def test_an_unfinished_environment(course: Course, stamp: str | None) -> None:
    (course.root / ".venv").mkdir()
    if stamp is not None:
        course.write(".venv/katas.json", stamp)
    assert "unfinished" in only(doctor.environment(course.root)).text


def test_packages(course: Course) -> None:
    assert only(doctor.packages(course.root)).state == "note"
    pins = (
        "# A comment\npytest==0.1 \\\n    --hash=sha256:0\n    # via something\n"
        "no-such-package==1\nnever==1 ; sys_platform == 'amiga'\nanyio>=1\n"
    )
    course.write("constraints/katas.txt", pins)
    finding = only(doctor.packages(course.root))
    assert f"pytest is {pytest.__version__}, not 0.1; no-such-package is missing." in finding.text
    course.write("constraints/katas.txt", f"pytest=={pytest.__version__} \\\n")
    assert only(doctor.packages(course.root)).text == "All 1 have the pinned versions."


def test_files_that_hide_a_library(course: Course, tmp_path: Path) -> None:
    assert only(doctor.shadowing([course.root])).state == "fine"
    course.write("asyncio.py", "")
    course.write("pydantic/__init__.py", "")
    course.write("httpx/notes.txt", "a folder without code hides nothing")
    found = list(doctor.shadowing([course.root, tmp_path]))
    assert [finding.text.split()[0] for finding in found] == ["asyncio.py", "pydantic"]
    assert all("my_" in finding.command for finding in found)


def test_a_folder_that_cannot_be_written(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    assert only(doctor.writable(course.catalog)).state == "fine"

    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.NamedTemporaryFile", refuse)
    finding = only(doctor.writable(course.catalog))
    assert finding.text == (
        f"{course.root} cannot be written: Permission denied. The same holds for 2 more."
    )
    assert only(f for f in doctor.examine(course.root, {}) if f.state == "wrong") == finding


def test_a_clock_that_is_wrong(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    assert only(doctor.clock(course.root)).state == "fine"
    real = doctor._file_time
    for shift, way in ((60, "60 s ahead of"), (-60, "60 s behind")):
        monkeypatch.setattr(
            doctor, "_file_time", lambda place, shift=shift: real(place) + shift
        )
        assert way in only(doctor.clock(course.root)).text


def test_damaged_progress(course: Course) -> None:
    assert only(doctor.progress(course.root)).text == "0 begun, 0 of them passed."
    course.tried(1)
    course.passed(2)
    assert only(doctor.progress(course.root)).text == "2 begun, 1 of them passed."
    course.write(".kata/progress.json", "{")
    finding = only(doctor.progress(course.root))
    assert "is damaged" in finding.text
    assert "progress.json" in finding.command


def test_services() -> None:
    assert {finding.state for finding in doctor.services({})} == {"fine"}
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        environ = {
            "KATA_REDIS_URL": f"redis://:hush@127.0.0.1:{port}/0",
            "KATA_DATABASE_URL": "sqlite+aiosqlite:///x.db",
        }
        redis, database = doctor.services(environ)
    assert (redis.state, redis.text) == ("fine", f"Redis at 127.0.0.1:{port} can be reached.")
    assert "not needed" in database.text
    redis, _ = doctor.services(environ)
    assert redis.state == "wrong"
    assert redis.command in {"unset KATA_REDIS_URL", "set KATA_REDIS_URL="}
    assert "hush" not in redis.text
    _, database = doctor.services({"KATA_DATABASE_URL": "postgresql://a:hush@host:port/x"})
    assert "PostgreSQL has no address that can be read" in database.text


@pytest.mark.parametrize("forks", [True, False])
def test_how_watch_works(
    course: Course, monkeypatch: pytest.MonkeyPatch, forks: bool
) -> None:
    monkeypatch.setattr("fastapi_katas.checker.process.uses_forks", lambda: forks)
    assert ("forks of a warm" in only(doctor.watching(course.root)).text) == forks


def test_whether_events_of_files_arrive(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.events_arrive(course.root)
    assert "The system tells when a file changes" in only(doctor.watching(course.root)).text

    def no_events(folder: Path, happened: object) -> NoReturn:
        raise OSError(28, "the limit of watches is reached")

    assert not doctor.events_arrive(course.root, no_events)
    monkeypatch.setattr(doctor, "events_arrive", lambda place: False)
    assert "looked at often" in only(doctor.watching(course.root)).text
