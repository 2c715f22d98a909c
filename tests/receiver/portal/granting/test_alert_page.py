"""The list of alerts on a page: who sees it, what stands there, and what acknowledging takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from glass_site import GlassSite
from sign_in_site import WebReader

from receiver.governed.alerts.alert import raised
from receiver.governed.trail.entry import Fact, TrailEntry


@pytest.fixture
def site(tmp_path: Path) -> Iterator[GlassSite]:
    made = GlassSite(tmp_path)
    yield made
    made.close()


@pytest.fixture
def web(site: GlassSite) -> Iterator[WebReader]:
    with site.pages() as made:
        yield made


def raise_one(site: GlassSite, person: str = "p-acme") -> str:
    """An alert about somebody; returns its number."""
    entry = raised(
        "second address",
        "from <two> places",
        at_ns=site.clock(),
        subject="1",
        more={"person": person, "vendor": "Acme"},
    )
    (record,) = site.office.desk.authority.trail.note([entry])
    site.office.telling.step()
    return str(record.number)


def test_an_alert_is_open_until_somebody_says_what_was_found(site: GlassSite, web: WebReader) -> None:
    """With its next step, and with who knows of it on record."""
    number = raise_one(site)
    security = site.enter(web, "security")
    page = security.get("/access/alerts").text
    assert "from &lt;two&gt; places" in page
    assert "Vic of acme" in page
    assert "2 that nobody has acknowledged" in page  # and the shift after the next has no custodian
    short = security.send("/access/alerts", "/access/alerts", alert=number, note="ok")
    assert (short.status, "say what was found" in short.text.lower()) == (409, True)
    for wrong in ("0", "99999", "x", "9" * 30):
        assert security.send("/access/alerts", "/access/alerts", alert=wrong, note="nothing of that").status == 409
    note = "the person works from two offices; told to tell us"
    assert security.send("/access/alerts", "/access/alerts", alert=number, note=note).status == 303
    assert "second address" not in security.get("/access/alerts").text.lower()
    (entry,) = site.of("alert.acknowledged")
    assert (entry.who, entry.origin, entry.facts["note"]) == ("p-security", "127.0.0.1", note)


def test_an_alert_that_nobody_acknowledged_stays_however_many_came_after(site: GlassSite, web: WebReader) -> None:
    """The page shows the list that security is told from, and says so where nobody watches."""
    security = site.enter(web, "security")
    assert "Alerts are not watched now" in security.get("/access/alerts").text
    raise_one(site)
    facts: dict[str, Fact] = {"alert": 1, "note": "nothing of that"}
    later = TrailEntry(kind="alert.acknowledged", at_ns=site.clock(), who="p-engineer", facts=facts)
    site.office.desk.authority.trail.note([later] * 5_000)
    page = security.get("/access/alerts").text
    assert "from &lt;two&gt; places" in page
    assert "Alerts are not watched now" not in page


def test_what_holds_is_shown_until_it_is_mended(site: GlassSite, web: WebReader) -> None:
    """A review past its time, and a shift without a custodian."""
    custodian = site.enter(web, "custodian")
    site.open(custodian)
    site.clock.move(25 * 3600)
    site.office.desk.now()
    site.office.telling.step()
    page = site.enter(web, "security").get("/access/alerts").text
    assert "Review overdue" in page
    assert "nobody is on the roster as custodian" in page
    assert "It ends when it is mended." in page


@pytest.mark.parametrize(
    ("who", "sees", "acts"),
    [("security", True, True), ("engineer", True, True), ("auditor", True, False), ("sponsor", True, False)]
    + [(who, False, False) for who in ("approver", "custodian", "acme", "volta")],
)
def test_alerts_are_for_whom_they_concern(who: str, sees: bool, acts: bool, site: GlassSite, web: WebReader) -> None:
    """The auditor reads them, a sponsor those of the people sponsored; a vendor has no such page."""
    number = raise_one(site)
    reader, security = site.enter(web, who), site.enter(web, "security")
    answer, own = reader.get("/access/alerts"), who not in ("acme", "volta")
    assert answer.status == (200 if own else 404)
    assert ("from &lt;two&gt; places" in answer.text) == sees
    assert ('action="/access/alerts"' in answer.text) == acts
    assert ('href="/access/alerts"' in reader.get("/access").text) == own
    if who != "security":
        token, before = security.token("/access/alerts", "/access/alerts"), site.kinds()
        fields = {"token": token, "alert": number, "note": "let it be, please"}
        assert reader.post("/access/alerts", fields).status in (403, 404)
        assert site.kinds() == before


@pytest.mark.parametrize(
    ("who", "sees"),
    [("sponsor", True), ("auditor", True), ("security", False), ("approver", False), ("custodian", False)],
)
def test_what_is_due_is_told_to_whom_it_is_due_of(who: str, sees: bool, site: GlassSite, web: WebReader) -> None:
    """A standing request is its sponsor's business; the auditor sees all that is due."""
    site.request(site.enter(web, "acme"))
    assert ("Vic of acme (Acme) asks for standing" in site.enter(web, who).get("/access/alerts").text) == sees
