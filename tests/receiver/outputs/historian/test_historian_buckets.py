"""Laws of the chart: buckets tell exactly what plain counting over the samples tells, by summary or by row."""

from __future__ import annotations

import math
import random
import sqlite3
import statistics
from pathlib import Path

import numpy as np
import pytest
from history_blocks import ALL, SECOND, T0, batch, block, opened, shrink, some_blocks, some_value, stream

from protocol.content.sample import Row, severity
from receiver.outputs.base import OpenedBlock
from receiver.outputs.historian.codec import chunk
from receiver.outputs.historian.codec.rollup import CELL_NS
from receiver.outputs.historian.hot import shelves
from receiver.outputs.historian.read import Door
from receiver.outputs.historian.schema import month_paths
from receiver.outputs.historian.views import SampleView, Trend


def counted(
    samples: list[SampleView], from_ns: int, to_ns: int, buckets: int, *, width: int = 0
) -> dict[int, tuple[float, ...]]:
    """By bucket start: low, high, mean, first, last, count, bad, worked out one sample at a time.

    Args:
        width: Of buckets from the beginning of a cell on [ns]; 0: the range cut evenly.
    """
    begin_ns = from_ns // CELL_NS * CELL_NS if width else from_ns
    width = width or -(-(to_ns - from_ns) // buckets)
    held: dict[int, list[SampleView]] = {}
    for sample in samples:
        if from_ns <= sample.time_ns < to_ns:
            held.setdefault(begin_ns + (sample.time_ns - begin_ns) // width * width, []).append(sample)
    out: dict[int, tuple[float, ...]] = {}
    for start, inside in held.items():
        usable = [one.value for one in inside if severity(one.quality) < 2 and one.value is not None]
        numbers = [float(value) for value in usable if not isinstance(value, str)]
        told = (min(numbers), max(numbers), statistics.fmean(numbers)) if numbers else (math.nan,) * 3
        ends = (numbers[0], numbers[-1]) if numbers else (math.nan,) * 2
        out[start] = (*told, *ends, len(usable), len(inside) - len(usable))
    return out


def told(trend: Trend) -> dict[int, tuple[float, ...]]:
    """The trend in the same form."""
    columns = (trend.low, trend.high, trend.mean, trend.first, trend.last, trend.count, trend.bad)
    return dict(zip(trend.start_ns.tolist(), zip(*(column.tolist() for column in columns), strict=True), strict=True))


def without_ends(bucket: tuple[float, ...]) -> tuple[float, ...]:
    """The bucket without its first and last value."""
    return bucket[:3] + bucket[5:]


@pytest.mark.parametrize("seed", range(6))
def test_trend_is_what_counting_the_samples_gives(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For every kind of value and any range and width, whether rows are hot, opened or summed up in a chunk."""
    shrink(monkeypatch)
    chance = random.Random(seed)
    blocks = some_blocks(chance, stream(), 60, 20)
    output = opened(tmp_path)
    for one in chance.sample(blocks, len(blocks)):
        output.take([one], b"x")
    assert output.status()["chunks"]
    door = Door(tmp_path, ALL)
    for view in [view for asset in ("pump-7", "relay-2", "press-1") for view in door.tags(asset)]:
        samples = door.samples(view.series, -(2**62), 2**62, None)
        for _ in range(6):
            from_ns = T0 + chance.randrange(-5 * SECOND, 40 * SECOND)
            to_ns = from_ns + chance.randrange(1, 60 * SECOND)
            buckets = chance.choice([1, 2, 7, 100, 5000])
            want = counted(samples, from_ns, to_ns, buckets)
            have = told(door.trend(view.series, from_ns, to_ns, buckets))
            assert have.keys() == want.keys(), f"seed {seed}"
            for start, values in want.items():
                told_of = without_ends(have[start])  # times repeat: which is the first of them is not said
                assert told_of == pytest.approx(without_ends(values), nan_ok=True), f"seed {seed} {view.tag.name}"
    output.close()
    door.close()


HOUR = 3600 * SECOND


def spread_out(chance: random.Random, days: int) -> list[OpenedBlock]:
    """Blocks of rows of five tags, whose times are spread over days; all times differ."""
    out = []
    span = days * 24 * HOUR // 40
    for number in range(40):
        at = T0 + number * span
        times = sorted(chance.sample(range(span), 60))
        made = []
        for time_ns in times:
            tag = chance.randrange(5)
            value = some_value(chance, tag)
            quality = 0x80050000 if value is None else chance.choice([0, 0, 0, 0x40900000, 0x80000000])
            made.append(Row(tag, at + time_ns, value, quality))
        out.append(block(stream(), number, batch(made, at, at + span), healed=chance.random() < 0.3))
    return out


@pytest.mark.parametrize("seed", range(3))
def test_a_wide_trend_is_what_counting_gives_whatever_came_late(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Roll-ups of chunks that overlap because blocks came late and healed add up to what the samples say."""
    shrink(monkeypatch)
    chance = random.Random(seed)
    blocks = spread_out(chance, 40)
    late = set(chance.sample(range(40), 10))
    output = opened(tmp_path)
    for which in (False, True):
        for one in blocks:
            if (one.number in late) == which:
                output.take([one], b"x")
        output.retain(T0, 1e8)
        while output.step(0.0) == 0.0:
            pass
    for one in chance.sample(blocks, 5):
        output.take([one], b"x")
    door = Door(tmp_path, ALL)
    for view in [view for asset in ("pump-7", "relay-2", "press-1") for view in door.tags(asset)]:
        samples = door.samples(view.series, -(2**62), 2**62, None)
        for _ in range(6):
            from_ns = T0 + chance.randrange(-5 * HOUR, 400 * HOUR)
            to_ns = from_ns + chance.randrange(10 * HOUR, 1000 * HOUR)
            buckets = chance.choice([1, 2, 7, 100])
            trend = door.trend(view.series, from_ns, to_ns, buckets)
            assert len(trend.start_ns) <= buckets
            wide = (to_ns - from_ns) // buckets > HOUR
            assert trend.width_ns % CELL_NS == 0 or not wide
            want = counted(samples, from_ns, to_ns, buckets, width=trend.width_ns if wide else 0)
            have = told(trend)
            assert have.keys() == want.keys(), f"seed {seed}"
            for start, values in want.items():
                assert have[start] == pytest.approx(values, nan_ok=True), f"seed {seed} {view.tag.name} {start}"
    assert {sample.healed for sample in samples} == {False, True}
    output.close()
    door.close()


def test_a_year_is_drawn_without_opening_its_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of some hundred chunks none is opened but those that an end of the range cuts."""
    monkeypatch.setattr(shelves, "SEAL_ROWS", 2048)
    output = opened(tmp_path)
    for number in range(100):
        at = T0 + number * 4 * 24 * HOUR
        rows = [Row(0, at + row * 4 * 24 * HOUR // 4096, float(row % 100)) for row in range(4096)]
        output.take([block(stream(), number, batch(rows))], b"x")
    output.retain(T0, 1e8)
    while output.step(0.0) == 0.0:
        pass
    assert output.status()["chunks"] > 150
    opens: list[bytes] = []
    readings = chunk.readings

    def counting(body: bytes) -> chunk.ChartRows:
        opens.append(body)
        return readings(body)

    monkeypatch.setattr(chunk, "readings", counting)
    door = Door(tmp_path, ALL)
    series = door.tags("pump-7")[0].series
    trend = door.trend(series, T0 + HOUR, T0 + 365 * 24 * HOUR + HOUR, 1000)
    assert 900 < len(trend.start_ns) <= 1000
    assert len(opens) <= 2
    assert trend.low.min() == 0.0
    assert trend.high.max() == 99.0
    output.close()
    door.close()


def test_a_spike_of_one_sample_is_never_hidden(tmp_path: Path) -> None:
    """Among ten thousand samples in two buckets the one excursion is the greatest value of its bucket."""
    output = opened(tmp_path)
    rows = [Row(0, T0 + at * SECOND, 999.0 if at == 6001 else 4.0) for at in range(10_000)]
    for number in range(10):
        output.take([block(stream(), number, batch(rows[number * 1000 : number * 1000 + 1000]))], b"x")
    while output.step(0.0) < 3600:
        pass
    door = Door(tmp_path, ALL)
    trend = door.trend(door.tags("pump-7")[0].series, T0, T0 + 10_000 * SECOND, 2)
    assert trend.high.tolist() == [4.0, 999.0]
    assert trend.count.sum() == 10_000
    output.close()
    door.close()


def test_what_is_no_number_is_bad_and_never_drawn(tmp_path: Path) -> None:
    """NaN, infinities, missing values and bad quality count as bad; uncertain values are drawn."""
    output = opened(tmp_path)
    values = [(1.0, 0), (math.nan, 0), (math.inf, 0), (None, 0x80050000), (7.0, 0x80000000), (3.0, 0x40900000)]
    rows = [Row(0, T0 + at, value, quality) for at, (value, quality) in enumerate(values)]
    output.take([block(stream(), 0, batch(rows))], b"x")
    door = Door(tmp_path, ALL)
    trend = door.trend(door.tags("pump-7")[0].series, T0, T0 + SECOND, 1)
    assert told(trend) == {T0: (1.0, 3.0, 2.0, 1.0, 3.0, 2, 4)}
    output.close()
    door.close()


def test_unsigned_counters_are_drawn_as_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A uint64 above 2**63 is a large number, hot and sealed, never a negative one."""
    shrink(monkeypatch)
    output = opened(tmp_path)
    for number in range(20):
        rows = [Row(2, T0 + number * SECOND + at, 2**64 - 1 - at) for at in range(10)]
        output.take([block(stream(), number, batch(rows))], b"x")
    assert output.status()["chunks"]
    door = Door(tmp_path, ALL)
    (view,) = door.tags("relay-2")
    assert door.latest()[0][0].value == 2**64 - 10
    assert {sample.value for sample in door.samples(view.series, 0, 2**62, None)} == {
        2**64 - 1 - at for at in range(10)
    }
    for buckets in (1, 1000):
        trend = door.trend(view.series, T0, T0 + 20 * SECOND, buckets)
        assert np.isclose(trend.low.min(), 2.0**64)
        assert np.isclose(trend.high.max(), 2.0**64)
    output.close()
    door.close()


def test_trend_carries_the_gaps_of_its_range(tmp_path: Path) -> None:
    """A hole in the block numbers is told beside the buckets, not left to be guessed from them."""
    output = opened(tmp_path)
    made = [block(stream(), n, batch([Row(0, T0 + n * SECOND, 1.0)])) for n in (0, 1, 5)]
    output.take(made, b"x")
    door = Door(tmp_path, ALL, clock=lambda: T0 + 3600 * SECOND)
    series = door.tags("pump-7")[0].series
    assert [gap.blocks for gap in door.trend(series, T0, T0 + 60 * SECOND, 10).absences] == [3]
    assert door.trend(series, T0 + 10 * SECOND, T0 + 60 * SECOND, 10).absences == []
    output.close()
    door.close()


@pytest.mark.parametrize("limit", [1, 3, 17, 10_000])
def test_limited_samples_are_the_newest(limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit takes the newest of the range, in order, however they lie in overlapping chunks."""
    shrink(monkeypatch)
    chance = random.Random(limit)
    blocks = some_blocks(chance, stream(), 60, 20)
    output = opened(tmp_path)
    for one in chance.sample(blocks, len(blocks)):
        output.take([one], b"x")
    door = Door(tmp_path, ALL)
    for view in door.tags("press-1"):
        whole = door.samples(view.series, T0 + 5 * SECOND, T0 + 50 * SECOND, None)
        assert door.samples(view.series, T0 + 5 * SECOND, T0 + 50 * SECOND, limit) == whole[-limit:]
    output.close()
    door.close()


def test_a_roll_up_that_does_not_fit_its_chunk_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells of another time, of too few rows, cut short or none at all: summary or rows give the same answer."""
    shrink(monkeypatch)
    output = opened(tmp_path)
    for one in spread_out(random.Random(4), 40):
        output.take([one], b"x")
    output.close()
    (month,) = month_paths(tmp_path)
    door = Door(tmp_path, ALL)
    series = door.tags("pump-7")[0].series
    span = (T0 - HOUR, T0 + 41 * 24 * HOUR, 100)
    want = told(door.trend(series, *span))
    door.close()
    for hurt in (b"\xff" * 60, b"\x01" + b"\0" * 59, b"\0" * 7, "text", b""):
        with sqlite3.connect(month) as write:
            write.execute("UPDATE chunk SET cells = CAST(? AS BLOB)", (hurt,))
        write.close()
        door = Door(tmp_path, ALL)
        have = told(door.trend(series, *span))
        door.close()
        assert have.keys() == want.keys()
        for start, values in want.items():
            assert without_ends(have[start]) == pytest.approx(without_ends(values), nan_ok=True)
