"""Laws of alerts: what happened is raised once and open until acknowledged; what holds is open until it is mended."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from access_cast import ACME, CUSTODIAN, DAY, ENGINEER, HOUR, POLICY, PUMP, SECOND, SECURITY, T0, VOLTA, at, period
from reading_entries import enrolled, given, read

from receiver.governed.alerts.alert import raised
from receiver.governed.alerts.alert_board import AlertBoard, acknowledge
from receiver.governed.alerts.read_check import LATE_NS
from receiver.governed.alerts.record_rules import MANY, RecordRules
from receiver.governed.alerts.standing_alerts import first_gap_ns, standing
from receiver.governed.grants import weekly
from receiver.governed.grants.deciding import RuleRefusal
from receiver.governed.grants.duty import Duty
from receiver.governed.grants.request import Period
from receiver.governed.people.person import PersonRole
from receiver.governed.trail.entry import Fact, TrailEntry, TrailRecord


class Run:
    """Rules, handed entries one by one."""

    def __init__(self) -> None:
        self.rules, self.number = RecordRules(), 0
        self.board = AlertBoard()

    def take(self, *entries: TrailEntry) -> list[str]:
        """What is raised by these; it goes on record as the shell does it."""
        told = []
        for entry in entries:
            found = self._one(entry)
            told += [str(one.facts["what"]) for one in found]
            for one in found:
                assert self._one(one) == []
        return told

    def _one(self, entry: TrailEntry) -> Sequence[TrailEntry]:
        self.number += 1
        record = TrailRecord(number=self.number, entry=entry, hash=bytes(32))
        self.board.take(record)
        return self.rules.take(record)


OUTSIDE = "read outside its grant"


@pytest.mark.parametrize(
    ("look", "expected"),
    [
        (read(ACME, T0, "g-1"), []),
        (read(ACME, T0 + HOUR - 1, "g-1"), []),
        (read(ACME, T0 + HOUR + LATE_NS - 1, "g-1"), []),
        (read(ACME, T0 + HOUR + LATE_NS, "g-1"), [OUTSIDE]),
        (read(ACME, T0 - 1, "g-1"), [OUTSIDE]),
        (read(ACME, T0, "g-9"), [OUTSIDE]),
        (read(ACME, T0), [OUTSIDE]),
        (read(ACME, T0, "g-1", asset="press-1"), [OUTSIDE]),
        (read(VOLTA, T0, "g-1"), [OUTSIDE]),
        (read(ACME, T0 + 2 * DAY, kind="read.refused"), []),
    ],
    ids=["first", "last", "late", "past", "early", "unknown", "none", "foreign", "another's", "refused"],
)
def test_a_read_that_no_grant_in_force_allows_is_found(look: TrailEntry, expected: list[str]) -> None:
    """By its time, its person and its assets, from the record alone; nothing else is."""
    run = Run()
    run.take(*enrolled(ACME), *enrolled(VOLTA), given("g-1", ACME, T0 + HOUR))
    assert run.take(look) == expected


def test_what_ended_in_between_ends_a_look_too() -> None:
    """A revocation, a suspension, an end of hours: from a few seconds after it on, a look is none that was allowed."""
    for stop in (
        TrailEntry(kind="grant.revoked", at_ns=T0 + HOUR, who="security", facts={"grant": "g-1", "why": "over"}),
        TrailEntry(kind="person.suspended", at_ns=T0 + HOUR, who="admin", facts={"person": "acme", "why": "lost"}),
        TrailEntry(kind="person.ended", at_ns=T0 + HOUR, who="admin", facts={"person": "acme", "why": "left"}),
    ):
        run = Run()
        run.take(*enrolled(ACME), given("g-1", ACME, T0 + DAY))
        assert run.take(read(ACME, T0 + HOUR - 1, "g-1"), stop, read(ACME, T0 + HOUR + SECOND, "g-1")) == []
        assert run.take(read(ACME, T0 + HOUR + LATE_NS, "g-1")) == [OUTSIDE], stop.kind
    hours = Period(from_ns=T0 - DAY, until_ns=T0 + 9 * DAY, weekly=weekly.read("Wed 11:00-12:00", "UTC"))
    run = Run()
    run.take(*enrolled(ACME, T0 - DAY), given("g-1", ACME, 0, hours))
    assert run.take(read(ACME, T0, "g-1"), read(ACME, T0 + HOUR, "g-1")) == [OUTSIDE]


def test_a_grant_that_runs_from_first_use_allows_nothing_before_it_was_begun() -> None:
    """And its length from then on."""
    run = Run()
    run.take(*enrolled(ACME), given("g-1", ACME, 0, period(T0, T0 + DAY, 3600.0)))
    assert run.take(read(ACME, T0 + HOUR, "g-1")) == [OUTSIDE]
    facts: dict[str, Fact] = {"grant": "g-1", "begun_ns": T0 + HOUR}
    run.take(TrailEntry(kind="grant.begun", at_ns=T0 + HOUR, who="acme", facts=facts))
    assert run.take(read(ACME, T0 + 2 * HOUR - 1, "g-1"), read(ACME, T0 + 2 * HOUR + LATE_NS, "g-1")) == [OUTSIDE]


def test_a_clock_that_was_set_back_lengthens_no_grant_here_either() -> None:
    """An end is compared with the latest moment of the record; a beginning with the look's own."""
    run = Run()
    run.take(*enrolled(ACME), given("g-1", ACME, T0 + HOUR), given("g-2", ACME, 0, period(T0 - DAY, T0 + 9 * DAY)))
    later = TrailEntry(kind="session.opened", at_ns=T0 + 2 * HOUR, who="volta", facts={"person": "volta"})
    assert run.take(read(ACME, T0, "g-1"), later, read(ACME, T0 + 1, "g-2")) == []
    assert run.take(read(ACME, T0 + 1, "g-1")) == [OUTSIDE]
    stop = TrailEntry(kind="grant.revoked", at_ns=T0 + 2 * HOUR, who="security", facts={"grant": "g-2", "why": "over"})
    late = TrailEntry(kind="session.closed", at_ns=T0 + 3 * HOUR, who="volta", facts={"person": "volta"})
    assert run.take(stop, late, read(ACME, T0 + 2, "g-2")) == [OUTSIDE]


def test_many_refused_reads_are_one_alert() -> None:
    """The last of `MANY` within ten minutes raises it, once an hour; slips spread over a day do not."""
    run = Run()
    slips = [read(ACME, T0 + count * HOUR, kind="read.refused") for count in range(MANY * 2)]
    assert run.take(*slips) == []
    late = T0 + 2 * DAY
    search = [read(ACME, late + count * SECOND, kind="read.refused") for count in range(MANY * 3)]
    assert run.take(*search[: MANY - 1]) == []
    assert run.take(*search[MANY - 1 :]) == ["reads refused"]
    assert run.take(*[read(ACME, late + 2 * HOUR + count, kind="read.refused") for count in range(MANY)]) == [
        "reads refused"
    ]
    assert run.take(read(VOLTA, late, kind="read.refused")) == []


def test_a_broken_glass_is_raised_at_once_drill_or_not() -> None:
    """And not twice."""
    for drill in (False, True):
        run = Run()
        facts: dict[str, Fact] = {"grant": "g-1", "person": "acme", "custodian": "custodian", "drill": drill}
        facts |= {"credential": "c-1", "why": "pump has tripped"} | PUMP.to_facts()
        facts |= period(T0, T0 + HOUR).to_facts()
        run.take(*enrolled(ACME))
        opened = TrailEntry(kind="break-glass.opened", at_ns=T0, who="custodian", facts=facts)
        assert run.take(opened) == ["break-glass opened"]
        (alert,) = run.board.open([])
        assert ("as a drill" in alert.told) is drill
        assert alert.next_step.startswith("Call the custodian")


@pytest.mark.parametrize(
    ("reported", "acted", "expected"),
    [
        (1, 2, []),
        (30, 31, ["leaver reported late"]),
        (1, 26, ["leaver acted on late"]),
        (30, 60, ["leaver reported late", "leaver acted on late"]),
    ],
)
def test_a_leaver_is_late_by_the_employer_or_by_the_site(reported: int, acted: int, expected: list[str]) -> None:
    """Each has 24 hours, counted apart [h after leaving]."""
    run = Run()
    run.take(*enrolled(ACME))
    facts: dict[str, Fact] = {"person": "acme", "why": "left", "left_ns": T0, "reported_ns": T0 + reported * HOUR}
    assert run.take(TrailEntry(kind="person.ended", at_ns=T0 + acted * HOUR, who="admin", facts=facts)) == expected


def test_an_event_is_open_until_a_named_person_says_what_was_found() -> None:
    """Not by a reader, not by who it is about, not without words, and once."""
    run = Run()
    run.take(raised("failed sign-ins", "", at_ns=T0, more={"person": "engineer"}))
    board = run.board
    (alert,) = board.open([])
    assert "too many failures for engineer" in alert.told
    for person, note in ((ACME, "asked him by phone"), (ENGINEER, "asked him by phone"), (SECURITY, "ok")):
        with pytest.raises(RuleRefusal):
            acknowledge(board, alert.number, note, by=person.key, person=person, at_ns=T0)
    with pytest.raises(RuleRefusal):
        acknowledge(board, 99, "asked him by phone", by="security", person=SECURITY, at_ns=T0)
    run.take(*acknowledge(board, alert.number, "asked him by phone", by="security", person=SECURITY, at_ns=T0 + 1))
    assert board.open([]) == []
    assert [one.acknowledged.who for one in board.all() if one.acknowledged] == ["security"]
    with pytest.raises(RuleRefusal):
        acknowledge(board, alert.number, "asked him by phone", by="security", person=SECURITY, at_ns=T0 + 2)


def test_a_state_is_open_until_it_is_mended_whoever_acknowledged_it() -> None:
    """It goes on record once a case, and stands last once somebody knows of it."""
    run = Run()
    run.take(*enrolled(ACME), *enrolled(SECURITY), given("g-1", ACME, T0 + HOUR, preset="tier-3"))
    check, now = run.rules.check, T0 + HOUR + 48 * HOUR
    assert standing(check.people, check.grants, POLICY, at(now - 1)) == []
    (due,) = found = standing(check.people, check.grants, POLICY, at(now))
    assert (due.what, due.subject, due.more["vendor"]) == ("review overdue", "g-1", "Acme")
    assert run.board.missing(found) == found
    run.take(raised(due.what, due.told, at_ns=now, subject=due.subject, more=due.more))
    assert run.board.missing(found) == []
    (shown,) = run.board.open(found)
    run.take(*acknowledge(run.board, shown.number, "will be closed today", by="security", person=SECURITY, at_ns=now))
    (shown,) = run.board.open(found)
    assert shown.acknowledged is not None
    facts: dict[str, Fact] = {"grant": "g-1", "findings": "as asked for", "justified": True}
    run.take(TrailEntry(kind="review.closed", at_ns=now, who="security", facts=facts))
    assert run.board.open(standing(check.people, check.grants, POLICY, at(now))) == []


def test_an_employer_that_confirms_nobody_is_an_alert() -> None:
    """90 days after the last time, one alert a quarter."""
    run = Run()
    run.take(*enrolled(ACME))
    check = run.rules.check
    assert standing(check.people, check.grants, POLICY, at(T0 + 90 * DAY - 1)) == []
    (due,) = standing(check.people, check.grants, POLICY, at(T0 + 90 * DAY))
    assert (due.what, due.more) == ("confirmation overdue", {"vendor": "Acme"})
    facts: dict[str, Fact] = {"employer": "Acme", "persons": ["acme"], "by": "B. Jones"}
    run.take(TrailEntry(kind="person.confirmed", at_ns=T0 + 90 * DAY, who="admin", facts=facts))
    assert standing(check.people, check.grants, POLICY, at(T0 + 179 * DAY)) == []
    (again,) = standing(check.people, check.grants, POLICY, at(T0 + 181 * DAY))
    assert again.subject != due.subject


def duty(text: str, until_ns: int = T0 + 30 * DAY, key: str = "d-1") -> Duty:
    """A custodian's line."""
    when = Period(from_ns=T0 - DAY, until_ns=until_ns, weekly=weekly.read(text, "UTC"))
    return Duty(key=key, role=PersonRole.CUSTODIAN, person="custodian", assets=frozenset(), period=when)


@pytest.mark.parametrize(
    ("lines", "gap_h"),
    [
        (["Wed 06:00-14:00", "Wed 14:00-22:00"], 22),
        (["Wed 06:00-14:00", "Wed 14:00-24:00", "Thu 00:00-24:00"], None),
        (["Thu 06:00-14:00"], 11.11111111),
        (["Wed 06:00-14:00", "Wed 15:00-24:00", "Thu 00:00-24:00"], 14),
    ],
)  # fmt: skip
def test_a_shift_without_a_custodian_is_told_a_day_ahead(lines: list[str], gap_h: float | None) -> None:
    """The present hour, and each that follows it within a day. T0 is a Wednesday, 11:06:40."""
    found = first_gap_ns([duty(text, key=f"d-{count}") for count, text in enumerate(lines)], T0)
    midnight = T0 - (11 * 3600 + 400) * SECOND
    assert found == (None if gap_h is None else midnight + round(gap_h * 3600) * SECOND)


def test_a_site_without_custodians_is_not_told_so_for_ever() -> None:
    """Where nobody is enrolled as one and the roster has none, there is no break-glass."""
    run = Run()
    run.take(*enrolled(ENGINEER))
    check = run.rules.check
    assert standing(check.people, check.grants, POLICY, at(T0)) == []
    run.take(*enrolled(CUSTODIAN))
    (due,) = standing(check.people, check.grants, POLICY, at(T0))
    assert due.what == "no custodian"
