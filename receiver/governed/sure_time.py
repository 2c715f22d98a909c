"""What time it is for a grant: a clock that is set can only shorten one.

The wall clock of a server is set by hand, by a time server, by a battery that ran out. A grant must not come back to
life, nor begin before its hour, because of it. So now has two readings:

    late   the latest that the wall clock ever was, carried on by running time: ends are compared with it
    early  what the wall clock says, but never more than running time since this process began allows

A grant is in force while `start <= early` and `late < end`. A step back moves only `early`, a step forward moves only
`late`: both shrink. `late` outlives the process in `Reckoning.latest_ns`, kept by the caller. A clock that was really
wrong at the start and put right by a step forward keeps `early` behind until `SETTLED_S` have passed since the step:
that long the new time must have held.

A clock that was far ahead once keeps `late` ahead for as long: nothing short is granted any more. Only a person ends
that, on record (`clock.py`), and what had ended by then stays ended.
"""

from __future__ import annotations

from dataclasses import dataclass

SETTLED_S = 3600.0
"""How long a step forward must have held before a grant may begin by it [s]: a person's mistake is seen by then."""

STEP_NS = 2 * 10**9
"""Wall clock and running time apart by more than this since the last look are a step [ns]; slewing is below it."""


@dataclass(frozen=True, slots=True)
class SureTime:
    """Now, as far as it may be believed [ns since 1970 UTC]."""

    early_ns: int
    late_ns: int

    def within(self, start_ns: int, end_ns: int) -> bool:
        """Whether it is surely after `start_ns` and surely before `end_ns`."""
        return start_ns <= self.early_ns and self.late_ns < end_ns


class Reckoning:
    """Turns readings of both clocks into what is surely past and surely to come."""

    def __init__(self, wall_ns: int, running_ns: int, *, latest_ns: int = 0) -> None:
        """
        Args:
            wall_ns: The wall clock now [ns since 1970 UTC].
            running_ns: A clock that is never set and counts sleep (CLOCK_BOOTTIME) [ns, any origin].
            latest_ns: The latest moment that was ever believed, as kept by the run before; 0 for none.
        """
        self.latest_ns = max(wall_ns, latest_ns)
        """To be kept over a restart."""
        self.stepped_ns = 0
        """By how much the wall clock was set since the last call of `advance`; 0 while it was not."""
        self._wall_ns, self._running_ns = wall_ns, running_ns
        self._early_ns = wall_ns
        self._settles_ns: int | None = None
        """Running time from which a step forward is believed."""

    def accept(self) -> None:
        """A person has said that the wall clock is right now: it is believed as it stands, whatever it was before."""
        self.latest_ns = self._early_ns = self._wall_ns
        self._settles_ns = None

    def advance(self, wall_ns: int, running_ns: int) -> SureTime:
        """Now, from both clocks."""
        passed_ns = max(running_ns - self._running_ns, 0)
        step_ns = wall_ns - self._wall_ns - passed_ns
        self.stepped_ns = step_ns if abs(step_ns) > STEP_NS else 0
        self._wall_ns, self._running_ns = wall_ns, max(running_ns, self._running_ns)
        self.latest_ns = max(self.latest_ns + passed_ns, wall_ns)
        if self.stepped_ns:
            self._settles_ns = running_ns + round(SETTLED_S * 1e9)
        if self._settles_ns is not None and running_ns < self._settles_ns:
            self._early_ns = min(self._early_ns + passed_ns, wall_ns)
        else:
            self._settles_ns, self._early_ns = None, wall_ns
        return SureTime(self._early_ns, self.latest_ns)
