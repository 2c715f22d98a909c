"""One tag's history as the chart draws it: buckets with their lowest, highest and mean value, and what is missing.

Two things that look alike on a naive chart are kept apart here:

    gap       blocks of the link are missing: the plant measured, the samples did not arrive (yet)
    silence   nothing is missing from the link, but the tag was not renewed for longer than it ever should be

Where either stands, the line is broken by an empty point; elsewhere neighbouring points are joined, however far apart
(a deadband's value stands until the next one). Times are milliseconds since 1970, as JavaScript counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from protocol.sample import Array
from receiver.outputs.historian.views import Gap, Trend
from receiver.portal import words

MOST_BUCKETS = 4000
"""More than any screen is wide; bounds the work of one request."""

LONGEST_S = 400 * 86400.0
"""Longest range of one request [s]: the default retention of the history."""


@dataclass(frozen=True, slots=True)
class Hole:
    """A stretch without samples."""

    kind: str
    """`gap` or `silence`."""
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
    holes: tuple[Hole, ...]
    width_ms: float
    """Of one bucket."""

    def told(self) -> dict[str, Any]:
        """As `/api/trend` sends it; NaN becomes null in the encoder."""
        return {
            "width_ms": self.width_ms,
            "at_ms": self.at_ms,
            "low": self.low,
            "high": self.high,
            "mean": self.mean,
            "count": self.count,
            "bad": self.bad,
            "holes": [
                {"kind": hole.kind, "from_ms": hole.from_ms, "to_ms": hole.to_ms, "text": hole.text}
                for hole in self.holes
            ],
        }


@dataclass(frozen=True, slots=True)
class Summary:
    """The range in numbers, for the table beside the chart; None where no sample has a value."""

    low: float | None
    high: float | None
    mean: float | None
    count: int
    """Samples with a usable value."""
    bad: int
    """The others."""


def curve(
    trend: Trend, *, from_ns: int, to_ns: int, buckets: int, after_s: float, now_ns: int, link_silent: bool
) -> Curve:
    """Shape a trend for the chart.

    Args:
        trend: As the historian gave it for the range and number of buckets.
        from_ns: Start of the range [ns since 1970 UTC].
        to_ns: Its end, may lie in the future.
        buckets: How many were asked for.
        after_s: Silence after which the tag is stale [s].
        now_ns: The low side's wall time; nothing after it can be missing.
        link_silent: The beat is lost at this moment: then a silence that lasts is the link's, not the tag's.
    """
    width = max(-(-(to_ns - from_ns) // buckets), 1)
    at = np.asarray(trend.start_ns, np.int64).astype(np.float64) + width / 2
    end = float(min(to_ns, now_ns))
    gaps = [_gap(gap, end) for gap in trend.gaps]
    silences = _silences(at, from_ns, end, max(after_s * 1e9, 2 * width), gaps, link_silent)
    holes = sorted([*gaps, *silences], key=lambda hole: hole.from_ms)
    breaks = _breaks(np.asarray(trend.start_ns, np.int64), width, holes)
    return Curve(
        at_ms=np.insert(at / 1e6, breaks, [_middle(at, place) / 1e6 for place in breaks.tolist()]),
        low=_opened(trend.low, breaks),
        high=_opened(trend.high, breaks),
        mean=_opened(trend.mean, breaks),
        count=np.insert(np.asarray(trend.count, np.int64), breaks, 0),
        bad=np.insert(np.asarray(trend.bad, np.int64), breaks, 0),
        holes=tuple(holes),
        width_ms=width / 1e6,
    )


def summary(trend: Trend) -> Summary:
    """The range in numbers; the mean is over samples, not over time."""
    count = np.asarray(trend.count, np.int64)
    valued = np.isfinite(np.asarray(trend.mean, np.float64)) & (count > 0)
    some = bool(valued.any())
    return Summary(
        low=float(np.asarray(trend.low)[valued].min()) if some else None,
        high=float(np.asarray(trend.high)[valued].max()) if some else None,
        mean=float(np.average(np.asarray(trend.mean)[valued], weights=count[valued])) if some else None,
        count=int(count.sum()),
        bad=int(np.asarray(trend.bad, np.int64).sum()),
    )


def _gap(gap: Gap, end: float) -> Hole:
    to_ns = gap.to_ns
    length = ((end if to_ns is None else to_ns) - gap.from_ns) / 1e9
    blocks = f"{words.count(gap.blocks)} block{'' if gap.blocks == 1 else 's'} missing"
    return Hole(
        kind="gap",
        from_ms=gap.from_ns / 1e6,
        to_ms=None if to_ns is None else to_ns / 1e6,
        text=f"Link gap {words.span(max(length, 0.0))}, {blocks}",
    )


def _silences(
    at: Array, from_ns: int, end: float, longest: float, gaps: Sequence[Hole], link_silent: bool
) -> list[Hole]:
    """Stretches between points, and after the last one, that are longer than `longest` [ns] and no gap explains."""
    edges = np.concatenate(([float(from_ns)], at, [end]))
    found = []
    for place in np.flatnonzero(np.diff(edges) > longest).tolist():
        for start, stop in _without(float(edges[place]), float(edges[place + 1]), gaps):
            if stop - start > longest:
                lasts = stop == end
                length = words.span((stop - start) / 1e9)
                if lasts and link_silent:
                    found.append(Hole("gap", start / 1e6, None, f"No samples for {length}, the link is silent"))
                else:
                    text = f"No samples for {length}, nothing missing from the link"
                    found.append(Hole("silence", start / 1e6, None if lasts else stop / 1e6, text))
    return found


def _without(start: float, stop: float, gaps: Sequence[Hole]) -> list[tuple[float, float]]:
    """What remains of `start` to `stop` [ns] beside the gaps."""
    left = []
    for gap in sorted(gaps, key=lambda hole: hole.from_ms):
        if gap.from_ms * 1e6 >= stop:
            break
        if gap.from_ms * 1e6 > start:
            left.append((start, gap.from_ms * 1e6))
        start = max(start, stop if gap.to_ms is None else gap.to_ms * 1e6)
    return [*left, (start, stop)] if start < stop else left


def _breaks(start: Array, width: int, holes: Sequence[Hole]) -> Array:
    """Where an empty point goes, as the number of the point it stands before.

    A hole begins inside the bucket of the last sample before it and ends inside that of the first after it.
    """
    places = set()
    for hole in holes:
        places.add(int(np.searchsorted(start, hole.from_ms * 1e6, side="right")))
        if hole.to_ms is not None:
            places.add(int(np.searchsorted(start, hole.to_ms * 1e6 - width, side="right")))
    return np.array(sorted(place for place in places if 0 < place < len(start)), np.int64)


def _middle(at: Array, place: int) -> float:
    return float((at[place - 1] + at[place]) / 2)


def _opened(column: Array, breaks: Array) -> Array:
    return np.insert(np.asarray(column, np.float64), breaks, math.nan)
