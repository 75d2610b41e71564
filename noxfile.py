"""FastAPI Katas: start with `nox -s kata-01`. Arguments after `--` go to the check."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nox
from nox.command import CommandFailed

if sys.version_info < (3, 11):  # noqa: UP036 - nox itself also runs on older Pythons
    sys.exit(
        f"FastAPI Katas needs Python 3.11 or newer, and this nox runs on {sys.version.split()[0]}. "
        "Install nox with a newer Python, for example: python3.13 -m pip install nox"
    )

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "src"))

from fastapi_katas.catalog.folders import KataFolder, kata_folders  # noqa: E402 - needs the path

# `nox` alone shows the table of contents; running every kata at once would help nobody.
nox.options.sessions = []

# nox looks for uv before every session. The course does without, so its absence is no news.
logging.getLogger("nox").addFilter(lambda record: record.msg != "uv binary not found.")

ENVIRONMENT = ROOT / ".venv"
STAMP = ENVIRONMENT / "katas.json"
KATAS = "constraints/katas.txt"
DEV = "constraints/dev.txt"
DOCS = "constraints/docs.txt"
BROWSER = "constraints/browser.txt"
PROJECT = "pyproject.toml"

HEAD = """\
# {what}
# Made by `nox -s constraints`, which keeps these versions; `nox -s constraints -- --upgrade`
# moves them to the newest ones.
"""


# One environment for all sessions. nox's own environments belong to one session each, and it looks
# at the interpreter again before it reuses one. So the sessions run without (`python=False`), and
# the stamp decides: it is written last, and while it holds, a session starts at once.


def fingerprint() -> dict[str, str]:
    """What the environment depends on."""
    return {
        "Python": sys.implementation.cache_tag,
        "platform": sysconfig.get_platform(),
        "folder": str(ROOT),
        **{
            name: hashlib.sha256((ROOT / name).read_bytes()).hexdigest()
            for name in (KATAS, PROJECT, DEV, DOCS, BROWSER)
        },
    }


def path_in_environment(kind: str) -> Path:
    """The folder of scripts or packages: `bin` here is `Scripts` on Windows."""
    base = str(ENVIRONMENT)
    return Path(sysconfig.get_path(kind, "venv", {"base": base, "platbase": base}))


def program(name: str) -> str:
    """A program of the environment, relative to the root, where nox runs all commands."""
    suffix = ".exe" if sys.platform == "win32" else ""
    return str(path_in_environment("scripts").relative_to(ROOT) / f"{name}{suffix}")


def packages() -> list[str]:
    """The names of everything that is installed."""
    folder = path_in_environment("purelib")
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def read_stamp() -> dict[str, str]:
    """What the environment was made for, or nothing if it is unfinished or damaged."""
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
        made_for, expected = dict(stamp["made_for"]), set(stamp["packages"])
    except (OSError, ValueError, TypeError, KeyError):
        return {}
    if made_for.get("Python") != sys.implementation.cache_tag:
        return made_for  # another Python keeps its packages elsewhere, so they look missing
    programs = all((ROOT / program(name)).exists() for name in ("python", "kata"))
    return made_for if programs and expected <= set(packages()) else {}


def write_stamp(made_for: dict[str, str]) -> None:
    """Record that the environment is complete."""
    stamp = {"made_for": made_for, "packages": packages()}
    unfinished = STAMP.with_suffix(".tmp")
    unfinished.write_text(json.dumps(stamp, indent=1), encoding="utf-8")
    unfinished.replace(STAMP)


def prepare(
    session: nox.Session, *, dev: bool = False, docs: bool = False, browser: bool = False
) -> None:
    """Make the environment ready, or do nothing if it is.

    Args:
        session: The session that needs it.
        dev: Whether the tools for contributors are needed too.
        docs: Whether the tools for the site are needed too.
        browser: Whether the tools for looking at the site in a browser are needed too.
    """
    wanted = fingerprint()
    for name, needed in ((DEV, dev), (DOCS, docs), (BROWSER, browser)):
        if not needed:
            del wanted[name]
    if wanted.items() <= read_stamp().items():
        return
    try:
        with only_one_set_up(session):
            set_up(session, wanted)
    except OSError as error:
        session.error(
            f".venv cannot be made: {error}. Close programs that use it, or delete it by hand"
        )
    except CommandFailed:
        session.error(
            "The set-up did not finish; the reason is above. "
            "When it is removed, run the same command again"
        )


@contextmanager
def only_one_set_up(session: nox.Session) -> Iterator[None]:
    """Let a second nox wait until the first one has finished the set-up."""
    from filelock import FileLock  # comes with nox; only a set-up needs it

    with FileLock(session.cache_dir / "set-up.lock"):
        yield


def set_up(session: nox.Session, wanted: dict[str, str]) -> None:
    """Bring the environment to the wanted state, from nothing if need be."""
    found = read_stamp()
    stale = [name for name, value in wanted.items() if found.get(name) != value]
    if not stale:
        return  # another nox has done it in the meantime

    STAMP.unlink(missing_ok=True)  # from here on the environment is unfinished
    if set(stale) <= {PROJECT, DEV, DOCS, BROWSER}:
        session.log(f"Bringing .venv up to date ({', '.join(stale)}). About half a minute.")
    else:
        make_environment(session, found, stale)
        found, stale = {}, list(wanted)

    pip = (program("python"), "-m", "pip", "--quiet", "--disable-pip-version-check", "install")
    for name in (KATAS, DEV, DOCS, BROWSER):
        if name in stale:
            run_quietly(session, *pip, "--require-hashes", "--requirement", name)
    if PROJECT in stale:
        run_quietly(session, *pip, "--no-deps", "--no-build-isolation", "--editable", ".")
    write_stamp(found | wanted)


def make_environment(session: nox.Session, found: dict[str, str], stale: list[str]) -> None:
    """Make an empty environment in the place of the old one."""
    if not ENVIRONMENT.exists():
        session.log("Setting up the course in .venv. This happens once and takes about a minute.")
    else:
        if Path(sys.prefix).resolve() == ENVIRONMENT:
            session.error(
                "This nox runs inside .venv, and .venv must be made again. "
                "Type `deactivate`, and start nox with another Python"
            )
        reason = f"changed: {', '.join(stale)}" if found else "unfinished or damaged"
        session.log(f"Making .venv again ({reason}). This takes about a minute.")
        shutil.rmtree(ENVIRONMENT)
    # virtualenv comes with nox. Unlike `venv` it also works where a Linux distribution keeps
    # `ensurepip` in a package of its own.
    virtualenv = (sys.executable, "-m", "virtualenv", "--quiet", "--no-periodic-update")
    run_quietly(session, *virtualenv, str(ENVIRONMENT))


def run_quietly(session: nox.Session, *command: str) -> None:
    """Run a command of the set-up; its output is shown only if it fails."""
    session.run(*command, external=True, silent=True, log=False)


def run(session: nox.Session, name: str, *arguments: str) -> None:
    """Run a program of the environment; errors stay on stderr, and Ctrl-C leaves time to tidy."""
    session.run(
        program(name), *arguments, external=True, stderr=None, interrupt_timeout=5, log=False
    )


def kata_session(folder: KataFolder) -> None:
    """Add the session that checks one kata."""

    def check(session: nox.Session) -> None:
        prepare(session)
        run(session, "kata", "check", str(folder.number), *session.posargs)

    check.__doc__ = folder.title
    nox.session(name=f"kata-{folder.number:02}", python=False)(check)


for kata_folder in kata_folders(ROOT):
    kata_session(kata_folder)


@nox.session(python=False)
def next(session: nox.Session) -> None:  # noqa: A001 - the name of the session
    """Show the next kata to do, and make your copy of it"""
    prepare(session)
    run(session, "kata", "next", *session.posargs)


@nox.session(python=False)
def watch(session: nox.Session) -> None:
    """Check on each save: the next kata, or `-- N`"""
    prepare(session)
    run(session, "kata", "watch", *session.posargs)


@nox.session(python=False)
def board(session: nox.Session) -> None:
    """Show all katas and how far you are"""
    prepare(session)
    run(session, "kata", "board", *session.posargs)


@nox.session(python=False)
def tests(session: nox.Session) -> None:
    """For contributors: the tests of the course, then the promises of every kata"""
    prepare(session, dev=True)
    run(session, "python", "-m", "pytest", *session.posargs)
    if not session.posargs:
        run(session, "kata", "self-check")


@nox.session(python=False)
def lint(session: nox.Session) -> None:
    """For contributors: ruff"""
    prepare(session, dev=True)
    run(session, "ruff", "check", *session.posargs)


@nox.session(python=False)
def types(session: nox.Session) -> None:
    """For contributors: mypy"""
    prepare(session, dev=True)
    run(session, "mypy", *session.posargs)


@nox.session(python=False)
def solutions(session: nox.Session) -> None:
    """For contributors: every reference solution passes its tests, without a warning"""
    prepare(session, dev=True)
    pytest = ("-m", "pytest", "katas", "--kata-target", "good", "-q", "-W", "error")
    run(session, "python", *pytest, *session.posargs)


@nox.session(python=False)
def services(session: nox.Session) -> None:
    """For contributors: the katas with a database on a PostgreSQL server"""
    prepare(session, dev=True)
    run(session, "kata", "self-check", "--services", *session.posargs)
    if not session.posargs:
        run(session, "python", "-m", "pytest", "tests/services")


@nox.session(python=False)
def bench(session: nox.Session) -> None:
    """For contributors: the speed, as ratios of things measured in one run (`-- --rounds 3`)"""
    prepare(session, dev=True)
    run(session, "python", "tests/bench.py", *session.posargs)


@nox.session(python=False)
def docs(session: nox.Session) -> None:
    """Build the site into the folder `site`; it works without a network"""
    prepare(session, docs=True)
    run(session, "python", "-m", "mkdocs", "build", "--strict", *session.posargs)


@nox.session(python=False)
def browser(session: nox.Session) -> None:
    """For contributors: look at the site in Chromium; screenshots go to .cache/browser"""
    prepare(session, docs=True, browser=True)
    run(session, "python", "-m", "mkdocs", "build", "--strict", "--quiet")
    run(session, "python", "-m", "pytest", "tests/browser", *session.posargs)


@nox.session(python=False)
def serve(session: nox.Session) -> None:
    """Show the site at http://127.0.0.1:8000 and follow changes"""
    prepare(session, docs=True)
    run(session, "python", "-m", "mkdocs", "serve", *session.posargs)


@nox.session(venv_backend="virtualenv", reuse_venv=True)
def constraints(session: nox.Session) -> None:
    """For contributors: write the pinned versions anew (`-- --upgrade`: the newest ones)"""
    session.install("uv")
    compile_ = ("uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11")
    sources = (PROJECT, "constraints/build.in")
    for target, what, extra in (
        (KATAS, "What a learner needs.", ()),
        (DEV, "What a contributor needs.", ("--group", "dev", "--constraints", KATAS)),
        (DOCS, "What the site needs.", ("--group", "docs", "--constraints", DEV)),
        (
            BROWSER,
            "What the check of the site in a browser needs.",
            ("--group", "browser", "--constraints", DOCS),
        ),
    ):
        session.run(
            *(*compile_, "--generate-hashes", "--no-header", "--output-file", target),
            *(*sources, *extra, *session.posargs),
        )
        pins = (ROOT / target).read_text(encoding="utf-8")
        (ROOT / target).write_text(HEAD.format(what=what) + pins, encoding="utf-8", newline="\n")
