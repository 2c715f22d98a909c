"""i3X beyond the letter: CESMII's own client reads it, what is told is never better than what is known, and bounds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import i3x
import pytest
from granting_site import WHY, GrantingSite
from i3x_peer import TAGS, I3xPeer, I3xPlant, S
from portal_plant import Clock, served

from protocol.content.catalog import Page, Tag
from protocol.content.sample import Row
from receiver.governed.people.person_sessions import hashed
from receiver.governed.people.services import ServiceCredential, issue
from receiver.outputs.scope import Scope
from receiver.portal import streams
from receiver.portal.app import create_app
from receiver.portal.i3x import element_ids, querying
from receiver.portal.i3x.subscription_book import ALL, EACH, MOST_WAITING, TTL_S, SubscriptionBook

PRESSURE, RUNNING = "tag/acme-pump/pressure", "tag/acme-pump/running"
TIMES = {"startTime": "2020-01-01T00:00:00Z", "endTime": "2030-01-01T00:00:00Z"}


@pytest.fixture
def own(tmp_path: Path) -> Iterator[tuple[I3xPlant, I3xPeer]]:
    """A plant that a test may change."""
    plant = I3xPlant(tmp_path, Clock())
    with served(create_app(plant.history, plant.state, Scope(), clock=plant.clock)) as base:
        yield plant, I3xPeer(base)
    plant.close()


def until(fits: Any) -> Any:
    """What is told within the next seconds."""
    deadline = time.monotonic() + 20
    while not (found := fits()):
        assert time.monotonic() < deadline, "it was not told"
        time.sleep(0.05)
    return found


def test_the_client_of_the_makers_of_i3x_reads_and_is_told_what_changes(
    own: tuple[I3xPlant, I3xPeer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`i3x-client` from PyPI, as its page shows it: explore, read, history, a stream, and sync."""
    plant, peer = own
    monkeypatch.setattr(streams, "QUIET_S", 0.1)  # the client notices only with the next line that it was told to stop
    heard: list[Any] = []
    with i3x.Client(f"{peer.base}/i3x/v1") as client:
        assert client.server_info is not None
        assert client.server_info.spec_version == "1.0"
        names = {one.element_id: one for one in client.get_objects(include_metadata=True)}
        assert names[PRESSURE].metadata is not None
        assert names[PRESSURE].metadata.system is not None
        assert names[PRESSURE].metadata.system["unit"] == "bar"
        assert client.get_value(PRESSURE).value == 6.5
        assert len(client.get_history(PRESSURE, TIMES["startTime"], TIMES["endTime"]).values) == 64
        (parent,) = client.get_related_objects([PRESSURE], "ComponentOf")
        assert parent.object.element_id == "asset/acme-pump"
        with pytest.raises(i3x.NotFoundError):
            client.get_value("tag/nobody/nothing")
        client.on_value_change = lambda _, change: heard.append(change)
        subscription = client.subscribe([PRESSURE], display_name="mine")
        until(lambda: heard)
        plant.time.move(1)
        plant.say({("acme-pump", "pressure"): 7.25})
        until(lambda: heard[-1].value == 7.25)
        assert [one.value for one in heard] == [6.5, 7.25]
        client.stop_stream(subscription.subscription_id)
        plant.time.move(1)
        plant.say({("acme-pump", "pressure"): 8.0})
        batches = until(lambda: _synced(client, subscription))
        assert [one.value for batch in batches for one in batch.updates] == [8.0]
        assert client.sync_subscription(subscription, batches[-1].sequence_number) == []
        client.unsubscribe(subscription)


def _synced(client: Any, subscription: Any) -> Any:
    """Batches, once the stream is closed on both sides."""
    try:
        return client.sync_subscription(subscription)
    except i3x.I3XError:
        return None


def test_a_second_stream_ends_the_first_without_an_error(own: tuple[I3xPlant, I3xPeer]) -> None:
    """SUB-09, 14: the older one is closed cleanly; sync is refused while one is open."""
    import httpx

    _, peer = own
    made = peer.post("/subscriptions", clientId="mine").result
    mine = {"clientId": "mine", "subscriptionId": made["subscriptionId"]}
    peer.bulk("/subscriptions/register", [PRESSURE], **mine)
    address = f"{peer.base}/i3x/v1/subscriptions/stream"
    with httpx.Client(timeout=20) as web, web.stream("POST", address, json=mine) as first:
        assert first.headers["Content-Type"] == "text/event-stream"
        lines = first.iter_lines()
        assert any(line.startswith("data: [{") for line in lines)
        until(lambda: peer.post("/subscriptions/sync", **mine).status == 400)
        with httpx.Client(timeout=20) as other, other.stream("POST", address, json=mine) as second:
            assert second.status_code == 200
            assert [line for line in lines if line.startswith("data")] == []
    until(lambda: peer.post("/subscriptions/sync", **mine).status == 200)


def test_a_value_that_nobody_renews_is_uncertain(own: tuple[I3xPlant, I3xPeer]) -> None:
    """STALE is no quality of i3X: a value that is held is Uncertain, and is never told as Good; so is a state."""
    plant, peer = own
    plant.time.move(600)
    plant.report()
    plant.time.move(0.5)
    plant.say({("acme-pump", "running"): True})
    told = until(
        lambda: (
            (found := [one["result"] for one in peer.bulk("/objects/value", [PRESSURE, RUNNING])])[1]["quality"]
            == "Good"
            and found
        )
    )
    assert [(one["value"], one["quality"]) for one in told] == [(6.5, "Uncertain"), (True, "Good")]
    plant.report(link={"beat_age_s": 60.0})
    told = until(
        lambda: (
            (found := [one["result"] for one in peer.bulk("/objects/value", [RUNNING, "asset/acme-pump"])])[0][
                "quality"
            ]
            == "Uncertain"
            and found
        )
    )
    assert [one["quality"] for one in told] == ["Uncertain", "Uncertain"]


def test_an_older_description_is_an_element_of_its_own(own: tuple[I3xPlant, I3xPeer]) -> None:
    """What was measured in bar never stands in a history in kPa; both are found, and each way leads to the other."""
    plant, peer = own
    new = Tag(id=100, asset="acme-pump", name="pressure", unit="kPa", type="float64", address="40001")
    plant.stream = replace(plant.stream, tags={**plant.stream.tags, 100: new})
    plant.take(Page(index=1, assets=(), tags=(new,)))
    plant.time.move(1)
    plant.send([Row(100, plant.clock(), 700.0)])
    old = f"{PRESSURE}/version/1"
    until(lambda: peer.bulk("/objects/value", [PRESSURE])[0]["result"]["value"] == 700.0)
    found = {one["elementId"]: one["result"] for one in peer.bulk("/objects/history", [PRESSURE, old], **TIMES)}
    assert [one["value"] for one in found[PRESSURE]["values"]] == [700.0]
    assert len(found[old]["values"]) == 64
    (kind,) = peer.bulk("/objects/list", [old])
    assert (kind["result"]["typeElementId"], kind["result"]["parentId"]) == ("type/float64/bar", PRESSURE)


def test_a_history_that_is_cut_says_what_is_left_to_ask_for(
    own: tuple[I3xPlant, I3xPeer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status 206 and a moment: asked again before it, piece after piece, all samples are there and none twice."""
    plant, peer = own
    plant.send([Row(0, plant.clock() - 30 * S, 9.0)])  # two of one moment are never parted
    whole = peer.bulk("/objects/history", [PRESSURE], **TIMES)[0]["result"]["values"]
    monkeypatch.setattr(querying, "MOST_SAMPLES", 7)
    monkeypatch.setattr(querying.HistoryAnswer, "__init__", _small(querying.HistoryAnswer.__init__))
    pieces: list[Any] = []
    times = dict(TIMES)
    for _ in range(100):
        answer = peer.post("/objects/history", elementIds=[PRESSURE], **times)
        values = answer.json["results"][0]["result"]["values"]
        assert len(values) <= 7
        pieces = values + pieces
        if answer.status == 200:
            break
        assert (answer.status, answer.json["success"]) == (206, True)
        times["endTime"] = answer.json["responseDetail"]["detail"].rpartition(" before ")[2].rstrip(".")
    assert pieces == whole
    assert len(whole) == 65


def _small(made: Any) -> Any:
    def begun(self: Any, from_ns: int, to_ns: int) -> None:
        made(self, from_ns, to_ns, room=7)

    return begun


def test_a_history_says_that_blocks_are_missing(own: tuple[I3xPlant, I3xPeer]) -> None:
    """A value holds until the next one, so a reader must know that some did not come."""
    plant, peer = own
    assert "responseDetail" not in peer.post("/objects/history", elementIds=[PRESSURE], **TIMES).json
    plant.lose(3)
    plant.time.move(5)
    plant.say({("acme-pump", "pressure"): 6.0})
    plant.time.move(5)
    answer = peer.post("/objects/history", elementIds=[PRESSURE], **TIMES)
    assert answer.status == 200
    assert answer.json["responseDetail"]["title"] == "Gaps"
    assert "2025-11-23T08:00:00Z to 2025-11-23T08:00:05Z" in answer.json["responseDetail"]["detail"]


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        ("POST", "/objects/value", b"{", {}, 400),
        ("POST", "/objects/value", b"[]", {}, 400),
        ("POST", "/objects/value", b"{}", {}, 400),
        ("POST", "/objects/value", b'{"elementIds": "plant"}', {}, 400),
        ("POST", "/objects/value", b'{"elementIds": [1]}', {}, 400),
        ("POST", "/objects/value", b'{"elementIds": [], "maxDepth": -1}', {}, 400),
        ("POST", "/objects/value", b'{"elementIds": [], "maxDepth": true}', {}, 400),
        ("POST", "/objects/value", b'{"elementIds": ["\xff"]}', {}, 400),
        ("POST", "/objects/value", b'{"elementIds": [' + b'"a",' * 10_000 + b'"a"]}', {}, 400),
        ("POST", "/objects/value", b'"' + b"a" * 2**21 + b'"', {}, 400),
        ("POST", "/objects/history", b'{"elementIds": [], "startTime": "yesterday"}', {}, 400),
        ("POST", "/objects/history", b'{"elementIds": [], "startTime": "2030-01-01T00:00:00Z"}', {}, 400),
        ("POST", "/objects/value", b'{"elementIds": []}', {"Content-Type": "text/plain"}, 400),
        ("POST", "/objects/value", b'{"elementIds": []}', {"Origin": "https://else.example"}, 403),
        ("POST", "/objects/value", b'{"elementIds": []}', {"Sec-Fetch-Site": "cross-site"}, 403),
        ("POST", "/objects/value", b'{"elementIds": []}', {"Host": "else.example"}, 421),
        ("POST", "/objects", b"{}", {}, 405),
        ("PUT", "/objects/list", b"{}", {}, 405),
        ("DELETE", "/objects/value", None, {}, 405),
        ("GET", "/objects/value", None, {}, 405),
        ("GET", "/objects?root=perhaps", None, {}, 400),
        ("GET", "/nowhere", None, {}, 404),
    ],
)
def test_a_wrong_question_is_refused_as_i3x_asks(
    peer: I3xPeer, method: str, path: str, body: bytes | None, headers: dict[str, str], status: int
) -> None:
    """Whoever refuses it, the guard or an answer: success is false, and the reason stands in `responseDetail`."""
    for packed in ({}, {"Accept-Encoding": "gzip"}):
        answer = peer.ask(method, path, body, headers | packed)
        assert answer.status == status
        assert answer.json["success"] is False
        assert answer.json["responseDetail"]["status"] == status
        assert answer.json["responseDetail"]["detail"]


def test_a_short_question_cannot_make_an_endless_answer(peer: I3xPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    """One name may be asked for a thousand times over, as long as the answer stays bounded."""
    from receiver.portal.i3x import envelopes

    assert len(peer.bulk("/objects/value", ["asset/acme-pump"] * 100, maxDepth=0)) == 100
    monkeypatch.setattr(envelopes, "MOST_ANSWER", 10_000)
    assert peer.post("/objects/value", elementIds=["asset/acme-pump"] * 100, maxDepth=0).status == 400


def test_ids_of_all_names_differ_and_hold_nothing_unprintable() -> None:
    """What one name is called no other is, whatever stands in it."""
    names = ["a", "A", "a/b", "a%2Fb", "a b", "a%20b", " a", "a ", "", "-", "%", "ü", "\udc80", "\n", "a\u202eb", "名"]
    ids = [made for name in names for made in (element_ids.asset(name), element_ids.site(name))]
    ids += [element_ids.tag(one, other) for one in names for other in names]
    ids += [element_ids.tag("a", "b", version) for version in (1, 2)]
    ids += [element_ids.tag_type(replace(TAGS[0], unit=name, states=(name,))) for name in names]
    assert len(set(ids)) == len(ids)
    assert all(one.isprintable() and one == one.strip() and " " not in one for one in ids)
    assert element_ids.tag("Pumpe 1", "Öl/Druck") == "tag/Pumpe%201/Öl%2FDruck"


def test_what_waits_is_bounded_and_its_loss_is_told() -> None:
    """The oldest batches go first and leave a hole in the numbers; an old subscription goes, another's is not found."""
    book = SubscriptionBook()
    one, _ = book.create("p-1", "mine", None, 0.0)
    for at in range(MOST_WAITING + 5):
        one.offer({PRESSURE: {"value": at, "quality": "Good", "timestamp": ""}})
    assert (one.waiting, one.batches[0].number, one.dropped) == (MOST_WAITING, 6, True)
    one.acknowledge(10**9)  # a number that was never given
    assert one.dropped
    one.acknowledge(6)
    assert (one.dropped, one.batches[0].number) == (False, 7)
    one.acknowledge(ALL)
    assert (one.waiting, [*one.batches]) == (0, [])
    for owner, client in (("p-2", "mine"), ("p-1", "other"), ("", "mine")):
        with pytest.raises(KeyError):
            book.find(one.id, owner, client)
    for at in range(1, EACH):
        assert book.create("p-1", "mine", None, float(at))[1] == []
    assert book.create("p-1", "mine", None, float(EACH))[1] == [one]
    assert len(book.expired(TTL_S + 5)) == 4
    assert len(book.expired(10 * TTL_S)) == EACH - 4


def test_a_service_reads_its_grants_alone_and_each_look_is_on_record(tmp_path: Path) -> None:
    """Another vendor's machine is not there, not even as a name; what is not there and not theirs is told alike."""
    site = GrantingSite(tmp_path)
    service = ServiceCredential(
        key="s-centre01",
        name="monitoring centre",
        employer="Acme",
        owner="p-acme",
        sources=("127.0.0.0/8",),
        ends_ns=site.clock() + 10**15,
    )
    site.office.desk.authority.act(
        lambda people, grants, now: issue(service, people, now, at_ns=site.clock(), by="command:root")
    )
    site.office.store.set_token("s-centre01", hashed("the token"))
    with site.pages() as web:
        bearer = I3xPeer(web.base, {"Authorization": "Bearer the token"})
        acme, sponsor = (site.enter(web, who) for who in ("acme", "sponsor"))
        assert [one["elementId"] for one in bearer.get("/objects").result] == ["plant"]
        site.request(acme)
        sponsor.send("/access", "/access/decide", request=site.newest, answer="approve", why=WHY)
        cookie = "; ".join(f"{name}={word}" for name, word in acme.cookies.items())
        person = I3xPeer(web.base, {"Cookie": cookie})
        before = len(site.kinds())
        names = ["tag/acme-pump/acme-pressure", "tag/volta-press/volta-force", "tag/nobody/nothing"]
        told = person.bulk("/objects/value", names)
        assert [one["success"] for one in told] == [True, False, False]
        details = [one["responseDetail"]["detail"].replace(one["elementId"], "") for one in told[1:]]
        assert details[0] == details[1]
        everything = [person.get(path).json for path in ("/objects?includeMetadata=true", "/objecttypes")]
        everything += [person.bulk("/objects/related", ["plant", "site/north-plant"])]
        assert "acme-pump" in str(everything)
        assert "volta" not in str(everything).lower()
        assert "kN" not in str(everything)
        history = person.bulk("/objects/history", names, startTime="2020-01-01T00:00:00Z")
        assert [one["success"] for one in history] == [True, False, False]
        made = person.post("/subscriptions", clientId="mine").result
        mine = {"clientId": "mine", "subscriptionId": made["subscriptionId"]}
        assert bearer.post("/subscriptions/sync", **mine).status == 404, "of another person"
        assert [one["success"] for one in person.bulk("/subscriptions/register", names, **mine)] == [True, False, False]
        assert len(person.post("/subscriptions/sync", **mine).result) == 1
        assert site.kinds()[before:] == [
            "read.value",
            "read.refused",
            "read.model",
            "read.model",
            "read.model",
            "read.history",
            "read.refused",
            "read.refused",
            "read.refused",
            "read.subscription",
            "read.subscription",
        ]
        looks = site.of("read.value")[-1]
        assert (looks.facts["assets"], looks.facts["tags"]) == (["acme-pump"], [["acme-pump", "acme-pressure"]])
    site.close()
