"""Every page in a real browser: no violation of axe's rules, nothing beyond the window, a flow from hand to hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser_person import BrowserPerson
from glass_site import HAPPENED, GlassSite
from granting_site import REASON, WHY, GrantingSite
from playwright.sync_api import Browser
from sign_in_site import PASSWORD, WebReader
from visited_plant import visited

from receiver.governed.grants.policy import CRITERIA
from receiver.governed.people.person import PersonRole


@pytest.fixture
def site(tmp_path: Path) -> Iterator[GrantingSite]:
    made = GrantingSite(tmp_path)
    yield made
    made.close()


@pytest.fixture
def web(site: GrantingSite) -> Iterator[WebReader]:
    with site.pages() as made:
        yield made


def test_a_request_goes_from_hand_to_hand_and_every_page_is_fit_to_be_read(
    site: GrantingSite, web: WebReader, browser: Browser
) -> None:
    """Asked, approved, read, revoked; with axe's rules on each page that anybody of them sees."""
    acme = BrowserPerson(browser, site, web, "acme")
    page = acme.open("/access")
    page.get_by_label("acme-pump").check()
    page.get_by_label("Kind").select_option("standing")
    page.get_by_label("Until").fill(site.at(4))
    page.get_by_label("Reason").fill(REASON)
    page.get_by_label("Purpose").fill("diagnosis")
    page.get_by_role("button", name="Ask").click()
    page.get_by_role("heading", name="You asked").wait_for()
    acme.look("/access")
    sponsor = BrowserPerson(browser, site, web, "sponsor")
    sponsor.look("/access")
    sponsor.page.get_by_label("Your reason, as sponsor").fill(WHY)
    sponsor.page.get_by_role("button", name="Approve").click()
    sponsor.page.get_by_role("heading", name="Granted to others").wait_for()
    acme.look("/")
    acme.look("/asset/acme-pump")
    acme.look("/tag/1")
    acme.look("/account")
    sponsor.look("/access")
    security = BrowserPerson(browser, site, web, "security")
    security.look("/trail")
    security.look("/access")
    row = security.page.get_by_role("row").filter(has_text="Vic of acme")
    row.get_by_text("Revoke", exact=True).click()
    row.get_by_label("Reason").fill("the work is done")
    row.get_by_role("button", name="Revoke now").click()
    security.page.wait_for_load_state()
    acme.open("/asset/acme-pump")
    assert acme.page.get_by_role("heading", name="Not here").count() == 1
    for path in ("/access", "/trail", "/changes", "/api/", "/nowhere"):
        acme.look(path)
    for one in (acme, sponsor, security):
        one.close()


def test_the_glass_is_broken_as_a_drill_reviewed_and_broken_again(tmp_path: Path, browser: Browser) -> None:
    """Criteria, equipment, code; the next use refused while the review is open; a roster that can be printed."""
    site = GlassSite(tmp_path)
    try:
        with site.pages() as web:
            custodian = BrowserPerson(browser, site, web, "custodian")
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
            acme = BrowserPerson(browser, site, web, "acme")
            acme.look("/access")
            assert acme.open("/asset/acme-pump").get_by_role("heading", name="acme-pump").count() == 1
            site.prepare()
            engineer = BrowserPerson(browser, site, web, "engineer")
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
    security = BrowserPerson(browser, site, web, "security")
    security.look(f"/access/visit?grant={grant}")
    assert security.page.get_by_role("rowheader", name="Nameplate").count() == 1
    security.close()


def test_a_newcomer_is_enrolled_visits_by_two_yeses_and_reads_until_the_grant_ends(
    site: GrantingSite, web: WebReader, browser: Browser
) -> None:
    """Enrolled on the page, set up by the link; a visit agreed by two and reviewed; an open page ends by itself."""
    site.ready("p-admin", login="ada@plant.example", name="Ada", roles=frozenset({PersonRole.ADMINISTRATOR}))
    site.plant.condition("acme-pump", "up", "Acme P-1 firmware 1.0")
    admin = BrowserPerson(browser, site, web, "admin")
    page = admin.open("/access/people")
    for label, text in {
        "Name, as on a badge": "Nova Newcomer",
        "Login, an address": "n.newcomer@acme.example",
        "Last day": "2026-03-01",
        "Checked by": "Ada",
        "How, such as": "called back over the contract's number",
        "Employer, as assets": "Acme",
        "Contract": "C-1",
        "named contact": "Ann Acme",
    }.items():
        page.get_by_label(label, exact=label == "Contract").fill(text)
    page.get_by_label("reader", exact=True).check()
    page.get_by_role("combobox", name="Sponsor").select_option("Jo sponsor")
    site.clock.move(30)
    page.get_by_label("Your own code, of your").fill(site.code("p-admin"))
    page.get_by_role("button", name="Enrol", exact=True).click()
    link = page.get_by_role("status").locator("code").inner_text()
    admin.fit("enrolled")
    page.set_viewport_size({"width": 1200, "height": 900})
    admin.fit("enrolled, wide")
    admin.close()

    key = str(site.of("person.enrolled")[-1].facts["person"])
    nova = browser.new_context(viewport={"width": 1200, "height": 900})
    page = nova.new_page()
    page.goto(link)
    site.seeds[key] = page.locator("code").inner_text().replace(" ", "")
    page.get_by_label("At least 12").fill(PASSWORD)
    page.get_by_label("Once more").fill(PASSWORD)
    page.get_by_label("Code").fill(site.code(key))
    page.get_by_label("I have read").check()
    page.get_by_role("button", name="Set up").click()
    page.wait_for_url("**/account")
    base = page.url.removesuffix("/account")

    page.goto(f"{base}/access")
    page.get_by_label("acme-pump").check()
    page.get_by_label("Kind").select_option("site-visit")
    page.get_by_label("Until").fill(site.at(4))
    page.get_by_label("Reason").fill(REASON)
    page.get_by_label("Purpose").fill("exchange of the drive")
    page.get_by_role("button", name="Ask").click()
    page.get_by_role("heading", name="You asked").wait_for()
    for who in ("approver", "engineer"):
        assert not site.office.desk.authority.grants.grants
        one = BrowserPerson(browser, site, web, who)
        one.open("/access").get_by_label("Your reason").fill(WHY)
        one.page.get_by_role("button", name="Approve").click()
        one.page.get_by_text("To be decided").wait_for(state="detached")
        one.close()
    reader = WebReader(web.base)
    reader.cookies = {one["name"]: one["value"] for one in nova.cookies()}
    site.request(reader, until=site.at(0.25))
    sponsor = site.enter(web, "sponsor")
    assert page.goto(f"{base}/asset/acme-pump").status == 404  # type: ignore[union-attr]
    assert sponsor.send("/access", "/access/decide", request=site.newest, answer="approve", why=WHY).status == 303
    page.goto(f"{base}/asset/acme-pump")
    page.get_by_role("heading", name="acme-pump").wait_for()
    with page.expect_response(lambda answer: "/live" in answer.url and answer.status == 404):  # the browser tries again
        site.clock.move(16 * 60)
    page.goto(f"{base}/asset/acme-pump")
    assert page.get_by_role("heading", name="Not here").count() == 1
    site.plant.condition("acme-pump", "up", "Acme P-1 firmware 1.1")
    nova.close()
    site.clock.move(4 * 3600)
    security = BrowserPerson(browser, site, web, "security")
    page = security.open("/access")
    page.get_by_role("link", name="what the diode saw change in its window").click()
    page.get_by_role("rowheader", name="Nameplate").wait_for()
    security.open("/access").get_by_label("Findings").fill("what was announced was done, and nothing beside it")
    page.get_by_label("Yes").check()
    page.get_by_role("button", name="Close the review").click()
    page.get_by_role("heading", name="Reviews due").wait_for(state="detached")
    security.close()
