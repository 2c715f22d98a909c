"""The datagram: one frame is one UDP payload (SPEC.md, section 3). Every kind begins

     0   2   magic    b"CV"
     2   1   version  1; any other is counted by number and refused, never guessed
     3   1   kind     FrameKind; no kind asks for an answer
     4   4   session  names the link key that the tag is made with

and a SHARD goes on

     8   8   stream   random, drawn at each start of the packer
    16   8   number   of the block in its stream
    24   4   size     of the block [bytes]
    28   1   need     data shards; any `need` of the need + spare restore the block
    29   1   spare    parity shards
    30   1   index    which shard this is, from 0; at `need` and above a spare
    31   1   copy     0 for the first sending, up by one a repeat (statistics)
    32   ..  the shard, ceil(size / need) bytes
     ..  16  tag      AES-256-GCM over nothing, all bytes before it as associated data; nonce = bytes 16-23 and 28-31

Every field of the header is in the nonce (number, need, spare, index, copy), fixed by the block (size) or fixed by
the key (session, stream), so the tag's nonce is never used for two contents. No I/O here and no clock. Writer and
reader stand side by side so that one change touches both.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from protocol.content.array import Array
from protocol.errors import FrameError, Reason
from protocol.keys import derive
from protocol.limits import BLOCK_BYTES, BLOCK_SHARDS, CODE_SHARDS, UDP_HEADERS, WIRE_VERSION

MAGIC = b"CV"
SHARD_HEADER = struct.Struct(">2sBBI8sQIBBBB")
TAG_BYTES = 16
SHARD_OVERHEAD = SHARD_HEADER.size + TAG_BYTES
SHARD_START = struct.pack(">2sBB", MAGIC, WIRE_VERSION, 1)
"""The first four bytes of every SHARD."""
_INDEX = 30
_SHARD_FIELDS = struct.Struct(">4xI8sQIBBBB")
PROBE_HEADER = struct.Struct(">2sBBIHIIIIHH")
PROBE_LEAST = PROBE_HEADER.size + TAG_BYTES
"""Bytes of the smallest PROBE."""


class FrameKind(IntEnum):
    """Frame kinds. Each is a statement; none asks for an answer."""

    SHARD = 1
    LINK = 2
    BEAT = 3
    PROBE = 4


@dataclass(frozen=True, slots=True)
class Probe:
    """One frame of a `linktest` step; counted, never journaled."""

    session: int
    step: int
    rate: int
    """Rate of the step [kb/s]."""
    index: int
    of: int
    """Frames in the step."""
    burst: int
    """Bytes that are sent back to back, headers counted [bytes]."""
    first: int
    """First step of the same test."""
    last: int
    """Last step of the same test."""


def width_for(mtu: int) -> int:
    """Most bytes of a shard whose frame fits the mtu [bytes]."""
    return mtu - UDP_HEADERS - SHARD_OVERHEAD


def kind_of(datagram: bytes | memoryview) -> FrameKind:
    """The frame's kind.

    Raises:
        FrameError: SHORT, MAGIC, VERSION or KIND.
    """
    if len(datagram) < 8:
        raise FrameError(Reason.SHORT, size=len(datagram))
    if bytes(datagram[:2]) != MAGIC:
        raise FrameError(Reason.MAGIC, size=len(datagram))
    if datagram[2] != WIRE_VERSION:
        raise FrameError(Reason.VERSION, size=len(datagram))
    if not FrameKind.SHARD <= datagram[3] <= FrameKind.PROBE:
        raise FrameError(Reason.KIND, size=len(datagram))
    return FrameKind(datagram[3])


def shard_fields(datagram: bytes | memoryview) -> tuple[int, bytes, int, int, int, int, int, int]:
    """The header of a SHARD, its geometry checked against its own length and the limits; its tag may not have been yet.

    Returns:
        session, stream, number, size of the whole block [bytes], need, spare, index, copy: a plain tuple, for who reads
        100,000 a second.

    Raises:
        FrameError: SHORT, LONG or GEOMETRY.
    """
    length = len(datagram)
    if length <= SHARD_OVERHEAD:
        raise FrameError(Reason.SHORT, size=length)
    fields: tuple[int, bytes, int, int, int, int, int, int] = _SHARD_FIELDS.unpack_from(datagram)
    _, _, _, size, need, spare, index, _ = fields
    total = need + spare
    if not (0 < size <= BLOCK_BYTES and 0 < need <= min(BLOCK_SHARDS, size) and index < total <= CODE_SHARDS):
        raise FrameError(Reason.GEOMETRY, size=length)
    width = -(-size // need)
    if length != SHARD_OVERHEAD + width:
        raise FrameError(Reason.LONG if length > SHARD_OVERHEAD + width else Reason.SHORT, size=length)
    return fields


class ShardTag:
    """Makes and checks the tags of one session and stream."""

    def __init__(self, link_key: bytes, session: int, stream: bytes) -> None:
        """
        Args:
            link_key: The session's 32 bytes.
            session: Its number in the frames.
            stream: The stream's 8 bytes.
        """
        self.session = session
        self.stream = stream
        self._aead = AESGCM(derive(link_key, "shard", struct.pack(">I", session) + stream))

    def frames(self, number: int, size: int, need: int, spare: int, copy: int, rows: Array) -> memoryview:
        """All frames of a block, one after another in one buffer, each `SHARD_OVERHEAD + width` bytes long.

        Args:
            number: The block's.
            size: Its bytes.
            need: Data shards.
            spare: Spare shards.
            copy: 0 for the first sending; a repeat counts up, wrapping at 255.
            rows: uint8[need + spare, width], data first.
        """
        total, width = rows.shape
        length = SHARD_OVERHEAD + width
        header = SHARD_HEADER.pack(
            MAGIC, WIRE_VERSION, FrameKind.SHARD, self.session, self.stream, number, size, need, spare, 0, copy
        )
        frames = np.empty((total, length), np.uint8)
        frames[:, : SHARD_HEADER.size] = np.frombuffer(header, np.uint8)
        frames[:, _INDEX] = np.arange(total)
        frames[:, SHARD_HEADER.size : -TAG_BYTES] = rows
        view = frames.reshape(-1).data
        seal, start = self._aead.encrypt, header[16:24]
        ends = range(length - TAG_BYTES, length * total, length)
        tags = [
            seal(start + tail, b"", view[end + TAG_BYTES - length : end])
            for end, tail in zip(ends, _tails(need, spare, copy), strict=True)
        ]
        frames[:, -TAG_BYTES:] = np.frombuffer(b"".join(tags), np.uint8).reshape(total, TAG_BYTES)
        return view

    def fits(self, datagram: bytes | memoryview) -> bool:
        """Whether the tag of a SHARD of this session and stream is right."""
        nonce = bytes(datagram[16:24]) + bytes((datagram[30], datagram[28], datagram[29], datagram[31]))
        try:
            self._aead.decrypt(nonce, datagram[-TAG_BYTES:], datagram[:-TAG_BYTES])
        except InvalidTag:
            return False
        return True

    def all_fit(self, run: memoryview, length: int, indexes: list[int], fields: tuple[int, int, int, int]) -> bool:
        """Whether the tags of all frames of a run are right: one block's, in one buffer, equally long.

        Args:
            run: The frames, one after another.
            length: Bytes of each.
            indexes: Of the shards, in the order of the frames.
            fields: number, need, spare and copy, the same in all of them.
        """
        number, need, spare, copy = fields
        tails = _tails(need, spare, copy)
        start, open_ = number.to_bytes(8, "big"), self._aead.decrypt
        end = 0
        try:
            for index in indexes:
                at, end = end, end + length
                open_(start + tails[index], run[end - TAG_BYTES : end], run[at : end - TAG_BYTES])
        except InvalidTag:
            return False
        return True


@lru_cache(maxsize=512)
def _tails(need: int, spare: int, copy: int) -> list[bytes]:
    """Last four bytes of the nonce of each shard of a block."""
    return [bytes((index, need, spare, copy)) for index in range(need + spare)]


class ProbeTag:
    """Makes and checks PROBE frames of one session (`linktest`).

     8   2   step    from 0
    10   4   rate    [kb/s]
    14   4   index   from 0
    18   4   of      frames in the step
    22   4   burst   sent back to back [bytes]
    26   2   first   first step of this test
    28   2   last    last step of this test
    30   ..  filler  zeros
     ..  16  tag     AES-256-GCM as in SHARD; nonce = step, rate, index, two zero bytes

    A step's number is never used twice in a session, so no nonce serves two contents.
    """

    def __init__(self, link_key: bytes, session: int) -> None:
        self.session = session
        self._aead = AESGCM(derive(link_key, "probe", struct.pack(">I", session)))

    def frame(
        self, step: int, rate: int, index: int, of: int, length: int, *, burst: int = 0, first: int = 0, last: int = 0
    ) -> bytes:
        """A PROBE of `length` bytes in all, at least `PROBE_LEAST`; the other arguments are the fields of `Probe`."""
        head = PROBE_HEADER.pack(
            MAGIC, WIRE_VERSION, FrameKind.PROBE, self.session, step, rate, index, of, burst, first, last
        )
        bare = head + bytes(max(0, length - len(head) - TAG_BYTES))
        return bare + self._aead.encrypt(_probe_nonce(step, rate, index), b"", bare)

    def read(self, datagram: bytes | memoryview) -> Probe:
        """A PROBE whose tag is right.

        Raises:
            FrameError: SHORT or TAG.
        """
        if len(datagram) < PROBE_LEAST:
            raise FrameError(Reason.SHORT, size=len(datagram))
        _, _, _, session, step, rate, index, *rest = PROBE_HEADER.unpack_from(datagram)
        try:
            self._aead.decrypt(
                _probe_nonce(step, rate, index), bytes(datagram[-TAG_BYTES:]), bytes(datagram[:-TAG_BYTES])
            )
        except InvalidTag:
            raise FrameError(Reason.TAG, size=len(datagram)) from None
        return Probe(session, step, rate, index, *rest)


def _probe_nonce(step: int, rate: int, index: int) -> bytes:
    return struct.pack(">HIIH", step, rate, index, 0)
