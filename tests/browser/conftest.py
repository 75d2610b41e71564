"""The built site, served on the loopback interface, and a real Chromium to look at it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from browser.window import SITE, SIZES, Seen, opened, served
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium from the system."""
    if not (SITE / "index.html").is_file():
        pytest.fail("There is no built site. `nox -s browser` builds it first.")
    program = next(filter(None, (shutil.which(name) for name in CHROMIUM)), None)
    if program is None:
        pytest.fail("Chromium is not installed. On Debian: apt-get install chromium")
    quiet = [
        "--disable-background-networking", "--disable-component-update", "--disable-quic",
        "--disable-sync", "--no-first-run",
    ]  # fmt: skip
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        quiet.append("--no-sandbox")  # Chromium's own sandbox refuses to run as root
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=quiet)
        yield started
        started.close()


@pytest.fixture(scope="session")
def home(browser: Browser) -> Iterator[str]:
    """The address of the site, served from the root of a host."""
    with served(SITE) as address:
        yield address


@pytest.fixture
def seen() -> Seen:
    """What the pages of a test did besides being shown."""
    return Seen()


@pytest.fixture(params=list(SIZES))
def size(request: pytest.FixtureRequest) -> str:
    """The kind of window."""
    return str(request.param)


@pytest.fixture
def page(browser: Browser, home: str, seen: Seen) -> Iterator[Page]:
    """A page in a desktop window; nothing it does is left unseen."""
    with opened(browser, home, seen, "desktop") as page:
        yield page
