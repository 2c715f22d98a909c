"""The current value of every series: advanced by the sender's order, never by a clock or by arrival.

Order is (packer's start, block number, row). So a healed old value does not overwrite a newer one, and a device whose
clock stands in 2099 pins nothing. Refresh rows count here, and only here.
"""

from __future__ import annotations

import numpy as np

from protocol.content.array import Array
from protocol.content.sample import NO_TIME, ValueKind
from receiver.outputs.disk import Connection, Writes
from receiver.outputs.historian.rows import Rows

_WRITE = "REPLACE INTO latest VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class Newest:
    """What decides whether a row is newer: per series the order and the time of its current value."""

    def __init__(self, connection: Connection) -> None:
        self._boot = np.full(64, -1, np.int64)
        self._number = np.full(64, -1, np.int64)
        self._time = np.full(64, NO_TIME, np.int64)
        self._bits = np.zeros(64, np.int64)
        current = connection.execute("SELECT series, boot, number, time_ns, value, text FROM latest").fetchall()
        if current:
            bits = [value if text is None else hash(text) for *_, value, text in current]
            series, boot, number, time_ns = np.array([row[:4] for row in current], np.int64).T
            self._grow(int(series.max()))
            self._boot[series], self._number[series], self._time[series] = boot, number, time_ns
            self._bits[series] = bits
        self.same_time = 0
        """Rows that had the time of the row before them in their series, with another value, seen on arrival."""

    def advance(self, rows: Rows, boot: Array, seen_ns: Array, mark: int, writes: Writes) -> None:
        """Make current what is newer.

        Args:
            rows: All rows of a hand-over, in the sender's order.
            boot: The packer's start counter of each row's stream.
            seen_ns: When each row's block was completed, by the low side's clock.
            mark: Of this hand-over, rising.
        """
        if not len(rows):
            return
        self._grow(int(rows.series.max()))
        bits = _comparable(rows)
        self._count_same_time(rows, bits)
        series, back = np.unique(rows.series[::-1], return_index=True)
        at = len(rows) - 1 - back
        newer = boot[at] > self._boot[series]
        newer |= (boot[at] == self._boot[series]) & (rows.number[at] > self._number[series])
        series, at = series[newer], at[newer]
        self._boot[series], self._number[series] = boot[at], rows.number[at]
        self._time[series], self._bits[series] = rows.time_ns[at], bits[at]
        last = rows.pick(at)
        columns: list[list[object]] = [
            column.tolist()
            for column in (
                last.series,
                last.time_ns,
                last.other_ns,
                last.kind,
                last.value,
                last.quality,
                last.native,
                seen_ns[at],
                boot[at],
                last.number,
            )
        ]
        texts: list[object] = [None] * len(last)
        for one in np.flatnonzero(last.kind == ValueKind.TEXT).tolist():
            texts[one] = last.texts[int(last.value[one])]
        columns.insert(5, texts)
        writes.add(_WRITE, list(zip(*columns, [mark] * len(last), strict=True)))

    def _count_same_time(self, rows: Rows, bits: Array) -> None:
        by_series = np.argsort(rows.series, kind="stable")
        series, time_ns, value = (column[by_series] for column in (rows.series, rows.time_ns, bits))
        first = np.flatnonzero(np.diff(series.astype(np.int64), prepend=-1))
        before_ns, before = np.roll(time_ns, 1), np.roll(value, 1)
        before_ns[first], before[first] = self._time[series[first]], self._bits[series[first]]
        self.same_time += int(np.count_nonzero((time_ns == before_ns) & (value != before)))

    def _grow(self, series: int) -> None:
        while series >= len(self._boot):
            more = len(self._boot)
            self._boot = np.concatenate([self._boot, np.full(more, -1, np.int64)])
            self._number = np.concatenate([self._number, np.full(more, -1, np.int64)])
            self._time = np.concatenate([self._time, np.full(more, NO_TIME, np.int64)])
            self._bits = np.concatenate([self._bits, np.zeros(more, np.int64)])


def _comparable(rows: Rows) -> Array:
    """64 bits a row that differ where values differ (a text by its hash)."""
    at = np.flatnonzero(rows.kind == ValueKind.TEXT)
    if not len(at):
        return rows.value
    bits = rows.value.copy()
    bits[at] = [hash(rows.texts[one]) for one in rows.value[at].tolist()]
    return bits
