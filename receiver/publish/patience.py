"""Waiting while a disk is full: said once a second, and ended by a stop.

An output waits inside `take`, so that nothing is handed over that it cannot store. Meanwhile its process must still say
what it is doing, and must end within a few seconds when it is told to: then the wait is given up, nothing of that
hand-over is stored, and the next start is handed the same again.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from protocol.process.statusfile import PERIOD

SLICE_S = 0.2
"""Longest sleep [s]: how soon a stop is noticed."""


class GivenUp(Exception):
    """A stop was asked for while an output waited; what it had in hand is not stored."""


class Patience:
    """The stop of one process, and the wait that it ends."""

    def __init__(
        self,
        say: Callable[[], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """
        Args:
            say: Writes the status; called once a second during a wait. Whoever knows more to say replaces it.
            clock: Monotonic time [s].
            sleep: Sleeps for so many seconds.
        """
        self.say = say
        self.stop = False
        """SIGTERM or SIGINT came."""
        self._clock, self._sleep = clock, sleep
        self._said = float("-inf")

    def listen(self) -> None:
        """From now on SIGTERM and SIGINT ask for the stop."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._asked)

    def wait(self, seconds: float) -> None:
        """Wait so long.

        Raises:
            GivenUp: a stop is asked for.
        """
        until = self._clock() + seconds
        while True:
            if self.stop:
                raise GivenUp
            now = self._clock()
            if now >= self._said + PERIOD:
                self._said = now
                self.say()
            if now >= until:
                return
            self._sleep(min(until - now, SLICE_S))

    def _asked(self, number: int, frame: object) -> None:
        self.stop = True
