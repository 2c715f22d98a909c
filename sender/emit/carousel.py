"""What a receiver that joins late must have, again and again: the same blocks under the same numbers.

OPEN, the current EPOCH, the CATALOG pages, and every EPOCH that one of those pages was sealed under. One round takes
`ROUND` seconds, its blocks spread evenly over it; longer where it would take more than `SHARE` of the link.
"""

from __future__ import annotations

from pathlib import Path

from protocol.block import BlockKind, read_header, signed_body
from protocol.store.layout import kept_streams
from protocol.store.reader import read_kept
from protocol.store.record import Record
from sender.geometry import Geometry

ROUND = 30.0
"""One round [s]: a receiver that starts cold has seen two of them after a minute."""
ROUND_KINDS = frozenset({BlockKind.OPEN, BlockKind.EPOCH, BlockKind.CATALOG})
SHARE = 0.1
"""Most of the link that it takes, spares and headers counted; 20 Mb/s carry 65,000 described tags in 30 s."""


class Carousel:
    """The newest stream's kept blocks, in turn."""

    def __init__(self, folder: Path, geometry: Geometry) -> None:
        self._folder, self._geometry = folder, geometry
        self._stream, self._boot = b"", -1
        self._blocks: list[Record] = []
        self._at = 0
        self._numbers: set[int] = set()
        self._next = float("inf")
        self._period = ROUND
        self._changed = False

    def resume(self, now: float) -> None:
        """Take up the newest stream of the spool, whose beginning may have been sent before this process started."""
        for stream in kept_streams(self._folder):
            for one in read_kept(self._folder, stream, frozenset({BlockKind.OPEN})):
                self.note(one, now)

    def note(self, one: Record, now: float) -> None:
        """A block has its first sending; the ones of interest are kept for the round.

        Backlog is sent newest first, so an OPEN may come after what follows it: then those are read from the spool.
        """
        kind = one.block[3]
        if kind == BlockKind.OPEN and (boot := int(signed_body(one.block)["boot"])) > self._boot:
            self._stream, self._boot, self._blocks, self._numbers, self._at = one.stream, boot, [], set(), 0
            for held in read_kept(self._folder, one.stream, ROUND_KINDS):
                self._add(held)
        if one.stream == self._stream and kind in ROUND_KINDS:
            self._add(one)
            self._next = min(self._next, now + ROUND / len(self._blocks))

    def due(self, now: float) -> Record | None:
        """The block whose turn has come."""
        if now < self._next or not self._blocks:
            return None
        if self._changed:
            self._changed = False
            self._blocks = _wanted(self._blocks)
            sizes = (self._geometry.whole(len(held.block), held.need, held.spare) for held in self._blocks)
            self._period = round_time(sum(sizes), self._geometry.rate) / len(self._blocks)
        self._at = (self._at + 1) % len(self._blocks)
        self._next = now + self._period
        return self._blocks[self._at]

    def deadline(self) -> float:
        """When the next turn is, monotonic [s]."""
        return self._next

    def _add(self, one: Record) -> None:
        if one.number not in self._numbers:
            self._numbers.add(one.number)
            self._blocks.append(one)
            self._changed = True


def round_time(size: float, rate: float) -> float:
    """How long one round takes [s].

    Args:
        size: Of all its blocks on the wire, spares and headers counted [bytes].
        rate: Of the link [bytes/s].
    """
    return max(ROUND, size / (SHARE * rate))


def _wanted(blocks: list[Record]) -> list[Record]:
    """Without the EPOCHs that nothing in the round was sealed under, but the newest two."""
    epochs = {one.number: int(signed_body(one.block)["epoch"]) for one in blocks if one.block[3] == BlockKind.EPOCH}
    used = {read_header(one.block).epoch for one in blocks if one.block[3] == BlockKind.CATALOG}
    newest = sorted(epochs.values())[-2:]
    return [
        one for one in blocks if one.number not in epochs or epochs[one.number] in used or epochs[one.number] in newest
    ]
