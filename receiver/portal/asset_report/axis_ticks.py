"""Where an axis has its marks: values at round steps, times at round moments of the plant's zone (pure)."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200)
"""Between marks of an axis of time, below a day [s]."""
DAYS = (1, 2, 5, 7, 14, 28, 56, 112)
"""The same in days."""
LARGEST = 1e300
"""Beyond it an axis has its two ends alone: a step would not fit into a double."""


def value_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round values from `low` to `high`, which is larger; at most `most` and one."""
    if max(abs(low), abs(high)) > LARGEST:
        return [low, high]
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough)) if rough > 0 else 0.0
    if power == 0.0 or not math.isfinite(power):
        return [low, high]
    step = next(power * one for one in (1, 2, 5, 10) if power * one >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [one * step for one in range(first, last + 1)][: most + 2] if last - first <= most + 1 else [low, high]


def time_ticks(from_ns: int, to_ns: int, zone: ZoneInfo, most: int = 8) -> list[tuple[int, str]]:
    """Round moments of a range with their text: the time of day below a day's step, else the day."""
    length_s = (to_ns - from_ns) / 1e9
    step_s = next((one for one in STEPS_S if length_s / one <= most), 0)
    try:
        begin = datetime.fromtimestamp(from_ns // 10**9, UTC).astimezone(zone)
        if step_s:
            return _of_clock(begin, from_ns, to_ns, step_s, zone)
        return _of_days(
            begin, from_ns, to_ns, next(one for one in DAYS if length_s / 86400 / one <= most or one == 112)
        )
    except (ValueError, OverflowError, OSError):
        return []


def _of_clock(begin: datetime, from_ns: int, to_ns: int, step_s: int, zone: ZoneInfo) -> list[tuple[int, str]]:
    offset = round((begin.utcoffset() or timedelta()).total_seconds())
    first = -((-(from_ns // 10**9) - offset) // step_s) * step_s - offset
    out = []
    for at_s in range(first, to_ns // 10**9 + 1, step_s):
        if at_s * 10**9 >= from_ns:
            there = datetime.fromtimestamp(at_s, UTC).astimezone(zone)
            midnight = there.hour == there.minute == there.second == 0
            form = "%d %b" if midnight else "%H:%M:%S" if step_s < 60 else "%H:%M"
            out.append((at_s * 10**9, there.strftime(form)))
    return out


def _of_days(begin: datetime, from_ns: int, to_ns: int, step: int) -> list[tuple[int, str]]:
    at, out = begin.replace(hour=0, minute=0, second=0, microsecond=0), []
    for _ in range(1_000):
        at_ns = round(at.timestamp()) * 10**9
        if at_ns >= to_ns:
            break
        if at_ns >= from_ns:
            out.append((at_ns, at.strftime("%d %b")))
        at += timedelta(days=step if out else 1)
    return out
