"""What `checkvalve alerts`, `roster` and `break-glass` do: between the command line and `receiver/governed`."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from protocol import terminal
from protocol.errors import ConfigError
from protocol.inert import CELL, inert
from receiver.commands.people_work import CommandDesk, opened
from receiver.governed.alerts.alert_board import ShownAlert, acknowledge
from receiver.governed.alerts.alert_watch import LATE_KINDS, AlertWatch, merged
from receiver.governed.alerts.duty_list import DutyShift, shifts
from receiver.governed.alerts.security_telling import LATE_MOST
from receiver.governed.alerts.standing_alerts import first_gap_ns, written_time
from receiver.governed.authority import ActRule
from receiver.governed.grants import break_glass, weekly
from receiver.governed.grants.clock_acceptance import accept_clock
from receiver.governed.grants.deciding import RuleRefusal
from receiver.governed.grants.duty import ROSTERED, Duty
from receiver.governed.grants.register import Grants
from receiver.governed.grants.request import Period
from receiver.governed.grants.rostering import roster, strike
from receiver.governed.people.desk import new_key
from receiver.governed.people.person import PersonRole
from receiver.governed.people.register import People
from receiver.governed.sealed_code import CODE_BYTES, SealedCodes, new_code
from receiver.governed.sure_time import SureTime
from receiver.governed.trail.entry import TrailEntry


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except RuleRefusal as error:
        raise ConfigError(str(error), hint="nothing was written") from None


def alerts(file: Path) -> tuple[list[ShownAlert], str]:
    """What is open, the longest first, and the plant's time zone."""
    with opened(file) as here:
        return _watch(here).open(here.desk.now()), here.desk.authority.policy.zone


def alert_lines(found: Sequence[ShownAlert], zone: str) -> Iterator[str]:
    """A few lines an alert."""
    for one in found:
        name = one.number or "not on record yet"
        yield f"{name}  {written_time(one.since_ns, zone)}  {inert(one.what, CELL)}: {inert(one.told)}"
        yield f"    next step: {one.next_step}"
        if one.acknowledged is not None:
            said = one.acknowledged
            yield f"    {inert(said.who, CELL)} knows of it since {written_time(said.at_ns, zone)}: {inert(said.note)}"
    if not found:
        yield "no alert is open"


def acknowledged(file: Path, number: int, note: str) -> str:
    """Say who knows of an alert, and what was found."""
    with opened(file) as here, _refusing():
        now = here.desk.now()
        entries = acknowledge(_watch(here).board, number, note, by=here.by, person=None, at_ns=now.late_ns)
        here.desk.authority.trail.note(entries)
        return f"alert {number}: acknowledged by {here.by}"


def clock_accepted(file: Path, why: str) -> str:
    """A person says that the clock is right as it stands."""
    with opened(file) as here, _refusing():
        here.desk.now()
        wall_ns = time.time_ns()
        _act(here, lambda people, grants, now: accept_clock(grants, now, wall_ns, who=here.by, why=why))
        zone = here.desk.authority.policy.zone
        return f"the clock is believed as it stands, {written_time(wall_ns, zone)}; what had ended stays ended"


def roster_told(file: Path) -> dict[str, Any]:
    """Who is on duty, who comes next, and where a custodian is missing."""
    with opened(file) as here:
        now = here.desk.now()
        grants, zone = here.desk.authority.grants, here.desk.authority.policy.zone
        people = here.desk.people
        custodians = [one for one in grants.duties.values() if one.role is PersonRole.CUSTODIAN]
        gap_ns = first_gap_ns(custodians, now.late_ns)
        lines = [_told(one, people) for one in shifts(grants.duties.values(), now.late_ns)]
        return {"zone": zone, "at_ns": now.late_ns, "lines": lines, "no_custodian_ns": gap_ns}


def roster_lines(told: dict[str, Any]) -> Iterator[str]:
    """The roster on paper."""
    zone = told["zone"]
    yield f"ROSTER as of {written_time(told['at_ns'], zone)}"
    for present, head in ((True, "on duty now"), (False, "next")):
        yield ""
        yield f"{head}:"
        rows = [one for one in told["lines"] if one["present"] is present]
        for one in rows:
            name = f"{inert(one['name'], CELL)} ({one['person']})"
            when = f"until {written_time(one['until_ns'], zone)}"
            if not present:
                when = f"from {written_time(one['from_ns'], zone)} {when}"
            where = ", ".join(inert(asset, CELL) for asset in one["assets"]) or "every asset"
            yield f"  {one['role']:10} {name}  {when}  {where}  [{one['duty']}]"
        if not rows:
            yield "  nobody"
    if told["no_custodian_ns"] is not None:
        yield ""
        yield f"NO CUSTODIAN at {written_time(told['no_custodian_ns'], zone)}: no glass can be broken then"


def roster_set(file: Path, role: str, who: str, *, first: str, until: str, hours: str, assets: Sequence[str]) -> str:
    """Put somebody on the roster; times are the plant's."""
    if role not in {one.value for one in ROSTERED}:
        raise ConfigError(f"{role} has no roster", hint=f"one of {', '.join(sorted(ROSTERED))}")
    with opened(file) as here, _refusing():
        zone, key = here.desk.authority.policy.zone, here.key(who)
        try:
            when = Period(
                from_ns=plant_time(first, zone),
                until_ns=plant_time(until, zone),
                weekly=weekly.read(hours, zone) if hours else None,
            )
        except ValueError as error:
            raise ConfigError(str(error), hint="such as 2026-11-28 06:00, in the plant's time") from None
        line = Duty(key=new_key("d"), role=PersonRole(role), person=key, assets=frozenset(assets), period=when)

        def rule(people: People, grants: Grants, now: SureTime) -> Sequence[TrailEntry]:
            person = people.person(key, now)
            assert person is not None
            return roster(line, person, grants, here.by, now)

        _act(here, rule)
        span = f"from {written_time(when.from_ns, zone)} to {written_time(when.until_ns, zone)}"
        return f"{line.key}: {key} is {role} {span}"


def roster_end(file: Path, line: str, why: str) -> str:
    """Take a line off the roster."""
    with opened(file) as here, _refusing():
        _act(here, lambda people, grants, now: strike(line, grants, here.by, now, why=why))
        return f"{line}: taken off the roster"


def prepared(file: Path, place: str) -> dict[str, str]:
    """Make a credential; its code is in what is returned and nowhere else."""
    with opened(file) as here, _refusing():
        key, code = new_key("c"), new_code(secrets.token_bytes(CODE_BYTES))
        codes = SealedCodes(here.config.state, _damaged, wall_ns=time.time_ns())
        ready = here.desk.authority.grants.credential
        codes.keep(key, code, beside=ready)
        _act(here, lambda people, grants, now: break_glass.prepare(key, place, grants, here.by, now))
        return {"credential": key, "code": code, "place": place.strip(), "replaces": ready}


def plant_time(text: str, zone: str) -> int:
    """A moment as people at the plant write it: a day, or a day and an hour [ns since 1970 UTC].

    Raises:
        ValueError: it is none.
    """
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is no time") from None
    return round(found.replace(tzinfo=found.tzinfo or ZoneInfo(zone)).timestamp()) * 10**9


def _told(one: DutyShift, people: People) -> dict[str, Any]:
    held = people.get(one.duty.person)
    return {
        "duty": one.duty.key,
        "role": one.duty.role.value,
        "person": one.duty.person,
        "name": held.draft.name if held else "",
        "assets": sorted(one.duty.assets),
        "present": one.present,
        "from_ns": one.from_ns,
        "until_ns": one.until_ns,
    }


def _watch(here: CommandDesk) -> AlertWatch:
    """The list as the portal's thread has it."""
    authority = here.desk.authority
    watch = AlertWatch(authority.policy)
    late = authority.trail.page(limit=LATE_MOST, kinds=LATE_KINDS)
    watch.begin(merged(list(authority.trail.governing()), late), here.desk.now())
    return watch


def _act(here: CommandDesk, rule: ActRule) -> None:
    here.desk.now()
    here.desk.authority.act(rule)


def _damaged(line: str) -> None:
    terminal.complain(line)
