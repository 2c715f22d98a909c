"""What `checkvalve request` and `checkvalve grant` do: between the command line and `receiver/governed/grants`.

Who decides or revokes is a person, at a terminal too: they prove it with their password and a code of their own, and it
is on record as theirs, with who was logged in on the machine beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from protocol.errors import ConfigError
from protocol.inert import CELL, inert
from receiver.commands.people_work import CommandDesk, opened
from receiver.governed.alerts.standing_alerts import written_time
from receiver.governed.grants.deciding import RuleRefusal, decide, may_decide, revoke
from receiver.governed.grants.extent import Extent
from receiver.governed.grants.grant import OVER
from receiver.governed.grants.register import Grants
from receiver.governed.grants.request import Period, RequestState
from receiver.governed.people import logins
from receiver.governed.people.desk import new_key
from receiver.governed.people.passwords import Passwords
from receiver.governed.people.person import Person
from receiver.governed.people.person_sessions import PersonSessions
from receiver.governed.people.register import People
from receiver.governed.people.sign_in import SignIn
from receiver.governed.sure_time import SureTime
from receiver.governed.trail.entry import TrailEntry

Ask = Callable[[str], str]
"""Asks for something that is not shown while it is typed."""


def requests(file: Path, *, everything: bool) -> dict[str, Any]:
    """Open requests, or all, oldest first."""
    with opened(file) as here:
        now, authority = here.desk.now(), here.desk.authority
        found = [
            {
                "request": one.key,
                "person": one.person,
                "name": _name(authority.people, one.person, now),
                "preset": one.preset,
                "state": "lapsed" if one.lapsed(now) else one.state.value,
                "reason": one.reason,
                "purpose": one.purpose,
                "ticket": one.ticket,
                "why": one.why,
                "decisions": [
                    {"person": each.person, "role": each.role.value, "yes": each.yes, "why": each.why}
                    for each in one.decisions
                ],
                **_about(one.extent, one.period),
            }
            for one in authority.grants.requests.values()
            if everything or (one.state is RequestState.OPEN and not one.lapsed(now))
        ]
        return {"zone": authority.policy.zone, "requests": found}


def grants(file: Path, *, everything: bool) -> dict[str, Any]:
    """Grants that are not over, or all, oldest first."""
    with opened(file) as here:
        now, authority = here.desk.now(), here.desk.authority
        found = [
            {
                "grant": one.key,
                "request": one.request,
                "person": one.person,
                "name": _name(authority.people, one.person, now),
                "preset": one.preset,
                "state": one.state(now).value,
                "drill": one.drill,
                **_about(one.extent, one.period),
            }
            for one in authority.grants.grants.values()
            if everything or one.state(now) not in OVER
        ]
        return {"zone": authority.policy.zone, "grants": found}


def lines(told: Mapping[str, Any]) -> Iterator[str]:
    """Requests or grants for people, two lines each."""
    zone, found = told["zone"], told.get("requests", told.get("grants", []))
    for one in found:
        name = f"{inert(one['name'], CELL)} ({one['person']})"
        yield f"{one.get('grant') or one['request']}  {inert(one['preset'], CELL)}  {one['state']}  {name}"
        assets = ", ".join(inert(asset, CELL) for asset in one["assets"])
        some = f", {len(one['tags'])} tags of them" if one["tags"] else ""
        when = f"{written_time(one['from_ns'], zone)} to {written_time(one['until_ns'], zone)}"
        yield f"    {assets}{some}; {when}"
        if one.get("reason"):
            yield f"    {inert(one['purpose'], CELL)}: {inert(one['reason'])}"
        if one.get("why"):
            yield f"    {inert(one['why'])}"
        for each in one.get("decisions", ()):
            yield f"    {'yes' if each['yes'] else 'no'}, {each['person']} as {each['role']}: {inert(each['why'])}"
    if not found:
        yield "none"


def decided(file: Path, request: str, login: str, why: str, ask: Ask, *, yes: bool) -> str:
    """Say yes or no to a request as a person who may."""
    with opened(file) as here:
        person = _proven(here, login, ask)
        policy = here.desk.authority.policy

        def rule(people: People, held: Grants, now: SureTime) -> Sequence[TrailEntry]:
            asked, by = held.requests.get(request), people.person(person.key, now)
            if asked is None or by is None:
                raise RuleRefusal("there is no such request")
            role = may_decide(asked, people.person(asked.person, now), by, held, policy, now)
            return decide(asked, role, by, policy, now, yes=yes, why=why, grant=new_key("g"))

        entries = _act(here, rule)
        given = next((one.facts["grant"] for one in entries if one.kind == "grant.given"), None)
        if not yes:
            return f"{request}: denied"
        return f"{request}: approved" + (f", {given} is given" if given else "; another yes is needed")


def revoked(file: Path, grant: str, login: str, why: str, ask: Ask) -> str:
    """End a grant now, as a person who may."""
    with opened(file) as here:
        person = _proven(here, login, ask)

        def rule(people: People, held: Grants, now: SureTime) -> Sequence[TrailEntry]:
            found, by = held.grants.get(grant), people.person(person.key, now)
            if found is None or by is None:
                raise RuleRefusal("there is no such grant")
            return revoke(held, grant, by, people.person(found.person, now), now, why=why)

        _act(here, rule)
        return f"{grant}: revoked; open pages end within a second"


def _proven(here: CommandDesk, login: str, ask: Ask) -> Person:
    sign_in = SignIn(here.desk, here.store, PersonSessions(here.desk, here.store), Passwords())
    login = logins.normal(login)
    if wait_s := sign_in.wait_s(login, ""):
        raise ConfigError("too many attempts", hint=f"try again in {-(-round(wait_s) // 60)} minutes")
    password = ask(f"password of {login}")
    code = ask("code")
    person = sign_in.proven(login, password, code, address="")
    if person is None:
        hint = "login, password and code must all be right, and each code is good once"
        raise ConfigError(f"that does not prove {login}", hint=hint)
    return person


def _act(here: CommandDesk, rule: Callable[[People, Grants, SureTime], Sequence[TrailEntry]]) -> list[TrailEntry]:
    """On record with who was logged in on the machine, or refused with the rule's reason."""

    def typed(people: People, grants: Grants, now: SureTime) -> Sequence[TrailEntry]:
        return [replace(one, facts={**one.facts, "typed_by": here.by}) for one in rule(people, grants, now)]

    here.desk.now()
    try:
        return [record.entry for record in here.desk.authority.act(typed)]
    except RuleRefusal as error:
        raise ConfigError(str(error), hint="nothing was written") from None


def _name(people: People, key: str, now: SureTime) -> str:
    held = people.person(key, now)
    return f"{held.name}, {held.employer or 'own'}" if held else key


def _about(extent: Extent, period: Period) -> dict[str, Any]:
    return {**extent.to_facts(), **period.to_facts()}
