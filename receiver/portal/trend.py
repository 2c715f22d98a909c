"""One tag's history as the chart draws it: buckets with their lowest, highest and mean value, and what is missing.

Two things that look alike on a naive chart are kept apart here:

    gap       blocks of the link are missing: the plant measured, the samples did not arrive (yet)
    silence   nothing is missing from the link, but the tag was not renewed for longer than it ever should be

and a third is marked: a change, from where on the tag has another unit, type, address or scale. All versions are one
trend.

The mean of samples whose sum is beyond a double is not known: the line is drawn in the middle of its band then, and no
number is told for it.

Where either stands, the line is broken by an empty point; elsewhere neighbouring points are joined. A tag that is sent
on change holds its value: what only renews it is no history, so an hour without a sample may be an hour without a
change, and only the time since its last renewal can be a silence. Times are milliseconds since 1970, as JavaScript
counts.

Over all of it lie the bands (`charting/bands.py`): when its value was bad or uncertain, to the sample, not to the
bucket. And beside each point stand the first and the last value of its bucket with their own times, so that a cursor
can tell the value that stood at a moment: never the next one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from protocol.content.array import Array
from protocol.content.sample import severity
from protocol.errors import StoreError
from receiver.outputs.historian.answers.qualities import TimeMarks
from receiver.outputs.historian.read import Door
from receiver.outputs.historian.views import AbsenceView, SampleView, Trend
from receiver.portal import words
from receiver.portal.charting.bands import Band, BandRange, bands
from receiver.portal.freshness import beat_lost
from receiver.portal.plant_picture import LiveTag, ViewTime

MOST_BUCKETS = 4000
"""More than any screen is wide; bounds the work of one request."""

MOST_NOTES = 100
"""Rows of the list beside the chart."""

NO_MARKS = TimeMarks()

LONGEST_S = 400 * 86400.0
"""Longest range of one request [s]: the default retention of the history."""


@dataclass(frozen=True, slots=True)
class Interruption:
    """A time without samples, in which the line is broken."""

    kind: str
    """`gap`, `silence` or `change`, as above."""
    from_ms: float
    to_ms: float | None
    """None while it lasts."""
    text: str
    """The reason, for the chart's label and the table."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A trend ready to be drawn; the arrays are equally long, an empty point is NaN in all but `at_ms`."""

    at_ms: Array
    low: Array
    high: Array
    mean: Array
    count: Array
    bad: Array
    """Samples in the bucket without a usable value; `count` holds the others."""
    first: Array
    """The first usable value of the bucket by its time, `first_ms`; NaN where it is not known."""
    last: Array
    first_ms: Array
    last_ms: Array
    interruptions: tuple[Interruption, ...]
    width_ms: float
    """How much time a bucket spans [ms]."""
    bands: tuple[Band, ...] = ()
    """When the value was bad or uncertain."""
    healed: tuple[tuple[float, float], ...] = ()
    """From when to when samples came later [ms]."""
    marked_ms: float = 0.0
    """From here on uncertain and healed samples are told; bad ones in all of the range."""

    @property
    def notes(self) -> list[Interruption]:
        """What of the range is missing, not to be relied on, or came later, by its begin; at most `MOST_NOTES`."""
        found = [
            *self.interruptions,
            *(Interruption(one.grade, one.from_ms, one.to_ms, one.text) for one in self.bands),
            *(
                Interruption("healed", start, stop, f"Healed: {words.span((stop - start) / 1e3)} of samples came later")
                for start, stop in self.healed
            ),
        ]
        return sorted(found, key=lambda one: one.from_ms)[:MOST_NOTES]

    def to_json(self) -> dict[str, Any]:
        """As `/api/trend` sends it; NaN becomes null in the encoder."""
        return {
            "width_ms": self.width_ms,
            "at_ms": self.at_ms,
            "low": self.low,
            "high": self.high,
            "mean": self.mean,
            "count": self.count,
            "bad": self.bad,
            "first": self.first,
            "last": self.last,
            "first_ms": self.first_ms,
            "last_ms": self.last_ms,
            "bands": [one.to_json() for one in self.bands],
            "healed": [{"from_ms": start, "to_ms": stop} for start, stop in self.healed],
            "marked_ms": self.marked_ms,
            "holes": [
                {"kind": one.kind, "from_ms": one.from_ms, "to_ms": one.to_ms, "text": one.text}
                for one in self.interruptions
            ],
        }


@dataclass(frozen=True, slots=True)
class RangeSummary:
    """The range in numbers, for the table beside the chart; None where no sample has a value."""

    low: float | None
    high: float | None
    mean: float | None
    count: int
    """Samples with a usable value."""
    bad: int
    """The others."""
    last: SampleView | None = None
    """The value that stood at its end: its last sample, or the one before it that the tag still held."""

    @property
    def numbers(self) -> dict[str, Any]:
        """All but the last, as JSON has them."""
        return {name: getattr(self, name) for name in ("low", "high", "mean", "count", "bad")}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendQuestion:
    """What a trend was asked for, and what is known beside it."""

    from_ns: int
    """Start of the range [ns since 1970 UTC]."""
    to_ns: int
    """Its end, may lie in the future."""
    buckets: int
    """How many were asked for."""
    now_ns: int
    """The low side's wall time; nothing after it can be missing."""
    link_silent: bool
    """The beat is lost at this moment: then a silence that lasts is the link's, not the tag's."""
    after_s: float
    """Silence after which the tag is stale [s]."""
    holds: bool
    """Its value stands until the next sample: no sample for an hour may be an hour without a change."""
    seen_ns: int
    """When it was last renewed, by the clock as it is set now; 0 where it never was."""
    collector: str = ""
    """The protocol it is read by: names the native codes."""

    @property
    def end(self) -> int:
        """End of what can be known [ns since 1970 UTC]."""
        return min(self.to_ns, self.now_ns)

    def longest(self, width: int) -> float:
        """Longest stretch between two points that is no silence [ns].

        Args:
            width: Of one bucket [ns].
        """
        return max(self.after_s * 1e9, 2.0 * width)


def question(live_tag: LiveTag, at: ViewTime, *, from_ns: int, to_ns: int, buckets: int) -> TrendQuestion:
    """What is asked of a tag, at a moment."""
    return TrendQuestion(
        from_ns=from_ns,
        to_ns=to_ns,
        buckets=buckets,
        now_ns=at.now_ns,
        link_silent=beat_lost(at.beat_age_s),
        after_s=live_tag.after_s,
        holds=live_tag.holds,
        seen_ns=at.now_ns - (at.steady_ns - live_tag.seen_ns) if live_tag.seen_ns else 0,
        collector=live_tag.collector,
    )


def fetch(door: Door, series: int, asked: TrendQuestion) -> tuple[Trend, SampleView | None]:
    """The trend, and the last sample before it where the range does not begin with one."""
    trend = door.trend(series, asked.from_ns, asked.to_ns, asked.buckets, versions=True)
    first = int(trend.start_ns[0]) if len(trend.start_ns) else asked.end
    if first - asked.from_ns <= (trend.width_ns if asked.holds else asked.longest(trend.width_ns)):
        return trend, None
    try:
        before = door.samples(series, asked.from_ns - round(LONGEST_S * 1e9), asked.from_ns, 1)
    except StoreError:
        return trend, None  # damage outside of the range is no damage to it
    return trend, before[0] if before else None


def fetch_marks(door: Door, series: int, before: SampleView | None, asked: TrendQuestion) -> TimeMarks:
    """When the tag was bad or uncertain in the range, also by a sample before it, and what of it was healed."""
    from_ns = asked.from_ns - round(asked.after_s * 1e9)
    if before is not None and (before.value is None or severity(before.quality)):
        from_ns = min(from_ns, before.time_ns)
    return door.time_marks(series, from_ns, asked.to_ns)


def fetch_last(door: Door, series: int, before: SampleView | None, asked: TrendQuestion) -> SampleView | None:
    """The sample that stood at the end of the range; of a tag that holds its value also one from before it."""
    found = door.samples(series, asked.from_ns, asked.to_ns, 1)
    return found[0] if found else before if asked.holds else None


def fetch_all(
    door: Door, series: int, asked: TrendQuestion
) -> tuple[Trend, SampleView | None, SampleView | None, TimeMarks]:
    """What a chart of one tag is made of: the trend, the sample before it, the one that stood at its end, the marks."""
    trend, before = fetch(door, series, asked)
    return trend, before, fetch_last(door, series, before, asked), fetch_marks(door, series, before, asked)


def curve(trend: Trend, before: SampleView | None, asked: TrendQuestion, marks: TimeMarks = NO_MARKS) -> Curve:
    """Shape a trend for the chart.

    Args:
        trend: As `fetch` gave it.
        before: The last sample before the range, None where there is none or none is needed.
        asked: The question.
        marks: As `fetch_marks` gave them.
    """
    width = trend.width_ns
    start = np.asarray(trend.start_ns, np.int64)
    at = start.astype(np.float64) + width / 2
    gaps = [link_gap(gap, float(asked.end)) for gap in trend.absences]
    silences = _silences(at, asked, width, gaps, begun=before is not None)
    interruptions = sorted([*gaps, *silences], key=lambda one: one.from_ms)
    changes = [Interruption("change", one.at_ns / 1e6, one.at_ns / 1e6, one.text) for one in trend.changes]
    places = np.array([one.place for one in trend.changes], np.int64)
    breaks = np.union1d(_breaks(start, width, interruptions), places)
    interruptions = sorted([*interruptions, *changes], key=lambda one: one.from_ms)
    drawn = {"low": trend.low, "high": trend.high, "mean": _middling(trend), "first": trend.first, "last": trend.last}
    known = ~np.isnan(np.asarray(trend.low, np.float64))
    for name in ("first_ns", "last_ns"):
        drawn[name] = np.where(known, np.asarray(getattr(trend, name), np.float64), math.nan)
    columns = {name: _opened(column, breaks, math.nan) for name, column in drawn.items()}
    columns |= {name: _opened(getattr(trend, name), breaks, 0) for name in ("count", "bad")}
    columns["at"] = np.insert(at, breaks, [_middle(at, place) for place in breaks.tolist()])
    if asked.holds:
        columns = _held_until_bad(columns, width)
        columns = _drawn_on(columns, before, interruptions, asked)
    absent = [(one.from_ms * 1e6, math.inf if one.to_ms is None else one.to_ms * 1e6) for one in gaps]
    cut = BandRange(
        from_ns=asked.from_ns, to_ns=asked.to_ns, now_ns=asked.now_ns, gaps=absent, collector=asked.collector
    )
    return Curve(
        at_ms=columns.pop("at") / 1e6,
        first_ms=columns.pop("first_ns") / 1e6,
        last_ms=columns.pop("last_ns") / 1e6,
        **columns,
        interruptions=tuple(interruptions),
        width_ms=width / 1e6,
        bands=bands(marks, cut),
        healed=tuple((start / 1e6, stop / 1e6) for start, stop in marks.healed if stop >= asked.from_ns),
        marked_ms=max(marks.looked_ns, asked.from_ns) / 1e6,
    )


def summary(trend: Trend, last: SampleView | None = None) -> RangeSummary:
    """The range in numbers; the mean is over samples, not over time.

    Args:
        trend: As `fetch` gave it.
        last: As `fetch_last` gave it.
    """
    count = np.asarray(trend.count, np.int64)
    valued = np.isfinite(np.asarray(trend.low, np.float64)) & (count > 0)
    some = bool(valued.any())
    return RangeSummary(
        low=float(np.asarray(trend.low)[valued].min()) if some else None,
        high=float(np.asarray(trend.high)[valued].max()) if some else None,
        mean=_mean(np.asarray(trend.mean, np.float64)[valued], count[valued]) if some else None,
        count=int(count.sum()),
        bad=int(np.asarray(trend.bad, np.int64).sum()),
        last=last,
    )


def _mean(means: Array, count: Array) -> float | None:
    """Of all samples, None where it is not known; by shares, because a sum may not fit."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float((means * (count / count.sum())).sum())
    return mean if math.isfinite(mean) else None


def _middling(trend: Trend) -> Array:
    low, high, mean = (np.asarray(column, np.float64) for column in (trend.low, trend.high, trend.mean))
    return np.where(np.isfinite(mean) | np.isnan(low), mean, low / 2 + high / 2)


def link_gap(gap: AbsenceView, end: float) -> Interruption:
    """A gap of the link, or damage of the history, as a chart tells it; `end` of what can be known [ns]."""
    to_ns = gap.to_ns
    length = ((end if to_ns is None else to_ns) - gap.from_ns) / 1e9
    blocks = f"{words.count(gap.blocks)} block{'' if gap.blocks == 1 else 's'} missing"
    return Interruption(
        kind="gap",
        from_ms=gap.from_ns / 1e6,
        to_ms=None if to_ns is None else to_ns / 1e6,
        text=gap.damage or f"Link gap {words.span(max(length, 0.0))}, {blocks}",
    )


def _silences(
    at: Array, asked: TrendQuestion, width: int, gaps: Sequence[Interruption], *, begun: bool
) -> list[Interruption]:
    """Stretches that are too long without a point and that no gap explains.

    Of a tag that holds its value only the last one is known: since its last renewal. Before the first sample of all
    there is no silence, only nothing.
    """
    longest = asked.longest(width)
    edges = np.concatenate(([float(asked.from_ns)], at, [float(asked.end)]))
    places = np.flatnonzero(np.diff(edges) > longest).tolist()
    if asked.holds:
        edges[-2] = min(max(edges[-2], float(asked.seen_ns)), edges[-1])
        places = [len(edges) - 2] if edges[-1] - edges[-2] > longest else []
    found = []
    for place in places:
        if place == 0 and not begun and not (asked.holds and asked.seen_ns):
            continue
        for start, stop in _without(float(edges[place]), float(edges[place + 1]), gaps):
            if stop - start > longest:
                lasts = stop == asked.end
                length = words.span((stop - start) / 1e9)
                if lasts and asked.link_silent:
                    found.append(Interruption("gap", start / 1e6, None, f"No samples for {length}, the link is silent"))
                else:
                    text = f"No samples for {length}, nothing missing from the link"
                    found.append(Interruption("silence", start / 1e6, None if lasts else stop / 1e6, text))
    return found


def _held_until_bad(columns: dict[str, Array], width: int) -> dict[str, Array]:
    """Draw a held value on to where the tag turns bad: that point has no value, and the line would end long before."""
    mean, bad = columns["mean"], columns["bad"]
    turns = 1 + np.flatnonzero(np.isfinite(mean[:-1]) & ~np.isfinite(mean[1:]) & (bad[1:] > 0))
    fill = dict.fromkeys(("low", "high", "mean", "first", "last"), columns["last"][turns - 1])
    fill |= dict.fromkeys(("first_ns", "last_ns"), columns["last_ns"][turns - 1])
    fill |= {"at": columns["at"][turns] - width / 2, "count": np.zeros(len(turns)), "bad": np.zeros(len(turns))}
    return {name: np.insert(column, turns, fill[name]) for name, column in columns.items()}


def _drawn_on(
    columns: dict[str, Array], before: SampleView | None, interruptions: Sequence[Interruption], asked: TrendQuestion
) -> dict[str, Array]:
    """Draw a held value on: from before the range to its start, and from the last sample to the last renewal.

    Not over an interruption: what was lost in it may have changed the value.
    """
    first = columns["at"][0] if len(columns["at"]) else float(asked.end)
    value = _number(before)
    stood = first > asked.from_ns and not _overlap(interruptions, asked.from_ns, first)
    if before is not None and value is not None and stood:
        columns = _beside(columns, 0, float(asked.from_ns), value, float(before.time_ns))
    at, mean, last = columns["at"], columns["mean"], float(min(asked.end, asked.seen_ns))
    if len(at) and last > at[-1] and math.isfinite(mean[-1]) and not _overlap(interruptions, at[-1], last):
        value, known_ns = float(columns["last"][-1]), float(columns["last_ns"][-1])
        columns = _beside(columns, len(at), last, float(mean[-1]) if math.isnan(value) else value, known_ns)
    return columns


def _overlap(interruptions: Sequence[Interruption], start: float, stop: float) -> bool:
    return any(one.from_ms * 1e6 < stop and (one.to_ms is None or one.to_ms * 1e6 > start) for one in interruptions)


def _number(sample: SampleView | None) -> float | None:
    """The sample's value where it is usable and a number."""
    if sample is None or not isinstance(sample.value, (int, float)) or severity(sample.quality) == 2:
        return None
    return float(sample.value) if math.isfinite(sample.value) else None


def _beside(columns: dict[str, Array], place: int, at: float, value: float, known_ns: float) -> dict[str, Array]:
    """A point that stands for no sample of its own, but for one at `known_ns` that still holds."""
    fill = dict.fromkeys(("low", "high", "mean", "first", "last"), value)
    fill |= {"at": at, "first_ns": known_ns, "last_ns": known_ns, "count": 0, "bad": 0}
    return {name: np.insert(column, place, fill[name]) for name, column in columns.items()}


def _without(start: float, stop: float, gaps: Sequence[Interruption]) -> list[tuple[float, float]]:
    """What remains of `start` to `stop` [ns] beside the gaps."""
    left = []
    for gap in sorted(gaps, key=lambda one: one.from_ms):
        if gap.from_ms * 1e6 >= stop:
            break
        if gap.from_ms * 1e6 > start:
            left.append((start, gap.from_ms * 1e6))
        start = max(start, stop if gap.to_ms is None else gap.to_ms * 1e6)
    return [*left, (start, stop)] if start < stop else left


def _breaks(start: Array, width: int, interruptions: Sequence[Interruption]) -> Array:
    """Where an empty point goes, as the number of the point it stands before.

    An interruption begins inside the bucket of the last sample before it and ends inside that of the first after it.
    """
    places = set()
    for one in interruptions:
        places.add(int(np.searchsorted(start, one.from_ms * 1e6, side="right")))
        if one.to_ms is not None:
            places.add(int(np.searchsorted(start, one.to_ms * 1e6 - width, side="right")))
    return np.array(sorted(place for place in places if 0 < place < len(start)), np.int64)


def _middle(at: Array, place: int) -> float:
    return float((at[place - 1] + at[place]) / 2)


def _opened(column: Array, breaks: Array, fill: float) -> Array:
    return np.insert(np.asarray(column), breaks, fill)
