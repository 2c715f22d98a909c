"""Laws of a tag whose description changed: one trend, the change marked, values never mixed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from history_blocks import ALL, BOOT, SECOND, T0, TAGS, batch, block, opened, stream

from protocol.content.catalog import Tag
from protocol.content.sample import Row
from receiver.outputs.historian.read import Door

PRESSURE = TAGS[0]
KPA = replace(PRESSURE, unit="kPa")
OTHER_REGISTER = replace(KPA, address="40002")


def written(folder: Path, versions: list[tuple[Tag, int, int]]) -> Door:
    """A history in which the packer started once a version; each has a sample a second from one second to another."""
    output = opened(folder)
    for at, (tag, begin, end) in enumerate(versions):
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
