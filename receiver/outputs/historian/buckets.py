"""From samples to what a chart draws: least, greatest and mean per bucket of time (pure).

A bucket hides no excursion, whatever its width. Whole chunks that fall into one bucket count by their summary, so a
year of a tag is drawn from some ten thousand short table rows without opening a chunk. A sample is usable when its
quality is good or uncertain and it has a value; a number must also be finite. Every sample is either in `count` or in
`bad`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from protocol.content.array import Array
from protocol.content.sample import Quality, ValueKind
from receiver.outputs.historian.rows import Rows


@dataclass(frozen=True, slots=True)
class ChunkSummary:
    """Of a chunk's usable rows; the three numbers are None where none of them is a number."""

    count: int
    low: float | None
    high: float | None
    total: float | None


@dataclass(frozen=True, slots=True)
class ChunkSummaries:
    """Chunks of one series: their times and summaries, as parallel arrays."""

    id: Array
    t0: Array
    t1: Array
    rows: Array
    usable: Array
    low: Array
    """nan where no usable row is a number; also `high` and `total`."""
    high: Array
    total: Array

    @classmethod
    def of(cls, table: list[tuple[Any, ...]]) -> ChunkSummaries:
        """From rows of the table `chunk`, in the order of the fields."""
        columns = list(zip(*table, strict=True)) or [()] * 8
        return cls(
            *(np.array(column, np.int64) for column in columns[:5]),
            *(np.array(column, np.float64) for column in columns[5:]),
        )

    def __len__(self) -> int:
        return len(self.id)

    def pick(self, index: Array) -> ChunkSummaries:
        """The chunks with these numbers, or of this mask."""
        return ChunkSummaries(*(getattr(self, name)[index] for name in self.__slots__))


def numbers(rows: Rows, *, unsigned: bool) -> tuple[Array, Array]:
    """Which rows are usable, and their values as float64 (nan for texts; booleans are 0 and 1)."""
    value = np.full(len(rows), np.nan)
    is_float, is_int, is_bool = rows.kind == ValueKind.FLOAT, rows.kind == ValueKind.INT, rows.kind == ValueKind.BOOL
    value[is_float] = rows.value[is_float].view(np.float64)
    value[is_int] = rows.value[is_int].view(np.uint64) if unsigned else rows.value[is_int]
    value[is_bool] = rows.value[is_bool]
    usable = (rows.quality < Quality.BAD) & ((rows.kind == ValueKind.TEXT) | np.isfinite(value))
    return usable, value


def summary(rows: Rows, *, unsigned: bool) -> ChunkSummary:
    """The summary of rows of one series."""
    usable, value = numbers(rows, unsigned=unsigned)
    numeric = value[usable & ~np.isnan(value)]
    count = int(np.count_nonzero(usable))
    if not len(numeric):
        return ChunkSummary(count, None, None, None)
    with np.errstate(over="ignore"):
        return ChunkSummary(count, float(numeric.min()), float(numeric.max()), float(numeric.sum()))


class Buckets:
    """`n` equal buckets from `from_ns` (in) to `to_ns` (out), filled part by part in any order."""

    def __init__(self, from_ns: int, to_ns: int, n: int) -> None:
        self.from_ns = from_ns
        self.to_ns = to_ns
        self.width = max(-(-(to_ns - from_ns) // n), 1)
        """How much time a bucket spans [ns]."""
        self._low = np.full(n, np.inf)
        self._high = np.full(n, -np.inf)
        self._total = np.zeros(n)
        self._numeric = np.zeros(n, np.int64)
        self._count = np.zeros(n, np.int64)
        self._bad = np.zeros(n, np.int64)

    def whole(self, parts: ChunkSummaries) -> Array:
        """Which parts lie in one bucket, so that their summary is enough."""
        inside = (parts.t0 >= self.from_ns) & (parts.t1 < self.to_ns)
        out: Array = inside & ((parts.t0 - self.from_ns) // self.width == (parts.t1 - self.from_ns) // self.width)
        return out

    def add_parts(self, parts: ChunkSummaries) -> None:
        """Count parts that are `whole`."""
        at = (parts.t0 - self.from_ns) // self.width
        np.add.at(self._count, at, parts.usable)
        np.add.at(self._bad, at, parts.rows - parts.usable)
        numeric = ~np.isnan(parts.low)
        at = at[numeric]
        np.minimum.at(self._low, at, parts.low[numeric])
        np.maximum.at(self._high, at, parts.high[numeric])
        with np.errstate(over="ignore", invalid="ignore"):
            np.add.at(self._total, at, parts.total[numeric])
        np.add.at(self._numeric, at, parts.usable[numeric])

    def add_rows(self, rows: Rows, *, unsigned: bool) -> None:
        """Count the rows that lie in the range."""
        inside = (rows.time_ns >= self.from_ns) & (rows.time_ns < self.to_ns)
        rows = rows.pick(np.flatnonzero(inside))
        if not len(rows):
            return
        at = (rows.time_ns - self.from_ns) // self.width
        if (np.diff(at) < 0).any():
            by_time = np.argsort(at, kind="stable")
            rows, at = rows.pick(by_time), at[by_time]
        usable, value = numbers(rows, unsigned=unsigned)
        edges = np.flatnonzero(np.diff(at, prepend=-1))
        into = at[edges]
        numeric = usable & ~np.isnan(value)
        count = np.add.reduceat(usable.astype(np.int64), edges)
        self._count[into] += count
        self._bad[into] += np.diff(edges, append=len(rows)) - count
        self._numeric[into] += np.add.reduceat(numeric.astype(np.int64), edges)
        with np.errstate(over="ignore", invalid="ignore"):
            self._total[into] += np.add.reduceat(np.where(numeric, value, 0.0), edges)
        low = np.minimum.reduceat(np.where(numeric, value, np.inf), edges)
        high = np.maximum.reduceat(np.where(numeric, value, -np.inf), edges)
        self._low[into] = np.minimum(self._low[into], low)
        self._high[into] = np.maximum(self._high[into], high)

    def filled(self) -> tuple[Array, Array, Array, Array, Array, Array]:
        """Of the buckets that hold a sample: start_ns, low, high, mean, count, bad."""
        at = np.flatnonzero(self._count + self._bad)
        numeric = self._numeric[at]
        none = numeric == 0
        low, high = np.where(none, np.nan, self._low[at]), np.where(none, np.nan, self._high[at])
        with np.errstate(invalid="ignore"):
            mean = np.where(none, np.nan, self._total[at] / np.maximum(numeric, 1))
        return self.from_ns + at * self.width, low, high, mean, self._count[at], self._bad[at]
