"""What the spool holds of each stream, as the emitter sees it: the facts of its beats.

Closed segments say it in their `.idx`; the current one is known from what the emitter has read of it, and is looked
through once at a start. What is damaged is learned from whoever steps over it, and from the poller, which writes into
the `.idx` what it missed at its start: those numbers can never be sent (again). Everything here is only read; the
poller alone writes the spool.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from protocol.ranges import Ranges
from protocol.store.index import Segment, join, less, read_index
from protocol.store.layout import index_path, segment_numbers
from protocol.store.record import Record
from protocol.store.resync import Damage, Place
from sender.store import damage
from sender.store.spans import Mark, records

Numbers = dict[bytes, Ranges]
"""Block numbers, a stream."""


@dataclass(slots=True)
class _SegmentFacts:
    """What is known of a segment."""

    held: Numbers = field(default_factory=dict)
    """Can be read, here or from the kept files."""
    lost: Numbers = field(default_factory=dict)
    """Stood in it and stand nowhere else."""
    saved: Numbers = field(default_factory=dict)
    """Stood in it, and stand in the kept files once more."""
    damaged: Ranges = field(default_factory=Ranges)
    """Its bytes that were found damaged."""
    indexed: bool = False
    """It is closed, and its index was read."""
    awaited: bool = False
    """It is closed, and had no index yet when it was looked for."""


class SpoolIndex:
    """Numbers a stream, by segment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._segments: dict[int, _SegmentFacts] = {}
        self._sealed: dict[bytes, int] = {}
        self._gone: Numbers = {}

    def note(self, segment: int, stream: bytes, number: int) -> None:
        """A block was read there: it exists."""
        self._known(segment).held.setdefault(stream, Ranges()).add(number)
        if number >= self._sealed.get(stream, 0):
            self._sealed[stream] = number + 1

    def look_through(self, end: Place) -> Mark | None:
        """Learn what the current segment holds up to `end`, for a start; returns its last record."""
        last, damaged = None, list[Damage]()
        for place, one in records(self.folder, end.segment, end.offset, damaged):
            self.note(end.segment, one.stream, one.number)
            last = Mark(place, one.digest)
        self.damage(damaged, end)
        return last

    def damage(self, found: Sequence[Damage], end: Place) -> None:
        """Learn what stood where somebody found damage; the whole segment is looked at, the first time.

        Args:
            end: Of what is synced.
        """
        for segment in {one.start.segment for one in found if self._is_news(one)}:
            those = [one for one in found if one.start.segment == segment]
            for _ in records(self.folder, segment, end.offset if segment == end.segment else None, those):
                pass
            for one in those:
                self._known(segment).damaged.add(one.start.offset, one.end.offset)
            self._miss(segment, damage.lost(self.folder, those).get(segment, {}))

    def refresh(self) -> None:
        """Look which segments there are; a folder listing, call it every few seconds."""
        numbers = segment_numbers(self.folder)
        for gone in set(self._segments) - set(numbers):
            del self._segments[gone]
        for number in numbers:
            known, closed = self._known(number), number != numbers[-1]
            if known.indexed:
                continue
            held = read_index(index_path(self.folder, number), number)
            if held is None and known.awaited:
                held = self._look_at(number)  # it was not about to be written, it is damaged
            known.awaited = closed and held is None
            if held is not None:
                self._learn(held, closed=closed)
        if all(self._segments[number].indexed for number in numbers[:-1]):
            self._gone = self._holes(numbers[:-1])

    def streams(self) -> list[bytes]:
        """Streams of which blocks are kept, or stand there damaged, oldest first."""
        known = (self._segments[number] for number in sorted(self._segments))
        return list(dict.fromkeys(stream for one in known for stream in (*one.held, *one.lost)))

    def sealed(self, stream: bytes) -> int:
        """Numbers below this exist."""
        return self._sealed.get(stream, 0)

    def oldest(self, stream: bytes) -> int:
        """The oldest number that is still kept."""
        firsts = [next(iter(one.held[stream]))[0] for one in self._segments.values() if stream in one.held]
        return min(firsts, default=self.sealed(stream))

    def gone(self, stream: bytes) -> list[tuple[int, int]]:
        """Numbers above the oldest kept one that are not kept any more, or damaged, as of the last `refresh`."""
        out = Ranges([*self._gone.get(stream, ()), *self.lost().get(stream, ())])
        out.remove_below(self.oldest(stream))
        return list(out)

    def lost(self) -> Numbers:
        """Numbers that are damaged and stand nowhere else, as far as they are known."""
        out: Numbers = {}
        for one in self._segments.values():
            join(out, one.lost)
        for one in self._segments.values() if out else ():
            less(out, one.held)
        return out

    def whole(self) -> bool:
        """Whether every block that is known to have stood in damage stands in the kept files once more."""
        known = self._segments.values()
        return any(one.saved for one in known) and not any(one.lost for one in known)

    def saved(self, segment: int) -> list[Record]:
        """Blocks that are damaged in a segment and stand in the kept files once more."""
        return damage.saved(self.folder, self._known(segment).saved)

    def unsent(self, finished: Mapping[bytes, Ranges]) -> list[Record]:
        """Of all those: which had no first sending.

        Args:
            finished: Numbers that had one.
        """
        out: Numbers = {}
        for one in self._segments.values():
            join(out, one.saved)
        less(out, finished)
        return damage.saved(self.folder, out)

    def damaged_bytes(self) -> int:
        """How much of the spool was found damaged [bytes]."""
        return sum(one.damaged.count for one in self._segments.values())

    def _known(self, segment: int) -> _SegmentFacts:
        return self._segments.setdefault(segment, _SegmentFacts())

    def _is_news(self, one: Damage) -> bool:
        damaged = self._known(one.start.segment).damaged
        return not damaged.count or bool(damaged.holes(one.start.offset, one.end.offset))

    def _look_at(self, number: int) -> Segment:
        """What a segment without an index holds."""
        found, damaged = Segment(number), list[Damage]()
        for _, one in records(self.folder, number, None, damaged):
            found.note(one)
        self.damage(damaged, Place(number + 1, 0))
        return found

    def _learn(self, index: Segment, *, closed: bool) -> None:
        known = self._known(index.number)
        if closed:
            less(index.streams, known.lost)
            join(index.streams, known.saved)
            known.held, known.indexed = {key: held for key, held in index.streams.items() if held.count}, True
            self._exist(index.streams)
        self._miss(index.number, index.lost)

    def _miss(self, segment: int, lost: Mapping[bytes, Ranges]) -> None:
        """These numbers stood there and cannot be read."""
        known = self._known(segment)
        fresh = {stream: Ranges(held) for stream, held in lost.items()}
        less(fresh, known.lost)
        less(fresh, known.saved)
        if not fresh:
            return
        saved: Numbers = {}
        for one in damage.saved(self.folder, fresh):
            saved.setdefault(one.stream, Ranges()).add(one.number)
        self._exist(fresh)
        less(known.held, fresh)
        less(fresh, saved)
        for into, numbers in ((known.held, saved), (known.saved, saved), (known.lost, fresh)):
            join(into, numbers)

    def _exist(self, numbers: Mapping[bytes, Ranges]) -> None:
        for stream, held in numbers.items():
            self._sealed[stream] = max(self.sealed(stream), held.top)

    def _holes(self, closed: Sequence[int]) -> Numbers:
        """Retention may take a segment out of the middle, since what was never sent goes last."""
        whole: Numbers = {}
        for number in closed:
            join(whole, self._segments[number].held)
        return {
            stream: Ranges(held.holes(next(iter(held))[0], held.top)) for stream, held in whole.items() if held.count
        }
