"""The roster: who is put on it, and who may not be."""

from __future__ import annotations

from receiver.governed.grants.deciding import SHORTEST_WHY, RuleRefusal
from receiver.governed.grants.duty import ROSTERED, Duty
from receiver.governed.grants.register import Grants
from receiver.governed.people.person import Person, PersonRole
from receiver.governed.sure_time import SureTime
from receiver.governed.trail.entry import Fact, TrailEntry


def roster(duty: Duty, person: Person, grants: Grants, by: str, now: SureTime) -> list[TrailEntry]:
    """The entry that puts somebody on the roster.

    Raises:
        RuleRefusal: The person does not hold the role, or another custodian has the shift.
    """
    if duty.role not in ROSTERED:
        raise RuleRefusal(f"the roster is for {', '.join(sorted(role.value for role in ROSTERED))}")
    if not person.active or duty.role not in person.roles:
        raise RuleRefusal(f"{person.name} is not enrolled as {duty.role.value}")
    if not duty.period.from_ns < duty.period.until_ns:
        raise RuleRefusal("it ends before it begins")
    if duty.role is PersonRole.CUSTODIAN:
        others = (one for one in grants.duties.values() if one.role is duty.role and one.key != duty.key)
        met = next((one for one in others if one.meets(duty)), None)
        if met is not None:
            raise RuleRefusal(f"the shift has a custodian already (roster line {met.key}); a shift has one")
    return [TrailEntry(kind="roster.set", at_ns=now.late_ns, who=by, facts=duty.to_facts())]


def strike(key: str, grants: Grants, by: str, now: SureTime, *, why: str) -> list[TrailEntry]:
    """The entry that takes a line off the roster before its end.

    Raises:
        RuleRefusal: There is no such line, it is over, or the reason is missing.
    """
    held = grants.duties.get(key)
    if held is None or held.ended_ns is not None or now.late_ns >= held.period.until_ns:
        raise RuleRefusal(f"no roster line {key} now")
    if len(why.strip()) < SHORTEST_WHY:
        raise RuleRefusal(f"say why, in at least {SHORTEST_WHY} characters")
    facts: dict[str, Fact] = {"duty": key, "person": held.person, "why": why.strip()}
    return [TrailEntry(kind="roster.ended", at_ns=now.late_ns, who=by, facts=facts)]
