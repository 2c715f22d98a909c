"""Blocks that are journaled and cannot be opened yet, a stream's together (pure).

What is kept of a waiting block is its number. Where it stands is kept only as the place from which the journal must be
read again to meet all of them: so a day of waiting blocks is a range of numbers and one place.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from protocol.ranges import Ranges
from protocol.store.resync import Place
from receiver.publish.known import Lack


@dataclass(slots=True)
class WaitingBlocks:
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


def merged(one: WaitingBlocks | None, other: WaitingBlocks | None) -> WaitingBlocks | None:
    """What waits of a stream, from two parts; the first was met first."""
    if one is None or other is None:
        return one or other
    for first, after in other.numbers:
        one.numbers.add(first, after)
    one.at = min(one.at, other.at)
    one.lacks = {**other.lacks, **one.lacks}
    one.due |= other.due
    return one
