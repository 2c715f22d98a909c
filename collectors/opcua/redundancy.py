"""Which of several servers is read: the better one by its own word, and no hurry to change. Pure; time is handed in.

A server says how well it can serve in its ServiceLevel (OPC 10000-4, 6.6.2.4.2), in four classes:

    200 to 255  healthy      2 to 199  degraded      1  no data      0  in maintenance

    to open     the one that is used first, unless it has just failed; then the others in the order they were typed. The
                first healthy one is taken, else the best of all
    to stay     as long as it is healthy. Below that for HOLD_S, the others are looked at, and again every LOOK_S; one
                of a better class is taken. Equal classes never change places, so two servers that waver cannot make us
                sway
    lost        the others are tried before it
"""

from __future__ import annotations

import math

HEALTHY = 3
HOLD_S = 10.0
"""How long a server must be less than healthy before another is looked at [s]: longer than a switch-over inside it."""

LOOK_S = 60.0
"""How often the others are looked at while the one in use is less than healthy [s]."""


def rank(level: int | None) -> int:
    """Class of a ServiceLevel, 0 to 3; a server that says none is taken at its socket's word."""
    if level is None or level >= 200:
        return HEALTHY
    return 2 if level >= 2 else level


class Choice:
    """The servers of one device.

    Args:
        count: How many.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.used = 0
        """The one in use, or used last."""
        self._failed = False
        self._poor_since = math.inf
        self._looked = -math.inf

    def order(self) -> list[int]:
        """Which to try, the first one first."""
        others = [index for index in range(self.count) if index != self.used]
        return [*others, self.used] if self._failed else [self.used, *others]

    def opened(self, index: int, level: int | None, now: float) -> None:
        """That one is in use now.

        Args:
            level: Its ServiceLevel; None where it says none.
            now: Monotonic time [s].
        """
        self.used, self._failed = index, False
        self._poor_since, self._looked = math.inf, -math.inf
        self.level(level, now)

    def level(self, level: int | None, now: float) -> None:
        """What the one in use says of itself."""
        self._poor_since = math.inf if rank(level) == HEALTHY else min(self._poor_since, now)

    def lost(self) -> None:
        """The one in use does not answer."""
        self._failed = True

    def looks(self, now: float) -> bool:
        """Whether the others shall be looked at now."""
        if now - self._poor_since < HOLD_S or now - self._looked < LOOK_S:
            return False
        self._looked = now
        return True
