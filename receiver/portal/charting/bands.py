"""Bands of a chart: for how long a tag was bad or uncertain, in words, cut to what is known (pure).

A quality stands until the next sample (`historian.answers.qualities`), so a sensor that fails for ninety seconds is a
band of ninety seconds, also where one bad sample is all that was sent of it. Two things end a band before that: the
end of the range, and a gap of the link, in which nobody knows. A band that no sample has ended lasts, and has no end.

A tag that changes its mind every second has more bands than a chart has pixels: those that stand closest are told as
one then, with their number and the sum of their lengths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from receiver.outputs.historian.answers.qualities import QualityStretch, TimeMarks
from receiver.portal import words

MOST_BANDS = 400
"""Bands of one answer: a chart of 1,200 pixels has room for no more that can be told apart."""


@dataclass(frozen=True, slots=True)
class Band:
    """A time in which the value was bad or uncertain."""

    grade: str
    """`bad` or `uncertain`."""
    from_ms: float
    to_ms: float | None
    """None while it lasts."""
    reason: str
    """The quality in words."""
    text: str
    """How long, and why, for the chart's label, the cursor and the table."""

    def to_json(self) -> dict[str, Any]:
        """As `/api/trend` sends it."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class BandRange:
    """What the bands of one chart are cut to."""

    from_ns: int
    to_ns: int
    now_ns: int
    """The low side's wall time; a band that reaches it lasts."""
    gaps: Sequence[tuple[float, float]] = ()
    """Of the link, from and to [ns]."""
    collector: str = ""
    """The protocol of the tag: it names the native codes."""


@dataclass(frozen=True, slots=True)
class _CutStretch:
    """A stretch as it is cut."""

    grade: int
    from_ns: float
    to_ns: float
    lasts: bool
    begun: bool
    """It stood already before the range."""
    torn: bool
    """A gap of the link ends it."""
    reason: str
    times: int = 1
    """How many stretches are told as one."""
    sum_ns: float = 0.0
    """Of their lengths."""


def bands(marks: TimeMarks, cut: BandRange) -> tuple[Band, ...]:
    """The bands of a range, by their begin."""
    end = min(cut.to_ns, cut.now_ns)
    pieces = [_cut(one, cut, float(end)) for one in marks.stretches if one.to_ns is None or one.to_ns > cut.from_ns]
    return tuple(_band(one) for one in _joined([one for one in pieces if one.from_ns < cut.to_ns]))


def _cut(one: QualityStretch, cut: BandRange, end: float) -> _CutStretch:
    from_ns = float(max(one.from_ns, cut.from_ns))
    to_ns = max(end if one.to_ns is None else float(min(one.to_ns, cut.to_ns)), from_ns)
    torn = [begin for begin, stop in cut.gaps if begin < to_ns and stop > from_ns and begin >= one.from_ns]
    if torn:
        to_ns = max(min(torn), from_ns)
    reason = words.quality(one.quality, one.native, cut.collector) if one.quality else "no usable value"
    return _CutStretch(
        grade=one.grade,
        from_ns=from_ns,
        to_ns=to_ns,
        lasts=not torn and one.to_ns is None and cut.to_ns >= cut.now_ns,
        begun=one.from_ns < cut.from_ns,
        torn=bool(torn),
        reason=reason + (" and others" if one.mixed else ""),
        sum_ns=to_ns - from_ns,
    )


def _joined(pieces: list[_CutStretch]) -> list[_CutStretch]:
    """At most `MOST_BANDS`: the pauses that are shortest are left out."""
    if len(pieces) <= MOST_BANDS:
        return pieces
    pauses = [after.from_ns - one.to_ns for one, after in pairwise(pieces)]
    kept = {at for at, _ in sorted(enumerate(pauses), key=lambda pause: -pause[1])[: MOST_BANDS - 1]}
    out = pieces[:1]
    for at, one in enumerate(pieces[1:]):
        if at in kept:
            out.append(one)
        else:
            out[-1] = _as_one(out[-1], one)
    return out


def _as_one(one: _CutStretch, after: _CutStretch) -> _CutStretch:
    return replace(
        one,
        grade=max(one.grade, after.grade),
        to_ns=after.to_ns,
        lasts=after.lasts,
        torn=after.torn,
        reason=(one if one.grade >= after.grade else after).reason,
        times=one.times + 1,
        sum_ns=one.sum_ns + after.sum_ns,
    )


def _band(one: _CutStretch) -> Band:
    grade = words.WORDS[one.grade]
    length = words.span(one.sum_ns / 1e9)
    told = f"{grade.capitalize()} for {'at least ' if one.begun or one.torn else ''}{length}"
    if one.times > 1:
        told = f"{grade.capitalize()} {words.count(one.times)} times, {length} in all"
    if one.begun:
        told += ", already before this range"
    if one.torn:
        told += ", then a link gap"
    if one.lasts:
        told += " so far"
    told += "" if one.reason == grade else f": {one.reason}"
    return Band(grade, one.from_ns / 1e6, None if one.lasts else one.to_ns / 1e6, one.reason, told)
