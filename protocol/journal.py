"""The append-only segment store that both sides keep: the spool on the high side, the journal on the low side.

    FOLDER/lock                      held by the one writer
    FOLDER/segments/0000000001.seg   records (record.py), one after another, 64 MiB a file
    FOLDER/segments/0000000001.idx   what a closed segment holds, as JSON: ranges a stream, records, running time
    FOLDER/kept/STREAM.seg           OPEN, EPOCH, CATALOG and HEAD of a stream once more: they outlive the segments
    FOLDER/leaves/STREAM.leaf        32 bytes a number, its SHA-256 (zeros: not held); outlives the segments too
    FOLDER/synced                    segment and offset up to which everything is on the disk

A group of records is written and synced together; only then `synced` moves, and readers never look past it: what a
reader has seen survives a power cut. A tail torn by one is cut on open. Readers open read-only and take no lock;
their place is theirs to keep. Nothing is ever rewritten, retention unlinks whole segments.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from protocol import statefile
from protocol.block import KEPT
from protocol.errors import HeldError, StoreError
from protocol.limits import SEGMENT_BYTES
from protocol.ranges import Ranges
from protocol.record import Record, to_bytes
from protocol.segments import (
    SYNCED,
    Place,
    kept_path,
    read_kept,
    scan,
    segment_numbers,
    segment_path,
    sync_folder,
)

_FULL = (errno.ENOSPC, errno.EDQUOT)


class StoreFull(Exception):
    """The disk is full: nothing was lost, call `sync` again when there is room."""


@dataclass(slots=True)
class Segment:
    """What the writer knows of one segment file."""

    number: int
    size: int = 0
    """Bytes of its records [bytes]."""
    records: int = 0
    born_s: float = 0.0
    """Running time of the store when it was begun, summed over starts [s]."""
    streams: dict[bytes, Ranges] = field(default_factory=dict)

    def note(self, one: Record) -> None:
        self.size += one.length
        self.records += 1
        self.streams.setdefault(one.stream, Ranges()).add(one.number)

    def to_json(self) -> dict[str, Any]:
        ranges = {key.hex(): list(held) for key, held in self.streams.items()}
        return {"bytes": self.size, "records": self.records, "born_s": self.born_s, "streams": ranges}

    @classmethod
    def from_json(cls, number: int, held: dict[str, Any]) -> Segment:
        streams = {bytes.fromhex(key): Ranges(map(tuple, ranges)) for key, ranges in held["streams"].items()}
        return cls(number, held["bytes"], held["records"], held["born_s"], streams)


@dataclass(slots=True)
class _Kept:
    """What the writer knows of one stream's kept file."""

    size: int = 0
    numbers: set[int] = field(default_factory=set)

    def note(self, one: Record) -> None:
        self.size += one.length
        self.numbers.add(one.number)


class Store:
    """The writer; one at a time, by a lock."""

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
        self._limit = segment_bytes
        self._waiting: list[Record] = []
        self._kept: dict[bytes, _Kept] = {}
        self.waiting_bytes = 0
        """Bytes appended and not yet synced."""
        try:
            for name in ("segments", "kept", "leaves"):
                (folder / name).mkdir(parents=True, exist_ok=True)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
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
        if self.current.size >= self._limit:
            self._next_segment(running_s)
        try:
            self._write_kept()
            self._write_all(self._file, self.current.size, b"".join(map(to_bytes, self._waiting)))
            os.fdatasync(self._file)
            self._write_leaves()
            self._publish(Place(self.current.number, self.current.size + self.waiting_bytes))
        except OSError as error:
            raise self._failed(error) from error
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
        for ending in (".seg", ".idx"):
            self._path(gone.number, ending).unlink(missing_ok=True)
        return gone

    def begin_anew(self, running_s: float) -> Segment | None:
        """Leave the current segment for an empty one and unlink it, for a disk on which nothing else is left to drop.

        Returns:
            What it held, None where the disk has not even room for a name.

        Raises:
            StoreError: the disk fails.
        """
        gone = self.current
        try:
            self._next_segment(running_s, index=False)
            self._publish(self.place)  # readers must not look for the end of a file that is gone
        except StoreFull:
            return None
        except OSError as error:
            if isinstance(self._failed(error), StoreFull):
                return None
            raise self._failed(error) from error
        return self.drop(gone)

    def forget(self, stream: bytes, *, leaves: bool) -> None:
        """Drop the kept blocks of a stream that is in no segment any more, and its leaves where asked."""
        assert not any(stream in segment.streams for segment in self.segments)
        kept_path(self.folder, stream).unlink(missing_ok=True)
        self._kept.pop(stream, None)
        if leaves:
            (self.folder / "leaves" / f"{stream.hex()}.leaf").unlink(missing_ok=True)

    def close(self) -> None:
        """Close without syncing: what waits is lost, as in a crash. Call `sync` first."""
        os.close(self._file)
        os.close(self._lock)

    def _path(self, number: int, ending: str = ".seg") -> Path:
        return segment_path(self.folder, number, ending)

    def _open_last(self) -> None:
        numbers = segment_numbers(self.folder)
        self.segments = [self._load_closed(number) for number in numbers[:-1]]
        number = numbers[-1] if numbers else 1
        born = self.segments[-1].born_s if self.segments else 0.0
        self.current = Segment(number, born_s=born)
        self.segments.append(self.current)
        self._file = os.open(self._path(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        tail: list[Record] = []
        for one in scan(self._path(number)):
            self.current.note(one)
            tail.append(one)
        size = os.fstat(self._file).st_size
        if size > self.current.size:
            self.cut_bytes = size - self.current.size
            os.ftruncate(self._file, self.current.size)
        os.fsync(self._file)
        sync_folder(self.folder / "segments")
        self._mend(tail)
        self._publish(self.place)

    def _load_closed(self, number: int) -> Segment:
        index = self._path(number, ".idx")
        try:
            return Segment.from_json(number, json.loads(index.read_text()))
        except (OSError, ValueError, KeyError):
            segment = Segment(number)  # closed, but its index was not written: made again
            for one in scan(self._path(number)):
                segment.note(one)
            statefile.write(index, json.dumps(segment.to_json()).encode())
            return segment

    def _mend(self, tail: list[Record]) -> None:
        """After a crash the kept files and leaves may lack what the last segment has: write those again."""
        self._waiting = tail
        held: dict[bytes, set[int]] = {}
        missing = []
        for one in tail:
            if one.block[3] in KEPT:
                if one.stream not in held:
                    held[one.stream] = {kept.number for kept in read_kept(self.folder, one.stream)}
                if one.number not in held[one.stream]:
                    missing.append(one)
        self._write_leaves()
        self._waiting = missing
        self._write_kept()
        self._waiting = []

    def _next_segment(self, running_s: float, *, index: bool = True) -> None:
        try:
            if index:
                statefile.write(self._path(self.current.number, ".idx"), json.dumps(self.current.to_json()).encode())
            number = self.current.number + 1
            file = os.open(self._path(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
            sync_folder(self.folder / "segments")
        except OSError as error:
            raise self._failed(error) from error
        os.close(self._file)
        self._file = file
        self.current = Segment(number, born_s=running_s)
        self.segments.append(self.current)

    def _write_all(self, file: int, start: int, data: bytes) -> None:
        """Write at `start`; on any error the file ends at `start` again."""
        view, at = memoryview(data), start
        try:
            while view:
                done = os.pwrite(file, view, at)
                view, at = view[done:], at + done
        except OSError:
            os.ftruncate(file, start)
            raise

    def _write_kept(self) -> None:
        """Each block once, also where an earlier try came as far as this and no further."""
        parts: dict[bytes, list[Record]] = {}
        for one in self._waiting:
            if one.block[3] in KEPT:
                parts.setdefault(one.stream, []).append(one)
        for stream, records in parts.items():
            path = kept_path(self.folder, stream)
            fresh = not path.exists()
            if stream not in self._kept:
                self._kept[stream] = _Kept()
                for one in scan(path):
                    self._kept[stream].note(one)
            held = self._kept[stream]
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
            try:
                os.ftruncate(file, held.size)
                lacking = [one for one in records if one.number not in held.numbers]
                self._write_all(file, held.size, b"".join(map(to_bytes, lacking)))
                os.fdatasync(file)
            finally:
                os.close(file)
            for one in lacking:
                held.note(one)
            if fresh:
                sync_folder(path.parent)

    def _write_leaves(self) -> None:
        """Leaves need no sync of their own: until a segment is dropped they can be made from it."""
        parts: dict[bytes, list[Record]] = {}
        for one in self._waiting:
            parts.setdefault(one.stream, []).append(one)
        for stream, records in parts.items():
            file = os.open(
                self.folder / "leaves" / f"{stream.hex()}.leaf", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640
            )
            try:
                first = 0
                while first < len(records):  # neighbours in one write
                    after = first + 1
                    while after < len(records) and records[after].number == records[after - 1].number + 1:
                        after += 1
                    digests = b"".join(one.digest for one in records[first:after])
                    os.pwrite(file, digests, 32 * records[first].number)
                    first = after
            finally:
                os.close(file)

    def _sync_leaves(self, streams: dict[bytes, Ranges]) -> None:
        for stream in streams:
            path = self.folder / "leaves" / f"{stream.hex()}.leaf"
            if path.exists():
                with path.open("rb") as file:
                    os.fsync(file.fileno())

    def _failed(self, error: OSError) -> StoreFull | StoreError:
        return StoreFull(str(error)) if error.errno in _FULL else StoreError(f"{self.folder}: {error}")

    def _publish(self, place: Place) -> None:
        """Move `synced`; a few bytes in place, so a reader sees the old or the new value."""
        file = os.open(self.folder / "synced", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            os.pwrite(file, SYNCED.pack(*place), 0)
        finally:
            os.close(file)
