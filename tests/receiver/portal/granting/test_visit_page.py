"""A site visit from request to review: what was announced, and beside it what the diode saw change in its window."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from granting_site import WHY, GrantingSite
from sign_in_site import WebReader
from visited_plant import ANNOUNCED, visited

from receiver.governed.alerts.read_check import ReadCheck


@pytest.fixture
def site(tmp_path: Path) -> Iterator[GrantingSite]:
    made = GrantingSite(tmp_path)
    yield made
    made.close()


@pytest.fixture
def web(site: GrantingSite) -> Iterator[WebReader]:
    with site.pages() as made:
        yield made


def test_who_reviews_a_visit_sees_what_changed_beside_what_was_announced(site: GrantingSite, web: WebReader) -> None:
    """And a look at it is on record; a visit lets nobody read."""
    grant = visited(site, web)
    security = site.enter(web, "security")
    address = f"/access/visit?grant={grant}"
    assert f'href="{address}"' in security.get("/access").text
    page = security.get(address).text
    for text in (ANNOUNCED.replace("<new>", "&lt;new&gt;"), "MOC-7", "firmware 1.1", "(before: Acme P-1 firmware 1.0)"):
        assert text in page
    assert "volta" not in page
    (entry,) = site.of("read.visit")
    assert (entry.who, entry.facts) == ("p-security", {"grant": grant})
    assert site.enter(web, "acme").get("/asset/acme-pump").status == 404


def test_a_visits_record_is_for_who_reviews(site: GrantingSite, web: WebReader) -> None:
    """To others, of other grants, and of a visit that has not begun, there is none."""
    grant = visited(site, web)
    for who, status in (("engineer", 200), ("approver", 200), ("acme", 404), ("sponsor", 404), ("auditor", 404)):
        assert site.enter(web, who).get(f"/access/visit?grant={grant}").status == status, who
    for other in ("", "g-none", "%00"):
        assert site.enter(web, "security").get(f"/access/visit?grant={other}").status == 404
    from_at, until = site.at(24), site.at(26)
    visit = {"preset": "site-visit", "from": from_at, "until": until, "reason": ANNOUNCED}
    site.request(site.enter(web, "acme"), **visit)
    for who in ("engineer", "approver"):
        fields = {"request": site.newest, "answer": "approve", "why": WHY}
        assert site.enter(web, who).send("/access", "/access/decide", **fields).status == 303
    planned = list(site.office.desk.authority.grants.grants)[-1]
    assert planned != grant
    assert site.enter(web, "security").get(f"/access/visit?grant={planned}").status == 404


def test_the_visitor_sees_of_the_record_what_they_may_read(site: GrantingSite, web: WebReader) -> None:
    """Nothing by the visit alone; under a grant to read its assets, with the look on record; never another vendor's."""
    grant = visited(site, web)
    address = f"/access/visit?grant={grant}"
    acme, volta, sponsor = (site.enter(web, who) for who in ("acme", "volta", "sponsor"))
    assert acme.get(address).status == 404
    assert address not in acme.get("/access").text
    for reader, asset in ((acme, "acme-pump"), (volta, "volta-press")):
        site.request(reader, asset)
        fields = {"request": site.newest, "answer": "approve", "why": WHY}
        assert sponsor.send("/access", "/access/decide", **fields).status == 303
    assert f'href="{address}"' in acme.get("/access").text
    page = acme.get(address).text
    for text in (ANNOUNCED.replace("<new>", "&lt;new&gt;"), "firmware 1.1", "Of the assets that you may read now"):
        assert text in page
    assert "volta" not in page.lower()
    assert "No change of the configuration" not in page, "that is not known of what is not shown"
    assert volta.get(address).status == 404
    (entry,) = site.of("read.visit")
    assert (entry.who, entry.facts["assets"], entry.facts["grant"]) == ("p-acme", ["acme-pump"], grant)
    assert grant not in str(entry.facts["grants"])
    check = ReadCheck()
    assert [fault.text for one in site.office.desk.authority.trail.records() for fault in check.take(one)] == []
    site.clock.move(5 * 3600)
    assert site.enter(web, "acme").get(address).status == 404
