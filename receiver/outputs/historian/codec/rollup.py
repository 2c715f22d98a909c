"""Roll-ups: of each three hours of a chunk what a chart needs, so that years are drawn without opening chunks (pure).

A cell is three hours since 1970. A chunk keeps one record for each cell that its rows touch, made when it is sealed:

    cell u32+i | count, bad u32 | first_at, last_at u32 | low, high, total, first, last f64          `CELL`

Cells belong to their chunk and are never changed. Rows that come late or are healed are sealed into chunks of their own
with cells of their own; two records of one cell simply add up, so a roll-up is right whatever came when, and goes when
its chunk goes. A chunk whose rows are far apart keeps one record for all of them, its cell being `WHOLE`: opening it
costs no more than reading many.

A sample is usable when its quality is good or uncertain and it has a value; a number must also be finite.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from protocol.content.array import Array
from protocol.content.sample import Quality, ValueKind
from receiver.outputs.historian.codec.chunk import ChartRows

CELL_NS = 3 * 3600 * 10**9
"""Time that a cell spans [ns]: a year in 1,000 buckets is three of them a bucket; a third of it would cost a tenth of a
byte more a sample at a period of 10 s."""
LEAST_ROWS = 64
"""Rows a cell, on average, below which a chunk keeps one record."""
WHOLE = -(2**31)
"""The `cell` of a record of all rows of a chunk."""
TICK_NS = -(-CELL_NS // 2**32)
"""Unit of `first_at` and `last_at`, from the cell's begin [ns]."""
CELL = np.dtype(
    [
        ("cell", "<i4"),
        ("count", "<u4"),
        ("bad", "<u4"),
        ("first_at", "<u4"),
        ("last_at", "<u4"),
        ("low", "<f8"),
        ("high", "<f8"),
        ("total", "<f8"),
        ("first", "<f8"),
        ("last", "<f8"),
    ]
)
"""One cell: `count` usable rows and `bad` others; the five numbers are nan where no usable row is a number."""


@dataclass(frozen=True, slots=True)
class ChunkSummary:
    """Of a chunk's usable rows; the three numbers are None where none of them is a number."""

    count: int
    low: float | None
    high: float | None
    total: float | None


@dataclass(frozen=True, slots=True)
class Sums:
    """Runs of rows in numbers, as parallel arrays."""

    count: Array
    """Usable rows."""
    bad: Array
    """The others."""
    numeric: Array
    """Usable rows that are a number."""
    low: Array
    """nan where none is; also the four below."""
    high: Array
    total: Array
    first: Array
    last: Array
    first_ns: Array
    """Time of the first usable number, of the run's first row where there is none."""
    last_ns: Array


def numbers(rows: ChartRows, *, unsigned: bool | Array) -> tuple[Array, Array]:
    """Which rows are usable, and their values as float64 (nan for texts; booleans are 0 and 1).

    Args:
        unsigned: Whether integers are unsigned, of all rows or of each.
    """
    kind = rows.kind
    if len(kind) and kind[0] == ValueKind.FLOAT and bool((kind == kind[0]).all()):
        value = rows.value.view(np.float64)
        return (rows.quality < Quality.BAD) & np.isfinite(value), value
    value = np.full(len(kind), np.nan)
    is_float, is_int, is_bool = kind == ValueKind.FLOAT, kind == ValueKind.INT, kind == ValueKind.BOOL
    value[is_float] = rows.value[is_float].view(np.float64)
    value[is_int] = rows.value[is_int]
    above = is_int & (rows.value < 0) & unsigned
    value[above] = rows.value[above].view(np.uint64)
    value[is_bool] = rows.value[is_bool]
    usable = (rows.quality < Quality.BAD) & ((kind == ValueKind.TEXT) | np.isfinite(value))
    return usable, value


def sums(rows: ChartRows, first: Array, *, unsigned: bool | Array) -> Sums:
    """The sums of each run of rows that lie by time.

    Args:
        first: Where each run begins, ascending from 0.
        unsigned: As for `numbers`.
    """
    n = len(rows.kind)
    usable, value = numbers(rows, unsigned=unsigned)
    numeric = usable & ~np.isnan(value)
    whole = bool(numeric.all())
    lengths = np.diff(first, append=n)
    place = np.arange(n)
    if whole:
        count = valued = lengths
        begin, end = first, first + lengths - 1
        low, high = value, value
        added = value
    else:
        count = np.add.reduceat(usable.astype(np.int64), first)
        valued = np.add.reduceat(numeric.astype(np.int64), first)
        begin = np.minimum(np.minimum.reduceat(np.where(numeric, place, n), first), n - 1)
        end = np.maximum(np.maximum.reduceat(np.where(numeric, place, -1), first), 0)
        low, high = np.where(numeric, value, np.inf), np.where(numeric, value, -np.inf)
        added = np.where(numeric, value, 0.0)
    none = valued == 0
    begin, end = np.where(none, first, begin), np.where(none, first, end)
    with np.errstate(over="ignore", invalid="ignore"):
        columns = {
            "low": np.minimum.reduceat(low, first),
            "high": np.maximum.reduceat(high, first),
            "total": np.add.reduceat(added, first),
            "first": value[begin],
            "last": value[end],
        }
    if none.any():
        columns = {name: np.where(none, np.nan, column) for name, column in columns.items()}
    return Sums(
        count=count,
        bad=lengths - count,
        numeric=valued,
        first_ns=rows.time_ns[begin],
        last_ns=rows.time_ns[end],
        **columns,
    )


def summarized(rows: ChartRows, lengths: Array, *, unsigned: bool | Array) -> list[tuple[ChunkSummary, bytes]]:
    """Summary and cells of each chunk.

    Args:
        rows: One chunk's after another's, each by time.
        lengths: Rows of each chunk, 1 or more.
        unsigned: As for `numbers`.
    """
    ends = np.cumsum(lengths)
    first = ends - lengths
    cell = rows.time_ns // CELL_NS
    new = np.ones(len(cell), bool)
    np.not_equal(cell[1:], cell[:-1], out=new[1:])
    new[first] = True
    edges = np.flatnonzero(new)
    held = _records(sums(rows, edges, unsigned=unsigned), cell[edges], cell[edges] * CELL_NS)
    whole = sums(rows, first, unsigned=unsigned)
    begins = np.searchsorted(edges, first)
    records = _records(whole, np.full(len(first), WHOLE), np.zeros(len(first), np.int64))
    out: list[tuple[ChunkSummary, bytes]] = []
    columns = zip(
        whole.count.tolist(),
        whole.numeric.tolist(),
        whole.low.tolist(),
        whole.high.tolist(),
        whole.total.tolist(),
        lengths.tolist(),
        begins.tolist(),
        [*begins[1:].tolist(), len(edges)],
        strict=True,
    )
    for at, (count, numeric, low, high, total, length, begin, end) in enumerate(columns):
        summary = ChunkSummary(count, low, high, total) if numeric else ChunkSummary(count, None, None, None)
        sparse = length < LEAST_ROWS * (end - begin)
        out.append((summary, (records[at : at + 1] if sparse else held[begin:end]).tobytes()))
    return out


def of_bytes(parts: list[bytes]) -> Any:
    """The cells of chunks, one chunk's after another's. Raises ValueError where they are none."""
    return np.frombuffer(b"".join(parts), CELL)


def _records(made: Sums, cell: Array, begin_ns: Array) -> Any:
    held = np.zeros(len(cell), CELL)
    held["cell"] = cell
    held["count"], held["bad"] = made.count, made.bad
    if len(cell) and cell[0] != WHOLE:
        held["first_at"], held["last_at"] = (made.first_ns - begin_ns) // TICK_NS, (made.last_ns - begin_ns) // TICK_NS
    for name in ("low", "high", "total", "first", "last"):
        held[name] = getattr(made, name)
    return held
