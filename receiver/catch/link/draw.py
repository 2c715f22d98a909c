"""Which LINKs have their signature looked at, since a look costs more than making a false one. Pure.

Every field of a LINK can be read on the wire, so a false one can be right in all but its signature: nothing cheaper
tells the two apart, and who sends the most would be looked at the most. Hence:

    AT_ONCE in any second    are looked at as they come: in peace that is every one
    beyond them              those of a round are put into one hat, which keeps by lot as many as are looked at in a
                             second; whenever a true one comes, it has the chance of each false one
    looked at and false      remembered, and the same one costs nothing a second time

The true LINK is said every second, so against `n` false ones a second it waits n / PER_SECOND seconds on average.
"""

from __future__ import annotations

from collections import deque
from random import Random

from protocol.limits import LINK_CHECKS, LINK_DRAWS

ROUND_S = 0.5
"""Shortest length of a round [s]; the next one lasts until what was drawn has been looked at."""
STEP_S = 0.005
"""What is drawn is looked at in steps of this length [s], so that the receiving thread never pauses for long."""
FALSE_KEPT = 4096
"""False LINKs that are remembered; 1.2 MB."""


class RateLimit:
    """So many in any second, as they come."""

    def __init__(self, most: int) -> None:
        """
        Args:
            most: How many, 1 or more.
        """
        self._times: deque[float] = deque(maxlen=most)

    def spend(self, now: float) -> bool:
        """Whether one more has room at this time [s, monotonic]; then it has taken it."""
        if len(self._times) == self._times.maxlen and now - self._times[0] < 1.0:
            return False
        self._times.append(now)
        return True


class Draw:
    """The hat of LINKs that wait for a look at their signature, and those drawn from it."""

    def __init__(self, chance: Random) -> None:
        """
        Args:
            chance: Must not be known to whoever sends.
        """
        self.at_once = RateLimit(LINK_CHECKS)
        self._chance = chance
        self._hat: list[bytes] = []
        self._came = 0
        self._ends_at = 0.0
        self._drawn: list[bytes] = []
        self._looked_at = 0.0
        self._false: dict[bytes, None] = {}

    def __len__(self) -> int:
        """LINKs that wait."""
        return len(self._hat) + len(self._drawn)

    def put(self, datagram: bytes, now: float) -> bool:
        """A LINK goes into the hat; False where one, this or another, goes out of it unseen."""
        if not self._came:
            self._ends_at = now + ROUND_S
        self._came += 1
        if len(self._hat) < LINK_DRAWS:
            self._hat.append(datagram)
            return True
        at = self._chance.randrange(self._came)
        if at < LINK_DRAWS:
            self._hat[at] = datagram
        return False

    def due(self, now: float) -> list[bytes]:
        """Drawn LINKs whose turn to be looked at has come."""
        if not self._drawn and self._came and now >= self._ends_at:
            self._drawn, self._hat, self._came = self._hat, [], 0
            self._chance.shuffle(self._drawn)
            self._looked_at = now
            count = 1
        else:
            count = int((now - self._looked_at) * LINK_DRAWS)
        if not self._drawn or not count:
            return []
        self._looked_at = now
        count = min(count, int(2 * STEP_S * LINK_DRAWS))
        out, self._drawn = self._drawn[:count], self._drawn[count:]
        return out

    def deadline(self) -> float | None:
        """When to call `due` next [s, monotonic]."""
        if self._drawn:
            return self._looked_at + STEP_S
        return self._ends_at if self._came else None

    def is_false(self, datagram: bytes) -> bool:
        """Whether this very LINK was looked at and is false."""
        return datagram in self._false

    def note_false(self, datagram: bytes) -> None:
        """It was looked at and is false."""
        if len(self._false) >= FALSE_KEPT:
            del self._false[next(iter(self._false))]
        self._false[datagram] = None
