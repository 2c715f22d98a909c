"""Service credentials: one system of a monitoring centre, with one named owner. Folded from the trail; pure.

    service.issued   {service, name, employer, owner, sources, ends_ns}      its token was shown once
    service.renewed  {service}                                               another token; the one before is void
    service.ended    {service, why}

To whoever grants and reads a service is a person of the role reader under the key `service:s-..`: it sees what was
granted to that key, and what its employer's vendor may see. It holds only while its owner is active, and only from its
sources. It asks for nothing itself: its owner does, and answers for what was granted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from protocol.errors import ConfigError
from receiver.governed.people.enrolment import DAY_NS, LONGEST_DAYS
from receiver.governed.people.person import Person, PersonRole
from receiver.governed.sure_time import SureTime
from receiver.governed.trail.entry import Fact, TrailEntry, TrailRecord

if TYPE_CHECKING:
    from receiver.governed.people.register import People

SERVICE = "service:"
"""Before its key, where the trail and grants name it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceCredential:
    """One system that reads without a person at it."""

    key: str
    """`s-` and eight letters."""
    name: str
    employer: str
    owner: str
    """Key of the person who answers for it."""
    sources: tuple[str, ...]
    """Networks it may come from, as CIDR."""
    ends_ns: int
    ended: bool = False

    def mistakes(self, people: People, now: SureTime) -> Iterator[str]:
        """What is wrong with it; nothing where it may be issued."""
        if not self.name.strip() or not self.name.isprintable() or len(self.name) > 100:
            yield "name: one line of up to 100 characters that says which system it is"
        owner = people.person(self.owner, now)
        if owner is None or not owner.active:
            yield f"owner: {self.owner or 'nobody'} is no active person"
        elif owner.employer != self.employer:
            yield f"owner: of {owner.employer or 'the site'}, and not of {self.employer or 'the site'}"
        if not self.sources:
            yield "sources: name the networks it comes from, such as 10.1.2.3/32"
        for source in self.sources:
            try:
                found = ip_network(source)
            except ValueError as error:
                yield f"sources: {error}"
            else:
                if found.prefixlen == 0:
                    yield f"sources: {source} is every address; name the system's own"
        if not now.late_ns < self.ends_ns <= now.late_ns + LONGEST_DAYS * DAY_NS:
            yield f"ends: to come, and within {LONGEST_DAYS} days"

    def person(self, people: People, now: SureTime) -> Person:
        """Who it is to grants: active while it has not ended and its owner is."""
        owner = people.person(self.owner, now)
        held = owner is not None and owner.active and not self.ended and now.late_ns < self.ends_ns
        return Person(
            key=f"{SERVICE}{self.key}",
            login="",
            name=self.name,
            employer=self.employer,
            roles=frozenset({PersonRole.READER}),
            ends_ns=min(self.ends_ns, owner.ends_ns) if owner else self.ends_ns,
            active=held,
            sponsor=owner.sponsor if owner else "",
        )

    def reader(self, people: People, now: SureTime, address: str) -> Person | None:
        """The same; None where it may not read now, or not from there."""
        person = self.person(people, now)
        return person if person.active and self.from_here(address) else None

    def from_here(self, address: str) -> bool:
        """Whether an address is one of its sources."""
        try:
            here = ip_address(address)
        except ValueError:
            return False
        return any(here in ip_network(source) for source in self.sources)


class Services:
    """The register of service credentials. Not for several threads."""

    def __init__(self) -> None:
        self.number = 0
        self._held: dict[str, ServiceCredential] = {}

    def take(self, record: TrailRecord) -> None:
        """One more record; one that was taken already is passed over."""
        if record.number <= self.number:
            return
        self.number, entry = record.number, record.entry
        key = str(entry.facts.get("service", ""))
        if entry.kind == "service.issued":
            self._held[key] = _issued(key, entry)
        elif entry.kind == "service.ended" and key in self._held:
            self._held[key] = replace(self._held[key], ended=True)

    def __iter__(self) -> Iterator[ServiceCredential]:
        return iter(list(self._held.values()))

    def get(self, key: str) -> ServiceCredential | None:
        """By its key."""
        return self._held.get(key)

    def owned(self, owner: str) -> list[ServiceCredential]:
        """Those that a person answers for, ended ones too."""
        return [one for one in self._held.values() if one.owner == owner]


def issue(service: ServiceCredential, people: People, now: SureTime, *, at_ns: int, by: str) -> Sequence[TrailEntry]:
    """The entry of a new one.

    Raises:
        ConfigError: it may not be.
    """
    if wrong := list(service.mistakes(people, now)):
        raise ConfigError("not issued so: " + "; ".join(wrong), hint="mend what is named and try again")
    facts: dict[str, Fact] = {
        "service": service.key,
        "name": service.name,
        "employer": service.employer,
        "owner": service.owner,
        "sources": [*service.sources],
        "ends_ns": service.ends_ns,
    }
    return [TrailEntry(kind="service.issued", at_ns=at_ns, who=by, facts=facts)]


def renew(services: Services, key: str, *, at_ns: int, by: str) -> Sequence[TrailEntry]:
    """The entry of another token; raises ConfigError where it has ended."""
    _living(services, key)
    return [TrailEntry(kind="service.renewed", at_ns=at_ns, who=by, facts={"service": key})]


def end(services: Services, key: str, why: str, *, at_ns: int, by: str) -> Sequence[TrailEntry]:
    """The entry of its end; raises ConfigError without a reason, or where it has ended."""
    _living(services, key)
    if not why.strip():
        raise ConfigError("no reason is given", hint="say why, in a sentence")
    return [TrailEntry(kind="service.ended", at_ns=at_ns, who=by, facts={"service": key, "why": why.strip()})]


def _living(services: Services, key: str) -> None:
    held = services.get(key)
    if held is None or held.ended:
        raise ConfigError(f"no service {key} now", hint="checkvalve service list names them")


def _issued(key: str, entry: TrailEntry) -> ServiceCredential:
    facts = entry.facts
    sources, ends_ns = facts.get("sources"), facts.get("ends_ns")
    return ServiceCredential(
        key=key,
        name=str(facts.get("name", "")),
        employer=str(facts.get("employer", "")),
        owner=str(facts.get("owner", "")),
        sources=tuple(str(one) for one in sources) if isinstance(sources, list) else (),
        ends_ns=ends_ns if isinstance(ends_ns, int) else 0,
    )
