"""Saved views and notes in a real browser: from hand to hand, fit to be read, and text whatever they say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser_person import BrowserPerson
from granting_site import WHY, GrantingSite
from playwright.sync_api import Browser
from sign_in_site import WebReader

PUMP = "acme-pump/acme-pressure"
EVIL = '<img src=x onerror="document.title=1">'


@pytest.fixture
def site(tmp_path: Path) -> Iterator[GrantingSite]:
    made = GrantingSite(tmp_path)
    yield made
    made.close()


@pytest.fixture
def web(site: GrantingSite) -> Iterator[WebReader]:
    with site.pages() as made:
        yield made


def test_a_view_is_saved_and_opened_and_a_note_written_shown_and_dropped(
    site: GrantingSite, web: WebReader, browser: Browser
) -> None:
    """A double click chooses the note's moment; its flag stands in the chart, its words below; the record has both."""
    acme, sponsor = site.enter(web, "acme"), site.enter(web, "sponsor")
    site.request(acme)
    sponsor.send("/access", "/access/decide", request=site.newest, answer="approve", why=WHY)
    person = BrowserPerson(browser, site, web, "acme")
    page = person.open(f"/trend?tag={PUMP}&range=600")
    page.wait_for_selector("#plot[data-drawn]")
    page.get_by_role("link", name="1 h", exact=True).click()
    page.wait_for_selector("#plot[data-drawn]")
    box = page.locator("#plot .u-over").bounding_box()
    assert box is not None
    page.mouse.dblclick(box["x"] + box["width"] / 2, box["y"] + 60)
    told = page.locator("[data-note-at]").input_value()
    assert told.startswith("2025-11-23T07:")
    page.get_by_label("Note", exact=True).fill(f"hot {EVIL}\nagain")
    page.get_by_role("button", name="Write it down").click()
    page.get_by_text("Vic of acme, Acme").wait_for()
    assert "range=3600" in page.url  # what the address said when the form was sent
    assert page.locator(".note-text").inner_text() == f"hot {EVIL}\nagain"
    page.get_by_label("Name of this view").fill(EVIL)
    page.get_by_role("button", name="Save it").click()
    page.get_by_role("link", name=EVIL).wait_for()
    page.locator(".note-text").wait_for()
    person.fit("/trend")
    page.goto(person.base + "/trend")
    page.get_by_role("link", name=EVIL).click()
    page.locator(".note-text").wait_for()
    page.locator("[data-notes]").get_by_role("button", name="Drop").click()
    page.locator("[data-notes] .none").wait_for()
    page.locator(".saved").get_by_role("button", name="Drop").click()
    page.get_by_text("None yet.").wait_for()
    assert page.title().endswith("Checkvalve")
    assert [one.facts["thing"] for one in site.of("desk.dropped")] == ["note", "view"]
    person.close()
