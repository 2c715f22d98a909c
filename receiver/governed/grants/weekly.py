"""Hours of the week in the plant's own time: `Mon-Fri 07:00-16:00, Sat 08:00-12:00`.

What is written is the time on the wall of the plant. Where the wall clock is set forward an hour that does not exist
holds nothing; where it is set back an hour that comes twice holds both times: both are what the people at the plant
see on their clock. Hours over midnight are written as two.

Source of the zones: IANA time zone database, by `zoneinfo`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
"""As they are written, Monday first (ISO 8601)."""

DAY_MINUTES = 24 * 60

_PART = re.compile(r"(?:(?P<first>[A-Z][a-z]{2})(?:-(?P<last>[A-Z][a-z]{2}))?) (?P<from>\d\d:\d\d)-(?P<to>\d\d:\d\d)")

_QUARTER = timedelta(minutes=15)
"""Zones change their offset at a multiple of it (IANA, all rules since 1972)."""


@dataclass(frozen=True, slots=True, order=True)
class DaySpan:
    """Minutes of one day of the week, `end` not among them."""

    day: int
    """0 is Monday."""
    start: int
    """Minute of the day, 0 to 1439."""
    end: int
    """Minute of the day, 1 to 1440."""


@dataclass(frozen=True, slots=True)
class Weekly:
    """The hours, and where their clock hangs."""

    spans: tuple[DaySpan, ...]
    zone: str
    """IANA name, such as `Europe/Berlin`."""

    def holds(self, at_ns: int) -> bool:
        """Whether a moment [ns since 1970 UTC] is inside."""
        return self._holds(_utc(at_ns))

    def change_ns(self, at_ns: int) -> int | None:
        """When `holds` next differs from what it is at `at_ns` [ns since 1970 UTC]; None where it never does."""
        moment, now = _utc(at_ns), self.holds(at_ns)
        for candidate in self._candidates(moment):
            if candidate > moment and self._holds(candidate) != now:
                return round(candidate.timestamp()) * 10**9
        return None

    @property
    def text(self) -> str:
        """As a person writes it, without the zone."""
        runs: list[tuple[int, int, tuple[int, int]]] = []
        for hours, day in sorted(((one.start, one.end), one.day) for one in self.spans):
            if runs and runs[-1][1:] == (day - 1, hours):
                runs[-1] = (runs[-1][0], day, hours)
            else:
                runs.append((day, day, hours))
        return ", ".join(
            f"{DAYS[first]}{f'-{DAYS[last]}' if last > first else ''} {_clock(start)}-{_clock(end)}"
            for first, last, (start, end) in sorted(runs)
        )

    def _holds(self, moment: datetime) -> bool:
        local = moment.astimezone(_zone(self.zone))
        day, minute = local.weekday(), local.hour * 60 + local.minute
        return any(one.day == day and one.start <= minute < one.end for one in self.spans)

    def _candidates(self, moment: datetime) -> list[datetime]:
        """Where the answer may change in the nine days to come: borders of spans, and where the zone may."""
        zone = _zone(self.zone)
        midnight = datetime.combine(moment.astimezone(zone).date(), datetime.min.time())
        borders = {minute for one in self.spans for minute in (one.start, one.end)}
        found = {
            (midnight + timedelta(days=day, minutes=minute)).replace(tzinfo=zone, fold=fold).astimezone(UTC)
            for day in range(9)
            for minute in borders
            for fold in (0, 1)
        }
        quarter = moment.replace(minute=moment.minute // 15 * 15, second=0, microsecond=0)
        found.update(quarter + _QUARTER * count for count in range(1, 9 * 96))
        return sorted(found)


def read(text: str, zone: str) -> Weekly:
    """Hours from what a person wrote.

    Raises:
        ValueError: The text or the zone cannot be read; says what is wrong and how it is written.
    """
    try:
        _zone(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f'"{zone}" is no time zone; write one such as "Europe/Berlin"') from error
    spans: set[DaySpan] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part.strip())
        if match is None:
            raise ValueError(f'"{part.strip()}" are no hours; write them as "Mon-Fri 07:00-16:00"')
        first, last = match["first"], match["last"] or match["first"]
        for day in (first, last):
            if day not in DAYS:
                raise ValueError(f'"{day}" is no day; the days are {", ".join(DAYS)}')
        if DAYS.index(last) < DAYS.index(first):
            raise ValueError(f'"{first}-{last}" runs over Sunday; write it as two parts')
        start, end = _minute(match["from"]), _minute(match["to"])
        if not start < end:
            raise ValueError(f'"{part.strip()}" ends before it begins; write hours over midnight as two parts')
        spans.update(DaySpan(day, start, end) for day in range(DAYS.index(first), DAYS.index(last) + 1))
    return Weekly(tuple(sorted(spans)), zone)


def overlap(one: Weekly | None, other: Weekly | None) -> bool:
    """Whether two of the same zone share an hour; None is all of the week. Of unlike zones it is taken that they do."""
    if one is None or other is None or one.zone != other.zone:
        return True
    return any(a.day == b.day and a.start < b.end and b.start < a.end for a in one.spans for b in other.spans)


def _minute(text: str) -> int:
    hours, minutes = int(text[:2]), int(text[3:])
    if minutes > 59 or hours * 60 + minutes > DAY_MINUTES:
        raise ValueError(f'"{text}" is no time of day; it runs from 00:00 to 24:00')
    return hours * 60 + minutes


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _utc(at_ns: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=at_ns // 10**9)


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
