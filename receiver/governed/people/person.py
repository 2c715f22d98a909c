"""Who a person is to this site, as far as reading is concerned. No secret is here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class PersonRole(StrEnum):
    """What a person may do; several may be held, but see `CONFLICTS`."""

    READER = "reader"
    """Reads what was granted: a vendor's specialist, or the site's own."""
    APPROVER = "approver"
    """Decides on requests for the assets and hours of the roster."""
    ENGINEER = "engineer"
    """The plant engineer: an approver of another role, the second one of tier 2."""
    SPONSOR = "sponsor"
    """Answers for people of another employer, and recertifies their standing grants."""
    SECURITY = "security"
    """Is told of emergencies and alerts, revokes, reviews."""
    CUSTODIAN = "custodian"
    """Keeps the break-glass credentials of a shift."""
    AUDITOR = "auditor"
    """Reads records, never data."""
    ADMINISTRATOR = "administrator"
    """Enrols people and writes rosters; never reads data by this role."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One named individual."""

    key: str
    """Names the person for ever in the trail; never used again."""
    login: str
    """What the person signs in with, lower case: an address of their own, such as `j.doe@acme.example`."""
    name: str
    """As on a badge."""
    employer: str
    """The vendor's name as assets carry it; empty: the site's own people."""
    roles: frozenset[PersonRole]
    ends_ns: int
    """When the enrolment ends; there is none without an end [ns since 1970 UTC]."""
    active: bool
    """Enrolment is complete, neither ended nor suspended."""
    sponsor: str = ""
    """Key of who answers for them; empty for the site's own people."""
