"""What the erasure code is held against: reedsolo, which defines it, and shards by index. For tests and comparison.

The two ends of the link load none of this: they make whole blocks of rows (`Code.rows`, `Code.restore`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from reedsolo import RSCodec

from protocol.content.array import Array
from protocol.wire.erasure import Buffer, Code


class Reference:
    """reedsolo itself, a codeword a column: what every engine must equal. Some 1 MB/s."""

    name = "reedsolo"

    def spares(self, data: Array, spare: int) -> Array:
        """The spare rows, byte for byte what the code must make."""
        need, width = data.shape
        codec = RSCodec(spare, nsize=need + spare)
        words = [codec.encode(data[:, at].tobytes())[need:] for at in range(width)]
        return _transposed(words, spare)

    def repair(self, shards: Mapping[int, Buffer], need: int, spare: int) -> Array:
        """The data rows, from shards by index."""
        codec = RSCodec(spare, nsize=need + spare)
        width = len(next(iter(shards.values())))
        rows = np.zeros((need + spare, width), np.uint8)
        for index, shard in shards.items():
            rows[index] = np.frombuffer(shard, np.uint8)
        lost = [at for at in range(need + spare) if at not in shards]
        words = [codec.decode(bytearray(rows[:, at].tobytes()), erase_pos=lost)[0] for at in range(width)]
        return _transposed(words, need)


def spares(code: Code, data: Array, spare: int) -> Array:
    """The spare rows of data rows, as the code makes them.

    Args:
        data: uint8, need x width.
        spare: How many, 0 to 255 - need.
    """
    need, width = data.shape
    out = np.empty((spare, width), np.uint8)
    if spare:
        code.encoder(need, spare).apply(np.ascontiguousarray(data), out)
    return out


def repair(code: Code, shards: Mapping[int, Buffer], need: int, spare: int) -> Array:
    """The data rows, from any `need` shards by index.

    Args:
        shards: Equally long, by index: 0 to need - 1 data, then spares.
        need: Data shards.
        spare: Spare shards that were made.

    Raises:
        ValueError: fewer than `need` shards, an index outside, or lengths that differ.
    """
    width = len(next(iter(shards.values()), b""))
    rows = np.zeros((need + spare, width), np.uint8)
    seen = 0
    for index, shard in shards.items():
        if not 0 <= index < need + spare or len(shard) != width:
            raise ValueError(f"shard {index} of {len(shard)} bytes in {need} + {spare} of {width}")
        rows[index] = np.frombuffer(shard, np.uint8)
        seen |= 1 << index
    code.restore(rows, seen, need)
    return rows[:need]


def _transposed(words: Iterable[Buffer], rows: int) -> Array:
    """Rows from their columns."""
    joined = np.frombuffer(b"".join(words), np.uint8).reshape(-1, rows)
    return np.ascontiguousarray(joined.T)
