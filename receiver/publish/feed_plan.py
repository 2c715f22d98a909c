"""What an output that begins is to be given of the history: the blocks that came and that the journal has no more (pure
but for reading).

    history     every block number that ever came, by stream            `span` of current.db
    journal     every one that can still be read there                  its indexes; what they do not cover is walked
    the plan    the first without the second: no block is missing, and none comes from both

The oldest segment counts as gone: retention may take it before it is read, and a block that comes twice is known again
by its stream and number. The plan is made once and kept in `feed-OUTPUT.json`, because the journal goes on to lose its
oldest blocks; how far it was carried out stands in the place that the output stores with the content.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from protocol.ranges import Ranges
from protocol.store import statefile
from protocol.store.index import join, less, numbers_from_json, numbers_to_json, read_index
from protocol.store.layout import index_path, segment_numbers
from protocol.store.reader import walk
from protocol.store.record import Record
from protocol.store.resync import Place

KEY = "history"
"""Of the stored place."""


@dataclass(frozen=True, slots=True)
class FeedPlace:
    """How far the history was handed over."""

    stream: bytes = b""
    """The stream in hand; those before it in the order of packer starts are done. Empty: none was begun."""
    number: int = 0
    """Its first block that was not handed over."""
    done: bool = False
    planned: bool = False
    """It was stored: the plan that it belongs to is kept."""

    def beside(self, place: bytes) -> bytes:
        """The place of the journal with this in it."""
        told = ["done"] if self.done else [self.stream.hex(), self.number]
        return json.dumps({**json.loads(place), KEY: told}, separators=(",", ":")).encode()

    @classmethod
    def stored(cls, place: object) -> FeedPlace:
        """What `beside` put there; from the beginning where there is none, or none that can be believed."""
        try:
            if not isinstance(place, bytes | str):
                return cls()
            told = json.loads(place)[KEY]
            if told == ["done"]:
                return cls(done=True, planned=True)
            stream, number = bytes.fromhex(told[0]), told[1]
            if len(stream) not in (0, 8) or type(number) is not int or not 0 <= number < 2**63:
                return cls()
            return cls(stream, number, planned=True)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
            return cls()

    def at(self, stream: bytes, number: int) -> FeedPlace:
        """Further on."""
        return replace(self, stream=stream, number=number)


def in_journal(journal: Path) -> dict[bytes, Ranges]:
    """The numbers that the journal holds for sure for some time, by stream.

    Raises:
        StoreError: it cannot be read.
    """
    out: dict[bytes, Ranges] = {}
    numbers = segment_numbers(journal)
    for number in numbers[1:-1]:
        index = read_index(index_path(journal, number), number)
        if index is None:
            _walked(journal, number, out)
        else:
            join(out, index.streams)
    if numbers:
        _walked(journal, numbers[-1], out)
    return out


def _walked(journal: Path, segment: int, out: dict[bytes, Ranges]) -> None:
    def note(at: Place, one: Record) -> None:
        if at.segment == segment:
            out.setdefault(one.stream, Ranges()).add(one.number)

    walk(journal, note, Place(segment, 0))


def planned(came: Mapping[bytes, Ranges], journal: Mapping[bytes, Ranges]) -> dict[bytes, Ranges]:
    """The blocks to hand over, by stream.

    Args:
        came: Every number that the history has met.
        journal: Those that come from the journal.
    """
    left = {stream: Ranges(held) for stream, held in came.items()}
    less(left, journal)
    return left


def load(path: Path, *, wall_ns: int) -> dict[bytes, Ranges] | None:
    """The plan that was kept; None where there is none, or none that can be believed."""

    def take(held: Mapping[str, Any]) -> dict[bytes, Ranges]:
        return numbers_from_json(held["blocks"])

    return statefile.load(path, take, lambda line: None, wall_ns=wall_ns)


def keep(path: Path, plan: Mapping[bytes, Ranges]) -> None:
    """Keep it. Raises OSError where the disk is full."""
    statefile.write(path, statefile.pack({"blocks": numbers_to_json(plan)}))
