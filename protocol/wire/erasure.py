"""A block as shards: any `need` of its `need + spare` shards restore it (SPEC.md, section 3.1).

    block    bytes                   cut into
    data     need rows of width = ceil(size / need) bytes, the last padded with zeros; and below them
    spares   spare rows: byte j of them is what reedsolo appends to byte j of the data rows

reedsolo is the definition (`reference.py`). At run time spares and repairs are matrix products (`galois`) by a fast
engine (`engines`). A repair solves as many equations as data shards are lost; solutions are kept by loss pattern, since
a burst loses the same places again.

No I/O, no clock. A `Code` keeps work space: one for each thread.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from math import comb
from typing import TypeAlias

import numpy as np

from protocol.content.array import Array
from protocol.limits import BLOCK_SHARDS, CODE_SHARDS
from protocol.wire import galois
from protocol.wire.engines import Product, engine

Buffer: TypeAlias = bytes | bytearray | memoryview

KEPT_BYTES = 32 * 1024 * 1024
"""Most memory for matrices made ready [bytes]: 2,000 loss patterns of 64 + 10 shards, 60 of the largest."""

BLOCK_FAILURE = 1e-9
"""Chance that a block cannot be repaired, for which spares are chosen: at 100 blocks a second one in four months."""


class Code:
    """Cuts, makes spares, repairs; by the engine named, or the fastest there is."""

    def __init__(self, name: str | None = None) -> None:
        """
        Args:
            name: One of `engines.NAMES`; None takes the first that is there and passes its test.

        Raises:
            ConfigError: That engine is not to be had here.
        """
        self._engine = engine(name)
        self.name = self._engine.name
        """Name of the engine that it works with, one of `engines.NAMES`."""
        self._kept: OrderedDict[tuple[int, int, int, int], Product] = OrderedDict()
        self._kept_bytes = 0

    def rows(self, block: Buffer, need: int, spare: int) -> Array:
        """All rows of a block in one array: `need` of data, then `spare` spares.

        Args:
            block: 1 byte or more.
            need: Data shards, 1 to 127 and at most as many as bytes.
            spare: Spare shards, 0 to 255 - need.
        """
        size = len(block)
        width = -(-size // need)
        rows = np.empty((need + spare, width), np.uint8)
        flat = rows.reshape(-1)
        flat[:size] = np.frombuffer(block, np.uint8)
        flat[size : need * width] = 0
        if spare:
            self.encoder(need, spare).apply(rows, rows[need:])
        return rows

    def restore(self, rows: Array, seen: int, need: int) -> None:
        """Put the missing data rows back in place, from any `need` rows that are there.

        Args:
            rows: uint8, contiguous, (need + spare) x width; what is not there may hold anything.
            seen: Bit i is set where row i is there.
            need: Data shards.

        Raises:
            ValueError: fewer than `need` rows are there.
        """
        all_data = (1 << need) - 1
        lost = all_data & ~seen
        if not lost:
            return
        spare = len(rows) - need
        used = _lowest(seen >> need & ((1 << spare) - 1), lost.bit_count())
        key = (need, spare, lost, used)
        product = self._find(key)
        if product is None:
            gone, given = _bits(lost), _bits(used)
            sources = [*_bits(all_data & seen), *(need + at for at in given)]
            matrix = galois.solution(need, spare, gone, given)
            product = self._keep(key, self._engine.prepare(matrix, np.array(sources), np.array(gone)))
        product.apply(rows, rows)

    def encoder(self, need: int, spare: int) -> Product:
        """The spares of a block as one product: data rows to spare rows, made ready."""
        key = (need, spare, 0, 0)
        return self._find(key) or self._keep(
            key, self._engine.prepare(galois.parity(need, spare), np.arange(need), np.arange(spare))
        )

    def _find(self, key: tuple[int, int, int, int]) -> Product | None:
        product = self._kept.get(key)
        if product is not None:
            self._kept.move_to_end(key)
        return product

    def _keep(self, key: tuple[int, int, int, int], product: Product) -> Product:
        self._kept[key] = product
        self._kept_bytes += product.nbytes
        while self._kept_bytes > KEPT_BYTES and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self._kept_bytes -= oldest.nbytes
        return product


@lru_cache(maxsize=4096)
def spares_for(need: int, loss: float, target: float = BLOCK_FAILURE) -> int:
    """Fewest spares that keep a block's failure below the target, each shard being lost independently.

    A block fails when more than `spare` of its need + spare shards are lost (binomial). Never more than 127, nor
    than the code has room for; there the target is missed.

    Args:
        need: Data shards, 1 to 127.
        loss: Chance of each shard to be lost, 0 to 1.
        target: Chance of failure that is stayed below.
    """
    most = min(BLOCK_SHARDS, CODE_SHARDS - need)
    for spare in range(most):
        if _failure(need, spare, loss) < target:
            return spare
    return most


def _failure(need: int, spare: int, loss: float) -> float:
    """Chance that more than `spare` of need + spare shards are lost."""
    total = need + spare
    return sum(comb(total, lost) * loss**lost * (1.0 - loss) ** (total - lost) for lost in range(total, spare, -1))


def _bits(mask: int) -> list[int]:
    return [at for at in range(mask.bit_length()) if mask >> at & 1]


def _lowest(mask: int, count: int) -> int:
    """The lowest `count` set bits."""
    if mask.bit_count() < count:
        raise ValueError(f"{count} shards are lost and {mask.bit_count()} spares are there")
    while mask.bit_count() > count:
        mask &= ~(1 << mask.bit_length() - 1)
    return mask
