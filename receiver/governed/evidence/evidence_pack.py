"""What a pack holds: one vendor's month, as records say it. Times are [ns since 1970 UTC], None where there is none.

Everything is a plain value, so that the same object is the page and the JSON. Nothing of another vendor is in it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

FORMAT = "checkvalve-evidence-v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackTrail:
    """What `trail verify` found, and the stretch that the month is."""

    sound: bool
    entries: int
    hash: str
    """Of the last entry."""
    anchor: str
    faults: tuple[str, ...] = ()
    agreed: tuple[str, ...] = ()
    """Checkpoints and anchors that the trail meets, each with its number."""
    unseen_from: int | None = None
    """First entry that no checkpoint has seen; from there on the chain alone stands."""
    first: int | None = None
    """First entry of the month."""
    first_hash: str = ""
    last: int | None = None
    last_hash: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackPerson:
    """Somebody of the vendor who was enrolled at some time of the month."""

    key: str
    name: str
    login: str
    roles: tuple[str, ...]
    contract: str
    contact: str
    sponsor: str
    checked_by: str
    checked_how: str
    enrolled_ns: int
    enrolled_by: str
    ends_ns: int
    policy: str
    """Version that was acknowledged; empty: none."""
    policy_ns: int | None
    confirmed_ns: int
    confirm_due_ns: int
    overdue: bool
    standing: str
    suspended: str = ""
    left_ns: int | None = None
    reported_ns: int | None = None
    acted_ns: int | None = None
    hours_to_act: float | None = None
    """From the report to the end of the enrolment [h]."""
    why_ended: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackService:
    """A system of the vendor with a credential of its own."""

    key: str
    name: str
    owner: str
    sources: tuple[str, ...]
    ends_ns: int
    ended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PackDecision:
    """A yes or a no."""

    person: str
    role: str
    yes: bool
    why: str
    at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PackRequest:
    """What was asked for in the month, or decided in it."""

    key: str
    person: str
    preset: str
    assets: tuple[str, ...]
    tags: tuple[str, ...]
    reason: str
    purpose: str
    ticket: str
    made_ns: int
    from_ns: int
    until_ns: int
    length_s: float | None
    weekly: str
    state: str
    why: str
    """Of a refusal by a rule."""
    decisions: tuple[PackDecision, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackGrant:
    """What might be read at some time of the month."""

    key: str
    request: str
    person: str
    preset: str
    assets: tuple[str, ...]
    tags: tuple[str, ...]
    given_ns: int
    from_ns: int
    end_ns: int
    begun_ns: int | None
    weekly: str
    revoked_ns: int | None
    revoked_by: str
    revoked_why: str
    drill: bool
    state: str
    approvals: tuple[PackDecision, ...]


@dataclass(slots=True, kw_only=True)
class LookSum:
    """The looks of one person under the same grants."""

    person: str
    grants: tuple[str, ...]
    looks: int = 0
    rows: int = 0
    """Values shown, where they were counted."""
    kinds: dict[str, int] = field(default_factory=dict)
    assets: set[str] = field(default_factory=set)
    tags: set[str] = field(default_factory=set)
    more_tags: bool = False
    """There were more than are kept."""
    addresses: set[str] = field(default_factory=set)
    from_ns: int | None = None
    """Oldest data that was shown; None: what was current alone."""
    to_ns: int | None = None
    first_ns: int = 0
    last_ns: int = 0


@dataclass(slots=True, kw_only=True)
class SignInSum:
    """Sessions of one person."""

    person: str
    opened: int = 0
    closed: int = 0
    failed: int = 0
    ways: dict[str, int] = field(default_factory=dict)
    addresses: set[str] = field(default_factory=set)
    last_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PackReview:
    """A review that was due, closed or open in the month."""

    grant: str
    preset: str
    drill: bool
    due_ns: int
    closed_ns: int | None
    by: str
    findings: str
    justified: bool | None
    state: str
    """`in time`, `late`, `overdue`, `not due yet`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackGlass:
    """A use of break-glass, or a drill."""

    grant: str
    drill: bool
    person: str
    custodian: str
    assets: tuple[str, ...]
    why: str
    criteria: tuple[str, ...]
    opened_ns: int
    end_ns: int
    credential: str
    renewed_ns: int | None
    """When the next credential was prepared."""
    told: tuple[str, ...]
    """Ways by which security was told, each with the seconds that it took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackAlert:
    """An alert about this vendor, or about the whole site."""

    number: int
    what: str
    told: str
    at_ns: int
    acknowledged_by: str = ""
    note: str = ""
    acknowledged_ns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidencePack:
    """A month."""

    vendor: str
    month: str
    zone: str
    from_ns: int
    to_ns: int
    made_ns: int
    trail: PackTrail
    incomplete: tuple[str, ...]
    """Why this is not the whole month; empty: it is."""
    faults: tuple[str, ...]
    """Reads of this vendor that no grant in force allowed: there must be none."""
    looks_total: int
    refused: dict[str, int]
    """Person -> reads that were refused, or found nothing."""
    people: tuple[PackPerson, ...]
    services: tuple[PackService, ...]
    requests: tuple[PackRequest, ...]
    grants: tuple[PackGrant, ...]
    looks: tuple[LookSum, ...]
    sign_ins: tuple[SignInSum, ...]
    reviews: tuple[PackReview, ...]
    break_glass: tuple[PackGlass, ...]
    alerts: tuple[PackAlert, ...]

    @property
    def exit_code(self) -> int:
        """1 where the month is not complete, or something was read that no grant allowed."""
        return int(bool(self.incomplete or self.faults))

    def counts(self) -> dict[str, int]:
        """How many rows each part has."""
        glass = self.break_glass
        return {
            "people": len(self.people) + len(self.services),
            "requests": len(self.requests),
            "grants": len(self.grants),
            "looks": self.looks_total,
            "sign-ins": sum(one.opened for one in self.sign_ins),
            "reviews": len(self.reviews),
            "break-glass": sum(not one.drill for one in glass),
            "drills": sum(one.drill for one in glass),
            "alerts": len(self.alerts),
            "trail": self.trail.entries,
        }

    def plain(self) -> dict[str, Any]:
        """As JSON tells it, without the single looks."""
        told: dict[str, Any] = {"format": FORMAT, "complete": not self.incomplete, "counts": self.counts()}
        return told | {name: _listed(value) for name, value in asdict(self).items()}


def _listed(value: Any) -> Any:
    """Sets as sorted lists."""
    if isinstance(value, set):
        return sorted(value)
    if isinstance(value, dict):
        return {key: _listed(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_listed(one) for one in value]
    return value
