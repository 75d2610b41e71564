"""The picture of an order of events: a Mermaid sequence diagram, and the same as a list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fastapi_katas.site.markup import code, folded

_CLIENT, _APPLICATION = "client", "application"


def sequence_diagram(events: Sequence[str]) -> str:
    """Draw what an :class:`~fastapi_katas.probes.EventLog` wrote down.

    A mark such as ``session: commit`` is an arrow from the application to a participant of its
    own; other marks and exceptions are notes at the application.

    Args:
        events: The events in their order.

    Returns:
        Markdown: the picture, and the events as a folded list for those who cannot see it.
    """
    steps = [_step(event) for event in events]
    whos = dict.fromkeys([_CLIENT, _APPLICATION, *(who for who, _, _ in steps)])
    names = {who: f"p{index}" for index, who in enumerate(whos)}
    lines = ["sequenceDiagram"]
    lines += [f"    participant {name} as {_text(who)}" for who, name in names.items()]
    for who, way, what in steps:
        app, other = names[_APPLICATION], names[who]
        if way == "in":
            lines.append(f"    {other}->>{app}: {_text(what)}")
        elif way == "out":
            lines.append(f"    {app}->>{other}: {_text(what)}")
        else:
            lines.append(f"    Note over {app}: {_text(what)}")
    picture = code("\n".join(lines), "mermaid")
    return f"{picture}\n{folded('abstract', 'The same order as a list', _listed(events))}"


def _step(event: str) -> tuple[str, str, str]:
    """Take an event apart: with whom the application had to do, in which way, and what it was."""
    name, _, rest = event.partition(" ")
    if name == "http.request":
        return _CLIENT, "in", rest
    if name == "http.response.start":
        return _CLIENT, "out", f"the response begins, status {rest}"
    if name == "http.response.body":
        return _CLIENT, "out", "body"
    if name == "raised":
        return _APPLICATION, "note", f"{rest} leaves the application"
    who, colon, what = event.partition(": ")
    return (who, "out", what) if colon else (_APPLICATION, "note", event)


def _text(words: str) -> str:
    # To Mermaid, one begins an entity and the other ends a line.
    return words.translate({ord("#"): "#35;", ord(";"): "#59;"})


def _listed(events: Iterable[str]) -> str:
    return "\n".join(f"1. `{event}`" for event in events)
