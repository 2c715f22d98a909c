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
from typing import Any

from protocol.ranges import Ranges
from protocol.store import fields
from protocol.store.record import How, Record
from protocol.store.resync import START
from receiver.catch.numbers import Journaled, StreamNumbers
from receiver.catch.outlook import restore
from receiver.catch.store.floors import LOWERED_MOST

_NAMES = {How.WHOLE: "whole", How.REPAIRED: "repaired", How.HEALED: "healed"}


class StreamLedger(Journaled):
    """What was journaled of one stream, ever."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = Ranges()
        """Their segments went by retention."""
        self.order: int | None = None
        """How often a person had lowered the floor when the first block was journaled; None before that."""
        self.outlook: dict[str, Any] | None = None
        """What gaps.py wants back after a restart."""
        self.place = START
        """The file says what is true up to here."""
        self.earlier = False
        """Its file is of an earlier version, which did not tell what retention took."""

    def note(self, record: Record) -> bool:
        """A record was journaled; False where its number was there already."""
        if self.order is None:
            self.order = record.order
        self.taken.remove(record.number, record.number + 1)
        return self.accept(record.number, How(record.how) if record.how in _NAMES else How.WHOLE)

    def add(self, ranges: Iterable[tuple[int, int]], *, taken: bool = False) -> None:
        """These are held, and nobody knows how they came.

        Args:
            taken: Retention took their segments.
        """
        for first, after in ranges:
            fresh = self.held.add(first, after) + (self.taken.add(first, after) if taken else 0)
            self.damaged.remove(first, after)
            self.changed = self.changed or fresh > 0
        self.classes[How.WHOLE] += self.held.count - sum(self.classes.values())

    def stream(self, wall_ns: int) -> StreamNumbers:
        """For gaps.py.

        Args:
            wall_ns: Our wall clock, for what is damaged since now [ns since 1970 UTC].
        """
        return restore(self.held, self.classes, self.damaged, self.outlook, wall_ns=wall_ns)

    @property
    def oldest(self) -> int:
        """The oldest number that the sender kept, as far as it was heard."""
        return int(self.outlook["oldest"]) if self.outlook is not None else 0

    def to_json(self) -> dict[str, Any]:
        """As its file has it."""
        counts = {name: self.classes[how] for how, name in _NAMES.items()}
        lists = {"held": list(self.held), "damaged": list(self.damaged), "taken": list(self.taken)}
        return {"place": list(self.place), **lists, **counts, "order": self.order, "outlook": self.outlook}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> StreamLedger:
        """What `to_json` gave, with its check.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        ledger = cls()
        ledger.earlier = ledger.changed = "taken" not in content
        ledger.place = fields.place(content["place"])
        ledger.held = Ranges(fields.ranges(content["held"]))
        ledger.classes = {how: fields.count(content[name]) for how, name in _NAMES.items()}
        ledger.outlook = None if content["outlook"] is None else dict(content["outlook"])
        if not ledger.earlier:
            ledger.damaged, ledger.taken = (Ranges(fields.ranges(content[key])) for key in ("damaged", "taken"))
            ledger.order = None if content["order"] is None else fields.count(content["order"], LOWERED_MOST)
        elif ledger.held.count:
            ledger.order = 0
        if ledger.held.count != sum(ledger.classes.values()) or ledger.damaged.less(ledger.held) != ledger.damaged:
            raise ValueError("the counts do not add up")
        ledger.stream(0)  # is the outlook one?
        return ledger
