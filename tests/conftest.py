"""Fixtures of the course's own tests."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fastapi_katas.checker import Runner, warm_runner
from fastapi_katas.cli import check as check_verb
from fastapi_katas.cli.verbs import app

sys.path.insert(0, str(Path(__file__).parent))

from course import Course, Ran

# A shell starts its background jobs with Ctrl-C ignored, and every child would inherit that. The
# tests send Ctrl-C to processes, so they begin as in the foreground.
signal.signal(signal.SIGINT, signal.default_int_handler)

Call = Callable[[Path, tuple[str, ...]], Ran]


@pytest.fixture(scope="session")
def warm() -> Iterator[Runner]:
    """One warm process for all checks of the suite."""
    with warm_runner() as runner:
        yield runner


@pytest.fixture
def call(
    warm: Runner, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Path, tuple[str, ...]], Ran]:
    """Run the command in this process; its checks use the warm process."""
    monkeypatch.setattr(check_verb, "ColdRunner", lambda: contextlib.nullcontext(warm))

    def run(folder: Path, arguments: tuple[str, ...]) -> Ran:
        with monkeypatch.context() as here:
            here.chdir(folder)
            result = CliRunner().invoke(app, arguments)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ran(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def make_course(
    warm: Runner, call: Callable[[Path, tuple[str, ...]], Ran]
) -> Callable[[Path], Course]:
    """Make a course in a folder of the test's choice."""
    return lambda root: Course.at(root, warm, call)


@pytest.fixture
def course(tmp_path: Path, make_course: Callable[[Path], Course]) -> Course:
    """A small course of two katas that keep every promise; see ``tests/course.py``."""
    return make_course(tmp_path / "course")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the one way in which golden files are renewed."""
    parser.addoption(
        "--renew-golden", action="store_true", help="Renew tests/golden; see tests/test_golden.py."
    )
