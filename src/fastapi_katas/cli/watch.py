"""``kata watch``: a check on each save."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Annotated, Literal

import typer

from fastapi_katas import workspace
from fastapi_katas.checker.job import DEFAULT_LIMIT_SECONDS
from fastapi_katas.checker.process import ForkRunner, Runner, SpareRunner, warm_runner
from fastapi_katas.checker.verdict import EXIT_ENVIRONMENT, EXIT_INTERRUPTED, EXIT_USAGE
from fastapi_katas.cli.context import KataName, Plain, course, end, make_face, named_or_current

_MOST_PROCESSES = 4


def watch(
    name: KataName = None,
    poll: Annotated[
        bool, typer.Option("--poll", help="Look at the files often; for folders without events.")
    ] = False,
    limit: Annotated[
        float, typer.Option(min=1, help="Seconds after which a test counts as a hang.")
    ] = DEFAULT_LIMIT_SECONDS,
    plain: Plain = False,
    runner: Annotated[
        Literal["auto", "fork", "spare"],
        typer.Option(hidden=True, help="Where the processes of the checks come from."),
    ] = "auto",
) -> None:
    """Check your copy each time you save it; keys for hints and the next kata."""
    from fastapi_katas.watch import Watch  # only this verb needs it

    kata = named_or_current(name)
    face = make_face(plain=plain)
    interactive = (
        not plain
        and sys.stdin.isatty()
        and sys.stdout.isatty()
        and not face.console.is_dumb_terminal
    )
    _end_in_order()
    try:
        with _make_runner(runner) as processes:
            session = Watch(
                course(), face, processes, interactive=interactive, limit=limit, poll=poll
            )
            quitted = session.run(kata)
    except workspace.WorkspaceError as error:
        end(f"{error} Without a copy there is nothing to watch.", EXIT_ENVIRONMENT)
    except KeyboardInterrupt:
        quitted = False
    if not quitted:
        end("Interrupted. Your files are as they are.", EXIT_INTERRUPTED)
    face.say()
    face.say(f"The watch has ended. `kata watch {session.kata.number}` begins again.")


def _make_runner(kind: str) -> Runner:
    if kind == "fork" and not hasattr(os, "fork"):
        end("This system cannot fork.", EXIT_USAGE)
    # A learner waits for one run at a time: it may use the whole machine.
    processes = min(_MOST_PROCESSES, os.cpu_count() or 1)
    if kind == "spare":
        return SpareRunner()
    return ForkRunner(processes) if kind == "fork" else warm_runner(processes)


def _end_in_order() -> None:
    """Let a request to end, or a closed terminal, undo what was done to the terminal first."""

    def leave(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), leave)
