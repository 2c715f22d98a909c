"""Records in a file that may be damaged anywhere: what is true is read, what is not is stepped over.

    place -> whole and true record?  yes: it is read, the place moves behind it
                                     no: damage, up to where the next true record begins

Damage at rest (a flipped bit, a page of zeros, a cut) says nothing of where the next record begins: the length field
may be what was hit. So it is looked for: the magic of a block (block.py) with a likely record head before it, and
behind it the stream and number that this head says; only then is the block hashed. All but the hash is one search by
`re`, in time linear to the bytes; 64 MiB of zeros, of noise or of nothing but magics take well below a second. A page
that the disk does not give counts as zeros.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from protocol.block import HEADER
from protocol.store.layout import opened
from protocol.store.record import HEAD, Record, parse

_WINDOW = 1 << 20
"""Bytes that are looked through at a time [bytes]."""
_PAGE = 4096
"""What a disk that fails in one place still gives or not [bytes]: the sector size of most, the page of all."""
_SEEN = HEAD.size + 20
"""So many bytes from a record's beginning on show whether it is likely: up to the block's number [bytes]."""
_LIKELY = re.compile(rb"(?s)CB\x01(?<=\x00[\x00-\x04]..(.{16})[\x01-\x7f].{43}CB\x01).\1")
"""The block's magic and version; before it a record's head: length, (stream, number), need, the rest; after it the
kind, and the same stream and number again."""


class Place(NamedTuple):
    """A byte of a store: the segment, and where in it; places compare as the store was written."""

    segment: int
    """Number of the segment file, from 1."""
    offset: int
    """Byte in it, at a record's beginning."""


START = Place(0, 0)
"""Before everything that is kept."""


class Damage(NamedTuple):
    """Bytes of a segment that were synced and hold no whole and true record (any more)."""

    start: Place
    end: Place
    """The byte behind them, in the same segment."""

    @property
    def size(self) -> int:
        """Bytes from the first that is damaged to the last [bytes]."""
        return self.end.offset - self.start.offset


class Piece(NamedTuple):
    """A record in a file, or what stands between two of them."""

    start: int
    """Byte at which it begins."""
    end: int
    """The byte behind it."""
    record: Record | None
    """None where these bytes are damaged."""


def record_at(file: int, at: int, end: int) -> Record | None:
    """The record that begins at a byte of an open file, None where none is whole and true before `end`."""
    head = _read(file, min(HEAD.size, max(0, end - at)), at)
    if len(head) < HEAD.size:
        return None
    data = _read(file, min(HEAD.unpack(head)[0] + 4, end - at), at)
    return parse(data, 0, len(data))


def records_from(file: int, at: int, until: int, end: int, *, most: int, size: int) -> list[Record]:
    """Records of an open file that follow each other from `at` on, none where there is damage.

    Args:
        until: The last of them ends here at the latest.
        end: Bytes behind this are not looked at.
        most: Most records.
        size: Roughly the most bytes [bytes]; one record is read in any case.
    """
    data = _read(file, max(0, min(size + HEAD.size, end - at)), at)
    out: list[Record] = []
    done = 0
    while len(out) < most and (one := parse(data, done, len(data))) is not None and at + done + one.length <= until:
        out.append(one)
        done += one.length
    if not out and at + len(data) < end:  # it may be longer than what was read
        first = record_at(file, at, end)
        if first is not None and at + first.length <= until:
            return [first]
    return out


def next_true(file: int, at: int, until: int, end: int) -> int:
    """The first byte from `at` on at which a record of an open file begins, `until` where none does before it.

    Args:
        end: Bytes behind this are not looked at.
    """
    while at < until:
        data = _read(file, max(0, min(_WINDOW, end - at)), at)
        since = 0
        while (found := _LIKELY.search(data, since)) is not None:
            candidate = at + found.start() - HEAD.size
            if candidate >= until:
                return until
            if record_at(file, candidate, end) is not None:
                return candidate
            since = found.start() + 1
        if len(data) < _WINDOW:
            return until
        at += len(data) - _SEEN + 1
    return until


def pieces(file: int, start: int, end: int) -> Iterator[Piece]:
    """Everything in an open file between two bytes, in order and without a gap: records, and damage between them."""
    at = start
    while at < end:
        records = records_from(file, at, end, end, most=256, size=_WINDOW)
        for one in records:
            yield Piece(at, at + one.length, one)
            at += one.length
        if not records:
            after = next_true(file, at + 1, end, end)
            yield Piece(at, after, None)
            at = after


def likely(head: bytes) -> bool:
    """Whether a record's head and the first bytes of its block agree with each other; its hash is not asked."""
    return _LIKELY.match(head, HEAD.size) is not None


def scan(path: Path) -> Iterator[Record]:
    """Whole and true records of a file, what is damaged is stepped over."""
    return (piece.record for piece in scan_pieces(path) if piece.record is not None)


def scan_pieces(path: Path, until: int | None = None) -> Iterator[Piece]:
    """Records of a file, and what is damaged between them; nothing where there is no file.

    Args:
        until: Byte at which to stop; None: at its end.
    """
    with contextlib.suppress(FileNotFoundError), opened(path) as file:
        yield from pieces(file, 0, os.fstat(file).st_size if until is None else until)


def scan_kinds(path: Path, kinds: Collection[int]) -> Iterator[Record]:
    """As `scan`, but only records of these kinds are read and compared with their hash."""
    with contextlib.suppress(FileNotFoundError), opened(path) as file:
        at, end = 0, os.fstat(file).st_size
        while at < end:
            head = _read(file, HEAD.size + HEADER.size, at)
            after = at + HEAD.unpack_from(head)[0] + 4 if likely(head) else end + 1
            if after <= end and head[HEAD.size + 3] not in kinds and _follows(file, after, end):
                at = after
                continue
            one = record_at(file, at, end)
            if one is None:
                at = next_true(file, at + 1, end, end)
                continue
            if one.block[3] in kinds:
                yield one
            at += one.length


def _follows(file: int, at: int, end: int) -> bool:
    """Whether a record is likely to begin here, or the file ends."""
    return at == end or likely(_read(file, HEAD.size + HEADER.size, at))


def _read(file: int, size: int, at: int) -> bytes:
    """Bytes of a file; zeros where the disk fails."""
    try:
        return os.pread(file, size, at)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
    out = bytearray()
    while len(out) < size:
        most = min(size - len(out), _PAGE - (at + len(out)) % _PAGE)
        try:
            part = os.pread(file, most, at + len(out))
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            part = bytes(min(most, max(0, os.fstat(file).st_size - at - len(out))))
        if not part:
            break
        out += part
    return bytes(out)
