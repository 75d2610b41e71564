"""The pages that look at all katas: the map, the laws, the rules."""

from __future__ import annotations

from fastapi_katas.catalog import Catalog, Kata, Rule
from fastapi_katas.catalog.page import TRACKS
from fastapi_katas.catalog.rules import rules
from fastapi_katas.site.kata_pages import needs_of
from fastapi_katas.site.markup import kata_uri, table


def by_track(catalog: Catalog) -> dict[str, list[Kata]]:
    """The katas of each track; a track that has none yet has an empty list.

    Raises:
        CatalogError: If a page breaks its format.
    """
    tracks: dict[str, list[Kata]] = {track: [] for track in TRACKS}
    for kata in catalog:
        tracks[kata.page.head.track].append(kata)
    return tracks


def course_map(catalog: Catalog) -> str:
    """Write the map: every kata by track."""
    tracks = by_track(catalog)
    minutes = sum(kata.page.head.minutes for kata in catalog)
    parts = [
        "# Course map\n",
        f"{len(catalog)} katas, about {_hours(minutes)} of work. Take them in the order of their "
        "numbers, or begin with a track that you need now: “do first” names what a kata builds "
        "on.\n",
    ]
    for track, katas in tracks.items():
        parts.append(f"## {track}\n")
        if not katas:
            parts.append("Planned. The [rules](../rules.md) show what it will teach.\n")
            continue
        rows = (
            (
                f"[{kata.number:02d} {kata.page.head.title}]({kata_uri(kata).partition('/')[2]})",
                kata.page.head.law,
                str(kata.page.head.minutes),
                f"{kata.page.head.difficulty} of 3",
                ", ".join(f"{number:02d}" for number in kata.page.head.requires) or "nothing",
                needs_of(kata),
            )
            for kata in katas
        )
        head = ("Kata", "Law", "Minutes", "Difficulty", "Do first", "The tests use")
        parts.append(table(head, rows))
    return "\n".join(parts)


def _hours(minutes: int) -> str:
    if minutes < 60:
        return f"{minutes} minutes"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def law_index(catalog: Catalog) -> str:
    """Write the index of laws."""
    parts = [
        "# Laws\n",
        "One sentence from each kata, to keep in your own code. The link leads to the story, the "
        "proof and the exercise.\n",
    ]
    for track, katas in by_track(catalog).items():
        if katas:
            rows = ((kata.page.head.law, _link(kata)) for kata in katas)
            parts += [f"## {track}\n", table(("Law", "Kata"), rows)]
    return "\n".join(parts)


def _link(kata: Kata) -> str:
    return f"[{kata.number:02d} {kata.page.head.title}]({kata_uri(kata)})"


def rules_matrix(catalog: Catalog) -> str:
    """Write the matrix: every rule of the register, and where it is taught."""
    existing = {kata.number: kata for kata in catalog}
    chapters: dict[str, list[Rule]] = {}
    for rule in rules().values():
        chapters.setdefault(rule.chapter, []).append(rule)
    taught = sum(_is_taught(rule, existing) for rule in rules().values())
    parts = [
        "# Rules\n",
        f"{len(rules())} rules for FastAPI applications, and where each one is taught. "
        f"{taught} of them have a kata or a page today; the others are planned.\n",
    ]
    for chapter, members in chapters.items():
        rows = (
            (_anchored(rule.id), rule.statement, _where(rule, existing)) for rule in members
        )
        parts += [f"## {chapter}\n", table(("Rule", "What it says", "Taught in"), rows)]
    return "\n".join(parts)


def _anchored(rule: str) -> str:
    return f'<span id="{rule.lower()}">{rule}</span>'


def _is_taught(rule: Rule, existing: dict[int, Kata]) -> bool:
    return rule.prose is not None or any(number in existing for number in rule.katas)


def _where(rule: Rule, existing: dict[int, Kata]) -> str:
    places = [
        _link(existing[number]) if number in existing else f"kata {number:02d} (planned)"
        for number in rule.katas
    ]
    if rule.prose is not None:
        places.append(f"[{rule.prose.replace('-', ' ').capitalize()}]({rule.prose}.md)")
    return ", ".join(places)
