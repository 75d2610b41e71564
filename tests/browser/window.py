"""Windows of a real Chromium onto the built site, and what was seen in them."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Locator, Page

ROOT = Path(__file__).resolve().parent.parent.parent
SITE = ROOT / "site"
#: Screenshots are kept here, to be looked at.
PICTURES = ROOT / ".cache" / "browser"

#: Sizes of a window, in CSS pixels.
SIZES = {"desktop": (1280, 800), "phone": (390, 844)}


def pages() -> list[str]:
    """The addresses of all pages, relative to the site's root, without the error page."""
    found = sorted(str(path.relative_to(SITE).as_posix()) for path in SITE.rglob("*.html"))
    return [page for page in found if page != "404.html"]


class Seen:
    """What a page did besides being shown.

    Attributes:
        console: Warnings and errors of its console, and exceptions that nobody caught.
        foreign: Requests to another host.
        failed: Requests that did not succeed.
    """

    def __init__(self) -> None:
        self.console: list[str] = []
        self.foreign: list[str] = []
        self.failed: list[str] = []

    def follow(self, context: BrowserContext, home: str) -> None:
        """Note what happens in a context from now on."""
        own = urlsplit(home).netloc

        def requested(request: Any) -> None:
            address = urlsplit(request.url)
            if address.scheme in {"http", "https", "ws", "wss"} and address.netloc != own:
                self.foreign.append(request.url)

        def answered(response: Any) -> None:
            if response.status >= 400:
                self.failed.append(f"{response.status} {response.url}")

        def failed(request: Any) -> None:
            # Going to the next page ends what the last one still loads, such as its icon.
            if request.failure != "net::ERR_ABORTED":
                self.failed.append(f"{request.failure} {request.url}")

        def said(message: Any) -> None:
            if message.type in {"error", "warning"}:
                self.console.append(f"{message.type}: {message.text}")

        context.on("request", requested)
        context.on("response", answered)
        context.on("requestfailed", failed)
        context.on("console", said)
        context.on("weberror", lambda error: self.console.append(f"exception: {error.error}"))

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to complain about."""
        return not (self.console or self.foreign or self.failed)

    def __str__(self) -> str:
        return f"console {self.console}, other hosts {self.foreign}, failed {self.failed}"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - its name
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on a free port of the loopback interface; yield its address."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def opened(
    browser: Browser, home: str, seen: Seen, size: str, **options: Any
) -> Iterator[Page]:
    """Open a page of a size in a context of its own."""
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        is_mobile=size == "phone",
        has_touch=size == "phone",
        **options,
    )
    context.set_default_timeout(15_000)
    seen.follow(context, home)
    try:
        yield context.new_page()
    finally:
        context.close()


def picture(of: Page | Locator, name: str, *, whole: bool = False) -> None:
    """Keep a screenshot of a window, of a whole page, or of a part of it."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    path = PICTURES / f"{name}.png"
    if isinstance(of, Page):
        of.screenshot(path=path, full_page=whole)
    else:
        of.screenshot(path=path)
