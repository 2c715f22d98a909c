"""People of a site and its vendors, and a register that stands for them: what the laws of governed reading act with."""

from __future__ import annotations

from collections.abc import Iterable

from receiver.governed.grants.asking import Asked, ask
from receiver.governed.grants.deciding import decide, may_decide
from receiver.governed.grants.duty import Duty
from receiver.governed.grants.extent import Extent
from receiver.governed.grants.policy import AccessPolicy
from receiver.governed.grants.register import Grants
from receiver.governed.grants.request import Period
from receiver.governed.grants.rostering import roster
from receiver.governed.people.person import Person, PersonRole
from receiver.governed.sure_time import SureTime
from receiver.governed.trail.entry import TrailEntry, TrailRecord

SECOND = 10**9
HOUR = 3600 * SECOND
DAY = 24 * HOUR
T0 = 1_795_000_000 * SECOND
"""2026-11-18, a Wednesday, 11:06:40 UTC."""

POLICY = AccessPolicy()

REASON = "bearing temperature climbs since Monday"


def person(key: str, *roles: PersonRole, employer: str = "", sponsor: str = "") -> Person:
    """An enrolled person."""
    return Person(
        key=key,
        login=f"j.{key}@example.org",
        name=key,
        employer=employer,
        roles=frozenset(roles),
        ends_ns=T0 + 365 * DAY,
        active=True,
        sponsor=sponsor,
    )


ACME = person("acme", PersonRole.READER, employer="Acme", sponsor="sponsor")
VOLTA = person("volta", PersonRole.READER, employer="Volta", sponsor="sponsor")
APPROVER = person("approver", PersonRole.APPROVER)
ENGINEER = person("engineer", PersonRole.ENGINEER)
SECURITY = person("security", PersonRole.SECURITY)
SPONSOR = person("sponsor", PersonRole.SPONSOR)
CUSTODIAN = person("custodian", PersonRole.CUSTODIAN)
PEOPLE = {one.key: one for one in (ACME, VOLTA, APPROVER, ENGINEER, SECURITY, SPONSOR, CUSTODIAN)}

PUMP, RELAY, PRESS = (Extent(assets=frozenset({name})) for name in ("pump-7", "relay-2", "press-1"))
VISIBLE = {"Acme": Extent(assets=frozenset({"pump-7", "relay-2"})), "Volta": Extent(assets=frozenset({"press-1"}))}


def at(time_ns: int) -> SureTime:
    """Now, where nobody set a clock."""
    return SureTime(time_ns, time_ns)


def period(from_ns: int, until_ns: int, length_s: float | None = None) -> Period:
    """A time without hours of the week."""
    return Period(from_ns=from_ns, until_ns=until_ns, length_s=length_s)


def wish(
    preset: str, extent: Extent = PUMP, when: Period | None = None, *, extends: str = "", visit: str = ""
) -> Asked:
    """What a reader fills in."""
    when = when or period(T0 + DAY, T0 + DAY + 4 * HOUR)
    return Asked(
        preset=preset, extent=extent, reason=REASON, purpose="diagnosis", period=when, extends=extends, visit=visit
    )


class Site:
    """A register that is only changed by what the rules give, as a trail would."""

    def __init__(self) -> None:
        self.grants = Grants()
        self.entries: list[TrailEntry] = []

    def write(self, entries: Iterable[TrailEntry]) -> None:
        """Append to the trail, and fold."""
        for entry in entries:
            self.entries.append(entry)
            self.grants.take(TrailRecord(number=len(self.entries), entry=entry, hash=bytes(32)))

    def on_duty(self, one: Person, role: PersonRole, *assets: str, when: Period | None = None) -> None:
        """Put somebody on the roster."""
        when = when or period(T0 - DAY, T0 + 300 * DAY)
        line = Duty(key=f"d-{len(self.entries)}", role=role, person=one.key, assets=frozenset(assets), period=when)
        self.write(roster(line, one, self.grants, "admin", at(T0)))

    def ask(self, asked: Asked, asker: Person = ACME, now: int = T0) -> str:
        """Make a request; its key."""
        key = f"r-{len(self.entries)}"
        self.write(ask(asked, asker, VISIBLE[asker.employer], self.grants, POLICY, at(now), key=key))
        return key

    def decide(self, key: str, one: Person, *, yes: bool = True, now: int = T0, why: str = "agreed by phone") -> None:
        """A decision, as the rules allow it."""
        request, time = self.grants.requests[key], at(now)
        role = may_decide(request, PEOPLE.get(request.person), one, self.grants, POLICY, time)
        self.write(decide(request, role, one, POLICY, time, yes=yes, why=why, grant=f"g-{key}"))

    def seen(self, one: Person, now: int) -> frozenset[str]:
        """Assets that the person reads now."""
        return self.grants.granted(one, at(now)).scope.assets or frozenset()
