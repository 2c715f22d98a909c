"""Asking, deciding, reading, revoking and reviewing as people do it, page by page."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from granting_site import REASON, WHY, GrantingSite
from portal_plant import Ear
from sign_in_site import WebReader
from starlette.requests import Request

from receiver.governed.grants.extent import Extent, union
from receiver.governed.people.enrolment import DAY_NS
from receiver.governed.people.person import PersonRole
from receiver.governed.people.person_sessions import hashed
from receiver.governed.people.services import ServiceCredential, issue
from receiver.portal.signing_in.forms import Forms


@pytest.fixture
def site(tmp_path: Path) -> Iterator[GrantingSite]:
    made = GrantingSite(tmp_path)
    yield made
    made.close()


@pytest.fixture
def web(site: GrantingSite) -> Iterator[WebReader]:
    with site.pages() as made:
        yield made


def ear(reader: WebReader, path: str = "/live") -> Ear:
    """An open page of a reader."""
    cookies = "; ".join(f"{name}={value}" for name, value in reader.cookies.items())
    return Ear(reader.base, path, {"Cookie": cookies})


def test_a_vendor_asks_the_sponsor_agrees_and_the_vendor_reads_until_it_is_revoked(
    site: GrantingSite, web: WebReader
) -> None:
    """Nothing before the yes, the machine asked for after it, nothing after the revocation, and an open page closes."""
    acme, sponsor = site.enter(web, "acme"), site.enter(web, "sponsor")
    assert "acme-pump" not in acme.get("/").text
    assert acme.get("/asset/acme-pump").status == 404
    page = acme.get("/access").text
    assert "acme-pump" in page
    assert "volta" not in page.lower()
    site.request(acme)
    assert acme.get("/asset/acme-pump").status == 404
    assert REASON in sponsor.get("/access").text
    refused = sponsor.send("/access", "/access/decide", request=site.newest, answer="approve", why="ok")
    assert (refused.status, "written reason" in refused.text) == (409, True)
    assert sponsor.send("/access", "/access/decide", request=site.newest, answer="approve", why=WHY).status == 303
    assert acme.get("/asset/acme-pump").status == 200
    assert acme.get("/asset/volta-press").status == 404
    open_page = ear(acme)
    open_page.until(lambda name, body: name == "assets")
    grant = next(iter(site.office.desk.authority.grants.grants))
    begun = time.monotonic()
    assert sponsor.send("/access", "/access/revoke", grant=grant, why="the work is done").status == 303
    assert open_page.ends()
    assert time.monotonic() - begun < 3.0  # a second by the law, and a busy machine's two
    open_page.close()
    assert acme.get("/asset/acme-pump").status == 404
    assert "the work is done" in acme.get("/access").text


def test_what_a_rule_refuses_is_told_and_what_was_filled_in_stays(site: GrantingSite, web: WebReader) -> None:
    """An asker mends the form instead of filling it in anew."""
    acme = site.enter(web, "acme")
    for given, says in (
        ({"until": "soon"}, "the end is no time"),
        ({"length_h": "long"}, "no number of hours"),
        ({"weekly": "always"}, "hours of the week"),
        ({"preset": "tier-1"}, "notice"),
        ({"preset": "tier-2"}, "site visit"),
        ({"reason": "see ticket"}, "reason is too short"),
        ({"until": site.at(24 * 100)}, "longer than 90 days"),
        ({"asset:volta-press": "on"}, "not among what you may ask for"),
        ({"asset:never-was": "on"}, "not among what you may ask for"),
        ({"group:nothing": "on"}, "choose anew"),
    ):
        fields = {"preset": "standing", "until": site.at(4), "reason": REASON, "purpose": "P-<b>1"} | given
        answer = acme.send("/access", "/access/ask", **fields, **{"asset:acme-pump": "on"})
        assert answer.status == 409, given
        assert says in answer.text.lower(), given
        assert 'value="P-&lt;b&gt;1"' in answer.text
        assert 'name="asset:acme-pump" checked' in answer.text


@pytest.mark.parametrize("who", ["acme", "volta", "sponsor", "approver", "engineer", "security", "auditor"])
def test_each_role_sees_what_it_needs_and_no_more(who: str, site: GrantingSite, web: WebReader) -> None:
    """A vendor nothing of another; the auditor every record and no data; who decides what they may decide."""
    acme, volta = site.enter(web, "acme"), site.enter(web, "volta")
    site.request(acme)
    site.request(volta, "volta-press")
    sponsor = site.enter(web, "sponsor")
    for key in list(site.office.desk.authority.grants.requests):
        assert sponsor.send("/access", "/access/decide", request=key, answer="approve", why=WHY).status == 303
    acme.get("/asset/acme-pump")
    volta.get("/asset/volta-press")
    reader = site.enter(web, who)
    pages = {path: reader.get(path).text.lower() for path in ("/", "/access", "/trail", "/account", "/api/assets")}
    other = {"acme": "volta", "volta": "acme"}.get(who)
    for path, text in pages.items():
        if other is not None:
            assert other not in text, path
        elif path in ("/", "/api/assets"):
            assert "acme-pump" not in text
            assert "volta-press" not in text
    if who == "auditor":
        assert "read.asset" in pages["/trail"]
        assert "acme-pump" in pages["/trail"]
    if who in ("approver", "engineer"):
        assert "acme" not in pages["/trail"].replace("/access", "")
    grants = list(site.office.desk.authority.grants.grants)
    seen = [reader.get(f"/trail?grant={grant}").status for grant in grants]
    assert seen == {"acme": [200, 404], "volta": [404, 200], "security": [200, 200], "auditor": [200, 200]}.get(
        who, [404, 404]
    )
    assert reader.get("/trail?person=p-volta").status == (
        200 if who in ("volta", "sponsor", "security", "auditor") else 404
    )


def test_a_grant_that_runs_from_first_use_is_begun_by_its_reader(site: GrantingSite, web: WebReader) -> None:
    """Not by looking at a page, and by nobody else."""
    acme, sponsor = site.enter(web, "acme"), site.enter(web, "sponsor")
    site.request(acme, length_h="0.4")
    assert sponsor.send("/access", "/access/decide", request=site.newest, answer="approve", why=WHY).status == 303
    grant = next(iter(site.office.desk.authority.grants.grants))
    assert acme.get("/asset/acme-pump").status == 404
    volta = site.enter(web, "volta")
    token = acme.token("/access", "/access/begin")
    assert volta.post("/access/begin", {"token": token, "grant": grant}).status == 403
    assert acme.send("/access", "/access/begin", grant=grant).status == 303
    assert acme.get("/asset/acme-pump").status == 200
    site.clock.move(1441)
    assert acme.get("/asset/acme-pump").status == 404


def test_a_look_is_on_record_under_the_grants_that_cover_it(site: GrantingSite, web: WebReader) -> None:
    """Who reads two machines under two grants leaves each look with the review of its own machine."""
    login, roles = "r.own@plant.example", frozenset({PersonRole.READER})
    site.ready("p-own", login=login, name="Robin Own", roles=roles, sponsor="p-sponsor")
    own, sponsor = site.enter(web, "own"), site.enter(web, "sponsor")
    grants = []
    for asset in ("acme-pump", "volta-press"):
        site.request(own, asset)
        assert sponsor.send("/access", "/access/decide", request=site.newest, answer="approve", why=WHY).status == 303
        grants.append(list(site.office.desk.authority.grants.grants)[-1])
    assert own.get("/asset/acme-pump").status == 200
    assert own.get("/tag?asset=volta-press&name=volta-force").status == 200
    assert own.get("/").status == 200
    assert site.of("read.asset")[0].facts["grants"] == grants[:1]
    assert site.of("read.tag")[0].facts["grants"] == grants[1:]
    assert site.of("read.overview")[0].facts["grants"] == sorted(grants)


@pytest.mark.parametrize("preset", ["standing", "tier-1"])
def test_a_system_is_asked_for_by_its_owner_and_reads_what_was_granted_to_it(
    preset: str, site: GrantingSite, web: WebReader
) -> None:
    """On the pages: asked, agreed by who agrees for the owner, read with the token, given back; never by the owner."""
    credential = ServiceCredential(
        key="s-centre", name="monitoring centre", employer="Acme", owner="p-acme", sources=("127.0.0.0/8",),
        ends_ns=site.clock() + 60 * DAY_NS,
    )  # fmt: skip
    site.office.desk.authority.act(
        lambda people, grants, now: issue(credential, people, now, at_ns=now.late_ns, by="r")
    )
    site.office.store.set_token("s-centre", hashed("the token"))
    acme, volta = site.enter(web, "acme"), site.enter(web, "volta")
    system = {"Authorization": "Bearer the token"}
    assert "monitoring centre" in acme.get("/access").text
    assert "monitoring centre" not in volta.get("/access").text
    given = {"for": "service:s-centre", "from": site.at(25), "until": site.at(28), "preset": preset}
    assert "no such system" in volta.send("/access", "/access/ask", **given).text
    assert "visits nobody" in acme.send(
        "/access", "/access/ask", **given | {"preset": "site-visit", "reason": REASON, "purpose": "p"},
        **{"asset:acme-pump": "on"},
    ).text  # fmt: skip
    site.request(acme, **given)
    asked = site.of("request.made")[-1]
    assert (asked.who, asked.facts["person"]) == ("p-acme", "service:s-centre")
    who = "sponsor" if preset == "standing" else "approver"
    sponsor = site.enter(web, who)
    assert "monitoring centre" in sponsor.get("/access").text
    assert sponsor.send("/access", "/access/decide", request=site.newest, answer="approve", why=WHY).status == 303
    grant = list(site.office.desk.authority.grants.grants)[-1]
    assert "acme-pump" not in web.get("/api/assets", **system).text
    site.clock.move(25 * 3600 + 60)
    assert "acme-pump" in web.get("/api/assets", **system).text
    assert site.of("read.assets")[-1].facts["grants"] == [grant]
    acme = site.enter(web, "acme")
    assert acme.get("/asset/acme-pump").status == 404
    assert grant in acme.get("/access").text
    assert "read.assets" in acme.get(f"/trail?grant={grant}").text
    assert "read.assets" in acme.get("/trail?person=service:s-centre").text
    assert acme.send("/access", "/access/revoke", grant=grant, why="the contract ended").status == 303
    assert "acme-pump" not in web.get("/api/assets", **system).text


@pytest.mark.parametrize("act", ["ask", "decide", "withdraw", "begin", "revoke", "review"])
def test_a_form_is_believed_from_our_own_page_alone(act: str, site: GrantingSite, web: WebReader) -> None:
    """Without a token, with another page's, from another origin, not signed in."""
    acme = site.enter(web, "acme")
    fields = {"request": "r-1", "grant": "g-1", "answer": "approve", "why": WHY}
    address = f"/access/{act}"
    before = site.kinds()
    assert acme.post(address, fields).status == 403
    assert acme.post(address, fields | {"token": acme.token("/account", "/sign-out")}).status == 403
    assert acme.post(address, fields, origin="https://elsewhere.example").status == 403
    assert WebReader(web.base).post(address, fields).status in (303, 401, 403, 404)
    assert site.kinds() == before


def test_lines_of_a_form_are_kept_as_lines(site: GrantingSite, web: WebReader) -> None:
    """A browser ends each with two characters; none of them is shown as an escape, nor kept."""
    acme = site.enter(web, "acme")
    given = {
        "preset": "standing",
        "until": site.at(4),
        "purpose": "diagnosis",
        "reason": "the first line\r\nthe second",
    }
    refused = acme.send("/access", "/access/ask", **given | {"until": "soon"}, **{"asset:acme-pump": "on"})
    assert "the first line\nthe second" in refused.text
    site.request(acme, **given)
    assert site.of("request.made")[0].facts["reason"] == "the first line\nthe second"


def test_a_group_of_another_vendors_tags_is_not_there(site: GrantingSite, web: WebReader) -> None:
    """Not its name on the page to ask, not what it holds in a request, and not the difference to one that never was."""
    foreign = Extent(assets=frozenset({"volta-press"}), tags=frozenset({("volta-press", "volta-force")}))
    own = Extent(assets=frozenset({"acme-pump"}), tags=frozenset({("acme-pump", "acme-pressure")}))
    authority = site.office.desk.authority
    groups = {"forces of the press": foreign, "pressures": own, "all": union([foreign, own])}
    authority.policy = replace(authority.policy, groups=groups)
    acme = site.enter(web, "acme")
    assert "pressures" in acme.get("/access").text
    assert "forces of the press" not in acme.get("/access").text
    fields = {"preset": "standing", "until": site.at(4), "reason": REASON, "purpose": "diagnosis"}
    told = set()
    for name in ("forces of the press", "all", "never was"):
        answer = acme.send("/access", "/access/ask", **fields, **{f"group:{name}": "on"})
        told.add((answer.status, answer.text.partition('role="alert">')[2][:100]))
    assert len(told) == 1
    assert "volta" not in (acme.get("/access").text + acme.get("/trail").text).lower()
    assert acme.send("/access", "/access/ask", **fields, **{"group:pressures": "on"}).status == 303
    assert authority.grants.requests[site.newest].extent == own


def test_a_vendor_learns_nothing_by_the_key_of_anothers_request_or_grant(site: GrantingSite, web: WebReader) -> None:
    """Whatever it is tried for: it is answered as one that never was."""
    acme, volta, sponsor = (site.enter(web, who) for who in ("acme", "volta", "sponsor"))
    site.request(acme)
    waits = site.newest
    site.request(acme)
    sponsor.send("/access", "/access/decide", request=site.newest, answer="approve", why=WHY)
    forms = Forms(site.office.store.secret("forms"))
    grant = next(iter(site.office.desk.authority.grants.grants))
    for act, field, keys in (
        ("decide", "request", (waits, site.newest)),
        ("withdraw", "request", (waits, site.newest)),
        ("revoke", "grant", (grant,)),
        ("begin", "grant", (grant,)),
        ("review", "grant", (grant,)),
    ):
        told = [_tried(volta, forms, act, **{field: key}).replace(key, "") for key in (*keys, "x-never")]
        assert len(set(told)) == 1, act


def _tried(reader: WebReader, forms: Forms, act: str, **fields: str) -> str:
    """The text of a refusal of a form that the reader's page does not show."""
    (cookie,) = reader.cookies.items()
    address = f"/access/{act}"
    headers = [(b"cookie", "=".join(cookie).encode()), (b"host", b"localhost")]
    request = Request({"type": "http", "scheme": "http", "path": "/access", "query_string": b"", "headers": headers})
    given = {"token": forms.token(request, address), "why": WHY, "findings": WHY, "answer": "approve"} | fields
    answer = reader.post(address, given)
    assert answer.status == 409
    return answer.text
