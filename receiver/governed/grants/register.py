"""The register of requests, grants, duties and reviews: folded from the trail, record by record.

    register = Grants()
    for record in trail.governing():
        register.take(record)
    register.granted(person, now, policy)     what the person may read now, and until when

It changes by `take` alone. What may be written is decided in `asking.py`, `deciding.py` and `break_glass.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from receiver.governed import fact
from receiver.governed.grants import preset as presets
from receiver.governed.grants.duty import Duty
from receiver.governed.grants.extent import Extent, scope_of, union
from receiver.governed.grants.grant import OVER, Grant, GrantState
from receiver.governed.grants.granted import NOTHING, Granted
from receiver.governed.grants.policy import AccessPolicy
from receiver.governed.grants.request import AccessRequest, Decision, Period, RequestState
from receiver.governed.people.person import Person, PersonRole
from receiver.governed.sure_time import SureTime
from receiver.governed.trail.entry import Fact, TrailRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """Somebody looked at what was read under a grant, and at the request beside it."""

    grant: str
    person: str
    findings: str
    justified: bool
    at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DueReview:
    """A review that nobody has closed yet."""

    grant: Grant
    due_ns: int
    """Until when it must be closed [ns since 1970 UTC]."""


class Grants:
    """Everything that was asked, decided and given, as of the newest record taken."""

    def __init__(self) -> None:
        self.requests: dict[str, AccessRequest] = {}
        self.grants: dict[str, Grant] = {}
        self.duties: dict[str, Duty] = {}
        self.reviews: dict[str, Review] = {}
        """By grant."""
        self.credential = ""
        """Break-glass credential that lies ready; empty where none does, or the last was used."""
        self.custodians: dict[str, str] = {}
        """Grant -> custodian who opened the glass."""
        self._of_person: defaultdict[str, list[str]] = defaultdict(list)
        self._takes: Mapping[str, Callable[[TrailRecord], None]] = {
            "request.made": self._made,
            "request.approved": self._decided,
            "request.denied": self._decided,
            "request.refused": self._refused,
            "request.withdrawn": self._withdrawn,
            "grant.given": self._given,
            "grant.begun": self._begun,
            "grant.revoked": self._revoked,
            "roster.set": self._rostered,
            "roster.ended": self._unrostered,
            "break-glass.prepared": self._prepared,
            "break-glass.opened": self._opened,
            "review.closed": self._reviewed,
        }

    def take(self, record: TrailRecord) -> None:
        """One more record of the trail; kinds of other registers are passed over.

        Raises:
            ValueError: It cannot be understood. Nothing may be allowed then.
        """
        change = self._takes.get(record.entry.kind)
        if change is None:
            return
        try:
            change(record)
        except (KeyError, ValueError) as error:
            raise ValueError(f"record {record.number} ({record.entry.kind}) cannot be understood: {error}") from error

    def of_person(self, person: str) -> list[Grant]:
        """All grants of a reader, in the order they were given."""
        return [self.grants[key] for key in self._of_person.get(person, ())]

    def whose(self, grant: Grant) -> frozenset[str]:
        """Whose grant it is: the reader's, and of a system the person's who asked for it."""
        request = self.requests.get(grant.request)
        return frozenset({grant.person}) if request is None else request.theirs

    def granted(self, person: Person, now: SureTime) -> Granted:
        """What somebody may read now: nothing, unless enrolled as a reader, and then the sum of the grants in force.

        Of people of another employer an asset is left out whose description does not name that employer as vendor.
        """
        held = [(one, one.state(now)) for one in self.of_person(person.key)]
        live = [(one, state) for one, state in held if state not in OVER]
        until_ns = min([person.ends_ns, *(one.change_ns(now) for one, _ in live)])
        force = [one for one, state in live if state is GrantState.IN_FORCE and one.preset != presets.SITE_VISIT]
        enrolled = person.active and PersonRole.READER in person.roles and now.late_ns < person.ends_ns
        if not enrolled or not force:
            return Granted(scope=NOTHING, until_ns=until_ns, grants=())
        force.sort(key=lambda one: one.key)
        extents = tuple(one.extent for one in force)
        return Granted(
            scope=scope_of(union(extents), person.employer),
            until_ns=until_ns,
            grants=tuple(one.key for one in force),
            extents=extents,
        )

    def on_duty(self, role: PersonRole, now: SureTime, assets: frozenset[str] = frozenset()) -> list[Duty]:
        """Duties of a role whose hour it is, and which cover all of the assets."""
        return [one for one in self.duties.values() if one.role is role and one.on(now) and one.covers(assets)]

    def reviews_due(self, now: SureTime, policy: AccessPolicy) -> list[DueReview]:
        """Reviews that are open: of break-glass from its opening, of others from the grant's end; most urgent first."""
        found = []
        for one in self.grants.values():
            kind = policy.presets.get(one.preset, presets.PRESETS.get(one.preset))
            if one.key in self.reviews or kind is None or not kind.review_s:
                continue
            glass = one.preset == presets.BREAK_GLASS
            used = not one.waits and one.end_ns > one.period.from_ns
            if glass or (used and one.state(now) in OVER):
                start_ns = one.given_ns if glass else one.end_ns
                found.append(DueReview(grant=one, due_ns=start_ns + round(kind.review_s * 1e9)))
        return sorted(found, key=lambda due: (due.due_ns, due.grant.key))

    def open_glass(self) -> list[Grant]:
        """Break-glass grants whose review nobody has closed: while there is one no glass is broken again."""
        return [
            one for one in self.grants.values() if one.preset == presets.BREAK_GLASS and one.key not in self.reviews
        ]

    def _made(self, record: TrailRecord) -> None:
        given = record.entry.facts
        key = fact.text(given, "request")
        self.requests[key] = AccessRequest(
            key=key,
            person=fact.text(given, "person"),
            preset=fact.text(given, "preset"),
            extent=Extent.of_facts(given),
            reason=fact.text(given, "reason"),
            purpose=fact.text(given, "purpose"),
            period=Period.of_facts(given),
            at_ns=record.entry.at_ns,
            ticket=fact.text(given, "ticket", ""),
            extends=fact.text(given, "extends", ""),
            visit=fact.text(given, "visit", ""),
            asker=record.entry.who,
        )

    def _decided(self, record: TrailRecord) -> None:
        given, yes = record.entry.facts, record.entry.kind == "request.approved"
        decision = Decision(
            person=record.entry.who,
            role=PersonRole(fact.text(given, "role")),
            yes=yes,
            why=fact.text(given, "why"),
            at_ns=record.entry.at_ns,
        )
        key = fact.text(given, "request")
        self.requests[key] = self.requests[key].decided(decision)

    def _refused(self, record: TrailRecord) -> None:
        key = fact.text(record.entry.facts, "request")
        why = fact.text(record.entry.facts, "why")
        self.requests[key] = replace(self.requests[key], state=RequestState.REFUSED, why=why)

    def _withdrawn(self, record: TrailRecord) -> None:
        key = fact.text(record.entry.facts, "request")
        self.requests[key] = replace(self.requests[key], state=RequestState.WITHDRAWN)

    def _given(self, record: TrailRecord) -> None:
        given = record.entry.facts
        request = fact.text(given, "request", "")
        if request:
            self.requests[request] = replace(self.requests[request], state=RequestState.GRANTED)
        self._add(record, preset=fact.text(given, "preset"), request=request, drill=False)

    def _add(self, record: TrailRecord, *, preset: str, request: str, drill: bool) -> None:
        given = record.entry.facts
        grant = Grant(
            key=fact.text(given, "grant"),
            request=request,
            person=fact.text(given, "person"),
            preset=preset,
            extent=Extent.of_facts(given),
            period=Period.of_facts(given),
            given_ns=record.entry.at_ns,
            drill=drill,
        )
        self.grants[grant.key] = grant
        self._of_person[grant.person].append(grant.key)

    def _begun(self, record: TrailRecord) -> None:
        key = fact.text(record.entry.facts, "grant")
        self.grants[key] = replace(self.grants[key], begun_ns=fact.whole(record.entry.facts, "begun_ns"))

    def _revoked(self, record: TrailRecord) -> None:
        key, why = fact.text(record.entry.facts, "grant"), fact.text(record.entry.facts, "why")
        self.grants[key] = replace(self.grants[key], revoked_ns=record.entry.at_ns, revoked_why=why)

    def _rostered(self, record: TrailRecord) -> None:
        duty = Duty.of_facts(record.entry.facts)
        self.duties[duty.key] = duty

    def _unrostered(self, record: TrailRecord) -> None:
        key = fact.text(record.entry.facts, "duty")
        self.duties[key] = replace(self.duties[key], ended_ns=record.entry.at_ns)

    def _prepared(self, record: TrailRecord) -> None:
        self.credential = fact.text(record.entry.facts, "credential")

    def _opened(self, record: TrailRecord) -> None:
        given = record.entry.facts
        self._add(record, preset=presets.BREAK_GLASS, request="", drill=fact.yes(given, "drill"))
        self.custodians[fact.text(given, "grant")] = fact.text(given, "custodian")
        self.credential = ""

    def _reviewed(self, record: TrailRecord) -> None:
        given = record.entry.facts
        key = fact.text(given, "grant")
        self.reviews[key] = Review(
            grant=self.grants[key].key,
            person=record.entry.who,
            findings=fact.text(given, "findings"),
            justified=fact.yes(given, "justified"),
            at_ns=record.entry.at_ns,
        )


def told(extent: Extent, period: Period, more: Mapping[str, Fact], names: Iterable[tuple[str, str]]) -> dict[str, Fact]:
    """Facts of a request or a grant in one order: what it is called, what it is about, when, and the rest."""
    return {**dict(names), **extent.to_facts(), **period.to_facts(), **more}
