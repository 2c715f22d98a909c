"""A person in front of a real browser, for the tests of access: signed in, opens pages, looks at them as axe does."""

from __future__ import annotations

import os
import re
from typing import Literal

from axe_playwright_python.sync_playwright import Axe
from granting_site import GrantingSite
from playwright.sync_api import Browser, Page
from sign_in_site import WebReader

BEYOND = """
[...document.querySelectorAll("body *:not(.unseen, .skip, .symbols, .symbols *)")]
  .filter((node) => node.getClientRects().length && node.getBoundingClientRect().right > innerWidth + 0.5
    && !node.closest(".grid"))
  .map((node) => `${node.tagName} ${node.className}`)
"""
SHOTS = os.environ.get("CHECKVALVE_SHOTS", "")
"""A folder for pictures of the pages, for people to look at."""


SIGHTS: tuple[tuple[int, Literal["light", "dark"]], ...] = ((1200, "light"), (390, "dark"))
"""Width of the window and colours that each page is looked at with: a desk by day, a telephone by night."""


class BrowserPerson:
    """Somebody in front of a browser of their own; they read and type on the telephone."""

    def __init__(self, browser: Browser, site: GrantingSite, web: WebReader, who: str) -> None:
        self.base, self.who = web.base.replace("127.0.0.1", "localhost"), who
        width, scheme = SIGHTS[-1]
        self.context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        site.clock.move(30)
        word = site.sign_in(f"p-{who}", address="127.0.0.1")  # the page of signing in has tests of its own
        self.context.add_cookies([{"name": "checkvalve", "value": word, "url": self.base}])
        self.page: Page = self.context.new_page()

    def open(self, path: str) -> Page:
        self.page.goto(self.base + path)
        return self.page

    def look(self, path: str) -> None:
        """A page, as a screen reader and a narrow screen find it."""
        self.open(path)
        self.fit(path)

    def fit(self, path: str) -> None:
        """The page that is open, as it stands: on a desk and on a telephone no violation of axe's rules, nothing beyond
        the window.
        """
        for width, scheme in SIGHTS:
            self.page.set_viewport_size({"width": width, "height": 900})
            self.page.emulate_media(color_scheme=scheme)
            found = Axe().run(self.page)
            wrong = [
                f"{one['id']}: {[node['html'][:120] for node in one['nodes']]}" for one in found.response["violations"]
            ]
            assert wrong == [], f"{self.who} at {path}, {width} wide, {scheme}"
            self.picture(path)
            assert self.page.evaluate(BEYOND) == [], path
            assert self.page.evaluate("document.scrollingElement.scrollWidth <= innerWidth"), path

    def picture(self, path: str) -> None:
        """For people to look at, where they gave a folder."""
        if SHOTS and (size := self.page.viewport_size):
            name = re.sub(r"[^a-z0-9]+", "-", path.strip("/")) or "overview"
            self.page.screenshot(path=f"{SHOTS}/{self.who}-{name}-{size['width']}.png", full_page=True)

    def close(self) -> None:
        self.context.close()
