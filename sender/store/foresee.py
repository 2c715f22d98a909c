"""When retention will take what is still to be sent or repeated, at the present rate. Pure.

What goes, and in which order, is retain.py's: by age a segment goes whole, whatever it holds; by size first what was
repeated, then what was sent, then what was not, oldest first. So each segment goes at

    by age    keep after the segment behind it was begun
    by size   once the room and all segments that go before it are filled

and that costs something where its last repeat leaves later. What was never sent may leave at any time, or at none: it
counts as lost then. A healthy spool loses nothing, however small: it is done with a segment before it drops it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

from protocol.store.index import Segment
from sender.store.retain import ORDER, Fate, Fates

TOLD_S = 24 * 3600.0
"""What will be lost within this is told [s]: a day, so that somebody on duty reads it in time."""
LOOKS = 31
"""Looks at what was taken that are kept; one each ten seconds is five minutes."""


class Filling:
    """How fast the spool fills."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, int]] = deque(maxlen=LOOKS)

    def look(self, taken_bytes: int, now: float) -> None:
        """So much was ever taken [bytes], at a monotonic time [s]."""
        self._looks.append((now, taken_bytes))

    def rate(self) -> float:
        """Over the last looks [bytes/s]; 0 before the second one."""
        (began, before), (ended, after) = self._looks[0], self._looks[-1]
        return (after - before) / (ended - began) if ended > began else 0.0


def loses_s(
    segments: Sequence[Segment],
    fates: Fates,
    *,
    repeated_after_s: float,
    running_s: float,
    keep_s: float,
    room_bytes: float,
    rate: float,
) -> float:
    """How long until the first block goes that has still to be sent or repeated [s]; infinite where none does.

    Args:
        segments: Oldest first, the current one last.
        fates: How much of each is still to do.
        repeated_after_s: When the last repeat of a block leaves after its first sending [s].
        running_s: Running time now, as segments are dated with it [s].
        keep_s: Longest time that a block is kept, in running time [s].
        room_bytes: What fits besides [bytes].
        rate: How fast the spool fills [bytes/s].
    """
    closed, current = segments[:-1], segments[-1]
    by_age = [after.born_s + keep_s - running_s for after in segments[1:]]
    done = [(fates.fate(one), fates.done_s(one, repeated_after_s)) for one in closed]
    found = [max(0.0, goes_s) for goes_s, (_, done_s) in zip(by_age, done, strict=True) if goes_s < done_s]
    before = room_bytes
    for fate in ORDER:
        for one, (held, done_s) in zip(closed, done, strict=True):
            if held is fate:
                goes_s = max(0.0, before) / rate if rate > 0 else math.inf
                found += [goes_s] if fate is not Fate.REPEATED and goes_s < done_s else []
                before += one.size
    full_s = (max(0.0, before) + current.size) / rate if rate > 0 else math.inf
    return min([*found, *([full_s] if full_s < repeated_after_s else [])], default=math.inf)
