"""What the spool holds of each stream, as the emitter sees it: the facts of its beats.

Closed segments say it in their `.idx`; the current one is known from what the emitter has read of it. Everything here
is only read; the poller alone writes the spool.
"""

from __future__ import annotations

import json
from pathlib import Path

from protocol.ranges import Ranges
from protocol.segments import segment_numbers, segment_path


class Kept:
    """Lowest and highest number a stream, by segment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._held: dict[int, dict[bytes, tuple[int, int]]] = {}
        self._indexed: set[int] = set()
        self._sealed: dict[bytes, int] = {}

    def note(self, segment: int, stream: bytes, number: int) -> None:
        """A block was read there: it exists."""
        low, after = self._held.setdefault(segment, {}).get(stream, (number, number + 1))
        self._held[segment][stream] = (min(low, number), max(after, number + 1))
        if number >= self._sealed.get(stream, 0):
            self._sealed[stream] = number + 1

    def refresh(self) -> None:
        """Look which segments there are; a folder listing, call it every few seconds."""
        numbers = segment_numbers(self.folder)
        for gone in set(self._held) - set(numbers):
            del self._held[gone]
            self._indexed.discard(gone)
        for number in set(numbers[:-1]) - self._indexed:
            held = self._read(number)
            if held is not None:
                self._held[number] = held
                self._indexed.add(number)
                for stream, (_, after) in held.items():
                    self._sealed[stream] = max(self._sealed.get(stream, 0), after)

    def streams(self) -> list[bytes]:
        """Streams of which blocks are kept, oldest first."""
        return list(dict.fromkeys(stream for segment in sorted(self._held) for stream in self._held[segment]))

    def sealed(self, stream: bytes) -> int:
        """Numbers below this exist."""
        return self._sealed.get(stream, 0)

    def oldest(self, stream: bytes) -> int:
        """The oldest number that is still kept."""
        return min((held[stream][0] for held in self._held.values() if stream in held), default=self.sealed(stream))

    def _read(self, number: int) -> dict[bytes, tuple[int, int]] | None:
        try:
            streams = json.loads(segment_path(self.folder, number, ".idx").read_text())["streams"]
        except (OSError, ValueError, KeyError):
            return None  # the poller is about to write it
        ranges = {bytes.fromhex(key): Ranges((a, b) for a, b in held) for key, held in streams.items()}
        return {key: (next(iter(held))[0], held.top) for key, held in ranges.items() if held.count}
