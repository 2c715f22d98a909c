"""An enrolment: what must be known of a person before there are credentials, and what became of it since.

    who   name, employer, login (an address of their own)
    why   contract and its named contact, sponsor, roles, the last moment: there is no enrolment without an end
    sure  identity checked by whom and how; policy acknowledged (which text, when)

`PersonDraft` is what somebody wishes to enrol and is checked whole; `Enrolment` is what the trail says. Both are pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from protocol.errors import ConfigError
from receiver.governed.people import logins
from receiver.governed.people.person import Person, PersonRole
from receiver.governed.people.roles import conflicts
from receiver.governed.sure_time import SureTime
from receiver.governed.trail.entry import Fact

DAY_NS = 86_400 * 10**9

LONGEST_DAYS = 400
"""Longest enrolment [days]: a year and the time to renew it."""

LONGEST_TEXT = 200
"""Of each text [characters]."""


class Standing(StrEnum):
    """Where an enrolment stands."""

    INVITED = "invited"
    """Enrolled; the link is not used yet, the policy not acknowledged."""
    ACTIVE = "active"
    SUSPENDED = "suspended"
    ENDED = "ended"
    """By a person or by its end; for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonDraft:
    """A person as somebody wishes to enrol them."""

    login: str
    name: str
    roles: frozenset[PersonRole]
    ends_ns: int
    """Last moment [ns since 1970 UTC]."""
    checked_by: str
    """Who checked the identity."""
    checked_how: str
    """How: `passport on site`, `call back to the contract's contact`."""
    employer: str = ""
    """Vendor's name as assets carry it; empty: the site's own."""
    contract: str = ""
    contact: str = ""
    """Named contact of the contract, who vouches for this person."""
    sponsor: str = ""
    """Key of the sponsor."""

    def mistakes(self, now_ns: int) -> Iterator[tuple[str, str]]:
        """Field, and what is wrong with it; nothing where all is right.

        Args:
            now_ns: The wall clock [ns since 1970 UTC].
        """
        if why := logins.refusal(self.login):
            yield "login", why
        needed = {"name": self.name, "checked_by": self.checked_by, "checked_how": self.checked_how}
        if self.employer:
            needed |= {"contract": self.contract, "contact": self.contact, "sponsor": self.sponsor}
        for key, text in needed.items():
            if not text.strip():
                yield key, "missing" + (f": a person of {self.employer} needs it" if key in _OF_OTHERS else "")
        texts = {"employer": self.employer, "contract": self.contract, "contact": self.contact, **needed}
        for key, text in texts.items():
            if len(text) > LONGEST_TEXT or not text.isprintable():
                yield key, f"longer than {LONGEST_TEXT} characters, or with signs that cannot be printed"
        for why in conflicts(self.roles, self.employer):
            yield "roles", why
        if self.ends_ns <= now_ns:
            yield "ends", "in the past; every enrolment has an end that is still to come"
        elif self.ends_ns > now_ns + LONGEST_DAYS * DAY_NS:
            yield "ends", f"more than {LONGEST_DAYS} days away; enrol for a year at most, and renew"

    def facts(self) -> dict[str, Fact]:
        """As the trail carries it."""
        return {
            "login": self.login,
            "name": self.name,
            "employer": self.employer,
            "roles": [role.value for role in sorted(self.roles)],
            "ends_ns": self.ends_ns,
            "checked_by": self.checked_by,
            "checked_how": self.checked_how,
            "contract": self.contract,
            "contact": self.contact,
            "sponsor": self.sponsor,
        }


_OF_OTHERS = frozenset({"contract", "contact", "sponsor"})


def draft_of(facts: Mapping[str, Fact]) -> PersonDraft:
    """What the trail carries, read back; what is not there is empty."""
    roles, ends_ns = facts.get("roles"), facts.get("ends_ns")
    told = {key: str(facts.get(key, "")) for key in _TEXTS}
    return PersonDraft(
        **told,
        roles=frozenset(PersonRole(str(role)) for role in roles) if isinstance(roles, list) else frozenset(),
        ends_ns=ends_ns if isinstance(ends_ns, int) else 0,
    )


_TEXTS = ("login", "name", "employer", "checked_by", "checked_how", "contract", "contact", "sponsor")


def last_day(text: str) -> int:
    """The end of a day, UTC [ns since 1970 UTC]; ConfigError where it is none."""
    try:
        day = datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC) + timedelta(days=1)
    except (ValueError, OverflowError) as error:
        raise ConfigError(f"{text} is no day", hint="write it as 2027-06-30") from error
    return int(day.timestamp()) * 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """Which policy a person acknowledged."""

    version: str
    """Names the text: its first line's version or its hash."""
    at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """When a person left, when that was reported, when it was acted on [ns since 1970 UTC]."""

    acted_ns: int
    left_ns: int | None = None
    """None where the person did not leave the employer."""
    reported_ns: int | None = None

    @property
    def late(self) -> bool:
        """The employer reported it more than a day after."""
        return self.left_ns is not None and (self.reported_ns or self.acted_ns) - self.left_ns > DAY_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """One person, as the trail has it up to now."""

    key: str
    draft: PersonDraft
    enrolled_ns: int
    enrolled_by: str
    confirmed_ns: int
    """When the employer last confirmed the person; the enrolment itself counts."""
    policy: Acknowledged | None = None
    suspended: str = ""
    """Why; empty while not."""
    leaving: Leaving | None = None
    why_ended: str = ""
    linked_ns: tuple[int, ...] = field(default=())
    """When one-time links were issued."""

    def standing(self, now: SureTime) -> Standing:
        """Where it stands at a moment."""
        if self.leaving is not None or now.late_ns >= self.draft.ends_ns:
            return Standing.ENDED
        if self.suspended:
            return Standing.SUSPENDED
        return Standing.ACTIVE if self.policy else Standing.INVITED

    def person(self, now: SureTime) -> Person:
        """Who that is to everybody else."""
        told = self.draft
        return Person(
            key=self.key,
            login=told.login,
            name=told.name,
            employer=told.employer,
            roles=told.roles,
            ends_ns=told.ends_ns,
            active=self.standing(now) is Standing.ACTIVE,
            sponsor=told.sponsor,
        )
