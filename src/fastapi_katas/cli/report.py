"""``kata report``: a bundle to paste when you are stuck."""

from __future__ import annotations

import os

import typer

from fastapi_katas.checker.check import check as run_check
from fastapi_katas.checker.process import ColdRunner
from fastapi_katas.cli.context import KataName, Plain, course, end, named_or_current, progress_of
from fastapi_katas.exit_codes import EXIT_ENVIRONMENT, EXIT_INTERRUPTED
from fastapi_katas.files import reason
from fastapi_katas.waiting import StatusLine


def report(name: KataName = None, plain: Plain = False) -> None:
    """Write a report to paste when you are stuck: versions, your change, the verdict."""
    from fastapi_katas.report import make

    kata = named_or_current(name)
    entry = progress_of(course()).of(kata.name)
    target = "fix" if kata.fix.exists() else "bad"
    waiting = StatusLine(plain=plain).ticking(
        lambda seconds: f"The tests are running: {seconds} s."
    )
    try:
        with waiting, ColdRunner() as runner:
            verdict = run_check(kata, target, runner)
        text = make(kata, verdict, entry, os.environ)
    except KeyboardInterrupt:
        end("Interrupted.", EXIT_INTERRUPTED)
    except OSError as error:
        end(f"The report cannot be made: {reason(error)}.", EXIT_ENVIRONMENT)
    typer.echo(text, nl=False)
    typer.echo(
        "Paths of your machine, names and values of the environment are left out. "
        "Read the report before you paste it: your own code is in it.",
        err=True,
    )
