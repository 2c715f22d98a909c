"""A closed block as its bytes show it, readable without any key (SPEC.md, section 4).

     0   2   magic    b"CB"
     2   1   version  1
     3   1   kind     BlockKind
     4   8   stream   8 random bytes, drawn at each start of the packer
    12   8   number   big-endian, from 0, up by one, never reused in a stream
    20   4   epoch    which epoch key seals it; 0 in signed kinds
    24  12   nonce    random; zero in signed kinds
    36   ..  content  sealed or signed, see `seal.py`; of a signed one the body can be read here

This is all that the two ends of the link and the store need to know of a block; what opens one is in `seal.py`, which
the ends do not load.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from protocol.errors import FrameError, Reason
from protocol.limits import BLOCK_BYTES, WIRE_VERSION
from protocol.plain import plain

MAGIC = b"CB"
HEADER = struct.Struct(">2sBB8sQI12s")
SIGNED_TAIL = 8 + 64
"""Behind the body of a signed block: the signer's key id and the signature [bytes]."""


class BlockKind(IntEnum):
    """What a block carries (SPEC.md, section 6)."""

    OPEN = 1
    EPOCH = 2
    BATCH = 3
    CATALOG = 4
    STATE = 5
    EVENT = 6
    FILE = 7
    TALLY = 8
    HEAD = 9


SIGNED = frozenset({BlockKind.OPEN, BlockKind.EPOCH, BlockKind.HEAD})
"""Readable by anyone who holds the block, and by nobody alterable."""
KEPT = frozenset({BlockKind.OPEN, BlockKind.EPOCH, BlockKind.CATALOG, BlockKind.HEAD})
"""Kept apart from the segments, as long as anything of their stream is."""


@dataclass(frozen=True, slots=True)
class Header:
    """The first 36 bytes of a block, read and not yet believed."""

    kind: int
    """A `BlockKind`, or a number that a later version gave a meaning."""
    stream: bytes
    number: int
    epoch: int
    nonce: bytes


def read_header(block: bytes) -> Header:
    """Read the header of a closed block.

    Raises:
        FrameError: SHORT, LONG, MAGIC or VERSION.
    """
    if len(block) < HEADER.size:
        raise FrameError(Reason.SHORT, size=len(block))
    if len(block) > BLOCK_BYTES:
        raise FrameError(Reason.LONG, size=len(block))
    magic, version, kind, stream, number, epoch, nonce = HEADER.unpack_from(block)
    if magic != MAGIC:
        raise FrameError(Reason.MAGIC, size=len(block))
    if version != WIRE_VERSION:
        raise FrameError(Reason.VERSION, size=len(block))
    return Header(kind, stream, number, epoch, nonce)


def signed_body(block: bytes) -> dict[str, Any]:
    """The body of a signed block whose signature is not in question here: one of our own, from our own disk.

    Raises:
        FrameError: (BODY) it is no map, or past a bound (plain.py).
    """
    return plain(block[HEADER.size : -SIGNED_TAIL])
