"""Duties: who decides for which assets at which hours, and who keeps the break-glass credentials of a shift."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from receiver.governed import fact
from receiver.governed.grants import weekly
from receiver.governed.grants.request import Period
from receiver.governed.people.person import PersonRole
from receiver.governed.sure_time import SureTime
from receiver.governed.trail.entry import Fact

ROSTERED = frozenset({PersonRole.APPROVER, PersonRole.ENGINEER, PersonRole.CUSTODIAN})
"""Roles whose power is limited to their hours; a sponsor's is to the people sponsored, security's is always there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """One line of the roster."""

    key: str
    role: PersonRole
    person: str
    assets: frozenset[str]
    """Names; empty: every asset."""
    period: Period
    """From when until when, and in which hours of the week."""
    ended_ns: int | None = None
    """Struck from the roster before its end [ns since 1970 UTC]."""

    def on(self, now: SureTime) -> bool:
        """Whether it is somebody's hour."""
        hours = self.period.weekly
        return (
            self.ended_ns is None
            and now.within(self.period.from_ns, self.period.until_ns)
            and (hours is None or (hours.holds(now.early_ns) and hours.holds(now.late_ns)))
        )

    def covers(self, assets: frozenset[str]) -> bool:
        """Whether it is about all of these."""
        return not self.assets or assets <= self.assets

    def meets(self, other: Duty) -> bool:
        """Whether some moment belongs to both."""
        return (
            self.ended_ns is None
            and other.ended_ns is None
            and self.period.from_ns < other.period.until_ns
            and other.period.from_ns < self.period.until_ns
            and weekly.overlap(self.period.weekly, other.period.weekly)
        )

    def to_facts(self) -> dict[str, Fact]:
        """As it stands in the trail."""
        told: dict[str, Fact] = {"duty": self.key, "role": self.role.value, "person": self.person}
        return told | {"assets": [*sorted(self.assets)]} | self.period.to_facts()

    @classmethod
    def of_facts(cls, given: Mapping[str, Fact]) -> Duty:
        """From the trail.

        Raises:
            ValueError: It is not what `to_facts` wrote.
        """
        return cls(
            key=fact.text(given, "duty"),
            role=PersonRole(fact.text(given, "role")),
            person=fact.text(given, "person"),
            assets=frozenset(fact.texts(given, "assets")),
            period=Period.of_facts(given),
        )
