"""The ``kata`` command: one module per verb, or per group of small ones."""

from __future__ import annotations

import io
import sys

from fastapi_katas.cli import quick
from fastapi_katas.exit_codes import EXIT_INTERRUPTED


def main() -> None:
    """Run the command; the entry point of the package."""
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal cannot show is written with escapes instead of a traceback.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        answer_quickly = quick.find(sys.argv[1:])
        if answer_quickly is not None:
            answer_quickly()
        else:
            from fastapi_katas.cli.verbs import app

            app()
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        sys.exit(EXIT_INTERRUPTED)
