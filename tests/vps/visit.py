"""What a visitor does with a browser: sign in by the page, look at one page and leave."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from lab import World

from .browser import Browser, opened

SIGN_IN = "document.getElementById('password') && !document.querySelector('form button').disabled"
"""JavaScript: the sign-in page is there, and its script has run."""


@dataclass(frozen=True)
class Page:
    """What a browser showed. `sockets`: (URL without its query, "open" or "closed") of each WebSocket, as it was last."""

    status: int
    text: str
    sockets: tuple[tuple[str, str], ...] = ()


def sign_in(browser: Browser, name: str, password: str) -> None:
    """Name and password have been sent by the sign-in page, which is or will be open. What it answers is yet to come."""
    browser.until(SIGN_IN)
    browser.fill("#name", name)
    browser.fill("#password", password)
    browser.click("form button")


def browse(
    world: World,
    url: str,
    *,
    user: tuple[str, str] | None = None,
    until: str = "true",
    shot: Path | None = None,
    roots: str = "",
    seconds: float = 45,
) -> Page:
    """The page in a Chromium of its own, once the JavaScript expression `until` holds (AssertionError after `seconds`).

    `user` signs in as a person does. `roots` (PEM) is what the browser trusts besides its own list. `shot` is a PNG of
    what was to be seen, also where `until` never held.
    """
    with (
        tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as home,
        opened(world, "chromium", Path(home), roots=roots) as browser,
    ):
        browser.open(url)
        if user:
            sign_in(browser, *user)
        try:
            browser.until(until, seconds)
        finally:
            if shot:
                browser.shot(shot)
        status = browser.script("return performance.getEntriesByType('navigation')[0].responseStatus")
        return Page(status, browser.text, tuple(browser.sockets()))
