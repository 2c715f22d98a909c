"""Whatever the range: a report's numbers are those of the historian's raw samples, counted here one by one."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from portal_plant import SECOND, Clock, Plant

from protocol.content.catalog import Asset, Tag
from protocol.content.sample import Quality, Row
from receiver.outputs.historian.read import Door
from receiver.outputs.historian.views import AbsenceView, SampleView, Scope
from receiver.portal.asset_report.report_gathering import NoSuchAsset, ReportQuestion, gather
from receiver.portal.plant_picture import ViewTime

PUMP = "pump-1"
TAGS = (
    Tag(id=1, asset=PUMP, name="flow", type="float64", unit="m3/h", scan_s=2.0),
    Tag(id=2, asset=PUMP, name="held", type="float64", unit="bar", scan_s=1.0, max_silence_s=50_000.0),
    Tag(id=3, asset=PUMP, name="running", type="bool", scan_s=1.0, max_silence_s=50_000.0),
    Tag(id=4, asset=PUMP, name="note", type="string"),
)
LENGTH_S = 4000
NEAR = 1e-6
"""Lengths of time are counted in doubles, which tell 256 ns apart."""


def plant_of(folder: Path, seed: int) -> tuple[Plant, Clock]:
    """Samples at all sorts of times, some of them bad, some lost."""
    chance, clock = random.Random(seed), Clock()
    plant = Plant(folder, (Asset(name=PUMP, site="north-plant"),), TAGS, clock=clock)
    end = clock()
    for second in range(LENGTH_S, 0, -200):
        if chance.random() < 0.15:
            plant.lose(2)
            continue
        rows = []
        for step in range(200):
            at = end - (second - step) * SECOND + chance.randrange(SECOND)
            bad = chance.random() < 0.05
            quality = Quality.BAD_SENSOR_FAILURE if bad else chance.choice((0, 0, 0, Quality.UNCERTAIN))
            if step % 2 == 0 and chance.random() < 0.9:
                rows.append(Row(1, at, None if bad else chance.uniform(-5, 5), quality))
            if chance.random() < 0.04:
                rows.append(Row(2, at, None if bad else chance.choice((1e308, -2.0, 7.25)), quality))
            if chance.random() < 0.02:
                rows.append(Row(3, at, None if bad else chance.random() < 0.5, quality))
        plant.send(rows or [Row(4, end - second * SECOND, "a")])
    plant.send([Row(number, end - 1, value) for number, value in ((1, 0.5), (2, 1.5), (3, True), (4, "b"))])
    clock.move(2)
    return plant, clock


def counted(
    tag: Tag, after_s: float, samples: Sequence[SampleView], gaps: Sequence[AbsenceView], from_ns: int, to_ns: int
) -> tuple[float | None, float | None, float | None, int, int, float | None]:
    """Least, mean, greatest, usable, bad, known: by the definition, in plain Python."""

    def number(one: SampleView) -> float | None:
        if one.quality >> 30 >= 2 or not isinstance(one.value, (int, float)):
            return None
        return float(one.value) if math.isfinite(one.value) else None

    holds = tag.max_silence_s > tag.scan_s
    inside = [one for one in samples if one.time_ns >= from_ns]
    usable = [one for one in inside if one.quality >> 30 < 2 and one.value is not None]
    pieces: list[tuple[float, float]] = []
    stretches = []
    for gap in gaps:
        stop = to_ns if gap.to_ns is None else gap.to_ns
        after = min([one.time_ns for one in samples if one.time_ns >= stop], default=to_ns)
        stretches.append((gap.from_ns, stop if not holds else min(after, stop + tag.max_silence_s * 1e9)))
    for at, one in enumerate(samples):
        value = number(one)
        begin = float(max(one.time_ns, from_ns))
        end = float(samples[at + 1].time_ns if at + 1 < len(samples) else to_ns)
        end = min(end, to_ns) if holds else min(end, to_ns, one.time_ns + after_s * 1e9)
        if value is None or end <= begin:
            continue
        cuts = {begin, end, *(min(max(float(edge), begin), end) for stretch in stretches for edge in stretch)}
        edges = sorted(cuts)
        for first, last in pairwise(edges):
            if not any(low <= (first + last) / 2 <= high for low, high in stretches):
                pieces.append((value, last - first))
    numbers = [one for one in map(number, inside) if one is not None]
    weighed = pieces if holds and pieces else [(one, 1.0) for one in numbers]
    total = sum(weight for _, weight in weighed)
    mean = math.fsum(value * (weight / total) for value, weight in weighed) if weighed else None
    seen = numbers + [value for value, _ in pieces] if holds else numbers
    known = None if tag.type == "string" else sum(length for _, length in pieces) / (to_ns - from_ns)
    least, most = (min(seen), max(seen)) if seen else (None, None)
    return least, mean, most, len(usable), len(inside) - len(usable), known


@pytest.mark.parametrize("seed", range(2))
def test_the_numbers_of_any_range_are_those_of_the_raw_samples(tmp_path: Path, seed: int) -> None:
    """Least, mean and greatest, counts, and the share of time that is known; the seed is the test's own number."""
    plant, clock = plant_of(tmp_path, seed)
    door = Door(plant.history, Scope(), clock=clock)
    chance, now_ns = random.Random(f"ranges {seed}"), clock()
    for _ in range(15):
        from_ns = now_ns - chance.randrange(LENGTH_S + 500) * SECOND - chance.randrange(SECOND)
        to_ns = from_ns + chance.choice((1, 30, 600, LENGTH_S)) * SECOND + chance.randrange(SECOND)
        question = ReportQuestion(asset=PUMP, from_ns=from_ns, to_ns=to_ns)
        report = gather(door, question, ViewTime(now_ns, now_ns, 0.5), whole=True)
        end = max(min(to_ns, now_ns), from_ns)
        assert report.end_ns == end
        for one in report.tags:
            tag, series = one.live_tag.tag, one.live_tag.series
            before = door.samples(series, 0, from_ns, 1)
            samples = [*before, *door.samples(series, from_ns, end, None)]
            gaps = door.absences(from_ns, to_ns)
            expected = counted(tag, one.live_tag.after_s, samples, gaps, from_ns, end) if end > from_ns else None
            figures = one.figures
            if expected is None:
                assert (figures.count, figures.bad, figures.known) == (0, 0, None)
                continue
            low, mean, high, count, bad, known = expected
            assert (figures.low, figures.high, figures.count, figures.bad) == (low, high, count, bad), tag.name
            assert figures.mean == (None if mean is None else pytest.approx(mean, rel=NEAR, abs=NEAR)), tag.name
            assert low is None or high is None or figures.mean is None or low <= figures.mean <= high, tag.name
            assert figures.known == (None if known is None else pytest.approx(known, abs=NEAR)), tag.name
    door.close()
    plant.close()


def test_what_is_outside_the_scope_is_not_there(tmp_path: Path) -> None:
    """Neither an asset nor a tag, whether there is one or not."""
    plant, clock = plant_of(tmp_path, 1)
    at, named = ViewTime(clock(), clock(), None), frozenset({"other"})
    cut = frozenset({(PUMP, "flow")})
    for scope, tags in ((Scope(assets=named), ()), (Scope(), ("nothing",)), (Scope(tags=cut), ("held",))):
        door = Door(plant.history, scope, clock=clock)
        question = ReportQuestion(asset=PUMP, tags=tags, from_ns=clock() - 60 * SECOND, to_ns=clock())
        with pytest.raises(NoSuchAsset):
            gather(door, question, at, whole=scope.whole)
        door.close()
    plant.close()
