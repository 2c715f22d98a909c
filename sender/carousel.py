"""What a receiver that joins late must have, again and again: the same blocks under the same numbers.

OPEN, the current EPOCH, the CATALOG pages, and every EPOCH that one of those pages was sealed under. One round takes
`ROUND` seconds, its blocks spread evenly over it.
"""

from __future__ import annotations

from pathlib import Path

from protocol.block import Kind, read_header
from protocol.record import Record
from protocol.seal import signed_body
from protocol.segments import kept_streams, read_kept

ROUND = 30.0
"""One round [s]: a receiver that starts cold has seen two of them after a minute."""


class Carousel:
    """The newest stream's kept blocks, in turn."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stream = b""
        self._blocks: list[Record] = []
        self._at = 0
        self._next = float("inf")

    def resume(self, stream: bytes, now: float) -> None:
        """Take up a stream whose beginning was sent before this process started."""
        if stream in kept_streams(self._folder):
            self._stream = stream
            for one in read_kept(self._folder, stream):
                self.note(one, now)

    def note(self, one: Record, now: float) -> None:
        """A block has its first sending; the ones of interest are kept for the round."""
        kind = one.block[3]
        if kind == Kind.OPEN:
            self._stream, self._blocks, self._at = one.stream, [], 0
        if one.stream != self._stream or kind not in (Kind.OPEN, Kind.EPOCH, Kind.CATALOG):
            return
        if all(one.number != held.number for held in self._blocks):
            self._blocks.append(one)
            self._blocks = _wanted(self._blocks)
        self._next = min(self._next, now + ROUND / len(self._blocks))

    def due(self, now: float) -> list[Record]:
        """The block whose turn has come."""
        if now < self._next or not self._blocks:
            return []
        self._at = (self._at + 1) % len(self._blocks)
        self._next = now + ROUND / len(self._blocks)
        return [self._blocks[self._at]]

    def deadline(self) -> float:
        """When the next turn is, monotonic [s]."""
        return self._next


def _wanted(blocks: list[Record]) -> list[Record]:
    """Without the EPOCHs that nothing in the round was sealed under, but the newest two."""
    epochs = {one.number: int(signed_body(one.block)["epoch"]) for one in blocks if one.block[3] == Kind.EPOCH}
    used = {read_header(one.block).epoch for one in blocks if one.block[3] == Kind.CATALOG}
    newest = sorted(epochs.values())[-2:]
    return [
        one for one in blocks if one.number not in epochs or epochs[one.number] in used or epochs[one.number] in newest
    ]
