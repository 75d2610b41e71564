"""A lesson carries the evidence of its run, and refuses to be made without any."""

from __future__ import annotations

import pytest

from fastapi_katas.probes import Lesson, Place, cut, lesson

HERE = Place("/course/fix.py", 12, "get_label", "time.sleep(1)")
THERE = Place("/course/fix.py", 20, "helper")


def make(**changes: object) -> Lesson:
    words: dict[str, object] = {
        "seen": "The loop made {turns} turns.",
        "production": "Everybody waits.",
        "look": "Which line waits?",
        "turns": 3,
    }
    return lesson("loop-blocked", **(words | changes))  # type: ignore[arg-type]


def test_evidence_is_put_into_the_sentence() -> None:
    made = make()
    assert made.key == "loop-blocked"
    assert made.seen == "The loop made 3 turns."
    assert made.evidence == {"turns": 3}
    assert made.where == ()


def test_text_has_places_production_and_look() -> None:
    assert str(make(where=[HERE, THERE])).splitlines() == [
        "The loop made 3 turns.",
        "  at fix.py:12   time.sleep(1)",
        "  at fix.py:20",
        "In production: Everybody waits.",
        "Look: Which line waits?",
    ]


def test_it_is_an_assertion_error_with_its_own_text() -> None:
    with pytest.raises(AssertionError) as caught:
        raise make()
    assert str(caught.value).startswith("The loop made 3 turns.")


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (None, ()),
        (HERE, (HERE,)),
        ([], ()),
        ([None], ()),
        ([HERE, None, THERE, HERE], (HERE, THERE)),
        (iter([THERE]), (THERE,)),
    ],
)
def test_places_are_cleaned(where: object, expected: tuple[Place, ...]) -> None:
    assert make(where=where).where == expected


def test_values_are_not_read_as_templates() -> None:
    made = make(seen="Answered {body}.", body="{turns} {missing}")
    assert made.seen == "Answered {turns} {missing}."


def test_only_the_seen_sentence_is_a_template() -> None:
    made = make(production='Logs say {"level": 1}.', look="What is {}?")
    assert made.production == 'Logs say {"level": 1}.'
    assert made.look == "What is {}?"


def test_formats_of_values_are_honoured() -> None:
    assert make(seen="{share:.0%} of {names[0]}", share=0.5, names=["a"]).seen == "50% of a"


@pytest.mark.parametrize(
    "key", ["", "Loop", "loop_blocked", "loop--blocked", "-loop", "loop-", "1-loop", "loop blocked"]
)
def test_keys_are_kebab_case(key: str) -> None:
    with pytest.raises(ValueError, match="kebab case"):
        lesson(key, seen="{turns}", production="p", look="l", turns=1)


@pytest.mark.parametrize("name", ["seen", "production", "look"])
def test_no_text_is_empty(name: str) -> None:
    with pytest.raises(ValueError, match=f"empty '{name}'"):
        make(**{name: " \n"})


@pytest.mark.parametrize("seen", ["The loop is blocked.", "Braces {{turns}} only.", "One {}."])
def test_a_canned_sentence_is_refused(seen: str) -> None:
    with pytest.raises(ValueError, match="no evidence"):
        make(seen=seen)


def test_a_value_that_was_not_measured_is_refused() -> None:
    with pytest.raises(KeyError, match="waits"):
        make(seen="{turns} of {waits}")


@pytest.mark.parametrize(
    ("text", "shown"),
    [("", ""), ("12345", "12345"), ("123456", "1234…")],
    ids=["empty", "fits", "long"],
)
def test_a_long_text_is_cut(text: str, shown: str) -> None:
    assert cut(text, 5) == shown
