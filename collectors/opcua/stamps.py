"""Which time a value gets, and what is believed of it. Pure; values come with the time of reading.

    time = "source"    the source's own time; it may stand at the last change for weeks, which is its meaning in the
                       standard (OPC 10000-4, 7.11.3). The server's stands beside it in `other_ns`, or the time of
                       reading where the server gives none or the value is older than a day
    time = "server"    the server's time, where it gives one, else the time of reading; the source's beside it
    time = "read"      the time of reading; the source's, or else the server's, beside it

`time_offset` is added to what the source and the server say. A source time that cannot be meant gives way to the time
of reading; it stands beside it, quality is Uncertain (unless it is worse already), and `native` names the cause:

    1  MISSING  the server gives no source time
    2  FAR      it lies more than a day ahead, or before 2000, or moves and stays more than a day behind: a wrong clock
    3  FROZEN   values change and it does not, for a second or more; until it moves again

asyncua 2.1 takes the two fields after the source's time in the wrong order, so where a server sends SourcePicoseconds
its own time is not to be had.

`ClockDifference` notices a source clock that is steadily minutes or hours off: of a server that stamps local time.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

from protocol.content.sample import NO_TIME, Quality, severity
from protocol.written import duration

DAY_NS = 86_400 * 10**9
"""A source clock further than this from the time of reading is not believed [ns]."""

FROZEN_NS = 10**9
"""A source clock that stands so long while values change is frozen [ns]; coarser ones than this are not in use."""

NEVER_SET_NS = 946_684_800 * 10**9
"""2000-01-01 UTC: what is said to be older was stamped by a clock that was never set [ns]."""

CHOICES = ("source", "server", "read")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NO_DATE = datetime(1602, 1, 1, tzinfo=UTC)
_MOST = 2**63 - 1


class Cause(IntEnum):
    """Why the time of reading stands for the source's; in `native`."""

    MISSING = 1
    FAR = 2
    FROZEN = 3


def nanoseconds(moment: datetime | None) -> int | None:
    """Nanoseconds since 1970 UTC; None for no time, which OPC UA also writes as 1601 (OPC 10000-6, 5.2.2.5)."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if moment < _NO_DATE:
        return None
    since = moment - _EPOCH
    whole = (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000
    return max(-_MOST, min(_MOST, whole))  # the year 9999 does not fit


class ClockDifference:
    """Between source clock and time of reading, over all nodes of a device; told once.

    Only times that have just moved say anything: one that stands says when its value changed.
    """

    ENOUGH, SPAN_NS, SPREAD_NS, LEAST_NS = 5, 2 * 10**9, 30 * 10**9, 60 * 10**9
    """Steady are so many in a row, over so long a time, that differ by no more; worth a word is so much [ns]."""

    def __init__(self) -> None:
        self._moved: deque[tuple[int, int]] = deque(maxlen=self.ENOUGH)
        self._told = False

    def moved(self, source_ns: int, read_ns: int) -> None:
        """A node's source time has moved to that."""
        if not self._moved or read_ns - self._moved[-1][0] >= self.SPAN_NS // self.ENOUGH:
            self._moved.append((read_ns, source_ns - read_ns))

    def told(self) -> str:
        """What to say of it; empty where there is nothing, or it was said."""
        offs = [off for _, off in self._moved]
        if self._told or len(offs) < self.ENOUGH or max(offs) - min(offs) > self.SPREAD_NS:
            return ""
        off = sorted(offs)[len(offs) // 2]
        if abs(off) < self.LEAST_NS:
            return ""
        self._told = True
        quarter = round(off / (900 * 10**9)) * 900
        seconds = quarter if quarter and abs(off - quarter * 10**9) < self.LEAST_NS else round(off / 10**9)
        where, sign = ("ahead of", "-") if seconds > 0 else ("behind", "")
        size, unit = next((size, unit) for size, unit in ((3600, "h"), (60, "m"), (1, "s")) if seconds % size == 0)
        return (
            f"source times are steadily {duration(abs(seconds))} {where} the time of reading; if that clock is set so, "
            f'write time_offset = "{sign}{abs(seconds) // size}{unit}" in [asset.opcua], or time = "server" or "read"'
        )


@dataclass(slots=True)
class _Seen:
    """What the source last said of a node."""

    source_ns: int | None = None
    since_ns: int = 0
    """When that source time was first read."""
    value: Any = None
    frozen: bool = False
    far: bool = False


class Stamps:
    """Times for the values of one scan.

    Args:
        which: One of `CHOICES`.
        offset_ns: Added to the times of source and server [ns].
        difference: Is shown each source time that has moved.
    """

    def __init__(self, which: str = "source", offset_ns: int = 0, difference: ClockDifference | None = None) -> None:
        self._which, self._offset = which, offset_ns
        self._difference = difference
        self._seen: dict[int, _Seen] = {}

    def stamp(self, number: int, value: Any, raw: Any, quality: int, read_ns: int) -> tuple[int, int, int, int]:
        """Time, other time, quality and native.

        Args:
            number: Of the node.
            value: asyncua's DataValue.
            raw: What it holds.
            quality: Its StatusCode.
            read_ns: When it was read, or came [ns].
        """
        source = self._moved(nanoseconds(value.SourceTimestamp))
        server = None if value.SourcePicoseconds is not None else self._moved(nanoseconds(value.ServerTimestamp))
        if self._which != "source":
            time = server if self._which == "server" and server is not None else read_ns
            other = source if source is not None else server
            return time, NO_TIME if other is None else other, quality, 0
        cause = self._doubt(number, source, raw, read_ns)
        if cause is None:
            assert source is not None
            old = read_ns - source > DAY_NS
            return source, read_ns if server is None or old else server, quality, 0
        other = server if source is None else source
        if severity(quality) == 0:
            quality = Quality.UNCERTAIN | (quality & 0xFFFF)
        return read_ns, NO_TIME if other is None else other, quality, cause

    def _moved(self, time_ns: int | None) -> int | None:
        return None if time_ns is None else max(-_MOST, min(_MOST, time_ns + self._offset))

    def _doubt(self, number: int, source: int | None, raw: Any, read_ns: int) -> Cause | None:
        """Why the source time is not believed, None where it is."""
        if source is None:
            return Cause.MISSING
        seen = self._seen.get(number)
        if seen is None:
            seen = self._seen[number] = _Seen(source, read_ns, raw)
        elif source != seen.source_ns:
            seen.source_ns, seen.since_ns, seen.frozen = source, read_ns, False
            seen.far = read_ns - source > DAY_NS
            if self._difference is not None:
                self._difference.moved(source, read_ns)
        elif not same(raw, seen.value) and read_ns - seen.since_ns > FROZEN_NS:
            seen.frozen = True
        seen.value = raw
        if seen.far or source - read_ns > DAY_NS or source < NEVER_SET_NS:
            return Cause.FAR
        return Cause.FROZEN if seen.frozen else None


def same(one: Any, other: Any) -> bool:
    """Equal; NaN is equal to itself, in an array too."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and (one == other or all(map(same, one, other)))
    return bool(one == other) or bool(one != one and other != other)
