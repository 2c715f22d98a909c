"""Lines as a store keeps them: groups of a size that a server takes fastest in one request (pure).

Between two lines a group can be cut anywhere, and groups can be joined.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import zstandard

from receiver.outputs.shipping.cargo import CargoForm

GROUP_LINES = 10_000
"""Most lines of a group: what most servers take fastest in one request (tried: 5,000 to 50,000)."""
GROUP_BYTES = 4 * 1024 * 1024
"""Most bytes of a group."""
REQUEST_BYTES = 8 * 1024 * 1024
"""Most bytes of groups that go as one; InfluxDB's own limit is 25 MB and more."""
NEWLINE = 10


@dataclass(frozen=True, slots=True)
class LineGroup:
    """Whole lines, each with its newline."""

    lines: bytes
    blocks: int = 0
    """So many blocks it finishes."""
    received_ns: int = 0
    """When the first of its blocks was completed [ns since 1970 UTC]; 0: not known."""

    def __len__(self) -> int:
        """Lines."""
        return line_count(self.lines)


class LineGroups(CargoForm[LineGroup]):
    """Groups of lines in a store."""

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=1, write_checksum=True)

    def pack(self, cargo: LineGroup) -> bytes:
        """The lines, compressed."""
        return self._compressor.compress(cargo.lines)

    def unpack(self, body: bytes) -> LineGroup:
        """The lines."""
        try:
            return LineGroup(zstandard.ZstdDecompressor().decompress(body))
        except zstandard.ZstdError as error:
            raise ValueError(f"stored lines cannot be read: {error}") from error

    def fits(self, parts: Sequence[LineGroup], one: LineGroup) -> bool:
        """Within the size of a request."""
        return sum(len(part.lines) for part in parts) + len(one.lines) <= REQUEST_BYTES

    def joined(self, parts: Sequence[LineGroup]) -> LineGroup:
        """One after the other."""
        return LineGroup(b"".join(part.lines for part in parts))

    def example(self, cargo: LineGroup) -> str:
        """Its first line."""
        return cargo.lines.partition(b"\n")[0].decode(errors="replace")


def grouped(lines: bytes, blocks: int = 0, received_ns: int = 0) -> Iterator[LineGroup]:
    """Lines of some blocks in groups within the limits; one longer line is a group of its own."""
    ends = np.flatnonzero(np.frombuffer(lines, np.uint8) == NEWLINE) + 1
    first, at = 0, 0
    while first < len(ends):
        most = int(np.searchsorted(ends, at + GROUP_BYTES, "right"))
        last = min(max(most, first + 1), first + GROUP_LINES)
        end = int(ends[min(last, len(ends)) - 1])
        yield LineGroup(lines[at:end], blocks if end == len(lines) else 0, received_ns)
        first, at = last, end


def line_count(lines: bytes) -> int:
    """How many lines."""
    return int(np.count_nonzero(np.frombuffer(lines, np.uint8) == NEWLINE))
