"""Docstrings for the reference of the probes: their code blocks and roles, as Markdown."""

from __future__ import annotations

import re
import textwrap
from typing import Any

from griffe import Extension

# `::` at the end of a line, then an indented block.
_BLOCK = re.compile(r"(?P<words>[^\n]*)::\n\n(?P<code>(?:[ ]+[^\n]*\n|\n)+)")
_ROLE = re.compile(r":\w+:`~?(?:[\w.]+\.)?(\w+)`")


def as_markdown(docstring: str) -> str:
    """Turn the two forms of reStructuredText that the course uses into Markdown.

    Args:
        docstring: A docstring without its common indentation.
    """

    def block(match: re.Match[str]) -> str:
        words = match["words"].strip()
        code = textwrap.dedent(match["code"]).strip("\n")
        return f"{words + ':' if words else ''}\n\n```python\n{code}\n```\n\n".lstrip("\n")

    return _ROLE.sub(r"`\1`", _BLOCK.sub(block, docstring + "\n")).rstrip("\n")


class Docstrings(Extension):  # type: ignore[misc]  # griffe is not always installed
    """The extension that mkdocstrings loads by the name of this module."""

    def on_object(self, *, obj: Any, **_: Any) -> None:
        """Rewrite the docstring of one object."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)
