"""One asset's tags in numbers, kept up as values move: an overview then costs what changed, not what there is.

A value's grade and band change with the value, so a tag that needs a look for them stands on a short list. Silence
comes with time alone: while `now` lies between the newest renewal and the first moment at which any tag can go
silent, none is. Outside of it every tag is asked, and both moments are found anew; a renewal only ever moves the
first of them, so it never needs to be exact, only early enough.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from protocol.content.sample import severity

if TYPE_CHECKING:
    from receiver.portal.picture import Line

_NEVER_NS = 2**63


class Counts:
    """Of some tags, whose values move one at a time."""

    def __init__(self, lines: Sequence[Line] = ()) -> None:
        self.known = 0
        """Tags that ever had a value."""
        self.odd: dict[int, Line] = {}
        """By series: tags that have a value which is not good, or outside its normal band."""
        self._lines = lines
        self._newest_ns = 0
        self._due_ns = _NEVER_NS
        self._back = False
        """A renewal went back in time: `_newest_ns` may be too late."""
        for line in lines:
            if line.seen_ns:
                self.moved(line, 0)

    def moved(self, line: Line, before_ns: int) -> None:
        """Count a tag of these anew after its value was put in; `before_ns` is its renewal before that."""
        seen_ns = line.seen_ns
        if seen_ns > self._newest_ns:
            self._newest_ns = seen_ns
        if seen_ns <= before_ns or not before_ns:
            self._due_ns = min(self._due_ns, seen_ns + round(line.after_s * 1e9))
            self.known += bool(seen_ns) and not before_ns
            self._back |= seen_ns < before_ns
        if line.quality >> 30 or line.outside:
            self.odd[line.series] = line
        elif self.odd:
            self.odd.pop(line.series, None)

    def graded(self, grade: int) -> int:
        """How many values are of this grade: 1 uncertain, 2 bad."""
        return sum(1 for line in self.odd.values() if severity(line.quality) == grade)

    @property
    def outside(self) -> int:
        """How many values are outside their normal band."""
        return sum(1 for line in self.odd.values() if line.outside)

    @property
    def newest_ns(self) -> int:
        """When any of them was last renewed, in steady time; 0 where none ever was."""
        if self._back:
            self._newest_ns, self._back = max((line.seen_ns for line in self._lines), default=0), False
        return self._newest_ns

    def silent(self, now_ns: int, is_silent: Callable[[Line], bool]) -> list[Line]:
        """The tags that are silent, in their order; `is_silent` is asked only where one can be."""
        if self.newest_ns <= now_ns <= self._due_ns:
            return []
        known = [line for line in self._lines if line.seen_ns]
        self._due_ns = min((line.seen_ns + round(line.after_s * 1e9) for line in known), default=_NEVER_NS)
        return [line for line in known if is_silent(line)]
