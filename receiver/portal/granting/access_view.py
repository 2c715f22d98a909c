"""What one person sees of requests and grants: their own, those they may decide or end, the reviews that wait for them.

Pure: registers and now in, plain values out. Nobody is shown a request, a grant or a name that their roles do not need:
a reader sees their own; who answers for a system, the system's; a sponsor also those of the people sponsored; who
decides, what they may decide; security and the auditor everything; an administrator nothing of it by that role.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from receiver.governed.grants.deciding import RuleRefusal, may_decide, needed
from receiver.governed.grants.duty import Duty
from receiver.governed.grants.grant import OVER, Grant, GrantState
from receiver.governed.grants.policy import AccessPolicy
from receiver.governed.grants.register import DueReview, Grants
from receiver.governed.grants.request import AccessRequest, RequestState
from receiver.governed.people.person import Person, PersonRole
from receiver.governed.people.register import People
from receiver.governed.sure_time import SureTime

SEES_ALL = frozenset({PersonRole.SECURITY, PersonRole.AUDITOR})
DECIDES = frozenset({PersonRole.APPROVER, PersonRole.ENGINEER, PersonRole.SPONSOR, PersonRole.SECURITY})
REVIEWS = frozenset({PersonRole.SECURITY, PersonRole.APPROVER, PersonRole.ENGINEER})

KEPT = 50
"""Past requests and grants on one page, newest first; the trail has all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantRow:
    """A grant as it is shown."""

    grant: Grant
    state: GrantState
    reader: str
    """Name of who reads."""
    until_ns: int
    """When the state changes by itself."""
    may_begin: bool
    may_revoke: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRow:
    """A request as it is shown."""

    request: AccessRequest
    asker: str
    employer: str
    decisions: tuple[tuple[str, str, bool, str, int], ...]
    """(name, role, yes, why, time) of each."""
    lapsed: bool
    yeses: int
    """Still needed."""
    role: str
    """In which the person looking may decide; empty where not."""
    why_not: str
    """Why not, where it is open and they hold a role that decides."""
    may_withdraw: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRow:
    """A review that waits."""

    due: DueReview
    reader: str
    reason: str
    overdue: bool
    may_close: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessView:
    """The page in values."""

    mine: tuple[GrantRow, ...]
    asked: tuple[RequestRow, ...]
    to_decide: tuple[RequestRow, ...]
    others: tuple[GrantRow, ...]
    """Grants of other people that the person may see."""
    reviews: tuple[ReviewRow, ...]
    duties: tuple[tuple[Duty, str], ...]
    """Whose hour it is, with their names; for the site's own people."""


def look(person: Person, people: People, grants: Grants, policy: AccessPolicy, now: SureTime) -> AccessView:
    """Everything that one person may see of it now."""
    row = _AccessRows(person, people, grants, policy, now)
    theirs = [one for one in grants.grants.values() if person.key in grants.whose(one)]
    others = [one for one in grants.grants.values() if person.key not in grants.whose(one) and row.sees(one)]
    asked = [one for one in grants.requests.values() if person.key in one.theirs]
    open_ones = [one for one in grants.requests.values() if one.state is RequestState.OPEN and not one.lapsed(now)]
    decide = [row.request(one) for one in open_ones if person.key not in one.theirs]
    reviews = [row.review(due) for due in grants.reviews_due(now, policy)] if person.roles & REVIEWS else []
    own = not person.employer
    return AccessView(
        mine=tuple(row.grant(one) for one in _newest(theirs, now)),
        asked=tuple(row.request(one) for one in reversed(asked[-KEPT:])),
        to_decide=tuple(one for one in decide if one.role or one.why_not),
        others=tuple(row.grant(one) for one in _newest(others, now)),
        reviews=tuple(one for one in reviews if one.may_close or PersonRole.SECURITY in person.roles),
        duties=tuple((duty, row.name(duty.person)) for duty in grants.duties.values() if own and duty.on(now)),
    )


def _newest(held: Iterable[Grant], now: SureTime) -> list[Grant]:
    """Those that are not over first, then newest first."""
    return sorted(held, key=lambda one: (one.state(now) in OVER, -one.given_ns))[:KEPT]


class _AccessRows:
    """Makes rows for one pair of eyes."""

    def __init__(self, person: Person, people: People, grants: Grants, policy: AccessPolicy, now: SureTime) -> None:
        self._person, self._people, self._grants, self._policy, self._now = person, people, grants, policy, now

    def name(self, key: str) -> str:
        """Of a person or a system."""
        held = self._people.person(key, self._now)
        return held.name if held else key

    def sees(self, grant: Grant) -> bool:
        """Whether a grant of somebody else is shown."""
        if self._person.roles & SEES_ALL or self._sponsors(grant.person):
            return True
        request = self._grants.requests.get(grant.request)
        return request is not None and any(one.person == self._person.key for one in request.decisions)

    def grant(self, one: Grant) -> GrantRow:
        """One row."""
        state = one.state(self._now)
        mine = self._person.key in self._grants.whose(one)
        request = self._grants.requests.get(one.request)
        approved = request is not None and any(each.person == self._person.key for each in request.decisions)
        opened = self._grants.custodians.get(one.key) == self._person.key
        may = mine or approved or opened or self._sponsors(one.person) or PersonRole.SECURITY in self._person.roles
        return GrantRow(
            grant=one,
            state=state,
            reader=self.name(one.person),
            until_ns=one.change_ns(self._now),
            may_begin=mine and state is GrantState.CLAIMABLE,
            may_revoke=may and state not in OVER,
        )

    def request(self, one: AccessRequest) -> RequestRow:
        """One row, with what the person looking may do about it."""
        asker, preset = self._people.person(one.person, self._now), self._policy.presets.get(one.preset)
        role, why_not = "", ""
        if self._person.key not in one.theirs and self._person.roles & DECIDES:
            try:
                role = may_decide(one, asker, self._person, self._grants, self._policy, self._now).value
            except RuleRefusal as error:
                why_not = str(error) if preset and needed(one, preset)[1] & self._person.roles else ""
        return RequestRow(
            request=one,
            asker=asker.name if asker else one.person,
            employer=asker.employer if asker else "",
            decisions=tuple(
                (self.name(each.person), each.role.value, each.yes, each.why, each.at_ns) for each in one.decisions
            ),
            lapsed=one.lapsed(self._now),
            yeses=needed(one, preset)[0] if preset else 0,
            role=role,
            why_not=why_not,
            may_withdraw=self._person.key in one.theirs and one.state is RequestState.OPEN,
        )

    def review(self, due: DueReview) -> ReviewRow:
        """One row."""
        request = self._grants.requests.get(due.grant.request)
        involved = {*self._grants.whose(due.grant), self._grants.custodians.get(due.grant.key, "")}
        involved |= {one.person for one in request.decisions} if request else set()
        return ReviewRow(
            due=due,
            reader=self.name(due.grant.person),
            reason=request.reason if request else "break-glass",
            overdue=self._now.late_ns >= due.due_ns,
            may_close=self._person.key not in involved,
        )

    def _sponsors(self, reader: str) -> bool:
        held = self._people.person(reader, self._now)
        return held is not None and bool(held.sponsor) and held.sponsor == self._person.key
