"""For how long a tag had which value: shares of time, not of samples (pure).

A sample stands until the next one, for at most as long as the tag may be silent; a tag that is sent on change for as
long as it takes. Time counts as not known where the last sample was bad or no number, where none had come yet, where
the tag was silent, and where the link lost blocks: then nobody knows what was true. Of a tag that is sent on change it
goes on being unknown after lost blocks, until the next sample or until it must have been renewed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from protocol.content.array import Array

BINS = 60
"""Of a distribution: more than an eye tells apart."""

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, slots=True)
class HeldValues:
    """Stretches of time with one value each, not overlapping."""

    value: Array
    """float64, finite."""
    length_ns: Array
    """float64, over 0."""

    @property
    def known_ns(self) -> float:
        """Time for which a value is known [ns]."""
        return float(self.length_ns.sum())


@dataclass(frozen=True, slots=True)
class TimeShares:
    """A distribution; all empty or None where no value is known for any time."""

    edges: Array
    """Of the bins, one more than there are, rising; of a tag of one value alone the value twice."""
    share: Array
    """Of the known time that the value was in each bin: 0 to 1, together 1."""
    quantiles: tuple[float, ...] | None
    """Values below which the tag was for `QUANTILES` of the known time."""
    mean: float | None
    """Over time; None also where it is beyond a double."""
    below: float | None
    """Share of the known time below the normal band; None where it has no lower end."""
    above: float | None
    """Above it, the same."""


def held_values(
    time_ns: Array,
    value: Array,
    usable: Array,
    *,
    from_ns: int,
    to_ns: int,
    longest_ns: float | None,
    unknown: Sequence[tuple[float, float]],
    renewed_ns: float = 0.0,
) -> HeldValues:
    """What was known of a tag in a range, of its samples.

    Args:
        time_ns: Of its samples, rising; the first may lie before the range.
        value: Theirs; where it is not finite nothing is known.
        usable: Which of them are not bad.
        from_ns: Begin of the range [ns].
        to_ns: Its end, at most now.
        longest_ns: For how long a sample stands without another [ns]; None: until the next.
        unknown: Stretches in which blocks are missing [ns].
        renewed_ns: How long after such a stretch a value may be one of before it [ns].
    """
    begin = time_ns.astype(np.float64)
    end = np.append(begin[1:], float(to_ns))
    if longest_ns is not None:
        end = np.minimum(end, begin + longest_ns)
    good = usable & np.isfinite(value)
    begin, end = np.clip(begin, from_ns, to_ns)[good], np.clip(end, from_ns, to_ns)[good]
    length = np.maximum(end - begin, 0.0)
    times = np.append(time_ns.astype(np.float64), float(to_ns))
    later = [(start, stop + min(renewed_ns, max(_next(times, stop) - stop, 0.0))) for start, stop in unknown]
    for start, stop in _apart(later):
        length -= np.maximum(np.minimum(end, stop) - np.maximum(begin, start), 0.0)
    some = length > 0
    return HeldValues(value[good][some].astype(np.float64), length[some])


def time_shares(held: HeldValues, *, low: float | None, high: float | None, bins: int = BINS) -> TimeShares:
    """The distribution of what was held.

    Args:
        held: Values and for how long.
        low: Lower end of the normal band.
        high: Its upper end.
        bins: Most bins.
    """
    if not len(held.value):
        return TimeShares(np.zeros(0), np.zeros(0), None, None, None, None)
    weight = held.length_ns / held.length_ns.sum()
    # By quarters, because a range as wide as the doubles are has no width that is one.
    least, most = float(held.value.min()) / 4, float(held.value.max()) / 4
    if most - least <= 4 * bins * np.spacing(max(abs(least), abs(most))):
        share, edges = np.ones(1), np.array([least, most])
    else:
        share, edges = np.histogram(held.value / 4, bins=bins, range=(least, most), weights=weight)
    order = np.argsort(held.value, kind="stable")
    reached = np.minimum(np.searchsorted(np.cumsum(weight[order]), QUANTILES), len(order) - 1)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float((held.value * weight).sum())
    return TimeShares(
        edges=edges * 4,
        share=share,
        quantiles=tuple(held.value[order][reached].tolist()),
        mean=mean if np.isfinite(mean) else None,
        below=None if low is None else float(weight[held.value < low].sum()),
        above=None if high is None else float(weight[held.value > high].sum()),
    )


def state_shares(held: HeldValues, most: int = 100) -> list[tuple[float, float]]:
    """Each value with its share of the known time, the longest first: for states, of which a handful is named."""
    value, place = np.unique(held.value, return_inverse=True)
    share = np.bincount(place, held.length_ns, len(value)) / (held.known_ns or 1.0)
    order = np.argsort(-share, kind="stable")[:most]
    return [*zip(value[order].tolist(), share[order].tolist(), strict=True)]


def _next(times: Array, at: float) -> float:
    """The first of these times, the last of them the end, that is not before a moment."""
    return float(times[min(int(np.searchsorted(times, at)), len(times) - 1)])


def _apart(stretches: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The same time, in stretches that do not overlap."""
    out: list[tuple[float, float]] = []
    for start, stop in sorted(stretches):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], stop))
        else:
            out.append((start, stop))
    return out
