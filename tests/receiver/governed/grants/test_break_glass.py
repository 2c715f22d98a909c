"""Laws of break-glass, its review and its roster."""

from __future__ import annotations

from dataclasses import replace

import pytest
from access_cast import (
    ACME,
    APPROVER,
    CUSTODIAN,
    DAY,
    HOUR,
    POLICY,
    PRESS,
    PUMP,
    RELAY,
    SECURITY,
    SPONSOR,
    T0,
    VISIBLE,
    VOLTA,
    Site,
    at,
    period,
    person,
    wish,
)

from receiver.governed.grants import weekly
from receiver.governed.grants.break_glass import Emergency, open_glass
from receiver.governed.grants.deciding import RuleRefusal, review
from receiver.governed.grants.duty import Duty
from receiver.governed.grants.extent import Extent, union
from receiver.governed.grants.request import Period
from receiver.governed.grants.rostering import roster
from receiver.governed.people.person import Person, PersonRole
from receiver.governed.trail.entry import TrailEntry

TRIPPED = Emergency(
    extent=PUMP,
    length_s=3600.0,
    criteria=POLICY.criteria,
    why="the pump has tripped twice within ten minutes",
    credential="c-1",
)


@pytest.fixture
def site() -> Site:
    """A custodian is on duty, a credential lies ready."""
    made = Site()
    made.on_duty(CUSTODIAN, PersonRole.CUSTODIAN)
    prepare(made, "c-1")
    return made


def prepare(site: Site, credential: str) -> None:
    """A new credential is put in its place."""
    site.write([TrailEntry(kind="break-glass.prepared", at_ns=T0, who="security", facts={"credential": credential})])


def broken(site: Site, emergency: Emergency = TRIPPED, now: int = T0, key: str = "g-1") -> None:
    """The glass is broken for the vendor's specialist."""
    visible = VISIBLE["Acme"]
    site.write(open_glass(emergency, CUSTODIAN, ACME, visible, site.grants, POLICY, at(now), key=key))


def close(site: Site, grant: str, now: int) -> None:
    """The review is done."""
    findings = "seal leak found, repaired"
    site.write(review(site.grants, grant, SECURITY, POLICY, at(now), findings=findings, justified=True))


def test_it_opens_the_named_equipment_at_once_and_nothing_beside_it(site: Site) -> None:
    """For the named person, for a short time."""
    broken(site)
    assert site.seen(ACME, T0) == {"pump-7"}
    assert site.seen(VOLTA, T0) == frozenset()
    assert site.seen(ACME, T0 + HOUR) == frozenset()


@pytest.mark.parametrize(
    ("emergency", "says"),
    [
        (replace(TRIPPED, extent=PRESS), "name the equipment"),
        (replace(TRIPPED, extent=union([PUMP, PRESS])), "name the equipment"),
        (replace(TRIPPED, extent=Extent(assets=frozenset())), "name the equipment"),
        (replace(TRIPPED, length_s=5 * 3600.0), "4 h at most"),
        (replace(TRIPPED, length_s=0.0), "4 h at most"),
        (replace(TRIPPED, criteria=POLICY.criteria[:1]), "not ticked"),
        (replace(TRIPPED, criteria=("the vendor asked",)), "not ticked"),
        (replace(TRIPPED, why="tripped"), "written down"),
        (replace(TRIPPED, credential="c-0"), "not the credential"),
    ],
)
def test_what_is_no_emergency_is_refused(emergency: Emergency, says: str, site: Site) -> None:
    """Every criterion is ticked, what happened is written, the equipment is named."""
    with pytest.raises(RuleRefusal, match=says):
        broken(site, emergency)
    assert site.grants.open_glass() == []


@pytest.mark.parametrize(
    ("custodian", "reader", "says"),
    [
        (APPROVER, ACME, "only a custodian"),
        (replace(CUSTODIAN, active=False), ACME, "only a custodian"),
        (person("off-duty", PersonRole.CUSTODIAN), ACME, "not the custodian of this shift"),
        (CUSTODIAN, replace(ACME, active=False), "not enrolled"),
        (CUSTODIAN, replace(ACME, roles=frozenset()), "not enrolled"),
        (CUSTODIAN, replace(ACME, ends_ns=T0), "not enrolled"),
        (CUSTODIAN, replace(CUSTODIAN, roles=frozenset({PersonRole.READER})), "never for themselves"),
    ],
)
def test_who_may_not_open_or_read_is_told_why(custodian: Person, reader: Person, says: str, site: Site) -> None:
    """A custodian on duty opens, an enrolled reader reads, and they are two people."""
    with pytest.raises(RuleRefusal, match=says):
        open_glass(TRIPPED, custodian, reader, VISIBLE["Acme"], site.grants, POLICY, at(T0), key="g-1")


@pytest.mark.parametrize("drill", [False, True])
def test_the_next_use_waits_for_the_review_and_for_a_new_credential(drill: bool, site: Site) -> None:
    """A drill as well: what is practised is what happens."""
    broken(site, replace(TRIPPED, drill=drill))
    prepare(site, "c-2")
    second = replace(TRIPPED, credential="c-2")
    with pytest.raises(RuleRefusal, match=r"review of the last use \(g-1\) is open"):
        broken(site, second, T0 + 2 * HOUR, "g-2")
    close(site, "g-1", T0 + 2 * HOUR)
    broken(site, second, T0 + 2 * HOUR, "g-2")
    assert site.grants.grants["g-1"].drill is drill
    close(site, "g-2", T0 + 4 * HOUR)
    with pytest.raises(RuleRefusal, match="no break-glass credential lies ready"):
        broken(site, second, T0 + 5 * HOUR, "g-3")


def test_reviews_are_due_in_their_time_and_most_urgent_first(site: Site) -> None:
    """Break-glass a day from its opening, tier 3 two days from its end; a standing grant never."""
    site.on_duty(APPROVER, PersonRole.APPROVER)
    urgent = site.ask(wish("tier-3", RELAY, period(T0, T0 + HOUR)))
    site.decide(urgent, APPROVER)
    site.decide(site.ask(wish("standing", when=period(T0, T0 + HOUR))), SPONSOR)
    broken(site)
    assert [one.grant.key for one in site.grants.reviews_due(at(T0), POLICY)] == ["g-1"]
    due = site.grants.reviews_due(at(T0 + HOUR), POLICY)
    assert [(one.grant.key, one.due_ns) for one in due] == [("g-1", T0 + DAY), (f"g-{urgent}", T0 + HOUR + 2 * DAY)]


@pytest.mark.parametrize(
    ("one", "findings", "says"),
    [
        (CUSTODIAN, "all in order, seal leak", "neither read nor approved"),
        (ACME, "all in order, seal leak", "neither read nor approved"),
        (SPONSOR, "all in order, seal leak", "closed by security"),
        (replace(SECURITY, active=False), "all in order, seal leak", "closed by security"),
        (SECURITY, "ok", "findings are missing"),
    ],
)
def test_a_review_is_closed_by_somebody_else_with_findings(one: Person, findings: str, says: str, site: Site) -> None:
    """Who read or opened does not review."""
    broken(site)
    with pytest.raises(RuleRefusal, match=says):
        review(site.grants, "g-1", one, POLICY, at(T0 + HOUR), findings=findings, justified=True)
    with pytest.raises(RuleRefusal, match="no review of this grant"):
        review(site.grants, "g-9", SECURITY, POLICY, at(T0 + HOUR), findings="nothing to see", justified=True)


def test_a_shift_has_one_custodian(site: Site) -> None:
    """Two lines that share an hour are refused; early and late shift are not."""
    second = person("second", PersonRole.CUSTODIAN)
    line = Duty(key="d-9", role=PersonRole.CUSTODIAN, person="second", assets=frozenset(), period=period(T0, T0 + DAY))
    with pytest.raises(RuleRefusal, match="a shift has one"):
        roster(line, second, site.grants, "admin", at(T0))
    shifts = Site()
    for one, hours in ((CUSTODIAN, "Mon-Sun 06:00-14:00"), (second, "Mon-Sun 14:00-22:00")):
        when = Period(from_ns=T0, until_ns=T0 + DAY, weekly=weekly.read(hours, "Europe/Berlin"))
        shifts.on_duty(one, PersonRole.CUSTODIAN, when=when)
    assert len(shifts.grants.on_duty(PersonRole.CUSTODIAN, at(T0))) == 1
    with pytest.raises(RuleRefusal, match="not enrolled as custodian"):
        roster(line, APPROVER, shifts.grants, "admin", at(T0))
