"""What the spool holds of each stream, as the emitter sees it: the facts of its beats.

Closed segments say it in their `.idx`; the current one is known from what the emitter has read of it, and is looked
through once at a start. What is damaged is learned from whoever steps over it, and from the poller, which writes into
the `.idx` what it missed at its start: those numbers can never be sent (again). Everything here is only read; the
poller alone writes the spool.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from protocol.ranges import Ranges
from protocol.store.index import Segment, join, less, read_index
from protocol.store.layout import index_path, segment_numbers
from protocol.store.record import Record
from protocol.store.resync import Damage, Place
from sender.store import damage
from sender.store.spans import Mark, heads


class SpoolIndex:
    """Numbers a stream, by segment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._held: dict[int, dict[bytes, Ranges]] = {}
        self._lost: dict[int, dict[bytes, Ranges]] = {}
        self._saved: dict[int, dict[bytes, Ranges]] = {}
        self._damaged: dict[int, Ranges] = {}
        self._indexed: set[int] = set()
        self._without: set[int] = set()
        self._sealed: dict[bytes, int] = {}
        self._gone: dict[bytes, Ranges] = {}

    def note(self, segment: int, stream: bytes, number: int) -> None:
        """A block was read there: it exists."""
        self._held.setdefault(segment, {}).setdefault(stream, Ranges()).add(number)
        if number >= self._sealed.get(stream, 0):
            self._sealed[stream] = number + 1

    def look_through(self, end: Place) -> Mark | None:
        """Learn what the current segment holds up to `end`, for a start; returns its last record."""
        last, damaged = None, list[Damage]()
        for head in heads(self.folder, end.segment, end.offset, damaged):
            self.note(end.segment, head.stream, head.number)
            last = Mark(head.place, head.digest)
        self.damage(damaged, end)
        return last

    def damage(self, found: Sequence[Damage], end: Place) -> None:
        """Learn what stood where somebody found damage; the whole segment is looked at, the first time.

        Args:
            end: Of what is synced.
        """
        for segment in {one.start.segment for one in found if not self._knows(one)}:
            those = [one for one in found if one.start.segment == segment]
            for _ in heads(self.folder, segment, end.offset if segment == end.segment else None, those):
                pass
            known = self._damaged.setdefault(segment, Ranges())
            for one in those:
                known.add(one.start.offset, one.end.offset)
            self._miss(segment, damage.lost(self.folder, those).get(segment, {}))

    def refresh(self) -> None:
        """Look which segments there are; a folder listing, call it every few seconds."""
        numbers = segment_numbers(self.folder)
        for known in (self._held, self._lost, self._saved, self._damaged):
            for gone in set(known) - set(numbers):
                del known[gone]
                self._indexed.discard(gone)
        for number in set(numbers) - self._indexed:
            held = read_index(index_path(self.folder, number), number)
            if held is None and number in self._without:
                held = self._look_at(number)  # it was not about to be written, it is damaged
            if held is not None:
                self._learn(held, closed=number != numbers[-1])
            elif number != numbers[-1]:
                self._without.add(number)
        if set(numbers[:-1]) == self._indexed:
            self._gone = self._holes()

    def streams(self) -> list[bytes]:
        """Streams of which blocks are kept, or stand there damaged, oldest first."""
        segments = sorted({*self._held, *self._lost})
        both = (known.get(number, {}) for number in segments for known in (self._held, self._lost))
        return list(dict.fromkeys(stream for streams in both for stream in streams))

    def sealed(self, stream: bytes) -> int:
        """Numbers below this exist."""
        return self._sealed.get(stream, 0)

    def oldest(self, stream: bytes) -> int:
        """The oldest number that is still kept."""
        firsts = [next(iter(held[stream]))[0] for held in self._held.values() if stream in held]
        return min(firsts, default=self.sealed(stream))

    def gone(self, stream: bytes) -> list[tuple[int, int]]:
        """Numbers above the oldest kept one that are not kept any more, or damaged, as of the last `refresh`."""
        out, lost = Ranges(self._gone.get(stream, ())), self.lost().get(stream, ())
        for first, after in lost:
            out.add(first, after)
        out.remove_below(self.oldest(stream))
        return list(out)

    def lost(self) -> dict[bytes, Ranges]:
        """Numbers that are damaged and stand nowhere else, as far as they are known."""
        out: dict[bytes, Ranges] = {}
        for streams in self._lost.values():
            join(out, streams)
        for streams in self._held.values() if out else ():
            less(out, streams)
        return out

    def whole(self) -> bool:
        """Whether every block that is known to have stood in damage stands in the kept files once more."""
        return any(self._saved.values()) and not any(self._lost.values())

    def saved(self, segment: int) -> list[Record]:
        """Blocks that are damaged in a segment and stand in the kept files once more."""
        return damage.saved(self.folder, self._saved.get(segment, {}))

    def unsent(self, finished: Mapping[bytes, Ranges]) -> list[Record]:
        """Of all those: which had no first sending.

        Args:
            finished: Numbers that had one.
        """
        out: dict[bytes, Ranges] = {}
        for streams in self._saved.values():
            join(out, streams)
        less(out, finished)
        return damage.saved(self.folder, out)

    def damaged_bytes(self) -> int:
        """How much of the spool was found damaged [bytes]."""
        return sum(held.count for held in self._damaged.values())

    def _knows(self, one: Damage) -> bool:
        held = self._damaged.get(one.start.segment)
        return held is not None and not held.holes(one.start.offset, one.end.offset)

    def _look_at(self, number: int) -> Segment:
        """What a segment without an index holds."""
        self._without.discard(number)
        found, damaged = Segment(number), list[Damage]()
        for head in heads(self.folder, number, None, damaged):
            found.streams.setdefault(head.stream, Ranges()).add(head.number)
        self.damage(damaged, Place(number + 1, 0))
        return found

    def _learn(self, index: Segment, *, closed: bool) -> None:
        if closed:
            less(index.streams, self._lost.get(index.number, {}))
            join(index.streams, self._saved.get(index.number, {}))
            self._held[index.number] = {key: held for key, held in index.streams.items() if held.count}
            self._indexed.add(index.number)
            for stream, ranges in index.streams.items():
                self._sealed[stream] = max(self._sealed.get(stream, 0), ranges.top)
        self._miss(index.number, index.lost)

    def _miss(self, segment: int, lost: dict[bytes, Ranges]) -> None:
        """These numbers stood there and cannot be read."""
        fresh = {stream: Ranges(held) for stream, held in lost.items()}
        for known in (self._lost, self._saved):
            less(fresh, known.get(segment, {}))
        if not fresh:
            return
        saved: dict[bytes, Ranges] = {}
        for one in damage.saved(self.folder, fresh):
            saved.setdefault(one.stream, Ranges()).add(one.number)
        for stream, ranges in fresh.items():
            self._sealed[stream] = max(self._sealed.get(stream, 0), ranges.top)
        less(self._held.setdefault(segment, {}), fresh)
        less(fresh, saved)
        join(self._held[segment], saved)
        for known, numbers in ((self._saved, saved), (self._lost, fresh)):
            if numbers:
                join(known.setdefault(segment, {}), numbers)

    def _holes(self) -> dict[bytes, Ranges]:
        """Retention may take a segment out of the middle, since what was never sent goes last."""
        whole: dict[bytes, Ranges] = {}
        for number in sorted(self._indexed):
            join(whole, self._held.get(number, {}))
        return {
            stream: Ranges(held.holes(next(iter(held))[0], held.top)) for stream, held in whole.items() if held.count
        }
