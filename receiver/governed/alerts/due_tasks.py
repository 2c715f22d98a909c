"""What is due in the whole programme, in one list: people, requests, reviews, the break-glass credential. Pure.

A page shows it to who looks after the programme; `roles` says to whom each line belongs, so that nobody sees more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from receiver.governed.grants.deciding import needed
from receiver.governed.grants.policy import AccessPolicy
from receiver.governed.grants.register import Grants
from receiver.governed.grants.request import RequestState
from receiver.governed.people.person import PersonRole
from receiver.governed.people.register import People
from receiver.governed.people.tasks import tasks
from receiver.governed.sure_time import SureTime


@dataclass(frozen=True, slots=True, kw_only=True)
class DueTask:
    """One thing to be done."""

    what: str
    """One sentence."""
    next_step: str
    due_ns: int
    """[ns since 1970 UTC]"""
    overdue: bool
    roles: frozenset[PersonRole]
    """Roles whose business it is."""
    persons: frozenset[str] = frozenset()
    """Keys of people whose business it is beside these roles: sponsors."""
    grant: str = ""
    request: str = ""


OF_PEOPLE = frozenset({PersonRole.ADMINISTRATOR, PersonRole.SECURITY})
REVIEWERS = frozenset({PersonRole.SECURITY, PersonRole.APPROVER, PersonRole.ENGINEER})


def due_tasks(people: People, grants: Grants, policy: AccessPolicy, now: SureTime) -> list[DueTask]:
    """Everything, the longest overdue first.

    Args:
        people: Up to date.
        grants: Up to date.
        policy: The site's.
        now: Compared by its later reading: rather too soon.
    """
    found = [
        *_people(people, now),
        *_reviews(people, grants, policy, now),
        *_requests(people, grants, policy, now),
        *_glass(people, grants, now),
    ]
    return sorted(found, key=lambda one: (one.due_ns, one.what))


def _people(people: People, now: SureTime) -> Iterator[DueTask]:
    for one in tasks(people, now):
        step = "On the page of people, or by checkvalve person confirm, change, link or end."
        yield DueTask(
            what=one.what, next_step=step, due_ns=one.due_ns, overdue=one.overdue, roles=OF_PEOPLE, persons=one.sponsors
        )


def _reviews(people: People, grants: Grants, policy: AccessPolicy, now: SureTime) -> Iterator[DueTask]:
    for one in grants.reviews_due(now, policy):
        drill = " (a drill)" if one.grant.drill else ""
        called = _called(people, one.grant.person, now)
        yield DueTask(
            what=f"what {called} read under {one.grant.preset}{drill} is to be reviewed",
            next_step="Compare the looks with the request, and close the review with findings.",
            due_ns=one.due_ns,
            overdue=now.late_ns >= one.due_ns,
            roles=REVIEWERS,
            grant=one.grant.key,
        )


def _requests(people: People, grants: Grants, policy: AccessPolicy, now: SureTime) -> Iterator[DueTask]:
    for one in grants.requests.values():
        preset = policy.presets.get(one.preset)
        if one.state is not RequestState.OPEN or one.lapsed(now) or preset is None:
            continue
        _, wanted = needed(one, preset)
        person = people.person(one.person, now)
        sponsor = person.sponsor if person is not None and PersonRole.SPONSOR in wanted else ""
        yield DueTask(
            what=f"{_called(people, one.person, now)} asks for {one.preset}",
            next_step="Say yes or no, with a reason; without an answer it lapses.",
            due_ns=one.period.from_ns,
            overdue=now.late_ns >= one.period.from_ns,
            roles=wanted - {PersonRole.SPONSOR},
            persons=frozenset({sponsor} if sponsor else ()),
            request=one.key,
        )


def _glass(people: People, grants: Grants, now: SureTime) -> Iterator[DueTask]:
    if grants.credential or not any(PersonRole.CUSTODIAN in one.roles for one in people.active(now)):
        return
    used = [one.given_ns for one in grants.grants.values() if one.key in grants.custodians]
    what = "the break-glass credential was used and none lies ready" if used else "no break-glass credential lies ready"
    yield DueTask(
        what=what,
        next_step="Run checkvalve break-glass prepare, and seal the code; until then no glass can be broken.",
        due_ns=max(used, default=now.late_ns),
        overdue=True,
        roles=frozenset({PersonRole.ADMINISTRATOR, PersonRole.SECURITY, PersonRole.CUSTODIAN}),
    )


def _called(people: People, key: str, now: SureTime) -> str:
    held = people.person(key, now)
    return f"{held.name} ({held.employer or 'own'})" if held else key
