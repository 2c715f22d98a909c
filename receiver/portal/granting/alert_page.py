"""`/access/alerts`: what is to be done, and by whom; and the alerts, each with its next step and who knows of it.

Tasks are shown to the site's own people whose business they are, the auditor sees all of them; `alert_board.visible`
says who sees which alerts. The list is the one that security is told from, at most a second old: what is told and what
is shown are the same.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from receiver.governed.alerts.alert_board import MAY, SEE, ShownAlert, visible
from receiver.governed.alerts.due_tasks import DueTask, due_tasks
from receiver.governed.alerts.standing_alerts import written_time
from receiver.governed.grants.deciding import RuleRefusal
from receiver.governed.people.person import Person, PersonRole
from receiver.portal.granting.access_work import own_person
from receiver.portal.pages import templates
from receiver.portal.signing_in.forms import Forms
from receiver.portal.signing_in.office import SignInOffice


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRow:
    """One alert as it is shown."""

    alert: ShownAlert
    about: str
    """Name of whom it is about."""
    known_by: str
    """Name of who acknowledged it."""
    may_acknowledge: bool


class AlertPage:
    """Answers of `/access/alerts`."""

    def __init__(self, office: SignInOffice, forms: Forms) -> None:
        """
        Args:
            office: Knows people, grants and time, and holds the trail.
            forms: Makes and checks tokens.
        """
        self._office, self._forms = office, forms

    async def show(self, request: Request) -> Response:
        """`GET /access/alerts`."""
        if request.state.reader.person is None:
            return RedirectResponse("/sign-in?next=/access/alerts", status_code=303)
        return await self._page(request, own_person(request))

    async def acknowledge(self, request: Request) -> Response:
        """`POST /access/alerts`: somebody knows of it, and says what was found."""
        person, fields = own_person(request), await self._forms.read(request)
        number, note = fields.get("alert", ""), fields.get("note", "")[:2000]
        address = request.state.reader.address

        def work() -> None:
            self._office.desk.now()
            asked = int(number) if number.isascii() and number.isdigit() and len(number) < 19 else 0
            self._office.telling.acknowledge(asked, note, by=person.key, person=person, origin=address)

        try:
            await asyncio.to_thread(work)
        except RuleRefusal as error:
            return await self._page(request, person, wrong=str(error))
        return RedirectResponse("/access/alerts", status_code=303)

    async def _page(self, request: Request, person: Person, *, wrong: str = "") -> Response:
        rows, due = await asyncio.to_thread(self._look, person)
        zone = self._office.desk.authority.policy.zone
        shown = (
            templates()
            .get_template("granting/alerts.html")
            .render(
                person=person,
                rows=rows,
                tasks=due,
                at=lambda time_ns: written_time(time_ns, zone),
                wrong=wrong,
                trouble=self._office.telling.trouble,
                token=self._forms.token(request, "/access/alerts"),
            )
        )
        return HTMLResponse(shown, status_code=409 if wrong else 200)

    def _look(self, person: Person) -> tuple[list[AlertRow] | None, list[DueTask]]:
        """Alerts, None where they are not for this person; and tasks."""
        authority, now = self._office.desk.authority, self._office.desk.now()
        due = due_tasks(authority.people, authority.grants, authority.policy, now)
        if PersonRole.AUDITOR not in person.roles:
            due = [one for one in due if one.roles & person.roles or person.key in one.persons]
        if not person.roles & (SEE | {PersonRole.SPONSOR}):
            return None, due
        found = visible(self._office.telling.open_alerts(), person, authority.people)
        acts = bool(person.roles & MAY)
        rows = [
            AlertRow(
                alert=one,
                about=self._name(one.person),
                known_by=self._name(one.acknowledged.who) if one.acknowledged else "",
                may_acknowledge=acts and bool(one.number) and one.acknowledged is None and one.person != person.key,
            )
            for one in found
        ]
        return rows, due

    def _name(self, key: str) -> str:
        held = self._office.desk.authority.person(key) if key else None
        return held.name if held else key
