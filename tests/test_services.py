"""`kata self-check --services`: which katas, and on which server."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from fastapi_katas.services import SERVICES

if TYPE_CHECKING:
    from course import Course

(DATABASE,) = (service for service in SERVICES if service.need == "database")


@pytest.fixture
def course(course: Course) -> Course:
    """A course whose second kata has a database, and says so in a test that needs a server."""
    page = course.kata(2).folder / "README.md"
    text = page.read_text("utf-8")
    assert "needs: []" in text
    page.write_text(text.replace("needs: []", "needs: [database]"), encoding="utf-8")
    return course


@pytest.fixture
def free_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_no_server_is_told_and_nothing_is_checked(
    course: Course, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"postgresql+asyncpg://me:hush@127.0.0.1:{free_port}/x"
    monkeypatch.setenv(DATABASE.variable, address)
    ran = course.call("self-check", "--services")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith(f"PostgreSQL at 127.0.0.1:{free_port} cannot be reached: ")
    assert "Nothing was checked. Start PostgreSQL, or set KATA_DATABASE_URL" in ran.err
    assert "hush" not in ran.err


def test_only_katas_that_need_a_server_run_and_they_know_its_address(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    tests = course.kata(2).tests_file
    look = "\n\nimport os\nassert os.environ.get('KATA_DATABASE_URL'), 'no server is named'\n"
    tests.write_text(tests.read_text("utf-8") + look, encoding="utf-8")
    monkeypatch.setenv(DATABASE.variable, "")  # put back at the end of the test
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setenv(DATABASE.variable, f"postgresql+asyncpg://me@127.0.0.1:{port}/x")
        ran = course.call("self-check", "--services", "--plain")
    assert f"The katas run on PostgreSQL at 127.0.0.1:{port}." in ran.out
    assert ran.out.splitlines()[-1].startswith("1 katas, "), ran.out
    assert ran.code == 0, ran.out + ran.err


def test_usual_server_is_taken_when_none_is_named() -> None:
    assert DATABASE.address({}) == DATABASE.usual
    assert DATABASE.address({DATABASE.variable: ""}) == DATABASE.usual
    assert DATABASE.address({DATABASE.variable: "postgresql://there/x"}) == "postgresql://there/x"
    assert DATABASE.host_and_port(DATABASE.usual) == ("127.0.0.1", DATABASE.port)


def test_patterns_are_not_written_on_servers(course: Course) -> None:
    ran = course.call("self-check", "--services", "--write-patterns")
    assert (ran.code, ran.out) == (2, "")
    assert "leave out --services" in ran.err


def test_katas_without_servers_need_none(course: Course) -> None:
    ran = course.call("self-check", "1", "--services")
    assert ran.code == 0
    assert os.environ.get(DATABASE.variable) in {None, ""}
    assert "0 katas, 0 runs" in ran.out
