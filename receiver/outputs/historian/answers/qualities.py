"""How long each quality stood, and which samples came later: stretches of time out of samples (pure, but for reading).

A sample's quality stands until the tag's next sample, however long that takes. So a stretch that is bad or uncertain
begins with a sample and ends with the next of another grade, exactly; where none has come yet it has no end. Samples
whose block was missing and came later are a stretch of their own kind, from the first of them to the last.

What is good and came at once, nearly all there is, need not be opened row by row: the index of a chunk tells whether it
holds a sample without a usable value, and a chunk's first bytes whether one is uncertain or healed. Of a long range
only the newest chunks are looked into for these two: `looked_ns` says from where on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from protocol.content.array import Array
from receiver.outputs.disk import Connection
from receiver.outputs.historian.buckets import ChunkSummaries
from receiver.outputs.historian.codec.chunk import ChartRows
from receiver.outputs.historian.codec.rollup import numbers
from receiver.outputs.historian.rows import HEALED, Rows
from receiver.outputs.historian.snapshot import Snapshot

MOST_LOOKED = 128
"""Chunks of a range that are looked into for what the index does not tell: some 10 ms, and more than a day at 1 Hz."""
MOST_OPENED = 512
"""Chunks that hold a bad sample and are opened, newest first; an older one counts as bad from its begin to its end."""


@dataclass(frozen=True, slots=True)
class QualityStretch:
    """A time in which the tag was bad or uncertain."""

    grade: int
    """1 uncertain, 2 bad: also good by its quality, where it has no value that can be used."""
    from_ns: int
    """Time of its first sample."""
    to_ns: int | None
    """Time of the next sample of another grade; None where there is none yet."""
    quality: int
    """Of its first sample: an OPC UA StatusCode."""
    native: int
    samples: int
    mixed: bool
    """Not all of them have that quality."""


@dataclass(frozen=True, slots=True)
class TimeMarks:
    """What a range of one tag is marked with."""

    stretches: tuple[QualityStretch, ...] = ()
    healed: tuple[tuple[int, int], ...] = ()
    """First and last time of samples that came later [ns]."""
    looked_ns: int = -(2**63)
    """From here on uncertain and healed samples are told; bad ones are told in all of the range."""


@dataclass(slots=True)
class _Points:
    """Samples, or what stands for some that are alike, as parallel arrays."""

    time_ns: Array
    grade: Array
    quality: Array
    native: Array
    healed: Array

    def odd_span(self) -> list[tuple[int, int]]:
        """First and last time of what is not good or was healed, if there is any."""
        odd = self.time_ns[(self.grade > 0) | self.healed]
        return [(int(odd.min()), int(odd.max()))] if len(odd) else []


def time_marks(moment: Snapshot, series: Sequence[int], from_ns: int, to_ns: int, *, unsigned: bool) -> TimeMarks:
    """What the samples of some series, the versions of one tag, are marked with.

    Args:
        unsigned: As for `rollup.numbers`.
    """
    held: list[_Points] = []
    odd: list[tuple[int, int]] = []
    plain: list[tuple[Connection, int, ChunkSummaries]] = []
    looked_ns = -(2**63)
    for one in series:
        held.append(_of_rows(moment.hot(one, from_ns, to_ns), unsigned=unsigned))
        odd += held[-1].odd_span()
        months = moment.chunks(one, from_ns, to_ns)
        before = _older(months)
        looked_ns = max(looked_ns, before)
        for month, parts in months:
            opened = _opened(moment, month, one, parts, before)
            held += [_of_rows(rows, unsigned=unsigned) for rows in opened.values()]
            is_open = np.isin(parts.id, list(opened))
            odd += zip(parts.t0[is_open].tolist(), parts.t1[is_open].tolist(), strict=True)
            plain.append((month, one, parts.pick(~is_open)))
    for month, one, parts in plain:
        crossing = _crossing(parts, odd) & (parts.usable == parts.rows)
        held += [_of_rows(rows, unsigned=unsigned) for _, rows in moment.opened(month, one, parts.pick(crossing))]
        held.append(_of_ends(parts.pick(~crossing)))
    points = _joined(held, from_ns, to_ns)
    return TimeMarks(stretches=_stretches(points), healed=_healed(points), looked_ns=looked_ns)


def _older(months: Sequence[tuple[Connection, ChunkSummaries]]) -> int:
    """Chunks that end up to here are not looked into; what is least where all are."""
    ends = np.concatenate([np.zeros(0, np.int64), *(parts.t1 for _, parts in months)])
    return -(2**63) if len(ends) <= MOST_LOOKED else int(np.partition(ends, -MOST_LOOKED - 1)[-MOST_LOOKED - 1])


def _opened(moment: Snapshot, month: Connection, series: int, parts: ChunkSummaries, before: int) -> dict[int, Rows]:
    """Rows, by number, of the chunks that hold a sample that is bad, uncertain or healed."""
    bad = np.flatnonzero(parts.usable < parts.rows)
    bad = bad[np.argsort(-parts.t1[bad], kind="stable")][:MOST_OPENED]
    look = (parts.usable == parts.rows) & (parts.t1 > before)
    looked = moment.marked(month, series, parts.pick(look))
    return dict(moment.opened(month, series, parts.pick(bad))) | {at: rows for at, rows in looked if rows is not None}


def _crossing(parts: ChunkSummaries, odd: Sequence[tuple[int, int]]) -> Array:
    """Which chunks lie in part in one of these times, so that their rows stand among others'."""
    out = np.zeros(len(parts), bool)
    for t0, t1 in odd:
        out |= (parts.t0 < t1) & (parts.t1 > t0)
    return out


def _of_ends(parts: ChunkSummaries) -> _Points:
    """Chunks that are not opened, each by its first and its last time."""
    grade = np.tile(np.where(parts.usable < parts.rows, 2, 0), 2)
    none = np.zeros(len(grade), np.int64)
    return _Points(np.concatenate([parts.t0, parts.t1]), grade, grade << 30, none, none.astype(bool))


def _of_rows(rows: Rows, *, unsigned: bool) -> _Points:
    usable, _ = numbers(ChartRows(rows.time_ns, rows.quality, rows.kind, rows.value), unsigned=unsigned)
    grade = np.where(usable, np.minimum(rows.quality >> 30, 2), 2)
    healed = (rows.marks & HEALED) != 0
    return _Points(rows.time_ns, grade, rows.quality.astype(np.int64), rows.native.astype(np.int64), healed)


def _joined(held: Sequence[_Points], from_ns: int, to_ns: int) -> _Points:
    columns = [np.concatenate([getattr(one, name) for one in held]) for name in _Points.__slots__]
    by_time = np.argsort(columns[0], kind="stable")
    time_ns = columns[0][by_time]
    inside = by_time[np.searchsorted(time_ns, from_ns) : np.searchsorted(time_ns, to_ns)]
    return _Points(*(column[inside] for column in columns))


def _stretches(points: _Points) -> tuple[QualityStretch, ...]:
    first = np.flatnonzero(np.diff(points.grade, prepend=-1))
    out = []
    for begin, end in pairwise([*first.tolist(), len(points.time_ns)]):
        grade = int(points.grade[begin])
        if grade:
            quality = points.quality[begin:end]
            out.append(
                QualityStretch(
                    grade=grade,
                    from_ns=int(points.time_ns[begin]),
                    to_ns=int(points.time_ns[end]) if end < len(points.time_ns) else None,
                    quality=int(quality[0]),
                    native=int(points.native[begin]),
                    samples=end - begin,
                    mixed=bool((quality != quality[0]).any()),
                )
            )
    return tuple(out)


def _healed(points: _Points) -> tuple[tuple[int, int], ...]:
    edges = np.flatnonzero(np.diff(points.healed.astype(np.int8), prepend=0, append=0))
    times = points.time_ns
    return tuple((int(times[begin]), int(times[end - 1])) for begin, end in edges.reshape(-1, 2).tolist())
