"""The ledger of one stream, and how `accepted/STREAM.json` says it.

place      [segment, offset]: true of all records before it
held       [[first, after], ..]: numbers that were journaled and can be read, or were taken by retention
whole, repaired, healed   how many of them came how
damaged    ranges: numbers that were journaled and can no longer be read; none of `held`
taken      ranges: those of `held` whose segments retention took
order      how often a person had lowered the floor when the first block was journaled (floors.py); null before that
outlook    what gaps.py wants back after a restart (numbers.py); null where it was never asked
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from protocol.ranges import Ranges
from protocol.store.record import How, Record
from protocol.store.resync import START, Place
from receiver.catch.numbers import StreamNumbers, read_ranges, take_from
from receiver.catch.store.floors import LOWERED_MOST

PLACES_END = 2**63
"""Segments and offsets that are believed are at most this."""
_NAMES = {How.WHOLE: "whole", How.REPAIRED: "repaired", How.HEALED: "healed"}


@dataclass(slots=True)
class StreamLedger:
    """What was journaled of one stream, ever."""

    ranges: Ranges = field(default_factory=Ranges)
    classes: dict[How, int] = field(default_factory=lambda: dict.fromkeys(How, 0))
    """How they came; the sum is the count of `ranges`."""
    damaged: Ranges = field(default_factory=Ranges)
    """Journaled, and cannot be read any more; none of `ranges`."""
    taken: Ranges = field(default_factory=Ranges)
    """Their segments went by retention."""
    order: int | None = None
    """How often a person had lowered the floor when the first block was journaled; None before that."""
    outlook: dict[str, Any] | None = None
    """What gaps.py wants back after a restart."""
    place: Place = START
    """The file says what is true up to here."""
    changed: bool = True
    """Since its file was written."""
    earlier: bool = False
    """Its file is of an earlier version, which did not tell what retention took."""

    def note(self, one: Record) -> bool:
        """Take a journaled record; False where its number was there already."""
        if self.order is None:
            self.order = one.order
        if not self.ranges.add(one.number):
            return False
        self.damaged.remove(one.number, one.number + 1)
        self.taken.remove(one.number, one.number + 1)
        how = How(one.how) if one.how in _NAMES else How.WHOLE
        self.classes[how] += 1
        self.changed = True
        return True

    def add(self, ranges: Iterable[tuple[int, int]]) -> int:
        """Take numbers of which nobody knows how they came; returns how many were new."""
        fresh = 0
        for first, after in ranges:
            fresh += self.ranges.add(first, after)
            self.damaged.remove(first, after)
        self.classes[How.WHOLE] += fresh
        self.changed = self.changed or fresh > 0
        return fresh

    def damage(self, ranges: Iterable[tuple[int, int]]) -> None:
        """These can no longer be read."""
        for first, after in ranges:
            take_from(self.classes, self.ranges.remove(first, after))
            self.damaged.add(first, after)
            self.changed = True

    def stream(self, wall_ns: int) -> StreamNumbers:
        """For gaps.py.

        Args:
            wall_ns: Our wall clock, for what is damaged since now [ns since 1970 UTC].
        """
        return StreamNumbers.restored(self.ranges, self.classes, self.outlook, damaged=self.damaged, wall_ns=wall_ns)

    @property
    def oldest(self) -> int:
        """The oldest number that the sender kept, as far as it was heard."""
        return int(self.outlook["oldest"]) if self.outlook is not None else 0

    def to_json(self) -> dict[str, Any]:
        """As its file has it."""
        counts = {name: self.classes[how] for how, name in _NAMES.items()}
        lists = {"held": list(self.ranges), "damaged": list(self.damaged), "taken": list(self.taken)}
        return {"place": list(self.place), **lists, **counts, "order": self.order, "outlook": self.outlook}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> StreamLedger:
        """What `to_json` gave, with its check.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        new = "taken" in told
        one = cls(place=read_place(told["place"]), changed=not new, earlier=not new)
        one.ranges = Ranges(read_ranges(told["held"]))
        one.classes = {how: read_count(told[name], 2**64) for how, name in _NAMES.items()}
        one.outlook = None if told["outlook"] is None else dict(told["outlook"])
        if new:
            one.damaged, one.taken = (Ranges(read_ranges(told[key])) for key in ("damaged", "taken"))
            one.order = None if told["order"] is None else read_count(told["order"], LOWERED_MOST)
        elif one.ranges.count:
            one.order = 0
        if one.ranges.count != sum(one.classes.values()) or one.damaged.less(one.ranges) != one.damaged:
            raise ValueError("the counts do not add up")
        one.stream(0)  # is the outlook one?
        return one


def read_place(told: Any) -> Place:
    """A place as a file has it.

    Raises:
        TypeError, ValueError: it is something else.
    """
    segment, offset = told
    return Place(read_count(segment, PLACES_END), read_count(offset, PLACES_END))


def read_count(told: Any, most: int) -> int:
    """A count as a file has it.

    Raises:
        ValueError: it is something else.
    """
    if type(told) is not int or not 0 <= told <= most:
        raise ValueError(f"{told!r} is no count"[:80])
    return told
