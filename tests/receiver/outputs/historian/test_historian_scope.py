"""Laws of the scope: what is outside does not exist for the reader, in any answer."""

from __future__ import annotations

import random
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from history_blocks import ALL, ASSETS, BOOT, SECOND, T0, TAGS, batch, block, opened, some_blocks, stream

from protocol.content.catalog import Page
from protocol.content.sample import Row
from receiver.outputs.base import EventBody, StateBody, TallyBody
from receiver.outputs.historian.output import HistorianOutput
from receiver.outputs.historian.read import Door
from receiver.outputs.historian.views import Scope

SCOPES = [
    Scope(vendors=frozenset({"Acme"})),
    Scope(vendors=frozenset({"Volta"})),
    Scope(vendors=frozenset({"Nobody"})),
    Scope(vendors=frozenset()),
    Scope(assets=frozenset({"relay-2"})),
    Scope(vendors=frozenset({"Acme"}), assets=frozenset({"press-1", "relay-2"})),
    Scope(vendors=frozenset({"Volta"}), assets=frozenset({"pump-7"})),
]


def plant(folder: Path) -> HistorianOutput:
    """Every asset with samples, states, events and tallies."""
    output = opened(folder)
    blocks = some_blocks(random.Random(1), stream(), 20, 10)
    blocks.append(block(stream(), 20, Page(index=0, assets=ASSETS, tags=TAGS)))
    for at, asset in enumerate([*ASSETS, replace(ASSETS[0], name="")]):
        blocks.append(
            block(stream(), 30 + at, StateBody(asset=asset.name, time_ns=T0, what="up", text=f"of {asset.name}"))
        )
        event = EventBody(
            asset=asset.name, source="s", time_ns=T0, severity=1, code="c", text=asset.name, state="active", sequence=at
        )
        blocks.append(block(stream(), 40 + at, event))
    counts = {asset.name: (10, 10) for asset in ASSETS}
    blocks.append(block(stream(), 50, TallyBody(time_ns=T0, number=50, assets=counts)))
    output.take(blocks, b"x")
    return output


@pytest.mark.parametrize("scope", SCOPES, ids=range(len(SCOPES)))
def test_nothing_outside_the_scope_is_ever_told(scope: Scope, tmp_path: Path) -> None:
    """No call with any argument tells a name, a number or a count of an asset outside."""
    output = plant(tmp_path)
    door, whole = Door(tmp_path, scope), Door(tmp_path, ALL)
    inside = {asset.name for asset in ASSETS if scope.sees(asset)}
    foreign = {asset.name for asset in ASSETS} - inside
    assert {view.asset.name for view in door.assets()} == inside
    assert {name for name in (asset.name for asset in ASSETS) if door.tags(name)} == inside
    every = [view for asset in ASSETS for view in whole.tags(asset.name)]
    mine = {view.series for view in every if view.tag.asset in inside}
    for view in every:
        seen = view.series in mine
        assert (door.tag(view.series) is not None) == seen
        assert bool(door.samples(view.series, 0, 2**62, None)) == seen
        trend = door.trend(view.series, T0 - 60 * SECOND, T0 + 60 * SECOND, 10)
        assert bool(len(trend.count)) == seen
        assert bool(trend.absences) == seen
    assert {one.series for one in door.latest()[0]} == mine
    assert {minute.asset for minute in door.minutes(0, 2**62)} == inside
    assert set(door.accounts()) == inside
    assert {event.asset for event in door.events(100)} == inside
    assert bool(door.absences(0, 2**62)) == bool(inside)
    for name in foreign:
        assert door.states(name, 100) == []
    assert door.states("", 100) == [], "the sender's own notes may name any asset"
    said = repr(
        [door.assets(), door.latest(), door.minutes(0, 2**62), door.events(9), door.accounts(), door.absences(0, 2**62)]
    )
    assert not [name for name in foreign if name in said]
    assert len(whole.events(100)) == 4
    assert len(whole.states("", 100)) == 1
    output.close()
    door.close()
    whole.close()


@pytest.mark.parametrize("series", [0, -1, 999, 2**31])
def test_an_unknown_series_is_answered_like_a_foreign_one(series: int, tmp_path: Path) -> None:
    """Asking for a number that never was gives the same empty answers."""
    output = plant(tmp_path)
    door = Door(tmp_path, ALL)
    assert door.tag(series) is None
    assert door.samples(series, 0, 2**62, 10) == []
    trend = door.trend(series, 0, 2**62, 10)
    assert (len(trend.count), trend.absences) == (0, [])
    assert door.tags("no such asset") == []
    assert door.states("no such asset", 10) == []
    output.close()
    door.close()


def test_a_vendor_change_takes_effect_at_once(tmp_path: Path) -> None:
    """When a newer description takes a vendor off an asset, an open door tells that asset no more."""
    output = plant(tmp_path)
    door = Door(tmp_path, Scope(vendors=frozenset({"Volta"})))
    assert len(door.assets()) == 2
    taken = tuple(replace(asset, vendors=("Acme",)) for asset in ASSETS)
    output.take([block(stream(b"later---", BOOT + 1), 3, Page(index=0, assets=taken, tags=TAGS))], b"y")
    assert door.assets() == []
    assert door.latest()[0] == []
    assert door.accounts() == {}
    output.close()
    door.close()


def test_a_door_may_be_opened_before_anything_is_written(tmp_path: Path) -> None:
    """All answers are empty until the writer begins, and right from then on."""
    folder = tmp_path / "history"
    door = Door(folder, ALL)
    assert door.assets() == []
    assert door.latest() == ([], 0)
    assert door.accounts() == {}
    assert door.trend(1, 0, 10, 5).absences == []
    output = plant(folder)
    assert len(door.assets()) == 3
    output.close()
    door.close()


def test_a_replaced_history_is_noticed(tmp_path: Path) -> None:
    """When the folder's files are put in anew, an open door tells the new ones, also to an old mark."""
    output = plant(tmp_path)
    for at in range(5):
        output.take([], b"%d" % at)
    door = Door(tmp_path, ALL)
    _, mark = door.latest()
    output.close()
    for path in tmp_path.iterdir():
        path.unlink()
    output = opened(tmp_path)
    output.take([block(stream(), 0, batch([Row(0, T0, 42.0)]))], b"x")
    assert [one.value for one in door.latest(mark)[0]] == [42.0]
    output.close()
    door.close()


def test_readers_in_threads_see_whole_hand_overs_while_one_writes(tmp_path: Path) -> None:
    """Each hand-over adds one row to two series; no reader ever sees one without the other, and none fails."""
    output = opened(tmp_path)
    output.take([block(stream(), 0, batch([Row(0, T0, 0.0), Row(4, T0, 0)]))], b"x")
    series = [Door(tmp_path, ALL).tags(asset)[0].series for asset in ("pump-7", "press-1")]
    stop, looks = threading.Event(), [0]
    failures: list[object] = []

    def look() -> None:
        door = Door(tmp_path, ALL)
        while not stop.is_set():
            try:
                pair = {one.series: one.value for one in door.latest()[0]}
                if pair[series[0]] != pair[series[1]]:
                    failures.append(pair)
                counts = [len(door.samples(one, 0, 2**62, None)) for one in series]
                if counts[0] > counts[1]:  # read first, so it may only be behind
                    failures.append(counts)
                looks[0] += 1
            except Exception as error:  # noqa: BLE001  whatever it is, the test must tell it
                failures.append(error)
                return
        door.close()

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    number = 1
    while (looks[0] < 30 or number < 120) and not failures:
        output.take(
            [block(stream(), number, batch([Row(0, T0 + number, float(number)), Row(4, T0 + number, number)]))], b"x"
        )
        number += 1
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    output.close()
