"""What the spool holds of each stream, as the emitter sees it: the facts of its beats.

Closed segments say it in their `.idx`; the current one is known from what the emitter has read of it, and is looked
through once at a start. Everything here is only read; the poller alone writes the spool.
"""

from __future__ import annotations

import json
from pathlib import Path

from protocol.ranges import Ranges
from protocol.segments import Place, segment_numbers, segment_path
from sender.interleave import Mark
from sender.stretch import heads


class Kept:
    """Numbers a stream, by segment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._held: dict[int, dict[bytes, Ranges]] = {}
        self._indexed: set[int] = set()
        self._sealed: dict[bytes, int] = {}
        self._gone: dict[bytes, list[tuple[int, int]]] = {}

    def note(self, segment: int, stream: bytes, number: int) -> None:
        """A block was read there: it exists."""
        self._held.setdefault(segment, {}).setdefault(stream, Ranges()).add(number)
        if number >= self._sealed.get(stream, 0):
            self._sealed[stream] = number + 1

    def look_through(self, end: Place) -> Mark | None:
        """Learn what the current segment holds up to `end`, for a start; returns its last record."""
        last = None
        for head in heads(self.folder, end.segment, end.offset):
            self.note(end.segment, head.stream, head.number)
            last = Mark(head.place, head.digest)
        return last

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
                for stream, ranges in held.items():
                    self._sealed[stream] = max(self._sealed.get(stream, 0), ranges.top)
        if set(numbers[:-1]) == self._indexed:
            self._gone = self._holes()

    def streams(self) -> list[bytes]:
        """Streams of which blocks are kept, oldest first."""
        return list(dict.fromkeys(stream for segment in sorted(self._held) for stream in self._held[segment]))

    def sealed(self, stream: bytes) -> int:
        """Numbers below this exist."""
        return self._sealed.get(stream, 0)

    def oldest(self, stream: bytes) -> int:
        """The oldest number that is still kept."""
        firsts = [next(iter(held[stream]))[0] for held in self._held.values() if stream in held]
        return min(firsts, default=self.sealed(stream))

    def gone(self, stream: bytes) -> list[tuple[int, int]]:
        """Numbers above the oldest kept one that are not kept any more, as of the last `refresh`."""
        return self._gone.get(stream, [])

    def _holes(self) -> dict[bytes, list[tuple[int, int]]]:
        """Retention may take a segment out of the middle, since what was never sent goes last."""
        whole: dict[bytes, Ranges] = {}
        for number in sorted(self._indexed):
            for stream, ranges in self._held[number].items():
                held = whole.setdefault(stream, Ranges())
                for first, after in ranges:
                    held.add(first, after)
        return {stream: holes for stream, held in whole.items() if (holes := held.holes(next(iter(held))[0], held.top))}

    def _read(self, number: int) -> dict[bytes, Ranges] | None:
        try:
            streams = json.loads(segment_path(self.folder, number, ".idx").read_text())["streams"]
        except (OSError, ValueError, KeyError):
            return None  # the poller is about to write it
        ranges = {bytes.fromhex(key): Ranges((a, b) for a, b in held) for key, held in streams.items()}
        return {key: held for key, held in ranges.items() if held.count}
