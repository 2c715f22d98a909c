"""From the records of a trail to one vendor's month, in one pass and bounded memory.

    gathering = EvidenceGathering("Acme", month, policy, look=file.write)
    for record in trail.records(): gathering.take(record)
    pack = gathering.pack(trail=.., made_ns=..)

Registers stand as of the end of the month, so the same month gives the same pack whenever it is made: what governs and
came after the month is kept back, and taken only where an entry of the month still follows it (a clock that was set
back). What was done later, a review that was closed late, is in the pack of that month. Looks are summed by person and
grants; each is handed to `look` as it comes. What is kept grows with people, grants and tags, never with looks.

Nothing of another vendor gets in: a person is taken by employer, a grant by its person, an alert by both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from receiver.governed.alerts.alert import ACKNOWLEDGED, RAISED
from receiver.governed.alerts.alert_board import shown_alert
from receiver.governed.alerts.read_check import SERVICE, ReadCheck, ReadFault
from receiver.governed.evidence.calendar_month import CalendarMonth
from receiver.governed.evidence.evidence_pack import EvidencePack, LookSum, PackAlert, PackTrail, SignInSum
from receiver.governed.evidence.month_rows import MonthRows
from receiver.governed.grants.policy import AccessPolicy
from receiver.governed.sure_time import SureTime
from receiver.governed.trail.entry import GOVERNING, Fact, TrailEntry, TrailRecord

TAGS_KEPT = 5_000
"""Most tags that are named of one sum; every look names its own in the JSON."""

ADDRESSES_KEPT = 100
"""Most network addresses that are named of one person."""

FAULTS_KEPT = 1_000
"""Most reads outside of a grant that are named."""

SITE_WIDE = frozenset({"clock stepped", "no custodian"})
"""Alerts that are about nobody, and so about everybody."""

LookLine = dict[str, Any]


class EvidenceGathering:
    """Takes every record of the trail in order."""

    def __init__(
        self, vendor: str, month: CalendarMonth, policy: AccessPolicy, look: Callable[[LookLine], object]
    ) -> None:
        """
        Args:
            vendor: As assets and enrolments carry the name.
            month: Which.
            policy: The site's: when reviews are due.
            look: Takes each look of the month as plain JSON.
        """
        self._vendor, self._month, self._policy, self._look = vendor, month, policy, look
        self._check = ReadCheck()
        self._kept_back: list[TrailRecord] = []
        self._faults: list[ReadFault] = []
        self._looks: dict[tuple[str, tuple[str, ...]], LookSum] = {}
        self._signs: dict[str, SignInSum] = {}
        self._refused: dict[str, int] = {}
        self._alerts: dict[int, PackAlert] = {}
        self._rows = MonthRows(vendor, month, policy, self._check)
        self._total = 0
        self._first: TrailRecord | None = None
        self._last: TrailRecord | None = None
        self._begins_ns: int | None = None

    def take(self, record: TrailRecord) -> None:
        """The next record.

        Raises:
            ValueError: a governing record that cannot be understood.
        """
        entry = record.entry
        self._begins_ns = entry.at_ns if self._begins_ns is None else self._begins_ns
        if entry.at_ns >= self._month.to_ns:
            if entry.subject in GOVERNING:
                self._kept_back.append(record)
            return
        for one in self._kept_back:
            self._govern(one)
        self._kept_back.clear()
        if entry.subject in GOVERNING:
            self._govern(record)
        if not self._month.holds(entry.at_ns):
            return
        self._first, self._last = self._first or record, record
        if entry.subject == "read":
            self._read(record)
        elif entry.subject == "session":
            self._session(entry)
        elif entry.subject == "notice":
            self._rows.notice(entry)
        elif entry.kind in (RAISED, ACKNOWLEDGED):
            self._alert(record)

    def pack(self, *, trail: PackTrail, made_ns: int) -> EvidencePack:
        """The month, once all records were taken.

        Args:
            trail: What verifying found; the month's stretch is filled in here.
            made_ns: The wall clock [ns since 1970 UTC].
        """
        month, rows = self._month, self._rows
        end_ns = min(month.to_ns, max(made_ns, month.from_ns))
        now = SureTime(end_ns, end_ns)
        return EvidencePack(
            vendor=self._vendor,
            month=month.name,
            zone=month.zone,
            from_ns=month.from_ns,
            to_ns=month.to_ns,
            made_ns=made_ns,
            trail=self._stretch(trail),
            incomplete=tuple(self._missing(trail, made_ns)),
            faults=tuple(f"entry {one.number}: {one.text}" for one in self._faults),
            looks_total=self._total,
            refused=dict(self._refused),
            people=rows.people(now),
            services=rows.services(now),
            requests=rows.requests(),
            grants=rows.grants(now),
            looks=tuple(self._looks.values()),
            sign_ins=tuple(self._signs.values()),
            reviews=rows.reviews(now),
            break_glass=rows.glasses(),
            alerts=tuple(self._alerts.values()),
        )

    def _govern(self, record: TrailRecord) -> None:
        self._check.take(record)
        self._rows.govern(record)

    def _missing(self, trail: PackTrail, made_ns: int) -> list[str]:
        found = []
        if not trail.sound:
            found.append("the trail does not verify: what is here may not be what was written, nor all of it")
        if made_ns < self._month.to_ns:
            found.append("the month is not over")
        if self._begins_ns is None or self._begins_ns >= self._month.to_ns:
            found.append("the trail has no entry of this month or before it: nothing was governed then")
        if all(one.draft.employer != self._vendor for one in self._check.people):
            text = "nobody of this vendor was ever enrolled up to then: is the name as enrolments have it?"
            found.append(f"{text} checkvalve person list RECEIVER.toml shows them")
        return found

    def _stretch(self, trail: PackTrail) -> PackTrail:
        if self._first is None or self._last is None:
            return trail
        return PackTrail(
            sound=trail.sound,
            entries=trail.entries,
            hash=trail.hash,
            anchor=trail.anchor,
            faults=trail.faults,
            agreed=trail.agreed,
            unseen_from=trail.unseen_from,
            first=self._first.number,
            first_hash=self._first.hash.hex(),
            last=self._last.number,
            last_hash=self._last.hash.hex(),
        )

    def _ours(self, key: str) -> bool:
        """Whether a person or a service is the vendor's."""
        if key.startswith(SERVICE):
            service = self._check.services.get(key.removeprefix(SERVICE))
            return service is not None and service.employer == self._vendor
        held = self._check.people.get(key)
        return held is not None and held.draft.employer == self._vendor

    def _read(self, record: TrailRecord) -> None:
        entry = record.entry
        if not self._ours(entry.who) and entry.facts.get("vendor") != self._vendor:
            return
        if entry.kind == "read.refused":
            self._refused[entry.who] = self._refused.get(entry.who, 0) + 1
            return
        if len(self._faults) < FAULTS_KEPT:
            self._faults += self._check.take(record)
        self._total += 1
        facts = entry.facts
        grants = tuple(_texts(facts.get("grants")))
        held = self._looks.get((entry.who, grants))
        if held is None:
            held = self._looks[entry.who, grants] = LookSum(person=entry.who, grants=grants, first_ns=entry.at_ns)
        _add(held, entry)
        self._look(
            {
                "number": record.number,
                "at_ns": entry.at_ns,
                "kind": entry.kind,
                "person": entry.who,
                "from": entry.origin,
                **{name: fact for name, fact in facts.items() if name != "vendor"},
            }
        )

    def _session(self, entry: TrailEntry) -> None:
        person = str(entry.facts.get("person", ""))
        if not self._ours(person):
            return
        held = self._signs.setdefault(person, SignInSum(person=person))
        if entry.kind == "session.opened":
            held.opened += 1
            how = str(entry.facts.get("how", ""))
            held.ways[how] = held.ways.get(how, 0) + 1
            _address(held.addresses, entry)
            held.last_ns = entry.at_ns
        elif entry.kind == "session.closed":
            held.closed += 1
        elif entry.kind == "session.failed":
            held.failed += 1
            _address(held.addresses, entry)

    def _alert(self, record: TrailRecord) -> None:
        entry = record.entry
        if entry.kind == ACKNOWLEDGED:
            number = entry.facts.get("alert")
            held = self._alerts.get(number) if isinstance(number, int) else None
            if held is not None:
                self._alerts[held.number] = PackAlert(
                    number=held.number,
                    what=held.what,
                    told=held.told,
                    at_ns=held.at_ns,
                    acknowledged_by=self._rows.called(entry.who),
                    note=str(entry.facts.get("note", "")),
                    acknowledged_ns=entry.at_ns,
                )
            return
        shown = shown_alert(record)
        notice = entry.facts.get("notice")
        about = [self._vendor == shown.vendor] if shown.vendor else []
        about += [self._ours(shown.person)] if shown.person else []
        about += [self._rows.ours(shown.grant)] if shown.grant else []
        about += [self._rows.told_of(notice)] if isinstance(notice, int) else []
        if all(about) if about else shown.what in SITE_WIDE:
            self._alerts[record.number] = PackAlert(
                number=record.number, what=shown.what, told=shown.told, at_ns=shown.since_ns
            )


def _add(held: LookSum, entry: TrailEntry) -> None:
    facts = entry.facts
    held.looks += 1
    held.last_ns = max(held.last_ns, entry.at_ns)
    held.kinds[entry.kind] = held.kinds.get(entry.kind, 0) + 1
    held.assets.update(_texts(facts.get("assets")))
    rows, from_ns, to_ns = (facts.get(name) for name in ("rows", "from_ns", "to_ns"))
    held.rows += rows if isinstance(rows, int) else 0
    if isinstance(from_ns, int):
        held.from_ns = from_ns if held.from_ns is None else min(held.from_ns, from_ns)
    if isinstance(to_ns, int):
        held.to_ns = to_ns if held.to_ns is None else max(held.to_ns, to_ns)
    tags = facts.get("tags")
    for pair in tags if isinstance(tags, list) else ():
        if isinstance(pair, list) and len(pair) == 2:
            name = f"{pair[0]} / {pair[1]}"
            if name not in held.tags and len(held.tags) >= TAGS_KEPT:
                held.more_tags = True
            else:
                held.tags.add(name)
    _address(held.addresses, entry)


def _address(held: set[str], entry: TrailEntry) -> None:
    if entry.origin and len(held) < ADDRESSES_KEPT:
        held.add(entry.origin)


def _texts(fact: Fact) -> list[str]:
    return [one for one in fact if isinstance(one, str)] if isinstance(fact, list) else []
