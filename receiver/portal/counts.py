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
    from receiver.portal.plant_picture import LiveTag

_NEVER_NS = 2**63


def missing_and_lost(absent: int, before: int | None, *, may_come: bool) -> tuple[int, int | None]:
    """Of samples that were sent and are not here: those that may still come, and those that nothing brings any more.

    A count of samples does not say in which blocks they were. While blocks are missing, what more is absent than before
    may come with them.

    Args:
        absent: Sent, less stored.
        before: How many were lost when last no block was missing; None: not known.
        may_come: Blocks are missing that a repeat may bring, or are here and not stored yet.

    Returns:
        Missing and lost; these two are all absent ones, and lost is None where the two cannot be told apart.
    """
    if not may_come:
        return 0, absent
    lost = None if before is None else min(before, absent)
    return absent - (lost or 0), lost


class TagCounts:
    """Of some tags, whose values move one at a time."""

    def __init__(self, tags: Sequence[LiveTag] = ()) -> None:
        self.known = 0
        """Tags that ever had a value."""
        self.odd: dict[int, LiveTag] = {}
        """By series: tags that have a value which is not good, or outside its normal band."""
        self._tags = tags
        self._newest_ns = 0
        self._due_ns = _NEVER_NS
        self._back = False
        """A renewal went back in time: `_newest_ns` may be too late."""
        for live_tag in tags:
            if live_tag.seen_ns:
                self.moved(live_tag, 0)

    def moved(self, live_tag: LiveTag, before_ns: int) -> None:
        """Count a tag of these anew after its value was put in; `before_ns` is its renewal before that."""
        seen_ns = live_tag.seen_ns
        if seen_ns > self._newest_ns:
            self._newest_ns = seen_ns
        if seen_ns <= before_ns or not before_ns:
            self._due_ns = min(self._due_ns, seen_ns + round(live_tag.after_s * 1e9))
            self.known += bool(seen_ns) and not before_ns
            self._back |= seen_ns < before_ns
        if live_tag.quality >> 30 or live_tag.outside:
            self.odd[live_tag.series] = live_tag
        elif self.odd:
            self.odd.pop(live_tag.series, None)

    def graded(self, grade: int) -> int:
        """How many values are of this grade: 1 uncertain, 2 bad."""
        return sum(1 for live_tag in self.odd.values() if severity(live_tag.quality) == grade)

    @property
    def outside(self) -> int:
        """How many values are outside their normal band."""
        return sum(1 for live_tag in self.odd.values() if live_tag.outside)

    @property
    def newest_ns(self) -> int:
        """When any of them was last renewed, in steady time; 0 where none ever was."""
        if self._back:
            self._newest_ns, self._back = max((live_tag.seen_ns for live_tag in self._tags), default=0), False
        return self._newest_ns

    def silent(self, now_ns: int, is_silent: Callable[[LiveTag], bool]) -> list[LiveTag]:
        """The tags that are silent, in their order; `is_silent` is asked only where one can be."""
        if self.newest_ns <= now_ns <= self._due_ns:
            return []
        known = [live_tag for live_tag in self._tags if live_tag.seen_ns]
        self._due_ns = min((live_tag.seen_ns + round(live_tag.after_s * 1e9) for live_tag in known), default=_NEVER_NS)
        return [live_tag for live_tag in known if is_silent(live_tag)]
