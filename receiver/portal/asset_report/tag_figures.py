"""One tag over a range in numbers, counted from its samples (pure).

    least, greatest   of the samples with a usable value; of a tag that holds its value also what it held at the begin
    mean              over time where the tag holds its value; else of its samples, which stand at equal distances
    known             share of the range for which a value is known, as `trending/time_shares.py` says
    expected          samples of a tag that is read at a fixed period; nobody knows how often a value should change

So the mean lies between the least and the greatest value, whatever the tag, and none of the three is of a sample that
was bad. What is not known is None: nothing is ever put in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from protocol.content.array import Array
from receiver.portal.trending.time_shares import held_values


@dataclass(frozen=True, slots=True, kw_only=True)
class TagHabits:
    """How a tag is read and sent."""

    holds: bool
    """Its value stands until the next sample."""
    scan_s: float
    """Period at which it is read [s]."""
    after_s: float
    """Silence after which a sample stands no more [s]; of a tag that does not hold."""
    renewed_s: float
    """Longest time between two renewals [s]; of a tag that holds."""
    text: bool = False
    """Its values are texts: no number of it is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TagFigures:
    """The range in numbers; None where it is not known, and for texts."""

    low: float | None
    mean: float | None
    """None also where it is beyond a double."""
    high: float | None
    over_time: bool
    """The mean is one over time; else of samples."""
    count: int
    """Samples with a usable value."""
    bad: int
    """The others."""
    expected: int | None
    """Samples that a tag read at a fixed period has in the range; None where it is sent on change."""
    known: float | None
    """Share of the range, 0 to 1; None of a text, and of a range without a length."""


def tag_figures(
    time_ns: Array,
    value: Array,
    usable: Array,
    habits: TagHabits,
    *,
    from_ns: int,
    to_ns: int,
    unknown: Sequence[tuple[float, float]],
) -> TagFigures:
    """Count them.

    Args:
        time_ns: Of its samples, rising, before `to_ns`; the first may lie before the range.
        value: Theirs; nan for texts.
        usable: Which of them are good or uncertain, and a finite number where they are one.
        habits: How the tag is sent.
        from_ns: Begin of the range [ns].
        to_ns: Its end, at most now.
        unknown: Stretches of which nothing is known [ns].
    """
    held = held_values(
        time_ns,
        value,
        usable,
        from_ns=from_ns,
        to_ns=to_ns,
        longest_ns=None if habits.holds else habits.after_s * 1e9,
        unknown=unknown,
        renewed_ns=habits.renewed_s * 1e9 if habits.holds else 0.0,
    )
    inside = time_ns >= from_ns
    numbers = value[inside & usable & np.isfinite(value)].astype(np.float64)
    seen = np.concatenate([numbers, held.value]) if habits.holds else numbers
    over_time = habits.holds and len(held.value) > 0
    mean = _mean(held.value, held.length_ns) if over_time else _mean(numbers, np.ones(len(numbers)))
    length_ns = to_ns - from_ns
    fixed = not habits.holds and habits.scan_s > 0
    return TagFigures(
        low=float(seen.min()) if len(seen) else None,
        mean=mean,
        high=float(seen.max()) if len(seen) else None,
        over_time=over_time,
        count=int((inside & usable).sum()),
        bad=int((inside & ~usable).sum()),
        expected=max(int(length_ns / 1e9 / habits.scan_s), 0) if fixed else None,
        known=min(held.known_ns / length_ns, 1.0) if length_ns > 0 and not habits.text else None,
    )


def _mean(value: Array, weight: Array) -> float | None:
    """By shares, because a sum may not fit; between the least and the greatest, whatever rounding does."""
    if not len(value):
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float((value * (weight / weight.sum())).sum())
    return min(max(mean, float(value.min())), float(value.max())) if np.isfinite(mean) else None
