"""Laws of order and identity: what is told depends on what was sent, never on when or how it came."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from history_blocks import (
    ALL,
    ASSETS,
    BOOT,
    SECOND,
    T0,
    TAGS,
    batch,
    block,
    expected,
    opened,
    shrink,
    some_blocks,
    stream,
    told,
)

from protocol.content.catalog import Page
from protocol.content.sample import Flag, Row
from receiver.outputs.base import OpenedBlock
from receiver.outputs.historian.read import Door


def handed(chance: random.Random, blocks: list[OpenedBlock]) -> list[list[OpenedBlock]]:
    """The blocks in any order, cut into hand-overs."""
    mixed = blocks[:]
    chance.shuffle(mixed)
    out = []
    while mixed:
        size = chance.randrange(1, 9)
        out.append(mixed[:size])
        mixed = mixed[size:]
    return out


@pytest.mark.parametrize("seed", range(12))
def test_any_order_of_arrival_gives_the_same_history(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks of two streams in any order, with restarts between: the same samples, order and current values."""
    shrink(monkeypatch)
    chance = random.Random(seed)
    blocks = some_blocks(chance, stream(), 40, 14)
    blocks += some_blocks(chance, stream(b"stream-2", BOOT + 5), 25, 14, begin_ns=T0 + 20 * SECOND)
    want = expected(blocks)
    output = opened(tmp_path)
    for at, group in enumerate(handed(chance, blocks)):
        output.take(group, b"%d" % at)
        if chance.random() < 0.1:
            output.close()
            output = opened(tmp_path)
    door = Door(tmp_path, ALL)
    status = output.status()
    assert told(door) == want, f"seed {seed}"
    assert status["chunks"] > 0, "the test means to reach sealed chunks"
    assert status["missing_blocks"] == 0
    output.close()
    door.close()


@pytest.mark.parametrize("seed", range(4))
def test_a_block_that_comes_twice_is_stored_once(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The very same block in the same or a later hand-over changes nothing and is counted."""
    shrink(monkeypatch)
    chance = random.Random(seed)
    blocks = some_blocks(chance, stream(), 20, 10)
    output = opened(tmp_path)
    for group in handed(chance, blocks + blocks[::2]):
        output.take(group, b"x")
    door = Door(tmp_path, ALL)
    assert told(door) == expected(blocks), f"seed {seed}"
    assert output.status()["doubles"] == 10
    output.close()
    door.close()


def test_equal_times_with_different_values_are_both_kept(tmp_path: Path) -> None:
    """Two values at one time stand in the sender's order and are counted, in one block and across two."""
    output = opened(tmp_path)
    first = block(stream(), 0, batch([Row(0, T0, 1.0), Row(0, T0, 2.0)]))
    second = block(stream(), 1, batch([Row(0, T0, 3.0), Row(0, T0, 3.0)]))
    output.take([second], b"1")
    output.take([first], b"2")
    door = Door(tmp_path, ALL)
    history, latest = told(door)
    assert [sample.value for sample in history["pump-7/pressure"]] == [1.0, 2.0, 3.0, 3.0]
    assert latest["pump-7/pressure"].value == 3.0
    assert output.status()["same_time"] == 2
    output.close()
    door.close()


def test_a_clock_in_2099_pins_nothing(tmp_path: Path) -> None:
    """The current value is the newest by block number, whatever its own time says."""
    output = opened(tmp_path)
    far = 4_070_908_800 * SECOND
    output.take([block(stream(), 0, batch([Row(0, far, 1.0)]))], b"1")
    output.take([block(stream(), 2, batch([Row(0, T0 + 2, 3.0)]))], b"2")
    output.take([block(stream(), 1, batch([Row(0, far + 1, 2.0)]), healed=True)], b"3")
    door = Door(tmp_path, ALL)
    _, latest = told(door)
    assert (latest["pump-7/pressure"].value, latest["pump-7/pressure"].time_ns) == (3.0, T0 + 2)
    output.close()
    door.close()


def test_a_newer_start_of_the_packer_is_newer_than_any_number(tmp_path: Path) -> None:
    """Order is the packer's start first, then the block number: a late block of the old stream changes no value."""
    output = opened(tmp_path)
    output.take([block(stream(b"new-----", BOOT + 1), 0, batch([Row(0, T0, 5.0)]))], b"1")
    late = batch([Row(0, T0, 4.0), Row(0, T0 + SECOND, 4.5)])
    output.take([block(stream(), 900, late, healed=True)], b"2")
    door = Door(tmp_path, ALL)
    history, latest = told(door)
    assert latest["pump-7/pressure"].value == 5.0
    assert [sample.value for sample in history["pump-7/pressure"]] == [4.0, 5.0, 4.5]
    output.close()
    door.close()


def test_refresh_renews_the_current_value_and_is_no_history(tmp_path: Path) -> None:
    """A refresh row counts nowhere but in the current value, which it also gives to a receiver that came late."""
    output = opened(tmp_path)
    refresh = Row(0, T0, 1.5, flags=Flag.REFRESH)
    output.take([block(stream(), 0, batch([refresh]), received_ns=T0 + 5)], b"1")
    door = Door(tmp_path, ALL)
    assert told(door)[1]["pump-7/pressure"].seen_ns == T0 + 5
    output.take([block(stream(), 1, batch([refresh]), received_ns=T0 + 60 * SECOND)], b"2")
    history, latest = told(door)
    assert history == {}
    assert latest["pump-7/pressure"].seen_ns == T0 + 60 * SECOND
    assert output.status()["rows"] == 0
    output.close()
    door.close()


def test_latest_tells_only_what_changed_since_a_mark(tmp_path: Path) -> None:
    """A mark divides hand-overs: what came before it is not told again, what came after it is, refresh included."""
    output = opened(tmp_path)
    output.take([block(stream(), 0, batch([Row(0, T0, 1.0), Row(1, T0, True)]))], b"1")
    door = Door(tmp_path, ALL)
    first, mark = door.latest()
    assert len(first) == 2
    assert door.latest(mark) == ([], mark)
    output.take([block(stream(), 1, batch([Row(1, T0, True, flags=Flag.REFRESH)]))], b"2")
    changed, later = door.latest(mark)
    assert [one.value for one in changed] == [True]
    assert later > mark
    output.take([], b"3")
    assert door.latest(later)[0] == []
    output.close()
    door.close()


def test_descriptions_of_many_streams_join_into_one_series(tmp_path: Path) -> None:
    """Equal descriptions are one series whatever their ids; a changed unit is a new version under the same name."""
    renumbered = [replace(tag, id=40 - tag.id) for tag in TAGS]
    psi = [replace(tag, unit="psi") if tag.name == "pressure" else tag for tag in TAGS]
    second, third = stream(b"second--", BOOT + 1, renumbered), stream(b"third---", BOOT + 2, psi)
    output = opened(tmp_path)
    output.take([block(third, 1, batch([Row(0, T0 + 3, 30.0)]))], b"1")
    output.take([block(stream(), 1, batch([Row(0, T0 + 1, 1.0)]))], b"2")
    output.take([block(second, 1, batch([Row(40, T0 + 2, 2.0)]))], b"3")
    door = Door(tmp_path, ALL)
    versions = [view for view in door.tags("pump-7") if view.tag.name == "pressure"]
    assert [(view.tag.unit, view.version, view.current) for view in versions] == [("bar", 1, False), ("psi", 2, True)]
    assert [s.value for s in door.samples(versions[0].series, 0, 2**62, None)] == [1.0, 2.0]
    assert [s.value for s in door.samples(versions[1].series, 0, 2**62, None)] == [30.0]
    output.close()
    door.close()


def test_the_newest_description_wins_in_any_order(tmp_path: Path) -> None:
    """A page that comes late does not overwrite the description of a newer page or stream."""
    renamed = [replace(tag, description="new text") for tag in TAGS]
    moved = [replace(one, vendors=("Other",)) for one in ASSETS]
    output = opened(tmp_path)
    output.take(
        [block(stream(b"new-----", BOOT + 1), 2, Page(index=0, assets=tuple(moved), tags=tuple(renamed)))], b"1"
    )
    output.take([block(stream(), 7, Page(index=0, assets=ASSETS, tags=TAGS))], b"2")
    door = Door(tmp_path, ALL)
    assert {view.tag.description for view in door.tags("pump-7")} == {"new text"}
    assert {view.asset.vendors for view in door.assets()} == {("Other",)}
    output.close()
    door.close()
