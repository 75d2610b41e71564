"""The skeleton of a new kata: every file in its place, with what to write in it."""

from __future__ import annotations

import re
from pathlib import Path

from fastapi_katas.catalog.catalog import Catalog
from fastapi_katas.catalog.errors import CatalogError
from fastapi_katas.catalog.kata import Kata

_PAGE = """\
---
title: TITLE
law: ONE SENTENCE THAT HOLDS IN PRODUCTION.
track: Async hygiene
minutes: 15
difficulty: 1
rules: []
requires: []
needs: []
references: []
---

## What happened

The story: what the on-call person sees.

## What you see

<!-- output: bad -->

## Your task

What to repair.

The contract that must stay:

- Paths, models and names.

## The law

**ONE SENTENCE THAT HOLDS IN PRODUCTION.**

Why.

## Traps

- What people try first.

## Going further

- What comes after.
"""

_HINTS = """\
# Hints

## Level 1: A question about the evidence?
For: test_law_holds

## Level 2: The place and the concept
For: test_law_holds

## Level 3: The change in words
For: test_law_holds
"""

_MODULE = '''\
"""What the module does, in one sentence."""

from fastapi import FastAPI

app = FastAPI()
'''

_TESTS = '''\
"""What must hold, in one sentence."""

import httpx
import pytest

from fastapi_katas.probes import expect_status, lesson


@pytest.mark.goal
async def test_law_holds(client: httpx.AsyncClient) -> None:
    """One sentence for the learner."""
    response = await client.get("/")
    expect_status(response, 200, because="the page says so")
    raise lesson(
        "not-written-yet",
        seen="The answer was {answer}.",
        production="What this does in production.",
        look="Where to look.",
        answer=response.text,
    )


@pytest.mark.guard
async def test_contract_stays(client: httpx.AsyncClient) -> None:
    """One sentence for the learner."""
    response = await client.get("/")
    expect_status(response, 200, because="the page says so")
'''

_NOTES = """\
## Why it works

## Trade-offs

## Other right ways

## What older guides say
"""


def make_skeleton(catalog: Catalog, number: int, slug: str) -> list[Path]:
    """Make the files of a new kata.

    Args:
        catalog: The course.
        number: The number of the kata.
        slug: Its short name, in lower case with underscores.

    Returns:
        The files that were made.

    Raises:
        CatalogError: If the number or the name is taken, or the name has the wrong form.
    """
    katas = catalog.root / "katas"
    if not re.fullmatch(r"[a-z][a-z0-9_]*", slug):
        raise CatalogError(katas, f"`{slug}` is no slug: use small letters, digits and `_`.")
    for kata in catalog:
        if kata.number == number or kata.slug == slug:
            raise CatalogError(kata.folder, "This kata is there already.")
    kata = Kata(number, slug, catalog.root)
    texts = {
        kata.folder / "README.md": _PAGE,
        kata.folder / "hints.md": _HINTS,
        kata.bad: _MODULE,
        kata.tests_file: _TESTS,
        kata.good: _MODULE,
        kata.notes_file: _NOTES,
    }
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for folder in ("near_misses", "alternatives"):
        (kata.bank / folder).mkdir(parents=True, exist_ok=True)
    return list(texts)
