"""Laws of a tag whose description changed: one trend, the change marked, values never mixed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from history_blocks import ALL, BOOT, SECOND, T0, TAGS, batch, block, opened, shrink, stream

from protocol.content.catalog import Tag
from protocol.content.sample import Row
from receiver.outputs.historian.mending.salvage import Salvage
from receiver.outputs.historian.read import Door

DAY = 86_400 * SECOND
PRESSURE = TAGS[0]
KPA = replace(PRESSURE, unit="kPa")
OTHER_REGISTER = replace(KPA, address="40002")
FOUND = {
    "unit": (KPA, "Changed: unit bar to kPa"),
    "type": (replace(PRESSURE, type="float64"), "Changed: type float32 to float64"),
    "address": (replace(PRESSURE, address="40002"), "Changed: address none to 40002"),
    "scale": (replace(PRESSURE, conversion="int16 x 0.01"), "Changed: conversion none to int16 x 0.01"),
    "unit and scale": (
        replace(KPA, conversion="int16 x 1"),
        "Changed: unit bar to kPa, conversion none to int16 x 1",
    ),
    "what is mistaken for an address": (
        replace(PRESSURE, address="40002", conversion="int16 x 1"),
        "Changed: address none to 40002, conversion none to int16 x 1",
    ),
}
"""Word -> the tag's second description, and what the trend says of it."""
OTHERS = {
    "range": replace(PRESSURE, low=0.0, high=16.0),
    "text": replace(PRESSURE, description="behind the pump"),
    "period": replace(PRESSURE, scan_s=5.0),
}
"""Descriptions that are new, and mean the same quantity."""


def written(folder: Path, versions: list[tuple[Tag, int, int]], *, late: bool = False) -> Door:
    """A history in which the packer started once a version; each has a sample a second from one second to another.

    Args:
        late: The last version comes first.
    """
    output = opened(folder)
    for at, (tag, begin, end) in sorted(enumerate(versions), reverse=late):
        of = stream(b"stream-%d" % at, BOOT + at, tags=(tag,))
        rows = [Row(0, T0 + second * SECOND, float(100**at)) for second in range(begin, end)]
        output.take([block(of, 0, batch(rows))], b"x")
    output.close()
    return Door(folder, ALL)


def test_a_changed_unit_and_address_are_one_trend_with_each_change_marked(tmp_path: Path) -> None:
    """From bar to kPa to another register: all samples are in the trend, and where it changed, and what."""
    door = written(tmp_path, [(PRESSURE, 0, 40), (KPA, 40, 80), (OTHER_REGISTER, 80, 100)])
    versions = door.tags("pump-7")
    assert [view.version for view in versions] == [1, 2, 3]
    for view in versions:
        trend = door.trend(view.series, T0, T0 + 100 * SECOND, 10, versions=True)
        assert trend.low.tolist() == [1.0] * 4 + [100.0] * 4 + [10_000.0] * 2
        assert [(change.place, change.at_ns) for change in trend.changes] == [
            (4, T0 + 40 * SECOND),
            (8, T0 + 80 * SECOND),
        ]
        assert trend.changes[0].text == "Changed: unit bar to kPa"
        assert trend.changes[1].text == "Changed: address none to 40002"
        alone = door.trend(view.series, T0, T0 + 100 * SECOND, 10)
        assert len(set(alone.low.tolist())) == 1
        assert not alone.changes
    door.close()


@pytest.mark.parametrize("buckets", [1, 3])
def test_a_bucket_of_two_versions_mixes_none_of_their_values(buckets: int, tmp_path: Path) -> None:
    """A bucket in which the unit changed stands there twice: the bars, then the kilopascals."""
    door = written(tmp_path, [(PRESSURE, 0, 50), (KPA, 50, 100)])
    trend = door.trend(door.tags("pump-7")[0].series, T0, T0 + 100 * SECOND, buckets, versions=True)
    assert trend.low.tolist() == trend.high.tolist()
    assert trend.count.sum() == 100
    (change,) = trend.changes
    assert trend.start_ns[change.place] == trend.start_ns[change.place - 1]
    assert change.at_ns == T0 + 50 * SECOND
    door.close()


def test_a_tag_that_was_never_changed_has_no_change(tmp_path: Path) -> None:
    """Two starts of the packer with one description are one version."""
    door = written(tmp_path, [(PRESSURE, 0, 50), (PRESSURE, 50, 100)])
    (view,) = door.tags("pump-7")
    assert door.trend(view.series, T0, T0 + 100 * SECOND, 10, versions=True).changes == ()
    door.close()


@pytest.mark.parametrize("word", FOUND)
@pytest.mark.parametrize("late", [False, True])
def test_whatever_makes_another_quantity_of_it_begins_a_version(word: str, late: bool, tmp_path: Path) -> None:
    """Each of unit, type, address and conversion, in whichever order the blocks come; the trend says when, and what."""
    other, said = FOUND[word]
    versions = [(PRESSURE, 0, 50), (other, 50, 100)]
    door = written(tmp_path, versions, late=late)
    assert [view.tag.conversion for view in door.tags("pump-7")] == ["", other.conversion]
    for view in door.tags("pump-7"):
        trend = door.trend(view.series, T0, T0 + 100 * SECOND, 10, versions=True)
        assert [(one.place, one.at_ns, one.text) for one in trend.changes] == [(5, T0 + 50 * SECOND, said)]
    door.close()


@pytest.mark.parametrize("word", OTHERS)
def test_what_leaves_the_quantity_as_it_is_begins_none(word: str, tmp_path: Path) -> None:
    """Another range, text or period is told of the same series."""
    door = written(tmp_path, [(PRESSURE, 0, 50), (OTHERS[word], 50, 100)])
    (view,) = door.tags("pump-7")
    assert view.tag == replace(OTHERS[word], id=0)
    door.close()


@pytest.mark.parametrize("word", FOUND)
def test_no_roll_up_holds_values_of_two_versions(word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sealed and drawn by whole cells, in one bucket and in many: each sum is of one quantity alone."""
    shrink(monkeypatch)
    door = written(tmp_path, [(PRESSURE, 0, 50), (FOUND[word][0], 50, 100)])
    assert list(tmp_path.glob("????-??.db")), "nothing was sealed"
    series = door.tags("pump-7")[0].series
    for begin, end, buckets in ((T0, T0 + 100 * SECOND, 7), (T0 - DAY, T0 + DAY, 1), (T0 - 100 * DAY, T0 + DAY, 50)):
        trend = door.trend(series, begin, end, buckets, versions=True)
        assert trend.low.tolist() == trend.high.tolist() == trend.mean.tolist()
        assert sorted(set(trend.low.tolist())) == [1.0, 100.0]
        assert trend.count.sum() == 100
    door.close()


def test_versions_are_believed_of_a_damaged_file(tmp_path: Path) -> None:
    """What their rows and their bodies tell fits together, with a conversion and without."""
    written(tmp_path, [(PRESSURE, 0, 50), (FOUND["scale"][0], 50, 100)]).close()
    salvage = Salvage(tmp_path / "current.db")
    assert sorted(row[2:6] for row in salvage.names()["series"]) == [
        ("pressure", "float32", "bar", ""),
        ("pressure", "float32", "bar", "\nint16 x 0.01"),
    ]
    salvage.close()


def test_a_history_of_before_conversions_goes_on_in_its_series(tmp_path: Path) -> None:
    """Tags without one keep their series; their descriptions have no such field."""
    written(tmp_path, [(PRESSURE, 0, 50)]).close()
    with closing(sqlite3.connect(tmp_path / "current.db", isolation_level=None)) as connection:
        (body,) = connection.execute("SELECT body FROM series").fetchone()
        before = {name: value for name, value in orjson.loads(body).items() if name != "conversion"}
        connection.execute("UPDATE series SET body = ?", (orjson.dumps(before),))
    door = written(tmp_path, [(PRESSURE, 0, 100)])
    (view,) = door.tags("pump-7")
    assert (view.version, view.tag) == (1, replace(PRESSURE, id=0))
    door.close()
