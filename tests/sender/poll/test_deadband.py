"""The deadband's laws, against a model that looks at one row at a time."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from protocol.content.sample import Columns, Flag, Quality, Row, Value, ValueKind, columns, from_rows
from sender.poll.deadband import EVERY, Deadband

POINTS = 4
PERIOD_S = 1.0
SILENCE_S = 5.0

FLOATS = st.sampled_from([0.0, -0.0, 0.004, 0.01, 0.02, 1.0, 1e300, math.inf, -math.inf, math.nan])
VALUES = st.one_of(FLOATS, st.sampled_from([0, 1, 2, 2**60, 2**60 + 1, -5]), st.booleans(), st.sampled_from(["", "a"]))
QUALITY = st.sampled_from([0, 0, 0, int(Quality.UNCERTAIN), int(Quality.BAD_TIMEOUT)])
ROW = st.tuples(st.integers(0, POINTS - 1), VALUES | st.none(), QUALITY, st.sampled_from([0, 0, 2]))
READS = st.lists(st.lists(ROW, max_size=6), max_size=25)
BANDS = st.lists(st.sampled_from([EVERY, 0.0, 0.01, 1.0]), min_size=POINTS, max_size=POINTS)


@dataclass
class Model:
    """One row at a time, as the docstring of `sender.poll.deadband` tells it."""

    bands: list[float]
    subscribes: bool
    left: dict[int, tuple[Row, float]] = field(default_factory=dict)

    def take(self, row: Row, now: float) -> Row | None:
        """The row as it leaves, None where it is held back."""
        band = self.bands[row.tag]
        if band < 0 and not self.subscribes:
            return row
        before, at = self.left.get(row.tag, (None, -math.inf))
        changed = before is None or self._changed(before, row, band)
        if not changed and now - at < SILENCE_S - PERIOD_S / 2:
            return None
        if not changed and before is not None and _bits(before.value) == _bits(row.value):
            row = row._replace(flags=Flag.REFRESH)
        self.left[row.tag] = (row, now)
        return row

    def _changed(self, before: Row, row: Row, band: float) -> bool:
        if (type(before.value), before.quality, before.native) != (type(row.value), row.quality, row.native):
            return True
        if band < 0:
            return row.value is not None
        if _bits(before.value) == _bits(row.value):
            return False
        if isinstance(row.value, bool | str) or row.value is None:
            return True
        assert isinstance(before.value, int | float)
        if math.isnan(before.value) and math.isnan(row.value):
            return False
        return not abs(row.value - before.value) <= band


def _bits(value: Value) -> object:
    return struct.pack(">d", value) if isinstance(value, float) else value


def _deadband(bands: list[float], *, subscribes: bool) -> Deadband:
    return Deadband(np.array(bands), np.full(POINTS, SILENCE_S), np.full(POINTS, PERIOD_S), subscribes=subscribes)


def _same(one: Row, other: Row) -> bool:
    return one._replace(value=None) == other._replace(value=None) and _bits(one.value) == _bits(other.value)


@given(BANDS, READS, st.booleans())
def test_rows_leave_as_the_model_says(
    bands: list[float], reads: list[list[tuple[int, Value, int, int]]], sub: bool
) -> None:
    """Whatever comes, in one read or many, also a point several times: the same rows leave, in order, flagged alike."""
    deadband, model = _deadband(bands, subscribes=sub), Model(bands, sub)
    for now, read in enumerate(reads):
        rows = [Row(tag, now, value, quality, native) for tag, value, quality, native in read]
        passed = deadband.filter(from_rows(rows), float(now))
        expected = [out for out in (model.take(row, float(now)) for row in rows) if out]
        got = list(passed.columns.rows())
        assert len(got) == len(expected)
        assert all(_same(one, other) for one, other in zip(got, expected, strict=True))
        assert passed.held == len(rows) - len(got)
        assert passed.read == sum(row.flags == 0 for row in got)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200), st.sampled_from([0.0, 0.5, 1000.0]))
def test_what_left_last_is_within_the_deadband_of_what_was_read(values: list[float], band: float) -> None:
    """The low side is never further from the device than the deadband, and hears of each tag in time."""
    deadband = _deadband([band] * POINTS, subscribes=False)
    seen, heard = math.nan, -math.inf
    for now, value in enumerate(values):
        for row in deadband.filter(columns([2], now, [value]), float(now)).columns.rows():
            assert isinstance(row.value, float)
            seen, heard = row.value, now
        assert abs(seen - value) <= band
        assert now - heard < SILENCE_S


def test_rows_without_deadband_are_not_touched() -> None:
    """Without a deadband the very same columns come out."""
    read = columns([0, 1, 2, 3], 5, [1.0, 2, True, "x"])
    assert _deadband([EVERY] * POINTS, subscribes=False).filter(read, 0.0).columns is read


def test_large_integers_differ_by_one() -> None:
    """A change of one beyond 2**53 is a change: distances of integers are exact."""
    deadband = _deadband([0.5] * POINTS, subscribes=False)
    passed = [len(deadband.filter(columns([0], 0, [2**62 + step]), 0.0).columns) for step in (0, 0, 1)]
    assert passed == [1, 0, 1]


def test_memory_of_a_subscription_repeats_each_kind_of_value() -> None:
    """A quiet point is repeated as it left, with its own time as the second one, and only after its silence."""
    deadband = _deadband([EVERY] * POINTS, subscribes=True)
    values: list[Value] = [1.5, 2**62, True, "text"]
    deadband.filter(columns([0, 1, 2, 3], 100, values), 0.0)
    every = np.arange(POINTS, dtype=np.uint32)
    assert len(deadband.silent(every, 200, 4.0)) == 0
    again = list(deadband.silent(every, 300, 4.5).rows())
    assert [row.value for row in again] == values
    assert {(row.time_ns, row.other_ns, row.flags) for row in again} == {(300, 100, Flag.REFRESH)}
    assert len(deadband.silent(every, 400, 5.0)) == 0


def test_point_that_never_came_is_not_repeated() -> None:
    """There is nothing to repeat before the first notification."""
    deadband = _deadband([EVERY] * POINTS, subscribes=True)
    empty: Columns = deadband.silent(np.arange(POINTS, dtype=np.uint32), 0, 1e6)
    assert len(empty) == 0
    assert not (empty.kind == ValueKind.NONE).any()
