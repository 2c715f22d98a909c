"""The place in the journal that an output stores with what it was handed, and is handed on from after a restart (pure).

    place = {"at": [segment, offset],                  the next record to read
             "mark": [segment, offset, sha256],        the last record read: is it still the same journal?
             "skipped": 2,                             segments that retention took unread, if any
             "waiting": [[stream, segment, offset, [[first, after], ..]], ..]}

The place goes into every hand-over, so it is bounded. A stream whose waiting numbers lie in many ranges is told with
some of them and one range over all the rest; of very many streams some are told, and the place stays where the first
block of the others stands. Either way a restart meets every waiting block, and some that were handed on already.
"""

from __future__ import annotations

import heapq
import json
from dataclasses import dataclass
from itertools import islice
from typing import Any

from protocol.errors import StoreError
from protocol.ranges import Ranges
from protocol.store.layout import segment_path
from protocol.store.reader import Reader
from protocol.store.resync import START, Place
from receiver.publish.waiting import WaitingBlocks

STREAMS_TOLD = 32
"""Most streams whose waiting blocks a place tells; each is one start of a sender's polling."""
RANGES_TOLD = 16
"""Most ranges that it tells of each: with all of them a place is 8 kB."""
ENDS_BEFORE = "it ends before what was read of it"


@dataclass(frozen=True, slots=True)
class LastRead:
    """The last record that was read, by which a journal is known again."""

    at: Place
    digest: bytes
    """SHA-256 of the block in the record."""


@dataclass(frozen=True, slots=True)
class StoredPlace:
    """How far the journal was read, and what of it waits."""

    at: Place = START
    """The next record to read."""
    last_read: LastRead | None = None
    """None where none was read yet."""
    waiting: tuple[WaitingBlocks, ...] = ()
    """What cannot be opened yet; while a stream is read again it comes twice."""
    skipped: int = 0
    """Segments that retention took before they were read, ever."""

    def to_bytes(self) -> bytes:
        """As an output stores it; a place with much that waits lies further back, so that it stays small."""
        at, waiting = self.at, [one for one in self.waiting if one.numbers.count]
        if len(waiting) > STREAMS_TOLD:
            listed = heapq.nsmallest(STREAMS_TOLD, waiting, key=lambda one: one.at)
            kept = {id(one) for one in listed}
            at = min(at, *(one.at for one in waiting if id(one) not in kept))
            waiting = listed
        whole: dict[str, Any] = {"at": list(at)}
        if self.last_read is not None:
            whole["mark"] = [*self.last_read.at, self.last_read.digest.hex()]
        if self.skipped:
            whole["skipped"] = self.skipped
        whole["waiting"] = [[one.stream.hex(), *one.at, _few(one.numbers)] for one in waiting]
        return json.dumps(whole, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, stored: object) -> StoredPlace:
        """What `to_bytes` gave; also as earlier builds stored it, each waiting block with a place of its own.

        Args:
            stored: None: from the beginning.

        Raises:
            ValueError: it is something else.
        """
        if stored is None:
            return cls()
        try:
            if not isinstance(stored, bytes | str):
                raise TypeError("no text")
            whole = json.loads(stored)
            at, mark, last_read = _place(*whole["at"]), whole.get("mark"), None
            if mark is not None:
                segment, offset, digest = mark
                last_read = LastRead(_place(segment, offset), bytes.fromhex(digest))
            streams: dict[bytes, WaitingBlocks] = {}
            for row in whole["waiting"]:
                stream, first_at, ranges = _row(*row)
                one = streams.setdefault(stream, WaitingBlocks(stream, first_at, None))
                one.at = min(one.at, first_at)
                one.exact &= len(ranges) < RANGES_TOLD
                for first, after in ranges:
                    one.numbers.add(_whole(first), _whole(after))
            return cls(at, last_read, tuple(streams.values()), _whole(whole.get("skipped", 0)))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error

    def mismatch(self, reader: Reader) -> str | None:
        """Why this is a place of another journal than the reader's; empty where it is of this one, None while its end
        is not known."""
        end, last_read = reader.end(), self.last_read
        if reader.trouble:
            return None
        if self.at > end or (last_read is not None and last_read.at >= end):
            return ENDS_BEFORE
        if last_read is None or not segment_path(reader.folder, last_read.at.segment).exists():
            return ""  # retention took the segment
        try:
            found = reader.at(last_read.at)
        except StoreError:
            return "it has no record where the last one was read"
        return "" if found.digest == last_read.digest else "it has another record where the last one was read"


def _few(numbers: Ranges) -> list[tuple[int, int]]:
    """At most `RANGES_TOLD` ranges that cover all."""
    out = list(islice(numbers, RANGES_TOLD))
    if len(numbers) > RANGES_TOLD:
        out[-1] = (out[-1][0], numbers.top)
    return out


def _row(stream: str, second: int, third: int, fourth: Any) -> tuple[bytes, Place, list[Any]]:
    key = bytes.fromhex(stream)
    if len(key) != 8:
        raise ValueError("a stream has 8 bytes")
    if isinstance(fourth, list):
        return key, _place(second, third), fourth
    return key, _place(third, fourth), [(second, _whole(second) + 1)]  # as earlier builds told it


def _place(segment: object, offset: object) -> Place:
    return Place(_whole(segment), _whole(offset))


def _whole(value: object) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError("no whole number")
    return value
