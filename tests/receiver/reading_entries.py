"""Entries of people, grants and looks, as the rules write them: what laws of alerts and of evidence are tried with."""

from __future__ import annotations

from access_cast import PUMP, T0, period

from receiver.governed.grants.extent import Extent
from receiver.governed.grants.request import Period
from receiver.governed.people.person import Person
from receiver.governed.trail.entry import Fact, TrailEntry


def enrolled(one: Person, at_ns: int = T0) -> list[TrailEntry]:
    """A person of the cast, ready to read."""
    facts: dict[str, Fact] = {
        "person": one.key,
        "login": one.login,
        "name": one.name,
        "employer": one.employer,
        "roles": [role.value for role in one.roles],
        "ends_ns": one.ends_ns,
        "checked_by": "A. Smith",
        "checked_how": "passport",
        "sponsor": one.sponsor,
    }
    return [
        TrailEntry(kind="person.enrolled", at_ns=at_ns, who="admin", facts=facts),
        TrailEntry(kind="person.acknowledged", at_ns=at_ns, who=one.key, facts={"person": one.key, "policy": "1"}),
    ]


def given(
    key: str, one: Person, until_ns: int, when: Period | None = None, preset: str = "tier-1", extent: Extent = PUMP
) -> TrailEntry:
    """A grant, on the pump unless told otherwise."""
    when = when or period(T0, until_ns)
    facts: dict[str, Fact] = {"grant": key, "person": one.key, "preset": preset}
    return TrailEntry(kind="grant.given", at_ns=T0, who="system", facts=facts | extent.to_facts() | when.to_facts())


def read(one: Person, at_ns: int, *grants: str, asset: str = "pump-7", kind: str = "read.trend") -> TrailEntry:
    """A look."""
    facts: dict[str, Fact] = {"assets": [asset], "grants": [*grants], "vendor": one.employer}
    return TrailEntry(kind=kind, at_ns=at_ns, who=one.key, origin="192.0.2.7", facts=facts)
