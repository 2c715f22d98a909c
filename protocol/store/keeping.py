"""The kept files of a store: OPEN, EPOCH, CATALOG and HEAD of each stream once more, as long as anything of it is kept.

Written before the segment that has the same block, so a crash may leave one more than the segments have; never one
less. A tail torn by a crash is written over. What is damaged is stepped over by readers, and made again at the next
start from the segments that still have it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from protocol.block import KEPT
from protocol.store import statefile
from protocol.store.layout import WRITE, kept_path, opened, segment_path, sync_folder
from protocol.store.record import Record, by_stream, to_bytes
from protocol.store.resync import scan_kinds, scan_pieces

LOOKED = 256 << 20
"""Most bytes of kept files that are looked through at a start [bytes], newest streams first: some tenths of 1 s."""


@dataclass(slots=True)
class _File:
    """What the writer knows of one stream's file."""

    size: int = 0
    """Up to the end of its last true record [bytes]."""
    numbers: set[int] = field(default_factory=set)
    damaged: bool = False
    """Something before its last record is none."""
    torn: bool = False
    """Something behind it is none: a write that a crash broke off, or damage."""


class KeptFiles:
    """The kept files of a store as its one writer holds them: what each has, and where its next record goes."""

    def __init__(self, folder: Path) -> None:
        """
        Args:
            folder: The store's.
        """
        self._folder = folder
        self._files: dict[bytes, _File] = {}

    def write(self, records: Iterable[Record]) -> None:
        """Write and sync those of them that are to be kept; each block once, whatever an earlier try wrote.

        Raises:
            OSError: the disk is full or fails.
        """
        for stream, those in by_stream(one for one in records if one.block[3] in KEPT).items():
            held = self._held(stream)
            lacking = {one.number: one for one in those if one.number not in held.numbers}
            if lacking:
                self._append(stream, held, list(lacking.values()))

    def mend(self, stream: bytes, segments: Iterable[int]) -> bool:
        """Make a file that is damaged or not there again, in order of the numbers.

        Args:
            segments: Those that hold blocks of the stream.

        Returns:
            False where it is damaged and the segments have nothing that it lacks.

        Raises:
            OSError: the disk is full or fails.
        """
        held = self._held(stream)
        if held.numbers and not held.damaged and not held.torn:
            return True
        path = kept_path(self._folder, stream)
        found = {piece.record.number: piece.record for piece in scan_pieces(path) if piece.record is not None}
        before = len(found)
        for segment in segments:
            for one in scan_kinds(segment_path(self._folder, segment), KEPT):
                if one.stream == stream:
                    found.setdefault(one.number, one)
        if len(found) > before:
            statefile.write(path, b"".join(to_bytes(found[number]) for number in sorted(found)))
            del self._files[stream]
        return len(found) > before or not held.damaged

    def size(self, stream: bytes) -> int:
        """Size of a stream's kept file, 0 where there is none [bytes]."""
        try:
            return kept_path(self._folder, stream).stat().st_size
        except FileNotFoundError:
            return 0

    def forget(self, stream: bytes) -> None:
        """Take a stream's file away."""
        kept_path(self._folder, stream).unlink(missing_ok=True)
        self._files.pop(stream, None)

    def _append(self, stream: bytes, held: _File, records: list[Record]) -> None:
        path = kept_path(self._folder, stream)
        fresh = not path.exists()
        with opened(path, WRITE) as file:
            os.ftruncate(file, held.size)
            write_all(file, held.size, b"".join(map(to_bytes, records)))
            os.fdatasync(file)
        held.size += sum(one.length for one in records)
        held.numbers |= {one.number for one in records}
        if fresh:
            sync_folder(path.parent)

    def _held(self, stream: bytes) -> _File:
        if stream not in self._files:
            held = self._files[stream] = _File()
            for piece in scan_pieces(kept_path(self._folder, stream)):
                if piece.record is None:
                    held.torn = True
                    continue
                held.damaged, held.torn = held.damaged or held.torn, False
                held.size = piece.end
                held.numbers.add(piece.record.number)
        return self._files[stream]


def write_all(file: int, start: int, data: bytes) -> None:
    """Write at `start`; on any error the file ends at `start` again."""
    view, at = memoryview(data), start
    try:
        while view:
            done = os.pwrite(file, view, at)
            view, at = view[done:], at + done
    except OSError:
        os.ftruncate(file, start)
        raise
