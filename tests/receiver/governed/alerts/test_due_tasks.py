"""Laws of the one list of what is due: each line to whom it concerns, gone once it is done."""

from __future__ import annotations

from access_cast import ACME, APPROVER, CUSTODIAN, DAY, ENGINEER, HOUR, POLICY, SPONSOR, T0, VISIBLE, at, period, wish
from reading_entries import enrolled, given

from receiver.governed.alerts.due_tasks import DueTask, due_tasks
from receiver.governed.alerts.read_check import ReadCheck
from receiver.governed.grants.asking import ask
from receiver.governed.people.person import PersonRole
from receiver.governed.trail.entry import Fact, TrailEntry, TrailRecord


class Registers:
    """Folded from entries."""

    def __init__(self) -> None:
        self.held, self._number = ReadCheck(), 0
        for one in (SPONSOR, ACME, APPROVER, ENGINEER):
            self.take(*enrolled(one))

    def take(self, *entries: TrailEntry) -> None:
        """On record."""
        for entry in entries:
            self._number += 1
            self.held.take(TrailRecord(number=self._number, entry=entry, hash=bytes(32)))

    def due(self, now: int) -> list[DueTask]:
        """The list."""
        return due_tasks(self.held.people, self.held.grants, POLICY, at(now))


def test_a_request_is_due_to_who_may_say_yes_and_lapses() -> None:
    """A standing one to the sponsor alone; one that two must agree to, to those whose yes is still missing."""
    site = Registers()
    for key, preset in (("r-1", "standing"), ("r-2", "tier-1")):
        asked = wish(preset, when=period(T0 + 2 * DAY, T0 + 2 * DAY + 4 * HOUR))
        site.take(*ask(asked, ACME, VISIBLE["Acme"], site.held.grants, POLICY, at(T0), key=key))
    told = {one.request: one for one in site.due(T0)}
    assert (told["r-1"].roles, told["r-1"].persons) == (frozenset(), frozenset({"sponsor"}))
    assert told["r-2"].roles == {PersonRole.APPROVER, PersonRole.ENGINEER}
    assert told["r-2"].what == "acme (Acme) asks for tier-1"
    assert [one.overdue for one in site.due(T0 + 2 * DAY)] == [True, True]
    assert site.due(T0 + 3 * DAY) == []


def test_a_review_is_due_until_it_is_closed() -> None:
    """To those who may close one."""
    site = Registers()
    site.take(given("g-1", ACME, T0 + HOUR, preset="tier-3"))
    (one,) = site.due(T0 + 2 * HOUR)
    assert (one.grant, one.overdue, one.due_ns) == ("g-1", False, T0 + HOUR + 48 * HOUR)
    facts: dict[str, Fact] = {"grant": "g-1", "findings": "as asked for", "justified": True}
    site.take(TrailEntry(kind="review.closed", at_ns=T0 + 3 * HOUR, who="security", facts=facts))
    assert site.due(T0 + 99 * HOUR) == []


def test_a_credential_is_due_where_there_are_custodians_and_none_lies_ready() -> None:
    """At the start, and after each use."""
    site = Registers()
    assert site.due(T0) == []
    site.take(*enrolled(CUSTODIAN))
    (one,) = site.due(T0)
    assert one.what == "no break-glass credential lies ready"
    prepared: dict[str, Fact] = {"credential": "c-1", "place": "safe"}
    site.take(TrailEntry(kind="break-glass.prepared", at_ns=T0, who="command:root", facts=prepared))
    assert site.due(T0) == []


def test_what_is_due_about_people_belongs_to_their_sponsor_too() -> None:
    """And to who looks after people."""
    site = Registers()
    (one,) = [one for one in site.due(T0 + 91 * DAY) if "confirm" in one.what]
    assert one.overdue
    assert one.persons == {"sponsor"}
    assert PersonRole.ADMINISTRATOR in one.roles
