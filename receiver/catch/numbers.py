"""One stream's block numbers: which set each is in, and how many. Pure.

    expected   a beat said "first sending finished" and MISSING_AFTER has passed; or it is here, or was
    held       it is in the journal, or was until retention took it; counted as whole, repaired or healed
    damaged    it was in the journal and can no longer be read there; not held
    lost       the sender said that it can never send it, though it keeps older ones; not held
    oldest     numbers below it are not kept by the sender any more

    missing = expected, not held, from `oldest` on, not lost        healed = completed while missing or expired
    expired = expected, not held, below `oldest` or lost    expected = whole + repaired + healed + missing + expired

The sum holds because it is how the figures are made: nothing is counted twice in two places. A number that comes late
is welcome at any age, also one that was damaged, lost or expired.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass
from operator import add
from typing import NamedTuple

from protocol.ranges import Ranges
from protocol.store.record import How
from protocol.wire.beat import StreamTotals

DATED_MOST = 1024
"""Most ranges a stream whose time of becoming missing is kept apart; above it neighbours share the earlier one."""


@dataclass(frozen=True, slots=True)
class BlockCounts:
    """Blocks, each expected one in exactly one of the five after it."""

    expected: int = 0
    whole: int = 0
    repaired: int = 0
    healed: int = 0
    missing: int = 0
    expired: int = 0
    damaged: int = 0
    """Of the missing: these were journaled and can no longer be read."""
    lost: int = 0
    """Of the expired: these the sender cannot send though it keeps older ones."""

    def __add__(self, other: BlockCounts) -> BlockCounts:
        return BlockCounts(*map(add, astuple(self), astuple(other)))


class DatedRange(NamedTuple):
    """Neighbouring numbers with a time that is true of all of them that are still missing."""

    first: int
    after: int
    at_ns: int
    """When the beat came that said it was sent (the one before that, where its first repeat was over by then), or the
    damage was found, our wall clock [ns since 1970 UTC]."""


class Journaled:
    """Numbers of one stream that were journaled: what the receiving thread counts with, and the ledger is made of."""

    def __init__(
        self,
        held: Iterable[tuple[int, int]] = (),
        classes: Mapping[How, int] | None = None,
        damaged: Iterable[tuple[int, int]] = (),
    ) -> None:
        """
        Args:
            held: Numbers that are in the journal, or were until retention took them.
            classes: How they came; their sum is the count of `held`.
            damaged: Numbers that were in it and can no longer be read; none of `held`.
        """
        self.held = Ranges(held)
        self.classes = {how: (classes or {}).get(how, 0) for how in How}
        self.damaged = Ranges(damaged)
        self.changed = True
        """Since it was last kept for a restart."""

    def accept(self, number: int, how: How) -> bool:
        """A block came; False where its number was there already."""
        if not self.held.add(number):
            return False
        self.damaged.remove(number, number + 1)
        self.classes[how] += 1
        self.changed = True
        return True

    def damage(self, ranges: Iterable[tuple[int, int]]) -> None:
        """These can no longer be read. How each came is not known: those that came plainly cease to count first."""
        for first, after in ranges:
            gone = self.held.remove(first, after)
            for how in (How.WHOLE, How.REPAIRED, How.HEALED):
                part = min(gone, self.classes[how])
                self.classes[how] -= part
                gone -= part
            self.damaged.add(first, after)
            self.changed = True


class StreamNumbers(Journaled):
    """One stream's sets and counts, as the receiving thread has them."""

    def __init__(
        self,
        held: Iterable[tuple[int, int]] = (),
        classes: Mapping[How, int] | None = None,
        damaged: Iterable[tuple[int, int]] = (),
    ) -> None:
        super().__init__(held, classes, damaged)
        self.lost = Ranges()
        self.expected = Ranges([*self.held, *self.damaged])
        self.oldest = 0
        self.sealed = 0
        """Numbers below this exist, as the last beat said."""
        self.finished = 0
        """Numbers below this had their first sending, but for those that wait, as the last beat said."""
        self.missing_since: list[DatedRange] = []
        """Sorted by number, disjoint; since when what of it is not held, damaged or lost is missing."""
        self.damaged_since: list[DatedRange] = []
        """Since when what of it is damaged is so; of no number twice."""
        self.named_at = 0
        """Count of beats when one last named it."""
        self._counts: BlockCounts | None = None

    def accept(self, number: int, how: How) -> bool:
        """A block is on its way to the journal; False where its number was there already."""
        fresh = super().accept(number, how)
        if fresh:
            self.expected.add(number)
            self.lost.remove(number, number + 1)
            self._counts = None
        return fresh

    def find_damage(self, first: int, after: int, at_ns: int) -> None:
        """Numbers that were journaled can no longer be read; they are missing from now on.

        Args:
            at_ns: When that was found, our wall clock [ns since 1970 UTC].
        """
        self.damaged_since = self.still_damaged(self.damaged_since)
        fresh = Ranges([(first, after)]).less(self.damaged).less(self.lost)
        self.damage(fresh)
        for low, high in fresh:
            self.expected.add(low, high)
            self.damaged_since.append(DatedRange(low, high, at_ns))
        if len(self.damaged_since) > DATED_MOST:
            self.damaged_since = [DatedRange(0, self.damaged.top, min(dated.at_ns for dated in self.damaged_since))]
        self._counts = None

    def lose(self, first: int, after: int) -> None:
        """The sender can never send these; what of them is not here is expired."""
        for low, high in self.held.holes(first, after):
            if self.lost.add(low, high):
                self.expected.add(low, high)
                self.damaged.remove(low, high)
                self.changed, self._counts = True, None

    def settle(self, beat: StreamTotals, finished_ns: int, begun_ns: int, over: float) -> list[tuple[int, int]]:
        """Expect what a beat said was finished; returns what is missing from now on.

        Args:
            finished_ns: When it came, our wall clock [ns since 1970 UTC].
            begun_ns: When the one before it came.
            over: Of what was sent between them, the first so large part has its first repeat behind it, 0 to 1.
        """
        self._counts = None
        self.oldest = max(self.oldest, beat.oldest)
        waiting = Ranges(beat.waiting)
        waiting.remove_below(self.oldest)
        missing: list[tuple[int, int]] = []
        for sent, end in waiting.holes(0, max(beat.finished, self.oldest)):
            for first, after in self.expected.holes(sent, end):
                self.expected.add(first, after)
                parted = first + round((after - first) * over)  # blocks are sent evenly
                for fresh in (DatedRange(first, parted, begun_ns), DatedRange(parted, after, finished_ns)):
                    if holes := self._holes(fresh):
                        insort(self.missing_since, fresh)
                        missing += holes
        # forget what is closed, and join neighbours where there are too many
        self.missing_since = [dated for dated in self.missing_since if self._holes(dated)]
        while len(self.missing_since) > DATED_MOST and len(paired := self._paired()) < len(self.missing_since):
            self.missing_since = paired
        return missing

    def missing(self) -> list[DatedRange]:
        """What never came and is missing now, with the time of the beat that said it was sent."""
        return [
            DatedRange(first, after, dated.at_ns) for dated in self.missing_since for first, after in self._holes(dated)
        ]

    def absent(self) -> list[DatedRange]:
        """What was here and is missing now, with the time when that was found."""
        found = (dated for dated in self.still_damaged(self.damaged_since) if dated.after > self.oldest)
        return [dated._replace(first=max(dated.first, self.oldest)) for dated in found]

    def still_damaged(self, found: Iterable[DatedRange]) -> list[DatedRange]:
        """What of ranges is damaged now."""
        return [DatedRange(a, b, at_ns) for first, after, at_ns in found for a, b in self.damaged.within(first, after)]

    def counts(self) -> BlockCounts:
        """The figures; their sum is right by construction."""
        if self._counts is None:
            lost = self.lost.count - self.lost.below(self.oldest)
            expired = self.expected.below(self.oldest) - self.held.below(self.oldest) + lost
            self._counts = BlockCounts(
                expected=self.expected.count,
                whole=self.classes[How.WHOLE],
                repaired=self.classes[How.REPAIRED],
                healed=self.classes[How.HEALED],
                missing=self.expected.count - self.held.count - expired,
                expired=expired,
                damaged=self.damaged.count - self.damaged.below(self.oldest),
                lost=self.lost.count,
            )
        return self._counts

    def _holes(self, dated: DatedRange) -> list[tuple[int, int]]:
        """What of a range is missing and never came."""
        out = self.held.holes(max(dated.first, self.oldest), max(dated.after, self.oldest))
        for apart in (self.damaged, self.lost):
            if len(apart):
                out = [part for first, after in out for part in apart.holes(first, after)]
        return out

    def _paired(self) -> list[DatedRange]:
        """Each two neighbours as one, where everything between them is expected; what is held between is no gap."""
        out: list[DatedRange] = []
        rest: Iterator[DatedRange] = iter(self.missing_since)
        for dated in rest:
            following = next(rest, None)
            if following is None or self.expected.holes(dated.after, following.first):
                out += [dated] if following is None else [dated, following]
            else:
                out.append(DatedRange(dated.first, following.after, min(dated.at_ns, following.at_ns)))
        return out
