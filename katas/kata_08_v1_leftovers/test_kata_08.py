"""The seed bank must run without a warning, and do exactly what it did before."""

from __future__ import annotations

import builtins
import importlib
import json
import logging
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from types import FrameType
from typing import Any

import httpx
import pytest
from fastapi.exceptions import FastAPIDeprecationWarning
from pydantic import PydanticDeprecatedSince20

from fastapi_katas.probes import Lesson, Place, expect_status, lesson, place_in_stack

CATEGORIES = [DeprecationWarning, UserWarning, PydanticDeprecatedSince20, FastAPIDeprecationWarning]
OAK = {"species": "Quercus petraea", "label": "Sessile oak", "grams": "40.25"}
MAPLE = {"species": "acer campestre", "grams": "1.5"}
# What is sent; the tests of the behaviour and the tests of the warnings use the same requests.
SPECIES = {
    "as-in-the-catalogue": ("Papaver somniferum", "Papaver somniferum"),
    "upper-and-lower-case": ("acer CAMPESTRE", "Acer campestre"),
    "spaces": ("  Tilia \t cordata ", "Tilia cordata"),
}
LABELS: dict[str, tuple[dict[str, str | None], str]] = {
    "not-sent": ({}, "Acer campestre"),
    "null": ({"label": None}, "Acer campestre"),
    "empty": ({"label": ""}, "Acer campestre"),
    "blank": ({"label": "  "}, "  "),
    "own-label": ({"label": "Field maple"}, "Field maple"),
}
TAGS = {
    "cleaned": ([" Tree ", "RARE"], ["tree", "rare"]),
    "four": (["a", "b", "c", "d"], ["a", "b", "c", "d"]),
    "five": (["a", "A", "c", "d", "e"], ["a", "a", "c", "d", "e"]),
}
AT_LIMIT = {
    "species": f"Acer {'c' * 75}",
    "label": "m" * 80,
    "grams": 50_000,
    "tags": ["tree"],
    "site": "s" * 60,
}
BAD_DEPOSITS: dict[str, tuple[str, list[Any]]] = {
    "tags": ("tags", [["tree", "  "], [*"abcdef"], [*"aAbcde"], ["tree", 1], "tree", None]),
    "unknown-field": ("colour", ["brown"]),
    "field-of-the-output": ("number", [1]),
    "weight": ("grams", ["0", 50_000.5, "light"]),
    "species": ("species", ["", "Quercus", "Quercus robur alba", f"Acer {'c' * 76}", None]),
    "label": ("label", ["m" * 81, 7]),
    "site": ("site", ["s" * 61]),
}
BAD_LINES = {
    "not-json": "Tilia cordata, 5 g",
    "empty-line": "",
    "a-list": '["Tilia cordata", 5]',
    "one-word": '{"species": "Tilia", "grams": 5}',
    "blank-tag": '{"species": "Tilia cordata", "grams": 5, "tags": [""]}',
    "tag-of-another-type": '{"species": "Tilia cordata", "grams": 5, "tags": [5]}',
    "unknown-field": '{"species": "Tilia cordata", "grams": 5, "box": 9}',
}
GENERA = {
    "known": ("Quercus", 200, [1, 3]),
    "unknown": ("Salix", 200, []),
    "small-letter": ("quercus", 422, None),
    "one-letter": ("Q", 422, None),
    "digit-behind": ("Quercus2", 422, None),
    "digit-before": ("7Quercus", 422, None),
}


@dataclass(frozen=True, slots=True)
class Warned:
    """One warning that was shown.

    Attributes:
        category: The class of the warning.
        text: The beginning of what it says.
        where: The line of the module under test that was running.
    """

    category: type[Warning]
    text: str
    where: Place | None

    @property
    def family(self) -> str:
        """The library that it comes from, as far as the class tells."""
        family = self.category.__module__.partition(".")[0]
        return family if family in {"pydantic", "fastapi"} else "other"


class Alarms:
    """Notes each warning. What the module under test does to hide them has no effect here.

    Attributes:
        filters: The lines of the module that change the filters for the whole process.
        blocks: The lines of the module that change them for a block.
    """

    def __init__(self) -> None:
        self.filters: list[Place] = []
        self.blocks: list[Place] = []
        self._shown: list[Warned] = []

    def show(self, message: Warning | str, category: type[Warning], *_: Any) -> None:
        """Stand in for `warnings.showwarning`."""
        warned = Warned(category, _beginning(str(message)), place_in_stack(sys._getframe(1)))
        if warned.where is not None or warned.family != "other" or "ydantic" in str(message):
            self._shown.append(warned)

    def refuse(self, change: Callable[..., Any]) -> Callable[..., Any]:
        """Make a stand-in for a function of `warnings` that works for everyone but the module."""

        def refused(*args: Any, **options: Any) -> Any:
            place = _own_line(sys._getframe(1))
            if place is None:
                return change(*args, **options)
            if change is warnings_block:
                self.blocks.append(place)
                return nullcontext([] if options.get("record") else None)
            self.filters.append(place)
            return None

        return refused

    def take(self) -> list[Warned]:
        """Return what was shown since the last call."""
        taken, self._shown = self._shown, []
        return taken

    def hears(self, category: type[Warning]) -> bool:
        """Tell whether a warning that some other module raises now is shown."""
        self.take()
        text = "The `weigh` method of pydantic is deprecated"
        warnings.warn(text, category, stacklevel=1)
        return len(self.take()) == 1


warnings_block = warnings.catch_warnings


@pytest.fixture(autouse=True)
def alarms(monkeypatch: pytest.MonkeyPatch) -> Iterator[Alarms]:
    """Listen for warnings from before the module is loaded."""
    heard = Alarms()
    # Pydantic 1 does not bear that a module is loaded twice: it would say so, and not the tests.
    old_validators = sys.modules.get("pydantic.v1.class_validators")
    getattr(old_validators, "_FUNCS", set()).clear()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with monkeypatch.context() as patch:
            patch.setattr(warnings, "showwarning", heard.show)
            patch.setattr(warnings, "warn", warnings.warn)  # comes back, if the module replaces it
            for name in ("simplefilter", "filterwarnings", "resetwarnings", "catch_warnings"):
                patch.setattr(warnings, name, heard.refuse(getattr(warnings, name)))
            yield heard
            logging.captureWarnings(False)  # the module may have switched it on


@pytest.fixture
def v1_imports(monkeypatch: pytest.MonkeyPatch) -> list[Place]:
    """The lines of the module under test that import the old pydantic."""
    lines: list[Place] = []
    plain_import, import_module = builtins.__import__, importlib.import_module

    def look(importer: FrameType, names: list[str]) -> None:
        place = _own_line(importer)
        if place and any(f"{name}.".startswith("pydantic.v1.") for name in names):
            lines.append(place)

    def watched_import(name: str, *args: Any, **options: Any) -> Any:
        attributes = (args[2] if len(args) > 2 else options.get("fromlist")) or ()
        look(sys._getframe(1), [name, *(f"{name}.{attribute}" for attribute in attributes)])
        return plain_import(name, *args, **options)

    def watched_import_module(name: str, package: str | None = None) -> Any:
        look(sys._getframe(1), [name])
        return import_module(name, package)

    monkeypatch.setattr(builtins, "__import__", watched_import)
    monkeypatch.setattr(importlib, "import_module", watched_import_module)
    return lines


@pytest.mark.goal
async def test_module_loads_without_a_warning(alarms: Alarms, client: httpx.AsyncClient) -> None:
    """Importing the module raises no warning."""
    at_load = alarms.take()
    expect_status(await client.get("/accessions"), 200, because="the catalogue is listed")
    if at_load:
        raise _warned("load", "Importing the module", at_load)


@pytest.mark.goal
async def test_deposit_is_taken_without_a_warning(
    alarms: Alarms, client: httpx.AsyncClient
) -> None:
    """Taking a deposit raises no warning."""
    alarms.take()
    bodies: list[dict[str, Any]] = [{**OAK, "tags": ["tree"]}, AT_LIMIT]
    bodies += [{**MAPLE, "species": written} for written, _ in SPECIES.values()]
    bodies += [{**MAPLE, **sent} for sent, _ in LABELS.values()]
    bodies += [{**MAPLE, "tags": tags} for tags, _ in TAGS.values()]
    for body in bodies:
        response = await client.post("/accessions", json=body)
        expect_status(response, 201, because="a deposit is taken")
        if raised := alarms.take():
            raise _warned("deposit", f"POST /accessions with {json.dumps(body)}", raised)


@pytest.mark.goal
async def test_sheet_is_read_without_a_warning(alarms: Alarms, client: httpx.AsyncClient) -> None:
    """Reading a field sheet raises no warning, with good lines and with bad ones."""
    alarms.take()
    lines = [json.dumps(OAK), json.dumps(MAPLE), "{}", *BAD_LINES.values()]
    response = await client.post("/sheets", json={"lines": lines})
    expect_status(response, 200, because="a sheet is read line by line")
    if raised := alarms.take():
        raise _warned("sheet", "POST /sheets", raised)


@pytest.mark.goal
async def test_sheet_with_a_site_is_read_without_a_warning(
    alarms: Alarms, client: httpx.AsyncClient
) -> None:
    """Reading a field sheet that names its site raises no warning."""
    alarms.take()
    for site in ("Reinach", ""):
        body = {"lines": [json.dumps(OAK), json.dumps(MAPLE)], "site": site}
        response = await client.post("/sheets", json=body)
        expect_status(response, 200, because="a sheet may name its site")
        if raised := alarms.take():
            raise _warned("site", f"POST /sheets with the site {site!r}", raised)


@pytest.mark.goal
async def test_documentation_is_made_without_a_warning(
    alarms: Alarms, client: httpx.AsyncClient
) -> None:
    """Describing the service as OpenAPI raises no warning."""
    alarms.take()
    response = await client.get("/openapi.json")
    expect_status(response, 200, because="the service describes itself")
    if raised := alarms.take():
        raise _warned("openapi", "GET /openapi.json", raised)


@pytest.mark.guard
async def test_other_requests_stay_without_a_warning(
    alarms: Alarms, client: httpx.AsyncClient
) -> None:
    """Requests that raised no warning before raise none now."""
    alarms.take()
    genera = [(f"/accessions?genus={genus}", status) for genus, status, _ in GENERA.values()]
    for path, status in [("/accessions", 200), *genera, ("/stock", 200)]:
        response = await client.get(path)
        expect_status(response, status, because="reading works as before")
        if raised := alarms.take():
            raise _warned("reading", f"GET {path}", raised)
    bodies = [{**OAK, name: value} for name, values in BAD_DEPOSITS.values() for value in values]
    for body in [{}, *bodies]:
        response = await client.post("/accessions", json=body)
        expect_status(response, 422, because="this deposit is against the rules")
        if raised := alarms.take():
            raise _warned("refusing", "POST /accessions with a bad deposit", raised)


@pytest.mark.guard
async def test_warnings_are_not_hidden(alarms: Alarms, client: httpx.AsyncClient) -> None:
    """The module leaves it to others which warnings are shown."""
    expect_status(await client.get("/accessions"), 200, because="the catalogue is listed")
    body = {"lines": [json.dumps(OAK), "{}"], "site": "Reinach"}
    expect_status(await client.post("/sheets", json=body), 200, because="a sheet is read")
    silent = [category.__name__ for category in CATEGORIES if not alarms.hears(category)]
    if alarms.filters or alarms.blocks or silent:
        raise lesson(
            "hidden-in-a-block" if alarms.blocks else "hidden-for-all",
            seen="The module changed the warning filters {filters} times, and for a block "
            "{blocks} times. Warnings of other modules that did not come through: {silent}.",
            production="The warning is gone, and what it warned of is still there. The next "
            "release of the library breaks the service without notice.",
            look="What do these warnings say, and who needs to read them?",
            where=[*alarms.filters, *alarms.blocks],
            filters=len(alarms.filters),
            blocks=len(alarms.blocks),
            silent=", ".join(silent) or "none",
        )


@pytest.mark.guard
async def test_old_pydantic_is_not_used(
    v1_imports: list[Place], client: httpx.AsyncClient, module: Any
) -> None:
    """The module does not fall back to the copy of Pydantic 1 inside Pydantic 2."""
    lines = [json.dumps(OAK), "{}"]
    body = {"lines": lines, "site": "Reinach"}
    expect_status(await client.post("/accessions", json=OAK), 201, because="a deposit is taken")
    expect_status(await client.post("/sheets", json=body), 200, because="a sheet is read")
    old = sys.modules.get("pydantic.v1")
    models = [] if old is None else _models_of(module.__name__, old.BaseModel)
    if v1_imports or models:
        raise lesson(
            "old-pydantic",
            seen="The module imported `pydantic.v1` {imports} times, and {count} of its models "
            "are built on it: {models}.",
            production="This copy goes with the old names. FastAPI refuses its models, and it "
            "does not work on Python 3.14.",
            look="Which version of Pydantic checks the data here?",
            where=v1_imports,
            imports=len(v1_imports),
            count=len(models),
            models=", ".join(models) or "none",
        )


@pytest.mark.parametrize(("written", "kept"), SPECIES.values(), ids=SPECIES)
@pytest.mark.guard
async def test_species_is_written_as_in_the_catalogue(
    written: str, kept: str, client: httpx.AsyncClient
) -> None:
    """A species is kept as `Genus epithet`."""
    shown = await _deposit(client, species=written)
    _expect_same("species", f"the species of {written!r}", shown.get("species"), kept)


@pytest.mark.guard
async def test_species_needs_two_words(client: httpx.AsyncClient) -> None:
    """A species that is not a genus and an epithet is refused, also when the label needs it."""
    for species in ("", "Quercus", "Quercus robur alba"):
        response = await client.post("/accessions", json={**MAPLE, "species": species})
        _expect_refused(response, "species")


@pytest.mark.parametrize(("sent", "kept"), LABELS.values(), ids=LABELS)
@pytest.mark.guard
async def test_label_is_the_species_unless_it_is_sent(
    sent: dict[str, str | None], kept: str, client: httpx.AsyncClient
) -> None:
    """Without a label of its own, a deposit is labelled with its species."""
    response = await client.post("/accessions", json={**MAPLE, **sent})
    expect_status(response, 201, because="a deposit needs no label of its own")
    _expect_same("label", f"the label for {sent}", response.json().get("label"), kept)


@pytest.mark.parametrize(("sent", "kept"), TAGS.values(), ids=TAGS)
@pytest.mark.guard
async def test_each_tag_is_cleaned(
    sent: list[str], kept: list[str], client: httpx.AsyncClient
) -> None:
    """Up to five tags are kept, each without spaces around it and in lower case."""
    shown = await _deposit(client, species="Acer campestre", tags=sent)
    _expect_same("tags", f"the tags of {sent}", shown.get("tags"), kept)


@pytest.mark.parametrize(("field", "values"), BAD_DEPOSITS.values(), ids=BAD_DEPOSITS)
@pytest.mark.guard
async def test_deposit_against_the_rules_is_refused(
    field: str, values: list[Any], client: httpx.AsyncClient
) -> None:
    """A value against the rules of its field, or an unknown field, is refused."""
    for value in values:
        response = await client.post("/accessions", json={**OAK, field: value})
        _expect_refused(response, field)
    _expect_same("shelf", "the size of the catalogue", len(await _catalogue(client)), 2)


@pytest.mark.guard
async def test_limits_are_kept(client: httpx.AsyncClient) -> None:
    """What is just at a limit is taken, and what is beyond a limit of the sheet is refused."""
    shown = await _deposit(client, **AT_LIMIT)
    _expect_same("limit", "the deposit", shown, {**AT_LIMIT, "number": 3, "grams": 50_000.0})
    response = await client.post("/sheets", json={"lines": [""] * 500, "site": "s" * 60})
    expect_status(response, 200, because="a sheet has up to 500 lines")
    _expect_refused(await client.post("/sheets", json={"lines": [""] * 501}), "lines")
    _expect_refused(await client.post("/sheets", json={"lines": [], "site": "s" * 61}), "site")


@pytest.mark.guard
async def test_weights_leave_as_numbers(client: httpx.AsyncClient) -> None:
    """`grams` is a number in each answer, though it is a decimal inside."""
    shown = await _deposit(client, species="Tilia cordata", grams="7.125")
    _expect_same("weight", "the weight in POST /accessions", shown.get("grams"), 7.125)
    for path, weights in [("/accessions", [812.5, 3.2, 7.125]), ("/stock", [812.5, 3.2, 7.125])]:
        response = await client.get(path)
        expect_status(response, 200, because="weights are shown")
        seen = [row.get("grams") for row in response.json()]
        _expect_same("weight", f"the weights in GET {path}", seen, weights)


@pytest.mark.parametrize(
    ("weights", "total"),
    [
        pytest.param(["0.1", "0.2"], 0.3, id="tenths"),
        pytest.param([1.1, 2.2], 3.3, id="sent-as-numbers"),
        pytest.param(["0.00000011", "0.00000022"], 3.3e-07, id="tiny"),
        pytest.param(["1.0000000000000001"] * 3, 3.0000000000000004, id="many-digits"),
    ],
)
@pytest.mark.guard
async def test_stock_adds_up_exactly(
    weights: list[str | float], total: float, client: httpx.AsyncClient
) -> None:
    """The stock of a species is the exact sum of its weights."""
    for weight in weights:
        await _deposit(client, species="Acer campestre", grams=weight)
    response = await client.get("/stock")
    expect_status(response, 200, because="the stock is added up")
    seen = {row["species"]: row["grams"] for row in response.json()}
    wanted = {"Quercus robur": 812.5, "Papaver rhoeas": 3.2, "Acer campestre": total}
    _expect_same("stock", f"the stock with {weights}", seen, wanted)


@pytest.mark.guard
async def test_opening_stock_is_shelved(client: httpx.AsyncClient) -> None:
    """The catalogue begins with the opening stock, with all rules applied to it."""
    catalogue = await _catalogue(client)
    oak = {"number": 1, "species": "Quercus robur", "label": "Oak", "grams": 812.5}
    oak |= {"tags": [], "site": None}
    poppy = {"number": 2, "species": "Papaver rhoeas", "label": "Poppy", "grams": 3.2}
    poppy |= {"tags": [], "site": "Aesch"}
    _expect_same("opening-stock", "the opening stock", catalogue, [oak, poppy])


@pytest.mark.parametrize(("genus", "status", "numbers"), GENERA.values(), ids=GENERA)
@pytest.mark.guard
async def test_genus_is_checked_before_the_search(
    genus: str, status: int, numbers: list[int] | None, client: httpx.AsyncClient
) -> None:
    """The catalogue is searched by genus, and what cannot be a genus is refused."""
    await _deposit(client, species="quercus petraea")
    response = await client.get("/accessions", params={"genus": genus})
    expect_status(response, status, because="a genus is a capital letter and small letters")
    if numbers is not None:
        found = [row["number"] for row in response.json()]
        _expect_same("search", f"the search for {genus!r}", found, numbers)


@pytest.mark.parametrize("line", BAD_LINES.values(), ids=BAD_LINES)
@pytest.mark.guard
async def test_bad_line_of_a_sheet_is_named(line: str, client: httpx.AsyncClient) -> None:
    """The good lines of a sheet are taken under the rules of a deposit, the others are named."""
    good = [
        json.dumps({"species": "tilia CORDATA", "label": "Lime", "grams": 5.5, "tags": ["Tree"]}),
        json.dumps(OAK),
    ]
    response = await client.post("/sheets", json={"lines": [good[0], line, good[1]]})
    expect_status(response, 200, because="a sheet is read line by line")
    report = {"accepted": [3, 4], "refused_lines": [2]}
    _expect_same("sheet", f"the report with the line {line!r}", response.json(), report)
    rows = (await _catalogue(client))[2:]
    kept = [[row["species"], row["label"], row["grams"], row["tags"]] for row in rows]
    lime = ["Tilia cordata", "Lime", 5.5, ["tree"]]
    oak = ["Quercus petraea", "Sessile oak", 40.25, []]
    _expect_same("sheet-rows", "the catalogue after the sheet", kept, [lime, oak])


@pytest.mark.parametrize(
    ("site", "kept"),
    [
        pytest.param(None, ["Aesch", None], id="site-of-the-line"),
        pytest.param("Reinach", ["Reinach", "Reinach"], id="site-of-the-sheet"),
        pytest.param("", ["", ""], id="empty-site"),
    ],
)
@pytest.mark.guard
async def test_site_of_the_sheet_counts_for_all_lines(
    site: str | None, kept: list[str | None], client: httpx.AsyncClient
) -> None:
    """The site of a sheet, if it has one, stands above the sites of its lines."""
    lines = [json.dumps({**OAK, "site": "Aesch", "tags": ["old"]}), json.dumps(OAK)]
    response = await client.post("/sheets", json={"lines": lines, "site": site})
    expect_status(response, 200, because="a sheet may name its site")
    rows = (await _catalogue(client))[2:]
    _expect_same("site", f"the sites with {site!r}", [row["site"] for row in rows], kept)
    tags = [row["tags"] for row in rows]
    _expect_same("sheet-rows", "the tags of these rows", tags, [["old"], []])


async def _deposit(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    body = {"label": "A sample", "grams": "1.5", **fields}
    response = await client.post("/accessions", json=body)
    expect_status(response, 201, because=f"the deposit {json.dumps(body)} is taken")
    shown: dict[str, Any] = response.json()
    return shown


async def _catalogue(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    response = await client.get("/accessions")
    expect_status(response, 200, because="the catalogue is listed")
    rows: list[dict[str, Any]] = response.json()
    return rows


def _expect_refused(response: httpx.Response, field: str) -> None:
    expect_status(response, 422, because=f"this `{field}` is against the rules")
    places = [error["loc"] for error in response.json()["detail"]]
    named = [".".join(str(part) for part in loc) for loc in places]
    if ["body", field] not in [loc[:2] for loc in places]:
        raise _changed("refused-field", f"the refused field {field!r}", named, [f"body.{field}"])


def _expect_same(key: str, what: str, seen: object, wanted: object) -> None:
    if seen != wanted:
        raise _changed(key, what, seen, wanted)


def _changed(key: str, what: str, seen: object, wanted: object) -> Lesson:
    return lesson(
        f"changed-{key}",
        seen="Asked for {what}, the seed bank said {said}. It used to say {wanted}.",
        production="The upgrade was to change nothing. A rule that got lost on the way is found "
        "by the people who relied on it, months later.",
        look="Which rule of the old module stood behind this, and where does it stand now?",
        what=what,
        said=repr(seen),
        wanted=repr(wanted),
    )


def _warned(moment: str, what: str, raised: list[Warned]) -> Lesson:
    families = "-".join(sorted({warned.family for warned in raised}))
    lines = [warned.where for warned in raised if warned.where is not None]
    lines.sort(key=lambda place: (place.file, place.line))
    kinds = Counter(warned.category.__name__ for warned in raised)
    return lesson(
        f"warned-at-{moment}-{families}",
        seen="{what} raised warnings: {kinds}. They begin:\n{texts}",
        production="A pipeline that runs with `-W error` stops here. Elsewhere nobody notices, "
        "until the release of the library in which the warning has become an error.",
        look="Run the module with `python -W always` and read each warning to its end.",
        where=lines,
        what=what,
        kinds=", ".join(f"{number} {name}" for name, number in sorted(kinds.items())),
        texts="\n".join(f"  - {text}" for text in dict.fromkeys(each.text for each in raised)),
    )


def _beginning(text: str) -> str:
    """Return the first clause: what is wrong, without the advice behind it."""
    for end in ("\n", ". ", "; ", ", "):
        text = text.partition(end)[0]
    return text.rstrip(":")


def _own_line(frame: FrameType) -> Place | None:
    """Return the line that a frame executes, if it belongs to the module under test."""
    place = place_in_stack(frame)
    return place if place is not None and place.file == frame.f_code.co_filename else None


def _models_of(name: str, base: type[Any]) -> list[str]:
    found: list[str] = []
    model: type[Any]
    for model in base.__subclasses__():
        if model.__module__ == name:
            found.append(model.__name__)
        found += _models_of(name, model)
    return sorted(set(found))
