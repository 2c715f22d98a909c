"""Laws of stretches: how long a quality stood is exactly what going through the samples one by one gives."""

from __future__ import annotations

import random
from itertools import groupby
from pathlib import Path

import pytest
from history_blocks import ALL, SECOND, T0, batch, block, opened, shrink, stream

from protocol.content.sample import Row, severity
from receiver.outputs.base import OpenedBlock
from receiver.outputs.historian.answers import qualities
from receiver.outputs.historian.answers.qualities import QualityStretch, TimeMarks
from receiver.outputs.historian.read import Door
from receiver.outputs.historian.views import SampleView

UNCERTAIN, BAD, TIMEOUT = 0x40900000, 0x80000000, 0x800A0000


def grade(sample: SampleView) -> int:
    """Bad also where no value can be used."""
    return 2 if sample.value is None else severity(sample.quality)


def gone_through(samples: list[SampleView], from_ns: int, to_ns: int) -> TimeMarks:
    """The same, worked out one sample at a time."""
    inside = [one for one in samples if from_ns <= one.time_ns < to_ns]
    runs = [list(group) for _, group in groupby(inside, grade)]
    stretches = [
        QualityStretch(
            grade=grade(run[0]),
            from_ns=run[0].time_ns,
            to_ns=after[0].time_ns if after else None,
            quality=run[0].quality,
            native=run[0].native,
            samples=len(run),
            mixed=len({one.quality for one in run}) > 1,
        )
        for run, after in zip(runs, [*runs[1:], []], strict=True)
        if grade(run[0])
    ]
    late = [list(group) for healed, group in groupby(inside, lambda one: one.healed) if healed]
    return TimeMarks(stretches=tuple(stretches), healed=tuple((run[0].time_ns, run[-1].time_ns) for run in late))


def mostly_good(chance: random.Random, blocks: int) -> list[OpenedBlock]:
    """Twenty samples a block at one in two seconds; now and then some in a row that are not good."""
    out = []
    fault = 0
    for number in range(blocks):
        begin = T0 + number * 40 * SECOND
        rows = []
        for at in range(20):
            if chance.random() < 0.01:
                fault = chance.choice((UNCERTAIN, BAD, TIMEOUT))
            elif chance.random() < 0.3:
                fault = 0
            value = None if fault == TIMEOUT else float(at)
            rows.append(Row(0, begin + at * 2 * SECOND + chance.randrange(SECOND), value, fault, fault and 7))
        out.append(block(stream(), number, batch(rows), healed=chance.random() < 0.1))
    return out


@pytest.mark.parametrize("seed", range(6))
def test_stretches_and_healed_times_are_what_going_through_the_samples_gives(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the nanosecond, in whatever order the blocks came, hot or sealed, looked into or opened."""
    shrink(monkeypatch)
    monkeypatch.setattr(qualities, "MOST_LOOKED", 10**6)
    chance = random.Random(seed)
    output = opened(tmp_path)
    blocks = mostly_good(chance, 60)
    for one in [*(one for one in blocks if not one.healed), *(one for one in blocks if one.healed)]:
        output.take([one], b"x")
    assert output.status()["chunks"]
    door = Door(tmp_path, ALL)
    series = door.tags("pump-7")[0].series
    samples = door.samples(series, -(2**62), 2**62, None)
    assert gone_through(samples, -(2**62), 2**62).stretches, f"seed {seed}"
    for _ in range(20):
        from_ns = T0 + chance.randrange(2400) * SECOND
        to_ns = from_ns + chance.randrange(1, 2400) * SECOND
        assert door.time_marks(series, from_ns, to_ns) == gone_through(samples, from_ns, to_ns), f"seed {seed}"
    assert door.time_marks(series, T0 - 9 * SECOND, T0 - SECOND) == TimeMarks()  # nothing there
    output.close()
    door.close()


def test_of_a_long_range_bad_is_told_in_all_of_it_and_the_rest_from_where_it_was_looked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What takes opening is bounded, and the answer says from when on it was done."""
    shrink(monkeypatch)
    monkeypatch.setattr(qualities, "MOST_LOOKED", 4)
    chance = random.Random(3)
    output = opened(tmp_path)
    for one in mostly_good(chance, 60):
        output.take([one], b"x")
    door = Door(tmp_path, ALL)
    series = door.tags("pump-7")[0].series
    whole = gone_through(door.samples(series, -(2**62), 2**62, None), T0, T0 + 2400 * SECOND)
    told = door.time_marks(series, T0, T0 + 2400 * SECOND)
    assert T0 < told.looked_ns < T0 + 2400 * SECOND
    bad = [one.from_ns for one in whole.stretches if one.grade == 2]
    assert [one.from_ns for one in told.stretches if one.grade == 2] == bad
    assert min(bad) < told.looked_ns
    looked = [one for one in whole.stretches if one.from_ns > told.looked_ns]
    assert [one for one in told.stretches if one.from_ns > told.looked_ns] == looked
    output.close()
    door.close()
