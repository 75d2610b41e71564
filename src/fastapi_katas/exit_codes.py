"""The exit codes of the ``kata`` command."""

from __future__ import annotations

EXIT_PASSED = 0
"""Everything is green."""
EXIT_RED = 1
"""A test is red, or what was asked for is not there yet."""
EXIT_USAGE = 2
"""The command was called with words that it does not know."""
EXIT_ENVIRONMENT = 3
"""The installation, or a file of the kata, is at fault."""
EXIT_MODULE = 4
"""The learner's module hangs or cannot be loaded."""
EXIT_INTERRUPTED = 130
"""Ctrl-C."""
