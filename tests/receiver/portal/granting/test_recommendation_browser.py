"""A recommendation in a real browser, from its maker to the answer: fit to be read, wide and on a telephone."""

from __future__ import annotations

from pathlib import Path

from browser_person import BrowserPerson
from playwright.sync_api import Browser
from recommending_site import ANSWERED, BECAUSE, PAGE, WHAT, RecommendingSite


def test_a_recommendation_is_made_released_and_answered(tmp_path: Path, browser: Browser) -> None:
    """With axe's rules on the page of everybody who has a part in it."""
    site = RecommendingSite(tmp_path)
    try:
        with site.pages() as web:
            site.grant(web, "acme", "acme-pump")
            acme = BrowserPerson(browser, site, web, "acme")
            page = acme.open("/access")
            page.get_by_role("link", name="recommend it").click()
            page.get_by_label("Asset").select_option("acme-pump, north-plant")
            page.get_by_label("What should be changed?").fill(WHAT)
            page.get_by_label("Why?").fill(BECAUSE)
            page.get_by_label("Values, one a line").fill("limit")
            page.get_by_role("button", name="Recommend", exact=True).click()
            page.get_by_role("alert").wait_for()
            acme.fit("refused recommendation")
            assert page.get_by_label("What should be changed?").input_value() == WHAT
            page.get_by_label("Values, one a line").fill("speed limit: 1450 1/min -> 1380 1/min\noil: VG 68")
            page.get_by_role("button", name="Recommend", exact=True).click()
            page.get_by_role("heading", name="acme-pump: waits for a release").wait_for()
            engineer = BrowserPerson(browser, site, web, "engineer")
            engineer.look(PAGE)
            engineer.page.get_by_label("Your reason to release it").fill("worth reading at the machine")
            engineer.page.get_by_role("button", name="Release", exact=True).click()
            engineer.page.get_by_text("--to FOLDER --key DIR").wait_for()
            assert engineer.page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
            made = site.recommended
            site.answer(made, site.carry(made))
            acme.look(PAGE)
            assert page.get_by_text(ANSWERED).count() == 1
            for one in (acme, engineer):
                one.close()
    finally:
        site.close()
