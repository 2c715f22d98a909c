"""Saved views and notes: kept by forms, on record, and shown within each reader's scope alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from granting_site import WHY, GrantingSite
from portal_plant import SECOND
from sign_in_site import WebReader

from protocol.errors import StoreError

PUMP, PRESS = "acme-pump/acme-pressure", "volta-press/volta-force"
EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[GrantingSite]:
    made = GrantingSite(tmp_path)
    yield made
    made.close()


@pytest.fixture
def web(site: GrantingSite) -> Iterator[WebReader]:
    with site.pages() as made:
        yield made


def granted(site: GrantingSite, web: WebReader, *who: str) -> list[WebReader]:
    """Readers who read their own machine now."""
    sponsor, found = site.enter(web, "sponsor"), []
    for vendor in who:
        reader = site.enter(web, vendor)
        site.request(reader, {"acme": "acme-pump", "volta": "volta-press"}[vendor])
        assert sponsor.send("/access", "/access/decide", request=site.newest, answer="approve", why=WHY).status == 303
        found.append(reader)
    return found


def revoke(site: GrantingSite, web: WebReader) -> None:
    """Security takes the newest grant back."""
    security = site.enter(web, "security")
    grant = list(site.office.desk.authority.grants.grants)[-1]
    assert security.send("/access", "/access/revoke", grant=grant, why=WHY).status == 303


def notes(reader: WebReader, site: GrantingSite, tag: str = PUMP) -> Any:
    now_ms = site.clock() / 1e6
    answer = reader.get(f"/api/trends?tag={tag}&from={now_ms - 3.6e6}&to={now_ms + 1}")
    assert answer.status == 200, answer.text
    return orjson.loads(answer.text)["notes"]


def at(site: GrantingSite, back_s: float = 60) -> str:
    return str(site.clock() / 1e6 - back_s * 1e3)


def test_a_view_is_kept_under_a_name_and_opens_what_was_shown(site: GrantingSite, web: WebReader) -> None:
    """Its maker alone sees it; the same name takes its place; each act is on record."""
    acme, volta = granted(site, web, "acme", "volta")
    page = f"/trend?tag={PUMP}&range=600&show=xy"
    address = page.partition("?")[2]
    answer = acme.send(page, "/trend/keep-view", name=f"start {EVIL}", address=address)
    assert (answer.status, answer.location) == (303, page)
    shown = acme.get("/trend").text
    assert f'href="/trend?{address.replace("&", "&amp;")}"' in shown
    assert "start &lt;img" in shown
    assert EVIL not in shown
    assert "start" not in volta.get("/trend").text
    acme.send(page, "/trend/keep-view", name=f"start {EVIL}", address=f"tag={PUMP}&range=60")
    assert acme.get("/trend").text.count("start &lt;img") == 1
    (first, second) = site.of("desk.kept")
    assert first.facts["tags"] == [["acme-pump", "acme-pressure"]]
    assert first.facts["key"] == second.facts["key"]
    assert acme.send("/trend", "/trend/drop-view", key=str(first.facts["key"])).status == 303
    assert "None yet." in acme.get("/trend").text
    assert site.of("desk.dropped")[0].facts["key"] == first.facts["key"]


def test_a_view_that_names_a_foreign_tag_is_not_kept_and_shows_nothing_of_it(
    site: GrantingSite, web: WebReader
) -> None:
    """Not while it is foreign, and not when it has become so."""
    (acme,) = granted(site, web, "acme")
    page = f"/trend?tag={PUMP}"
    for address in (f"tag={PUMP}&tag={PRESS}", f"tag={PRESS}", "tag=nowhere/x"):
        assert acme.send(page, "/trend/keep-view", name="all", address=address).status == 404
    assert acme.send(page, "/trend/keep-view", name="all", address="").location.endswith("wrong=empty")
    assert acme.send(page, "/trend/keep-view", name="mine", address=f"tag={PUMP}&range=60").status == 303
    revoke(site, web)
    shown = acme.get("/trend").text
    assert "mine" in shown
    assert "nothing of it is among what you may see now" in shown
    assert "acme-pressure" not in shown
    assert acme.get(f"/trend?tag={PUMP}").status == 404


def test_a_note_is_read_by_everybody_of_the_tag_and_by_no_other_vendor(site: GrantingSite, web: WebReader) -> None:
    """With who wrote it; as text, whatever it says; gone for its maker too when the grant has ended."""
    acme, volta = granted(site, web, "acme", "volta")
    page = f"/trend?tag={PUMP}"
    answer = acme.send(
        page, "/trend/write-note", about=PUMP, at=at(site), text=f"hot {EVIL}\nagain", address=f"tag={PUMP}"
    )
    assert (answer.status, answer.location) == (303, page)
    (note,) = notes(acme, site)
    assert note["text"] == f"hot {EVIL}\nagain"
    assert note["by"] == "Vic of acme, Acme"
    assert note["may_drop"]
    assert notes(volta, site, PRESS) == []
    kept = site.of("desk.kept")[0]
    assert kept.facts["assets"] == ["acme-pump"]
    assert kept.who == "p-acme"
    for about in (PRESS, "volta-press/", "nowhere/x", "acme-pump"):
        refused = acme.send(page, "/trend/write-note", about=about, at=at(site), text="x", address="")
        assert refused.status == 404
    assert (
        volta.post(
            "/trend/drop-note", {"token": volta.token(f"/trend?tag={PRESS}", "/trend/drop-note"), "key": note["key"]}
        ).status
        == 404
    )
    revoke(site, web)  # of volta, the newest
    assert notes(acme, site)
    assert acme.send(page, "/trend/drop-note", key=note["key"], address="").status == 303
    assert notes(acme, site) == []


def test_a_form_that_is_not_from_these_pages_keeps_nothing(site: GrantingSite, web: WebReader) -> None:
    """No token, another form's token, another site's Origin, nobody signed in."""
    (acme,) = granted(site, web, "acme")
    page, path = f"/trend?tag={PUMP}", "/trend/write-note"
    fields = {"about": PUMP, "at": at(site), "text": "x", "address": ""}
    token = acme.token(page, path)
    assert acme.post(path, fields).status == 403
    assert acme.post(path, fields | {"token": acme.token(page, "/trend/keep-view")}).status == 403
    assert acme.post(path, fields | {"token": token}, origin="http://evil.example").status == 403
    assert WebReader(web.base).post(path, fields | {"token": token}).status == 401
    assert acme.post("/trend", fields | {"token": token}).status == 405
    assert acme.get(path).status in (404, 405)
    assert notes(acme, site) == []
    assert site.of("desk.kept") == []


def test_what_cannot_be_put_on_record_is_not_kept_and_the_page_says_so(
    site: GrantingSite, web: WebReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A word in the address, told by the page; a made-up word tells nothing."""
    (acme,) = granted(site, web, "acme")
    page = f"/trend?tag={PUMP}"
    token = acme.token(page, "/trend/write-note")
    fields = {"token": token, "about": PUMP, "at": at(site), "text": "x", "address": f"tag={PUMP}"}
    trail = site.office.desk.authority.trail
    noted = trail.note

    def refused(entries: Any) -> Any:
        if any(one.kind.startswith("desk.") for one in entries):
            raise StoreError("the trail is full")
        return noted(entries)

    with monkeypatch.context() as patch:
        patch.setattr(trail, "note", refused)
        answer = acme.post("/trend/write-note", fields)
    assert answer.location == f"{page}&wrong=store"
    assert "the desk or the record cannot be written" in acme.get(answer.location).text
    assert "evil" not in acme.get(f"{page}&wrong=evil").text.replace("wrong=evil", "")
    assert notes(acme, site) == []
    assert acme.post("/trend/write-note", fields | {"text": "  "}).location.endswith("wrong=empty")
    assert acme.post("/trend/write-note", fields | {"at": "soon"}).status == 400


def test_a_desk_that_cannot_be_read_takes_no_chart_away(site: GrantingSite, web: WebReader) -> None:
    """The page says what is missing, and shows the rest."""
    (acme,) = granted(site, web, "acme")
    (site.folder / "desk.db").unlink(missing_ok=True)
    (site.folder / "desk.db").mkdir()
    assert "Saved views cannot be read" in acme.get(f"/trend?tag={PUMP}").text
    now_ms = (site.clock() + SECOND) / 1e6
    told = orjson.loads(acme.get(f"/api/trends?tag={PUMP}&from={now_ms - 3.6e6}&to={now_ms}").text)
    assert told["trouble"] == "Notes cannot be read."
    assert len(told["curves"]) == 1
