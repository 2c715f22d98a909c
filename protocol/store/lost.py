"""Which block numbers stood in a stretch of a segment that is damaged, as far as anything on the disk still knows.

index   what the segment held, less what can still be read of it; the current segment's is some seconds behind
heads   records of the stretch whose head is whole: their hash is the number's leaf
blocks  headers of blocks in it, of streams and numbers that have a leaf
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from protocol.block import HEADER, MAGIC
from protocol.limits import WIRE_VERSION
from protocol.ranges import Ranges
from protocol.store.index import join, less, read_index
from protocol.store.layout import index_path, leaf_path, leaf_streams, opened, segment_numbers, segment_path
from protocol.store.record import HEAD
from protocol.store.resync import Damage, scan


def numbers_at(folder: Path, *damaged: Damage) -> dict[bytes, Ranges]:
    """Which block numbers stood in damaged stretches, as far as can be known. Never raises.

    What the segment's index says and cannot be read any more; behind what the index covers, numbers that a record's or
    a block's header there still tells, where the leaf file agrees.
    """
    out: dict[bytes, Ranges] = {}
    for number in sorted({one.start.segment for one in damaged}):
        with contextlib.suppress(OSError):
            join(out, _numbers_in(folder, number, [one for one in damaged if one.start.segment == number]))
    return out


def _numbers_in(folder: Path, number: int, damaged: list[Damage]) -> dict[bytes, Ranges]:
    here: dict[bytes, Ranges] = {}
    out: dict[bytes, Ranges] = {}
    index = read_index(index_path(folder, number), number)  # first: a writer may go on meanwhile
    for one in scan(segment_path(folder, number)):
        here.setdefault(one.stream, Ranges()).add(one.number)
    covered = 0 if index is None else index.size
    late = [one for one in damaged if one.end.offset > covered]
    if late:
        with contextlib.suppress(FileNotFoundError):
            _read_off(folder, number, late, out)
        for other in segment_numbers(folder):
            held = None if other == number else read_index(index_path(folder, other), other)
            less(out, {} if held is None else held.streams)  # it stands there, what was found here is a shadow of it
    if index is not None:
        join(out, index.streams)
        join(out, index.lost)
    less(out, here)
    return out


def _read_off(folder: Path, number: int, damaged: list[Damage], out: dict[bytes, Ranges]) -> None:
    """What is still written in damaged stretches themselves, where the leaf files agree."""
    leaves = _Leaves(folder)
    with opened(segment_path(folder, number)) as file:
        for one in damaged:
            at, end = one.start.offset, min(one.end.offset, os.fstat(file).st_size)
            while at + HEAD.size <= end:  # heads, as far as their lengths lead from one to the next
                length, stream, held, _, _, _, _, _, digest = HEAD.unpack(os.pread(file, HEAD.size, at))
                if leaves.of(stream, held) != digest:
                    break
                out.setdefault(stream, Ranges()).add(held)
                at += length + 4
            at = one.start.offset
            while at < end:
                data = os.pread(file, min(1 << 20, end - at), at)
                for stream, held in leaves.named(data):
                    out.setdefault(stream, Ranges()).add(held)
                at += max(len(data) - HEADER.size + 1, 1) if len(data) == 1 << 20 else end - at


class _Leaves:
    """Leaf files, a leaf at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        streams = leaf_streams(folder)
        known = b"|".join(map(re.escape, streams))
        self._block = re.compile(b"(?s)" + re.escape(MAGIC + bytes([WIRE_VERSION])) + b".(" + known + b")(.{8})")
        self._streams = frozenset(streams)

    def of(self, stream: bytes, number: int) -> bytes:
        """The leaf of a number, empty or zeros where there is none."""
        if stream not in self._streams or number >= 1 << 56:
            return b""
        with opened(leaf_path(self._folder, stream)) as file:
            return os.pread(file, 32, 32 * number)

    def named(self, data: bytes) -> Iterator[tuple[bytes, int]]:
        """(stream, number) of every block's header in some bytes that has a leaf."""
        if self._streams:
            for found in self._block.finditer(data):
                stream, number = found.group(1), int.from_bytes(found.group(2), "big")
                if any(self.of(stream, number)):
                    yield stream, number
