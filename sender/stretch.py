"""Stretches of the spool: how long they are, where they can be cut, what stands in a segment. Reads only.

The poller may unlink any segment meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from protocol.block import HEADER
from protocol.record import HEAD
from protocol.segments import Place, Reader, segment_numbers, segment_path


class Head(NamedTuple):
    """A record without its block, as its segment says it; not compared with its hash."""

    place: Place
    """Where it begins."""
    after: Place
    """Where it ends."""
    stream: bytes
    number: int
    need: int
    spare: int
    size: int
    """Of the block [bytes]."""
    digest: bytes
    kind: int
    epoch: int
    """The block's, 0 where it is signed."""


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


def heads(folder: Path, segment: int, until: int | None = None) -> Iterator[Head]:
    """The records of a segment, in order; none where it is gone.

    Args:
        until: Byte at which to stop; None: at its end.
    """
    try:
        data = segment_path(folder, segment).read_bytes()[:until]
    except FileNotFoundError:
        return
    at = 0
    while at + HEAD.size + HEADER.size <= len(data):
        length, stream, number, need, spare, _, _, _, digest = HEAD.unpack_from(data, at)
        _, _, kind, _, _, epoch, _ = HEADER.unpack_from(data, at + HEAD.size)
        after = at + 4 + length
        size = after - at - HEAD.size
        yield Head(Place(segment, at), Place(segment, after), stream, number, need, spare, size, digest, kind, epoch)
        at = after


def _size(folder: Path, number: int) -> int:
    try:
        return segment_path(folder, number).stat().st_size
    except FileNotFoundError:
        return 0
