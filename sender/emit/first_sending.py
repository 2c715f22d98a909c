"""First sendings: every block of the spool once, what is new before what piled up.

    new       blocks as the spool gets them, in its order
    backlog   stretches that had no first sending while the link or this process was down, the newest chunk first

A block's first sending is finished when its last portion has left, spares included (interleave.py). What is new and
waits longer than the link needs LAG for becomes backlog, so that what is newer goes first.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from protocol.ranges import Ranges
from protocol.store.index import join
from protocol.store.reader import Reader
from protocol.store.record import Record
from protocol.store.resync import Place
from sender.emit.interleave import Done, Group, Interleave, Parcel, portions
from sender.emit.link_session import LinkTerms
from sender.emit.spool_index import Numbers
from sender.store.spans import Mark, cuts, distance

LAG = 2.0
"""New blocks that wait longer than the link needs this long for become backlog, so that what is new goes first [s]."""
CHUNK = 1 << 18
"""Backlog is sent newest chunk first; about this many bytes a chunk [bytes]."""

Frames = tuple[memoryview, int, int, int]
"""All frames of a block, the bytes of each, and (need, spare)."""
Cut = Callable[[Record, int], Frames]
Begun = Callable[[Reader, list[Record], float], None]


class FirstSendings:
    """Which blocks had their first sending, and which is next."""

    def __init__(self, folder: Path, link: LinkTerms, frames: Cut, begun: Begun) -> None:
        """
        Args:
            folder: The spool.
            link: Of the emitter.
            frames: Cuts a block for the copy of this number.
            begun: Told of blocks that begin, with the reader that they come from, and of damage in it.
        """
        self.finished: dict[bytes, Ranges] = {}
        """Numbers that had their first sending, a stream."""
        self.reader = Reader(folder)
        """Stands behind the last new block that was read."""
        self._folder, self._spread, self._rate = folder, link.spread_s, link.geometry.rate
        self._cut, self._begun = frames, begun
        self._mark: Mark | None = None
        self._backlog: list[tuple[Place, Place]] = []  # oldest first; the last one is next
        self._new, self._old = Interleave(), Interleave()
        self._groups: deque[Group] = deque()
        self._old_groups: deque[Group] = deque()

    def begin(self, end: Place, mark: Mark | None, backlog: Iterable[tuple[Place, Place]], finished: Numbers) -> None:
        """Go on from here; what is under way leaves all the same, and counts for nothing.

        Args:
            end: What is behind it is new.
            mark: The last record before it.
            backlog: Stretches before it that had none, oldest first.
            finished: Numbers that had one.
        """
        self.reader.close()
        self.reader.place, self._mark, self._backlog = end, mark, [one for one in backlog if one[0] < one[1]]
        self.finished = {stream: Ranges(numbers) for stream, numbers in finished.items()}
        self._groups.clear()
        self._old_groups.clear()

    def settle(self, now: float) -> None:
        """What was handed out has left."""
        self._new.settle(now)
        self._old.settle(now)

    def new(self, now: float) -> Parcel | None:
        """A portion that is due of what is new, or of the next new blocks."""
        return self._new.next(now) or (self._new.next(now) if self._read_new(now) else None)

    def old(self, now: float) -> Parcel | None:
        """The same of the backlog."""
        return self._old.next(now) or (self._old.next(now) if self._read_old(now) else None)

    def finish(self, numbers: Mapping[bytes, Ranges]) -> None:
        """These had theirs, or can have none any more."""
        join(self.finished, numbers)

    def forget(self, streams: Iterable[bytes]) -> None:
        """Nothing of these streams is kept any more."""
        for stream in streams:
            del self.finished[stream]

    def left(self, done: Done) -> None:
        """A block's last portion has left."""
        self.finished.setdefault(done.stream, Ranges()).add(done.number)
        done.group.left -= 1

    def deadline(self) -> float:
        """When `new` or `old` may have something by itself, monotonic [s]."""
        if self._backlog:
            return float("-inf")
        times = (self._new.deadline(), self._old.deadline())
        return min((at for at in times if at is not None), default=float("inf"))

    def idle(self) -> bool:
        """Everything that exists had its first sending."""
        return not (self._new or self._old or self._backlog) and self.reader.place >= self.reader.end()

    def behind(self) -> float:
        """How long what waits takes at the set rate [s]."""
        waits = [*self._backlog, (self.reader.place, self.reader.end())]
        return sum(distance(self._folder, start, end) for start, end in waits) / self._rate

    def settled(self) -> tuple[Place, Mark | None]:
        """Up to here all new blocks had theirs, and a record before it."""
        while self._groups and not self._groups[0].left:
            self._groups.popleft()
        return (self._groups[0].start, self._groups[0].mark) if self._groups else (self.reader.place, self._mark)

    def unsent(self) -> list[tuple[Place, Place]]:
        """Stretches before it of which some block did not."""
        self._old_groups = deque(one for one in self._old_groups if one.left)
        return sorted([*self._backlog, *((one.start, one.end) for one in self._old_groups)])

    def _read_new(self, now: float) -> bool:
        end = self.reader.end()
        if self.reader.place >= end:
            return False
        if distance(self._folder, self.reader.place, end) > LAG * self._rate:
            self._backlog.append((self.reader.place, end))
            self.reader.place = end
            return False
        group = Group(self.reader.place, end, self._mark, 0)
        records = self._begin(self.reader, 16, group, self._new, now)
        if records:
            self._mark = Mark(_last(self.reader, records), records[-1].digest)
            self._groups.append(group)
        return bool(records)

    def _read_old(self, now: float) -> bool:
        if not self._backlog:
            return False
        start, end = self._backlog.pop()
        if distance(self._folder, start, end) > CHUNK:
            self._backlog += itertools.pairwise(cuts(self._folder, start, end, CHUNK))
            start, end = self._backlog.pop()
        group = Group(start, end, None, 0)
        self._old_groups.append(group)
        reader = Reader(self._folder, start)
        while self._begin(reader, 256, group, self._old, now):
            pass
        reader.close()
        return bool(group.left)

    def _begin(self, reader: Reader, most: int, group: Group, into: Interleave, now: float) -> list[Record]:
        """The next records of a group begin their first sending."""
        records = reader.read(most, group.end)
        group.left += len(records)
        for one in records:
            frames, length, need, spare = self._cut(one, 0)
            how = portions(need, spare, self._spread, self._rate)
            into.add(frames, length, how, Done(one.stream, one.number, group), now)
        self._begun(reader, records, now)
        return records


def _last(reader: Reader, records: list[Record]) -> Place:
    """Where the last of the records just read begins."""
    return Place(reader.place.segment, reader.place.offset - records[-1].length)
