"""What a person reads and tries by i3X goes on record, whatever way it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from granting_site import WHY, GrantingSite
from i3x_peer import I3xPeer
from sign_in_site import WebReader

from receiver.governed.alerts.record_rules import MANY, RecordRules

PRESSURE, FORCE = "tag/acme-pump/acme-pressure", "tag/volta-press/volta-force"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[GrantingSite]:
    made = GrantingSite(tmp_path)
    yield made
    made.close()


@pytest.fixture
def acme(site: GrantingSite) -> Iterator[WebReader]:
    """A vendor's reader to whom the pump was granted."""
    with site.pages() as web:
        reader, sponsor = site.enter(web, "acme"), site.enter(web, "sponsor")
        site.request(reader)
        sponsor.send("/access", "/access/decide", request=site.newest, answer="approve", why=WHY)
        yield reader


def peer(reader: WebReader) -> I3xPeer:
    return I3xPeer(reader.base, {"Cookie": "; ".join(f"{name}={word}" for name, word in reader.cookies.items())})


def test_what_waits_of_a_tag_goes_on_record_when_it_is_told_after_it_was_unregistered(
    site: GrantingSite, acme: WebReader
) -> None:
    """Its values are shown, so the look names it; a later one, which shows nothing of it, does not."""
    web = peer(acme)
    made = web.post("/subscriptions", clientId="mine").result
    mine = {"clientId": "mine", "subscriptionId": made["subscriptionId"]}
    web.bulk("/subscriptions/register", [PRESSURE], **mine)
    web.bulk("/subscriptions/unregister", [PRESSURE], **mine)
    (batch,) = web.post("/subscriptions/sync", **mine).result
    assert [one["elementId"] for one in batch["updates"]] == [PRESSURE]
    assert site.of("read.subscription")[-1].facts["tags"] == [["acme-pump", "acme-pressure"]]
    assert web.post("/subscriptions/sync", lastSequenceNumber=batch["sequenceNumber"], **mine).result == []
    assert site.of("read.subscription")[-1].facts["assets"] == []


def test_a_subscription_to_a_whole_machine_is_on_record_as_all_of_it(site: GrantingSite, acme: WebReader) -> None:
    """A tag that is described later is told without another question, so none is named."""
    web = peer(acme)
    for name, named in ((PRESSURE, True), ("asset/acme-pump", False)):
        made = web.post("/subscriptions", clientId="mine").result
        mine = {"clientId": "mine", "subscriptionId": made["subscriptionId"]}
        web.bulk("/subscriptions/register", [name], maxDepth=0, **mine)
        look = site.of("read.subscription")[-1].facts
        assert (look["assets"], "tags" in look) == (["acme-pump"], named)


@pytest.mark.parametrize("path", ["/objects/value", "/objects/history", "/objects/list", "/objects/related"])
def test_a_search_by_many_names_at_once_is_refused_reads_and_an_alert(
    site: GrantingSite, acme: WebReader, path: str
) -> None:
    """A foreign name and one that never was go on record alike, with how many there were; own ones are no slip."""
    web = peer(acme)
    web.bulk(path, [PRESSURE])
    assert site.of("read.refused") == []
    web.bulk(path, [PRESSURE, FORCE, *(f"tag/volta-press/{at}" for at in range(MANY))])
    (refused,) = site.of("read.refused")
    assert refused.facts["count"] == MANY + 1
    assert refused.facts["address"].startswith(f"/i3x/v1{path} {FORCE} ")  # type: ignore[union-attr]
    rules = RecordRules()
    found = [one for record in site.office.desk.authority.trail.records() for one in rules.take(record)]
    assert [one.facts["what"] for one in found] == ["reads refused"]


def test_a_trend_with_tags_that_are_not_there_is_one_refused_read(site: GrantingSite, acme: WebReader) -> None:
    """However many it names: an old link is one slip."""
    page = acme.get("/trend?tag=acme-pump/acme-pressure&tag=volta-press/volta-force&tag=nowhere/x")
    assert page.status == 200
    (refused,) = site.of("read.refused")
    assert refused.facts["address"] == "/trend volta-press/volta-force nowhere/x"
    assert refused.facts["count"] == 1
