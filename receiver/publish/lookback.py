"""Reading a part of the journal again, for the streams that have blocks waiting in it.

One look back goes from one place to another, a bounded part at a time, and gives the records of some streams. A closed
segment whose index names none of them is stepped over unread: a stream lives in the few segments of its own days.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from protocol.ranges import Ranges
from protocol.store.index import read_index
from protocol.store.layout import index_path
from protocol.store.reader import Reader
from protocol.store.record import Record
from protocol.store.resync import Place
from receiver.publish.waiting import WaitingBlocks


@dataclass(slots=True)
class Sought:
    """A stream's part in a look back."""

    old: WaitingBlocks
    """What waited when it began."""
    gone: Ranges = field(default_factory=Ranges)
    """Of those, what waits no more."""
    still: WaitingBlocks | None = None
    """Of those, what was met again and still waits."""
    lessons: list[Record] = field(default_factory=list)
    """Blocks that were handed on long ago, would teach, and cannot be opened yet."""

    def wants(self, number: int) -> bool:
        """Whether it waited when this began, and was not met yet."""
        if number not in self.old.numbers or number in self.gone:
            return False
        return self.still is None or number not in self.still.numbers

    def left(self) -> WaitingBlocks:
        """What waited when this began and still does, as far as is known yet."""
        return replace(self.old, numbers=self.old.numbers.less(self.gone))


class Lookback:
    """A part of the journal that is read again, for some streams alone."""

    def __init__(self, journal: Path, start: Place, end: Place, streams: dict[bytes, Sought]) -> None:
        """
        Args:
            journal: The journal's folder.
            start: From here.
            end: Up to here.
            streams: Whose records are given.
        """
        self.reader = Reader(journal, start)
        self.end = end
        self.streams = streams
        self.done = False

    def read(self, most_bytes: int) -> Iterator[tuple[Place, Record]]:
        """The records in the next part, each with a place at or before it; then perhaps `done`."""
        while self._holds_none():
            self.reader.place = Place(self.reader.place.segment + 1, 0)
        found = self.reader.read(1024, self.end, most_bytes=most_bytes)
        for one in found:
            if one.stream in self.streams:
                yield self.reader.began, one
        self.done = not found

    def close(self) -> None:
        """Let go of the open file."""
        self.reader.close()

    def _holds_none(self) -> bool:
        at = self.reader.place
        if at.offset or at.segment == 0 or at.segment >= self.end.segment:
            return False
        return not _named(self.reader.folder, at.segment, self.streams)


def _named(journal: Path, segment: int, streams: Collection[bytes]) -> bool:
    """Whether a segment may hold one of the streams; True where its index cannot be believed."""
    index = read_index(index_path(journal, segment), segment)
    return index is None or any(stream in index.streams for stream in streams)
