"""From samples to what a chart draws: least, greatest, mean, first and last per bucket of time (pure).

A bucket hides no excursion, whatever its width. Two sources fill it: the rows themselves, and the cells of chunks
(`rollup.py`) where a chunk falls into one bucket or buckets are made of whole cells. So a year of a tag is drawn from
some thousand short table rows, and only the two chunks at its ends are opened. Chunks of builds before roll-ups have no
cells but a summary, and are opened where that does not do. Every sample is either in `count` or in `bad`.

Buckets wider than a third of a cell are a whole number of cells: at most as many as were asked for, the first of which
begins with a cell. Of samples with one time, which is first or last is not told apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from protocol.content.array import Array
from receiver.outputs.historian.codec.chunk import ChartRows
from receiver.outputs.historian.codec.rollup import CELL, CELL_NS, TICK_NS, WHOLE, of_bytes, sums

_WHOLE = WHOLE.to_bytes(4, "little", signed=True)


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
    cells: Array
    """Bytes of `rollup.CELL`s, None where a chunk has none."""

    @classmethod
    def of(cls, table: Sequence[tuple[Any, ...]]) -> ChunkSummaries:
        """From rows of the table `chunk`, in the order of the fields."""
        columns = list(zip(*table, strict=True)) or [()] * 9
        cells = np.empty(len(table), object)
        cells[:] = columns[8]
        whole = [np.array(column, np.int64) for column in columns[:5]]
        return cls(*whole, *(np.array(column, np.float64) for column in columns[5:8]), cells)  # type: ignore[call-arg]

    def __len__(self) -> int:
        return len(self.id)

    def believed(self) -> ChunkSummaries:
        """The same, without cells that do not fit their chunk: it is opened then."""
        cells = self.cells.copy()
        for at, held in enumerate(cells.tolist()):
            if not isinstance(held, bytes) or len(held) % CELL.itemsize:
                cells[at] = None
        fit = replace(self, cells=cells)
        each = fit.cells_each
        owner = np.repeat(np.arange(len(fit)), each)
        records = of_bytes([held for held in cells.tolist() if held is not None])
        cell = records["cell"].astype(np.int64)
        out = (cell != WHOLE) & ((cell < self.t0[owner] // CELL_NS) | (cell > self.t1[owner] // CELL_NS))
        rows = np.bincount(owner, records["count"].astype(np.float64) + records["bad"], len(fit))
        cells[(np.bincount(owner, out, len(fit)) > 0) | (rows != self.rows)] = None
        return fit

    def pick(self, index: Array) -> ChunkSummaries:
        """The chunks with these numbers, or of this mask."""
        return ChunkSummaries(*(getattr(self, name)[index] for name in self.__slots__))

    @property
    def cells_each(self) -> Array:
        """How many cells each of them has."""
        return np.array([len(cells or b"") for cells in self.cells], np.int64) // CELL.itemsize

    @property
    def has_cells(self) -> Array:
        """Which of them have cells."""
        return np.array([bool(cells) for cells in self.cells], bool)

    @property
    def is_sparse(self) -> Array:
        """Which of them have one record for all their rows."""
        return np.array([bool(cells) and cells[:4] == _WHOLE for cells in self.cells], bool)


@dataclass(frozen=True, slots=True)
class FilledBuckets:
    """The buckets that hold a sample, as parallel arrays."""

    start_ns: Array
    first_ns: Array
    """Time of the first usable number, the start where there is none."""
    last_ns: Array
    """Time of the last one, likewise."""
    low: Array
    """nan where no usable row is a number; also the four below."""
    high: Array
    mean: Array
    first: Array
    """nan also where it is not known: in files of builds before roll-ups."""
    last: Array
    count: Array
    bad: Array


class Buckets:
    """At most `n` equal buckets that hold `from_ns` (in) to `to_ns` (out), filled part by part in any order."""

    def __init__(self, from_ns: int, to_ns: int, n: int) -> None:
        self.from_ns = from_ns
        self.to_ns = to_ns
        self.width = max(-(-(to_ns - from_ns) // n), 1)
        """How much time a bucket spans [ns]."""
        self.begin_ns = from_ns
        """Where the first bucket begins; not after `from_ns`."""
        self.of_cells = self.width > CELL_NS // 3
        """A bucket is a whole number of cells."""
        if self.of_cells:
            self.begin_ns = from_ns // CELL_NS * CELL_NS
            self.width = -(-(to_ns - self.begin_ns) // (n * CELL_NS)) * CELL_NS
            n = max(-(-(to_ns - self.begin_ns) // self.width), 1)
        self._low = np.full(n, np.inf)
        self._high = np.full(n, -np.inf)
        self._total = np.zeros(n)
        self._numeric = np.zeros(n, np.int64)
        self._count = np.zeros(n, np.int64)
        self._bad = np.zeros(n, np.int64)
        self._first = np.full(n, np.nan)
        self._first_ns = np.full(n, np.iinfo(np.int64).max)
        self._last = np.full(n, np.nan)
        self._last_ns = np.full(n, np.iinfo(np.int64).min)

    def of_summary(self, parts: ChunkSummaries) -> Array:
        """Which chunks lie in one bucket and have no cells, so that their summary must do."""
        out: Array = self._in_one(parts) & ~parts.has_cells
        return out

    def of_rollup(self, parts: ChunkSummaries) -> Array:
        """Which chunks are counted by their cells."""
        by_cell = self._inside(parts) & ~parts.is_sparse if self.of_cells else np.zeros(len(parts), bool)
        out: Array = parts.has_cells & (by_cell | self._in_one(parts))
        return out

    def add_summaries(self, parts: ChunkSummaries) -> None:
        """Count chunks that are `of_summary`."""
        if len(parts):
            numeric = np.where(np.isnan(parts.low), 0, parts.usable)
            unknown = np.full(len(parts), np.nan)
            at = (parts.t0 - self.begin_ns) // self.width
            self._add(at, parts.usable, parts.rows - parts.usable, numeric, parts.low, parts.high, parts.total)
            self._add_ends(at, parts.t0, parts.t1, unknown, unknown)

    def add_cells(self, parts: ChunkSummaries) -> None:
        """Count chunks that are `of_rollup`."""
        if not len(parts):
            return
        cells = of_bytes(parts.cells.tolist())
        each = parts.cells_each
        in_one = self._in_one(parts).repeat(each)
        begin_ns = cells["cell"].astype(np.int64) * CELL_NS
        at = np.where(in_one, parts.t0.repeat(each), begin_ns) - self.begin_ns
        at //= self.width
        none = np.isnan(cells["low"])
        numeric = np.where(none, 0, cells["count"])
        self._add(at, cells["count"], cells["bad"], numeric, cells["low"], cells["high"], cells["total"])
        whole = cells["cell"] == WHOLE
        first_ns, last_ns = (
            np.where(whole, end.repeat(each), begin_ns + cells[name].astype(np.int64) * TICK_NS)
            for name, end in (("first_at", parts.t0), ("last_at", parts.t1))
        )
        some = ~none
        self._add_ends(at[some], first_ns[some], last_ns[some], cells["first"][some], cells["last"][some])

    def add_rows(self, rows: ChartRows, *, unsigned: bool) -> None:
        """Count the rows that lie in the range."""
        inside = (rows.time_ns >= self.from_ns) & (rows.time_ns < self.to_ns)
        if not inside.all():
            rows = ChartRows(*(column[inside] for column in rows))
        if not len(rows.time_ns):
            return
        at = (rows.time_ns - self.begin_ns) // self.width
        if (rows.time_ns[1:] < rows.time_ns[:-1]).any():
            by_time = np.argsort(rows.time_ns, kind="stable")
            rows, at = ChartRows(*(column[by_time] for column in rows)), at[by_time]
        edges = _begins(at)
        made = sums(rows, edges, unsigned=unsigned)
        into = at[edges]
        self._add(into, made.count, made.bad, made.numeric, made.low, made.high, made.total)
        some = made.numeric > 0
        self._add_ends(into[some], made.first_ns[some], made.last_ns[some], made.first[some], made.last[some])

    def filled(self) -> FilledBuckets:
        """The buckets that hold a sample."""
        at = np.flatnonzero(self._count + self._bad)
        numeric = self._numeric[at]
        none = numeric == 0
        low, high = np.where(none, np.nan, self._low[at]), np.where(none, np.nan, self._high[at])
        with np.errstate(invalid="ignore"):
            mean = np.where(none, np.nan, self._total[at] / np.maximum(numeric, 1))
        start_ns = self.begin_ns + at * self.width
        return FilledBuckets(
            start_ns=start_ns,
            first_ns=np.where(none, start_ns, self._first_ns[at]),
            last_ns=np.where(none, start_ns, self._last_ns[at]),
            low=low,
            high=high,
            mean=mean,
            first=self._first[at],
            last=self._last[at],
            count=self._count[at],
            bad=self._bad[at],
        )

    def _inside(self, parts: ChunkSummaries) -> Array:
        inside: Array = (parts.t0 >= self.from_ns) & (parts.t1 < self.to_ns)
        return inside

    def _in_one(self, parts: ChunkSummaries) -> Array:
        at0, at1 = (parts.t0 - self.begin_ns) // self.width, (parts.t1 - self.begin_ns) // self.width
        out: Array = self._inside(parts) & (at0 == at1)
        return out

    def _add(self, at: Array, count: Array, bad: Array, numeric: Array, low: Array, high: Array, total: Array) -> None:
        if (at[1:] < at[:-1]).any():
            order = np.argsort(at, kind="stable")
            at, count, bad, numeric = at[order], count[order], bad[order], numeric[order]
            low, high, total = low[order], high[order], total[order]
        if not len(at):
            return
        none = numeric == 0
        if none.any():
            low, high = np.where(none, np.inf, low), np.where(none, -np.inf, high)
            total = np.where(none, 0.0, total)
        edges = _begins(at)
        with np.errstate(over="ignore", invalid="ignore"):
            if len(edges) < len(at):
                count, bad, numeric = (
                    np.add.reduceat(one.astype(np.int64, copy=False), edges) for one in (count, bad, numeric)
                )
                low, high = np.minimum.reduceat(low, edges), np.maximum.reduceat(high, edges)
                at, total = at[edges], np.add.reduceat(total, edges)
            self._count[at] += count
            self._bad[at] += bad
            self._numeric[at] += numeric
            self._low[at] = np.minimum(self._low[at], low)
            self._high[at] = np.maximum(self._high[at], high)
            self._total[at] += total

    def _add_ends(self, at: Array, first_ns: Array, last_ns: Array, first: Array, last: Array) -> None:
        """First and last values of parts, by their times; of equal times the one that was added first stays first."""
        earliest = latest = np.arange(len(at))
        if not (at[1:] > at[:-1]).all():
            by_time = np.lexsort((first_ns, at))
            earliest = by_time[_begins(at[by_time])]
            by_time = np.lexsort((last_ns, at))
            latest = by_time[np.append(_begins(at[by_time])[1:], len(at)) - 1]
        earliest = earliest[first_ns[earliest] < self._first_ns[at[earliest]]]
        self._first_ns[at[earliest]], self._first[at[earliest]] = first_ns[earliest], first[earliest]
        latest = latest[last_ns[latest] >= self._last_ns[at[latest]]]
        self._last_ns[at[latest]], self._last[at[latest]] = last_ns[latest], last[latest]


def _begins(at: Array) -> Array:
    """Where a run of equal numbers begins; at least one number, none below 0."""
    out: Array = np.concatenate([[0], np.flatnonzero(at[1:] != at[:-1]) + 1])
    return out
