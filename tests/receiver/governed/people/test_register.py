"""Enrolment: who may be enrolled, what becomes of it, what is due."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from trail_in_memory import MemoryTrail

from protocol.errors import ConfigError
from receiver.governed.people.acts import LINK_HOURS, PeopleActs
from receiver.governed.people.enrolment import DAY_NS, LONGEST_DAYS, PersonDraft, Standing
from receiver.governed.people.logins import refusal
from receiver.governed.people.person import PersonRole
from receiver.governed.people.register import People
from receiver.governed.people.tasks import CONFIRM_DAYS, tasks
from receiver.governed.sure_time import SureTime
from receiver.governed.trail.entry import TrailEntry, TrailRecord

NOW = 1_790_000_000 * 10**9
HOUR_NS = 3600 * 10**9
OWN = PersonDraft(
    login="s.smith@plant.example",
    name="Sam Smith",
    roles=frozenset({PersonRole.SPONSOR}),
    ends_ns=NOW + 300 * DAY_NS,
    checked_by="HR",
    checked_how="works here",
)
VENDOR = PersonDraft(
    login="j.doe@acme.example",
    name="Jo Doe",
    roles=frozenset({PersonRole.READER}),
    ends_ns=NOW + 180 * DAY_NS,
    checked_by="Sam Smith",
    checked_how="called back over the contract's number",
    employer="Acme",
    contract="2026-17",
    contact="Ann Acme",
    sponsor="p-sponsor1",
)


class Desk:
    """A register at its trail, and a clock that is moved."""

    def __init__(self) -> None:
        self.trail, self.people, self.at_ns = MemoryTrail(), People(), NOW

    @property
    def now(self) -> SureTime:
        return SureTime(self.at_ns, self.at_ns)

    def act(self, wish: Callable[[PeopleActs], Sequence[TrailEntry]]) -> list[TrailRecord]:
        def decide(fresh: Sequence[TrailRecord]) -> Sequence[TrailEntry]:
            for record in fresh:
                self.people.take(record)
            return wish(PeopleActs(self.people, self.now, at_ns=self.at_ns, by="command:root"))

        made = self.trail.act(self.people.number, decide)
        for record in made:
            self.people.take(record)
        return made

    def standing(self, key: str) -> Standing:
        held = self.people.get(key)
        assert held is not None
        return held.standing(self.now)

    def ready(self) -> Desk:
        """With a sponsor and one of the vendor's people, both active."""
        for key, draft in (("p-sponsor1", OWN), ("p-reader01", VENDOR)):
            self.act(lambda acts, key=key, draft=draft: acts.enrol(key, draft))  # type: ignore[misc]
            self.act(lambda acts, key=key: acts.acknowledge(key, "v1"))  # type: ignore[misc]
        return self


@pytest.mark.parametrize(
    "login",
    [
        "info@acme.example",
        "support@acme.example",
        "ot-team@acme.example",
        "service2@a.example",
        "acme-support@acme.example",
        "acme@acme.example",
        "control.room@plant.example",
        "123@acme.example",
        "OT_Team",
    ],
)
def test_a_mailbox_of_several_people_is_no_login(login: str) -> None:
    """Nobody could say afterwards who looked."""
    assert refusal(login)


@pytest.mark.parametrize(
    "login", ["j.doe@acme.example", "doe.service@acme.example", "jane-doe2@acme.example", "li@x.example"]
)
def test_an_address_of_ones_own_is_a_login(login: str) -> None:
    """Also where one of its words is a job's."""
    assert refusal(login) == ""


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"login": "info@acme.example"}, "login"),
        ({"name": " "}, "name"),
        ({"checked_by": ""}, "checked_by"),
        ({"checked_how": ""}, "checked_how"),
        ({"contract": ""}, "contract"),
        ({"contact": ""}, "contact"),
        ({"sponsor": ""}, "sponsor"),
        ({"sponsor": "p-reader01"}, "sponsor"),
        ({"ends_ns": NOW}, "ends"),
        ({"ends_ns": NOW + (LONGEST_DAYS + 1) * DAY_NS}, "ends"),
        ({"roles": frozenset()}, "roles"),
        ({"roles": frozenset({PersonRole.READER, PersonRole.APPROVER})}, "roles"),
        ({"name": "Jo\nDoe"}, "name"),
    ],
)
def test_nobody_is_enrolled_with_something_missing(changes: dict[str, Any], field: str) -> None:
    """Each field is told by its name, and nothing is on record."""
    desk = Desk().ready()
    before = len(desk.trail.records)
    draft = replace(VENDOR, **({"login": "other@acme.example"} | changes))
    with pytest.raises(ConfigError, match=f"{field}: "):
        desk.act(lambda acts: acts.enrol("p-new00001", draft))
    assert len(desk.trail.records) == before


@pytest.mark.parametrize("role", [role for role in PersonRole if role is not PersonRole.AUDITOR])
def test_an_auditor_is_nothing_else(role: PersonRole) -> None:
    """Nobody audits what they do themselves."""
    desk = Desk()
    draft = replace(OWN, roles=frozenset({PersonRole.AUDITOR, role}))
    with pytest.raises(ConfigError, match="exclude each other"):
        desk.act(lambda acts: acts.enrol("p-new00001", draft))


@pytest.mark.parametrize("role", [PersonRole.READER, PersonRole.APPROVER, PersonRole.ENGINEER, PersonRole.CUSTODIAN])
def test_an_administrator_neither_reads_nor_approves(role: PersonRole) -> None:
    """Who enrols people could let anybody in alone."""
    draft = replace(OWN, roles=frozenset({PersonRole.ADMINISTRATOR, role}))
    with pytest.raises(ConfigError, match="exclude each other"):
        Desk().act(lambda acts: acts.enrol("p-new00001", draft))


def test_a_person_is_active_between_the_policy_and_the_end() -> None:
    """Invited until the policy is acknowledged; ended with the last moment, by the later clock."""
    desk = Desk()
    desk.act(lambda acts: acts.enrol("p-sponsor1", OWN))
    assert desk.standing("p-sponsor1") is Standing.INVITED
    assert desk.people.active(desk.now) == []
    desk.act(lambda acts: acts.acknowledge("p-sponsor1", "v1"))
    assert desk.standing("p-sponsor1") is Standing.ACTIVE
    held = desk.people.get("p-sponsor1")
    assert held is not None
    assert held.standing(SureTime(NOW, OWN.ends_ns - 1)) is Standing.ACTIVE
    assert held.standing(SureTime(NOW, OWN.ends_ns)) is Standing.ENDED  # the wall clock was set back
    assert not held.person(SureTime(NOW, OWN.ends_ns)).active


def test_a_suspension_holds_until_it_is_undone_and_an_end_for_ever() -> None:
    """Each with a reason; after the end no act is possible but a new enrolment under a new key."""
    desk = Desk().ready()
    desk.act(lambda acts: acts.suspend("p-reader01", "contract is renegotiated"))
    assert desk.standing("p-reader01") is Standing.SUSPENDED
    with pytest.raises(ConfigError, match="suspended"):
        desk.act(lambda acts: acts.link("p-reader01", recovery=True))
    desk.act(lambda acts: acts.resume("p-reader01", "it is signed"))
    assert desk.standing("p-reader01") is Standing.ACTIVE
    with pytest.raises(ConfigError, match="reason"):
        desk.act(lambda acts: acts.end("p-reader01", " "))
    desk.act(lambda acts: acts.end("p-reader01", "left"))
    assert desk.standing("p-reader01") is Standing.ENDED
    wishes: list[Callable[[PeopleActs], Sequence[TrailEntry]]] = [
        lambda acts: acts.resume("p-reader01", "why"),
        lambda acts: acts.change("p-reader01", name="Jo"),
        lambda acts: acts.link("p-reader01", recovery=True),
        lambda acts: acts.acknowledge("p-reader01", "v2"),
    ]
    for wish in wishes:
        with pytest.raises(ConfigError, match="ended"):
            desk.act(wish)
    desk.act(lambda acts: acts.enrol("p-reader02", VENDOR))
    found = desk.people.find(VENDOR.login)
    assert found is not None
    assert found.key == "p-reader02"


def test_a_login_is_one_person_s_at_a_time() -> None:
    """Also by way of a change."""
    desk = Desk().ready()
    with pytest.raises(ConfigError, match="enrolled already"):
        desk.act(lambda acts: acts.enrol("p-reader02", VENDOR))
    desk.act(lambda acts: acts.enrol("p-reader02", replace(VENDOR, login="k.doe@acme.example")))
    with pytest.raises(ConfigError, match="login of p-reader01"):
        desk.act(lambda acts: acts.change("p-reader02", login=VENDOR.login))


def test_a_change_says_what_is_other_and_nothing_else() -> None:
    """The trail shows the new facts alone; the fold has them all."""
    desk = Desk().ready()
    (made,) = desk.act(lambda acts: acts.change("p-reader01", ends_ns=NOW + 10 * DAY_NS))
    assert made.entry.facts == {"person": "p-reader01", "ends_ns": NOW + 10 * DAY_NS}
    held = desk.people.get("p-reader01")
    assert held is not None
    assert held.draft == replace(VENDOR, ends_ns=NOW + 10 * DAY_NS)


def test_an_employer_confirms_its_people_or_is_reminded() -> None:
    """Two weeks ahead it is due, then overdue; who is confirmed is due a quarter later."""
    desk = Desk().ready()
    assert tasks(desk.people, desk.now) == []
    desk.at_ns = NOW + (CONFIRM_DAYS - 13) * DAY_NS
    (due,) = tasks(desk.people, desk.now)
    assert (due.what, due.overdue) == ("Acme is to confirm its people: Jo Doe", False)
    assert due.sponsors == {"p-sponsor1"}
    desk.at_ns = NOW + (CONFIRM_DAYS + 1) * DAY_NS
    assert [task.overdue for task in tasks(desk.people, desk.now)] == [True]
    desk.act(lambda acts: acts.confirm("Acme", [], "Ann Acme"))
    assert tasks(desk.people, desk.now) == []
    with pytest.raises(ConfigError, match="nobody of Acme"):
        desk.act(lambda acts: acts.confirm("Acme", ["p-sponsor1"], "Ann Acme"))


@pytest.mark.parametrize(("hours", "late"), [(23, False), (25, True)])
def test_a_leaver_reported_after_a_day_is_told(hours: int, late: bool) -> None:
    """When the person left, when that was said, when it was acted on: all three are on record."""
    desk = Desk().ready()
    desk.at_ns = NOW + 10 * DAY_NS
    left = desk.at_ns - hours * HOUR_NS
    desk.act(lambda acts: acts.end("p-reader01", "left Acme", left_ns=left, reported_ns=desk.at_ns))
    assert [("24 h" in task.what) for task in tasks(desk.people, desk.now)] == [True] * late
    with pytest.raises(ConfigError, match="follow"):
        desk.act(lambda acts: acts.end("p-sponsor1", "left", left_ns=desk.at_ns, reported_ns=left))


def test_a_link_that_nobody_used_is_told_when_it_is_void() -> None:
    """Somebody waits for it, or it is in wrong hands."""
    desk = Desk()
    desk.act(lambda acts: acts.enrol("p-sponsor1", OWN))
    desk.act(lambda acts: acts.link("p-sponsor1", recovery=False))
    assert tasks(desk.people, desk.now) == []
    desk.at_ns = NOW + (LINK_HOURS + 1) * HOUR_NS
    (task,) = tasks(desk.people, desk.now)
    assert "has not used the link" in task.what


def test_the_fold_is_the_same_in_one_go_and_step_by_step() -> None:
    """Records that come twice, and those of other subjects or unknown kinds, change nothing."""
    desk = Desk().ready()
    desk.act(lambda acts: acts.suspend("p-reader01", "why"))
    desk.trail.note([TrailEntry(kind="person.levitated", at_ns=NOW, who="system", facts={"person": "p-reader01"})])
    desk.trail.note([TrailEntry(kind="grant.given", at_ns=NOW, who="system", facts={"person": "p-reader01"})])
    again = People()
    for record in [*desk.trail.governing(), *desk.trail.governing()]:
        again.take(record)
    assert list(again) == list(desk.people)
