"""The rows of a month that come from registers: people, requests, grants, reviews, broken glass. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from receiver.governed import fact
from receiver.governed.alerts.read_check import SERVICE, ReadCheck
from receiver.governed.evidence.calendar_month import CalendarMonth
from receiver.governed.evidence.evidence_pack import (
    PackDecision,
    PackGlass,
    PackGrant,
    PackPerson,
    PackRequest,
    PackReview,
    PackService,
)
from receiver.governed.grants.extent import Extent
from receiver.governed.grants.grant import Grant
from receiver.governed.grants.policy import AccessPolicy
from receiver.governed.grants.preset import BREAK_GLASS, PRESETS
from receiver.governed.grants.request import AccessRequest, Period
from receiver.governed.people.enrolment import DAY_NS, Enrolment
from receiver.governed.people.tasks import CONFIRM_DAYS
from receiver.governed.sure_time import SureTime
from receiver.governed.trail.entry import TrailEntry, TrailRecord

HOUR_NS = 3600 * 10**9


class MonthRows:
    """What the registers say of one vendor, and a little that they do not keep."""

    def __init__(self, vendor: str, month: CalendarMonth, policy: AccessPolicy, check: ReadCheck) -> None:
        """
        Args:
            vendor: Whose month.
            month: Which.
            policy: When reviews are due.
            check: Holds the registers.
        """
        self._vendor, self._month, self._policy, self._check = vendor, month, policy, check
        self._revoked_by: dict[str, str] = {}
        self._opened: dict[str, TrailRecord] = {}
        """Grant -> how the glass was broken."""
        self._prepared: list[int] = []
        """When credentials were prepared."""
        self._emergencies: dict[int, str] = {}
        """Number of the cause of a notice -> the vendor's grant."""
        self._told: defaultdict[str, list[str]] = defaultdict(list)

    def govern(self, record: TrailRecord) -> None:
        """One more governing record, which the registers have taken."""
        entry = record.entry
        key = str(entry.facts.get("grant", ""))
        if entry.kind == "grant.revoked":
            self._revoked_by[key] = entry.who
        elif entry.kind == "break-glass.opened":
            self._opened[key] = record
        elif entry.kind == "break-glass.prepared":
            self._prepared.append(entry.at_ns)
        if entry.kind in ("break-glass.opened", "grant.given") and self.ours(key):
            self._emergencies[record.number] = key

    def notice(self, entry: TrailEntry) -> None:
        """What became of telling security."""
        number = entry.facts.get("notice")
        grant = self._emergencies.get(number) if isinstance(number, int) else None
        if grant is None or entry.kind != "notice.delivered":
            return
        took_s = (entry.at_ns - self._check.grants.grants[grant].given_ns) / 1e9
        sure = "" if entry.facts.get("confirmed") is True else ", confirmed by nobody"
        self._told[grant].append(f"{entry.facts.get('way')} after {took_s:.0f} s{sure}")

    def told_of(self, number: int) -> bool:
        """Whether a notice is about a grant of the vendor."""
        return number in self._emergencies

    def ours(self, grant: str) -> bool:
        """Whether a grant is of the vendor's people."""
        held = self._check.grants.grants.get(grant)
        return held is not None and self._employer(held.person) == self._vendor

    def called(self, key: str) -> str:
        """Who a key names, for people."""
        held = self._check.people.get(key)
        if held is not None:
            return f"{held.draft.name} ({key})"
        service = self._check.services.get(key.removeprefix(SERVICE))
        return f"{service.name} ({key})" if service is not None else key

    def people(self, now: SureTime) -> tuple[PackPerson, ...]:
        """Who of the vendor was enrolled at some time of the month."""
        return tuple(
            self._person(one, now)
            for one in self._check.people
            if one.draft.employer == self._vendor and self._month.meets(one.enrolled_ns, _end_ns(one))
        )

    def services(self, now: SureTime) -> tuple[PackService, ...]:
        """The vendor's systems with credentials."""
        return tuple(
            PackService(
                key=one.key,
                name=one.name,
                owner=self.called(one.owner),
                sources=one.sources,
                ends_ns=one.ends_ns,
                ended=one.ended or one.ends_ns <= now.late_ns,
            )
            for one in self._check.services
            if one.employer == self._vendor and one.ends_ns > self._month.from_ns
        )

    def requests(self) -> tuple[PackRequest, ...]:
        """Made in the month, or decided in it."""
        return tuple(
            self._request(one)
            for one in self._check.grants.requests.values()
            if self._employer(one.person) == self._vendor
            and any(self._month.holds(at_ns) for at_ns in (one.at_ns, *(said.at_ns for said in one.decisions)))
        )

    def grants(self, now: SureTime) -> tuple[PackGrant, ...]:
        """Given in the month, or allowing something at some time of it."""
        return tuple(
            self._grant(one, now)
            for one in self._check.grants.grants.values()
            if self.ours(one.key)
            and (self._month.holds(one.given_ns) or self._month.meets(one.period.from_ns, one.end_ns))
        )

    def reviews(self, now: SureTime) -> tuple[PackReview, ...]:
        """Due or closed in the month, or open at its end."""
        return tuple(sorted(self._reviews(now), key=lambda one: (one.due_ns, one.grant)))

    def glasses(self) -> tuple[PackGlass, ...]:
        """Broken in the month."""
        return tuple(
            self._glass(grant, record)
            for grant, record in self._opened.items()
            if self._month.holds(record.entry.at_ns) and self.ours(grant)
        )

    def _employer(self, key: str) -> str | None:
        if key.startswith(SERVICE):
            service = self._check.services.get(key.removeprefix(SERVICE))
            return service.employer if service is not None else None
        held = self._check.people.get(key)
        return held.draft.employer if held is not None else None

    def _person(self, one: Enrolment, now: SureTime) -> PackPerson:
        told, left = one.draft, one.leaving
        due_ns = one.confirmed_ns + CONFIRM_DAYS * DAY_NS
        hours = None
        if left is not None and left.left_ns is not None:
            hours = (left.acted_ns - (left.reported_ns or left.acted_ns)) / HOUR_NS
        return PackPerson(
            key=one.key,
            name=told.name,
            login=told.login,
            roles=tuple(sorted(role.value for role in told.roles)),
            contract=told.contract,
            contact=told.contact,
            sponsor=self.called(told.sponsor),
            checked_by=told.checked_by,
            checked_how=told.checked_how,
            enrolled_ns=one.enrolled_ns,
            enrolled_by=self.called(one.enrolled_by),
            ends_ns=told.ends_ns,
            policy=one.policy.version if one.policy else "",
            policy_ns=one.policy.at_ns if one.policy else None,
            confirmed_ns=one.confirmed_ns,
            confirm_due_ns=due_ns,
            overdue=left is None and told.ends_ns > now.late_ns and due_ns <= now.late_ns,
            standing=one.standing(now).value,
            suspended=one.suspended,
            left_ns=left.left_ns if left else None,
            reported_ns=left.reported_ns if left else None,
            acted_ns=left.acted_ns if left else None,
            hours_to_act=hours,
            why_ended=one.why_ended,
        )

    def _request(self, one: AccessRequest) -> PackRequest:
        return PackRequest(
            key=one.key,
            person=self.called(one.person),
            preset=one.preset,
            assets=_assets(one.extent),
            tags=_tags(one.extent),
            reason=one.reason,
            purpose=one.purpose,
            ticket=one.ticket,
            made_ns=one.at_ns,
            from_ns=one.period.from_ns,
            until_ns=one.period.until_ns,
            length_s=one.period.length_s,
            weekly=_weekly(one.period),
            state=one.state.value,
            why=one.why,
            decisions=self._decisions(one),
        )

    def _grant(self, one: Grant, now: SureTime) -> PackGrant:
        request = self._check.grants.requests.get(one.request)
        return PackGrant(
            key=one.key,
            request=one.request,
            person=self.called(one.person),
            preset=one.preset,
            assets=_assets(one.extent),
            tags=_tags(one.extent),
            given_ns=one.given_ns,
            from_ns=one.period.from_ns,
            end_ns=one.end_ns,
            begun_ns=one.begun_ns,
            weekly=_weekly(one.period),
            revoked_ns=one.revoked_ns,
            revoked_by=self.called(self._revoked_by.get(one.key, "")),
            revoked_why=one.revoked_why,
            drill=one.drill,
            state=one.state(now).value,
            approvals=self._decisions(request) if request is not None else (),
        )

    def _decisions(self, request: AccessRequest) -> tuple[PackDecision, ...]:
        return tuple(
            PackDecision(person=self.called(one.person), role=one.role.value, yes=one.yes, why=one.why, at_ns=one.at_ns)
            for one in request.decisions
        )

    def _reviews(self, now: SureTime) -> Iterator[PackReview]:
        grants = self._check.grants
        opened = {one.grant.key for one in grants.reviews_due(now, self._policy)}
        for one in grants.grants.values():
            closed = grants.reviews.get(one.key)
            due_ns = review_due_ns(one, self._policy)
            if not self.ours(one.key) or due_ns is None or (closed is None and one.key not in opened):
                continue
            if closed is not None and not (self._month.holds(closed.at_ns) or self._month.holds(due_ns)):
                continue
            if closed is not None:
                state = "in time" if closed.at_ns <= due_ns else "late"
            else:
                state = "overdue" if due_ns <= now.late_ns else "not due yet"
            yield PackReview(
                grant=one.key,
                preset=one.preset,
                drill=one.drill,
                due_ns=due_ns,
                closed_ns=closed.at_ns if closed else None,
                by=self.called(closed.person) if closed else "",
                findings=closed.findings if closed else "",
                justified=closed.justified if closed else None,
                state=state,
            )

    def _glass(self, grant: str, record: TrailRecord) -> PackGlass:
        entry, held = record.entry, self._check.grants.grants[grant]
        return PackGlass(
            grant=grant,
            drill=held.drill,
            person=self.called(held.person),
            custodian=self.called(self._check.grants.custodians[grant]),
            assets=_assets(held.extent),
            why=fact.text(entry.facts, "why", ""),
            criteria=fact.texts(entry.facts, "criteria"),
            opened_ns=entry.at_ns,
            end_ns=held.end_ns,
            credential=fact.text(entry.facts, "credential", ""),
            renewed_ns=next((at_ns for at_ns in self._prepared if at_ns > entry.at_ns), None),
            told=tuple(self._told.get(grant, ())),
        )


def review_due_ns(grant: Grant, policy: AccessPolicy) -> int | None:
    """Until when a grant must be reviewed [ns since 1970 UTC]; None: it need not be."""
    kind = policy.presets.get(grant.preset, PRESETS.get(grant.preset))
    if kind is None or not kind.review_s:
        return None
    start_ns = grant.given_ns if grant.preset == BREAK_GLASS else grant.end_ns
    return start_ns + round(kind.review_s * 1e9)


def _end_ns(one: Enrolment) -> int:
    """When an enrolment was over, as things stand."""
    return min(one.draft.ends_ns, one.leaving.acted_ns) if one.leaving is not None else one.draft.ends_ns


def _assets(extent: Extent) -> tuple[str, ...]:
    return tuple(sorted(extent.assets))


def _tags(extent: Extent) -> tuple[str, ...]:
    return tuple(f"{asset} / {tag}" for asset, tag in sorted(extent.tags))


def _weekly(period: Period) -> str:
    return f"{period.weekly.text} ({period.weekly.zone})" if period.weekly is not None else ""
