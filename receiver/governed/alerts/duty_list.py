"""The roster as people read it: who is on duty now until when, and whose hours come next. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from receiver.governed.alerts.standing_alerts import duty_end_ns
from receiver.governed.grants.duty import Duty
from receiver.governed.sure_time import SureTime


@dataclass(frozen=True, slots=True, kw_only=True)
class DutyShift:
    """A line of the roster with the hours that it has now, or next."""

    duty: Duty
    from_ns: int
    """Of these hours; of those that run, now [ns since 1970 UTC]."""
    until_ns: int
    """Their end [ns since 1970 UTC]."""
    present: bool
    """They run."""


def shifts(duties: Iterable[Duty], now_ns: int) -> list[DutyShift]:
    """Present hours first, then the next ones of each line, by their beginning.

    Args:
        duties: The roster.
        now_ns: [ns since 1970 UTC]
    """
    found = []
    for one in duties:
        start_ns = _start_ns(one, now_ns)
        if start_ns is not None:
            present = start_ns <= now_ns
            found.append(DutyShift(duty=one, from_ns=start_ns, until_ns=duty_end_ns(one, start_ns), present=present))
    return sorted(found, key=lambda one: (not one.present, one.from_ns, one.duty.role, one.duty.key))


def _start_ns(duty: Duty, now_ns: int) -> int | None:
    if duty.ended_ns is not None or now_ns >= duty.period.until_ns:
        return None
    if duty.on(SureTime(now_ns, now_ns)):
        return now_ns
    at_ns, hours = max(now_ns, duty.period.from_ns), duty.period.weekly
    start_ns = at_ns if hours is None or hours.holds(at_ns) else hours.change_ns(at_ns)
    return start_ns if start_ns is not None and start_ns < duty.period.until_ns else None
