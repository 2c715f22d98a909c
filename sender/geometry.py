"""How many shards a block is cut into, and how many spares go with them.

A block of `size` bytes gets `need = ceil(size / width)` data shards, all equally long. Spares follow `loss_target`
(block failure below 1e-9 at that independent loss), or a share that the operator named, or 2. While the load is
light there are at least as many spares as data shards, and the emitter sends them `spread_ms` later: then any one
burst shorter than that costs nothing, and good weather costs no latency.

Light: the offered load, without spares, is under rate / (2 x (1 + repeats)).
"""

from __future__ import annotations

from dataclasses import dataclass

from protocol.limits import BLOCK_BYTES, BLOCK_SHARDS, CODE_SHARDS, FULL_SHARDS, WIRE_OVERHEAD
from protocol.wire.erasure import spares_for
from protocol.wire.frame import SHARD_OVERHEAD


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """The outlet's settings that decide a block's cut."""

    width: int
    """Most bytes of a shard [bytes]."""
    rate: float
    """What the link carries, headers counted [bytes/s]."""
    repeats: int
    """How many times each block is sent again."""
    loss: float | None
    """Independent loss to be survived, 0 to 1; None: `share` or the default decides."""
    share: float | None = None
    """Spares as a share of the data shards; None: `loss` or the default decides."""

    @property
    def full(self) -> int:
        """Size at which a block is full [bytes]."""
        return min(FULL_SHARDS * self.width, BLOCK_BYTES)

    @property
    def largest(self) -> int:
        """Most bytes of any block [bytes]."""
        return min(BLOCK_SHARDS * self.width, BLOCK_BYTES)

    def light(self, load: float) -> bool:
        """Whether an offered load is light.

        Args:
            load: Data frames without spares, headers counted [bytes/s].
        """
        return load < self.rate / (2 * (1 + self.repeats))

    def cut(self, size: int, load: float) -> tuple[int, int]:
        """(need, spare) of a block.

        Args:
            size: Its bytes, up to `largest`.
            load: As in `light`.
        """
        need = -(-size // self.width)
        spare = self.least_spare(need)
        if self.light(load):
            spare = max(spare, need)
        return need, min(spare, CODE_SHARDS - need)

    def least_spare(self, need: int) -> int:
        """Spares that the loss or the share asks for."""
        if self.loss is not None:
            return spares_for(need, self.loss)
        if self.share is not None:
            return -int(-need * self.share // 1)
        return 2

    def on_wire(self, size: int) -> int:
        """Bytes that the data frames of a block take, headers counted, spares not [bytes]."""
        need = -(-size // self.width)
        return size + need * (SHARD_OVERHEAD + WIRE_OVERHEAD)

    def whole(self, size: int, need: int, spare: int) -> int:
        """Bytes that all frames of a block take, spares and headers counted [bytes]."""
        return (need + spare) * (-(-size // need) + SHARD_OVERHEAD + WIRE_OVERHEAD)
