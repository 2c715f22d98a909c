"""A bug in how one thing is shown is that thing's: the others are shown, told and answered, and the log has it once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from portal_plant import Clock, Plant, ask, served
from test_portal_hostile import Strict, get, opened, strict_json

from protocol.content.catalog import Asset, Tag
from protocol.errors import StoreError
from receiver.outputs.historian.read import Door
from receiver.outputs.historian.views import Scope
from receiver.portal import shown, words
from receiver.portal.app import create_app
from receiver.portal.faults import KNOWN, DisplayFaults
from receiver.portal.live import TELL_S, Live
from receiver.portal.plant_picture import LiveAsset, LiveTag, Picture
from receiver.portal.streams import Listener, Topic

ASSETS = (Asset(name="pump-7", site="north"), Asset(name="fan-1", site="north"))
TAGS = (
    Tag(id=1, asset="pump-7", name="pressure", unit="bar", low=0, high=16),
    Tag(id=2, asset="pump-7", name="cursed", unit="curse", low=0, high=13, description="curse"),
    Tag(id=3, asset="fan-1", name="speed", unit="r/min"),
)
CURSED = 13.0


class Curse(Exception):
    """A bug that nobody knows yet."""


def _cursed(held: Any) -> bool:
    """Whether the one thing that has the bug is among these."""
    if isinstance(held, LiveTag):
        return held.tag.name == "cursed"
    if isinstance(held, LiveAsset):
        return held.asset.name == "fan-1"
    return held == CURSED or (isinstance(held, Tag) and held.name == "cursed") or held in ("curse", 666)


def _spoil(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
    """This function fails for the one thing, and for no other."""
    real: Callable[..., Any] = getattr(owner, name)

    def spoiled(*given: Any, **named: Any) -> Any:
        if any(_cursed(one) for one in [*given, *named.values()]):
            raise Curse
        return real(*given, **named)

    monkeypatch.setattr(owner, name, spoiled)


TAG_FAULTS = [
    (words, "number"),
    (words, "written"),
    (words, "digits"),
    (words, "sound"),
    (words, "unit"),
    (words, "quality"),
    (words, "plain"),
    (shown, "bar"),
    (shown, "place"),
    (shown, "_shown"),
    (LiveTag, "row"),
]


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    clock = Clock()
    held = Plant(tmp_path, ASSETS, TAGS, clock=clock)
    held.say({("pump-7", "pressure"): 6.5, ("fan-1", "speed"): 1480.0})
    held.say({("pump-7", "cursed"): CURSED}, native=666)
    held.report()
    yield held
    held.close()


@contextlib.asynccontextmanager
async def looked(plant: Plant) -> AsyncIterator[tuple[Any, Live]]:
    """The application after ten more looks, with a listener to every topic."""
    app = create_app(plant.history, plant.state, Scope(), clock=plant.clock)
    live: Live = app.state.live
    async with opened(app):
        for topic in (Topic(), *(Topic(asset=asset.name) for asset in ASSETS)):
            live.streams.add(Listener(topic))
        for number in range(10):
            await live.look(asyncio.get_running_loop().time() + number * 2 * TELL_S)
        assert live.failed is None
        yield app, live


def _heard(live: Live) -> list[tuple[str, str]]:
    """What each listener was told: its topic and the names of its messages, of those that are whole JSON."""
    heard = []
    for listener in live.streams.listeners:
        while not listener.queue.empty():
            name, _, data = listener.queue.get_nowait().partition(b"\ndata: ")
            strict_json(data)
            heard.append((listener.topic.asset or "", name.removeprefix(b"event: ").decode()))
    return heard


@pytest.mark.parametrize(("owner", "name"), TAG_FAULTS, ids=[name for _, name in TAG_FAULTS])
def test_a_tag_that_cannot_be_shown_says_so_and_takes_nothing_with_it(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, owner: Any, name: str
) -> None:
    """Wherever the bug sits: its row says so, the overview, the other rows, the answers and the messages are whole."""
    _spoil(monkeypatch, owner, name)

    async def scene() -> None:
        async with looked(plant) as (app, live):
            told = {name for asset, name in _heard(live) if asset == "fan-1"}
            assert told >= {"link", "card"}
            assert live.trouble == ""
            tags = {live_tag.tag.name: live_tag for live_tag in live.picture.tags.values()}
            for path in ("/", "/asset/pump-7", "/asset/fan-1", tags["pressure"].page, tags["speed"].page):
                status, body = await get(app, *path.split("?"))
                assert status == 200, path
                text = Strict.check(body)
                if path == "/asset/pump-7":
                    assert "6.5" in text
                    assert "cannot be shown (Curse)" in text
            assert (await get(app, *tags["cursed"].page.split("?")))[0] in (200, 500)
            for path in ("/api/assets", "/api/latest", "/api/link", "/healthz"):
                status, body = await get(app, path)
                assert status == 200, path
                strict_json(body)
            for topic in (Topic(), Topic(asset="pump-7"), Topic(series=tags["cursed"].series)):
                for message in live.first(topic):
                    strict_json(message.partition(b"data: ")[2])

    with caplog.at_level(logging.ERROR, "receiver.portal"):
        asyncio.run(scene())
    said = [record.getMessage() for record in caplog.records]
    assert said
    assert len(said) == len(set(said))
    assert all("cursed" in one or "/tag" in one or "Curse" in one for one in said), said


def test_an_asset_that_cannot_be_counted_says_so_and_the_others_are_counted(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """On the overview, in the answer, and in the live stream; its own page stands too."""
    _spoil(monkeypatch, Picture, "_counted")
    _spoil(monkeypatch, Picture, "_wrong")

    async def scene() -> None:
        async with looked(plant) as (app, live):
            assert {("", "assets"), ("", "link"), ("pump-7", "card")} <= set(_heard(live))
            text = Strict.check((await get(app, "/"))[1])
            assert text.count("cannot be shown (Curse)") == 1
            cards = {card["name"]: card for card in strict_json((await get(app, "/api/assets"))[1])["assets"]}
            assert cards["fan-1"]["fault"] == "cannot be shown (Curse)"
            assert (cards["pump-7"]["fault"], cards["pump-7"]["tags"]) == ("", 2)
            assert (await get(app, "/asset/fan-1"))[0] == 200

    with caplog.at_level(logging.ERROR, "receiver.portal"):
        asyncio.run(scene())
    assert [record.getMessage() for record in caplog.records] == ["asset fan-1 cannot be shown; this is told once"]


@pytest.mark.parametrize("error", [StoreError("a chunk of the history cannot be read"), Curse("a bug")])
def test_damage_in_one_history_fails_that_trend_alone(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Its page says why there is no chart, its trend is answered by the reason; all else goes on."""
    with served(create_app(plant.history, plant.state, Scope(), clock=plant.clock)) as base:
        told = ask(base + "/api/assets").json["assets"]
        series = {one["name"]: int(one["series"]) for asset in told for one in asset["series"]}
        for method in ("trend", "samples"):
            real = getattr(Door, method)

            def damaged(door: Door, number: int, *given: Any, real: Any = real, **more: Any) -> Any:
                if number == series["cursed"]:
                    raise error
                return real(door, number, *given, **more)

            monkeypatch.setattr(Door, method, damaged)
        now = plant.clock() / 1e6
        trend = f"/api/trend?from={now - 1000}&to={now + 1}&series="
        page = ask(f"{base}/tag/{series['cursed']}")
        assert page.status == 200
        assert "The history of this tag cannot be shown" in page.text
        answer = ask(f"{base}{trend}{series['cursed']}")
        assert answer.status == 503
        assert type(error).__name__ in answer.text
        assert ask(f"{base}{trend}{series['pressure']}").json["summary"]["count"] == 1
        assert "hidden" in ask(f"{base}/tag/{series['pressure']}").text.partition('id="chart-trouble"')[2][:10]
        assert ask(base + "/healthz").json["ok"]
        assert ask(base + "/asset/pump-7").status == 200


def test_an_answer_that_fails_is_told_once_and_says_so_each_time(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A page as a page, an answer as a line; the log does not grow with who asks."""
    app = create_app(plant.history, plant.state, Scope(), clock=plant.clock)
    monkeypatch.setattr(Live, "moment", _cursed)  # takes what it is given, and gives no moment

    async def scene() -> None:
        for path in ("/", "/api/assets", "/") * 5:
            status, body = await get(app, path)
            assert status == 500
            assert b"cannot be shown" in body or b"The log of the portal" in body or b"500" in body

    with caplog.at_level(logging.ERROR, "receiver.portal"):
        asyncio.run(scene())
    told = [record.getMessage() for record in caplog.records]
    assert sorted(told) == sorted(set(told))
    assert len(told) == 4  # two addresses, and in the first look two assets


def test_faults_are_counted_and_their_details_are_bounded(caplog: pytest.LogCaptureFixture) -> None:
    """Ten thousand different ones fill no disk."""
    faults = DisplayFaults()
    with caplog.at_level(logging.ERROR, "receiver.portal"):
        for number in range(10_000):
            assert faults.note(f"tag {number}", ValueError("x")) == "cannot be shown (ValueError)"
    assert faults.count == 10_000
    assert len(caplog.records) == KNOWN
    assert json.dumps(faults.each(str, lambda one: 1 // one, [0, 1])) == "[1]"
