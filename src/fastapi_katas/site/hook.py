"""What mkdocs calls: it adds the pages of the catalog, and keeps the site free of other hosts.

Named in ``mkdocs.yml`` under ``hooks``; the root of the course is the folder of that file.
"""

from __future__ import annotations

import importlib.util
import logging
import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi_katas.catalog import Catalog, CatalogError
from fastapi_katas.site import indexes
from fastapi_katas.site.kata_pages import kata_page, solution_page, targets_of
from fastapi_katas.site.markup import kata_uri, output, resolve_katas, solution_uri
from fastapi_katas.site.runs import PROMISED, Runs, UnexpectedRunError

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

MAP = "katas/index.md"
MERMAID = "assets/javascripts/mermaid.min.js"
#: What must happen between Mermaid and the theme.
DIAGRAMS = "assets/javascripts/diagrams.js"

_log = logging.getLogger("mkdocs.hooks.fastapi_katas")
_RUN_MARKER = re.compile(r"^( *)<!-- run: (\d+) (bad|good) -->$", re.MULTILINE)


def course_root(config: MkDocsConfig) -> Path:
    """The root of the course that a configuration belongs to."""
    return Path(config.config_file_path).resolve().parent


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the katas, by track, in the place of the course map in the navigation."""
    catalog = Catalog.at(course_root(config))
    try:
        tracks = indexes.by_track(catalog)
    except CatalogError as error:
        raise _stop(str(error)) from None
    katas: list[Any] = [MAP]
    katas += [
        {track: [{f"{k.number:02d} {k.title}": kata_uri(k)} for k in members]}
        for track, members in tracks.items()
        if members
    ]
    config.nav = [
        {name: katas if entry == MAP else entry for name, entry in item.items()}
        if isinstance(item, dict)
        else item
        for item in config.nav or []
    ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made from the catalog, and the script that draws diagrams."""
    from mkdocs.structure.files import File

    root = course_root(config)
    try:
        pages = make_pages(root, Path(config.docs_dir))
    except (CatalogError, UnexpectedRunError) as error:
        raise _stop(str(error)) from None
    for uri, text in pages.items():
        if (existing := files.get_file_from_path(uri)) is not None:
            files.remove(existing)
        files.append(File.generated(config, uri, content=text))
    if script := mermaid_script():
        files.append(File.generated(config, MERMAID, abs_src_path=str(script)))
    else:
        _log.warning("Mermaid is not installed (group `docs`), so diagrams are shown as text.")
    return files


def make_pages(root: Path, docs: Path) -> dict[str, str]:
    """Make all pages that depend on the catalog.

    Args:
        root: The root of the course.
        docs: The folder of the pages that are written by hand; those that show a run are returned
            too, with the output in place.

    Returns:
        Markdown by source path.

    Raises:
        CatalogError: If a file of a kata breaks its format.
        UnexpectedRunError: If a run does not say what the page needs.
    """
    catalog = Catalog.at(root)
    pages = {
        MAP: indexes.course_map(catalog),
        "laws.md": indexes.law_index(catalog),
        "rules.md": indexes.rules_matrix(catalog),
        "guides/writing-a-kata.md": (root / "CONTRIBUTING.md").read_text(encoding="utf-8"),
    }
    runs = Runs(root / ".cache" / "site")
    if made := runs.make((kata, target) for kata in catalog for target in targets_of(kata)):
        _log.info("Ran the tests of the katas on %d modules.", made)
    for kata in catalog:
        pages[kata_uri(kata)] = kata_page(kata, catalog, runs)
        pages[solution_uri(kata)] = solution_page(kata, runs)
    for path in sorted(docs.rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        shown = show_runs(text, catalog, runs)
        if shown != text:
            pages[path.relative_to(docs).as_posix()] = shown
    return {
        uri: resolve_katas(text, catalog, "../" * uri.count("/")) for uri, text in pages.items()
    }


def show_runs(text: str, catalog: Catalog, runs: Runs) -> str:
    """Put real output in the place of lines such as ``<!-- run: 1 bad -->``."""

    def show(match: re.Match[str]) -> str:
        kata = catalog.named(match[2])
        run = runs.of(kata, match[3], expect=PROMISED[match[3]])
        module = kata.bad if match[3] == "bad" else kata.good
        block = output(run.output, f"kata check {kata.number}, on {module.name}")
        return textwrap.indent(block, match[1])

    return _RUN_MARKER.sub(show, text)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Resolve links to katas on pages that are written by hand."""
    up = "../" * page.file.src_uri.count("/")
    return resolve_katas(markdown, Catalog.at(course_root(config)), up)


def on_post_page(html: str, page: Page, config: MkDocsConfig) -> str:
    """Load the scripts that draw diagrams, only where there is one, and before the theme does.

    The theme would fetch it from another host if it were not there already.
    """
    if 'class="mermaid"' not in html:
        return html
    up = "../" * page.file.dest_uri.count("/")
    scripts = "".join(f'<script src="{up}{name}"></script>\n      ' for name in (MERMAID, DIAGRAMS))
    return re.sub(r"(?=<script src=\"[^\"]*assets/javascripts/bundle\.)", scripts, html, count=1)


def mermaid_script() -> Path | None:
    """The script that draws Mermaid diagrams, from the package that ships it."""
    spec = importlib.util.find_spec("mermaidx")
    if spec is None or spec.origin is None:
        return None
    script = Path(spec.origin).parent / "assets" / "mermaid.js"
    return script if script.is_file() else None


def diagram(
    source: str, language: str, class_name: str, options: Any, md: Any, **keywords: Any
) -> str:
    """Format a Mermaid block: to be drawn if the script is there, else as readable text.

    Without the script the block must not have the class ``mermaid``: the theme would fetch the
    script from another host.
    """
    from pymdownx.superfences import fence_code_format

    drawn = class_name if mermaid_script() else "diagram-source"
    return str(fence_code_format(source, language, drawn, options, md, **keywords))


def _stop(message: str) -> Exception:
    from mkdocs.exceptions import PluginError

    error: Exception = PluginError(message)
    return error
