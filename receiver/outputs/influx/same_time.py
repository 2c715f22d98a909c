"""Samples of a series with equal times: each gets a row of its own, by a number in its series.

A server keeps one row for a series and a time, or worse, mixes the two: InfluxDB merges fields, so that a bad sample
without a value would show the old value; VictoriaMetrics picks each field by itself. So of samples whose times are one
at the server, the first stands in the series as it is, and the second, third, .. in the same series with the tag `seq`
= 1, 2, ..: one row a sample, and a sample without a value shows none.

Equal times are seen within a block, and against the newest time of the series in the blocks before. So the numbers are
the same when a block is handed over again; what a healed block has in common with blocks that came long before it is
not seen (the embedded history keeps both).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from protocol.content.array import Array

NEVER = -(2**63)
SERIES_MOST = 2**26
"""More series than any output has: a number beyond it is damage."""


@dataclass(slots=True)
class NewestTimes:
    """The newest time of some series, and what rows have it; parallel arrays."""

    series: Array
    time_ns: Array
    after: Array
    """The number that a further row at that time would get."""
    block: Array
    """Of the last row; its stream and number, hashed."""
    edge_ns: Array
    """What the newest time was before that block."""
    edge_after: Array
    """And the number that a further row at it would have got."""

    def to_bytes(self) -> bytes:
        """As `from_bytes` takes it; differences, which pack well."""
        parts = (self.series, self.time_ns, self.after, self.block, self.edge_ns, self.edge_after)
        columns = (np.diff(one, prepend=0) for one in parts)
        return b"".join(np.ascontiguousarray(one, "<i8").tobytes() for one in columns)

    @classmethod
    def from_bytes(cls, told: bytes) -> NewestTimes:
        """What `to_bytes` gave.

        Raises:
            ValueError: it is something else.
        """
        out = cls(*(np.cumsum(one) for one in np.frombuffer(told, "<i8").reshape(6, -1)))
        if len(out.series) and not 0 <= out.series.min() <= out.series.max() < SERIES_MOST:
            raise ValueError("no series")
        return out


_PARTS = ("time_ns", "after", "block", "edge_ns", "edge_after")


class SameTimes:
    """The newest time of each series, by the series' number."""

    def __init__(self) -> None:
        self._newest = NewestTimes(*(np.zeros(0, np.int64) for _ in range(6)))

    def numbers(
        self, series: Array, time_ns: Array, resolution_ns: int, block: int
    ) -> tuple[Array | None, NewestTimes]:
        """The `seq` of each row of a block, None where all are 0; and what changed, for the store.

        Args:
            series: Small whole numbers, one a series.
            time_ns: Their times [ns].
            resolution_ns: Times that are equal by this are one row at the server [ns].
            block: Its stream and number, hashed; handed over again it gets the same numbers.
        """
        self._reach(int(series.max()) + 1)
        newest = self._newest
        kept, base = newest.time_ns[series], newest.after[series]
        again = newest.block[series] == block
        if again.any():
            kept = np.where(again, newest.edge_ns[series], kept)
            base = np.where(again, newest.edge_after[series], base)
        once = len(series) < 2 or bool((series[1:] > series[:-1]).all())
        at = time_ns if resolution_ns == 1 else time_ns // resolution_ns
        seq = None if once else _within(series, at)
        met = (kept if resolution_ns == 1 else kept // resolution_ns) == at
        if met.any():
            seq = np.where(met, base, 0) + (0 if seq is None else seq)
        last = slice(None) if once else _last_rows(series)
        which = series[last].astype(np.int64)
        changed = NewestTimes(
            which,
            time_ns[last],
            np.ones(len(which), np.int64) if seq is None else seq[last] + 1,
            np.full(len(which), block),
            kept[last],
            base[last],
        )
        self._put(changed)
        return (seq if seq is not None and seq.any() else None), changed

    def load(self, changes: Iterable[NewestTimes]) -> None:
        """Take in what `numbers` gave, in order."""
        for one in changes:
            if len(one.series):
                self._reach(int(one.series.max()) + 1)
                self._put(one)

    def whole(self) -> NewestTimes:
        """Everything, as one change."""
        newest = self._newest
        which = np.flatnonzero(newest.time_ns != NEVER)
        return NewestTimes(which, *(getattr(newest, name)[which] for name in _PARTS))

    def _put(self, one: NewestTimes) -> None:
        for name in _PARTS:
            getattr(self._newest, name)[one.series] = getattr(one, name)

    def _reach(self, count: int) -> None:
        have = len(self._newest.time_ns)
        if count <= have:
            return
        more = max(count, 2 * have) - have
        for name in _PARTS:
            filler = NEVER if name in ("time_ns", "edge_ns") else 0
            setattr(self._newest, name, np.concatenate([getattr(self._newest, name), np.full(more, filler)]))


def _last_rows(series: Array) -> Array:
    """The last row of each series."""
    which, at = np.unique(series[::-1], return_index=True)
    out: Array = len(series) - 1 - at[np.argsort(which)]
    return out


def _within(series: Array, at: Array) -> Array | None:
    """How many rows before it in the block have the same series and time; None where none has."""
    order = np.lexsort((at, series))  # rows of one series and time stay in their order
    same = (series[order][1:] == series[order][:-1]) & (at[order][1:] == at[order][:-1])
    if not same.any():
        return None
    starts = np.concatenate([[True], ~same])
    place = np.arange(len(series))
    out = np.zeros(len(series), np.int64)
    out[order] = place - np.maximum.accumulate(np.where(starts, place, 0))
    return out
