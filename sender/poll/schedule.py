"""When a device is read: periods that never drift, and pauses after failures. Pure; time is handed in.

A scan of period p that begins at s has its slots at s + k p, for every whole k from 0. Slots are computed from k, so
rounding does not add up and a slow read does not shift those after it. A slot is taken up to half a period late. What
is later is given up and counted, never queued: after a stall of an hour each scan is read once, and two reads of one
scan are never closer than half a period.

      k=0        1         2         3         4
       |---------|---------|---------|---------|
       read.......................|            the read took 2.7 periods:
                           late > p/2 : skip 1, 2
                                     read      slot 3 on time; skipped = 2

When several scans are due, the one with the shortest period goes first: its half period runs out first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

LATE = 0.5
"""Part of a period by which a slot may be late and is still taken."""

BACKOFF_S = {"process": (1.0, 30.0), "safety": (10.0, 120.0), "protection": (10.0, 120.0)}
"""First and longest pause between two attempts by class of asset [s]. The first of 1 s is gRPC's; a safety system or a
relay that does not answer has better things to do, and its few sessions must have timed out before we ask for one."""

GOOD = 10.0
"""First pauses that a device must be good for, at most, before its back-off begins anew."""

ROUNDING = 1e-9
"""Part of a period that a computed slot may lie beyond `now` and still count as reached (float64 rounding)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One scan that is due now."""

    scan: int
    """Index of the scan."""
    skipped: int
    """Slots of this scan given up since the one taken before."""


class Schedule:
    """The slots of one device's scans.

    Args:
        periods: Period of each scan [s], above 0.
        start: Time of every scan's first slot [s, monotonic].
    """

    def __init__(self, periods: Sequence[float], start: float) -> None:
        self._periods = tuple(periods)
        self._start = start
        self._next = [0] * len(self._periods)
        self._skipped = [0] * len(self._periods)

    def deadline(self) -> float:
        """The next slot of any scan [s, monotonic]; infinite where there is no scan."""
        return min((self._at(scan) for scan in range(len(self._periods))), default=math.inf)

    def due(self, now: float) -> Slot | None:
        """Take the most pressing slot that is due, None where there is none; call again until None.

        Args:
            now: Monotonic time [s].
        """
        for scan, period in enumerate(self._periods):
            late = max(0, math.ceil((now - self._at(scan)) / period - LATE))
            self._next[scan] += late
            self._skipped[scan] += late
        ready = [scan for scan in range(len(self._periods)) if self._at(scan) <= now + ROUNDING * self._periods[scan]]
        if not ready:
            return None
        scan = min(ready, key=lambda scan: self._periods[scan])
        slot = Slot(scan=scan, skipped=self._skipped[scan])
        self._next[scan] += 1
        self._skipped[scan] = 0
        return slot

    def _at(self, scan: int) -> float:
        return self._start + self._next[scan] * self._periods[scan]


class Backoff:
    """Pauses between attempts to reach a device: doubling, each shortened by up to half at random.

    The random part keeps devices that failed together (a switch, a gateway) from coming back together.

    Args:
        random: Seeded by the caller.
        first_s: Pause after the first failure [s].
        most_s: Longest pause [s].
    """

    def __init__(self, random: Random, first_s: float, most_s: float) -> None:
        self._random = random
        self._first_s, self._most_s = first_s, most_s
        self._failures, self._pause = 0, first_s

    def next(self) -> float:
        """The pause after one more failure [s], between half and the whole of 1, 2, 4 .. times the first, at most."""
        whole = min(self._most_s, self._first_s * 2.0 ** min(self._failures, 30))
        self._failures += 1
        self._pause = whole * self._random.uniform(0.5, 1.0)
        return self._pause

    def reset(self) -> None:
        """The device answered: the next pause is the first again."""
        self._failures = 0

    def lasted(self, good_s: float) -> None:
        """The device was good for so long [s]: long enough, and the next pause is the first again.

        Enough is as long as the last pause, so that a device that fails at once is not pressed; or GOOD of the first:
        a short outage must not cost the pause that a long one before it had come to.
        """
        if good_s >= min(self._pause, GOOD * self._first_s):
            self.reset()


class Seldom:
    """Says something that keeps happening at once, then at most once a period with what has gathered since.

    Args:
        period_s: Least time between two sayings [s].
    """

    def __init__(self, period_s: float = 60.0) -> None:
        self._period_s = period_s
        self._last = -math.inf
        self._count = 0

    def add(self, count: int, now: float) -> int:
        """Add `count` happenings; the number to say now, 0 to stay quiet.

        Args:
            count: 0 asks whether what has gathered may be said now.
            now: Monotonic time [s].
        """
        self._count += count
        if not self._count or now - self._last < self._period_s:
            return 0
        said, self._count, self._last = self._count, 0, now
        return said
