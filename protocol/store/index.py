"""What a segment holds, as JSON beside it: `segments/0000000001.idx`.

    bytes    up to where it was written [bytes]
    records  how many records can be read
    born_s   running time of the store when it was begun, summed over starts [s]
    streams  ranges of numbers a stream
    lost     ranges a stream of what stood in it and cannot be read any more; only where there are any
    check    SHA-256 of what stands before it (statefile.py); files of earlier versions have none

A closed segment's is written once. The current segment's is written now and then, and is behind: it serves only to
tell what stood in a stretch that is damaged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from protocol.ranges import Ranges
from protocol.store import statefile
from protocol.store.record import Record

LARGEST = 4 << 30
"""Largest segment that is believed [bytes]: far above what any writer lets one grow to."""


@dataclass(slots=True)
class Segment:
    """What one segment file holds, of which its index file is the copy on the disk."""

    number: int
    size: int = 0
    """Up to where it was written [bytes]."""
    records: int = 0
    born_s: float = 0.0
    """Running time of the store when it was begun, summed over starts [s]."""
    streams: dict[bytes, Ranges] = field(default_factory=dict)
    """Numbers that can be read."""
    lost: dict[bytes, Ranges] = field(default_factory=dict)
    """Numbers that stood in it and cannot be read any more."""

    def note(self, one: Record) -> None:
        """A record was written behind the others."""
        self.size += one.length
        self.records += 1
        self.streams.setdefault(one.stream, Ranges()).add(one.number)

    def to_bytes(self) -> bytes:
        """Content of the index file: JSON with a check at its end."""
        told: dict[str, Any] = {
            "bytes": self.size,
            "records": self.records,
            "born_s": self.born_s,
            "streams": numbers_to_json(self.streams),
        }
        if self.lost:
            told["lost"] = numbers_to_json(self.lost)
        return statefile.pack(told)

    @classmethod
    def from_bytes(cls, number: int, data: bytes) -> Segment:
        """What `to_bytes` gave.

        Raises:
            ValueError, KeyError, TypeError and their kin: it is something else.
        """
        told = statefile.unpack(data)
        size, records, born_s = int(told["bytes"]), int(told["records"]), float(told["born_s"])
        if not 0 <= size <= LARGEST or not 0 <= records <= size or not 0 <= born_s < float("inf"):
            raise ValueError("no figures of a segment")
        return cls(
            number, size, records, born_s, numbers_from_json(told["streams"]), numbers_from_json(told.get("lost", {}))
        )


def read_index(path: Path, number: int) -> Segment | None:
    """What an index file says; None where there is none, or none that can be believed. Never raises."""
    try:
        data = statefile.read(path)
        return None if data is None else Segment.from_bytes(number, data)
    except (OSError, *statefile.UNBELIEVED):
        return None


def numbers_from_json(told: Mapping[str, Any]) -> dict[bytes, Ranges]:
    """Ranges a stream, as JSON has them.

    Raises:
        ValueError, TypeError and their kin: they are something else.
    """
    out: dict[bytes, Ranges] = {}
    for key, spans in told.items():
        stream = bytes.fromhex(key)
        if len(stream) != 8 or any(not 0 <= int(first) < int(after) <= 1 << 64 for first, after in spans):
            raise ValueError("no numbers of a stream")
        out[stream] = Ranges((int(first), int(after)) for first, after in spans)
    return out


def numbers_to_json(streams: Mapping[bytes, Ranges]) -> dict[str, list[tuple[int, int]]]:
    """Ranges a stream, for JSON."""
    return {key.hex(): list(held) for key, held in streams.items()}


def join(into: dict[bytes, Ranges], more: Mapping[bytes, Ranges]) -> None:
    """Add numbers to numbers, stream by stream."""
    for stream, ranges in more.items():
        held = into.setdefault(stream, Ranges())
        for first, after in ranges:
            held.add(first, after)


def less(from_: dict[bytes, Ranges], those: Mapping[bytes, Ranges]) -> None:
    """Take numbers from numbers, stream by stream; a stream of which nothing is left goes."""
    for stream in list(from_):
        for first, after in those.get(stream, ()):
            from_[stream].remove(first, after)
        if not from_[stream].count:
            del from_[stream]
