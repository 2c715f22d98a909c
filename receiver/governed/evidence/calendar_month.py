"""A month as the plant's calendar has it: from midnight to midnight on the plant's wall, DST and all."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class CalendarMonth:
    """One month in one time zone."""

    name: str
    """`2026-11`."""
    zone: str
    """IANA name."""
    from_ns: int
    """Its first moment [ns since 1970 UTC]."""
    to_ns: int
    """The first moment after it [ns since 1970 UTC]."""

    def holds(self, time_ns: int) -> bool:
        """Whether a moment is in it [ns since 1970 UTC]."""
        return self.from_ns <= time_ns < self.to_ns

    def meets(self, from_ns: int, to_ns: int) -> bool:
        """Whether some moment of it lies in a time [ns since 1970 UTC]; `to_ns` is not inside."""
        return from_ns < self.to_ns and self.from_ns < to_ns


def month_of(text: str, zone: str) -> CalendarMonth:
    """The month that `2026-11` names.

    Raises:
        ValueError: it names none.
    """
    found = re.fullmatch(r"([0-9]{4})-(0[1-9]|1[0-2])", text)
    if not found or not 1970 <= int(found[1]) <= 2261:
        raise ValueError(f"{text!r} is no month; write one such as 2026-11")
    year, month = int(found[1]), int(found[2])
    here = ZoneInfo(zone)
    first = datetime(year, month, 1, tzinfo=here)
    after = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=here)
    return CalendarMonth(text, zone, round(first.timestamp()) * 10**9, round(after.timestamp()) * 10**9)
