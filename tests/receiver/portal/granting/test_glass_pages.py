"""Break-glass and the roster on the pages: who opens what, what is refused, and what everybody else is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from glass_site import HAPPENED, GlassSite
from sign_in_site import WebReader

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


def test_a_custodian_opens_what_is_named_at_once_and_not_again_before_the_review(
    site: GlassSite, web: WebReader
) -> None:
    """Nothing beside the named equipment; a review by somebody else and a new code come before the next use."""
    acme, custodian = site.enter(web, "acme"), site.enter(web, "custodian")
    assert acme.get("/asset/acme-pump").status == 404
    assert "safe of the control room" in custodian.get("/access/glass?reader=p-acme").text
    assert site.open(custodian) == (303, "")
    assert acme.get("/asset/acme-pump").status == 200
    assert acme.get("/asset/volta-press").status == 404
    (entry,) = site.of("break-glass.opened")
    assert (entry.who, entry.origin, entry.facts["drill"]) == ("p-custodian", "127.0.0.1", False)
    assert site.sealed.replace("-", "") not in str(entry.facts)
    page = custodian.get("/access/glass?reader=p-acme").text
    assert "must be closed before the next" in page
    assert "Break the glass</button>" not in page
    assert "1 to be reviewed" in page
    token = custodian.token("/access/glass", "/access/revoke")
    assert token
    site.prepare()
    grant = str(entry.facts["grant"])
    assert "must be closed before the next" in custodian.get("/access/glass?reader=p-acme").text
    engineer = site.enter(web, "engineer")
    review = {"grant": grant, "findings": "the trip was real, the pump alone was read", "justified": "yes"}
    assert engineer.send("/access", "/access/review", **review).status == 303
    page = custodian.get("/access/glass?reader=p-acme").text
    assert "Break the glass</button>" in page
    assert "the trip was real" in page


def test_an_opening_ends_when_its_custodian_or_its_time_ends_it(site: GlassSite, web: WebReader) -> None:
    """Before its time by who opened; the review stays due."""
    acme, custodian = site.enter(web, "acme"), site.enter(web, "custodian")
    assert site.open(custodian, drill="on", length_h="0,5") == (303, "")
    grant = str(site.of("break-glass.opened")[0].facts["grant"])
    assert "(drill)" in custodian.get("/access/glass").text
    assert custodian.send("/access/glass", "/access/revoke", grant=grant, why="the drill is over").status == 303
    assert acme.get("/asset/acme-pump").status == 404
    assert "1 to be reviewed" in custodian.get("/access/glass").text


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"code": "AAAAA-AAAAA-AAAAA-AAAAA-AAAAA-A"}, "not the code of the credential that lies ready"),
        ({"criterion:1": "-"}, "every written criterion"),
        ({"why": "tripped"}, "what happened must be written down"),
        ({"asset:acme-pump": "-"}, "name the equipment"),
        ({"asset:volta-press": "on"}, "name the equipment"),
        ({"asset:never-was": "on"}, "name the equipment"),
        ({"length_h": "4.1"}, "for 4 h at most"),
        ({"length_h": "nan"}, "for 4 h at most"),
        ({"reader": "p-nobody"}, "the reader is not enrolled"),
        ({"reader": "p-sponsor"}, "the reader is not enrolled"),
    ],
)
def test_what_an_opening_lacks_is_told_and_opens_nothing(
    given: dict[str, str], says: str, site: GlassSite, web: WebReader
) -> None:
    """In the rule's own words; what was filled in stays, but for the code."""
    custodian = site.enter(web, "custodian")
    status, page = site.open(custodian, **given)
    assert (status, says in page.lower()) == (409, True)
    assert site.of("break-glass.opened") == []
    assert site.sealed not in page
    assert [one.facts["what"] for one in site.of("alert.raised")] == ["wrong break-glass code"] * ("code" in given)
    if "reader" not in given and "why" not in given:
        assert HAPPENED in page


@pytest.mark.parametrize("who", ["relief", "sponsor", "engineer", "security", "auditor", "acme"])
def test_nobody_opens_but_the_custodian_of_the_shift(who: str, site: GlassSite, web: WebReader) -> None:
    """The page says why not and whom to call; a form made by hand opens nothing; vendors find no such page."""
    reader, custodian = site.enter(web, who), site.enter(web, "custodian")
    before = site.of("break-glass.opened")
    own = who != "acme"
    for path in ("/access/glass", "/access/glass?reader=p-acme", "/access/roster"):
        answer = reader.get(path)
        assert answer.status == (200 if own else 404)
        assert "Break the glass</button>" not in answer.text
        assert not own or "Jo custodian" in answer.text
        assert "acme" not in answer.text.lower().replace("access", "") or not own
    token = custodian.token("/access/glass?reader=p-acme", "/access/glass")
    assert reader.post("/access/glass", site.fields() | {"token": token}).status in (403, 404)
    assert site.of("break-glass.opened") == before == []


def test_the_shift_changes_by_the_clock(site: GlassSite, web: WebReader) -> None:
    """Who came on duty opens, who went home does not."""
    site.clock.move(8 * 3600)
    custodian, relief = site.enter(web, "custodian"), site.enter(web, "relief")
    assert "you are not the custodian of this shift" in custodian.get("/access/glass").text
    assert site.open(relief) == (303, "")
    assert "No custodian from" in relief.get("/access/roster").text


def test_what_became_of_telling_security_stands_with_the_use(site: GlassSite, web: WebReader) -> None:
    """The last word of each way."""
    custodian = site.enter(web, "custodian")
    site.open(custodian)
    trail = site.office.desk.authority.trail
    number = next(one.number for one in trail.records() if one.entry.kind == "break-glass.opened")
    told: tuple[tuple[str, str, dict[str, Fact]], ...] = (
        ("notice.sent", "mail", {}),
        ("notice.failed", "mail", {"why": "refused"}),
        ("notice.sent", "siem", {}),
        ("notice.delivered", "siem", {"confirmed": False}),
    )
    for kind, way, more in told:
        facts: dict[str, Fact] = {"notice": number, "way": way, **more}
        trail.note([TrailEntry(kind=kind, at_ns=site.clock(), who="system", facts=facts)])
    page = custodian.get("/access/glass").text
    assert "mail: not delivered yet (refused); it is tried again; siem: sent; nobody confirms that it arrived" in page
