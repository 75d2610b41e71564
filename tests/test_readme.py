"""Every command of the README is run, in the order in which a reader would run them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fastapi_katas.catalog import Catalog

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(mark: str) -> list[str]:
    """The commands of the code block below a mark."""
    match = re.search(rf"^<!-- {mark} -->\n```console\n(.+?)```", README, re.MULTILINE | re.DOTALL)
    assert match, f"README.md has no block marked {mark}"
    return [line.removeprefix("$ ") for line in match[1].splitlines()]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """An untouched copy of the course."""
    copy = tmp_path / "course"
    copy.mkdir()
    for name in ("katas", "solutions", "tests/kata_bank"):
        ignore = shutil.ignore_patterns("fix.py", "fix", "__pycache__")
        shutil.copytree(ROOT / name, copy / name, ignore=ignore)
    for name in ("noxfile.py", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, copy / name)
    return copy


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of the README with the programs of this environment."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        command.split(),
        cwd=folder,
        env={**os.environ, "PATH": path, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def test_the_daily_loop(clone: Path) -> None:
    fix = clone / "katas" / "kata_01_blocked_loop" / "fix.py"
    codes = {}
    for command in block("daily"):
        if command == "kata hint 1":
            # A hint is offered after an attempt.
            fix.write_text(fix.read_text(encoding="utf-8") + "\n# tried\n", encoding="utf-8")
            assert run("kata check 1", clone).returncode == 1
        finished = run(command, clone)
        codes[command] = finished.returncode
        assert not finished.stderr, finished.stderr
        assert finished.stdout.strip(), command
    red = {command for command, code in codes.items() if code == 1}
    assert red == {command for command in codes if command.startswith("kata check 1")}
    assert len(red) == 4
    assert set(codes.values()) == {0, 1}
    assert fix.read_text(encoding="utf-8").endswith("# tried\n"), "undo brings the work back"


@pytest.mark.parametrize(
    "command",
    [name for name in re.findall(r"`(kata [a-z][^`]*?)`", README) if "--spoil" not in name],
)
def test_commands_in_the_text(clone: Path, command: str) -> None:
    if command.startswith("kata self-check"):
        command = "kata self-check --help"  # the suite runs it in full, as its last step
    if command.startswith("kata watch"):
        # It does not end by itself: tests/test_watch.py runs it in full. Here: its words are right.
        assert command.split()[2:] in ([], ["1"])
        command = "kata watch --help"
    assert run(command, clone).returncode in {0, 1}, command


def test_plain_pytest(clone: Path) -> None:
    (command,) = set(re.findall(r"`python -m (pytest katas/kata_01[^`]*)`", README))
    finished = run(command, clone)
    assert finished.returncode == 1
    assert re.search(r"\b[1-9]\d* failed, [1-9]\d* passed in", finished.stdout)


def test_the_two_commands_install_nox_and_run_a_session() -> None:
    (first,), (second,) = block("kata-01"), block("tests")
    install = "python3 -m pip install nox && python3 -m nox -s "
    assert first == f"{install}kata-01"
    assert second == f"{install}tests"


def test_every_link_and_folder_exists() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
    for name in re.findall(r"`((?:katas|solutions|tests)/[\w/.]+)`", README):
        if "fix.py" not in name:
            assert (ROOT / name).exists(), name


def test_kata_numbers_in_the_readme_exist() -> None:
    known = {kata.label for kata in Catalog.at(ROOT)}
    assert set(re.findall(r"kata-\d\d", README)) <= known
