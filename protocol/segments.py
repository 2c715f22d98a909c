"""Reading a segment store that another process writes: the layout's names, and a reader that keeps its own place.

The layout is told in `journal.py`. A reader opens files read-only, takes no lock and never looks past `synced`.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from protocol.errors import StoreError
from protocol.record import HEAD, Record, parse

SYNCED = struct.Struct(">QQ")


class Place(NamedTuple):
    """Where a reader stands."""

    segment: int
    """Number of the segment file, from 1."""
    offset: int
    """Byte in it, at a record's beginning."""


START = Place(0, 0)
"""Before everything that is kept."""


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
        self._file: int | None = None
        self._number = 0

    def end(self) -> Place:
        """Up to where records can be read; START before the store's first sync."""
        try:
            with (self.folder / "synced").open("rb") as file:
                return Place(*SYNCED.unpack(file.read(SYNCED.size)))
        except (FileNotFoundError, struct.error):
            return START

    def read(self, most: int = 256, until: Place | None = None, *, most_bytes: int = 1 << 20) -> list[Record]:
        """The next records, none when there are no more yet; `place` moves behind them.

        Args:
            most: Most records; one call stays within one segment.
            until: Stop before this place; None: at the end of what is synced.
            most_bytes: Roughly the most bytes (a bound on memory).

        Raises:
            StoreError: a synced record does not match its hash: the disk is failing.
        """
        end = self.end() if until is None else until
        part_end = self._enter(end) if self.place < end else None
        if part_end is None:
            return []
        self.began = self.place
        return self._read_part(most, most_bytes, part_end)

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
        if not found or other.skipped:
            raise StoreError(f"{self.folder}: no record at {place.segment}:{place.offset}")
        return found[0]

    def close(self) -> None:
        """Let go of the open file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _enter(self, end: Place) -> int | None:
        """Open the segment of `place`, going on to the next one where it is finished; returns where it ends."""
        while True:
            if self._file is None or self._number != self.place.segment:
                self.close()
                if not self._open_from(self.place.segment, end):
                    return None
            if self._number == end.segment:
                return end.offset if self.place.offset < end.offset else None
            assert self._file is not None
            size = os.fstat(self._file).st_size
            if self.place.offset < size:
                return size
            self.place = Place(self._number + 1, 0)

    def _open_from(self, number: int, end: Place) -> bool:
        for candidate in segment_numbers(self.folder):
            if number <= candidate <= end.segment:
                try:
                    self._file = os.open(segment_path(self.folder, candidate), os.O_RDONLY | os.O_CLOEXEC)
                except FileNotFoundError:
                    continue  # retention took it between the two calls
                if candidate != number:
                    self.skipped += 0 if number == 0 else candidate - number
                    self.place = Place(candidate, 0)
                self._number = candidate
                return True
        return False

    def _read_part(self, most: int, size: int, end: int) -> list[Record]:
        assert self._file is not None
        start = self.place.offset
        data = os.pread(self._file, min(size + HEAD.size, end - start), start)
        out: list[Record] = []
        at = 0
        while len(out) < most and (one := parse(data, at, len(data))) is not None:
            out.append(one)
            at += one.length
        if not out:
            one = parse(whole, 0, len(whole)) if (whole := os.pread(self._file, end - start, start)) else None
            if one is None:
                raise StoreError(f"{self.folder}: segment {self._number} is damaged at byte {start}")
            out, at = [one], one.length
        self.place = Place(self._number, start + at)
        return out


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


def kept_path(folder: Path, stream: bytes) -> Path:
    """File of a stream's kept blocks."""
    return folder / "kept" / f"{stream.hex()}.seg"


def kept_streams(folder: Path) -> list[bytes]:
    """Streams that have kept blocks."""
    return [bytes.fromhex(path.stem) for path in sorted((folder / "kept").glob("*.seg"))]


def read_leaves(folder: Path, stream: bytes) -> bytes:
    """All leaves of a stream, 32 bytes a number."""
    path = folder / "leaves" / f"{stream.hex()}.leaf"
    return path.read_bytes() if path.exists() else b""


def segment_path(folder: Path, number: int, ending: str = ".seg") -> Path:
    """File of a segment."""
    return folder / "segments" / f"{number:010d}{ending}"


def segment_numbers(folder: Path) -> list[int]:
    """Numbers of the segments there are, rising."""
    return sorted(int(path.stem) for path in (folder / "segments").glob("*.seg"))


def walk(folder: Path, visit: Callable[[Place, Record], None], start: Place = START) -> None:
    """Call `visit` for each record from `start` to the end of what is synced."""
    reader = Reader(folder, start)
    try:
        while True:
            found = reader.read(64)
            if not found:
                return
            place = reader.began
            for one in found:
                visit(place, one)
                place = Place(place.segment, place.offset + one.length)
    finally:
        reader.close()


def scan(path: Path) -> Iterator[Record]:
    """Whole and true records from the beginning of a file; ends at the first that is not."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return
    at = 0
    while (one := parse(data, at, len(data))) is not None:
        yield one
        at += one.length


def scan_kinds(path: Path, kinds: Collection[int]) -> Iterator[Record]:
    """As `scan`, but only records of these kinds are read and compared with their hash."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        while len(head := file.read(HEAD.size + 4)) == HEAD.size + 4:
            rest = HEAD.unpack_from(head)[0] + 4 - len(head)
            if head[-1] not in kinds:
                file.seek(max(0, rest), os.SEEK_CUR)
                continue
            whole = head + file.read(max(0, rest))
            one = parse(whole, 0, len(whole))
            if one is None:
                return
            yield one


def sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
