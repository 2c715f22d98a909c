"""What `checkvalve service` does: credentials of systems that read without a person at them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from receiver.commands.people_work import CommandDesk, opened, shown_day
from receiver.governed.grants.register import Grants
from receiver.governed.people import services
from receiver.governed.people.desk import new_key
from receiver.governed.people.enrolment import last_day
from receiver.governed.people.person_sessions import WORD_BYTES, hashed
from receiver.governed.people.register import People
from receiver.governed.people.services import ServiceCredential
from receiver.governed.sure_time import SureTime
from receiver.governed.trail.entry import TrailEntry


def issue(file: Path, *, name: str, owner: str, sources: Sequence[str], until: str) -> dict[str, str]:
    """A new service, and its token."""
    with opened(file) as here:
        key, owner_key = new_key("s"), here.key(owner)
        held = here.desk.person(owner_key)
        service = ServiceCredential(
            key=key,
            name=name.strip(),
            employer=held.employer if held else "",
            owner=owner_key,
            sources=tuple(sources),
            ends_ns=last_day(until),
        )

        def rule(people: People, now: SureTime) -> Sequence[TrailEntry]:
            return services.issue(service, people, now, at_ns=time.time_ns(), by=here.by)

        _act(here, rule)
        return _token(here, key)


def renew(file: Path, key: str) -> dict[str, str]:
    """Another token."""
    with opened(file) as here:
        held = here.desk.services
        _act(here, lambda people, now: services.renew(held, key, at_ns=time.time_ns(), by=here.by))
        return _token(here, key)


def end(file: Path, key: str, why: str) -> str:
    """No token any more."""
    with opened(file) as here:
        held = here.desk.services
        _act(here, lambda people, now: services.end(held, key, why, at_ns=time.time_ns(), by=here.by))
        here.store.drop_token(key)
        return f"{key}: ended"


def listed(file: Path) -> list[dict[str, Any]]:
    """Every service."""
    with opened(file) as here:
        people = here.desk.people
        found = []
        for one in here.desk.services:
            owner = people.get(one.owner)
            found.append(asdict(one) | {"sources": [*one.sources], "login": owner.draft.login if owner else ""})
        return found


def lines(told: Sequence[dict[str, Any]]) -> Iterator[str]:
    """For people."""
    if not told:
        yield "no service has a token"
    for one in told:
        state = "ended" if one["ended"] else f"until {shown_day(one['ends_ns'])}"
        yield f"{one['key']}  {one['name']}, of {one['login']}, from {', '.join(one['sources'])}: {state}"


def _act(here: CommandDesk, rule: Callable[[People, SureTime], Sequence[TrailEntry]]) -> None:
    def whole(people: People, grants: Grants, now: SureTime) -> Sequence[TrailEntry]:
        return rule(people, now)

    here.desk.now()
    here.desk.authority.act(whole)


def _token(here: CommandDesk, key: str) -> dict[str, str]:
    token = f"cvs_{secrets.token_urlsafe(WORD_BYTES)}"
    here.store.set_token(key, hashed(token))
    return {"service": key, "token": token}
