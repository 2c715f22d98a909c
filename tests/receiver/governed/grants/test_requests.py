"""Laws of asking and deciding: who may, for how long, by whose yes; and that a clock never lengthens a grant."""

from __future__ import annotations

from dataclasses import replace

import pytest
from access_cast import (
    ACME,
    APPROVER,
    DAY,
    ENGINEER,
    HOUR,
    POLICY,
    PRESS,
    PUMP,
    RELAY,
    SECOND,
    SECURITY,
    SPONSOR,
    T0,
    VOLTA,
    Site,
    at,
    period,
    person,
    wish,
)

from receiver.governed.grants import weekly
from receiver.governed.grants.asking import Asked, ask
from receiver.governed.grants.deciding import RuleRefusal, begin, needed, revoke, withdraw
from receiver.governed.grants.extent import Extent, union
from receiver.governed.grants.grant import GrantState
from receiver.governed.grants.granted import NOTHING
from receiver.governed.grants.preset import PRESETS
from receiver.governed.grants.request import Period, RequestState
from receiver.governed.people.person import Person, PersonRole
from receiver.governed.sure_time import SureTime

TAGS = Extent(assets=frozenset({"pump-7"}), tags=frozenset({("pump-7", "running")}))
SOON = period(T0, T0 + HOUR)


@pytest.fixture
def site() -> Site:
    """An approver and an engineer are on duty for everything."""
    made = Site()
    made.on_duty(APPROVER, PersonRole.APPROVER)
    made.on_duty(ENGINEER, PersonRole.ENGINEER)
    return made


@pytest.mark.parametrize(
    ("asked", "asker", "says"),
    [
        (wish("tier-9"), ACME, "no such kind"),
        (wish("break-glass"), ACME, "no such kind"),
        (wish("tier-1", PRESS), ACME, "not among what you may ask for"),
        (wish("tier-1", Extent(assets=frozenset({"never-was"}))), ACME, "not among what you may ask for"),
        (wish("tier-1", Extent(assets=frozenset())), ACME, "no asset was chosen"),
        (replace(wish("tier-1"), reason="see ticket"), ACME, "reason is too short"),
        (replace(wish("tier-1"), purpose=" "), ACME, "purpose is missing"),
        (wish("tier-1", when=SOON), ACME, "notice"),
        (wish("tier-1", when=period(T0 + DAY, T0 + DAY + 5 * HOUR)), ACME, "longer than 4 h"),
        (wish("standing", when=period(T0, T0 + 91 * DAY)), ACME, "longer than 90 days"),
        (wish("standing", when=period(T0 + DAY, T0)), ACME, "ends before it begins"),
        (wish("standing", when=period(T0 - DAY, T0 + DAY)), ACME, "in the past"),
        (wish("standing", when=period(T0 + 100 * DAY, T0 + 101 * DAY)), ACME, "more than 90 days from now"),
        (wish("standing", when=period(T0, T0 + HOUR, 2 * 3600.0)), ACME, "does not fit"),
        (wish("tier-2"), ACME, "site visit"),
        (wish("standing", when=SOON), replace(ACME, active=False), "enrolment"),
        (wish("standing", when=SOON), replace(ACME, ends_ns=T0), "enrolment"),
        (wish("standing", when=SOON), replace(ACME, ends_ns=T0 + HOUR - 1), "outlast your enrolment"),
        (wish("standing", when=SOON), person("admin", PersonRole.ADMINISTRATOR, employer="Acme"), "as a reader"),
        (wish("standing", when=SOON, extends="g-of-somebody"), ACME, "none of yours"),
    ],
)
def test_what_no_rule_allows_is_refused_at_once_with_the_reason(
    asked: Asked, asker: Person, says: str, site: Site
) -> None:
    """The request and its refusal are both on record."""
    request = site.grants.requests[site.ask(asked, asker)]
    assert request.state is RequestState.REFUSED
    assert says in request.why


def test_an_asset_of_somebody_else_is_refused_as_one_that_never_was(site: Site) -> None:
    """The words do not tell which of the two it is."""
    never = Extent(assets=frozenset({"never-was"}))
    whys = {site.grants.requests[site.ask(wish("tier-1", one))].why for one in (PRESS, never)}
    assert len(whys) == 1


def test_a_standing_grant_is_the_sponsors_yes(site: Site) -> None:
    """It is in force for its time and not a moment longer, and shows what was asked for."""
    key = site.ask(wish("standing", TAGS, period(T0, T0 + DAY)))
    with pytest.raises(RuleRefusal, match="sponsor"):
        site.decide(key, APPROVER)
    with pytest.raises(RuleRefusal, match="nor the asker's sponsor"):
        site.decide(key, replace(SPONSOR, key="another"))
    site.decide(key, SPONSOR)
    granted = site.grants.granted(ACME, at(T0 + HOUR))
    assert (granted.scope.vendors, granted.scope.assets) == (frozenset({"Acme"}), frozenset({"pump-7"}))
    assert granted.scope.tags == frozenset({("pump-7", "running")})
    assert (granted.until_ns, granted.grants) == (T0 + DAY, (f"g-{key}",))
    assert site.grants.granted(ACME, at(T0 + DAY)).scope == NOTHING
    assert site.grants.granted(VOLTA, at(T0 + HOUR)).scope == NOTHING


@pytest.mark.parametrize(
    ("one", "says"),
    [
        (replace(APPROVER, key="acme"), "own request"),
        (person("colleague", PersonRole.APPROVER, employer="Acme"), "own employer"),
        (person("off-duty", PersonRole.APPROVER), "not on the roster"),
        (SECURITY, "one of: approver, engineer"),
        (replace(APPROVER, active=False), "enrolment"),
        (replace(APPROVER, ends_ns=T0), "enrolment"),
    ],
)
def test_who_may_not_decide_is_told_why(one: Person, says: str, site: Site) -> None:
    """Nobody decides for themselves, for their colleagues, off duty, or in another office."""
    site.on_duty(replace(one, active=True, employer="", ends_ns=T0 + DAY), PersonRole.APPROVER) if one.key in (
        "acme",
        "colleague",
    ) else None
    key = site.ask(wish("tier-1"))
    with pytest.raises(RuleRefusal, match=says):
        site.decide(key, one)
    assert site.grants.requests[key].state is RequestState.OPEN


def test_who_asks_for_a_system_of_theirs_does_not_decide_on_it(site: Site) -> None:
    """An owner who is an approver is as much a part of it as the system."""
    system = person("service:s-1", PersonRole.READER)
    asked = wish("tier-3", PUMP, SOON)
    site.write(ask(asked, system, PUMP, site.grants, POLICY, at(T0), key="r-s", by=APPROVER.key))
    with pytest.raises(RuleRefusal, match="their own request"):
        site.decide("r-s", APPROVER)
    with pytest.raises(RuleRefusal, match="not your request"):
        withdraw(site.grants.requests["r-s"], ENGINEER, at(T0))
    assert withdraw(site.grants.requests["r-s"], APPROVER, at(T0))
    site.decide("r-s", ENGINEER)
    assert site.grants.whose(site.grants.grants["g-r-s"]) == {"service:s-1", APPROVER.key}


def test_an_approvers_power_is_for_their_assets_and_their_hours() -> None:
    """The roster says which, in the plant's own time."""
    site = Site()
    hours = Period(from_ns=T0 - DAY, until_ns=T0 + DAY, weekly=weekly.read("Mon-Fri 07:00-16:00", "Europe/Berlin"))
    site.on_duty(APPROVER, PersonRole.APPROVER, "pump-7", when=hours)
    pump, both = site.ask(wish("tier-1")), site.ask(wish("tier-1", union([PUMP, RELAY])))
    for key, now in ((both, T0), (pump, T0 + 6 * HOUR), (pump, T0 + 24 * HOUR)):
        with pytest.raises(RuleRefusal, match="not on the roster"):
            site.decide(key, APPROVER, now=now)
    site.decide(pump, APPROVER, now=T0 + HOUR)
    assert site.grants.requests[pump].state is RequestState.GRANTED


def test_tier_2_needs_two_people_of_two_offices(site: Site) -> None:
    """One of them the plant engineer; one person with both roles is one yes."""
    both = person("both", PersonRole.APPROVER, PersonRole.ENGINEER)
    site.on_duty(both, PersonRole.APPROVER)
    site.on_duty(both, PersonRole.ENGINEER)
    second = person("second", PersonRole.APPROVER)
    site.on_duty(second, PersonRole.APPROVER)
    visit = site.ask(wish("site-visit"))
    for one in (APPROVER, ENGINEER):
        site.decide(visit, one)
    key = site.ask(wish("tier-2", visit=f"g-{visit}"))
    site.decide(key, APPROVER)
    assert needed(site.grants.requests[key], PRESETS["tier-2"]) == (1, frozenset({PersonRole.ENGINEER}))
    for one, says in ((second, "one of: engineer"), (APPROVER, "decided on it already")):
        with pytest.raises(RuleRefusal, match=says):
            site.decide(key, one)
    site.decide(key, both)
    assert site.grants.requests[key].state is RequestState.GRANTED
    assert [one.role for one in site.grants.requests[key].decisions] == [PersonRole.APPROVER, PersonRole.ENGINEER]


@pytest.mark.parametrize(
    ("asked", "asker", "says"),
    [
        (wish("tier-2", visit="g-r-2", when=period(T0 + DAY, T0 + DAY + 3 * HOUR)), ACME, ""),
        (wish("tier-2"), ACME, "ask for the visit first"),
        (wish("tier-2", visit="g-r-1"), ACME, "ask for the visit first"),
        (wish("tier-2", visit="g-r-2"), replace(ACME, key="colleague"), "ask for the visit first"),
        (wish("tier-2", RELAY, visit="g-r-2"), ACME, "for other assets"),
        (wish("tier-2", visit="g-r-2", when=period(T0, T0 + HOUR)), ACME, "within the site visit"),
        (wish("tier-2", visit="g-r-2", when=period(T0 + DAY, T0 + DAY + HOUR, 60.0)), ACME, "within the site visit"),
        (wish("tier-1", visit="g-r-2"), ACME, "belongs to no site visit"),
    ],
)
def test_tier_2_lies_within_a_visit_of_the_askers(asked: Asked, asker: Person, says: str, site: Site) -> None:
    """Its assets and its time are the visit's; the visit itself lets nobody read."""
    assert site.ask(wish("site-visit")) == "r-2"
    for one in (APPROVER, ENGINEER):
        site.decide("r-2", one)
    assert site.seen(ACME, T0 + DAY) == frozenset()
    why = site.grants.requests[site.ask(asked, asker)].why
    assert says in why
    assert bool(says) == bool(why)


def test_a_no_ends_a_request_and_says_why(site: Site) -> None:
    """A denial has a written reason, and nobody can decide on it any more."""
    key = site.ask(wish("tier-1"))
    with pytest.raises(RuleRefusal, match="written reason"):
        site.decide(key, APPROVER, yes=False, why="no")
    site.decide(key, APPROVER, yes=False, why="the machine is under test today")
    request = site.grants.requests[key]
    assert (request.state, request.decisions[0].why) == (RequestState.DENIED, "the machine is under test today")
    with pytest.raises(RuleRefusal, match="denied already"):
        site.decide(key, ENGINEER)


def test_a_request_whose_time_is_over_cannot_be_granted(site: Site) -> None:
    """It lapses by itself, and its asker may take it back before."""
    key = site.ask(wish("tier-1"))
    with pytest.raises(RuleRefusal, match="is over"):
        site.decide(key, APPROVER, now=T0 + 2 * DAY)
    with pytest.raises(RuleRefusal, match="not your request"):
        withdraw(site.grants.requests[key], VOLTA, at(T0))
    site.write(withdraw(site.grants.requests[key], ACME, at(T0)))
    with pytest.raises(RuleRefusal, match="withdrawn already"):
        site.decide(key, APPROVER)


def test_time_runs_from_first_use_inside_its_claim_window(site: Site) -> None:
    """Begun late it lasts as long; not begun in time it is over."""
    key = site.ask(wish("tier-1", when=period(T0 + DAY, T0 + 3 * DAY, 2 * 3600.0)))
    site.decide(key, APPROVER)
    grant = f"g-{key}"
    assert site.grants.grants[grant].state(at(T0 + HOUR)) is GrantState.PLANNED
    with pytest.raises(RuleRefusal, match="planned"):
        begin(site.grants, grant, ACME, at(T0 + HOUR))
    with pytest.raises(RuleRefusal, match="not your grant"):
        begin(site.grants, grant, VOLTA, at(T0 + DAY))
    assert site.seen(ACME, T0 + DAY) == frozenset()
    assert site.grants.grants[grant].state(at(T0 + 3 * DAY)) is GrantState.NOT_BEGUN
    late = T0 + 3 * DAY - 60 * 10**9
    site.write(begin(site.grants, grant, ACME, at(late)))
    assert site.seen(ACME, late + 2 * HOUR - 1) == {"pump-7"}
    assert site.seen(ACME, late + 2 * HOUR) == frozenset()
    with pytest.raises(RuleRefusal, match="in force"):
        begin(site.grants, grant, ACME, at(late + 1))


@pytest.mark.parametrize("one", [APPROVER, SECURITY, SPONSOR, ACME])
def test_a_revocation_ends_a_grant_at_once(one: Person, site: Site) -> None:
    """By security, by who approved it, by the reader's sponsor, or given back; with a reason."""
    key = site.ask(wish("tier-1"))
    site.decide(key, APPROVER)
    now = at(T0 + DAY + HOUR)
    assert site.seen(ACME, now.late_ns) == {"pump-7"}
    with pytest.raises(RuleRefusal, match="written reason"):
        revoke(site.grants, f"g-{key}", one, ACME, now, why="stop")
    with pytest.raises(RuleRefusal, match="revoked by security"):
        revoke(site.grants, f"g-{key}", VOLTA, ACME, now, why="because I can do it")
    site.write(revoke(site.grants, f"g-{key}", one, ACME, now, why="work is done, closed early"))
    assert site.seen(ACME, now.late_ns) == frozenset()
    with pytest.raises(RuleRefusal, match="revoked already"):
        revoke(site.grants, f"g-{key}", SECURITY, ACME, now, why="once more, to be sure")


def test_an_extension_is_a_request_for_the_same_or_less(site: Site) -> None:
    """It needs its own yes, and goes on where the first one ends."""
    first = site.ask(wish("standing", when=period(T0, T0 + DAY)))
    site.decide(first, SPONSOR)
    more = wish("standing", union([PUMP, RELAY]), period(T0 + DAY, T0 + 2 * DAY), extends=f"g-{first}")
    assert "same assets" in site.grants.requests[site.ask(more)].why
    same = site.ask(wish("standing", TAGS, period(T0 + DAY, T0 + 2 * DAY), extends=f"g-{first}"))
    assert site.seen(ACME, T0 + DAY) == frozenset()
    site.decide(same, SPONSOR)
    assert site.grants.granted(ACME, at(T0 + DAY)).scope.tags == TAGS.tags


def test_whole_and_limited_grants_add_up_to_the_wider(site: Site) -> None:
    """An asset is limited only while no grant in force has it whole."""
    for extent, until in ((TAGS, T0 + DAY), (PUMP, T0 + HOUR)):
        site.decide(site.ask(wish("standing", extent, period(T0, until))), SPONSOR)
    assert site.grants.granted(ACME, at(T0)).scope.tags is None
    assert site.grants.granted(ACME, at(T0)).until_ns == T0 + HOUR
    assert site.grants.granted(ACME, at(T0 + HOUR)).scope.tags == TAGS.tags


def test_a_look_is_covered_by_the_grants_that_are_for_some_of_it(site: Site) -> None:
    """Another asset's grant is not named, nor one for other tags; without named tags all that are for the asset."""
    keys = []
    for extent in (RELAY, PUMP, TAGS):
        keys.append(site.ask(wish("standing", extent, SOON)))
        site.decide(keys[-1], SPONSOR)
    relay, whole, tags = (f"g-{key}" for key in keys)
    held = site.grants.granted(ACME, at(T0 + SECOND))
    running, other = ("pump-7", "running"), ("pump-7", "speed")
    assert held.grants == tuple(sorted((relay, whole, tags)))
    assert set(held.covering(["relay-2"])) == {relay}
    assert set(held.covering(["pump-7"])) == {whole, tags}
    assert set(held.covering(["pump-7"], [running])) == {whole, tags}
    assert set(held.covering(["pump-7"], [other])) == {whole}
    assert set(held.covering(["pump-7", "relay-2"], [other])) == {whole, relay}
    assert held.covering([]) == held.grants


def test_a_clock_that_is_set_only_shortens(site: Site) -> None:
    """A grant is in force while both readings of now are inside; weekly hours alike."""
    hours = Period(from_ns=T0, until_ns=T0 + 30 * DAY, weekly=weekly.read("Mon-Fri 07:00-16:00", "Europe/Berlin"))
    key = site.ask(wish("standing", when=hours))
    site.decide(key, SPONSOR)
    grant = site.grants.grants[f"g-{key}"]
    assert grant.state(at(T0 + HOUR)) is GrantState.IN_FORCE
    assert grant.state(SureTime(T0 - DAY, T0 + HOUR)) is GrantState.PLANNED
    assert grant.state(SureTime(T0 + HOUR, T0 + 31 * DAY)) is GrantState.ENDED
    assert grant.state(SureTime(T0 + HOUR, T0 + 12 * HOUR)) is GrantState.RESTING
    assert grant.change_ns(at(T0 + HOUR)) == T0 + (3 * 3600 + 53 * 60 + 20) * SECOND


@pytest.mark.parametrize("change", [{"active": False}, {"ends_ns": T0}, {"roles": frozenset({PersonRole.AUDITOR})}])
def test_who_is_no_longer_enrolled_reads_nothing(change: dict[str, object], site: Site) -> None:
    """Grants in force do not outlive the enrolment, nor the role."""
    site.decide(site.ask(wish("standing", when=period(T0, T0 + DAY))), SPONSOR)
    assert site.seen(ACME, T0) == {"pump-7"}
    assert site.seen(replace(ACME, **change), T0) == frozenset()  # type: ignore[arg-type]  # one field a case
