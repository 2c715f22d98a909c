"""What a process may show and write hangs on the trail: up to date, whole and understood, or nothing at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from access_cast import ACME, APPROVER, DAY, ENGINEER, HOUR, POLICY, SECOND, SPONSOR, T0, VISIBLE, period, wish

from receiver.governed.authority import Authority
from receiver.governed.grants.asking import Asked, ask
from receiver.governed.grants.clock_acceptance import ENDED, accept_clock
from receiver.governed.grants.deciding import RuleRefusal, decide, may_decide, revoke
from receiver.governed.grants.duty import Duty
from receiver.governed.grants.grant import GrantState
from receiver.governed.grants.granted import NOTHING
from receiver.governed.grants.register import Grants
from receiver.governed.grants.rostering import roster
from receiver.governed.people.acts import PeopleActs
from receiver.governed.people.enrolment import PersonDraft
from receiver.governed.people.person import Person
from receiver.governed.people.register import People
from receiver.governed.sure_time import SureTime
from receiver.governed.trail.entry import Fact, TrailEntry
from receiver.governed.trail.trail import Trail
from receiver.governed.trail.trail_error import TrailError


def opened(folder: Path, wall_ns: int = T0) -> Authority:
    """A process's own view of the site."""
    return Authority(Trail(folder / "trail.db"), POLICY, folder, wall_ns=wall_ns, running_ns=0)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Authority]:
    """People are enrolled, an approver and an engineer are on duty."""
    made = opened(tmp_path)
    for one in (SPONSOR, ACME, APPROVER, ENGINEER):
        made.act(Enrolling(one))
        made.act(lambda people, grants, now, key=one.key: acts(people, now).acknowledge(key, "1"))
    for one in (APPROVER, ENGINEER):
        (role,) = one.roles
        line = Duty(key=one.key, role=role, person=one.key, assets=frozenset(), period=period(T0, T0 + 9 * DAY))
        made.act(lambda people, grants, now, one=one, line=line: roster(line, one, grants, "admin", now))
    yield made
    made.trail.close()


def acts(people: People, now: SureTime) -> PeopleActs:
    """What the set-up link does."""
    return PeopleActs(people, now, at_ns=T0, by="system")


class Enrolling:
    """Enrols somebody of the cast."""

    def __init__(self, one: Person) -> None:
        self._draft = PersonDraft(
            login=one.login,
            name=f"{one.name} person",
            employer=one.employer,
            roles=one.roles,
            ends_ns=one.ends_ns,
            checked_by="A. Smith",
            checked_how="passport, in person",
            contract="C-1" if one.employer else "",
            contact="B. Jones" if one.employer else "",
            sponsor=one.sponsor,
        )
        self._key = one.key

    def __call__(self, people: People, grants: Grants, now: SureTime) -> Sequence[TrailEntry]:
        return acts(people, now).enrol(self._key, self._draft)


def requested(site: Authority, key: str, asked: Asked) -> None:
    """A request of the vendor's specialist."""
    site.act(lambda people, grants, now: ask(asked, ACME, VISIBLE["Acme"], grants, POLICY, now, key=key))


def approved(site: Authority, key: str, by: str) -> None:
    """A yes."""

    def rule(people: People, grants: Grants, now: SureTime) -> Sequence[TrailEntry]:
        request, person = grants.requests[key], people.person(by, now)
        assert person is not None
        role = may_decide(request, people.person(request.person, now), person, grants, POLICY, now)
        return decide(request, role, person, POLICY, now, yes=True, why="agreed by phone", grant=f"g-{key}")

    site.act(rule)


def test_two_processes_cannot_both_take_the_last_seat(site: Authority, tmp_path: Path) -> None:
    """The second sees the first one's act before it decides."""
    other = opened(tmp_path)
    requested(site, "r-1", wish("tier-1"))
    approved(other, "r-1", "approver")
    with pytest.raises(RuleRefusal, match="granted already"):
        approved(site, "r-1", "engineer")
    assert list(site.grants.grants) == ["g-r-1"]
    other.trail.close()


def test_what_another_process_wrote_is_in_force_after_a_tick(site: Authority, tmp_path: Path) -> None:
    """A revocation on a terminal ends what a page shows."""
    other = opened(tmp_path)
    requested(site, "r-1", wish("standing", when=period(T0, T0 + HOUR)))
    approved(other, "r-1", "sponsor")
    assert site.granted("acme").scope == NOTHING
    site.tick(T0 + SECOND, SECOND)
    assert site.granted("acme").scope.assets == frozenset({"pump-7"})
    other.act(lambda people, grants, now: acts(people, now).suspend("acme", "badge was lost"))
    site.tick(T0 + 2 * SECOND, 2 * SECOND)
    assert site.granted("acme").scope == NOTHING
    other.trail.close()


def test_what_was_worked_out_for_one_request_outlives_no_act_and_no_moment(site: Authority, tmp_path: Path) -> None:
    """Between two ticks the same answer is given again; an act, whoever's, and the hour end it at once."""
    requested(site, "r-1", wish("standing", when=period(T0, T0 + HOUR)))
    approved(site, "r-1", "sponsor")
    assert site.granted("acme") is site.granted("acme")
    site.act(lambda people, grants, now: acts(people, now).suspend("acme", "badge was lost"))
    assert site.granted("acme").scope == NOTHING
    other = opened(tmp_path)
    other.act(lambda people, grants, now: acts(people, now).resume("acme", "badge was found"))
    site.refresh()
    assert site.granted("acme").scope.assets == frozenset({"pump-7"})
    site.tick(T0 + 2 * HOUR, 7200 * SECOND)
    assert site.granted("acme").scope == NOTHING
    other.trail.close()


def test_a_trail_that_cannot_be_read_allows_nothing(site: Authority, tmp_path: Path) -> None:
    """Neither to read nor to act, and the reason is told; nothing comes back by itself."""
    requested(site, "r-1", wish("standing", when=period(T0, T0 + HOUR)))
    approved(site, "r-1", "sponsor")
    assert site.granted("acme").scope != NOTHING
    path = tmp_path / "trail.db"
    path.rename(tmp_path / "elsewhere.db")
    with pytest.raises(TrailError):
        requested(site, "r-2", wish("standing", when=period(T0, T0 + HOUR)))
    site.trail.close()
    site.trail = Trail(path)
    site.tick(T0 + SECOND, SECOND)
    assert site.trouble
    assert site.granted("acme").scope == NOTHING


def test_a_record_that_is_not_understood_allows_nothing(site: Authority) -> None:
    """A grant of a later build that this one cannot read is no reason to guess."""
    requested(site, "r-1", wish("standing", when=period(T0, T0 + HOUR)))
    approved(site, "r-1", "sponsor")
    facts: dict[str, Fact] = {
        "grant": "g-2",
        "person": "acme",
        "preset": "standing",
        "assets": "pump-7",
        "from_ns": T0,
        "until_ns": "x",
    }
    site.trail.note([TrailEntry(kind="grant.given", at_ns=T0, who="system", facts=facts)])
    with pytest.raises(TrailError, match="cannot be understood"):
        site.refresh()
    assert "grant.given" in site.trouble
    assert site.granted("acme").scope == NOTHING


def test_time_that_was_believed_is_kept_over_a_restart(site: Authority, tmp_path: Path) -> None:
    """A clock that is set back while nothing runs revives nothing that ended more than a minute ago."""
    requested(site, "r-1", wish("standing", when=period(T0, T0 + HOUR)))
    approved(site, "r-1", "sponsor")
    for minute in range(62):
        site.tick(T0 + minute * 60 * SECOND, minute * 60 * SECOND)
    assert site.granted("acme").scope == NOTHING
    again = opened(tmp_path, T0 + 60 * SECOND)
    again.tick(T0 + 61 * SECOND, SECOND)
    assert again.granted("acme").scope == NOTHING
    again.trail.close()


def test_a_clock_that_stood_ahead_is_believed_again_by_a_person_alone(site: Authority, tmp_path: Path) -> None:
    """What it ended stays ended, in every process; what is asked for from then on is granted as ever."""
    requested(site, "r-1", wish("standing", when=period(T0, T0 + HOUR)))
    approved(site, "r-1", "sponsor")
    other = opened(tmp_path)
    site.tick(T0 + 40 * DAY, SECOND)
    site.tick(T0 + 2 * SECOND, 2 * SECOND)
    wall = T0 + 2 * SECOND
    requested(site, "r-2", wish("standing", when=period(wall, wall + HOUR)))
    with pytest.raises(RuleRefusal, match="is over"):
        approved(site, "r-2", "sponsor")
    for why in ("oops", "the time server was wrong"):
        rule = partial(accepted, wall=wall, why=why)
        if why == "oops":
            with pytest.raises(RuleRefusal, match="written reason"):
                site.act(rule)
        else:
            site.act(rule)
    site.tick(wall + SECOND, 3 * SECOND)
    other.tick(wall + SECOND, 3 * SECOND)
    assert [one.granted("acme").scope for one in (site, other)] == [NOTHING, NOTHING]
    assert site.grants.grants["g-r-1"].revoked_why == ENDED
    approved(site, "r-2", "sponsor")
    assert site.granted("acme").scope.assets == frozenset({"pump-7"})
    again = opened(tmp_path, wall + 2 * SECOND)
    assert again.granted("acme").scope.assets == frozenset({"pump-7"})
    with pytest.raises(RuleRefusal, match="nothing to accept"):
        again.act(partial(accepted, wall=wall + 3 * SECOND, why="the time server was wrong"))
    for one in (other, again):
        one.trail.close()


def test_what_was_revoked_while_the_clock_stood_ahead_stays_so_when_it_is_accepted(site: Authority) -> None:
    """Its revocation then bears a moment that is still to come: that a grant was revoked counts, and not when."""
    requested(site, "r-1", wish("standing", when=period(T0, T0 + 60 * DAY)))
    approved(site, "r-1", "sponsor")
    site.tick(T0 + 40 * DAY, SECOND)
    assert site.granted("acme").scope.assets == frozenset({"pump-7"})
    sponsor, reader = site.person("sponsor"), site.person("acme")
    assert sponsor is not None
    site.act(lambda people, grants, now: revoke(grants, "g-r-1", sponsor, reader, now, why="the work is done"))
    site.tick(T0 + 2 * SECOND, 2 * SECOND)
    site.act(partial(accepted, wall=T0 + 2 * SECOND, why="the time server was wrong"))
    site.tick(T0 + 3 * SECOND, 3 * SECOND)
    held = site.grants.grants["g-r-1"]
    assert (held.state(site.now), held.revoked_why) == (GrantState.REVOKED, "the work is done")
    assert site.now.late_ns < T0 + DAY
    assert site.granted("acme").scope == NOTHING


def accepted(people: People, grants: Grants, now: SureTime, *, wall: int, why: str) -> Sequence[TrailEntry]:
    """What `trail clock` does."""
    return accept_clock(grants, now, wall, who="command:root", why=why)


def test_a_step_of_the_clock_is_on_record(site: Authority) -> None:
    """Security sees who set the clock when, forward or back."""
    site.tick(T0 + SECOND, SECOND)
    site.tick(T0 - HOUR, 2 * SECOND)
    (record,) = site.trail.page(kinds=["alert.raised"])
    assert record.entry.facts == {"what": "clock stepped", "by_s": -3602.0}


def test_who_was_never_enrolled_reads_nothing(site: Authority) -> None:
    """A key that nobody has is granted nothing."""
    assert site.granted("nobody").scope == NOTHING
    assert replace(ACME, active=False) != site.person("acme")
