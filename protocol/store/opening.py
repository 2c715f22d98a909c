"""What a writer finds when it opens a store: which segments ought to be there, and what one of them holds.

What is damaged is stepped over and stays; a file that is shorter than it was, or gone, is made as long again, so that
no place in the store ever means other bytes. Only what follows the last true record, and was never said to be written,
is cut: the tail that a crash tore.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from protocol.store.index import Segment, join, less
from protocol.store.layout import WRITE, segment_numbers, segment_path
from protocol.store.lost import numbers_at
from protocol.store.record import Record
from protocol.store.resync import Damage, Place, pieces


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found in one segment file."""

    records: list[Record]
    damaged: list[Damage]
    cut_bytes: int
    """Bytes of a torn tail that were cut [bytes]."""


def whole_list(folder: Path, synced: Place | None) -> list[int]:
    """Numbers of the segments that ought to be there; one that is not gets an empty file, to be told as damaged.

    Args:
        synced: Up to where everything was written, None where it is not known.

    Raises:
        OSError: the disk is full or fails.
    """
    there = segment_numbers(folder)
    ought = set(segment_numbers(folder, ".idx"))
    if synced is not None and synced.segment > max(there, default=0):
        ought.add(synced.segment)
    for number in ought - set(there):
        os.close(os.open(segment_path(folder, number), WRITE, 0o640))
    return sorted(ought.union(there))


def look_through(folder: Path, segment: Segment, file: int, said: int, before: Segment | None) -> Looked:
    """Learn what a segment file holds; what follows its last record is cut, but for what was there once.

    Args:
        segment: Takes what is learned.
        file: Open for reading and writing.
        said: Up to where it was written, as others say [bytes].
        before: What its index says.

    Raises:
        OSError: the disk fails.
    """
    records: list[Record] = []
    wrong: list[tuple[int, int]] = []
    last, size = 0, os.fstat(file).st_size
    for piece in pieces(file, 0, size):
        if piece.record is not None:
            segment.note(piece.record)
            records.append(piece.record)
            last = piece.end
        elif piece.end < size:
            wrong.append((piece.start, piece.end))
    if last < said:
        wrong.append((last, said))
    segment.size = max(last, said)
    if size != segment.size:
        os.ftruncate(file, segment.size)
    damaged = [Damage(Place(segment.number, start), Place(segment.number, end)) for start, end in wrong]
    segment.lost = numbers_at(folder, *damaged)
    if before is not None:
        join(segment.lost, before.lost)
        less(segment.lost, segment.streams)
    return Looked(records, damaged, max(0, size - segment.size))
