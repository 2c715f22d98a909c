"""Deciding: yes and no to a request, and what ends a grant before its time.

Every function gives the entries to be written, or raises `RuleRefusal` with a reason in words; nothing is changed here.
"""

from __future__ import annotations

from collections.abc import Sequence

from receiver.governed.grants.grant import OVER, GrantState
from receiver.governed.grants.policy import AccessPolicy
from receiver.governed.grants.preset import Preset
from receiver.governed.grants.register import Grants, told
from receiver.governed.grants.request import AccessRequest, RequestState
from receiver.governed.people.person import Person, PersonRole
from receiver.governed.sure_time import SureTime
from receiver.governed.trail.entry import Fact, TrailEntry

SHORTEST_WHY = 10
"""Characters of a written reason of a decision at least."""


class RuleRefusal(Exception):
    """An act that the rules do not allow; the text says why, in words for who tried."""


def needed(request: AccessRequest, preset: Preset) -> tuple[int, frozenset[PersonRole]]:
    """How many yeses are still needed, and in which roles the next one may be given."""
    roles = tuple(one.role for one in request.decisions if one.yes)
    filled = _filled(roles, preset.seats)
    helps = (role for role in PersonRole if role not in roles and _filled((*roles, role), preset.seats) > filled)
    return len(preset.seats) - filled, frozenset(helps)


def _filled(roles: Sequence[PersonRole], seats: Sequence[frozenset[PersonRole]]) -> int:
    """Most seats that these yeses can take, one each."""
    if not roles or not seats:
        return 0
    first, rest = seats[0], seats[1:]
    takers = (_filled([one for one in roles if one != role], rest) + 1 for role in roles if role in first)
    return max(_filled(roles, rest), *takers, 0)


def may_decide(
    request: AccessRequest, asker: Person | None, person: Person, grants: Grants, policy: AccessPolicy, now: SureTime
) -> PersonRole:
    """The role in which a person may decide on a request now.

    Args:
        request: The request.
        asker: Who shall read: its maker, or a system of theirs.
        person: Who would decide.
        grants: The register, up to date.
        policy: The site's.
        now: Sure time.

    Raises:
        RuleRefusal: The person may not, and why.
    """
    preset = policy.presets.get(request.preset)
    if preset is None:
        raise RuleRefusal("its kind of grant is no longer in the site's policy")
    if request.state is not RequestState.OPEN:
        raise RuleRefusal(f"the request is {request.state.value} already")
    if request.lapsed(now):
        raise RuleRefusal("the time that was asked for is over")
    if not person.active or now.late_ns >= person.ends_ns:
        raise RuleRefusal("your enrolment is not complete or has ended")
    if person.key in request.theirs:
        raise RuleRefusal("nobody decides on their own request")
    if asker is not None and asker.employer and person.employer == asker.employer:
        raise RuleRefusal("nobody decides on a request of their own employer's people")
    if any(one.person == person.key for one in request.decisions):
        raise RuleRefusal("you have decided on it already; the other yes is somebody else's")
    _, wanted = needed(request, preset)
    fits = sorted(wanted & person.roles)
    if not fits:
        names = ", ".join(sorted(role.value for role in wanted))
        raise RuleRefusal(f"the yes that is needed is one of: {names}")
    for role in fits:
        if _entitled(role, request, asker, person, grants, now):
            return role
    raise RuleRefusal("you are not on the roster for all of its assets at this hour, nor the asker's sponsor")


def decide(
    request: AccessRequest,
    role: PersonRole,
    person: Person,
    policy: AccessPolicy,
    now: SureTime,
    *,
    yes: bool,
    why: str,
    grant: str,
) -> list[TrailEntry]:
    """The entries of a decision, and of the grant where its last seat is taken.

    Args:
        request: As `may_decide` was asked about.
        role: As `may_decide` told.
        person: Who decides.
        policy: The site's.
        now: Sure time.
        yes: Approve or deny.
        why: The written reason.
        grant: Key of the grant, should it be given.

    Raises:
        RuleRefusal: The reason is missing.
    """
    if len(why.strip()) < SHORTEST_WHY:
        raise RuleRefusal(f"a decision needs a written reason of at least {SHORTEST_WHY} characters")
    entry = TrailEntry(
        kind="request.approved" if yes else "request.denied",
        at_ns=now.late_ns,
        who=person.key,
        facts={"request": request.key, "role": role.value, "why": why.strip()},
    )
    if not yes:
        return [entry]
    left, _ = needed(request, policy.presets[request.preset])
    return [entry] if left > 1 else [entry, given(request, now, grant)]


def given(request: AccessRequest, now: SureTime, grant: str) -> TrailEntry:
    """The entry that gives what was asked for."""
    names = (("grant", grant), ("request", request.key), ("person", request.person))
    facts = told(request.extent, request.period, {"preset": request.preset}, names)
    return TrailEntry(kind="grant.given", at_ns=now.late_ns, who="system", facts=facts)


def withdraw(request: AccessRequest, person: Person, now: SureTime) -> list[TrailEntry]:
    """The asker wants it no more.

    Raises:
        RuleRefusal: It is not theirs, or decided.
    """
    if person.key not in request.theirs:
        raise RuleRefusal("it is not your request")
    if request.state is not RequestState.OPEN:
        raise RuleRefusal(f"the request is {request.state.value} already")
    return [TrailEntry(kind="request.withdrawn", at_ns=now.late_ns, who=person.key, facts={"request": request.key})]


def begin(grants: Grants, grant: str, person: Person, now: SureTime) -> list[TrailEntry]:
    """First use of a grant whose time runs from it.

    Raises:
        RuleRefusal: It is not theirs, or cannot be begun now.
    """
    held = grants.grants.get(grant)
    if held is None or person.key not in grants.whose(held):
        raise RuleRefusal("it is not your grant")
    state = held.state(now)
    if state is not GrantState.CLAIMABLE:
        raise RuleRefusal(f"the grant is {state.value}")
    facts: dict[str, Fact] = {"grant": grant, "begun_ns": now.late_ns}
    return [TrailEntry(kind="grant.begun", at_ns=now.late_ns, who=person.key, facts=facts)]


def revoke(
    grants: Grants, grant: str, person: Person, reader: Person | None, now: SureTime, *, why: str
) -> list[TrailEntry]:
    """A grant ends now: by security, by who approved it, by the reader's sponsor, or given back by the reader.

    Raises:
        RuleRefusal: The person may not, it is over already, or the reason is missing.
    """
    held = grants.grants.get(grant)
    if held is None:
        raise RuleRefusal("there is no such grant")
    request = grants.requests.get(held.request)
    approvers = {one.person for one in request.decisions} if request else {grants.custodians.get(grant, "")}
    theirs = person.key in grants.whose(held) or person.key in approvers
    sponsors = reader is not None and bool(reader.sponsor) and reader.sponsor == person.key
    if not (person.active and (theirs or sponsors or PersonRole.SECURITY in person.roles)):
        raise RuleRefusal("a grant is revoked by security, by its approver, by the reader's sponsor, or by the reader")
    if held.state(now) in OVER:
        raise RuleRefusal(f"the grant is {held.state(now).value} already")
    if len(why.strip()) < SHORTEST_WHY:
        raise RuleRefusal(f"a revocation needs a written reason of at least {SHORTEST_WHY} characters")
    facts: dict[str, Fact] = {"grant": grant, "person": held.person, "why": why.strip()}
    return [TrailEntry(kind="grant.revoked", at_ns=now.late_ns, who=person.key, facts=facts)]


def review(
    grants: Grants, grant: str, person: Person, policy: AccessPolicy, now: SureTime, *, findings: str, justified: bool
) -> list[TrailEntry]:
    """A review is closed, with its findings: by somebody who neither read nor opened nor approved.

    Raises:
        RuleRefusal: The person may not, none is due, or the findings are missing.
    """
    held = grants.grants.get(grant)
    if held is None or grant not in {due.grant.key for due in grants.reviews_due(now, policy)}:
        raise RuleRefusal("no review of this grant is due")
    request = grants.requests.get(held.request)
    involved = {*grants.whose(held), grants.custodians.get(grant, "")}
    involved |= {one.person for one in request.decisions} if request else set()
    if person.key in involved:
        raise RuleRefusal("a review is closed by somebody who neither read nor approved")
    if not person.active or not person.roles & {PersonRole.SECURITY, PersonRole.APPROVER, PersonRole.ENGINEER}:
        raise RuleRefusal("a review is closed by security, an approver or the plant engineer")
    if len(findings.strip()) < SHORTEST_WHY:
        raise RuleRefusal(f"the findings are missing; write at least {SHORTEST_WHY} characters")
    facts: dict[str, Fact] = {"grant": grant, "findings": findings.strip(), "justified": justified}
    return [TrailEntry(kind="review.closed", at_ns=now.late_ns, who=person.key, facts=facts)]


def _entitled(
    role: PersonRole, request: AccessRequest, asker: Person | None, person: Person, grants: Grants, now: SureTime
) -> bool:
    """Whether the role is the person's for this request at this hour."""
    if role is PersonRole.SPONSOR:
        return asker is not None and asker.sponsor == person.key
    if role is PersonRole.SECURITY:
        return True
    return any(one.person == person.key for one in grants.on_duty(role, now, request.extent.assets))
