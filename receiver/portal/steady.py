"""A clock that is never set: how old a value is must not depend on somebody turning the wall clock.

What is seen carries the low side's wall time, so an age is wall time now less wall time then, which is right only
while nobody sets the clock between. The kernel's running time since boot (CLOCK_BOOTTIME) is never set. So each time
is carried over into it when it is met, and grows old there:

    met while the pages run    wall time now less its own, found out once; from then on running time counts
    met when the pages start   it may have been seen under any setting of the clock in this boot; they are kept in a
                               note (`portal-clock.json`), and the oldest moment that fits is taken
    a time still to come       nobody knows how old it is: `UNKNOWN`, which is stale, until it is renewed

A setting of the clock is told by the difference of the two clocks: it jumps by more than `STEP_S` (a slewed clock moves
it by 0.0005 s a second). After a restart of the machine nothing is known but the wall clock. The error is on one side:
what is fresh may count as stale until its next renewal, what is old never counts as fresh.

Steady time is running time, begun at the wall time of the pages' start, so that it reads like one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from protocol.store import statefile

STEP_S = 0.5
"""A larger jump of wall time against running time is a setting of the clock [s]."""

FUTURE_S = 2.0
"""What lies further in the future than this [s] was seen before the clock was set back, or by another clock."""

UNKNOWN = 1
"""The moment of what nobody knows the age of [ns]: 1970, older than anything."""

ERAS = 16
"""Settings of the clock that are kept, the newest ones."""

NOTED_S = 0.1
"""The note is written anew when the clock has drifted by more than this [s]."""


@dataclass(frozen=True, slots=True)
class Era:
    """The time between two settings of the clock."""

    since_ns: int
    """When it was found out, at the latest the end of the one before it [ns of running time]."""
    offset_ns: int
    """Wall time less running time."""


class Steady:
    """The low side's time as it runs, and where moments of wall time lie in it."""

    def __init__(self, wall: Callable[[], int], running: Callable[[], int], eras: tuple[Era, ...] = ()) -> None:
        """
        Args:
            wall: Wall time [ns since 1970 UTC].
            running: Time that is never set [ns, any origin].
            eras: Of this boot, the oldest first, as they were known when the pages ended.
        """
        self._wall, self._running = wall, running
        offset = wall() - running()
        self._anchor = offset
        self.eras = eras or (Era(running(), offset),)
        """Settings of the clock in this boot, the oldest first; `tick` adds the present one."""
        self.tick()

    def now_ns(self) -> int:
        """Steady time [ns]."""
        return self._running() + self._anchor

    def tick(self) -> None:
        """Look whether the clock was set; to be called often."""
        running = self._running()
        offset = self._wall() - running
        if abs(offset - self.eras[-1].offset_ns) > STEP_S * 1e9:
            self.eras = (*self.eras, Era(running, offset))[-ERAS:]
        else:
            self.eras = (*self.eras[:-1], Era(self.eras[-1].since_ns, offset))

    def moment(self, wall_ns: int, *, met: bool) -> int:
        """Where a moment of the past lies in steady time, `UNKNOWN` where it lies in the future.

        Args:
            wall_ns: The moment, by the wall clock as it was set then [ns since 1970 UTC].
            met: It came while the pages looked, so it is of the present setting; else any setting of this boot fits.
        """
        now = self._running()
        eras = self.eras[-1:] if met else self.eras
        ends = [*(era.since_ns for era in eras[1:]), now]
        ats = [wall_ns - era.offset_ns for era in eras]
        fits = [at for at, end in zip(ats, ends, strict=True) if at <= end + FUTURE_S * 1e9]
        return max(min(*fits, now) + self._anchor, UNKNOWN) if fits else UNKNOWN


def read_eras(path: Path, boot: str, say: Callable[[str], None], *, wall_ns: int) -> tuple[Era, ...]:
    """The eras of a note, none where it is of another boot, or not there.

    Args:
        boot: Names this boot.
        say: Told of a note that is damaged; it is set aside.
    """

    def take(held: Mapping[str, Any]) -> tuple[Era, ...]:
        if held["boot"] != boot:
            return ()
        eras = [Era(int(since), int(offset)) for since, offset in held["eras"]]
        if any(abs(number) > 2**62 for era in eras for number in (era.since_ns, era.offset_ns)):
            raise ValueError("no time")
        return tuple(eras[-ERAS:])

    return statefile.load(path, take, say, wall_ns=wall_ns) or ()


class EraFile:
    """Keeps the eras for the next start of the pages."""

    def __init__(self, path: Path, boot: str) -> None:
        self._path, self._boot = path, boot
        self._eras: tuple[Era, ...] = ()

    def keep(self, eras: tuple[Era, ...]) -> None:
        """Write them down where they changed; a disk that does not take them costs only what they are for."""
        held = self._eras
        if len(held) == len(eras) and abs(held[-1].offset_ns - eras[-1].offset_ns) < NOTED_S * 1e9:
            return
        self._eras = eras
        told = {"boot": self._boot, "eras": [[era.since_ns, era.offset_ns] for era in eras]}
        with contextlib.suppress(OSError):
            statefile.write(self._path, orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE))
