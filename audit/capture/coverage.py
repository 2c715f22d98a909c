"""What time a capture covers: first and last frame, and the pauses between, by interface.

A pause is no proof of anything by itself: the link may have been silent, or the capture may have stopped. But the link
says something every second (BEAT), so a pause of many seconds is one of the two, and a reader must know of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import numpy as np

from audit.capture.records import CaptureInterface, Numbers
from audit.check import stamp
from protocol.errors import ConfigError

PLAUSIBLE_NS = (631_152_000_000_000_000, 4_102_444_800_000_000_000)
"""1990 to 2100: a time outside was written by a clock that nobody set, or is none [ns since 1970 UTC]."""
PAUSE_S = 10.0
"""Shortest pause that is told, where nothing else is asked for [s]: ten beats of the link (protocol/SPEC.md, BEAT)."""
MOST_PAUSES = 200
"""Most pauses told apart of an interface; further ones are counted."""


@dataclass(slots=True, kw_only=True)
class InterfaceCoverage:
    """One interface's time."""

    first_ns: int
    last_ns: int
    """Earliest and latest time seen [ns since 1970 UTC]."""
    frames: int = 0
    pauses: list[tuple[int, int]] = field(default_factory=list)
    """Last frame before and first frame after, of each pause [ns since 1970 UTC]."""
    further: int = 0
    """Pauses beyond those."""


@dataclass(slots=True, kw_only=True)
class Coverage:
    """All interfaces of a file; frames without a time cover none."""

    pause_s: float = PAUSE_S
    """Shortest pause that is told [s]."""
    interfaces: dict[str, InterfaceCoverage] = field(default_factory=dict)
    """By name; an interface that joined captures describe again is one."""

    @property
    def first_ns(self) -> int | None:
        """Earliest time in the file; None: no frame has one."""
        return min((one.first_ns for one in self.interfaces.values()), default=None)

    @property
    def last_ns(self) -> int | None:
        """Latest time in the file."""
        return max((one.last_ns for one in self.interfaces.values()), default=None)

    def add(self, time_ns: Numbers, interface: Numbers, interfaces: Sequence[CaptureInterface]) -> None:
        """Frames in the order of the file.

        Args:
            time_ns: Their times; 0 where there is none.
            interface: Index of each one's interface.
            interfaces: The file's.
        """
        present = [0] if len(interfaces) == 1 else np.unique(interface).tolist()
        for index in present:
            times = time_ns if len(interfaces) == 1 else time_ns[interface == index]
            times = times[times != 0]
            if len(times):
                self._add(interfaces[index].name or f"interface {index}", times)

    def _add(self, name: str, times: Numbers) -> None:
        held = self.interfaces.get(name)
        before = int(times[0]) if held is None else held.last_ns
        newest = np.maximum.accumulate(np.concatenate([[before], times]))
        least = int(times.min())
        if held is None:
            held = self.interfaces[name] = InterfaceCoverage(first_ns=least, last_ns=before)
        if int(newest[-1]) - int(newest[0]) > self.pause_s * 1e9:
            steps = np.diff(newest.astype(np.float64))  # times of a hostile file fill all of 64 bits
            for place in np.flatnonzero(steps > self.pause_s * 1e9).tolist():
                if len(held.pauses) < MOST_PAUSES:
                    held.pauses.append((int(newest[place]), int(newest[place + 1])))
                else:
                    held.further += 1
        held.first_ns, held.last_ns = min(held.first_ns, least), int(newest[-1])
        held.frames += len(times)

    def holes(self, begin_ns: int, end_ns: int) -> list[tuple[int, int]]:
        """What of a period no interface covers: before the first frame, in a pause of all, behind the last one.

        Args:
            begin_ns, end_ns: The period [ns since 1970 UTC].
        """
        return holes(self.spans(), begin_ns, end_ns, self.pause_s)

    def spans(self) -> list[tuple[int, int]]:
        """First and last frame of each stretch without a pause, of all interfaces [ns since 1970 UTC]."""
        out = []
        for one in self.interfaces.values():
            edges = [one.first_ns, *(edge for pause in one.pauses for edge in pause), one.last_ns]
            out += list(zip(edges[::2], edges[1::2], strict=True))
        return sorted(out)


def holes(spans: list[tuple[int, int]], begin_ns: int, end_ns: int, pause_s: float) -> list[tuple[int, int]]:
    """What of a period lies in no span, where that is longer than a pause [ns since 1970 UTC]."""
    out, reached = [], begin_ns
    for first, last in [*sorted(spans), (end_ns, end_ns)]:
        if min(first, end_ns) - reached > pause_s * 1e9:
            out.append((reached, min(first, end_ns)))
        reached = max(reached, last)
    return out


def clock(time_ns: int, digits: int = 0) -> str:
    """A time with the digits that the capture's clock has, ISO 8601, UTC.

    Args:
        time_ns: Wall time [ns since 1970 UTC]; what no calendar holds is written as it is.
        digits: Of a second's fraction, 0 to 9.
    """
    whole = stamp(time_ns)
    if not whole.endswith("Z") or not digits:
        return whole
    return f"{whole[:-1]}.{time_ns % 1_000_000_000:09d}"[: len(whole) + digits] + "Z"


def read_moment(text: str, *, end: bool) -> int:
    """A moment as people write it [ns since 1970 UTC]: a day or a time, of UTC where no zone is told.

    Args:
        text: ISO 8601.
        end: A day without a time means its end.

    Raises:
        ConfigError: it is none.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        if end and _is_day(text.strip()):
            moment += timedelta(days=1)
    except (ValueError, OverflowError):
        hint = "a day, 2026-11-28, or a time, 2026-11-28T06:00:00Z"
        raise ConfigError(f"{text!r} is no moment", hint=hint) from None
    return round(moment.timestamp()) * 1_000_000_000


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
