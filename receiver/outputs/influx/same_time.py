"""Samples of a series with equal times: each gets a row of its own, by a number in its series (pure).

A server keeps one row for a series and a time, or worse, mixes the two: InfluxDB merges fields, so that a bad sample
without a value would show the old value; VictoriaMetrics picks each field by itself. So of samples whose times are one
at the server, the first stands in the series as it is, and the second, third, .. in the same series with the tag `seq`
= 1, 2, ..: one row a sample, and a sample without a value shows none.

All times that a series ever had would fill the disk. What is kept for each series and `seq` never leaves one out:

    low .. high     no row has a time outside of it: what is newer or older than all is free
    holes           the `HOLES` widest stretches in it that no row has: what comes into one is free, and parts it

A sample takes the first `seq` that is free for it. History that comes behind live data goes into the hole between
them, a healed block into the one that it left. A time that may be taken counts as taken: a healed sample may get a
`seq` though no other has its time, and never is one replaced. A block that comes again gets none: `met_blocks.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from protocol.content.array import Array

HOLES = 4
"""Stretches without a row that are kept for each series: 64 bytes."""
LANES = 64
"""Numbers of a series for which times are kept; a further row that finds none free has the next number for itself."""
SERIES_MOST = 2**26
"""More series than any output has: a number beyond it is damage."""
_COLUMNS = 3 + 2 * HOLES
_NONE_MOVED, _NO_WHOLE = np.zeros((0, 2), np.int64), np.zeros((0, _COLUMNS), np.int64)


@dataclass(frozen=True, slots=True)
class TimesChange:
    """What changed of the times that are taken; a key is a series and `SERIES_MOST` times its `seq`."""

    moved: Array
    """Keys whose newest time alone changed, and these times [ns]; two columns."""
    whole: Array
    """Key, low, high and the holes' edges [ns]; of the `seq` LANES, `high` is how many had a number for themselves."""

    def to_bytes(self) -> bytes:
        """As `from_bytes` takes it; differences, which pack well."""
        parts = [np.diff(one, axis=0, prepend=0).T.ravel() for one in (self.moved, self.whole)]
        return np.concatenate([[len(self.moved)], *parts]).astype("<i8").tobytes()

    @classmethod
    def from_bytes(cls, told: bytes) -> TimesChange:
        """What `to_bytes` gave.

        Raises:
            ValueError: it is something else.
        """
        numbers = np.frombuffer(told, "<i8")
        edge = 1 + 2 * int(numbers[0]) if len(numbers) else 0
        if not 1 <= edge <= len(numbers):
            raise ValueError("no times")
        moved, whole = numbers[1:edge].reshape(2, -1).T, numbers[edge:].reshape(_COLUMNS, -1).T
        out = cls(np.cumsum(moved, axis=0), np.cumsum(whole, axis=0))
        keys = np.concatenate([out.moved[:, 0], out.whole[:, 0]])
        if len(keys) and not 0 <= keys.min() <= keys.max() < SERIES_MOST * (LANES + 1):
            raise ValueError("no series")
        return out

    @classmethod
    def of_newest(cls, told: bytes) -> TimesChange:
        """What an earlier build kept: newest times, and how many rows have each; no row before them is known.

        Raises:
            ValueError: it is something else.
        """
        series, time_ns, after, *_ = (np.cumsum(one) for one in np.frombuffer(told, "<i8").reshape(6, -1))
        if len(series) and not 0 <= series.min() <= series.max() < SERIES_MOST:
            raise ValueError("no series")
        rows = [_whole(series[after >= LANES], LANES, *(after[after >= LANES],) * 2)]
        for lane in range(int(min(after.max(initial=0), LANES))):
            taken = after > lane
            rows.append(_whole(series[taken], lane, time_ns[taken], time_ns[taken]))
        return cls(_NONE_MOVED, np.concatenate(rows))


def _whole(series: Array, lane: int, low: Array, high: Array, holes: Array | None = None) -> Array:
    out = np.zeros((len(series), _COLUMNS), np.int64)
    out[:, 0], out[:, 1], out[:, 2] = series + lane * SERIES_MOST, low, high
    if holes is not None:
        out[:, 3:] = holes
    return out


class _Lane:
    """The times that one `seq` has, by series."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._slot = np.zeros(0, np.int32)
        """Of each series, its place in what follows; -1 where it has no row."""
        self._of = np.zeros(0, np.int64)
        """Of each place, its series."""
        self._low, self._high = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self._holes = np.zeros((0, 2 * HOLES), np.int64)
        """First edges, then last edges; a row's time lies between them and is neither."""
        self._least = np.zeros(0)
        """How wide the narrowest hole is: a wider stretch takes its place [ns]."""

    def place(
        self, series: Array, time_ns: Array, resolution_ns: int, *, alone: bool
    ) -> tuple[Array | None, Array, Array]:
        """Take in the rows whose time is free here.

        Args:
            series: Rising.
            time_ns: By series rising, unlike each other by `resolution_ns`.
            alone: Each row is of another series.

        Returns:
            (free, moved, whole): which rows these are, None where all are; and the places of what changed.
        """
        self._reach(int(series[-1]) + 1)
        slot = self._slot[series]
        fresh = slot < 0
        if fresh.any():
            slot = self._begin(series, fresh)
        high = self._high[slot]
        at, newest = (time_ns, high) if resolution_ns == 1 else (time_ns // resolution_ns, high // resolution_ns)
        later = (at > newest) | fresh
        if alone and later.all() and not fresh.any():  # nearly always
            self._high[slot] = time_ns
            wider = time_ns - high > self._least[slot]
            if not wider.any():
                return None, slot, slot[:0]
            self._keep(slot[wider], high[wider], time_ns[wider])
            return None, slot[~wider], slot[wider]
        region = np.where(later, HOLES + 1, np.where(at < self._low[slot] // resolution_ns, 0, -1))
        inner = np.flatnonzero(region < 0)
        if len(inner):
            edges = self._holes[slot[inner]] // resolution_ns
            inside = (edges[:, :HOLES] < at[inner, None]) & (at[inner, None] < edges[:, HOLES:])
            region[inner] = np.where(inside.any(axis=1), inside.argmax(axis=1) + 1, -1)
        free = region >= 0
        if not free.all():
            slot, region, time_ns, fresh = slot[free], region[free], time_ns[free], fresh[free]
        if not len(slot):
            return free, slot, slot
        changed = (slot[1:] != slot[:-1]) | (region[1:] != region[:-1])
        first = np.concatenate([[0], np.flatnonzero(changed) + 1])
        last = np.concatenate([first[1:], [len(slot)]]) - 1
        moved, whole = self._run(slot[first], region[first], time_ns[first], time_ns[last], fresh[first])
        if len(first) < len(slot):  # a single time far from the others of its block fills nothing between
            gaps = np.concatenate([np.diff(time_ns.astype(np.float64)), [0.0]])
            gaps[last] = 0
            wider = gaps > self._least[slot]
            for at in _widest(slot[wider], gaps[wider]):
                rows = np.flatnonzero(wider)[at]
                self._keep(slot[rows], time_ns[rows], time_ns[rows + 1])
            whole = np.union1d(whole, slot[wider])
            moved = np.setdiff1d(moved, whole)
        return (None if free.all() else free), moved, whole

    def load(self, series: Array, whole: Array) -> None:
        """Take rows of a change's `whole`."""
        self._reach(int(series.max()) + 1)
        slot = self._slot[series]
        if (slot < 0).any():
            slot = self._begin(series, slot < 0)
        self._low[slot], self._high[slot], self._holes[slot] = whole[:, 1], whole[:, 2], whole[:, 3:]
        self._least[slot] = self._widths(slot).min(axis=1)

    def move(self, series: Array, high: Array) -> None:
        """Take rows of a change's `moved`.

        Raises:
            ValueError: a series of it is not there.
        """
        self._reach(int(series.max()) + 1)
        if (self._slot[series] < 0).any():
            raise ValueError("a series without its times")
        self._high[self._slot[series]] = high

    def told(self, slots: Array | None = None) -> Array:
        """These places, or all, as a change's `whole`."""
        at = np.arange(len(self._of)) if slots is None else slots
        return _whole(self._of[at], self._number, self._low[at], self._high[at], self._holes[at])

    def told_moved(self, slots: Array) -> Array:
        """These places as a change's `moved`."""
        out = np.empty((len(slots), 2), np.int64)
        out[:, 0], out[:, 1] = self._of[slots] + self._number * SERIES_MOST, self._high[slots]
        return out

    def _run(self, slot: Array, region: Array, first: Array, last: Array, fresh: Array) -> tuple[Array, Array]:
        """Take in runs of rows: each lies in one region of its series, from a first time to a last."""
        new = slot[fresh]
        self._low[new], self._high[new] = first[fresh], last[fresh]
        above = (region == HOLES + 1) & ~fresh
        slots, begins = slot[above], self._high[slot[above]]
        self._high[slots] = last[above]
        wider = first[above].astype(np.float64) - begins > self._least[slots]
        moved, whole = slots[~wider], [new, slots[wider]]
        free = [(slots[wider], begins[wider], first[above][wider])]
        for number in np.unique(region[region <= HOLES]).tolist():
            inside = region == number
            slots, begin, end = slot[inside], first[inside], last[inside]
            whole.append(slots)
            if number == 0:
                ends = self._low[slots]
                self._low[slots] = begin
            else:
                ends = self._holes[slots, HOLES + number - 1]
                self._holes[slots, HOLES + number - 1] = begin
            free.append((slots, end, ends))
        for slots, begin, end in free:  # only now: one may take the place of a hole that another run lies in
            self._keep(slots, begin, end)
        changed = np.unique(np.concatenate(whole))
        return (moved[~np.isin(moved, changed)] if len(changed) else moved), changed

    def _keep(self, slots: Array, begin: Array, end: Array) -> None:
        """A stretch for each of these, in the place of its narrowest where it is wider."""
        if not len(slots):
            return
        widths = self._widths(slots)
        at = widths.argmin(axis=1)
        wider = end.astype(np.float64) - begin > widths[np.arange(len(slots)), at]
        self._holes[slots[wider], at[wider]] = begin[wider]
        self._holes[slots[wider], HOLES + at[wider]] = end[wider]
        self._least[slots] = self._widths(slots).min(axis=1)

    def _widths(self, slots: Array) -> Array:
        edges = self._holes[slots].astype(np.float64)
        out: Array = edges[:, HOLES:] - edges[:, :HOLES]
        return out

    def _begin(self, series: Array, fresh: Array) -> Array:
        """Give places to the series that have none."""
        new, have = np.unique(series[fresh]), len(self._of)
        self._slot[new] = np.arange(have, have + len(new), dtype=np.int32)
        self._of = np.concatenate([self._of, new])
        if len(self._of) > len(self._low):
            more = max(len(self._of), 2 * len(self._low)) - len(self._low)
            self._low, self._high = (np.concatenate([one, np.zeros(more, np.int64)]) for one in (self._low, self._high))
            self._holes = np.concatenate([self._holes, np.zeros((more, 2 * HOLES), np.int64)])
            self._least = np.concatenate([self._least, np.zeros(more)])
        out: Array = self._slot[series]
        return out

    def _reach(self, count: int) -> None:
        have = len(self._slot)
        if count > have:
            self._slot = np.concatenate([self._slot, np.full(max(count, 2 * have) - have, -1, np.int32)])


class SameTimes:
    """Which times are taken, by the series' number."""

    def __init__(self) -> None:
        self._lanes: list[_Lane] = []
        self._beyond: dict[int, int] = {}
        """By series, how many rows had a number for themselves."""

    def numbers(self, series: Array, time_ns: Array, resolution_ns: int) -> tuple[Array | None, TimesChange]:
        """The `seq` of each row of a block, None where all are 0; and what changed, for the store.

        Args:
            series: Small whole numbers, one a series; at least one row.
            time_ns: Their times [ns].
            resolution_ns: Times that are equal by this are one row at the server [ns].
        """
        rows: Array | None = None  # all, in the order given
        if not (series[1:] > series[:-1]).all():
            rows = np.lexsort((time_ns // resolution_ns, series))  # rows of one series and time stay in their order
        seq: Array | None = None
        moved, whole = [_NONE_MOVED], [_NO_WHOLE]
        for number in range(LANES):
            lane = self._lane(number)
            of, at = (series, time_ns) if rows is None else (series[rows], time_ns[rows])
            first = None if rows is None else _firsts(of, at // resolution_ns)
            if first is None or first.all():
                free, slots, others = lane.place(of, at, resolution_ns, alone=rows is None)
            else:
                free, slots, others = lane.place(of[first], at[first], resolution_ns, alone=False)
                placed = first.copy()
                placed[first] = True if free is None else free
                free = placed
            if len(slots):
                moved.append(lane.told_moved(slots))
            if len(others):
                whole.append(lane.told(others))
            if number:
                assert seq is not None
                assert rows is not None
                seq[rows if free is None else rows[free]] = number
            if free is None:
                break
            seq = np.zeros(len(series), np.int64) if seq is None else seq
            rows = (np.arange(len(series)) if rows is None else rows)[~free]
        else:
            assert seq is not None
            assert rows is not None
            seq[rows] = [LANES + self._further(one) for one in series[rows].tolist()]
            met = np.unique(series[rows]).astype(np.int64)
            counts = np.array([self._beyond[one] for one in met.tolist()], np.int64)
            whole.append(_whole(met, LANES, counts, counts))
        return seq, TimesChange(_joined(moved), _joined(whole))

    def load(self, changes: Iterable[TimesChange]) -> None:
        """Take in what `numbers` gave, in order.

        Raises:
            ValueError: they do not follow each other.
        """
        for one in changes:
            for rows, is_whole in ((one.whole, True), (one.moved, False)):
                lane_of = rows[:, 0] // SERIES_MOST
                for number in np.unique(lane_of).tolist():
                    part = rows[lane_of == number]
                    series = part[:, 0] % SERIES_MOST
                    if number == LANES:
                        self._beyond.update(zip(series.tolist(), part[:, 2].tolist(), strict=True))
                    elif is_whole:
                        self._lane(number).load(series, part)
                    else:
                        self._lane(number).move(series, part[:, 1])

    def whole(self) -> TimesChange:
        """Everything, as one change."""
        counts = np.array(list(self._beyond.values()), np.int64)
        beyond = _whole(np.array(list(self._beyond), np.int64), LANES, counts, counts)
        return TimesChange(_NONE_MOVED, np.concatenate([*(one.told() for one in self._lanes), beyond]))

    def _lane(self, number: int) -> _Lane:
        while number >= len(self._lanes):
            self._lanes.append(_Lane(len(self._lanes)))
        return self._lanes[number]

    def _further(self, series: int) -> int:
        self._beyond[series] = self._beyond.get(series, 0) + 1
        return self._beyond[series] - 1


def _widest(slot: Array, gaps: Array) -> Iterator[Array]:
    """Of each place the widest gap, then the next; at most `HOLES` times. Equal places stand together."""
    order = np.lexsort((-gaps, slot))
    of = slot[order]
    begin = np.concatenate([[True], of[1:] != of[:-1]])
    rank = np.arange(len(of)) - np.maximum.accumulate(np.where(begin, np.arange(len(of)), 0))
    for number in range(HOLES):
        if (rank == number).any():
            yield order[rank == number]


def _joined(parts: Sequence[Array]) -> Array:
    """All but the first, which is empty."""
    return parts[-1] if len(parts) < 3 else np.concatenate(parts)


def _firsts(series: Array, at: Array) -> Array:
    """The first of each series and time; rows lie by both."""
    out = np.ones(len(series), bool)
    out[1:] = (series[1:] != series[:-1]) | (at[1:] != at[:-1])
    return out
