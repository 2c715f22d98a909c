"""The live stream: what a page hears, when, and what happens to one that does not listen."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from portal_plant import SECOND, Clock, Ear, Plant, ask, served, write_report
from starlette.applications import Starlette
from starlette.types import Message

from protocol.content.catalog import Asset, Page, Tag
from protocol.content.sample import Flag, Quality, Row
from receiver.outputs.historian.views import Scope
from receiver.portal.app import create_app
from receiver.portal.live import Live
from receiver.portal.streams import QUEUE, EventStream, Streams, Topic, event

ASSETS = (Asset(name="pump-7", site="north", collector="modbus"), Asset(name="fan-1", site="north"))
TAGS = (
    Tag(id=1, asset="pump-7", name="pressure", unit="bar", low=0, high=16, normal_high=7.5),
    Tag(id=2, asset="pump-7", name="flow", scan_s=1.0, max_silence_s=60.0),
    Tag(id=3, asset="fan-1", name="speed"),
)


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    clock = Clock()
    held = Plant(tmp_path, ASSETS, TAGS, clock=clock)
    held.say({("pump-7", "pressure"): 6.5, ("pump-7", "flow"): 100.0, ("fan-1", "speed"): 1480.0})
    held.report()
    yield held
    held.close()


def pages(plant: Plant) -> Starlette:
    return create_app(plant.history, plant.state, Scope(), clock=plant.clock)


def serves(base: str) -> bool:
    """Whether anybody answers."""
    try:
        return ask(base + "/healthz").status is not None
    except OSError:
        return False


def series(base: str, tag: str) -> int:
    told = ask(base + "/api/assets").json["assets"]
    return next(int(one["series"]) for asset in told for one in asset["series"] if one["name"] == tag)


def test_page_hears_a_whole_snapshot_first_and_then_what_changes(plant: Plant) -> None:
    """One asset's page: its values, not the other's."""
    with served(pages(plant)) as base:
        pressure, flow = series(base, "pressure"), series(base, "flow")
        with Ear(base, "/live?asset=pump-7") as ear:
            told = ear.until(lambda name, body: name == "values")
            assert sorted(row[0] for row in told) == sorted([pressure, flow])
            before = time.monotonic()
            plant.say({("pump-7", "pressure"): 9.75, ("fan-1", "speed"): 1500.0}, quality=Quality.UNCERTAIN_SENSOR)
            told = ear.until(lambda name, body: name == "values")
            assert time.monotonic() - before < 2.0
            now_ms = plant.clock() / 1e6
            assert told == [[pressure, now_ms, 9.75, Quality.UNCERTAIN_SENSOR, "sensor not accurate", now_ms]]


def test_one_tags_page_hears_only_that_tag_and_a_foreign_one_is_not_there(plant: Plant) -> None:
    """Topics are checked like pages: 404 for what does not exist."""
    with served(pages(plant)) as base:
        number = series(base, "speed")
        with Ear(base, f"/live?series={number}") as ear:
            assert [row[0] for row in ear.until(lambda name, body: name == "values")] == [number]
        for path in ("/live?series=99", "/live?asset=nobody", "/live?series=x"):
            assert ask(base + path).status in (400, 404)


def test_overview_hears_counts_states_and_what_needs_a_look(plant: Plant) -> None:
    """And the asset that goes down is down on every page a second later."""
    with served(pages(plant)) as base, Ear(base, "/live") as ear:
        told = ear.until(lambda name, body: name == "assets")
        assert [card["name"] for card in told["assets"]] == ["fan-1", "pump-7"]
        assert told["attention"]["rows"] == []
        plant.say({("pump-7", "pressure"): None}, quality=Quality.BAD_TIMEOUT)
        told = ear.until(lambda name, body: name == "assets" and body["attention"]["rows"])
        row = told["attention"]["rows"][0]
        assert (row["tag"], row["letter"], row["why"]) == ("pressure", "B", "bad: timeout")
        plant.condition("pump-7", "down", "no answer")
        told = ear.until(lambda name, body: name == "assets" and body["assets"][1]["state"] == "down")
        assert told["assets"][1]["stale"] == 2
        assert told["attention"]["rows"] == []
        assert ear.until(lambda name, body: name == "link")["down"] == ["pump-7"]


def test_tag_goes_stale_by_time_alone_and_a_refresh_makes_it_fresh(plant: Plant) -> None:
    """No message from the plant is needed to grow old; a refresh row renews without being history."""
    with served(pages(plant)) as base, Ear(base, "/live") as ear:
        plant.clock.move(5.5)  # type: ignore[attr-defined]
        plant.report()
        # flow may be silent for 90 s, pressure and speed for 5 s
        ear.until(lambda name, body: name == "assets" and [one["stale"] for one in body["assets"]] == [1, 1])
        plant.send([Row(1, plant.clock() - 6 * SECOND, 6.5, flags=Flag.REFRESH)])
        told = ear.until(lambda name, body: name == "assets" and not body["assets"][1]["stale"])
        assert told["assets"][1]["published"] == 2


def test_warnings_of_every_process_stand_on_the_overview_and_are_inert(plant: Plant) -> None:
    """Whoever says it is named; markup and controls are text; a reader with a scope is told catch's alone."""
    evil = "<b>\x1b[31m pump-7"
    plant.report(warnings=[f"catch {evil}"])
    write_report(plant.state, "historian", plant.clock(), {"warnings": [f"disk {evil}"]})
    write_report(plant.state, "publish", plant.clock(), {"warnings": [f"journal {evil}"]})
    for scope, others in ((Scope(), True), (Scope(assets=frozenset({"fan-1"})), False)):
        with served(create_app(plant.history, plant.state, scope, clock=plant.clock)) as base:
            text = ask(base + "/").text
            assert "<li>catch &lt;b&gt;\\x1b[31m pump-7</li>" in text
            assert ("<li>historian: disk &lt;b&gt;\\x1b[31m pump-7</li>" in text) is others
            assert ("<li>publish: journal &lt;b&gt;\\x1b[31m pump-7</li>" in text) is others
            assert (len(ask(base + "/api/link").json["warnings"]) == 3) is others


def test_what_beats_foretell_stands_in_the_strip_among_the_alarms_and_above_the_tags(plant: Plant) -> None:
    """A sender three days back with a full disk: not only "Link live"; gone with the next beat that is well."""
    apart = {"beat": {"session": 1, "apart_s": -259_200.0}}
    with served(pages(plant)) as base, Ear(base, "/live") as ear:
        calm = ear.until(lambda name, body: name == "link")
        assert (calm["clock"], calm["concerns"], calm["alarms"]) == ("", [], [])
        assert "differ by" not in ask(base + "/").text
        plant.report(watch=apart, sender={"spool": {"full": True}}, link={"frames_lost": 8448, "kernel_drops": 192})
        told = ear.until(lambda name, body: name == "link" and body["concerns"])
        assert told["lamp"] == "live"
        assert (told["clock"], told["spool"]) == ("3 d behind", "disk full")
        assert {one["name"] for one in told["concerns"]} == {"clock-apart", "sender-disk-full"}
        assert len(told["alarms"]) == 2
        text = ask(base + "/").text
        assert '<dd data-vital="clock">3 d behind</dd>' in text
        assert '<dd data-vital="spool">disk full</dd>' in text
        assert text.count("the two clocks differ by 3 d: the sender&#39;s is behind ours") == 2
        assert "Clock apart" in text
        assert 'data-frames="frames_lost">8448<' in text
        assert ">of these dropped by the kernel, at least<" in text
        assert ask(base + "/healthz").status == 503
        plant.report(link={"beat_age_s": 30.0}, watch=apart)
        assert ear.until(lambda name, body: name == "link" and not body["clock"])["lamp"] == "silent"
        plant.report(watch={"beat": {"session": 1, "apart_s": 20.0}})
        assert ear.until(lambda name, body: name == "link" and body["lamp"] == "live")["alarms"] == []
        assert ask(base + "/healthz").status == 200


def test_new_asset_is_told_by_a_higher_version(plant: Plant) -> None:
    """Open pages fetch themselves again when the plant grows."""
    with served(pages(plant)) as base, Ear(base, "/live") as ear:
        version = ear.until(lambda name, body: name == "link")["version"]
        new = Asset(name="turbine-1", site="north")
        tag = Tag(id=9, asset="turbine-1", name="load")
        assets, tags = {**plant.stream.assets, "turbine-1": new}, {**plant.stream.tags, 9: tag}
        plant.stream = dataclasses.replace(plant.stream, assets=assets, tags=tags)
        plant.take(Page(index=1, assets=(new,), tags=(tag,)))
        plant.send([Row(9, plant.clock(), 55.0)])
        ear.until(lambda name, body: name == "link" and body["version"] > version)
        assert "turbine-1" in ask(base + "/").text


def test_changed_description_takes_over_at_once_and_the_old_one_keeps_its_page(plant: Plant) -> None:
    """The same name in another unit is a new series: it counts, and the old one is history."""
    with served(pages(plant)) as base, Ear(base, "/live") as ear:
        old = series(base, "speed")
        ear.until(lambda name, body: name == "assets")
        changed = dataclasses.replace(TAGS[2], id=8, unit="r/min")
        plant.stream = dataclasses.replace(plant.stream, tags={**plant.stream.tags, 8: changed})
        plant.take(Page(index=1, assets=(ASSETS[1],), tags=(changed,)))
        plant.send([Row(8, plant.clock(), 1490.0)])
        ear.until(lambda name, body: name == "assets" and body["assets"][0]["published"] == 2)
        assert series(base, "speed") != old
        text = ask(base + "/asset/fan-1").text
        assert "r/min" in text
        assert 'href="/tag?asset=fan-1&amp;name=speed&amp;version=1"' in text.split("Earlier descriptions")[1]
        assert "gets no new samples" in ask(f"{base}/tag/{old}").text
        assert ask(base + "/api/assets").json["assets"][0]["tags"] == 1


def test_reader_that_does_not_read_is_dropped_and_the_others_go_on() -> None:
    """A bounded queue, a written rule: the slow one ends, comes back by itself, and starts from a new snapshot."""

    async def scene() -> None:
        streams = Streams()
        stuck, lively = asyncio.Event(), []

        async def stuck_send(message: Message) -> None:
            if message["type"] == "http.response.body":
                await stuck.wait()

        async def lively_send(message: Message) -> None:
            lively.append(message.get("body", b""))

        async def never() -> Message:
            await asyncio.Event().wait()
            raise AssertionError

        scope: dict[str, Any] = {"type": "http", "method": "GET"}
        tasks = [
            asyncio.create_task(EventStream(streams, Topic(), lambda topic: [b"snapshot\n\n"])(scope, never, send))
            for send in (stuck_send, lively_send)
        ]
        while len(streams.listeners) < 2 or not lively[1:]:
            await asyncio.sleep(0)
        for number in range(QUEUE + 1):
            streams.publish(Topic(), event("tick", number))
            await asyncio.sleep(0)
        await asyncio.wait_for(tasks[0], 5)
        assert streams.slow == 1
        assert len(streams.listeners) == 1
        while b"data: 40\n" not in b"".join(lively):
            await asyncio.sleep(0)
        assert b"".join(lively).count(b"event: tick") == QUEUE + 1
        assert b"snapshot" in lively[1]
        streams.close()
        await asyncio.wait_for(tasks[1], 5)
        assert streams.listeners == set()

    asyncio.run(scene())


def test_stream_ends_also_where_a_message_comes_at_the_same_moment() -> None:
    """It was ended for a grant that is over: nothing may keep it open."""

    async def scene() -> None:
        streams, told = Streams(), []

        async def send(message: Message) -> None:
            told.append(message.get("body", b""))

        async def never() -> Message:
            await asyncio.Event().wait()
            raise AssertionError

        scope: dict[str, Any] = {"type": "http", "method": "GET"}
        task = asyncio.create_task(EventStream(streams, Topic(), lambda topic: [b"snapshot\n\n"])(scope, never, send))
        while not streams.listeners or not told[1:]:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        (listener,) = streams.listeners
        streams.end(listener)
        await asyncio.sleep(0)  # what waits for the end is woken, and ends the others in its next step
        streams.hand(listener, event("tick", 1))
        await asyncio.wait({task}, timeout=2)
        ended = task.done()
        task.cancel()
        assert ended

    asyncio.run(scene())


def test_listener_is_forgotten_when_its_browser_goes(plant: Plant) -> None:
    """An open page costs something only while it is open."""
    app = pages(plant)
    live: Live = app.state.live
    with served(app) as base:
        ears = [Ear(base, "/live") for _ in range(5)]
        for ear in ears:
            ear.until(lambda name, body: name == "link")
        assert len(live.streams.listeners) == 5
        for ear in ears:
            ear.close()
        deadline = time.monotonic() + 20
        while live.streams.listeners:
            assert time.monotonic() < deadline, "a listener stayed"
            time.sleep(0.01)


def test_live_task_that_fails_ends_the_server_instead_of_freezing_the_pages(plant: Plant) -> None:
    """A bug is seen, and whoever supervises starts the pages anew."""
    app = pages(plant)
    live: Live = app.state.live
    with served(app) as base:
        assert ask(base + "/healthz").json["ok"]

        async def broken(now: float) -> None:
            raise RuntimeError("a bug")

        live.look = broken  # type: ignore[method-assign]
        deadline = time.monotonic() + 20
        while serves(base):
            assert time.monotonic() < deadline, "the server stayed"
        assert isinstance(live.failed, RuntimeError)
