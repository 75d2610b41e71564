"""The Markdown that several pages share: code, output, folded blocks, tables, links to katas."""

from __future__ import annotations

import difflib
import re
import textwrap
from collections.abc import Iterable
from pathlib import Path

from fastapi_katas.catalog import Catalog, Kata

_DOCSTRING = re.compile(r'\A""".*?"""\n+', re.DOTALL)
_BANK_HEAD = re.compile(r'\A"""(?:Near-miss|Alternative):')


def kata_uri(kata: Kata) -> str:
    """The source path of a kata's page."""
    return f"katas/{kata.number:02d}-{kata.slug.replace('_', '-')}.md"


def solution_uri(kata: Kata) -> str:
    """The source path of the page of its solution."""
    return f"solutions/{kata.number:02d}-{kata.slug.replace('_', '-')}.md"


def code(text: str, language: str, **options: str) -> str:
    """A block of code.

    Args:
        text: The code.
        language: The name that the highlighter knows.
        options: Such as ``title``, ``linenums``, ``hl_lines``.
    """
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    words = " ".join([language, *(f'{name}="{value}"' for name, value in options.items() if value)])
    return f"{fence} {words}\n{text.rstrip()}\n{fence}\n"


def output(text: str, title: str) -> str:
    """What a command printed, with the command above it."""
    return code(text, "text", title=title)


def folded(kind: str, title: str, body: str) -> str:
    """A block that stays closed until the reader opens it.

    Args:
        kind: The kind of admonition, for example ``question``.
        title: The line that is always seen.
        body: Markdown.
    """
    escaped = title.replace('"', "&quot;")
    return f'??? {kind} "{escaped}"\n\n{textwrap.indent(body.strip(), "    ")}\n'


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table; cells are Markdown of one line."""
    columns = list(head)
    lines = [columns, ["---"] * len(columns), *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _cell(text: str) -> str:
    # A bar inside a code span does not end a cell; elsewhere it would.
    parts = text.replace("\n", " ").split("`")
    return "`".join(p if index % 2 else p.replace("|", "&#124;") for index, p in enumerate(parts))


def sources(module: Path) -> dict[str, str]:
    """The files of a module with their names: one, or those of a package."""
    if module.is_file():
        return {module.name: module.read_text(encoding="utf-8")}
    return {
        path.relative_to(module.parent).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(module.rglob("*.py"))
        if "__pycache__" not in path.parts
    }


def difference(old: Path, new: Path) -> str:
    """The change from one module to another, in the unified format.

    The docstring at the top of a file of the bank is about that file and no part of the repair, so
    it is left out, together with the one that it stands in the place of.
    """
    before, after = _by_inner_name(old), _by_inner_name(new)
    lines: list[str] = []
    for name in sorted(before | after):
        was, is_now = before.get(name, ""), after.get(name, "")
        if _BANK_HEAD.match(is_now):
            was, is_now = _DOCSTRING.sub("", was), _DOCSTRING.sub("", is_now)
        label = name or old.name
        lines += difflib.unified_diff(
            was.splitlines(),
            is_now.splitlines(),
            f"{label} (before)",
            f"{label} (after)",
            lineterm="",
        )
    return "\n".join(lines)


def _by_inner_name(module: Path) -> dict[str, str]:
    one_file = module.is_file()
    return {
        "" if one_file else name.partition("/")[2]: text for name, text in sources(module).items()
    }


def resolve_katas(text: str, catalog: Catalog, up: str) -> str:
    """Make links of ``[words](kata:7)``; a kata that does not exist yet is named as planned.

    Args:
        text: Markdown. Without words, as in ``[](kata:7)``, the link shows number and title.
        catalog: The katas that exist.
        up: The way from the page to the root of the pages, for example ``../``.
    """
    existing = {kata.number: kata for kata in catalog}

    def link(match: re.Match[str]) -> str:
        words, number = match[1], int(match[2])
        if kata := existing.get(number):
            return f"[{words or f'{number:02d} {kata.title}'}]({up}{kata_uri(kata)})"
        return f"{words or f'kata {number:02d}'} (planned)"

    # Not behind a backtick: there it is code that tells how such a link is written.
    return re.sub(r"(?<!`)\[([^\]]*)\]\(kata:(\d+)\)", link, text)
