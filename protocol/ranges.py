"""Sets of block numbers as half-open ranges: a stream that lost nothing is one range, however long it ran."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator


class Ranges:
    """A set of integers >= 0, kept as sorted, disjoint, non-touching half-open ranges."""

    __slots__ = ("_after", "_first", "count")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._first: list[int] = []
        self._after: list[int] = []
        self.count = 0
        """How many numbers are in the set."""
        for first, after in ranges:
            self.add(first, after)

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._first, number) - 1
        return at >= 0 and number < self._after[at]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(zip(self._first, self._after, strict=True))

    def __len__(self) -> int:
        """How many ranges the numbers form; `count` tells how many numbers there are."""
        return len(self._first)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ranges) and (self._first, self._after) == (other._first, other._after)

    __hash__ = None  # type: ignore[assignment]

    def add(self, first: int, after: int | None = None) -> int:
        """Add `first`, or `first` to `after - 1`; returns how many were new."""
        after = first + 1 if after is None else after
        if first >= after:
            return 0
        if self._after and first == self._after[-1]:
            self._after[-1] = after  # the common case: the next number
            self.count += after - first
            return after - first
        low = bisect_left(self._after, first)
        high = bisect_right(self._first, after)
        held = sum(b - a for a, b in zip(self._first[low:high], self._after[low:high], strict=True))
        if low < high:
            first, after = min(first, self._first[low]), max(after, self._after[high - 1])
        self._first[low:high], self._after[low:high] = [first], [after]
        self.count += after - first - held
        return after - first - held

    def remove_below(self, number: int) -> int:
        """Drop every member below `number`; returns how many went."""
        before = self.count
        at = bisect_right(self._after, number)
        del self._first[:at], self._after[:at]
        if self._first and self._first[0] < number:
            self._first[0] = number
        self.count = sum(b - a for a, b in self)
        return before - self.count

    def remove(self, first: int, after: int) -> int:
        """Drop the members from `first` to `after - 1`; returns how many went."""
        low = bisect_right(self._after, first)
        high = bisect_left(self._first, after)
        if low >= high or first >= after:
            return 0
        before, last, end = self.count, self._first[low], self._after[high - 1]
        held = sum(b - a for a, b in zip(self._first[low:high], self._after[low:high], strict=True))
        rest = [(a, b) for a, b in ((last, first), (after, end)) if a < b]
        self._first[low:high], self._after[low:high] = [a for a, _ in rest], [b for _, b in rest]
        self.count += sum(b - a for a, b in rest) - held
        return before - self.count

    def below(self, number: int) -> int:
        """How many members are below `number`."""
        return sum(min(after, number) - first for first, after in self if first < number)

    def holes(self, first: int, after: int) -> list[tuple[int, int]]:
        """What is not in the set between `first` and `after - 1`."""
        out, at = [], first
        for held, end in self.within(first, after):
            if held > at:
                out.append((at, held))
            at = end
        if at < after:
            out.append((at, after))
        return out

    def within(self, first: int, after: int) -> list[tuple[int, int]]:
        """What is in the set between `first` and `after - 1`."""
        if first >= after:
            return []
        low, high = bisect_right(self._after, first), bisect_left(self._first, after)
        return [(max(self._first[at], first), min(self._after[at], after)) for at in range(low, high)]

    def less(self, other: Ranges) -> Ranges:
        """The members that are not in another set."""
        return Ranges(hole for first, after in self for hole in other.holes(first, after))

    @property
    def top(self) -> int:
        """One past the highest member; 0 for the empty set."""
        return self._after[-1] if self._after else 0


def join_nearest(ranges: list[tuple[int, int]], most: int) -> list[tuple[int, int]]:
    """At most `most` ranges that cover all of them: the narrowest spaces between are filled first."""
    out = list(ranges)
    while len(out) > most:
        at = min(range(len(out) - 1), key=lambda i: out[i + 1][0] - out[i][1])
        out[at : at + 2] = [(out[at][0], out[at + 1][1])]
    return out
