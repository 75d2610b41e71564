"""The JSON of a verdict keeps to its published schema, and the page tells all of it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import verdict_schema
from samples import SAMPLES

from fastapi_katas.checker import verdict
from fastapi_katas.render_json import as_json

if TYPE_CHECKING:
    from course import Course

PAGE = verdict_schema.PUBLISHED.with_name("verdict-json.md").read_text(encoding="utf-8")
SCHEMA: dict[str, Any] = json.loads(verdict_schema.PUBLISHED.read_text(encoding="utf-8"))


def problems(text: str) -> list[str]:
    """List where a written verdict breaks the published schema."""
    return verdict_schema.problems(json.loads(text), SCHEMA, SCHEMA)


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_kind_of_verdict(sample: str) -> None:
    assert problems(as_json(*SAMPLES[sample], ["A notice."])) == []


@pytest.mark.parametrize(
    ("handler", "code"),
    [("return 1", 1), ("return {'total': PRICE * count}", 0), ("os._exit(3)", 4)],
)
def test_real_runs(course: Course, handler: str, code: int) -> None:
    course.handler(handler)
    for more in ((), ("--verbose",)):
        ran = course.call("check", "1", "--json", *more)
        assert ran.code == code
        assert problems(ran.out) == []


def test_the_validator_sees_what_is_wrong() -> None:
    good = json.loads(as_json(*SAMPLES["red"], []))
    assert len(good["results"]) == 4
    for path, value in {
        "state": "green", "schema": 2, "number": "7", "warnings": [1], "fault": {}, "notices": None,
    }.items():  # fmt: skip
        assert problems(json.dumps({**good, path: value})), path
    assert problems(json.dumps({**good, "more": 1})) == ["$: has more too"]
    del good["title"]
    assert problems(json.dumps(good)) == ["$: lacks title"]


def fields_in_the_page(section: str) -> set[str]:
    """The first column of the table of a section."""
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))


@pytest.mark.parametrize(
    ("section", "name"),
    [("The verdict", None), ("A test", "TestResult"), ("A lesson", "LessonData"),
     ("A fault", "Fault"), ("A place", "CodePlace"), ("Advice", "AdviceData")],
)  # fmt: skip
def test_the_page_names_every_field(section: str, name: str | None) -> None:
    described = SCHEMA["$defs"][name] if name else SCHEMA
    assert fields_in_the_page(section) == set(described["properties"])


def test_the_page_names_every_state_with_its_exit_code() -> None:
    text = PAGE.split("\n## States\n")[1].split("\n## ")[0]
    told = {name: int(code) for name, code in re.findall(r"^\| `(\w+)` \| (\d+) \|", text, re.M)}
    assert set(told) == set(SCHEMA["properties"]["state"]["enum"])
    for found, _ in SAMPLES.values():
        assert told[found.state] == found.exit_code
    assert f"It is {verdict.SCHEMA_VERSION} today." in PAGE


def test_the_page_names_every_definition() -> None:
    named = {"TestResult", "LessonData", "Fault", "CodePlace", "AdviceData"}
    assert set(SCHEMA["$defs"]) == named
