"""`/access/visit?grant=`: what was announced of a site visit, and beside it what the diode saw change in its window.

    who reviews        all of it, before they close the review
    its own reader     of the assets that they may read at that moment, under another grant: a visit lets nobody read

Nothing on it says that the visitor did a thing: it is what changed in that time. A look at it goes on record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from protocol.errors import StoreError
from receiver.governed.alerts.standing_alerts import written_time
from receiver.governed.authority import Authority
from receiver.governed.grants.grant import Grant, GrantState
from receiver.governed.grants.granted import Granted
from receiver.governed.grants.preset import SITE_VISIT
from receiver.governed.grants.request import AccessRequest
from receiver.governed.people.person import Person
from receiver.governed.trail.entry import Fact, TrailEntry
from receiver.governed.visits import VisitRecord, visit_record
from receiver.outputs.historian.read import Door
from receiver.outputs.scope import Scope
from receiver.portal.granting.access_view import REVIEWS
from receiver.portal.granting.access_work import signed_in
from receiver.portal.pages import templates
from receiver.portal.scoped.looks import Look
from receiver.portal.signing_in.office import SignInOffice


class VisitPage:
    """Answers of `/access/visit`."""

    def __init__(self, office: SignInOffice, history: Path, clock: Callable[[], int]) -> None:
        """
        Args:
            office: Knows people, grants and time.
            history: Folder of the history.
            clock: The low side's wall time [ns since 1970 UTC].
        """
        self._office, self._history, self._clock = office, history, clock

    async def show(self, request: Request) -> Response:
        """`GET /access/visit?grant=`; 404 for whoever may see nothing of it, and for what is no visit that began."""
        if request.state.reader.person is None:
            return RedirectResponse("/sign-in?next=/access", status_code=303)
        person, key = signed_in(request), request.query_params.get("grant", "")[:64]
        authority, now = self._office.desk.authority, self._office.desk.now()
        grant = authority.grants.grants.get(key)
        if grant is None or grant.preset != SITE_VISIT or grant.state(now) is GrantState.PLANNED:
            raise HTTPException(404)
        granted = _granted(person, grant, authority)
        announced = authority.grants.requests.get(grant.request)
        record, trouble = await asyncio.to_thread(self._record, grant, announced, granted.scope)
        if not granted.scope.whole and (record is None or not record.assets):
            raise HTTPException(404)
        await authority.trail.note_async([self._look(request, person, key, granted, record)])
        visitor = authority.person(grant.person)
        zone = authority.policy.zone
        shown = (
            templates()
            .get_template("granting/visit.html")
            .render(
                grant=grant,
                visitor=f"{visitor.name}, {visitor.employer or 'the site'}" if visitor else grant.person,
                announced=announced,
                record=record,
                whole=granted.scope.whole,
                trouble=trouble,
                at=lambda time_ns: written_time(time_ns, zone),
            )
        )
        return HTMLResponse(shown)

    def _look(
        self, request: Request, person: Person, key: str, granted: Granted, record: VisitRecord | None
    ) -> TrailEntry:
        """As it goes on record: of a reader with what was shown and under which grants, as every read."""
        reader, at_ns = request.state.reader, self._office.desk.wall()
        if granted.scope.whole or record is None:
            facts: dict[str, Fact] = {"grant": key}
            return TrailEntry(kind="read.visit", at_ns=at_ns, who=person.key, origin=reader.address, facts=facts)
        look = Look(
            kind="read.visit",
            assets=tuple(one.name for one in record.assets),
            tags=tuple((one.name, each.tag) for one in record.assets for each in one.tags),
            from_ns=record.from_ns,
            to_ns=record.until_ns,
        )
        grants: list[Fact] = [*granted.covering(look.assets, look.tags)]
        under: dict[str, Fact] = {"grants": grants, "session": reader.session, "vendor": person.employer}
        return look.entry(at_ns=at_ns, who=person.key, origin=reader.address, more={"grant": key, **under})

    def _record(self, grant: Grant, announced: AccessRequest | None, scope: Scope) -> tuple[VisitRecord | None, str]:
        """The record as far as a scope sees its assets, or why it cannot be shown."""
        door = Door(self._history, scope, clock=self._clock)
        try:
            record = visit_record(grant, announced, door)
        except (StoreError, OSError) as error:
            return None, str(error)
        finally:
            door.close()
        if scope.whole:
            return record, ""
        return replace(record, assets=tuple(one for one in record.assets if one.described is not None)), ""


def _granted(person: Person, grant: Grant, authority: Authority) -> Granted:
    """What of a visit somebody may see: who reviews all of it, its own reader what they may read now.

    Raises:
        HTTPException: 404 for everybody else.
    """
    if grant.person == person.key:
        return authority.granted(person.key)
    if person.employer or not person.roles & REVIEWS:
        raise HTTPException(404)
    return Granted(scope=Scope(), until_ns=authority.now.late_ns, grants=())
