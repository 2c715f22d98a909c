"""Every page in a real browser: no violation of axe's rules, nothing beyond the window, a flow from hand to hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser_person import ARGUMENTS, BrowserPerson
from glass_site import HAPPENED, GlassSite
from granting_site import REASON, WHY, GrantingSite
from playwright.sync_api import Browser, sync_playwright
from sign_in_site import WebReader
from visited_plant import visited

from receiver.governed.grants.policy import CRITERIA


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


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (390, "dark")])
def test_a_request_goes_from_hand_to_hand_and_every_page_is_fit_to_be_read(
    site: GrantingSite, web: WebReader, browser: Browser, width: int, scheme: str
) -> None:
    """Asked, approved, read, revoked; with axe's rules on each page that anybody of them sees."""
    acme = BrowserPerson(browser, site, web, "acme", width, scheme)
    page = acme.open("/access")
    page.get_by_label("acme-pump").check()
    page.get_by_label("Kind").select_option("standing")
    page.get_by_label("Until").fill(site.at(4))
    page.get_by_label("Reason").fill(REASON)
    page.get_by_label("Purpose").fill("diagnosis")
    page.get_by_role("button", name="Ask").click()
    page.get_by_role("heading", name="You asked").wait_for()
    acme.look("/access")
    sponsor = BrowserPerson(browser, site, web, "sponsor", width, scheme)
    sponsor.look("/access")
    sponsor.page.get_by_label("Your reason, as sponsor").fill(WHY)
    sponsor.page.get_by_role("button", name="Approve").click()
    sponsor.page.get_by_role("heading", name="Granted to others").wait_for()
    acme.look("/")
    acme.look("/asset/acme-pump")
    acme.look("/tag/1")
    acme.look("/account")
    sponsor.look("/access")
    security = BrowserPerson(browser, site, web, "security", width, scheme)
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


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (390, "dark")])
def test_the_glass_is_broken_as_a_drill_reviewed_and_broken_again(
    tmp_path: Path, browser: Browser, width: int, scheme: str
) -> None:
    """Criteria, equipment, code; the next use refused while the review is open; a roster that can be printed."""
    site = GlassSite(tmp_path)
    try:
        with site.pages() as web:
            custodian = BrowserPerson(browser, site, web, "custodian", width, scheme)
            custodian.look("/access/glass")
            page = custodian.page
            page.get_by_label("Who shall read?").select_option("Vic of acme, Acme")
            page.get_by_role("button", name="Choose").click()
            page.get_by_label("acme-pump").check()
            assert page.get_by_label("volta-press").count() == 0
            page.get_by_label("For how many hours?").fill("1")
            for one in CRITERIA:
                page.get_by_label(one).check()
            page.get_by_label("What happened?").fill(HAPPENED)
            page.get_by_label("The code of envelope").fill(site.sealed.lower().replace("-", " "))
            page.get_by_label("This is a drill").check()
            custodian.fit("filled-in glass")
            page.get_by_role("button", name="Break the glass").click()
            page.get_by_role("heading", name="Uses").wait_for()
            custodian.look("/access/glass")
            assert page.get_by_text("it must be closed before the next").count() == 1
            assert page.get_by_role("button", name="Break the glass").count() == 0
            acme = BrowserPerson(browser, site, web, "acme", width, scheme)
            acme.look("/access")
            assert acme.open("/asset/acme-pump").get_by_role("heading", name="acme-pump").count() == 1
            site.prepare()
            engineer = BrowserPerson(browser, site, web, "engineer", width, scheme)
            engineer.look("/access/alerts")
            engineer.look("/access")
            engineer.page.get_by_label("Findings").fill("the drill went as written; the pump was found in 4 minutes")
            engineer.page.get_by_label("Yes").check()
            engineer.page.get_by_role("button", name="Close the review").click()
            engineer.page.wait_for_url("**/access")
            custodian.look("/access/glass?reader=p-acme")
            assert page.get_by_role("button", name="Break the glass").count() == 1
            custodian.look("/access/roster")
            page.emulate_media(media="print")
            assert page.get_by_role("navigation").count() == 0
            custodian.picture("/access/roster-print")
            assert page.get_by_role("cell", name="Jo custodian").is_visible()
            for who in (custodian, acme, engineer):
                who.close()
    finally:
        site.close()


def test_a_visits_record_is_fit_to_be_read(site: GrantingSite, web: WebReader, browser: Browser) -> None:
    """On a telephone beside the machine too."""
    grant = visited(site, web)
    security = BrowserPerson(browser, site, web, "security", 390, "dark")
    security.look(f"/access/visit?grant={grant}")
    assert security.page.get_by_role("rowheader", name="Nameplate").count() == 1
    security.close()
