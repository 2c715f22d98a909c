"""The list of open alerts, as a page or a command shows it, and what acknowledging one takes. Pure.

board = AlertBoard()
for record in ..: board.take(record)         the `alert.` records, oldest first; others are passed over
board.open(standing(..))                     events nobody acknowledged, and states that hold, with who knows of them
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from receiver.governed.alerts.alert import ACKNOWLEDGED, ALERTS, OTHER, RAISED
from receiver.governed.alerts.standing_alerts import StandingAlert
from receiver.governed.grants.deciding import SHORTEST_WHY, RuleRefusal
from receiver.governed.people.person import Person, PersonRole
from receiver.governed.people.register import People
from receiver.governed.trail.entry import Fact, TrailEntry, TrailRecord

KEPT = 10_000
"""Most alerts in the list: beyond, the oldest events are shown no more; they stay in the trail."""

MAY = frozenset({PersonRole.SECURITY, PersonRole.ENGINEER, PersonRole.ADMINISTRATOR})
"""Roles that acknowledge: who is told, the plant, and who looks after people. A custodian does not, of their own."""

SEE = MAY | {PersonRole.AUDITOR}
"""Roles that see all alerts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """Somebody knows of it, and said what was found."""

    who: str
    note: str
    at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownAlert:
    """One line of the list."""

    number: int
    """Of its entry in the trail, by which it is acknowledged; 0: it holds and is not on record yet."""
    what: str
    told: str
    next_step: str
    since_ns: int
    state: bool
    """It ends by being mended."""
    person: str = ""
    grant: str = ""
    vendor: str = ""
    """Whose people it is about; empty: the site's. What a list for one vendor is made by."""
    acknowledged: Acknowledgement | None = None


class AlertBoard:
    """Alerts of the trail and who acknowledged them."""

    def __init__(self) -> None:
        self._raised: dict[int, ShownAlert] = {}
        self._of_state: dict[tuple[str, str], int] = {}
        self.dropped = 0
        """Events that are in the list no more, for there were too many."""

    def take(self, record: TrailRecord) -> None:
        """One more record."""
        entry = record.entry
        if entry.kind == RAISED:
            shown = shown_alert(record)
            self._raised[record.number] = shown
            if shown.state:
                self._of_state[shown.what, str(entry.facts.get("subject", ""))] = record.number
            if len(self._raised) > KEPT:
                del self._raised[next(iter(self._raised))]
                self.dropped += 1
        elif entry.kind == ACKNOWLEDGED:
            number = entry.facts.get("alert")
            if isinstance(number, int) and number in self._raised:
                note = Acknowledgement(who=entry.who, note=str(entry.facts.get("note", "")), at_ns=entry.at_ns)
                self._raised[number] = replace(self._raised[number], acknowledged=note)

    def get(self, number: int) -> ShownAlert | None:
        """By the number of its entry."""
        return self._raised.get(number)

    def all(self) -> list[ShownAlert]:
        """Everything that was raised, oldest first."""
        return list(self._raised.values())

    def missing(self, standing: Iterable[StandingAlert]) -> list[StandingAlert]:
        """Those that hold and are not on record yet."""
        return [one for one in standing if (one.what, one.subject) not in self._of_state]

    def open(self, standing: Iterable[StandingAlert]) -> list[ShownAlert]:
        """What somebody must look at, the longest open first; what is acknowledged and still holds stands last."""
        events = [one for one in self._raised.values() if not one.state and one.acknowledged is None]
        states = []
        for one in standing:
            number = self._of_state.get((one.what, one.subject), 0)
            held = self._raised.get(number)
            states.append(
                ShownAlert(
                    number=number,
                    what=one.what,
                    told=one.told,
                    next_step=ALERTS[one.what].next_step,
                    since_ns=one.since_ns,
                    state=True,
                    acknowledged=held.acknowledged if held else None,
                    **{name: str(one.more.get(name, "")) for name in ("person", "grant", "vendor")},
                )
            )
        return sorted([*events, *states], key=lambda one: (one.acknowledged is not None, one.since_ns, one.number))


def shown_alert(record: TrailRecord) -> ShownAlert:
    """An `alert.raised` as it is shown; whatever its facts are."""
    entry = record.entry
    what = str(entry.facts.get("what", ""))
    kind = ALERTS.get(what, OTHER)
    return ShownAlert(
        number=record.number,
        what=what,
        told=str(entry.facts.get("told", "")) or _told(entry),
        next_step=kind.next_step,
        since_ns=entry.at_ns,
        state=kind.state,
        person=str(entry.facts.get("person", "")),
        grant=str(entry.facts.get("grant", "")),
        vendor=str(entry.facts.get("vendor", "")),
    )


def visible(found: Iterable[ShownAlert], person: Person, people: People) -> list[ShownAlert]:
    """What somebody may see of it: who acknowledges and the auditor all, a sponsor what is about the people sponsored.

    Args:
        found: Any.
        person: Who looks.
        people: Up to date.
    """
    if not person.active or person.employer:
        return []
    if person.roles & SEE:
        return list(found)

    def sponsored(one: ShownAlert) -> bool:
        held = people.get(one.person)
        return held is not None and held.draft.sponsor == person.key

    return [one for one in found if sponsored(one)] if PersonRole.SPONSOR in person.roles else []


def acknowledge(
    board: AlertBoard, number: int, note: str, *, by: str, person: Person | None, at_ns: int
) -> list[TrailEntry]:
    """The entry of an acknowledgement.

    Args:
        board: Up to date.
        number: The alert's.
        note: What was found and done, in words.
        by: As the trail names who acts.
        person: Who that is; None: it was typed on the machine by who may read the trail.
        at_ns: The wall clock [ns since 1970 UTC].

    Raises:
        RuleRefusal: There is none of that number, it is acknowledged, the person may not, or says nothing.
    """
    held = board.get(number)
    if held is None:
        raise RuleRefusal(f"no alert has the number {number}")
    if held.acknowledged is not None:
        raise RuleRefusal(f"{held.acknowledged.who} has acknowledged it already")
    if person is not None and (not person.active or not person.roles & MAY):
        raise RuleRefusal(f"an alert is acknowledged by: {', '.join(sorted(MAY))}")
    if person is not None and person.key == held.person:
        raise RuleRefusal("it is about you; somebody else acknowledges it")
    if len(note.strip()) < SHORTEST_WHY:
        raise RuleRefusal(f"say what was found, in at least {SHORTEST_WHY} characters")
    facts: dict[str, Fact] = {"alert": number, "what": held.what, "note": note.strip(), "vendor": held.vendor}
    return [TrailEntry(kind=ACKNOWLEDGED, at_ns=at_ns, who=by, facts=facts)]


def _told(entry: TrailEntry) -> str:
    """What the pages raise themselves carries facts and no sentence."""
    facts = entry.facts
    match facts.get("what"):
        case "failed sign-ins":
            return f"too many failures for {facts.get('person') or 'a login that nobody has'} from {entry.origin}"
        case "several browsers":
            agents = facts.get("agents")
            held = "; ".join(str(one) for one in agents) if isinstance(agents, list) else ""
            return f"{facts.get('person')} is signed in with several browsers at once: {held}"
        case "second address" | "address changed" as what:
            places = facts.get("addresses")
            where = ", ".join(str(one) for one in places) if isinstance(places, list) else ""
            return f"{facts.get('person')}: {what} ({where})"
        case "clock stepped":
            return f"the clock of the low side was set by {facts.get('by_s')} s"
    return ""
