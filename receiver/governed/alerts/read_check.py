"""An auditor's own look at every read: was there a grant in force, for this person, for these tags, at that moment?

The portal asks before it shows; this asks afterwards, of the record alone, in other words than the portal's. Nothing
it finds may ever be there. Records are taken in their order, so that what governs is what governed then.

    under no grant            a read that shows an asset and names no grant
    not the reader's          the grant is another person's, or was never given
    outside its time          before its beginning, after its end, outside its weekly hours, or revoked
    outside its extent        an asset or a tag that none of the named grants is for
    not enrolled              the person was not active then

A look goes on record after its answer was made, so its moment may lie a little behind the decision: `LATE_NS` after an
end is no fault. A grant never begins early. Ends are compared with the latest moment of any record so far: a
clock that was set back lengthens nothing here either.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from receiver.governed import fact
from receiver.governed.grants.extent import Extent, union
from receiver.governed.grants.grant import Grant
from receiver.governed.grants.register import Grants
from receiver.governed.people.register import People
from receiver.governed.people.services import Services
from receiver.governed.sure_time import SureTime
from receiver.governed.trail.entry import TrailEntry, TrailRecord

LATE_NS = 5 * 10**9
"""So long after an end a look may go on record [ns]: an answer is made within it, and a revocation is seen within one
second by every process."""

SERVICE = "service:"

STOPS = frozenset({"person.suspended", "person.ended", "service.ended"})
"""Kinds after which somebody reads no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFault:
    """One read that no grant allowed."""

    number: int
    """Of its entry."""
    text: str


class ReadCheck:
    """Registers of its own, folded from the records it is handed."""

    def __init__(self) -> None:
        self.people, self.services, self.grants = People(), Services(), Grants()
        self.reads = 0
        """Looks that were compared."""
        self._latest_ns = 0
        """Latest moment of any record so far [ns since 1970 UTC]."""
        self._stopped: dict[str, int] = {}
        """Person or `service:KEY` -> when somebody suspended or ended it."""

    def take(self, record: TrailRecord) -> list[ReadFault]:
        """The next record; what is wrong with it, where it is a read.

        Raises:
            ValueError: a governing record that cannot be understood.
        """
        entry = record.entry
        self.people.take(record)
        self.services.take(record)
        self.grants.take(record)
        self._latest_ns = max(self._latest_ns, entry.at_ns)
        if entry.kind in STOPS:
            self._stopped[str(entry.facts.get("person", f"{SERVICE}{entry.facts.get('service')}"))] = entry.at_ns
        elif entry.kind == "person.resumed":
            self._stopped.pop(str(entry.facts.get("person")), None)
        if entry.subject != "read" or entry.kind == "read.refused":
            return []
        self.reads += 1
        try:
            return [ReadFault(number=record.number, text=text) for text in self._wrong(entry)]
        except ValueError as error:
            return [ReadFault(number=record.number, text=f"cannot be understood: {error}")]

    def _wrong(self, entry: TrailEntry) -> Iterator[str]:
        assets = frozenset(fact.texts(entry.facts, "assets"))
        if not assets:
            return
        keys = fact.texts(entry.facts, "grants")
        if not keys:
            yield f"{entry.who} read {_some(assets)} under no grant"
            return
        if trouble := self._reader(entry):
            yield trouble
        held = [self.grants.grants.get(key) for key in keys]
        for key, grant in zip(keys, held, strict=True):
            if grant is None or grant.person != entry.who:
                yield f"{entry.who} read {_some(assets)} under {key}, which is none of theirs"
        own = [one for one in held if one is not None and one.person == entry.who]
        for one in own:
            if not _in_force(one, entry.at_ns, self._latest_ns):
                state = one.state(SureTime(entry.at_ns, self._latest_ns)).value
                yield f"{entry.who} read {_some(assets)} under {one.key}, which was {state}"
        yield from _outside(union(one.extent for one in own), assets, fact.pairs(entry.facts, "tags"), entry.who)

    def _reader(self, entry: TrailEntry) -> str:
        """Why who read was nobody then; empty where enrolled."""
        stopped_ns = self._stopped.get(entry.who)
        if stopped_ns is not None:
            return "" if self._latest_ns < stopped_ns + LATE_NS else f"{entry.who} was suspended or ended then"
        before_ns = self._latest_ns - LATE_NS
        if entry.who.startswith(SERVICE):
            service = self.services.get(entry.who.removeprefix(SERVICE))
            if service is None or before_ns >= service.ends_ns:
                return f"{entry.who} was no service then"
            return "" if service.from_here(entry.origin) else f"{entry.who} read from {entry.origin}, none of its own"
        held = self.people.get(entry.who)
        if held is None or not held.person(SureTime(before_ns, before_ns)).active:
            return f"{entry.who} was not enrolled then"
        return ""


def _in_force(grant: Grant, at_ns: int, latest_ns: int) -> bool:
    """At this moment, or until just before it."""
    if at_ns < grant.period.from_ns or grant.waits:
        return False
    end_ns = grant.end_ns
    if latest_ns >= end_ns + LATE_NS:
        return False
    hours, before_ns = grant.period.weekly, min(at_ns, end_ns - 1)
    return hours is None or hours.holds(before_ns) or hours.holds(max(before_ns - LATE_NS, grant.period.from_ns))


def _outside(extent: Extent, assets: Iterable[str], tags: Iterable[tuple[str, str]], who: str) -> Iterator[str]:
    if strange := frozenset(assets) - extent.assets:
        yield f"{who} read {_some(strange)}, which none of the named grants is for"
    named = frozenset(tags)
    limited = extent.limited
    for asset in sorted(limited & frozenset(assets)):
        of_asset = {one for one in named if one[0] == asset}
        if more := of_asset - extent.tags:
            tag = min(more)[1]
            yield f"{who} read {tag} of {asset}, which none of the named grants is for"


def _some(assets: frozenset[str]) -> str:
    first = ", ".join(sorted(assets)[:3])
    return first + (f" and {len(assets) - 3} more" if len(assets) > 3 else "")
