"""The pytest plugin of the course: markers, the module under test, its app and its client.

It is loaded in every pytest run of the environment, so it imports the web libraries only when a
kata's test asks for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastapi_katas.catalog.folders import FOLDER_NAME, sibling_good
from fastapi_katas.probes.lesson import Lesson
from fastapi_katas.pytest_plugin.fixtures import (
    app,
    client,
    database_url,
    heartbeat,
    module,
    raw_app,
    upstream,
)
from fastapi_katas.pytest_plugin.target import Target, TargetFault

__all__ = ["app", "client", "database_url", "heartbeat", "module", "raw_app", "upstream"]

TARGET_KEY = pytest.StashKey[dict[Path, Target]]()
FAULT_KEY = pytest.StashKey[dict[Path, TargetFault]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--kata-target`` and ``--kata-sabotage``."""
    group = parser.getgroup("katas", "FastAPI Katas")
    group.addoption(
        "--kata-target",
        metavar="bad|fix|good|PATH",
        default=None,
        help="the module under test; without it, fix.py if there is one, else bad.py",
    )
    group.addoption(
        "--kata-sabotage",
        action="store_true",
        help="make every request to the module crash, to prove that the tests look",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the two kinds of test."""
    config.addinivalue_line("markers", "goal: red on BAD, green when the law is obeyed")
    config.addinivalue_line("markers", "guard: green before and after; what must keep working")
    config.stash[TARGET_KEY] = {}
    config.stash[FAULT_KEY] = {}


def is_kata_test(item: pytest.Item) -> bool:
    """Tell whether a test stands in the folder of a kata."""
    return FOLDER_NAME.fullmatch(item.path.parent.name) is not None


def target_of(config: pytest.Config, folder: Path) -> Target:
    """Return the module under test for the tests of a kata folder.

    Args:
        config: The pytest configuration, with ``--kata-target``.
        folder: The folder of the kata.

    A target that is not there becomes a ``TargetFault`` when it is loaded.
    """
    targets = config.stash[TARGET_KEY]
    if folder not in targets:
        targets[folder] = _choose_target(config, folder)
    return targets[folder]


def _choose_target(config: pytest.Config, folder: Path) -> Target:
    choice: str | None = config.getoption("--kata-target")
    bad = _module_in(folder, "bad")
    if choice is None:
        path = _module_in(folder, "fix") or bad or folder / "bad.py"
    elif choice in {"bad", "fix", "good"}:
        home = sibling_good(folder) if choice == "good" else folder
        path = _module_in(home, choice) or home / f"{choice}{bad.suffix if bad else '.py'}"
    else:
        # A test may have changed the working directory meanwhile.
        path = (config.invocation_params.dir / choice).resolve()
    return Target(path, bad)


def _module_in(folder: Path, name: str) -> Path | None:
    for path in (folder / f"{name}.py", folder / name):
        if path.is_file() or (path / "__init__.py").is_file():
            return path
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what cannot be judged: one fault of the module is told once, not by every test."""
    if is_kata_test(item) and item.path.parent in item.config.stash[FAULT_KEY]:
        pytest.skip("the module under test cannot be used; see the first failure")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Iterator[None]:
    """Show lessons and faults as their own words, without the traceback of the test."""
    report: pytest.TestReport = yield  # type: ignore[assignment]
    if call.excinfo is not None and is_kata_test(item):
        error = call.excinfo.value
        if isinstance(error, TargetFault):
            item.config.stash[FAULT_KEY].setdefault(item.path.parent, error)
            report.longrepr = f"the module under test cannot be used\n{error}"
        elif isinstance(error, Lesson):
            report.longrepr = str(error)
    return report  # type: ignore[return-value]
