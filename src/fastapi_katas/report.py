"""A report on one kata: everything that somebody needs to help, and nothing that is private."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import platform
from collections.abc import Mapping

import fastapi_katas
from fastapi_katas import workspace
from fastapi_katas.catalog.kata import Kata
from fastapi_katas.checker.verdict import Verdict
from fastapi_katas.coach import advise
from fastapi_katas.privacy import Redactor
from fastapi_katas.progress import KataProgress
from fastapi_katas.render_markdown import as_markdown, fenced, inline_code, prose

PACKAGES = (
    "fastapi", "starlette", "pydantic", "anyio", "httpx", "uvicorn", "sqlalchemy", "pytest",
    "pytest-asyncio", "blockbuster",
)  # fmt: skip


def make(
    kata: Kata, verdict: Verdict, entry: KataProgress, environ: Mapping[str, str]
) -> str:
    """Write the report.

    Args:
        kata: The kata.
        verdict: The verdict on the learner's copy, or on BAD if there is no copy.
        entry: What the learner has done in it.
        environ: The environment variables, whose values must not be told.

    Returns:
        Markdown, with a newline at its end.

    Raises:
        OSError: If the learner's copy cannot be read.
    """
    redactor = Redactor(kata.root, environ, public=_public(kata))
    touched = verdict.target == "fix" and not workspace.is_untouched(kata)
    change = workspace.difference(kata) if touched else ""
    advice = advise(kata, verdict, entry, touched=touched)
    # Texts are cleaned before they are shortened: half a secret would not be found any more.
    clean = redactor.data(verdict)
    advice = dataclasses.replace(advice, focus=clean.first_red)
    blocks = [
        f"# Report on {kata.label}, {prose(kata.title)}",
        _versions(),
        "## What was done",
        _done(entry),
        "## What was changed in bad.py" if not kata.is_package else "## What was changed in bad",
        fenced(redactor.text(change), "diff") if change else "Nothing yet.",
        as_markdown(clean, advice, everything=True),
    ]
    return "\n\n".join(block.rstrip() for block in blocks) + "\n"


def _versions() -> str:
    lines = [
        ("FastAPI Katas", fastapi_katas.__version__),
        ("Python", f"{platform.python_version()} ({platform.python_implementation()})"),
        ("System", f"{platform.system()} {platform.machine()}"),
    ]
    for name in PACKAGES:
        try:
            lines.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            lines.append((name, "not installed"))
    rows = "\n".join(f"| {name} | {version} |" for name, version in lines)
    return f"| what | version |\n|---|---|\n{rows}"


def _done(entry: KataProgress) -> str:
    lines = [f"- Attempts: {entry.attempts}", f"- Passed: {'yes' if entry.passed else 'not yet'}"]
    lines += [
        f"- Hint taken: {inline_code(test)}, up to level {level}"
        for test, level in sorted(entry.hints.items())
    ]
    if not entry.hints:
        lines.append("- Hints taken: none")
    return "\n".join(lines)


def _public(kata: Kata) -> str:
    """Read the words of the kata that everybody has, and those of the report itself."""
    sources = [kata.tests_file, kata.folder / "README.md", kata.folder / "hints.md"]
    sources += sorted(kata.bad.rglob("*.py")) if kata.is_package else [kata.bad]
    texts = []
    for path in sources:
        try:
            texts.append(path.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue  # a file that is missing makes nothing public
    return "\n".join(texts)
