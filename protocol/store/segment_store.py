"""The append-only segment store that both sides keep: the spool on the high side, the journal on the low side.

    FOLDER/lock                      held by the one writer
    FOLDER/segments/0000000001.seg   records (record.py), one after another, 64 MiB a file
    FOLDER/segments/0000000001.idx   what a segment holds, as JSON: ranges a stream, records, running time (index.py)
    FOLDER/kept/STREAM.seg           OPEN, EPOCH, CATALOG and HEAD of a stream once more: they outlive the segments
    FOLDER/leaves/STREAM.leaf        32 bytes a number, its SHA-256 (zeros: not held); outlives the segments too
    FOLDER/synced                    segment and offset up to which everything is on the disk, and a check of both

A group of records is written and synced together; only then `synced` moves, and readers never look past it: what a
reader has seen survives a power cut. A tail torn by one is cut on open. Readers open read-only and take no lock;
their place is theirs to keep. Nothing is ever rewritten, retention unlinks whole segments.

Damage at rest: what does not parse before the last true record, or below `synced`, was there once. It is stepped over,
kept where it stands, and told by place (`damaged`) and by number (`lost`); a segment that is shorter than it was is
made as long again, so that no place ever means other bytes. Indexes, leaves, kept files and `synced` are made again
from the segments.
"""

from __future__ import annotations

import fcntl
import itertools
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from protocol.block import KEPT
from protocol.errors import HeldError, StoreError
from protocol.limits import SEGMENT_BYTES
from protocol.process.full_disk import attempt
from protocol.ranges import Ranges
from protocol.store import statefile
from protocol.store.index import Segment, join, less, read_index
from protocol.store.keeping import LOOKED, KeptFiles, write_all
from protocol.store.layout import WRITE, index_path, kept_path, leaf_path, opened, segment_path, sync_folder
from protocol.store.opening import look_through, whole_list
from protocol.store.reader import read_synced, synced_bytes
from protocol.store.record import Record, by_stream, to_bytes
from protocol.store.resync import Damage, Place, scan_kinds

_UNKNOWN = -1.0


class StoreFull(Exception):
    """The disk is full: nothing was lost, call `sync` again when there is room."""


class Store:
    """A segment store open for writing: takes records, syncs them in groups, drops segments; its lock lets one in."""

    def __init__(self, folder: Path, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        """
        Args:
            folder: Made if missing.
            segment_bytes: Size at which a segment is closed [bytes].

        Raises:
            HeldError: another writer holds it.
            StoreError: the disk fails.
        """
        self.folder = folder
        self.cut_bytes = 0
        """Bytes of a torn tail that were cut on open."""
        self.damaged: list[Damage] = []
        """What was found damaged on open; closed segments that have an index are not looked through."""
        self.unsure = False
        """Where the store ended was not known on open: more may have stood behind its last record."""
        self.unkept: list[bytes] = []
        """Streams whose kept file is damaged, and no segment has what it lacks any more."""
        self._limit = segment_bytes
        self._waiting: list[Record] = []
        self._kept = KeptFiles(folder)
        self.waiting_bytes = 0
        """Bytes appended and not yet synced."""
        try:
            for name in ("segments", "kept", "leaves"):
                (folder / name).mkdir(parents=True, exist_ok=True)
            self._lock = os.open(folder / "lock", WRITE, 0o640)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._open_last()
        except BlockingIOError:
            os.close(self._lock)
            raise HeldError(f"{folder} is held by another process") from None
        except OSError as error:
            raise StoreError(f"{folder}: {error}") from error

    @property
    def place(self) -> Place:
        """The end of what is synced."""
        return Place(self.current.number, self.current.size)

    @property
    def size(self) -> int:
        """Size of all segments [bytes]."""
        return sum(segment.size for segment in self.segments)

    @property
    def lost(self) -> dict[bytes, Ranges]:
        """Numbers that were here, are damaged, and are nowhere else in the segments; as far as they are known."""
        out: dict[bytes, Ranges] = {}
        for segment in self.segments:
            join(out, segment.lost)
        for segment in self.segments if out else ():
            less(out, segment.streams)
        return out

    def append(self, one: Record) -> None:
        """Take a record; it is on the disk when `sync` has returned."""
        self._waiting.append(one)
        self.waiting_bytes += one.length

    def sync(self, running_s: float = 0.0) -> None:
        """Write and sync what waits, then let readers see it.

        Args:
            running_s: Running time of the store, summed over starts [s]; a new segment is dated with it.

        Raises:
            StoreFull: no room; everything still waits, the file ends where it ended.
            StoreError: the disk fails.
        """
        if not self._waiting:
            return
        if not attempt(self.folder, lambda: self._write(running_s)):
            raise StoreFull(f"{self.folder}: no room")
        for one in self._waiting:
            self.current.note(one)
        self._waiting.clear()
        self.waiting_bytes = 0

    def drop_oldest(self) -> Segment | None:
        """Unlink the oldest closed segment; returns what it held, None when only the current one is left."""
        return self.drop(self.segments[0]) if len(self.segments) > 1 else None

    def drop(self, gone: Segment) -> Segment:
        """Unlink a closed segment, one of `segments` but the last."""
        assert gone is not self.current
        self.segments.remove(gone)
        self._sync_leaves(gone.streams)
        for ending in (".idx", ".seg"):  # an index without its segment is a segment that was lost
            segment_path(self.folder, gone.number, ending).unlink(missing_ok=True)
        return gone

    def note_lost(self, segment: Segment, lost: Mapping[bytes, Ranges]) -> None:
        """Numbers that stood in a segment and cannot be read any more, where the owner knows more than the store.

        Args:
            segment: One of `segments`.

        Raises:
            StoreError: the disk fails.
        """
        join(segment.lost, lost)
        less(segment.lost, segment.streams)
        self._say_index(segment)

    def note_index(self) -> bool:
        """Write what the current segment holds so far: if it is ever damaged, this tells which numbers stood in it.

        Returns:
            False where the disk is full.

        Raises:
            StoreError: the disk fails.
        """
        return self._say_index(self.current)

    def republish(self) -> None:
        """Write `synced` once more, as it is: mends it for readers also where nothing new comes. Call it now and then.

        Raises:
            StoreError: the disk fails.
        """
        attempt(self.folder, lambda: self._publish(self.place))

    def begin_anew(self, running_s: float) -> Segment | None:
        """Leave the current segment for an empty one and unlink it, for a disk on which nothing else is left to drop.

        Returns:
            What it held, None where the disk has not even room for a name.

        Raises:
            StoreError: the disk fails.
        """
        gone = self.current

        def begin() -> None:
            self._next_segment(running_s)
            self._publish(self.place)  # readers must not look for the end of a file that is gone

        return self.drop(gone) if attempt(self.folder, begin) else None

    def forget(self, stream: bytes, *, leaves: bool) -> None:
        """Drop the kept blocks of a stream that is in no segment any more, and its leaves where asked."""
        assert not any(stream in segment.streams for segment in self.segments)
        self._kept.forget(stream)
        if leaves:
            leaf_path(self.folder, stream).unlink(missing_ok=True)

    def close(self) -> None:
        """Close without syncing: what waits is lost, as in a crash. Call `sync` first."""
        os.close(self._file)
        os.close(self._lock)

    def _open_last(self) -> None:
        # 1 which segments ought to be there, and what the closed ones hold
        synced = read_synced(self.folder)
        self.unsure = synced is None
        numbers = whole_list(self.folder, synced)
        self.segments = [self._load_closed(number) for number in numbers[:-1]]
        number = numbers[-1] if numbers else 1
        index = read_index(index_path(self.folder, number), number)
        born = [0.0, *(segment.born_s for segment in self.segments), 0.0 if index is None else index.born_s]
        self.current = Segment(number, born_s=max(born))
        self.segments.append(self.current)
        self._file = os.open(segment_path(self.folder, number), WRITE, 0o640)
        # 2 the last one, up to where anything says that it was written: a torn tail is cut, damage stays
        said = 0 if index is None else index.size
        if synced is not None and synced.segment == number:
            said = max(said, synced.offset)
        self._date_again()
        tail = self._look_through(self.current, self._file, said, index)
        if self.current.lost:
            self.note_index()
        # 3 what stands there is on the disk before anything is made from it; then leaves and kept files
        os.fsync(self._file)
        sync_folder(self.folder / "segments")
        self._mend(tail)
        # 4 readers see it; last, blocks that only kept files still have are appended as new ones
        self._publish(self.place)
        self.take_back()

    def _look_through(self, segment: Segment, file: int, said: int, before: Segment | None) -> list[Record]:
        found = look_through(self.folder, segment, file, said, before)
        self.damaged += found.damaged
        self.cut_bytes += found.cut_bytes
        return found.records

    def _load_closed(self, number: int) -> Segment:
        path = segment_path(self.folder, number)
        index = read_index(index_path(self.folder, number), number)
        if index is not None and index.size == path.stat().st_size:
            return index
        segment = Segment(number, born_s=_UNKNOWN if index is None else index.born_s)
        with opened(path, os.O_RDWR) as file:
            said = os.fstat(file).st_size if index is None else index.size
            self._look_through(segment, file, said, index)
        if segment.born_s != _UNKNOWN:
            self._say_index(segment)
        return segment

    def _date_again(self) -> None:
        """A segment whose index was lost is taken to be as young as the next one: retention keeps it longer."""
        for one, following in reversed(list(itertools.pairwise(self.segments))):
            if one.born_s == _UNKNOWN:
                one.born_s = following.born_s
                self._say_index(one)

    def _say_index(self, segment: Segment) -> bool:
        return attempt(self.folder, lambda: self._write_index(segment))

    def _write_index(self, segment: Segment) -> None:
        statefile.write(index_path(self.folder, segment.number), segment.to_bytes())

    def _mend(self, tail: list[Record]) -> None:
        """What kept files and leaves lack, after a crash or damaged, is written again from the segments; on a full disk
        at a later start."""

        def mend() -> None:
            self._write_leaves(tail)
            self._mend_kept()
            self._kept.write(tail)

        attempt(self.folder, mend)

    def take_back(self) -> None:
        """What the segments lost and kept files still have is appended again: it leaves, and is read, as new.

        Call it again where `note_lost` told more than was known on open.
        """
        for stream, numbers in self.lost.items():
            for one in scan_kinds(kept_path(self.folder, stream), KEPT):
                if one.number in numbers and one.stream == stream:
                    numbers.remove(one.number, one.number + 1)
                    self.append(one)
        try:
            self.sync(self.current.born_s)
        except StoreFull:
            self._waiting, self.waiting_bytes = [], 0  # at a later start

    def _mend_kept(self) -> None:
        looked = 0
        for stream in dict.fromkeys(stream for segment in reversed(self.segments) for stream in segment.streams):
            looked += self._kept.size(stream)
            if looked > LOOKED:
                break
            if not self._kept.mend(stream, (one.number for one in self.segments if stream in one.streams)):
                self.unkept.append(stream)

    def _write(self, running_s: float) -> None:
        if self.current.size >= self._limit:
            self._write_index(self.current)
            self._next_segment(running_s)
        # 1 kept files: a crash after it leaves one block more there than in the segment, never one less
        self._kept.write(self._waiting)
        # 2 the segment: until it is synced a crash tears its tail, which the next start cuts
        write_all(self._file, self.current.size, b"".join(map(to_bytes, self._waiting)))
        os.fdatasync(self._file)
        # 3 leaves: they can be made from the segment, so they need no sync
        self._write_leaves(self._waiting)
        # 4 `synced`: only now readers see the records, all of which survive a power cut
        self._publish(Place(self.current.number, self.current.size + self.waiting_bytes))

    def _next_segment(self, running_s: float) -> None:
        number = self.current.number + 1
        file = os.open(segment_path(self.folder, number), WRITE, 0o640)
        sync_folder(self.folder / "segments")
        os.close(self._file)
        self._file = file
        self.current = Segment(number, born_s=running_s)
        self.segments.append(self.current)

    def _write_leaves(self, records: Iterable[Record]) -> None:
        """Leaves need no sync of their own: until a segment is dropped they can be made from it."""
        for stream, those in by_stream(records).items():
            with opened(leaf_path(self.folder, stream), WRITE) as file:
                for _, run in itertools.groupby(enumerate(those), lambda one: one[1].number - one[0]):
                    (_, first), *more = run  # neighbours in one write
                    digests = b"".join([first.digest, *(one.digest for _, one in more)])
                    os.pwrite(file, digests, 32 * first.number)

    def _sync_leaves(self, streams: dict[bytes, Ranges]) -> None:
        for stream in streams:
            path = leaf_path(self.folder, stream)
            if path.exists():
                with opened(path) as file:
                    os.fsync(file)

    def _publish(self, place: Place) -> None:
        """Move `synced`; a few bytes in place, so a reader sees the old or the new value."""
        with opened(self.folder / "synced", WRITE) as file:
            os.pwrite(file, synced_bytes(place), 0)
