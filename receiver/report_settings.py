"""`[[report]]` of `receiver.toml`: an asset's report that is made by itself, and the times that each is of.

A report of a day, a week or a month is of the time between two turns of it: at `at`, by the plant's clock; a week turns
on Monday, a month on its first day. So a day on which the clocks change has 23 or 25 hours, and no moment is in two
reports or in none.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field

from protocol.settings.table import File, SettingsTable, one_or_more

SETTLE_S = 60.0
"""A report is due this long after the end of its time [s]: what was on its way is here by then."""
MOST_MISSED = 31
"""Reports that are made up for after a time in which nothing ran: a month of days."""
_UNSAFE = re.compile(r"[^A-Za-z0-9.-]+")


class ReportPeriod(NamedTuple):
    """The time of one report."""

    day: str
    """`2026-11-28`: on which it begins, by the plant's clock."""
    from_ns: int
    to_ns: int
    """Not included [ns since 1970 UTC]."""


def _clock(value: str) -> str:
    if re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value) is None:
        raise ValueError(f'"{value}" is no time of day; write one such as "06:00"')
    return value


class ReportTable(SettingsTable):
    """One report, made again and again."""

    EXAMPLES: ClassVar[dict[str, Any]] = {"asset": "pump-7", "every": "day"}

    asset: Annotated[str, Field(min_length=1)]
    """Name of the asset."""
    every: Literal["day", "week", "month"]
    """Which time a report is of."""
    at: Annotated[str, AfterValidator(_clock)] = "06:00"
    """When the day, the week or the month turns, in the plant's zone ([portal] zone; UTC without one)."""
    folder: File = Path("state/reports")
    """Where the files are put; it is made where it is not there. The portal writes them: beyond `state/` its unit must
    be given the folder (`ReadWritePaths` of systemd)."""
    keep: Annotated[int, Field(ge=1, le=10_000)] = 90
    """Newest files of this report that are kept."""
    tags: Annotated[tuple[str, ...], BeforeValidator(one_or_more)] = ()
    """Names of its tags that are told; left out: all."""

    def files(self) -> list[Path]:
        return []  # the folder is made

    @property
    def key(self) -> str:
        """What no two reports have in common."""
        return f"{self.asset} every {self.every} in {self.folder}"

    @property
    def title(self) -> str:
        """For people."""
        return f"the {'daily' if self.every == 'day' else self.every + 'ly'} report of {self.asset}"

    @property
    def stem(self) -> str:
        """What its files' names begin with: letters that every disk takes, and no two assets the same."""
        plain = _UNSAFE.sub("_", self.asset)[:60].strip(".") or "_"
        return plain if plain == self.asset else f"{plain}-{hashlib.sha256(self.asset.encode()).hexdigest()[:8]}"

    def file_name(self, period: ReportPeriod) -> str:
        """`pump-7_2026-11-27_day.html`."""
        return f"{self.stem}_{period.day}_{self.every}.html"

    def is_own(self, name: str) -> bool:
        """Whether a file of the folder is one of this report's."""
        return re.fullmatch(rf"{re.escape(self.stem)}_\d{{4}}-\d\d-\d\d_{self.every}\.html", name) is not None

    def due(self, now_ns: int, zone: ZoneInfo, done_ns: int | None) -> list[ReportPeriod]:
        """Which reports are to be made, the oldest first.

        Args:
            now_ns: Wall time [ns since 1970 UTC].
            zone: The plant's.
            done_ns: End of the last one that was made; None: none was, so the newest is enough.
        """
        now_ns -= round(SETTLE_S * 1e9)
        turn = self._turn(datetime.fromtimestamp(now_ns // 10**9, UTC).astimezone(zone).date())
        if self._moment(turn, zone) > now_ns:
            turn = self._turn(turn - timedelta(days=1))
        found: list[ReportPeriod] = []
        while len(found) < (1 if done_ns is None or done_ns > now_ns else MOST_MISSED):
            begin, to_ns = self._turn(turn - timedelta(days=1)), self._moment(turn, zone)
            if done_ns is not None and done_ns <= now_ns and to_ns <= done_ns:
                break
            found.append(ReportPeriod(begin.isoformat(), self._moment(begin, zone), to_ns))
            turn = begin
        return found[::-1]

    def _turn(self, day: date) -> date:
        """The day, not after this one, on which it turns."""
        if self.every == "month":
            return day.replace(day=1)
        return day - timedelta(days=day.weekday()) if self.every == "week" else day

    def _moment(self, day: date, zone: ZoneInfo) -> int:
        return round(datetime.combine(day, time.fromisoformat(self.at), zone).timestamp()) * 10**9
