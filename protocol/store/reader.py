"""Reading a segment store that another process writes: a reader that keeps its own place.

The layout is told in `segment_store.py`. A reader opens files read-only, takes no lock and never looks past `synced`.

Damage at rest stops no reader. What holds no whole and true record is stepped over (resync.py) and noted as `Damage`;
lost.py tells which block numbers stood there, as far as anything on the disk still knows. `synced` carries a check of
its own: where it does not hold, a reader stays at the last place that did, and says so.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Callable, Collection
from pathlib import Path

from protocol.errors import StoreError
from protocol.store.index import read_index
from protocol.store.layout import index_path, kept_path, open_plain, segment_numbers, segment_path
from protocol.store.record import Record
from protocol.store.resync import START, Damage, Place, next_true, record_at, records_from, scan, scan_kinds

SYNCED = struct.Struct(">QQ")
"""Segment and offset; the first `CHECK_BYTES` of their SHA-256 follow."""
CHECK_BYTES = 8


class Reader:
    """Follows a store that another process writes. Read-only, no lock."""

    def __init__(self, folder: Path, place: Place = START) -> None:
        self.folder = folder
        self.place = place
        """The next record to read; keep it to go on here after a restart."""
        self.began = place
        """Where the first record of the last `read` stands; the others follow it, in one segment."""
        self.skipped = 0
        """Segments that retention took before they were read."""
        self.damaged: list[Damage] = []
        """What was stepped over; the caller takes it out."""
        self.trouble = ""
        """Why the end of the store is not known, in words; empty when all is well."""
        self._end = START
        self._file: int | None = None
        self._number = 0

    def end(self) -> Place:
        """Up to where records can be read: the last that could be believed; START before the store's first sync."""
        found = read_synced(self.folder)
        if found is None:
            self.trouble = (
                f"{self.folder / 'synced'} cannot be believed; whoever writes this store mends it within seconds, "
                f"and at its start"
            )
        else:
            self.trouble, self._end = "", found
        return self._end

    @property
    def beyond(self) -> bool:
        """Whether `place` is behind all there is: the store is an older one, or was begun anew."""
        return self.place > self.end() and not self.trouble

    def read(self, most: int = 256, until: Place | None = None, *, most_bytes: int = 1 << 20) -> list[Record]:
        """The next records, none when there are no more yet; `place` moves behind them.

        They follow each other without damage between; what is damaged before them was stepped over and is in `damaged`.

        Args:
            most: Most records; one call stays within one segment.
            until: Stop before this place; None: at the end of what is synced.
            most_bytes: Roughly the most bytes (a bound on memory).
        """
        limit = self.end()
        stop = limit if until is None else min(until, limit)
        while self.place < stop and (part := self._enter(stop, limit)) is not None:
            self.began = self.place
            assert self._file is not None
            found = records_from(self._file, self.place.offset, *part, most=most, size=most_bytes)
            if found:
                self.place = Place(self._number, self.place.offset + sum(one.length for one in found))
                return found
            if not self._step_over(*part):
                break
        return []

    def at(self, place: Place) -> Record:
        """The one record at a place, without moving.

        Raises:
            StoreError: there is none (any more).
        """
        other = Reader(self.folder, place)
        try:
            found = other.read(1)
        finally:
            other.close()
        if not found or other.began != place:
            raise StoreError(f"{self.folder}: no record at {place.segment}:{place.offset}")
        return found[0]

    def close(self) -> None:
        """Let go of the open file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _enter(self, stop: Place, limit: Place) -> tuple[int, int] | None:
        """Open the segment of `place`, going on to the next one where it is finished.

        Returns:
            Up to which byte of it to read, and where what was written into it ends; None where nothing is left.
        """
        while self.place < stop:
            if (self._file is None or self._number != self.place.segment) and not self._open_from(stop, limit):
                return None
            assert self._file is not None
            end = limit.offset if self._number == limit.segment else os.fstat(self._file).st_size
            until = stop.offset if self._number == stop.segment else end
            if self.place.offset < until:
                return until, end
            if self._number == stop.segment:
                return None
            self._miss(self._number)
            self.place = Place(self._number + 1, 0)
        return None

    def _open_from(self, stop: Place, limit: Place) -> bool:
        self.close()
        number = self.place.segment
        for candidate in segment_numbers(self.folder):
            if number <= candidate <= stop.segment:
                try:
                    self._file = open_plain(segment_path(self.folder, candidate))
                except FileNotFoundError:
                    continue  # retention took it between the two calls
                if candidate != number:
                    self._pass(number, candidate)
                    self.place = Place(candidate, 0)
                self._number = candidate
                return True
        if limit == self.end():  # else it was just left for a newer one
            self._pass(number, stop.segment)
            since = self.place if number == stop.segment else Place(stop.segment, 0)
            self.damaged.append(Damage(since, stop))
            self.place = stop
        return False

    def _pass(self, number: int, to: int) -> None:
        """Segments that are not there: retention takes a segment's index first, so one that has it was lost."""
        self.skipped += to - number if number else 0
        for gone in segment_numbers(self.folder, ".idx"):
            if number <= gone < to and not segment_path(self.folder, gone).exists():
                self._miss(gone)

    def _miss(self, number: int) -> None:
        """A closed segment that has less than its index says."""
        index = read_index(index_path(self.folder, number), number)
        start = Place(number, self.place.offset if number == self.place.segment else 0)
        if index is not None and start.offset < index.size:
            self.damaged.append(Damage(start, Place(number, index.size)))

    def _step_over(self, until: int, end: int) -> bool:
        """Go on behind what is damaged; False where it is a record that ends behind `until`."""
        assert self._file is not None
        if record_at(self._file, self.place.offset, end) is not None:
            return False
        after = Place(self._number, next_true(self._file, self.place.offset + 1, until, end))
        self.damaged.append(Damage(self.place, after))
        self.place = after
        return True


def read_synced(folder: Path) -> Place | None:
    """Up to where the writer says that all is on the disk; START before its first sync, None where it cannot be known.

    Without its check it is of an earlier version, and believed where such a place is there.
    """
    for _ in range(2):  # the writer may be in the middle of it
        try:
            with (folder / "synced").open("rb") as file:
                data = file.read(SYNCED.size + CHECK_BYTES)
        except FileNotFoundError:
            return None if segment_numbers(folder) else START
        except OSError:
            return None
        if len(data) == SYNCED.size + CHECK_BYTES and data == synced_bytes(Place(*SYNCED.unpack_from(data))):
            return Place(*SYNCED.unpack_from(data))
        if len(data) == SYNCED.size and _plausible(folder, Place(*SYNCED.unpack(data))):
            return Place(*SYNCED.unpack(data))
    return None


def synced_bytes(place: Place) -> bytes:
    """What the file `synced` holds of a place: segment, offset, and the check of both."""
    data = SYNCED.pack(*place)
    return data + hashlib.sha256(data).digest()[:CHECK_BYTES]


def read_kept(folder: Path, stream: bytes, kinds: Collection[int] | None = None) -> list[Record]:
    """OPEN, EPOCH, CATALOG and HEAD of a stream, in the order they came, each once.

    Args:
        kinds: Only these; the others are stepped over unread (HEADs are nearly all of the file).
    """
    path = kept_path(folder, stream)
    found: dict[int, Record] = {}
    for one in scan(path) if kinds is None else scan_kinds(path, kinds):
        found.setdefault(one.number, one)
    return list(found.values())


def walk(folder: Path, visit: Callable[[Place, Record], None], start: Place = START) -> list[Damage]:
    """Call `visit` for each record from `start` to the end of what is synced; returns what was stepped over."""
    reader = Reader(folder, start)
    try:
        while True:
            found = reader.read(64)
            if not found:
                return reader.damaged
            place = reader.began
            for one in found:
                visit(place, one)
                place = Place(place.segment, place.offset + one.length)
    finally:
        reader.close()


def _plausible(folder: Path, place: Place) -> bool:
    """Whether a writer could have ended here."""
    try:
        return place.segment > 0 and place.offset <= segment_path(folder, place.segment).stat().st_size
    except (OSError, ValueError):
        return False
