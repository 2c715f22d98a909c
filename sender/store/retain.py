"""Which segment of the spool goes first, when something must go. Pure.

    repeated   everything in it was sent and every repeat that it will have has left: nobody waits for it
    sent       everything in it had its first sending
    unsent     something in it never left; dropping it loses data for good, so it goes last

Oldest first within each. What was sent is what the emitter last noted in `emit.json`; where there is no such note, or
none that can be read, nothing was sent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from protocol.ranges import Ranges
from protocol.store import statefile
from protocol.store.index import Segment
from protocol.store.resync import START, Place
from sender.store.emit_state import NAME, EmitState


class Fate(StrEnum):
    """How much of a segment is still to do; in the order in which they go."""

    REPEATED = "repeated"
    SENT = "sent"
    UNSENT = "unsent"


ORDER = tuple(Fate)


class Fates:
    """How much of each segment is still to do, by what the emitter noted."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        """
        Args:
            told: Content of `emit.json`.
        """
        try:
            noted = EmitState.from_json(told)
        except statefile.UNBELIEVED:
            noted = EmitState()
        self._new = noted.new or START
        self._unsent = noted.backlog
        self._to_repeat = [(Place(a, b), Place(c, d)) for _, _, a, b, c, d, _ in noted.repeats]
        self._ages = [float(age) for _, age, *_ in noted.repeats]
        self._finished = noted.finished

    @classmethod
    def read(cls, state: Path) -> Fates:
        """From the state folder; a damaged file is the emitter's to set aside."""
        try:
            return cls(statefile.unpack(statefile.read(state / NAME) or b"{}"))
        except (OSError, *statefile.UNBELIEVED):
            return cls({})

    def fate(self, one: Segment) -> Fate:
        """How much of a segment is still to do."""
        start, end = Place(one.number, 0), Place(one.number, one.size)
        if self._new < end or _touches(self._unsent, start, end):
            return Fate.UNSENT
        return Fate.SENT if _touches(self._to_repeat, start, end) else Fate.REPEATED

    def done_s(self, one: Segment, repeated_after_s: float) -> float:
        """How long until the last repeat of a segment's blocks is due [s]; infinite where some had no first sending.

        Args:
            repeated_after_s: When the last repeat of a block leaves after its first sending [s].
        """
        fate = self.fate(one)
        if fate is not Fate.SENT:
            return math.inf if fate is Fate.UNSENT else 0.0
        start, end = Place(one.number, 0), Place(one.number, one.size)
        runs = zip(self._ages, self._to_repeat, strict=True)
        return max(0.0, repeated_after_s - min(age for age, run in runs if _touches([run], start, end)))

    def counts(self, one: Segment) -> dict[Fate, int]:
        """How many blocks of a segment have which fate: where only some were not sent, both stand apart."""
        blocks, fate = sum(held.count for held in one.streams.values()), self.fate(one)
        if fate is not Fate.UNSENT:
            return {fate: blocks}
        unsent = sum(
            after - first
            for stream, held in one.streams.items()
            for low, top in held
            for first, after in self._finished.get(stream, Ranges()).holes(low, top)
        )
        return {Fate.SENT: blocks - unsent, Fate.UNSENT: unsent}

    def first(self, segments: Sequence[Segment], worst: Fate) -> Segment | None:
        """Which of these goes first; None where all of them are worse than `worst`.

        Args:
            segments: Oldest first.
            worst: The last of the kinds that may go.
        """
        fates = [(self.fate(one), one) for one in segments]
        for fate in ORDER[: ORDER.index(worst) + 1]:
            for found, one in fates:
                if found is fate:
                    return one
        return None


def _touches(stretches: Sequence[tuple[Place, Place]], start: Place, end: Place) -> bool:
    return any(first < end and after > start for first, after in stretches)
