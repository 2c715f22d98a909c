"""One block on a disk: the record that both sides' segment files are made of (SPEC.md, section 5).

     0   4   length    bytes of the record after this field, big-endian
     4   8   stream    as in the block
    12   8   number
    20   1   need      data shards it was, or will be, cut into
    21   1   spare     spare shards
    22   1   how       How it came; 0 on the high side
    23   1   order     how often a person had lowered the receiver's floor when the stream was first heard; 0 on the
                       high side
    24   8   time      when it was written, this side's clock [ns since 1970 UTC]; information, never order
    32  32   sha256    of the block
    64   ..  the block, as sealed

The hash makes a torn or rotten block visible. It does not cover the record's own fields: a record is true only where
the block's header repeats its stream and number, and where `need` and `spare` are a code word's.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from protocol.block import HEADER, MAGIC
from protocol.limits import BLOCK_BYTES, BLOCK_SHARDS, CODE_SHARDS, WIRE_VERSION

HEAD = struct.Struct(">I8sQBBBBq32s")
_REPEATED = struct.Struct(">2sBx8sQ")  # what of a block's header a record must agree with


class How(IntEnum):
    """How the receiver came to a block."""

    WHOLE = 0
    """All data shards arrived."""
    REPAIRED = 1
    """Spare shards restored it."""
    HEALED = 2
    """It was completed after having been missing."""


@dataclass(frozen=True, slots=True)
class Record:
    """A block with what the store keeps beside it."""

    stream: bytes
    number: int
    need: int
    spare: int
    how: int
    time_ns: int
    digest: bytes
    """SHA-256 of `block`, 32 bytes: its leaf."""
    block: bytes
    order: int = 0
    """How often a person had lowered the receiver's floor when the stream was first heard, 0 to 255; 0 on the high
    side."""

    @property
    def length(self) -> int:
        """Size of the record on the disk, its head and the block [bytes]."""
        return HEAD.size + len(self.block)


def record(
    stream: bytes,
    number: int,
    need: int,
    spare: int,
    block: bytes,
    *,
    how: int = How.WHOLE,
    time_ns: int = 0,
    order: int = 0,
) -> Record:
    """A record of a block, hashed here."""
    return Record(stream, number, need, spare, how, time_ns, hashlib.sha256(block).digest(), block, order)


def to_bytes(one: Record) -> bytes:
    """The bytes of a record, as a segment or a kept file has them."""
    head = HEAD.pack(
        HEAD.size - 4 + len(one.block),
        one.stream,
        one.number,
        one.need,
        one.spare,
        one.how,
        one.order,
        one.time_ns,
        one.digest,
    )
    return head + one.block


def by_stream(records: Iterable[Record]) -> dict[bytes, list[Record]]:
    """The same records, those of a stream together, in the order they came."""
    out: dict[bytes, list[Record]] = {}
    for one in records:
        out.setdefault(one.stream, []).append(one)
    return out


def parse(data: bytes | memoryview, at: int, end: int, *, check: bool = True) -> Record | None:
    """The record that begins at `at`, or None where none is whole and true before `end`.

    Args:
        check: Believe it only where its hash fits its block (2 GB/s) and its fields are those of the block; False is
            for who looks at what is wrong with it.
    """
    if end - at < HEAD.size:
        return None
    length, stream, number, need, spare, how, order, time_ns, digest = HEAD.unpack_from(data, at)
    size = length + 4 - HEAD.size
    if not 0 < size <= BLOCK_BYTES or at + 4 + length > end:
        return None
    if check:
        if size < HEADER.size or not 1 <= need <= BLOCK_SHARDS or need + spare > CODE_SHARDS:
            return None
        if _REPEATED.unpack_from(data, at + HEAD.size) != (MAGIC, WIRE_VERSION, stream, number):
            return None
    block = bytes(data[at + HEAD.size : at + 4 + length])
    if check and hashlib.sha256(block).digest() != digest:
        return None
    return Record(stream, number, need, spare, how, time_ns, digest, block, order)
