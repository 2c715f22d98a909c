"""A reader sees what is granted at this moment, every look goes on record first, and a revoked grant closes streams."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from access_cast import ACME, VOLTA
from i3x_peer import I3xPeer
from portal_plant import Clock, Ear, Plant, ask, served
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from trail_entries import Disk

from protocol.content.catalog import Asset, Tag
from receiver.governed.grants.granted import NOTHING, Granted
from receiver.governed.people.person import Person
from receiver.governed.trail.entry import TrailEntry, TrailRecord
from receiver.governed.trail.trail import Trail
from receiver.governed.trail.trail_error import TrailError
from receiver.outputs.historian.views import Scope as SeenScope
from receiver.portal.app import create_app
from receiver.portal.keeper import NoHistory
from receiver.portal.scoped import looks
from receiver.portal.scoped.scoped_reading import ScopedReading
from receiver.portal.scoped.scoped_view import ScopedViews

ASSETS = (
    Asset(name="acme-pump", site="north-plant", vendors=("Acme",)),
    Asset(name="volta-press", site="north-plant", vendors=("Volta",)),
)
TAGS = (
    Tag(id=0, asset="acme-pump", name="acme-pressure", unit="bar", type="float64"),
    Tag(id=1, asset="acme-pump", name="acme-running", type="bool"),
    Tag(id=2, asset="volta-press", name="volta-force", unit="kN", type="float64"),
)
PUMP = SeenScope(vendors=frozenset({"Acme"}), assets=frozenset({"acme-pump"}))
PRESS = SeenScope(vendors=frozenset({"Volta"}), assets=frozenset({"volta-press"}))


@dataclass
class Doorkeeper:
    """Lets whoever is named in a header in, as signing in does."""

    app: Starlette
    granted: dict[str, SeenScope] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope.get("headers", []))
        key = headers.get(b"x-person", b"").decode()
        person = {"acme": ACME, "volta": VOLTA}.get(key)
        if scope["type"] == "http" and person is not None:
            scope.setdefault("state", {})["reader"] = Asker(self, person)
        app: ASGIApp = self.app
        await app(scope, receive, send)

    @property
    def state(self) -> Any:
        return self.app.state


@dataclass
class Asker:
    """One request's reader."""

    door: Doorkeeper
    person: Person
    address: str = "192.0.2.77"
    session: str = "s-1"

    def granted(self) -> Granted:
        scope = self.door.granted.get(self.person.key, NOTHING)
        return Granted(scope=scope, until_ns=2**62, grants=("g-1",))

    def holds(self) -> bool:
        return self.person.key not in self.door.gone


class Record:
    """A trail that keeps entries, or fails."""

    def __init__(self) -> None:
        self.entries: list[TrailEntry] = []
        self.full = False

    async def note_async(self, entries: list[TrailEntry]) -> list[TrailRecord]:
        if self.full:
            raise TrailError("the disk is full")
        self.entries += entries
        return [TrailRecord(number=len(self.entries), entry=one, hash=bytes(32)) for one in entries]


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    """Two vendors' machines."""
    held = Plant(tmp_path, ASSETS, TAGS, clock=Clock())
    held.say({("acme-pump", "acme-pressure"): 6.5, ("acme-pump", "acme-running"): True})
    held.say({("volta-press", "volta-force"): 88.0})
    held.condition("volta-press", "down", "volta tripped")
    held.report()
    yield held
    held.close()


@pytest.fixture
def record() -> Record:
    return Record()


@pytest.fixture
def door(plant: Plant, record: Record) -> Doorkeeper:
    """Acme's specialist reads the pump, Volta's the press, and nobody anything without signing in."""
    app = create_app(plant.history, plant.state, None, clock=plant.clock, record=record)
    return Doorkeeper(app, {"acme": PUMP, "volta": PRESS})


ADDRESSES = (
    "/", "/asset/acme-pump", "/asset/volta-press", "/tag/1", "/tag/2", "/tag/3", "/tag/99",
    "/tag?asset=acme-pump&name=acme-pressure", "/tag?asset=volta-press&name=volta-force", "/changes", "/api/assets",
    "/api/latest", "/api/events", "/api/events?asset=acme-pump", "/api/events?asset=volta-press", "/api/link",
    "/api/trend?series=1&from=1763884000000&to=1763886000000",
    "/api/trend?series=3&from=1763884000000&to=1763886000000",
    "/healthz", "/asset/nobody", "/nowhere", "/api/nothing",
)  # fmt: skip


@pytest.mark.parametrize(("who", "other"), [("acme", "volta"), ("volta", "acme"), ("", "acme"), ("", "volta")])
def test_no_answer_holds_a_word_of_another_vendors_machine(who: str, other: str, door: Doorkeeper) -> None:
    """Pages, lists, values, trends, events, errors: neither name nor value."""
    with served(door) as base:  # type: ignore[arg-type]  # an application around the application
        for address in ADDRESSES:
            answer = ask(base + address, headers={"X-Person": who})
            words = answer.text.replace(address.partition("?")[0], "").lower()
            assert other not in words, f"{who or 'nobody'} at {address}: {answer.status}"
        assert who in ask(base + "/", headers={"X-Person": who}).text


@pytest.mark.parametrize("address", ["/asset/{}", "/tag/{}", "/api/trend?series={}&from=0&to=9", "/live?series={}"])
def test_what_is_not_theirs_is_answered_as_what_is_not_there(address: str, door: Doorkeeper, record: Record) -> None:
    """The same words, and both on record."""
    theirs, never = ("volta-press", "nobody") if "asset" in address else ("3", "999")
    with served(door) as base:  # type: ignore[arg-type]
        answers = [ask(base + address.format(one), headers={"X-Person": "acme"}) for one in (theirs, never)]
    assert [one.status for one in answers] == [404, 404]
    assert answers[0].text == answers[1].text
    assert [one.kind for one in record.entries] == ["read.refused"] * 2
    assert record.entries[0].facts["address"] == address.format(theirs)


@pytest.mark.parametrize(
    ("address", "kind", "facts"),
    [
        ("/", "read.overview", {"assets": ["acme-pump"]}),
        ("/asset/acme-pump", "read.asset", {"assets": ["acme-pump"], "rows": 2}),
        (
            "/tag?asset=acme-pump&name=acme-pressure&from=1000&to=2000",
            "read.tag",
            {"tags": [["acme-pump", "acme-pressure"]], "from_ns": 10**9},
        ),
        ("/changes", "read.changes", {"assets": []}),
        ("/api/assets", "read.assets", {"assets": ["acme-pump"]}),
        ("/api/latest", "read.latest", {"assets": ["acme-pump"], "rows": 2}),
        ("/api/events", "read.events", {"assets": ["acme-pump"], "rows": 0}),
        (
            "/api/trend?series=1&from=1763884000000&to=1763886000000",
            "read.trend",
            {"rows": 1, "to_ns": 1_763_886_000 * 10**9},
        ),
    ],
)
def test_every_look_is_on_record(
    address: str, kind: str, facts: dict[str, Any], door: Doorkeeper, record: Record
) -> None:
    """Who, what, of which time, under which grant, from where."""
    with served(door) as base:  # type: ignore[arg-type]
        assert ask(base + address, headers={"X-Person": "acme"}).status == 200
    (entry,) = record.entries
    assert (entry.kind, entry.who, entry.origin) == (kind, "acme", "192.0.2.77")
    assert entry.facts["grants"] == ["g-1"]
    assert entry.facts["vendor"] == "Acme"
    assert {name: entry.facts[name] for name in facts} == facts


def test_without_a_record_nothing_is_shown(door: Doorkeeper, record: Record) -> None:
    """A full disk ends reading; what shows no data goes on."""
    record.full = True
    with served(door) as base:  # type: ignore[arg-type]
        for address in ADDRESSES:
            answer = ask(base + address, headers={"X-Person": "acme"})
            if address in ("/api/link", "/healthz"):
                assert answer.status != 503 or "alarms" in answer.text
            elif address not in ("/nowhere", "/api/nothing"):
                assert answer.status == 503, address
                assert "acme-pump" not in answer.text.replace(address, "")
        assert ask(base + "/live", headers={"X-Person": "acme"}).status == 503


@pytest.mark.parametrize("answer", ["made", "failed"])
def test_a_look_is_written_while_its_answer_is_made_and_the_answer_waits_for_it(answer: str) -> None:
    """Neither waits for the other to begin; nothing goes out before the look is on record, and one of a failed answer
    stays there."""

    async def turns() -> list[str]:
        order: list[str] = []
        asked, written = asyncio.Event(), asyncio.Event()

        class Slow(Record):
            async def note_async(self, entries: list[TrailEntry]) -> list[TrailRecord]:
                order.append("being written")
                asked.set()
                await written.wait()
                order.append("written")
                return []

        async def part(request: Request) -> Response:
            looks.show(request, "read.page", ["acme-pump"])
            await asked.wait()  # for ever, if it were written afterwards
            order.append("made")
            asyncio.get_running_loop().call_later(0, written.set)
            if answer == "failed":
                raise NoHistory("it cannot be read")
            return Response("6.5")

        view = ScopedViews(lambda scope: FakeView())  # type: ignore[arg-type,return-value]
        reading = ScopedReading(view, anyone=NOTHING, record=Slow(), clock=lambda: 0)
        asker = Asker(Doorkeeper(Starlette()), ACME)
        request = Request({"type": "http", "path": "/", "query_string": b"", "state": {"reader": asker}})
        with contextlib.suppress(NoHistory):
            await asyncio.wait_for(reading.answer(lambda view: part)(request), 20)
            order.append("sent")
        return order

    assert asyncio.run(turns()) == ["being written", "made", "written"] + ["sent"] * (answer == "made")


@pytest.mark.parametrize("how", ["slow", "failing"])
def test_no_byte_leaves_before_its_look_is_synced(how: str, plant: Plant, tmp_path: Path) -> None:
    """The disk's own answer is waited for: none, and nothing is sent; a refusal, and all that is sent is 503."""
    trail = Trail(tmp_path / "trail.db")
    trail._writer = disk = Disk(trail._writer)  # type: ignore[assignment]
    app = create_app(plant.history, plant.state, None, clock=plant.clock, record=trail)
    door = Doorkeeper(app, {"acme": PUMP})

    async def read() -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "http.request"}

        headers = [(b"host", b"127.0.0.1"), (b"x-person", b"acme")]
        asked = {"type": "http", "method": "GET", "path": "/api/latest", "query_string": b"", "headers": headers}
        if how == "slow":
            disk.held.clear()
        disk.failing = how == "failing"
        task = asyncio.create_task(door(asked | {"app": app, "client": ("127.0.0.1", 9)}, receive, send))
        assert await asyncio.to_thread(disk.asked.wait, 20)
        for _ in range(50):  # whatever else the loop has to do
            await asyncio.sleep(0)
        if how == "slow":
            assert not sent
            disk.held.set()
        await asyncio.wait_for(task, 20)
        return sent

    async def whole() -> list[dict[str, Any]]:
        async with app.router.lifespan_context(app):
            return await read()

    sent = asyncio.run(whole())
    words = b"".join(one.get("body", b"") for one in sent)
    assert sent[0]["status"] == (200 if how == "slow" else 503)
    assert (b"6.5" in words) == (how == "slow")
    assert [one.entry.kind for one in trail.records()] == ["read.latest"] * (how == "slow")
    disk.failing = False
    trail.close()


class FakeView:
    """Looks at nothing."""

    used_s = 0.0

    async def begin(self) -> None:
        """It looks already."""


@pytest.mark.parametrize("how", ["revoked", "narrowed", "signed out"])
def test_a_stream_ends_within_a_second_of_its_grant(how: str, door: Doorkeeper, record: Record) -> None:
    """Also where only a part of it was taken back; another reader's goes on."""
    with served(door) as base:  # type: ignore[arg-type]
        ears = [Ear(base, "/live", headers={"X-Person": who}) for who in ("acme", "volta")]
        for ear in ears:
            ear.until(lambda name, body: name == "assets")
        if how == "signed out":
            door.gone.add("acme")
        else:
            door.granted["acme"] = NOTHING if how == "revoked" else SeenScope(vendors=frozenset({"Acme"}))
        begun = time.monotonic()
        assert ears[0].ends()
        assert time.monotonic() - begun < 1.0 + 2.0  # the law's second, and a busy machine's two
        assert [one.kind for one in record.entries] == ["read.live"] * 2
        assert ears[1].next()
        for ear in ears:
            ear.close()


def test_views_are_shared_by_scope_and_bounded(
    door: Doorkeeper, monkeypatch: pytest.MonkeyPatch, record: Record
) -> None:
    """Two people of one scope cost one look; past the bound the one that was longest unused makes room."""
    with served(door) as base:  # type: ignore[arg-type]
        held = door.state.views
        monkeypatch.setattr(held, "_most", 3)
        for _ in range(3):
            ask(base + "/", headers={"X-Person": "acme"})
        assert len(held) == 2  # what is shown without signing in, and Acme's
        for name in ("acme-pump", "b", "c", "d"):
            door.granted["acme"] = SeenScope(assets=frozenset({name}))
            assert ask(base + "/", headers={"X-Person": "acme"}).status == 200
            assert len(held) <= 3
        door.granted["acme"] = PUMP
        ears = [Ear(base, "/live", headers={"X-Person": who}) for who in ("acme", "volta")]
        for ear in ears:
            ear.until(lambda name, body: name == "link")
        scopes = {view.scope for view in held.all()}
        assert scopes == {NOTHING, PUMP, PRESS}
        for ear in ears:
            ear.close()


def test_a_view_whose_subscription_is_streamed_makes_no_room(door: Doorkeeper, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its reader asks for nothing else, so it is the longest unused: it is listened to all the same."""
    with served(door) as base:  # type: ignore[arg-type]
        held = door.state.views
        monkeypatch.setattr(held, "_most", 3)
        volta = I3xPeer(base, {"X-Person": "volta"})
        made = volta.post("/subscriptions", clientId="mine").result
        mine = json.dumps({"clientId": "mine", "subscriptionId": made["subscriptionId"]}).encode()
        headers = {"X-Person": "volta", "Content-Type": "application/json"}
        address = f"{base}/i3x/v1/subscriptions/stream"
        with urllib.request.urlopen(urllib.request.Request(address, mine, headers), timeout=20):
            for name in ("acme-pump", "b", "c"):
                door.granted["acme"] = SeenScope(assets=frozenset({name}))
                assert ask(base + "/", headers={"X-Person": "acme"}).status == 200
            assert PRESS in {view.scope for view in held.all()}
