"""`[portal] anyone`: what it opens is read without a name, so without a record; it says so on every page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from granting_site import GrantingSite
from sign_in_site import WebReader

from receiver.outputs.scope import Scope
from receiver.portal_settings import PortalTable

PUMP_TAG = "/tag?asset=acme-pump&name=acme-pressure"
PRESS_TAG = "/tag?asset=volta-press&name=volta-force"
PAGES = ("/", "/asset/acme-pump", "/asset/volta-press", PUMP_TAG, PRESS_TAG, "/changes", "/nowhere")
PROGRAMS = (
    "/api/assets", "/api/latest", "/api/events", "/api/link", "/api/trend?series=1&from=1763884000000&to=1763886000000",
    "/healthz", "/metrics", "/api/", "/api/openapi.json",
)  # fmt: skip
TABLE = {
    "all": PortalTable(listen="127.0.0.1:8600", anyone="all"),  # type: ignore[arg-type]
    "vendor": PortalTable(listen="127.0.0.1:8600", anyone={"vendor": "Acme"}),  # type: ignore[arg-type]
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GrantingSite]:
    """People are enrolled, and nobody has a grant."""
    made = GrantingSite(tmp_path_factory.mktemp("site"))
    yield made
    made.close()


def opened(anyone: str) -> tuple[Scope, str]:
    """What the file opens, and what it says of it."""
    table = TABLE[anyone]
    assert table.anyone is not None
    return table.anyone.scope(), table.foot()


@pytest.fixture(scope="module")
def web(site: GrantingSite) -> Iterator[WebReader]:
    """Everything is open to anyone."""
    scope, foot = opened("all")
    with site.pages(open_to=scope, foot=foot) as made:
        yield made


def test_everything_is_read_without_signing_in_and_nothing_of_it_is_on_record(
    site: GrantingSite, web: WebReader
) -> None:
    """Not one entry, for there is nobody to name: that is what it gives up."""
    before = site.kinds()
    assert {path: web.get(path).status for path in PAGES} == dict.fromkeys(PAGES, 200) | {"/nowhere": 404}
    assert {path: web.get(path).status for path in PROGRAMS} == dict.fromkeys(PROGRAMS, 200)
    assert "88.0" in web.get("/api/latest").text
    assert site.kinds() == before


def test_every_page_of_the_plant_says_at_its_foot_that_anyone_reads_it(web: WebReader) -> None:
    """Also the one that says that there is no such page."""
    said = "reads everything without signing in: [portal] anyone"
    for path in PAGES:
        foot = web.get(path).text.partition('<footer class="foot">')[2]
        assert said in foot, path


def test_who_signs_in_reads_under_their_grants_and_on_record_all_the_same(site: GrantingSite, web: WebReader) -> None:
    """A name is worth its grants, and no more for what anyone may read: a look of theirs is never without a record."""
    acme = site.enter(web, "acme")
    before = len(site.kinds())
    assert acme.get("/asset/acme-pump").status == 404
    assert acme.get("/api/latest").status == 200
    assert site.kinds()[before:] == ["read.refused", "read.latest"]


def test_people_and_the_record_are_never_open_to_anyone(site: GrantingSite, web: WebReader) -> None:
    """Who asked for what, and who looked at what, is for who signs in."""
    for path in ("/access", "/trail", "/account"):
        assert web.get(path).location == f"/sign-in?next={path}"


def test_a_vendor_that_is_open_to_anyone_opens_that_vendors_machines_alone(tmp_path: Path) -> None:
    """The rest is not there, and the figures of the whole pipeline neither."""
    site, (scope, foot) = GrantingSite(tmp_path), opened("vendor")
    with site.pages(open_to=scope, foot=foot) as web:
        texts = {path: web.get(path) for path in (*PAGES, *PROGRAMS)}
    site.close()
    assert not [
        path for path, answer in texts.items() if "volta" in answer.text.lower() and path != "/asset/volta-press"
    ]
    refused = {path for path, answer in texts.items() if answer.status == 404}
    assert refused == {"/asset/volta-press", PRESS_TAG, "/nowhere", "/metrics"}
    assert "reads what vendor Acme may see without signing in" in texts["/"].text
