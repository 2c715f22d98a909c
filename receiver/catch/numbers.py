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

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from protocol.ranges import Ranges
from protocol.store.record import How
from protocol.wire.beat import StreamTotals

OPEN_MOST = 1024
"""Most stretches a stream whose time of becoming missing is kept apart; above it neighbours share the earlier one."""
NUMBERS_END = 2**64
"""Block numbers are below this."""


@dataclass(frozen=True, slots=True, kw_only=True)
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
        return BlockCounts(
            expected=self.expected + other.expected,
            whole=self.whole + other.whole,
            repaired=self.repaired + other.repaired,
            healed=self.healed + other.healed,
            missing=self.missing + other.missing,
            expired=self.expired + other.expired,
            damaged=self.damaged + other.damaged,
            lost=self.lost + other.lost,
        )


class Open(NamedTuple):
    """A stretch of numbers with a time that is true of all of them that are still missing."""

    first: int
    after: int
    at_ns: int
    """When the beat came that said it was sent, or the damage was found, our wall clock [ns since 1970 UTC]."""


class StreamNumbers:
    """One stream's sets and counts."""

    def __init__(
        self,
        held: Iterable[tuple[int, int]] = (),
        classes: Mapping[How, int] | None = None,
        damaged: Iterable[tuple[int, int]] = (),
    ) -> None:
        """
        Args:
            held: Numbers that are in the journal.
            classes: How they came; their sum is the count of `held`.
            damaged: Numbers that were in it; none of `held`.
        """
        self.held = Ranges(held)
        self.classes = {how: (classes or {}).get(how, 0) for how in How}
        self.damaged = Ranges(damaged)
        self.lost = Ranges()
        self.expected = Ranges([*self.held, *self.damaged])
        self.oldest = 0
        self.sealed = 0
        """Numbers below this exist, as the last beat said."""
        self.finished = 0
        """Numbers below this had their first sending, but for those that wait, as the last beat said."""
        self.open: list[Open] = []
        """Sorted by number, disjoint; since when what of it is not held, damaged or lost is missing."""
        self.named_at = 0
        """Count of beats when one last named it."""
        self.changed = True
        """Since `Gaps.outlooks` was called last."""
        self._found: list[Open] = []
        """Since when what of it is damaged is so; of no number twice."""
        self._counts: BlockCounts | None = None

    def accept(self, number: int, how: How) -> None:
        """A block is on its way to the journal."""
        if self.held.add(number):
            self.expected.add(number)
            self.damaged.remove(number, number + 1)
            self.lost.remove(number, number + 1)
            self.classes[how] += 1
            self.changed, self._counts = True, None

    def damage(self, first: int, after: int, at_ns: int) -> None:
        """Numbers that were journaled can no longer be read; they are missing from now on.

        Args:
            at_ns: When that was found, our wall clock [ns since 1970 UTC].
        """
        self._found = [*self._since(self._found)]
        for a, b in self.damaged.holes(first, after):
            for low, high in self.lost.holes(a, b):
                take_from(self.classes, self.held.remove(low, high))
                self.expected.add(low, high)
                self.damaged.add(low, high)
                self._found.append(Open(low, high, at_ns))
        if len(self._found) > OPEN_MOST:
            self._found = [Open(0, self.damaged.top, min(one.at_ns for one in self._found))]
        self.changed, self._counts = True, None

    def lose(self, first: int, after: int) -> None:
        """The sender can never send these; what of them is not here is expired."""
        for a, b in self.held.holes(first, after):
            if self.lost.add(a, b):
                self.expected.add(a, b)
                self.damaged.remove(a, b)
                self.changed, self._counts = True, None

    def counts(self) -> BlockCounts:
        """The figures; their sum is right by construction."""
        if self._counts is None:
            self._counts = self._count()
        return self._counts

    def settle(self, told: StreamTotals, finished_ns: int) -> list[tuple[int, int]]:
        """Expect what a beat said was finished; returns what is missing from now on."""
        self._counts = None
        self.oldest = max(self.oldest, told.oldest)
        waiting = Ranges(told.waiting)
        waiting.remove_below(self.oldest)
        fresh = [
            hole
            for first, after in waiting.holes(0, max(told.finished, self.oldest))
            for hole in self.expected.holes(first, after)
        ]
        missing: list[tuple[int, int]] = []
        for first, after in fresh:
            self.expected.add(first, after)
            one = Open(first, after, finished_ns)
            holes = self._holes(one)
            if holes:
                self.open.insert(bisect_left(self.open, one), one)
                missing += holes
        self._tidy()
        return missing

    def missing(self) -> list[Open]:
        """What never came and is missing now, with the time of the beat that said it was sent."""
        return [Open(first, after, one.at_ns) for one in self.open for first, after in self._holes(one)]

    def absent(self) -> list[Open]:
        """What was here and is missing now, with the time when that was found."""
        found = self._since(self._found)
        return [Open(max(first, self.oldest), after, at_ns) for first, after, at_ns in found if after > self.oldest]

    def to_json(self) -> dict[str, Any]:
        """What a restart must know besides `held`, its classes and `damaged`."""
        return {
            "expected": list(self.expected),
            "oldest": self.oldest,
            "sealed": self.sealed,
            "finished": self.finished,
            "open": [list(one) for one in self.open],
            "lost": list(self.lost),
            "found": [list(one) for one in self._since(self._found)],
        }

    @classmethod
    def restored(
        cls,
        held: Iterable[tuple[int, int]],
        classes: Mapping[How, int],
        told: Mapping[str, Any] | None,
        *,
        damaged: Iterable[tuple[int, int]] = (),
        wall_ns: int = 0,
    ) -> StreamNumbers:
        """As a restart finds it.

        Args:
            held: Numbers that are in the journal now.
            classes: How they came.
            told: What `to_json` gave some time ago; None where it was never asked.
            damaged: Numbers that were in the journal and cannot be read there now.
            wall_ns: Our wall clock, for what is damaged since now [ns since 1970 UTC].

        Raises:
            KeyError, TypeError, ValueError: `told` is something else.
        """
        one = cls(held, classes, damaged)
        if told is not None:
            for first, after in read_ranges(told["expected"]):
                one.expected.add(first, after)
            one.oldest, one.sealed, one.finished = (_number(told[key]) for key in ("oldest", "sealed", "finished"))
            one.open = _read_open(told["open"])
            for first, after in read_ranges(told.get("lost", [])):
                one.lose(first, after)
            one._found = [*one._since(_read_open(told.get("found", [])))]
            one.changed = False
        known = Ranges((first, after) for first, after, _ in one._found)
        one._found += [Open(first, after, wall_ns) for first, after in one.damaged.less(known)]
        return one

    def _count(self) -> BlockCounts:
        lost = self.lost.count - self.lost.below(self.oldest)
        expired = self.expected.below(self.oldest) - self.held.below(self.oldest) + lost
        return BlockCounts(
            expected=self.expected.count,
            whole=self.classes[How.WHOLE],
            repaired=self.classes[How.REPAIRED],
            healed=self.classes[How.HEALED],
            missing=self.expected.count - self.held.count - expired,
            expired=expired,
            damaged=self.damaged.count - self.damaged.below(self.oldest),
            lost=self.lost.count,
        )

    def _tidy(self) -> None:
        """Forget stretches that are closed, and join neighbours where there are too many."""
        self.open = [one for one in self.open if self._holes(one)]
        while len(self.open) > OPEN_MOST:
            paired = self._paired()
            if len(paired) == len(self.open):
                return
            self.open = paired

    def _holes(self, one: Open) -> list[tuple[int, int]]:
        out = self.held.holes(max(one.first, self.oldest), max(one.after, self.oldest))
        for apart in (self.damaged, self.lost):
            if len(apart):
                out = [part for first, after in out for part in apart.holes(first, after)]
        return out

    def _since(self, stretches: Iterable[Open]) -> Iterator[Open]:
        """What of stretches is damaged still."""
        for first, after, at_ns in stretches:
            yield from (Open(a, b, at_ns) for a, b in self.damaged.within(first, after))

    def _paired(self) -> list[Open]:
        """Each two neighbours as one, where everything between them is expected; what is held between is no gap."""
        out: list[Open] = []
        rest = iter(self.open)
        for one in rest:
            following = next(rest, None)
            if following is None or self.expected.holes(one.after, following.first):
                out += [one] if following is None else [one, following]
            else:
                out.append(Open(one.first, following.after, min(one.at_ns, following.at_ns)))
        return out


def take_from(classes: dict[How, int], count: int) -> None:
    """Blocks that were held are not any more. How each came is not known, so those that came plainly go first."""
    for how in (How.WHOLE, How.REPAIRED, How.HEALED):
        part = min(count, classes[how])
        classes[how] -= part
        count -= part


def read_ranges(told: Any) -> list[tuple[int, int]]:
    """Ranges as a file has them: rising, apart, of numbers that a block can have.

    Raises:
        TypeError, ValueError: they are something else.
    """
    out: list[tuple[int, int]] = []
    for one in _list(told):
        first, after = map(_number, _list(one))
        if not (out[-1][1] if out else -1) < first < after:
            raise ValueError(f"range {first} to {after}")
        out.append((first, after))
    return out


def _read_open(told: Any) -> list[Open]:
    """Stretches in any order, apart; sorted here."""
    out = sorted(Open(*_list(one)) for one in _list(told))
    end = 0
    for first, after, at_ns in out:
        if type(at_ns) is not int or not -(2**63) <= at_ns < 2**63 or not end <= _number(first) < _number(after):
            raise ValueError(f"stretch {first} to {after}"[:80])
        end = after
    return out


def _list(told: Any) -> list[Any]:
    if not isinstance(told, list):
        raise TypeError("no list")
    return told


def _number(told: Any) -> int:
    """One past the last number is a number here."""
    if type(told) is not int or not 0 <= told <= NUMBERS_END:
        raise ValueError(f"{told!r} is no block number"[:80])
    return told
