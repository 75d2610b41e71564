"""The JSON Schema of ``kata check --json``, made from the dataclasses, and a small validator."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from fastapi_katas.checker.verdict import SCHEMA_VERSION, Verdict
from fastapi_katas.render_json import Extras

PUBLISHED = Path(__file__).resolve().parent.parent / "docs/reference/verdict.schema.json"


def make() -> dict[str, Any]:
    """Make the schema of a verdict together with what the command adds."""
    verdict, extras = (
        TypeAdapter(kind).json_schema(mode="serialization") for kind in (Verdict, Extras)
    )
    definitions = verdict.pop("$defs") | extras.pop("$defs")
    whole = {
        "properties": verdict["properties"] | extras["properties"],
        "description": _summary(Verdict),
    }
    for kind in _dataclasses(Verdict) | _dataclasses(Extras):
        body = definitions.get(kind.__name__, whole)
        body["description"] = _summary(kind) if body is not whole else whole["description"]
        for name, text in _attributes(kind).items():
            body["properties"][name]["description"] = text
    for body in (whole, *definitions.values()):
        for value in body["properties"].values():
            value.pop("title", None)
            value.pop("default", None)  # a verdict is written in full
        body.pop("title", None)
        body["type"] = "object"
        body["required"] = sorted(body["properties"])
        body["additionalProperties"] = False
    whole["properties"]["schema"]["const"] = SCHEMA_VERSION
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The verdict of kata check --json",
        **whole,
        "$defs": definitions,
    }


def as_text() -> str:
    """Return the schema as the published file holds it."""
    return json.dumps(make(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def _dataclasses(kind: type) -> dict[type, None]:
    """List a dataclass and those that it is made of."""
    found: dict[type, None] = {kind: None}
    for value in inspect.get_annotations(kind, eval_str=True).values():
        for part in (value, *getattr(value, "__args__", ())):
            if dataclasses.is_dataclass(part) and isinstance(part, type):
                found |= _dataclasses(part)
    return found


def _summary(kind: type) -> str:
    return (inspect.getdoc(kind) or "").split("\n\n")[0].replace("\n", " ").replace("``", "`")


def _attributes(kind: type) -> dict[str, str]:
    """Read what a docstring says about each field."""
    block = (inspect.getdoc(kind) or "").partition("Attributes:\n")[2]
    found = re.findall(r"^ {4}(\w+): (.+(?:\n {8}.+)*)", block, re.MULTILINE)
    return {name: " ".join(text.replace("``", "`").split()) for name, text in found}


def problems(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str = "$") -> list[str]:
    """List where a value breaks the schema; knows just what this schema uses."""
    unknown = set(schema) - _KNOWN
    assert not unknown, f"the validator does not know {unknown}"
    if "$ref" in schema:
        target = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
        return problems(value, target, root, at)
    if "anyOf" in schema:
        tried = [problems(value, option, root, at) for option in schema["anyOf"]]
        return [] if [] in tried else [f"{at}: fits none of {len(tried)} choices"]
    found = []
    if "const" in schema and value != schema["const"]:
        found.append(f"{at}: is not {schema['const']!r}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{at}: {value!r} is none of {schema['enum']}")
    if "type" in schema and type(value) is not _TYPES[schema["type"]]:
        return [*found, f"{at}: {value!r} is no {schema['type']}"]
    if isinstance(value, dict) and "properties" in schema:
        names = set(schema["properties"])
        found += [f"{at}: lacks {name}" for name in set(schema["required"]) - set(value)]
        found += [f"{at}: has {name} too" for name in set(value) - names]
        for name in names & set(value):
            found += problems(value[name], schema["properties"][name], root, f"{at}.{name}")
    if isinstance(value, list):
        for number, item in enumerate(value):
            found += problems(item, schema["items"], root, f"{at}[{number}]")
    return found


_TYPES: dict[str, type] = {
    "object": dict, "array": list, "string": str, "integer": int, "null": type(None)
}  # fmt: skip
_KNOWN = {
    "$schema", "$defs", "$ref", "title", "description", "type", "properties", "required",
    "additionalProperties", "items", "enum", "const", "anyOf",
}  # fmt: skip
