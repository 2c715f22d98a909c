"""Alerts that follow from the registers and the time: they hold while it is so, and end by being mended.

    review overdue          of a tier-2, tier-3 or break-glass grant, past its time
    confirmation overdue    an employer has not confirmed its people
    no custodian            for the present shift or the next one, where the site has custodians at all

Each has a `subject` that is the same at every look, and another one the next time: it is raised once a case.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from receiver.governed.grants.duty import Duty
from receiver.governed.grants.policy import AccessPolicy
from receiver.governed.grants.register import Grants
from receiver.governed.people.enrolment import DAY_NS, Enrolment, Standing
from receiver.governed.people.person import PersonRole
from receiver.governed.people.register import People
from receiver.governed.people.tasks import CONFIRM_DAYS
from receiver.governed.sure_time import SureTime
from receiver.governed.trail.entry import Fact

NEXT_NS = 24 * 3600 * 10**9
"""A shift that begins within this time is the next one [ns]."""

LONGEST_LOOK = 50
"""Most shifts that are followed, one after the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingAlert:
    """Something that is not as it should be now."""

    what: str
    """One of the states of `ALERTS`."""
    subject: str
    told: str
    """One sentence."""
    since_ns: int
    """Since when [ns since 1970 UTC]."""
    more: Mapping[str, Fact] = field(default_factory=dict)
    """`person`, `grant`, `vendor`, where it is about one."""


def standing(people: People, grants: Grants, policy: AccessPolicy, now: SureTime) -> list[StandingAlert]:
    """What holds now, the longest first.

    Args:
        people: Up to date.
        grants: Up to date.
        policy: The site's.
        now: Compared by its later reading: rather too soon.
    """
    found = [
        *_reviews(people, grants, policy, now),
        *_confirmations(people, now),
        *_custodians(people, grants, policy, now),
    ]
    return sorted(found, key=lambda one: (one.since_ns, one.what, one.subject))


def written_time(time_ns: int, zone: str) -> str:
    """A moment in the plant's own time: `2026-11-28 14:05 CET`."""
    return datetime.fromtimestamp(time_ns // 10**9, ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M %Z")


def _reviews(people: People, grants: Grants, policy: AccessPolicy, now: SureTime) -> Iterator[StandingAlert]:
    for due in grants.reviews_due(now, policy):
        if now.late_ns < due.due_ns:
            continue
        grant = due.grant
        held = people.person(grant.person, now)
        kind = f"{grant.preset} (a drill)" if grant.drill else grant.preset
        told = f"the review of {grant.key}, {kind}, was due at {written_time(due.due_ns, policy.zone)}"
        more: dict[str, Fact] = {"grant": grant.key, "person": grant.person}
        more["vendor"] = held.employer if held else ""
        yield StandingAlert(what="review overdue", subject=grant.key, told=told, since_ns=due.due_ns, more=more)


def _confirmations(people: People, now: SureTime) -> Iterator[StandingAlert]:
    oldest: dict[str, Enrolment] = {}
    for one in people:
        employer = one.draft.employer
        if employer and one.standing(now) is not Standing.ENDED:
            held = oldest.setdefault(employer, one)
            if one.confirmed_ns < held.confirmed_ns:
                oldest[employer] = one
    for employer, one in oldest.items():
        due_ns = one.confirmed_ns + CONFIRM_DAYS * DAY_NS
        if now.late_ns >= due_ns:
            yield StandingAlert(
                what="confirmation overdue",
                subject=f"{employer} {due_ns}",
                told=f"{employer} has not confirmed its people for {(now.late_ns - one.confirmed_ns) // DAY_NS} days",
                since_ns=due_ns,
                more={"vendor": employer},
            )


def _custodians(people: People, grants: Grants, policy: AccessPolicy, now: SureTime) -> Iterator[StandingAlert]:
    duties = [one for one in grants.duties.values() if one.role is PersonRole.CUSTODIAN and one.ended_ns is None]
    if not duties and not any(PersonRole.CUSTODIAN in one.roles for one in people.active(now)):
        return  # a site without break-glass
    gap_ns = first_gap_ns(duties, now.late_ns)
    if gap_ns is None:
        return
    shift = "the present shift" if gap_ns <= now.late_ns else f"the shift from {written_time(gap_ns, policy.zone)}"
    day = written_time(gap_ns, policy.zone)[:10] if gap_ns <= now.late_ns else str(gap_ns)
    told = f"nobody is on the roster as custodian for {shift}: no glass can be broken then"
    yield StandingAlert(what="no custodian", subject=day, told=told, since_ns=gap_ns)


def first_gap_ns(duties: list[Duty], now_ns: int) -> int | None:
    """The first moment within `NEXT_NS` at which nobody is on duty [ns since 1970 UTC]; None: there is none."""
    at_ns = now_ns
    for _ in range(LONGEST_LOOK):
        here = [one for one in duties if one.on(SureTime(at_ns, at_ns))]
        if not here:
            return at_ns
        at_ns = max(duty_end_ns(one, at_ns) for one in here)
        if at_ns >= now_ns + NEXT_NS:
            return None
    return None


def duty_end_ns(duty: Duty, at_ns: int) -> int:
    """When the hours end that a duty is in [ns since 1970 UTC]."""
    hours = duty.period.weekly
    change_ns = hours.change_ns(at_ns) if hours is not None else None
    return duty.period.until_ns if change_ns is None else min(change_ns, duty.period.until_ns)
