"""Everybody who was ever enrolled, folded from the trail in its order.

    person.enrolled      {person, login, name, employer, roles, ends_ns, checked_by, checked_how, contract, contact,
                          sponsor}
    person.linked        {person, recovery, hours}        a one-time link was issued; of a recovery all credentials went
    person.acknowledged  {person, policy}                 the policy, on first use of the link: now the person is active
    person.changed       {person, ..}                     what of the enrolment is other now
    person.confirmed     {employer, persons, by}          the employer's contact confirmed them
    person.suspended     {person, why}
    person.resumed       {person, why}
    person.ended         {person, why, left_ns, reported_ns}      for ever

An entry of another kind is none of this register's, and a kind that a newer program writes is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from receiver.governed.people.enrolment import Acknowledged, Enrolment, Leaving, PersonDraft, Standing, draft_of
from receiver.governed.people.person import Person
from receiver.governed.people.services import SERVICE, Services
from receiver.governed.sure_time import SureTime
from receiver.governed.trail.entry import Fact, TrailEntry, TrailRecord


class People:
    """The register. Not for several threads."""

    def __init__(self) -> None:
        self.number = 0
        """Of the last record that was taken: `Trail.act` is asked for what came after."""
        self.services = Services()
        """Systems that people answer for."""
        self._held: dict[str, Enrolment] = {}
        self._by_login: dict[str, str] = {}

    def take(self, record: TrailRecord) -> None:
        """One more record; one that was taken already is passed over."""
        if record.number <= self.number:
            return
        self.number = record.number
        self.services.take(record)
        if record.entry.subject == "person":
            self._take(record.entry)

    def __iter__(self) -> Iterator[Enrolment]:
        """Everybody ever enrolled, in the order of enrolment."""
        return iter(list(self._held.values()))

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: str) -> Enrolment | None:
        """By the person's key."""
        return self._held.get(key)

    def find(self, login: str) -> Enrolment | None:
        """By login; of several enrolments of one login the latest."""
        key = self._by_login.get(login)
        return None if key is None else self._held.get(key)

    def person(self, key: str, now: SureTime) -> Person | None:
        """Who a key names, as of now; `service:KEY` is a reader of its owner's employer."""
        if key.startswith(SERVICE):
            service = self.services.get(key.removeprefix(SERVICE))
            return service.person(self, now) if service else None
        held = self._held.get(key)
        return held.person(now) if held else None

    def active(self, now: SureTime) -> list[Person]:
        """Everybody who may sign in now."""
        return [one.person(now) for one in self._held.values() if one.standing(now) is Standing.ACTIVE]

    def _take(self, entry: TrailEntry) -> None:
        facts, key = entry.facts, str(entry.facts.get("person", ""))
        if entry.kind == "person.enrolled":
            self._put(_enrolled(key, draft_of(facts), entry))
        elif entry.kind == "person.confirmed":
            persons = facts.get("persons")
            for one in persons if isinstance(persons, list) else ():
                if held := self._held.get(str(one)):
                    self._put(replace(held, confirmed_ns=entry.at_ns))
        elif held := self._held.get(key):
            self._put(_changed(held, entry))

    def _put(self, enrolment: Enrolment) -> None:
        self._held[enrolment.key] = enrolment
        self._by_login[enrolment.draft.login] = enrolment.key


def _enrolled(key: str, draft: PersonDraft, entry: TrailEntry) -> Enrolment:
    return Enrolment(key=key, draft=draft, enrolled_ns=entry.at_ns, enrolled_by=entry.who, confirmed_ns=entry.at_ns)


def _changed(held: Enrolment, entry: TrailEntry) -> Enrolment:
    facts, why = entry.facts, str(entry.facts.get("why", ""))
    match entry.kind:
        case "person.linked":
            return replace(held, linked_ns=(*held.linked_ns, entry.at_ns))
        case "person.acknowledged":
            return replace(held, policy=Acknowledged(version=str(facts.get("policy", "")), at_ns=entry.at_ns))
        case "person.changed":
            return replace(held, draft=draft_of(held.draft.facts() | dict(facts)))
        case "person.suspended":
            return replace(held, suspended=why or "no reason given")
        case "person.resumed":
            return replace(held, suspended="")
        case "person.ended":
            leaving = Leaving(
                acted_ns=entry.at_ns,
                left_ns=_moment(facts.get("left_ns")),
                reported_ns=_moment(facts.get("reported_ns")),
            )
            return replace(held, leaving=leaving, why_ended=why)
    return held


def _moment(fact: Fact) -> int | None:
    return fact if isinstance(fact, int) else None
