"""``kata check``: the tests of one kata on one module."""

from __future__ import annotations

import importlib
import threading
from pathlib import Path
from typing import Annotated

import typer

from fastapi_katas import workspace
from fastapi_katas.catalog.kata import Kata
from fastapi_katas.checker.check import check as run_check
from fastapi_katas.checker.job import DEFAULT_LIMIT_SECONDS
from fastapi_katas.checker.process import ColdRunner
from fastapi_katas.checker.verdict import (
    EXIT_ENVIRONMENT,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
)
from fastapi_katas.cli.context import (
    KataName,
    Plain,
    course,
    end,
    make_face,
    named_or_current,
    progress_of,
)
from fastapi_katas.waiting import StatusLine

#: Imported while the child process runs, so that their import costs the learner no time.
_NEEDED_AFTERWARDS = (
    "fastapi_katas.render", "fastapi_katas.render_json", "fastapi_katas.render_markdown",
    "fastapi_katas.attempt",
)


def check(
    name: KataName = None,
    target: Annotated[
        str | None,
        typer.Option(metavar="bad|fix|good|PATH", help="Check another module than your copy."),
    ] = None,
    limit: Annotated[
        float, typer.Option(min=1, help="Seconds after which a test counts as a hang.")
    ] = DEFAULT_LIMIT_SECONDS,
    everything: Annotated[bool, typer.Option("--all", help="Tell every lesson.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show pytest's own report.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Write the verdict as JSON.")] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Write the verdict as Markdown.")
    ] = False,
    plain: Plain = False,
) -> None:
    """Run the tests of a kata on your copy of it; the first time, make the copy."""
    if json and markdown:
        end("Choose one of --json and --markdown.", EXIT_USAGE)
    kata = named_or_current(name)
    notices: list[str] = []
    chosen = _learners_copy(kata, notices) if target in {None, "fix"} else str(target)
    if chosen not in {"bad", "fix", "good"} and not Path(chosen).exists():
        end(f"There is no module {chosen}.", EXIT_USAGE)
    for module in _NEEDED_AFTERWARDS:
        threading.Thread(target=importlib.import_module, args=(module,), daemon=True).start()
    try:
        waiting = StatusLine(plain=plain).ticking(
            lambda seconds: f"The tests are running: {seconds} s (a test may take {limit:g} s)."
        )
        with waiting, ColdRunner() as runner:
            verdict = run_check(kata, chosen, runner, limit=limit, report=verbose)
    except KeyboardInterrupt:
        end("Interrupted. Nothing was recorded; your file is as it was.", EXIT_INTERRUPTED)
    except OSError as error:
        end(f"The check cannot be run: {error.strerror or error}.", EXIT_ENVIRONMENT)

    from fastapi_katas.attempt import conclude
    from fastapi_katas.render_json import as_json
    from fastapi_katas.render_markdown import as_markdown, fenced

    progress = progress_of(course())
    advice = conclude(kata, verdict, progress)
    notices += progress.notices
    if json:
        typer.echo(as_json(verdict, advice, notices))
    elif markdown:
        text = as_markdown(verdict, advice, notices, everything=everything)
        if verbose:
            text += "\n" + fenced(verdict.report, "text") + "\n"
        typer.echo(text, nl=False)
    else:
        face = make_face(plain=plain)
        for notice in notices:
            face.say(notice)
        if verbose:
            face.code(verdict.report, "text")
        face.verdict(verdict, advice, everything=everything)
    raise typer.Exit(verdict.exit_code)


def _learners_copy(kata: Kata, notices: list[str]) -> str:
    """Make sure that there is a copy to check; without a place to write, check BAD itself."""
    try:
        started = workspace.start(kata)
    except workspace.WorkspaceError as error:
        notices.append(f"{error} The exhibit bad.py is checked instead.")
        return "bad"
    if started.created:
        notices.append(f"Your copy is {started.path}. Change it, and check again.")
    return "fix"
