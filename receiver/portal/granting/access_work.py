"""What the pages of access share: who is signed in, an act under the trail's lock, which assets can be named."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request

from protocol.content.catalog import Asset
from protocol.errors import StoreError
from receiver.governed.authority import ActRule, Authority
from receiver.governed.grants.deciding import RuleRefusal
from receiver.governed.grants.register import Grants
from receiver.governed.people.person import Person, PersonRole
from receiver.governed.people.register import People
from receiver.governed.sure_time import SureTime
from receiver.governed.trail.entry import TrailEntry
from receiver.outputs.historian.read import Door
from receiver.outputs.scope import Scope


def signed_in(request: Request) -> Person:
    """Who is signed in; HTTPException (404) for anybody else, as for what is not there."""
    person: Person | None = request.state.reader.person
    if person is None or person.key.startswith("service:"):
        raise HTTPException(404)
    return person


def own_person(request: Request) -> Person:
    """One of the site's own people; HTTPException (404) for anybody else."""
    person = signed_in(request)
    if person.employer:
        raise HTTPException(404)
    return person


async def acted(request: Request, authority: Authority, rule: ActRule) -> str:
    """Let a rule decide in a thread; what it refuses comes back in words, empty where it was done.

    Raises:
        TrailError: nothing was written.
    """
    address = request.state.reader.address

    def placed(people: People, grants: Grants, now: SureTime) -> Sequence[TrailEntry]:
        return [one if one.origin else replace(one, origin=address) for one in rule(people, grants, now)]

    try:
        await asyncio.to_thread(authority.act, placed)
    except RuleRefusal as error:
        return str(error)
    return ""


async def askable(person: Person, history: Path, clock: Callable[[], int]) -> list[Asset]:
    """Assets that a reader may be granted: those of their employer; of the site's own people all.

    Args:
        person: The reader; nobody else may be granted anything.
        history: Folder of the history.
        clock: The low side's wall time [ns since 1970 UTC].
    """
    if PersonRole.READER not in person.roles:
        return []
    scope = Scope(vendors=frozenset({person.employer})) if person.employer else Scope()

    def look() -> list[Asset]:
        door = Door(history, scope, clock=clock)
        try:
            return [view.asset for view in door.assets()]
        except (StoreError, OSError):
            return []
        finally:
            door.close()

    return await asyncio.to_thread(look)
