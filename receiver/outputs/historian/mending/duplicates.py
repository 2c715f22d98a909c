"""Samples that come a second time, because the journal is read from its beginning again: known by what they are.

After `current.db` was begun anew, or a month was lost, every block still in the journal is handed over once more. Some
of its rows are in sealed chunks already, some were lost. A row's identity is (stream, block, row), and the rows of one
block and series are sealed together; so for each block and series it is enough to count: as many in the chunks as come
now, and they are there; none, and they were lost. Where a chunk among several cannot be read, the rows themselves are
compared, each as often as it is there.

Nothing is kept for it: the chunks that may hold a row are found by its time, as a reader finds them, and only chunks
up to the number at which the history was begun again are looked at. Where half of a block's rows of a series were lost,
those of them with one and the same time may stand in another order afterwards.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np

from protocol.content.array import Array
from protocol.content.sample import ValueKind
from protocol.errors import StoreError
from receiver.outputs.disk import UNBELIEVED, Connection, is_full
from receiver.outputs.historian.codec import chunk
from receiver.outputs.historian.rows import Rows, join

CACHED_ROWS = 4_000_000
"""Rows of opened chunks whose block numbers are kept for the next hand-over, about (8 bytes each)."""
_OpenedChunk: TypeAlias = tuple[Connection, int, Array]
"""Month, number, and the blocks of its rows, of a chunk."""
_BEFORE_ALL = -(2**63)
_STREAM_BITS, _NUMBER_BITS = 22, 41
"""Streams and block numbers that fit one 63-bit key: 70,000 years of blocks at 1 a second."""


class Duplicates:
    """Which rows of a hand-over are in chunks up to a number."""

    def __init__(self, months: Callable[[], Iterable[Connection]], upto: int) -> None:
        """
        Args:
            months: Gives the month files.
            upto: Number of the newest chunk to look at; 0 for none.
        """
        self._months = months
        self._files: list[Connection] = []
        self._upto = upto
        self._last: dict[int, int] = {}
        """Series -> the latest time in its chunks."""
        self._cached: OrderedDict[int, Array] = OrderedDict()
        self._cached_rows = 0
        self.known = 0
        """Rows that were in chunks already."""

    def fresh(self, rows: Rows) -> Rows:
        """The rows that no chunk has, in their order.

        Args:
            rows: All rows of the series that their blocks hold.
        """
        if not self._upto or not len(rows):
            return rows
        self._files = list(self._months())
        in_order = np.argsort(rows.series, kind="stable")
        series = rows.series[in_order]
        edges = np.flatnonzero(np.diff(series.astype(np.int64), prepend=-1)).tolist()
        keep = np.ones(len(rows), bool)
        for begin, end in zip(edges, [*edges[1:], len(rows)], strict=True):
            at = in_order[begin:end]
            if int(rows.time_ns[at].min()) <= self._last_of(int(series[begin])):
                keep[at] = self._new(int(series[begin]), rows, at)
        self.known += len(rows) - int(np.count_nonzero(keep))
        return rows if keep.all() else rows.pick(np.flatnonzero(keep))

    def _new(self, series: int, rows: Rows, at: Array) -> Array:
        """By row of one series: no chunk has it."""
        chunks = self._chunks(series, int(rows.time_ns[at].min()), int(rows.time_ns[at].max()))
        if not chunks:
            return np.ones(len(at), bool)
        keys, which, come = np.unique(_keys(rows, at), return_inverse=True, return_counts=True)
        there = np.zeros(len(keys), np.int64)
        for _, _, in_chunk in chunks:
            place = np.searchsorted(keys, in_chunk)
            place[place == len(keys)] = 0
            np.add.at(there, place[keys[place] == in_chunk], 1)
        new: Array = (there == 0)[which]
        for key in np.flatnonzero((there > 0) & (there < come)).tolist():
            new |= self._left(series, rows, at, which == key, chunks)
        return new

    def _left(self, series: int, rows: Rows, at: Array, mask: Array, chunks: Sequence[_OpenedChunk]) -> Array:
        """Of the masked rows, which are one block's: those that the chunks lack."""
        first = at[np.flatnonzero(mask)[0]]
        there: Counter[Any] = Counter()
        for month, number, _ in chunks:
            decoded = self._decoded(month, series, number)
            same = (decoded.stream == rows.stream[first]) & (decoded.number == rows.number[first])
            there.update(_contents(decoded.pick(np.flatnonzero(same))))
        new = np.zeros(len(at), bool)
        for place, content in zip(np.flatnonzero(mask).tolist(), _contents(rows.pick(at[mask])), strict=True):
            if there[content]:
                there[content] -= 1
            else:
                new[place] = True
        return new

    def _last_of(self, series: int) -> int:
        if series not in self._last:
            sql = "SELECT max(t1) FROM chunk WHERE series = ?"
            tops = [top for month in self._files for (top,) in self._asked(month, sql, series) if top is not None]
            self._last[series] = max(tops, default=_BEFORE_ALL)
        return self._last[series]

    def _chunks(self, series: int, from_ns: int, to_ns: int) -> list[_OpenedChunk]:
        sql = "SELECT id FROM chunk WHERE series = ? AND t1 >= ? AND t0 <= ? AND id <= ?"
        opened = []
        for month in self._files:
            for (number,) in self._asked(month, sql, series, from_ns, to_ns, self._upto):
                opened.append((month, number, self._opened(month, series, number)))
        return opened

    def _opened(self, month: Connection, series: int, number: int) -> Array:
        """The blocks of a chunk's rows, none where it cannot be read."""
        if number in self._cached:
            self._cached.move_to_end(number)
            return self._cached[number]
        keys = self._cached[number] = _keys(self._decoded(month, series, number), slice(None))
        self._cached_rows += len(keys)
        while self._cached_rows > CACHED_ROWS and len(self._cached) > 1:
            self._cached_rows -= len(self._cached.popitem(last=False)[1])
        return keys

    def _decoded(self, month: Connection, series: int, number: int) -> Rows:
        for (body,) in self._asked(month, "SELECT body FROM body WHERE id = ? AND series = ?", number, series):
            with contextlib.suppress(StoreError):
                return chunk.decode(body, series)
        return join([])

    def _asked(self, month: Connection, sql: str, *values: int) -> list[tuple[Any, ...]]:
        """A damaged page gives nothing: its rows count as lost, and are taken from the journal."""
        try:
            return month.execute(sql, values).fetchall()
        except (sqlite3.Error, *UNBELIEVED) as error:
            if isinstance(error, sqlite3.Error) and is_full(error):
                raise
            return []


def distinct(parts: Sequence[Rows]) -> Rows:
    """The parts joined, without what is twice: rows of a block and series that stand in an earlier part."""
    rows = join(parts)
    part = np.repeat(np.arange(len(parts)), [len(one) for one in parts])
    order = np.lexsort((part, rows.number, rows.stream, rows.series))
    same = np.ones(len(rows), bool)
    for column in (rows.series, rows.stream, rows.number):
        same[1:] &= np.diff(column[order].astype(np.int64)) == 0
    same[:1] = False
    group = np.cumsum(~same) - 1
    first = part[order][np.flatnonzero(~same)]
    keep = np.zeros(len(rows), bool)
    keep[order] = part[order] == first[group]
    return rows.pick(np.flatnonzero(keep))


def _keys(rows: Rows, at: Array | slice) -> Array:
    stream, number = rows.stream[at].astype(np.int64), rows.number[at]
    keys: Array = stream << _NUMBER_BITS | number
    for one in np.flatnonzero((number >> _NUMBER_BITS != 0) | (stream >> _STREAM_BITS != 0)).tolist():
        keys[one] = hash((int(stream[one]), int(number[one])))
    return keys


def _contents(rows: Rows) -> list[tuple[Any, ...]]:
    """What each row says, to be compared."""
    value: list[Any] = rows.value.tolist()
    for one in np.flatnonzero(rows.kind == ValueKind.TEXT).tolist():
        value[one] = rows.texts[value[one]]
    columns = (rows.time_ns, rows.other_ns, rows.quality, rows.native, rows.kind)
    return list(zip(*(column.tolist() for column in columns), value, strict=True))
