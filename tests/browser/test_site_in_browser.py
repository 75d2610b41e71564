"""The built site in a real Chromium: what only a browser can tell."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser.window import SITE, Seen, opened, pages, picture, served
from playwright.sync_api import Browser, Page, expect

KATA, SOLUTION = "katas/01-blocked-loop.html", "solutions/01-blocked-loop.html"
#: What a reader of any page must be able to do, by WCAG 2.2 at level AA, and good practice.
AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def diagrams_are_drawn(page: Page) -> None:
    """Wait until every diagram is drawn, if there are any."""
    if page.locator(".mermaid").count():
        page.wait_for_function(
            "[...document.querySelectorAll('div.mermaid')].length > 0"
            " && !document.querySelector('pre.mermaid')"
        )


# --- every page ----------------------------------------------------------------------------------


def test_every_page_is_shown_without_a_complaint(
    browser: Browser, home: str, seen: Seen, size: str
) -> None:
    with opened(browser, home, seen, size) as page:
        for path in pages():
            page.goto(f"{home}/{path}")
            diagrams_are_drawn(page)
            expect(page.locator("article h1")).to_have_count(1)
            assert seen.nothing, f"{path}: {seen}"
            over = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert over <= 0, f"{path} is {over} pixels wider than the window"
            picture(page, f"{size}-{Path(path).with_suffix('').as_posix().replace('/', '-')}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_passes_axe(browser: Browser, home: str, seen: Seen, scheme: str) -> None:
    axe = Axe()
    found = []
    with opened(browser, home, seen, "desktop", color_scheme=scheme) as page:
        for path in pages():
            page.goto(f"{home}/{path}")
            diagrams_are_drawn(page)
            page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
            options = {"runOnly": {"type": "tag", "values": AXE_TAGS}}
            for violation in axe.run(page, options=options).response["violations"]:
                nodes = [" ".join(map(str, node["target"])) for node in violation["nodes"]]
                found.append(f"{path}: {violation['id']}: {violation['help']}: {nodes[:3]}")
    assert not found, "\n".join(found)


# --- what a reader does --------------------------------------------------------------------------


def test_search_finds_a_law(page: Page, home: str, seen: Seen) -> None:
    page.goto(f"{home}/index.html")
    page.keyboard.press("/")
    page.keyboard.type("nothing may wait without giving the event loop back")
    first = page.locator(".md-search-result__item a").first
    expect(first).to_be_visible()
    expect(page.locator(".md-search-result__list")).to_contain_text("The blocked loop")
    picture(page, "desktop-search")
    first.click()
    expect(page.locator("article h1")).to_be_visible()
    assert seen.nothing, str(seen)


def test_search_finds_no_solution(page: Page, home: str) -> None:
    page.goto(f"{home}/index.html")
    page.keyboard.press("/")
    page.keyboard.type("near-miss")
    expect(page.locator(".md-search-result__meta")).not_to_have_text("Initializing search")
    links = page.locator(".md-search-result__item a")
    assert not [link for link in links.all() if "solutions/" in (link.get_attribute("href") or "")]


def test_hints_open_one_by_one(page: Page, home: str) -> None:
    page.goto(f"{home}/{KATA}")
    hints = page.locator("article details.question")
    assert hints.count() >= 3
    assert page.locator("article details.question[open]").count() == 0, "no hint is open unasked"
    for number in range(hints.count()):
        hint = hints.nth(number)
        text = hint.locator("p:not(.admonition-title)").first
        expect(text).to_be_hidden()
        hint.locator("summary").click()
        expect(text).to_be_visible()
        assert page.locator("article details.question[open]").count() == number + 1
    picture(page, "desktop-hints", whole=True)


def test_solution_stays_folded_until_it_is_asked_for(page: Page, home: str) -> None:
    page.goto(f"{home}/{KATA}")
    spoiler = page.locator("article details.danger")
    way = spoiler.locator("a")
    expect(way).to_be_hidden()
    assert "AsyncClient" not in page.locator("article").inner_text(), "the page tells the cure"
    spoiler.locator("summary").click()
    expect(way).to_be_visible()
    way.click()
    page.wait_for_url(f"**/{SOLUTION}")
    expect(page.locator("article h1")).to_be_visible()
    picture(page, "desktop-solution", whole=True)


def test_colours_can_be_chosen_and_stay(page: Page, home: str) -> None:
    page.goto(f"{home}/{KATA}")
    body = page.locator("body")

    def press_toggle() -> None:
        page.locator("form.md-header__option label:visible").click()

    press_toggle()  # from the colours of the system to light ones
    expect(body).to_have_attribute("data-md-color-scheme", "default")
    press_toggle()
    expect(body).to_have_attribute("data-md-color-scheme", "slate")
    diagrams_are_drawn(page)
    page.goto(f"{home}/katas/06-streaming-export.html")
    expect(body).to_have_attribute("data-md-color-scheme", "slate")
    diagrams_are_drawn(page)
    picture(page.locator(".mermaid").first, "dark-diagram")
    picture(page, "dark-kata-06", whole=True)
    page.goto(f"{home}/{KATA}")
    diagrams_are_drawn(page)
    picture(page, "dark-kata-01", whole=True)


def test_the_keyboard_alone_is_enough(page: Page, home: str) -> None:
    """From the first Tab to an open hint, with every stop visible."""
    page.goto(f"{home}/{KATA}")
    page.keyboard.press("Tab")
    skip = page.locator(".md-skip")
    expect(skip).to_be_focused()
    page.keyboard.press("Enter")
    summary = page.locator("article details.question summary").first
    for _ in range(200):
        page.keyboard.press("Tab")
        outline: dict[str, Any] = page.evaluate(
            """() => {
                const element = document.activeElement, style = getComputedStyle(element)
                const box = element.getBoundingClientRect()
                return {tag: element.tagName, width: box.width, outline: style.outlineStyle,
                        shadow: style.boxShadow}
            }"""
        )
        if outline["tag"] == "SUMMARY":
            break
        assert outline["tag"] != "BODY", "Tab left the page before it came to a hint"
    expect(summary).to_be_focused()
    assert outline["outline"] != "none" or outline["shadow"] != "none", "the focus is not seen"
    page.keyboard.press("Enter")
    expect(page.locator("article details.question[open]")).to_have_count(1)


def test_phone_reaches_a_kata_through_its_menu(browser: Browser, home: str, seen: Seen) -> None:
    with opened(browser, home, seen, "phone") as page:
        page.goto(f"{home}/index.html")
        page.locator("header label[for='__drawer']").click()
        picture(page, "phone-menu")
        page.locator("nav.md-nav--primary").get_by_text("Katas", exact=True).first.click()
        expect(page.locator("nav.md-nav--primary")).to_be_visible()
        assert seen.nothing, str(seen)


# --- where the site stands -----------------------------------------------------------------------


def walk(page: Page, home: str) -> None:
    """Go from the start to a kata and to its solution, by links alone, and search."""
    page.goto(f"{home}/index.html")
    page.locator("article a[href*='01-blocked-loop']").first.click()
    diagrams_are_drawn(page)
    expect(page.locator("article h1")).to_contain_text("The blocked loop")
    page.locator("article details.danger summary").click()
    page.locator("article details.danger a").click()
    expect(page.locator("article h1")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("blocked loop")
    expect(page.locator(".md-search-result__item a").first).to_be_visible()


def test_the_site_works_below_a_path(browser: Browser, seen: Seen, tmp_path: Path) -> None:
    shutil.copytree(SITE, tmp_path / "teams" / "katas")
    with served(tmp_path) as host, opened(browser, host, seen, "desktop") as page:
        walk(page, f"{host}/teams/katas")
        assert seen.nothing, str(seen)


def test_the_site_works_from_a_folder(browser: Browser, seen: Seen) -> None:
    with opened(browser, "", seen, "desktop") as page:
        walk(page, SITE.as_uri())
        assert seen.nothing, str(seen)


def test_an_unknown_address_leads_back(page: Page, home: str) -> None:
    page.goto(f"{home}/404.html")
    expect(page.locator("article h1")).to_contain_text("404")
    page.locator("a.md-logo:visible, a.md-header__button.md-logo").first.click()
    expect(page.locator("article h1")).to_contain_text("FastAPI")
