"""What is due about people: employers confirm theirs, enrolments run out, links lie unused, leavers were told late."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from receiver.governed.people.acts import LINK_HOURS
from receiver.governed.people.enrolment import DAY_NS, Enrolment, Standing
from receiver.governed.people.register import People
from receiver.governed.sure_time import SureTime

CONFIRM_DAYS = 90
"""How often an employer confirms its people [days]: a quarter, as standing grants are recertified."""

AHEAD_DAYS = 14
"""How long before it is due a task is shown [days]."""

TOLD_DAYS = 90
"""How long a leaver that was told late is shown [days]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleTask:
    """One thing to be done by somebody."""

    what: str
    """One sentence."""
    due_ns: int
    """[ns since 1970 UTC]"""
    overdue: bool
    sponsors: frozenset[str]
    """Keys of the sponsors whom it concerns, beside the administrators."""


def tasks(people: People, now: SureTime, *, confirm_days: int = CONFIRM_DAYS) -> list[PeopleTask]:
    """Everything that is due or soon will be, the longest overdue first.

    Args:
        people: The register.
        now: Compared by the later reading: a task is rather due too soon.
        confirm_days: How often employers confirm [days].
    """
    found = [*_confirmations(people, now, confirm_days), *_single(people, now)]
    return sorted(found, key=lambda task: task.due_ns)


def _confirmations(people: People, now: SureTime, confirm_days: int) -> Iterator[PeopleTask]:
    by_employer: dict[str, list[Enrolment]] = defaultdict(list)
    for one in people:
        if one.draft.employer and one.standing(now) is not Standing.ENDED:
            by_employer[one.draft.employer].append(one)
    for employer, held in sorted(by_employer.items()):
        due_ns = min(one.confirmed_ns for one in held) + confirm_days * DAY_NS
        waiting = sorted(one.draft.name for one in held if one.confirmed_ns + confirm_days * DAY_NS == due_ns)
        if now.late_ns >= due_ns - AHEAD_DAYS * DAY_NS:
            yield _task(f"{employer} is to confirm its people: {', '.join(waiting)}", due_ns, now, held)


def _single(people: People, now: SureTime) -> Iterator[PeopleTask]:
    for one in people:
        told, standing = one.draft, one.standing(now)
        who = f"{told.name} ({told.employer or 'own'})"
        if one.leaving is not None:
            if one.leaving.late and now.late_ns < one.leaving.acted_ns + TOLD_DAYS * DAY_NS:
                text = f"{who} left and it was reported more than 24 h after: tell {told.contact or 'the employer'}"
                yield _task(text, (one.leaving.left_ns or 0) + DAY_NS, now, [one])
        elif standing is Standing.INVITED and one.linked_ns:
            due_ns = one.linked_ns[-1] + LINK_HOURS * 3600 * 10**9
            if now.late_ns >= due_ns:
                yield _task(f"{who} has not used the link, which is void: issue another or end it", due_ns, now, [one])
        if standing is not Standing.ENDED and now.late_ns >= told.ends_ns - AHEAD_DAYS * DAY_NS:
            yield _task(f"the enrolment of {who} ends: renew it or let it end", told.ends_ns, now, [one])


def _task(what: str, due_ns: int, now: SureTime, held: list[Enrolment]) -> PeopleTask:
    sponsors = frozenset(one.draft.sponsor for one in held if one.draft.sponsor)
    return PeopleTask(what=what, due_ns=due_ns, overdue=now.late_ns >= due_ns, sponsors=sponsors)
