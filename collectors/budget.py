"""How many requests a second a device may be asked: a bucket that holds one second's worth, at least one request.

    in any window of w seconds:  requests <= max(1, rate) + rate * w

So a scan whose requests fit the rate leaves at once, and one that does not is drawn out instead of refused. The plan
has been held to the same rate before anything is sent; here it holds for what no plan shows: opening, retries, looking
for a lost node. The core is told the time; `wait` and `pause` are the shells for coroutines and for threads.
"""

from __future__ import annotations

import asyncio
import threading
import time

ROUNDING_S = 1e-6
"""A shorter wait is rounding of float64, not a wait [s]."""


class Budget:
    """One device's requests.

    Args:
        rate: Most requests a second [1/s]; None: no limit.
    """

    def __init__(self, rate: float | None) -> None:
        self.rate = rate
        self._spacing = 1 / rate if rate else 0.0
        self._depth = max(1.0, rate or 0.0) - 1
        self._next = float("-inf")
        self.held_back = 0
        """Requests that had to wait."""

    def spend(self, now: float) -> float:
        """Spend one request; how long to wait before it may leave [s].

        Args:
            now: Monotonic time [s].
        """
        if not self._spacing:
            return 0.0
        self._next = max(self._next, now - self._depth * self._spacing) + self._spacing
        wait = self._next - self._spacing - now
        if wait < ROUNDING_S:
            return 0.0
        self.held_back += 1
        return wait

    async def wait(self) -> None:
        """Wait until the next request may leave."""
        seconds = self.spend(time.monotonic())
        if seconds:
            await asyncio.sleep(seconds)

    def pause(self, given_up: threading.Event) -> None:
        """As `wait`, in a thread; ends early when `given_up` is set."""
        seconds = self.spend(time.monotonic())
        if seconds:
            given_up.wait(seconds)
