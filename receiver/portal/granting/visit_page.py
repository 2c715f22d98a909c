"""`/access/visit?grant=`: what was announced of a site visit, and beside it what the diode saw change in its window.

For the roles that review, and before they close the review. Nothing on it says that the visitor did a thing: it is what
changed in that time. A look at it goes on record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from protocol.errors import StoreError
from receiver.governed.alerts.standing_alerts import written_time
from receiver.governed.grants.grant import Grant, GrantState
from receiver.governed.grants.preset import SITE_VISIT
from receiver.governed.grants.request import AccessRequest
from receiver.governed.trail.entry import TrailEntry
from receiver.governed.visits import VisitRecord, visit_record
from receiver.outputs.historian.read import Door
from receiver.outputs.scope import Scope
from receiver.portal.granting.access_view import REVIEWS
from receiver.portal.granting.access_work import own_person
from receiver.portal.pages import templates
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
        """`GET /access/visit?grant=`; 404 for whoever does not review, and for what is no visit that has begun."""
        if request.state.reader.person is None:
            return RedirectResponse("/sign-in?next=/access", status_code=303)
        person, key = own_person(request), request.query_params.get("grant", "")[:64]
        authority, now = self._office.desk.authority, self._office.desk.now()
        grant = authority.grants.grants.get(key)
        if not person.roles & REVIEWS or grant is None or grant.preset != SITE_VISIT or grant.person == person.key:
            raise HTTPException(404)
        if grant.state(now) is GrantState.PLANNED:
            raise HTTPException(404)
        note = TrailEntry(
            kind="read.visit",
            at_ns=self._office.desk.wall(),
            who=person.key,
            origin=request.state.reader.address,
            facts={"grant": key},
        )
        await authority.trail.note_async([note])
        announced = authority.grants.requests.get(grant.request)
        record, trouble = await asyncio.to_thread(self._record, grant, announced)
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
                trouble=trouble,
                at=lambda time_ns: written_time(time_ns, zone),
            )
        )
        return HTMLResponse(shown)

    def _record(self, grant: Grant, announced: AccessRequest | None) -> tuple[VisitRecord | None, str]:
        """The record, or why it cannot be shown."""
        door = Door(self._history, Scope(), clock=self._clock)
        try:
            return visit_record(grant, announced, door), ""
        except (StoreError, OSError) as error:
            return None, str(error)
        finally:
            door.close()
