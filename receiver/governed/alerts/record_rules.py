"""Alerts that follow from records of the trail as they come, one by one; what the pages raise themselves is left out.

    reads refused            `MANY` refused reads of one person within `WITHIN_NS`
    read outside its grant   read_check.py found one: a look that no grant in force allows
    break-glass opened       at once, drills too
    leaver ..                acted on, or reported, more than a day late

The rules keep little: a few moments a person. A restart begins with what was raised already (`know`), so that
nothing is raised twice.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator

from receiver.governed.alerts.alert import RAISED, raised
from receiver.governed.alerts.read_check import ReadCheck
from receiver.governed.people.enrolment import DAY_NS
from receiver.governed.trail.entry import Fact, TrailEntry, TrailRecord

MANY = 8
"""Refused reads that are no slip any more: a page with an old link makes one, a search by hand makes many."""

WITHIN_NS = 600 * 10**9
"""In which time [ns]."""

QUIET_NS = 3600 * 10**9
"""For so long the same is not raised again of the same person [ns]."""

PERSONS = 10_000
"""Most people whose refused reads are counted at one time; beyond, the longest unseen are forgotten."""


class RecordRules:
    """Takes every record in order, governing ones and looks."""

    def __init__(self, check: ReadCheck | None = None) -> None:
        """
        Args:
            check: Compares looks with grants; it is handed every record by these rules.
        """
        self.check = check or ReadCheck()
        self._refused: defaultdict[str, deque[int]] = defaultdict(deque)
        self._raised: dict[tuple[str, str], int] = {}

    def take(self, record: TrailRecord) -> list[TrailEntry]:
        """What to raise because of it.

        Raises:
            ValueError: a governing record that cannot be understood.
        """
        entry = record.entry
        faults = self.check.take(record)
        if entry.kind == RAISED:
            self.know(entry)
            return []
        found = [
            raised(
                "read outside its grant",
                f"entry {record.number}: {fault.text}",
                at_ns=entry.at_ns,
                subject=f"entry {record.number}",
                origin=entry.origin,
                more={"person": entry.who, "vendor": str(entry.facts.get("vendor", ""))},
            )
            for fault in faults[:1]
        ]
        if entry.kind == "read.refused":
            found += self._refusals(entry)
        elif entry.kind == "break-glass.opened":
            found.append(self._glass(entry))
        elif entry.kind == "person.ended":
            found += self._leaver(entry)
        return [one for one in found if self._new(one)]

    def know(self, entry: TrailEntry) -> None:
        """That this alert was raised already, before its turn in the record has come."""
        self._raised[str(entry.facts.get("what")), str(entry.facts.get("subject"))] = entry.at_ns

    def _new(self, entry: TrailEntry) -> bool:
        key = (str(entry.facts["what"]), str(entry.facts.get("subject")))
        last_ns = self._raised.get(key)
        if last_ns is not None and (key[0] != "reads refused" or abs(entry.at_ns - last_ns) < QUIET_NS):
            return False
        self._raised[key] = entry.at_ns
        return True

    def _refusals(self, entry: TrailEntry) -> Iterator[TrailEntry]:
        times = self._refused.pop(entry.who, deque(maxlen=MANY))
        self._refused[entry.who] = times  # the longest unseen stand first
        if len(self._refused) > PERSONS:
            del self._refused[next(iter(self._refused))]
        count = entry.facts.get("count", 1)  # of names that were asked for at once
        times.extend([entry.at_ns] * min(count if isinstance(count, int) else 1, MANY))
        if len(times) == MANY and abs(entry.at_ns - times[0]) <= WITHIN_NS:
            yield raised(
                "reads refused",
                f"{MANY} reads of {entry.who} within {WITHIN_NS // (60 * 10**9)} min were outside of what is granted",
                at_ns=entry.at_ns,
                subject=entry.who,
                origin=entry.origin,
                more={"person": entry.who, "vendor": str(entry.facts.get("vendor", ""))},
            )

    def _glass(self, entry: TrailEntry) -> TrailEntry:
        facts = entry.facts
        grant, drill = str(facts.get("grant", "")), facts.get("drill") is True
        what = "as a drill" if drill else "in an emergency"
        more: dict[str, Fact] = {"grant": grant, "person": str(facts.get("person", ""))}
        return raised(
            "break-glass opened",
            f"{entry.who} opened equipment {what} under {grant}: {facts.get('why', '')}",
            at_ns=entry.at_ns,
            subject=grant,
            more=more,
        )

    def _leaver(self, entry: TrailEntry) -> Iterator[TrailEntry]:
        left, reported = entry.facts.get("left_ns"), entry.facts.get("reported_ns")
        if not isinstance(left, int):
            return
        reported = reported if isinstance(reported, int) else entry.at_ns
        person = str(entry.facts.get("person", ""))
        held = self.check.people.get(person)
        more: dict[str, Fact] = {"person": person, "vendor": held.draft.employer if held else ""}
        for what, late_ns, told in (
            ("leaver reported late", reported - left, "was reported"),
            ("leaver acted on late", entry.at_ns - reported, "was acted on"),
        ):
            if late_ns > DAY_NS:
                yield raised(
                    what,
                    f"that {person} left {told} {late_ns / 3600e9:.0f} h after",
                    at_ns=entry.at_ns,
                    subject=person,
                    more=more,
                )
