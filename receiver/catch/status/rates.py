"""How fast counters rise: looked at once a second, told over the last five. Pure.

A count says that something happened, ever; a rate says that it happens. A warning that rests on a rate goes by itself,
five seconds after its cause.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

LOOK_S = 1.0
"""Time between two looks [s]."""
LOOKS = 6
"""Looks that are kept: five seconds lie between the first and the last."""


class Rates:
    """Counters, by name, as they were."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, Mapping[str, int]]] = deque(maxlen=LOOKS)

    def due(self, now: float) -> bool:
        """Whether the next look is due [s, monotonic]."""
        return not self._looks or now >= self._looks[-1][0] + LOOK_S

    def look(self, counts: Mapping[str, int], now: float) -> None:
        """The counters as they are now; not changed afterwards."""
        self._looks.append((now, counts))

    def all(self) -> dict[str, float]:
        """Of each counter by itself [1/s]."""
        return {name: self.of(name) for name in self._looks[-1][1]} if self._looks else {}

    def of(self, *names: str) -> float:
        """Rise of these counters together [1/s]; 0 before the second look."""
        if len(self._looks) < 2:
            return 0.0
        (began, before), (ended, after) = self._looks[0], self._looks[-1]
        return sum(after.get(name, 0) - before.get(name, 0) for name in names) / (ended - began)
