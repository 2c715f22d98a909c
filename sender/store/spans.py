"""Stretches of the spool: how long they are, where they can be cut, what stands in a segment. Reads only.

The poller may unlink any segment meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from protocol.store.layout import segment_numbers, segment_path
from protocol.store.reader import Reader
from protocol.store.record import Record
from protocol.store.resync import Damage, Place, scan_pieces


class Mark(NamedTuple):
    """A record that was read: how a restart knows that the spool is still the same."""

    place: Place
    """Where it begins."""
    digest: bytes
    """SHA-256 of its block."""


def distance(folder: Path, start: Place, end: Place) -> int:
    """Bytes that are kept between two places; segments that are gone count nothing."""
    if start >= end:
        return 0
    if start.segment == end.segment:
        return end.offset - start.offset
    between = sum(_size(folder, number) for number in segment_numbers(folder) if start.segment < number < end.segment)
    return max(0, _size(folder, start.segment) - start.offset) + between + end.offset


def cuts(folder: Path, start: Place, end: Place, size: int) -> list[Place]:
    """Record boundaries that cut a stretch into pieces of about `size` bytes, both ends included."""
    reader = Reader(folder, start)
    out, since = [start], 0
    while records := reader.read(256, end, most_bytes=size):
        since += sum(one.length for one in records)
        if since >= size:
            out.append(reader.place)
            since = 0
    reader.close()
    return out if out[-1] == end else [*out, end]


def records(folder: Path, segment: int, until: int | None, damaged: list[Damage]) -> Iterator[tuple[Place, Record]]:
    """The whole and true records of a segment and where they begin, in order; none where it is gone.

    Args:
        until: Byte at which to stop; None: at its end.
        damaged: Takes what was stepped over.
    """
    for piece in scan_pieces(segment_path(folder, segment), until):
        if piece.record is None:
            damaged.append(Damage(Place(segment, piece.start), Place(segment, piece.end)))
        else:
            yield Place(segment, piece.start), piece.record


def _size(folder: Path, number: int) -> int:
    try:
        return segment_path(folder, number).stat().st_size
    except FileNotFoundError:
        return 0
