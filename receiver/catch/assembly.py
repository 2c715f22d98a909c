"""Blocks that are not whole yet: one array of shards each, within limits of number and bytes. Pure.

    (stream, number) -> its assemblies, nearly always one; a block that was cut anew for another mtu has two

Shards wait for each other as long as there is room: a repeat 15 minutes later completes what a first sending began.
When there is none, the block whose first shard came first is given up; a repeat begins it anew.
"""

from __future__ import annotations

from collections import Counter, OrderedDict

import numpy as np

from protocol.content.array import Array
from protocol.errors import Reason
from protocol.limits import ASSEMBLY_BLOCKS, ASSEMBLY_BYTES


class Assembly:
    """The shards of one block in one geometry."""

    __slots__ = ("left", "need", "rows", "seen", "size", "spare", "view", "width")

    def __init__(self, size: int, need: int, spare: int) -> None:
        """
        Args:
            size: Bytes of the block.
            need: Data shards.
            spare: Spare shards.
        """
        self.size, self.need, self.spare = size, need, spare
        self.width = -(-size // need)
        self.rows: Array = np.empty((need + spare, self.width), np.uint8)
        """Row i is shard i; what was not seen holds anything."""
        self.view = self.rows.reshape(-1).data
        """The same bytes, flat: shard i begins at i x width."""
        self.seen = 0
        """Bit i is set once shard i is there."""
        self.left = need
        """Shards that are still needed."""

    @property
    def whole(self) -> bool:
        """All data shards are there."""
        data = (1 << self.need) - 1
        return self.seen & data == data


class Assemblies:
    """The assemblies of all blocks that are not whole yet."""

    def __init__(
        self, refused: Counter[Reason], most_blocks: int = ASSEMBLY_BLOCKS, most_bytes: int = ASSEMBLY_BYTES
    ) -> None:
        """
        Args:
            refused: Counts shards that are given up, as FULL.
            most_blocks: Most blocks at once.
            most_bytes: Most bytes at once, room for missing shards included [bytes].
        """
        self.bytes = 0
        """Room taken [bytes]."""
        self._refused = refused
        self._most_blocks, self._most_bytes = most_blocks, most_bytes
        self._blocks: OrderedDict[tuple[bytes, int], list[Assembly]] = OrderedDict()

    def __len__(self) -> int:
        """Blocks in assembly."""
        return len(self._blocks)

    def find(self, stream: bytes, number: int, size: int, need: int, spare: int) -> Assembly:
        """The assembly of a block in this geometry, begun where there is none."""
        key = (stream, number)
        for assembly in self._blocks.get(key, ()):
            if assembly.size == size and assembly.need == need and assembly.spare == spare:
                return assembly
        assembly = Assembly(size, need, spare)
        self.bytes += assembly.rows.nbytes
        while self._blocks and (len(self._blocks) >= self._most_blocks or self.bytes > self._most_bytes):
            self._give_up()
        self._blocks.setdefault(key, []).append(assembly)
        return assembly

    def drop(self, stream: bytes, number: int) -> None:
        """The block is complete: all its assemblies go."""
        for assembly in self._blocks.pop((stream, number), ()):
            self.bytes -= assembly.rows.nbytes

    def _give_up(self) -> None:
        _, oldest = self._blocks.popitem(last=False)
        for assembly in oldest:
            self.bytes -= assembly.rows.nbytes
            self._refused[Reason.FULL] += assembly.seen.bit_count()
