"""Every page in a real browser: no violation of axe's rules, nothing beyond the window, a flow from hand to hand."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from granting_site import REASON, WHY, GrantingSite
from playwright.sync_api import Browser, Page, sync_playwright
from sign_in_site import PASSWORD, WebReader

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions", "--no-first-run"]
BEYOND = """
[...document.querySelectorAll("body *:not(.unseen, .skip, .symbols, .symbols *)")]
  .filter((node) => node.getClientRects().length && node.getBoundingClientRect().right > innerWidth + 0.5
    && !node.closest(".grid"))
  .map((node) => `${node.tagName} ${node.className}`)
"""
SHOTS = os.environ.get("CHECKVALVE_SHOTS", "")
"""A folder for pictures of the pages, for people to look at."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        held = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        yield held
        held.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[GrantingSite]:
    made = GrantingSite(tmp_path)
    yield made
    made.close()


@pytest.fixture
def web(site: GrantingSite) -> Iterator[WebReader]:
    with site.pages() as made:
        yield made


class Person:
    """Somebody in front of a browser of their own."""

    def __init__(self, browser: Browser, site: GrantingSite, web: WebReader, who: str, width: int, scheme: str) -> None:
        self.base, self.who, self.width = web.base.replace("127.0.0.1", "localhost"), who, width
        dark = scheme == "dark"
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
        )
        self.page: Page = self.context.new_page()
        site.clock.move(30)
        held = site.office.desk.people.get(f"p-{who}")
        assert held is not None
        self.open("/sign-in")
        self.page.get_by_label("Login").fill(held.draft.login)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_label("Code").fill(site.code(f"p-{who}"))
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        self.page.wait_for_url(re.compile("/$"))

    def open(self, path: str) -> Page:
        self.page.goto(self.base + path)
        return self.page

    def look(self, path: str) -> None:
        """A page, as a screen reader and a narrow screen find it."""
        self.open(path)
        found = Axe().run(self.page)
        wrong = [
            f"{one['id']}: {[node['html'][:120] for node in one['nodes']]}" for one in found.response["violations"]
        ]
        assert wrong == [], f"{self.who} at {path}"
        if SHOTS:
            name = path.strip("/").replace("/", "-").partition("?")[0] or "overview"
            self.page.screenshot(path=f"{SHOTS}/{self.who}-{name}-{self.width}.png", full_page=True)
        assert self.page.evaluate(BEYOND) == [], path
        assert self.page.evaluate("document.scrollingElement.scrollWidth <= innerWidth"), path

    def close(self) -> None:
        self.context.close()


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (390, "dark")])
def test_a_request_goes_from_hand_to_hand_and_every_page_is_fit_to_be_read(
    site: GrantingSite, web: WebReader, browser: Browser, width: int, scheme: str
) -> None:
    """Asked, approved, read, revoked; with axe's rules on each page that anybody of them sees."""
    acme = Person(browser, site, web, "acme", width, scheme)
    page = acme.open("/access")
    page.get_by_label("acme-pump").check()
    page.get_by_label("Kind").select_option("standing")
    page.get_by_label("Until").fill(site.at(4))
    page.get_by_label("Reason").fill(REASON)
    page.get_by_label("Purpose").fill("diagnosis")
    page.get_by_role("button", name="Ask").click()
    page.get_by_role("heading", name="You asked").wait_for()
    acme.look("/access")
    sponsor = Person(browser, site, web, "sponsor", width, scheme)
    sponsor.look("/access")
    sponsor.page.get_by_label("Your reason, as sponsor").fill(WHY)
    sponsor.page.get_by_role("button", name="Approve").click()
    sponsor.page.get_by_role("heading", name="Granted to others").wait_for()
    acme.look("/")
    acme.look("/asset/acme-pump")
    acme.look("/tag/1")
    acme.look("/account")
    sponsor.look("/access")
    security = Person(browser, site, web, "security", width, scheme)
    security.look("/trail")
    security.look("/access")
    row = security.page.get_by_role("row").filter(has_text="Vic of acme")
    row.get_by_text("Revoke", exact=True).click()
    row.get_by_label("Reason").fill("the work is done")
    row.get_by_role("button", name="Revoke now").click()
    security.page.wait_for_load_state()
    acme.open("/asset/acme-pump")
    assert acme.page.get_by_role("heading", name="Not here").count() == 1
    acme.look("/access")
    acme.look("/trail")
    for one in (acme, sponsor, security):
        one.close()
