"""Blocks that are journaled and cannot be opened yet, a stream's together; and the place that an output stores (pure).

What is kept of a waiting block is its number. Where it stands is kept only as the place from which the journal must be
read again to meet all of them: so a day of waiting blocks is a range of numbers and one place.

    place = {"at": [segment, offset],                  the next record to read
             "mark": [segment, offset, sha256],        the last record read: is it still the same journal?
             "waiting": [[stream, segment, offset, [[first, after], ..]], ..]}

The place goes into every hand-over, so it is bounded. A stream whose waiting numbers lie in many ranges is told with
some of them and one range over all the rest; of very many streams some are told, and the place stays where the first
block of the others stands. Either way a restart meets every waiting block, and some that were handed on already.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from protocol.ranges import Ranges
from protocol.store.segments import START, Place
from receiver.publish.known import Lack

STREAMS_TOLD = 32
"""Most streams whose waiting blocks a place tells; each is one start of a sender's polling."""
RANGES_TOLD = 16
"""Most ranges that it tells of each: with all of them a place is 8 kB."""


@dataclass(slots=True)
class Parked:
    """The waiting blocks of one stream."""

    stream: bytes
    at: Place
    """None of them stands before it in the journal."""
    met: float | None
    """When the first of them was met or, where it waited longer than this process runs, would have been [s, running
    time]; None until it is met again after a start."""
    time_ns: int = 0
    """When the first was journaled, by the low side's clock [ns since 1970 UTC]; for people."""
    numbers: Ranges = field(default_factory=Ranges)
    exact: bool = True
    """False: `numbers` came from a place that told more than was waiting."""
    lacks: dict[Lack, str] = field(default_factory=dict)
    """What they wait for, and which key or epoch that is."""
    due: bool = False
    """Something was learned that they wait for."""

    @property
    def lack(self) -> Lack | None:
        """What they wait for first; None until they are met again after a start."""
        return min(self.lacks, default=None)


@dataclass(frozen=True, slots=True)
class Mark:
    """A record that was read."""

    at: Place
    digest: bytes
    """Its block's SHA-256."""


@dataclass(slots=True)
class Held:
    """What a stored place says."""

    at: Place = START
    mark: Mark | None = None
    waiting: list[Parked] = field(default_factory=list)


def told(at: Place, mark: Mark | None, waiting: Iterable[Parked]) -> bytes:
    """The place as an output stores it.

    Args:
        at: The next record to read.
        mark: The last record read, None for none.
        waiting: What waits; a stream may come twice.
    """
    held = [one for one in waiting if one.numbers.count]
    if len(held) > STREAMS_TOLD:
        listed = heapq.nsmallest(STREAMS_TOLD, held, key=lambda one: one.at)
        kept = {id(one) for one in listed}
        at = min(at, *(one.at for one in held if id(one) not in kept))
        held = listed
    whole: dict[str, Any] = {"at": list(at)}
    if mark is not None:
        whole["mark"] = [*mark.at, mark.digest.hex()]
    whole["waiting"] = [[one.stream.hex(), *one.at, _few(one.numbers)] for one in held]
    return json.dumps(whole, separators=(",", ":")).encode()


def read(place: object) -> Held:
    """What `told` gave; also as earlier builds stored it, each waiting block with a place of its own.

    Raises:
        ValueError: it is something else.
    """
    if place is None:
        return Held()
    try:
        if not isinstance(place, bytes | str):
            raise TypeError("no text")
        whole = json.loads(place)
        mark = whole.get("mark")
        held = Held(_place(*whole["at"]))
        if mark is not None:
            segment, offset, digest = mark
            held.mark = Mark(_place(segment, offset), bytes.fromhex(digest))
        streams: dict[bytes, Parked] = {}
        for row in whole["waiting"]:
            stream, at, ranges = _row(*row)
            one = streams.setdefault(stream, Parked(stream, at, None))
            one.at = min(one.at, at)
            one.exact &= len(ranges) < RANGES_TOLD
            for first, after in ranges:
                one.numbers.add(_whole(first), _whole(after))
        held.waiting = list(streams.values())
        return held
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def merged(one: Parked | None, other: Parked | None) -> Parked | None:
    """What waits of a stream, from two parts; the first was met first."""
    if one is None or other is None:
        return one or other
    for first, after in other.numbers:
        one.numbers.add(first, after)
    one.at = min(one.at, other.at)
    one.lacks = {**other.lacks, **one.lacks}
    one.due |= other.due
    return one


def without(numbers: Ranges, gone: Ranges) -> Ranges:
    """The members of `numbers` that are not in `gone`; both are gone through once."""
    if not gone.count:
        return numbers
    left = Ranges()
    taken = iter(gone)
    cut = next(taken, None)
    for first, after in numbers:
        while cut is not None and cut[1] <= first:
            cut = next(taken, None)
        at = first
        while cut is not None and cut[0] < after:
            left.add(at, max(at, cut[0]))
            at = max(at, cut[1])
            if cut[1] > after:
                break
            cut = next(taken, None)
        left.add(at, after)
    return left


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
