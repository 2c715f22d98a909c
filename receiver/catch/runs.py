"""Frames of one block, side by side in one buffer, looked at together. Pure.

A block's frames leave together, so the kernel nearly always hands over a buffer of one block's frames. Their headers
differ in the index alone: one comparison of the whole buffer finds the stretches that do, one look at a header checks
the form of all of them, and their shards are copied in one step. What does not fit this is left to `Gather.receive`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from protocol.content.array import Array
from protocol.errors import FrameError
from protocol.wire.frame import SHARD_HEADER, SHARD_START, TAG_BYTES, shard_fields
from receiver.catch.run import Run

LEAST = 4
"""Frames from which it pays: below, one by one is as fast."""

_INDEX = 30
Fields: TypeAlias = tuple[int, bytes, int, int, int, int, int, int]


@dataclass(slots=True)
class Stretch:
    """Frames whose headers differ in the index alone, each index once and below need + spare."""

    view: memoryview
    """The frames, one after another."""
    each: int
    """Bytes of each."""
    fields: Fields
    """session, stream, number, size, need, spare, index of the first, copy."""
    indexes: list[int]
    bits: int
    """The indexes as a bit set."""
    shards: Array
    """uint8[frames, width], in the buffer."""

    def datagrams(self) -> list[memoryview]:
        """One by one."""
        return [self.view[at : at + self.each] for at in range(0, len(self.view), self.each)]


def cut(run: Run) -> list[Stretch] | None:
    """The stretches of a run; None where it is not made of them from end to end."""
    view, each = run
    count = len(view) // each if each else 0
    if count < LEAST or count * each != len(view) or view[:4] != SHARD_START or each <= SHARD_HEADER.size + TAG_BYTES:
        return None
    frames = np.frombuffer(view, np.uint8).reshape(count, each)
    heads = frames[:, : SHARD_HEADER.size].copy()
    heads[:, _INDEX] = 0
    changes = np.flatnonzero((heads[1:] != heads[:-1]).any(axis=1)) + 1
    out = []
    bounds = [0, *changes.tolist(), count]
    for first, after in pairwise(bounds):
        one = _stretch(view[first * each : after * each], each, frames[first:after])
        if one is None:
            return None
        out.append(one)
    return out


def _stretch(view: memoryview, each: int, frames: Array) -> Stretch | None:
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
    return Stretch(view, each, fields, indexes, bits, frames[:, SHARD_HEADER.size : -TAG_BYTES])
