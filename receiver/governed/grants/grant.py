"""A grant: what a person may read, and when. There is none without an end.

    planned -> in force -> ended            with fixed times; outside its weekly hours it rests
    planned -> claimable -> in force -> ended | not begun in time       where time runs from first use
    any of them -> revoked

States are not stored: they are read from the times and now (`sure_time.py`), so nothing has to run for a grant to end.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from receiver.governed.grants.extent import Extent
from receiver.governed.grants.request import Period
from receiver.governed.sure_time import SureTime


class GrantState(StrEnum):
    """Where a grant stands, in the words that people see."""

    PLANNED = "planned"
    CLAIMABLE = "may be begun"
    IN_FORCE = "in force"
    RESTING = "outside its hours"
    ENDED = "ended"
    NOT_BEGUN = "not begun in time"
    REVOKED = "revoked"


OVER = frozenset({GrantState.ENDED, GrantState.NOT_BEGUN, GrantState.REVOKED})
"""States that nothing follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A request that was granted, or equipment under a broken glass."""

    key: str
    request: str
    """Its request; empty for break-glass."""
    person: str
    """Key of the reader; `service:KEY` for a system."""
    preset: str
    extent: Extent
    period: Period
    given_ns: int
    begun_ns: int | None = None
    """First use, where time runs from it [ns since 1970 UTC]."""
    revoked_ns: int | None = None
    revoked_why: str = ""
    drill: bool = False
    """Break-glass as an exercise."""

    @property
    def end_ns(self) -> int:
        """When it is over as things stand; of one that is not begun, until when it may be [ns since 1970 UTC]."""
        length_s = self.period.length_s
        if length_s is None or self.begun_ns is None:
            end_ns = self.period.until_ns
        else:
            end_ns = self.begun_ns + round(length_s * 1e9)
        return end_ns if self.revoked_ns is None else min(end_ns, self.revoked_ns)

    @property
    def waits(self) -> bool:
        """Its time runs from first use, which has not been."""
        return self.period.length_s is not None and self.begun_ns is None

    def state(self, now: SureTime) -> GrantState:
        """Where it stands."""
        if self.revoked_ns is not None:
            return GrantState.REVOKED
        if now.late_ns >= self.end_ns:
            return GrantState.NOT_BEGUN if self.waits else GrantState.ENDED
        if now.early_ns < self.period.from_ns:
            return GrantState.PLANNED
        weekly = self.period.weekly
        if weekly is not None and not (weekly.holds(now.early_ns) and weekly.holds(now.late_ns)):
            return GrantState.RESTING
        return GrantState.CLAIMABLE if self.waits else GrantState.IN_FORCE

    def change_ns(self, now: SureTime) -> int:
        """Until when its state surely stays as it is, if nobody acts [ns since 1970 UTC]."""
        state = self.state(now)
        if state in OVER:
            return 2**63 - 1
        if state is GrantState.PLANNED:
            return self.period.from_ns
        hours = self.period.weekly.change_ns(now.late_ns) if self.period.weekly is not None else None
        return self.end_ns if hours is None else min(self.end_ns, hours)
