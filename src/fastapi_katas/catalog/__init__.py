"""The catalog: finds katas, solutions and banks, and is the only reader of their folders.

The names are imported on first use: a check starts its tests before anything is validated. The
register of rules has a module of its own, ``fastapi_katas.catalog.rules``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi_katas.catalog.bank import Alternative, NearMiss
    from fastapi_katas.catalog.catalog import Catalog
    from fastapi_katas.catalog.errors import CatalogError, UnknownKataError
    from fastapi_katas.catalog.hints import Hint
    from fastapi_katas.catalog.kata import Kata, KataTest
    from fastapi_katas.catalog.page import FrontMatter, Page, Reference
    from fastapi_katas.catalog.rules import Rule

_HOMES = {
    "Alternative": "bank", "NearMiss": "bank", "Catalog": "catalog", "CatalogError": "errors",
    "UnknownKataError": "errors", "Hint": "hints", "Kata": "kata", "KataTest": "kata",
    "FrontMatter": "page", "Page": "page", "Reference": "page", "Rule": "rules",
}

__all__ = [
    "Alternative", "Catalog", "CatalogError", "FrontMatter", "Hint", "Kata", "KataTest", "NearMiss",
    "Page", "Reference", "Rule", "UnknownKataError",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
