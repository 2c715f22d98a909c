"""Which samples leave: everything, or only what has changed enough and what keeps the tag fresh. Pure, vectorised.

A point without a deadband is sent at every poll. With a deadband d (OPC 10000-4, 7.22.2) a row leaves when

    status    its quality or native code differs from the last row that left, or
    value     |value - last that left| > d; other kinds of value (text, bool): when it differs at all, or
    silence   `max_silence` would pass before the next poll.

The last one is flagged REFRESH when value and status are to the bit those that left last: it renews freshness and
counts nowhere. A value that moved, though less than d, leaves as an ordinary sample and becomes the new reference.

A subscribing collector hands over what its device notified. Each notification leaves (or is held to its deadband); a
row without a value that repeats the last status (a device that stays down) is held back, and a point of which nothing
came for `max_silence` is repeated from memory (the row that left last, so within its deadband of the truth), flagged
REFRESH, as of now, with its own time in `other_ns`.

Everything else is held back and counted. Rows keep their order; repeats from memory stand last.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from protocol.content.array import Array
from protocol.content.sample import Columns, Flag, ValueKind

EVERY = -1.0
"""In `deadband`: every row leaves (a poll without deadband, or a notification)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """What leaves of one read."""

    columns: Columns
    held: int
    """Rows held back: taken from the device, unchanged."""

    @property
    def read(self) -> int:
        """Rows that count as read and sent: all that leave but refreshes."""
        return len(self.columns) - int(np.count_nonzero(self.columns.flags & Flag.REFRESH))


class Deadband:
    """The deadbands of one device, by point number.

    Args:
        deadband: Per point [unit of the point]: 0 or more, or EVERY; float64.
        silence_s: Per point, longest time between two rows that leave [s]; float64.
        period_s: Per point, its scan's period [s]; float64.
        subscribes: Rows are notifications: a point may have none, or several.
    """

    def __init__(self, deadband: Array, silence_s: Array, period_s: Array, *, subscribes: bool = False) -> None:
        count = len(deadband)
        self._deadband = deadband
        self._subscribes = subscribes
        self._tracked = np.full(count, True) if subscribes else deadband >= 0
        self._all_pass = not self._tracked.any()
        # Half a period early rather than half a period late: polls do not fall on the second.
        self._patience = silence_s - period_s / 2
        self._left_at = np.full(count, -np.inf)
        self._kind = np.full(count, -1, np.int16)
        self._quality = np.zeros(count, np.uint32)
        self._native = np.zeros(count, np.uint32)
        self._time = np.zeros(count, np.int64)
        self._number = np.zeros(count, np.float64)
        self._bits = np.zeros(count, np.uint64)
        self._text = np.full(count, "", object)

    def filter(self, columns: Columns, now: float) -> Passed:
        """Take one read's rows; what leaves of them.

        Args:
            columns: Rows with point numbers in `tag`.
            now: Monotonic time [s].
        """
        if self._all_pass or not len(columns):
            return Passed(columns=columns, held=0)
        passes = np.full(len(columns), True)
        flags = columns.flags.copy()
        number, bits, text = _values(columns)
        for rows in _rounds(columns.tag, self._tracked):
            keep, refresh = self._judge(columns, rows, number, bits, text, now)
            passes[rows] = keep
            flags[rows[refresh]] |= np.uint8(Flag.REFRESH)
            self._remember(columns, rows[keep], number, bits, text, now)
        held = int(len(passes) - np.count_nonzero(passes))
        flagged = replace(columns, flags=flags)
        return Passed(columns=flagged.select(passes) if held else flagged, held=held)

    def silent(self, points: Array, time_ns: int, now: float) -> Columns:
        """Rows from memory for the `points` of a subscription of which nothing left for their `max_silence`.

        Args:
            points: Point numbers of the scan that was just drained.
            time_ns: Wall time of the drain [ns since 1970 UTC].
            now: Monotonic time [s].
        """
        known = points[(self._kind[points] >= 0) & (now - self._left_at[points] >= self._patience[points])]
        self._left_at[known] = now
        kind = self._kind[known].astype(np.uint8)
        bits = self._bits[known]
        floats, whole = bits[kind == ValueKind.FLOAT].view(np.float64), bits[kind == ValueKind.INT].view(np.int64)
        return Columns(
            tag=known.astype(np.uint32),
            time_ns=np.full(len(known), time_ns, np.int64),
            other_ns=self._time[known],
            flags=np.full(len(known), Flag.REFRESH, np.uint8),
            quality=self._quality[known],
            native=self._native[known],
            kind=kind,
            floats=floats,
            ints=whole,
            bools=bits[kind == ValueKind.BOOL].astype(bool),
            texts=tuple(self._text[known[kind == ValueKind.TEXT]].tolist()),
        )

    def _judge(
        self, columns: Columns, rows: Array, number: Array, bits: Array, text: Array, now: float
    ) -> tuple[Array, Array]:
        """Masks over `rows` (each point at most once): which leave, and which of those are refreshes."""
        point, kind = columns.tag[rows], columns.kind[rows]
        status = (
            (kind != self._kind[point])
            | (columns.quality[rows] != self._quality[point])
            | (columns.native[rows] != self._native[point])
        )
        same = (bits[rows] == self._bits[point]) & (text[rows] == self._text[point])
        with np.errstate(invalid="ignore"):  # inf - inf: no distance, so it counts as moved unless it is the same
            distance = np.abs(number[rows] - self._number[point])
        ints = kind == ValueKind.INT
        distance[ints] = _apart(bits[rows[ints]], self._bits[point[ints]])
        near = (distance <= self._deadband[point]) & ((kind == ValueKind.FLOAT) | ints)
        near |= np.isnan(number[rows]) & np.isnan(self._number[point]) & (kind == ValueKind.FLOAT)
        every = (self._deadband[point] < 0) & (kind != ValueKind.NONE)
        changed = status | every | ~(same | near)
        overdue = now - self._left_at[point] >= self._patience[point]
        return changed | overdue, overdue & ~changed & same

    def _remember(self, columns: Columns, rows: Array, number: Array, bits: Array, text: Array, now: float) -> None:
        point = columns.tag[rows]
        self._left_at[point] = now
        self._kind[point] = columns.kind[rows]
        self._quality[point] = columns.quality[rows]
        self._native[point] = columns.native[rows]
        self._time[point] = columns.time_ns[rows]
        self._number[point] = number[rows]
        self._bits[point] = bits[rows]
        self._text[point] = text[rows]


def _values(columns: Columns) -> tuple[Array, Array, Array]:
    """Per row: the value as float64 (FLOAT only, else 0), its 64 bits (0 without number), its text ("" without)."""
    number = np.zeros(len(columns), np.float64)
    bits = np.zeros(len(columns), np.uint64)
    text = np.full(len(columns), "", object)
    floats = columns.kind == ValueKind.FLOAT
    number[floats] = columns.floats
    bits[floats] = columns.floats.view(np.uint64)
    bits[columns.kind == ValueKind.INT] = columns.ints.view(np.uint64)
    bits[columns.kind == ValueKind.BOOL] = columns.bools
    text[columns.kind == ValueKind.TEXT] = columns.texts
    return number, bits, text


def _apart(one: Array, other: Array) -> Array:
    """Distance of int64 values given by their bits, exact beyond 2**53, as float64."""
    left, right = one.view(np.int64), other.view(np.int64)
    return (np.maximum(left, right).view(np.uint64) - np.minimum(left, right).view(np.uint64)).astype(np.float64)


def _rounds(tag: Array, tracked: Array) -> list[Array]:
    """Row numbers of tracked points, cut so that no point stands twice in one cut, in order."""
    rows = np.flatnonzero(tracked[tag])
    if not len(rows) or np.bincount(tag[rows]).max() == 1:
        return [rows] if len(rows) else []
    order = rows[np.argsort(tag[rows], kind="stable")]
    first = np.concatenate(([True], tag[order][1:] != tag[order][:-1]))
    starts = np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
    rank = np.arange(len(order)) - starts
    return [np.sort(order[rank == which]) for which in range(int(rank.max()) + 1)]
