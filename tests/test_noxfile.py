"""The sessions of nox, and the one environment that they run in."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import nox.registry
import pytest
from nox.command import CommandFailed

from fastapi_katas.catalog.folders import kata_folders

COURSE = Path(__file__).resolve().parent.parent


class SessionError(Exception):
    """The session ended with a message."""

#: The files of pinned versions, without their ending.
PINS = ("katas", "dev", "docs", "browser")


class FakeSession:
    """A session of nox that writes down its commands and only pretends to run them."""

    posargs: list[str]

    def __init__(self, noxfile: ModuleType, cache: Path) -> None:
        self.posargs = []
        self.cache_dir = cache
        self.commands: list[list[str]] = []
        self.messages: list[str] = []
        self.before: Callable[[list[str]], None] = lambda _: None
        self._noxfile = noxfile

    def run(self, *command: str, **_: object) -> None:
        self.before(list(command))
        self.commands.append(list(command))
        if "virtualenv" in command:
            self._install("python", "pip")
        elif "--editable" in command:
            self._install("kata", "fastapi_katas")
        elif "--requirement" in command:
            self._install("pytest", "starlette")

    def _install(self, program: str, package: str) -> None:
        programs = self._noxfile.ROOT / self._noxfile.program(program)
        for path in (programs, self._noxfile.path_in_environment("purelib") / package / "x.py"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    def log(self, message: str) -> None:
        self.messages.append(message)

    def error(self, message: str) -> NoReturn:
        raise SessionError(message)

    @property
    def kinds(self) -> list[str]:
        """The commands of the set-up, each as one word."""
        pins = [f"constraints/{name}.txt" for name in PINS]
        words = ("virtualenv", *pins, "--editable")
        return [next(word for word in words if word in command) for command in self.commands]


NewSession = Callable[[], FakeSession]


@pytest.fixture
def noxfile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The noxfile of the course, in the root of another course."""
    # What a noxfile changes when it is loaded: the registry of sessions and the search path.
    monkeypatch.setattr(nox.registry, "_REGISTRY", OrderedDict())
    monkeypatch.setattr(sys, "path", list(sys.path))
    root = tmp_path / "a course"
    pins = [f"constraints/{name}.txt" for name in PINS]
    for name in ("noxfile.py", "pyproject.toml", *pins):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(COURSE / name, root / name)
    spec = importlib.util.spec_from_file_location("noxfile_under_test", root / "noxfile.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def new_session(noxfile: ModuleType, tmp_path: Path) -> NewSession:
    return lambda: FakeSession(noxfile, tmp_path)


@pytest.fixture
def ready(noxfile: ModuleType, new_session: NewSession) -> ModuleType:
    """A noxfile whose environment is ready for a learner."""
    noxfile.prepare(new_session())
    return noxfile


def append(path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8") + "\n# changed\n", encoding="utf-8")


def run_nox(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    noxfile = str(COURSE / "noxfile.py")
    return subprocess.run(
        [sys.executable, "-X", "utf8", "-m", "nox", "-f", noxfile, *arguments],
        cwd=cwd,
        # These tests run inside a session of nox themselves, perhaps with colours forced on.
        env={
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("NOX", "FORCE_COLOR"))
        },
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )


def test_list_reads_like_a_table_of_contents(tmp_path: Path) -> None:
    listed = run_nox("-l", cwd=tmp_path)
    assert listed.returncode == 0, listed.stderr
    katas = [line for line in listed.stdout.splitlines() if line.startswith("- kata-")]
    folders = kata_folders(COURSE)
    assert katas == [f"- kata-{folder.number:02} -> {folder.title}" for folder in folders]
    others = "next watch board tests lint types solutions bench docs browser serve constraints"
    for name in others.split():
        assert f"\n- {name} -> " in listed.stdout


def test_nox_alone_runs_nothing(tmp_path: Path) -> None:
    alone = run_nox(cwd=tmp_path)
    assert alone.returncode == 0, alone.stderr
    assert "- kata-01 -> " in alone.stdout
    assert "Running session" not in alone.stderr


def test_catalog_of_the_noxfile_needs_only_the_standard_library() -> None:
    program = f"import sys; sys.path.insert(0, {str(COURSE / 'src')!r})\n"
    program += "import fastapi_katas.catalog.folders"
    subprocess.run([sys.executable, "-I", "-S", "-c", program], check=True, timeout=60)


def test_first_set_up(noxfile: ModuleType, new_session: NewSession) -> None:
    session = new_session()
    noxfile.prepare(session)
    assert session.kinds == ["virtualenv", "constraints/katas.txt", "--editable"]
    assert len(session.messages) == 1
    assert "takes about a minute" in session.messages[0]
    assert "--require-hashes" in session.commands[1]
    assert {"--no-deps", "--no-build-isolation"} <= set(session.commands[2])


def test_ready_environment_runs_no_command(ready: ModuleType, new_session: NewSession) -> None:
    session = new_session()
    ready.prepare(session)
    assert session.commands == []
    assert session.messages == []


def test_tools_for_contributors_are_added(ready: ModuleType, new_session: NewSession) -> None:
    first, second, learner = new_session(), new_session(), new_session()
    ready.prepare(first, dev=True)
    assert first.kinds == ["constraints/dev.txt"]
    ready.prepare(second, dev=True)
    ready.prepare(learner)
    assert second.commands == learner.commands == []


def test_everything_at_once_for_a_contributor(
    noxfile: ModuleType, new_session: NewSession
) -> None:
    session = new_session()
    noxfile.prepare(session, dev=True)
    katas, dev = "constraints/katas.txt", "constraints/dev.txt"
    assert session.kinds == ["virtualenv", katas, dev, "--editable"]


def test_tools_for_the_site_are_added_when_they_are_needed(
    ready: ModuleType, new_session: NewSession
) -> None:
    site, contributor, learner = new_session(), new_session(), new_session()
    ready.prepare(site, docs=True)
    assert site.kinds == ["constraints/docs.txt"]
    append(ready.ROOT / "constraints" / "docs.txt")
    ready.prepare(learner)
    assert learner.commands == []
    ready.prepare(contributor, dev=True)
    assert contributor.kinds == ["constraints/dev.txt"]


def test_tools_for_the_browser_are_added_when_they_are_needed(
    ready: ModuleType, new_session: NewSession
) -> None:
    session = new_session()
    ready.prepare(session, docs=True, browser=True)
    assert session.kinds == ["constraints/docs.txt", "constraints/browser.txt"]
    again = new_session()
    ready.prepare(again, docs=True, browser=True)
    assert again.commands == []


def test_changed_pyproject_installs_the_course_again(
    ready: ModuleType, new_session: NewSession
) -> None:
    append(ready.ROOT / "pyproject.toml")
    session = new_session()
    ready.prepare(session)
    assert session.kinds == ["--editable"]


def test_changed_constraints_make_a_new_environment(
    ready: ModuleType, new_session: NewSession
) -> None:
    append(ready.ROOT / "constraints" / "katas.txt")
    leftover = ready.path_in_environment("purelib") / "leftover"
    leftover.mkdir()
    session = new_session()
    ready.prepare(session)
    assert session.kinds == ["virtualenv", "constraints/katas.txt", "--editable"]
    assert "changed: constraints/katas.txt" in session.messages[0]
    assert not leftover.exists()


def test_changed_constraints_of_contributors_do_not_trouble_learners(
    ready: ModuleType, new_session: NewSession
) -> None:
    contributor, learner, again = new_session(), new_session(), new_session()
    ready.prepare(contributor, dev=True)
    append(ready.ROOT / "constraints" / "dev.txt")
    ready.prepare(learner)
    assert learner.commands == []
    ready.prepare(again, dev=True)
    assert again.kinds == ["constraints/dev.txt"]


@pytest.mark.parametrize(
    ("name", "owner", "attribute", "value"),
    [
        ("Python", "sys.implementation", "cache_tag", "cpython-399"),
        ("platform", "sysconfig", "get_platform", lambda: "plan9-vax"),
    ],
)
def test_another_python_or_platform_makes_a_new_environment(
    ready: ModuleType,
    new_session: NewSession,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    owner: str,
    attribute: str,
    value: object,
) -> None:
    before = ready.fingerprint()
    target = {"sys.implementation": sys.implementation, "sysconfig": ready.sysconfig}[owner]
    monkeypatch.setattr(target, attribute, value)
    if name == "Python":
        monkeypatch.setattr(ready, "path_in_environment", lambda kind: ready.ENVIRONMENT / kind)
    after = ready.fingerprint()
    assert {key for key in before if before[key] != after[key]} == {name}
    session = new_session()
    ready.prepare(session)
    assert session.kinds[0] == "virtualenv"
    assert f"changed: {name}" in session.messages[0]


def test_moved_course_makes_a_new_environment(ready: ModuleType, new_session: NewSession) -> None:
    stamp = json.loads(ready.STAMP.read_text(encoding="utf-8"))
    stamp["made_for"]["folder"] = "/elsewhere"
    ready.STAMP.write_text(json.dumps(stamp), encoding="utf-8")
    session = new_session()
    ready.prepare(session)
    assert "changed: folder" in session.messages[0]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), CommandFailed("no connection")])
@pytest.mark.parametrize("step", ["virtualenv", "constraints/katas.txt", "--editable"])
def test_interrupted_set_up_leaves_no_stamp(
    noxfile: ModuleType, new_session: NewSession, step: str, error: BaseException
) -> None:
    def interrupt(command: list[str]) -> None:
        if step in command:
            raise error

    session = new_session()
    session.before = interrupt
    with pytest.raises((KeyboardInterrupt, SessionError)):
        noxfile.prepare(session)
    assert not noxfile.STAMP.exists()
    again = new_session()
    noxfile.prepare(again)
    assert again.kinds == ["virtualenv", "constraints/katas.txt", "--editable"]


def test_interrupted_update_leaves_no_stamp(ready: ModuleType, new_session: NewSession) -> None:
    def interrupt(_: list[str]) -> None:
        raise KeyboardInterrupt

    session = new_session()
    session.before = interrupt
    with pytest.raises(KeyboardInterrupt):
        ready.prepare(session, dev=True)
    assert not ready.STAMP.exists()


def test_failed_set_up_says_what_to_do(noxfile: ModuleType, new_session: NewSession) -> None:
    def fail(command: list[str]) -> None:
        if "pip" in command:
            reason = "no connection"
            raise CommandFailed(reason)

    session = new_session()
    session.before = fail
    with pytest.raises(SessionError, match="run the same command again"):
        noxfile.prepare(session)


def remove_python(noxfile: ModuleType) -> None:
    (noxfile.ROOT / noxfile.program("python")).unlink()


def remove_command(noxfile: ModuleType) -> None:
    (noxfile.ROOT / noxfile.program("kata")).unlink()


def remove_package(noxfile: ModuleType) -> None:
    shutil.rmtree(noxfile.path_in_environment("purelib") / "starlette")


def remove_packages(noxfile: ModuleType) -> None:
    shutil.rmtree(noxfile.path_in_environment("purelib"))


def cut_stamp(noxfile: ModuleType) -> None:
    noxfile.STAMP.write_bytes(noxfile.STAMP.read_bytes()[:40])


def foreign_stamp(noxfile: ModuleType) -> None:
    noxfile.STAMP.write_text("[]", encoding="utf-8")


@pytest.mark.parametrize(
    "damage",
    [remove_python, remove_command, remove_package, remove_packages, cut_stamp, foreign_stamp],
)
def test_damaged_environment_is_made_again(
    ready: ModuleType, new_session: NewSession, damage: Callable[[ModuleType], None]
) -> None:
    damage(ready)
    session, after = new_session(), new_session()
    ready.prepare(session)
    assert session.kinds == ["virtualenv", "constraints/katas.txt", "--editable"]
    assert "unfinished or damaged" in session.messages[0]
    ready.prepare(after)
    assert after.commands == []


def test_packages_of_the_learner_are_no_damage(ready: ModuleType, new_session: NewSession) -> None:
    (ready.path_in_environment("purelib") / "ipdb").mkdir()
    session = new_session()
    ready.prepare(session)
    assert session.commands == []


def test_environment_in_use_is_not_removed(
    ready: ModuleType, new_session: NewSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_stamp(ready)
    monkeypatch.setattr(sys, "prefix", str(ready.ENVIRONMENT))
    with pytest.raises(SessionError, match="deactivate"):
        ready.prepare(new_session())
    assert ready.ENVIRONMENT.exists()


def test_environment_that_cannot_be_removed_is_explained(
    ready: ModuleType, new_session: NewSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(_: Path) -> None:
        raise PermissionError(13, "in use", "python.exe")

    cut_stamp(ready)
    monkeypatch.setattr(ready.shutil, "rmtree", locked)
    with pytest.raises(SessionError, match="Close programs that use it"):
        ready.prepare(new_session())


def test_arguments_go_to_the_check(ready: ModuleType, new_session: NewSession) -> None:
    session = new_session()
    session.posargs = ["--verbose"]
    folder = next(iter(kata_folders(COURSE)))
    ready.kata_session(folder)
    nox.registry.get()[f"kata-{folder.number:02}"](session)
    program = ready.program("kata")
    assert session.commands == [[program, "check", str(folder.number), "--verbose"]]
    assert not Path(program).is_absolute()


def test_constraints_are_exact_hashed_and_without_addresses() -> None:
    versions = {}
    for name in ("katas", "dev"):
        text = (COURSE / "constraints" / f"{name}.txt").read_text(encoding="utf-8")
        assert "://" not in text
        assert "--index" not in text
        blocks = text.replace("\\\n", " ").splitlines()
        pins = [line for line in blocks if line and not line.lstrip().startswith("#")]
        assert all("==" in pin and "--hash=sha256:" in pin for pin in pins)
        versions[name] = {pin.split()[0] for pin in pins}
    assert versions["katas"] < versions["dev"]
    names = {name: {pin.split("==")[0] for pin in pins} for name, pins in versions.items()}
    assert {"fastapi", "hatchling", "editables"} <= names["katas"]
    assert {"nox", "ruff", "mypy"} <= names["dev"]
