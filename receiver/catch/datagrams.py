"""Datagrams as the kernel hands them over, and the frames of one block among them, looked at together. Pure.

A block's frames leave together, so the kernel nearly always hands over a buffer of one block's frames. Their headers
differ in the index alone: one comparison of the whole buffer finds where they differ in more, one look at a header
checks the form of all frames up to there, and their shards are copied in one step. What does not fit this is left to
`Gather.receive`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from protocol.content.array import Array
from protocol.errors import FrameError
from protocol.wire.frame import SHARD_HEADER, SHARD_START, TAG_BYTES, shard_fields

LEAST = 4
"""Frames from which it pays: below, one by one is as fast."""

_INDEX = 30


class Datagrams(NamedTuple):
    """One or more datagrams, equally long, one after another in one buffer; true until the next ones are asked for."""

    view: memoryview
    each: int
    """Length of all but perhaps the last, which may be shorter [bytes]; 0 where the one datagram is empty."""

    def split(self) -> list[memoryview]:
        """One by one."""
        size = len(self.view)
        if self.each >= size:
            return [self.view]
        return [self.view[at : min(at + self.each, size)] for at in range(0, size, self.each)]


@dataclass(slots=True)
class BlockFrames:
    """Frames side by side whose headers differ in the index alone: each index once, and below need + spare."""

    datagrams: Datagrams
    """The frames."""
    fields: tuple[int, bytes, int, int, int, int, int, int]
    """session, stream, number, size, need, spare, index of the first, copy."""
    indexes: list[int]
    bits: int
    """The indexes as a bit set."""
    shards: Array
    """uint8[frames, width], in the buffer."""


def by_block(datagrams: Datagrams) -> list[BlockFrames] | None:
    """The frames of each block; None where the buffer is not made of such from end to end."""
    view, each = datagrams
    count = len(view) // each if each else 0
    if count < LEAST or count * each != len(view) or view[:4] != SHARD_START or each <= SHARD_HEADER.size + TAG_BYTES:
        return None
    frames = np.frombuffer(view, np.uint8).reshape(count, each)
    heads = frames[:, : SHARD_HEADER.size].copy()
    heads[:, _INDEX] = 0
    changes = np.flatnonzero((heads[1:] != heads[:-1]).any(axis=1)) + 1
    out = []
    for first, after in pairwise([0, *changes.tolist(), count]):
        found = _of_one_block(Datagrams(view[first * each : after * each], each), frames[first:after])
        if found is None:
            return None
        out.append(found)
    return out


def _of_one_block(datagrams: Datagrams, frames: Array) -> BlockFrames | None:
    view, each = datagrams
    try:
        fields = shard_fields(view[:each])
    except FrameError:
        return None
    indexes: list[int] = frames[:, _INDEX].tolist()
    bits = 0
    for index in indexes:
        bits |= 1 << index
    if bits.bit_count() != len(indexes) or max(indexes) >= fields[4] + fields[5] or view[:4] != SHARD_START:
        return None
    return BlockFrames(datagrams, fields, indexes, bits, frames[:, SHARD_HEADER.size : -TAG_BYTES])
