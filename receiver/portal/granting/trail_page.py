"""`/trail`: the record, to whom it concerns. A trail that shows too much is a leak of its own.

    security, auditor    everything
    who reviews          what was done under a grant whose review waits for them
    sponsor              what was done by, and decided about, the people sponsored
    everybody            what they did themselves, and what systems did that they answer for

The question is made narrow before it is asked, and what comes back is looked at once more, entry by entry. A look into
the record goes on record too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from receiver.governed.people.person import Person
from receiver.governed.people.services import SERVICE
from receiver.governed.trail.entry import Fact, TrailEntry, TrailRecord
from receiver.portal.granting import access_view
from receiver.portal.granting.access_work import signed_in
from receiver.portal.pages import templates
from receiver.portal.signing_in.office import SignInOffice

SHOWN = 100
"""Entries on one page."""


class TrailPage:
    """Answers of `/trail`."""

    def __init__(self, office: SignInOffice) -> None:
        """
        Args:
            office: Knows people, grants and time, and holds the trail.
        """
        self._office = office

    async def show(self, request: Request) -> Response:
        """`GET /trail?grant=&person=&kind=&before=`."""
        if request.state.reader.person is None:
            return RedirectResponse("/sign-in?next=/trail", status_code=303)
        person, asked = signed_in(request), request.query_params
        before = _before(asked.get("before", ""))
        grant, whose, kind = asked.get("grant", "")[:64], asked.get("person", "")[:64], asked.get("kind", "")[:64]
        authority = self._office.desk.authority
        self._office.desk.now()
        if not self._may(person, grant, whose):
            if grant or whose:
                raise HTTPException(404)
            whose = person.key
        facts: dict[str, Fact] = {"grant": grant, "person": whose, "what": kind}
        note = TrailEntry(
            kind="read.trail",
            at_ns=self._office.desk.wall(),
            who=person.key,
            origin=request.state.reader.address,
            facts={name: fact for name, fact in facts.items() if fact},
        )
        await authority.trail.note_async([note])
        records = await asyncio.to_thread(self._records, before, grant, whose, kind)
        shown = (
            templates()
            .get_template("granting/trail.html")
            .render(
                records=records,
                grant=grant,
                whose=whose,
                kind=kind,
                name=self._name,
                more=records[-1].number if len(records) == SHOWN else 0,
                everything=bool(person.roles & access_view.SEES_ALL),
            )
        )
        return HTMLResponse(shown)

    def _may(self, person: Person, grant: str, whose: str) -> bool:
        """Whether somebody may see the entries of a grant, or of a person, or of everybody."""
        if person.roles & access_view.SEES_ALL:
            return True
        authority = self._office.desk.authority
        systems = {f"{SERVICE}{one.key}" for one in authority.people.services.owned(person.key)}
        if whose == person.key or whose in systems:
            return not grant
        if whose:
            held = authority.person(whose)
            return not grant and held is not None and bool(held.sponsor) and held.sponsor == person.key
        found = authority.grants.grants.get(grant)
        if found is None:
            return False
        view = access_view.look(person, authority.people, authority.grants, authority.policy, authority.now)
        waits = any(row.due.grant.key == grant and row.may_close for row in view.reviews)
        return waits or person.key in authority.grants.whose(found)

    def _records(self, before: int | None, grant: str, whose: str, kind: str) -> Sequence[TrailRecord]:
        trail = self._office.desk.authority.trail
        kinds = [kind] if kind else []
        if whose:
            mine = trail.page(before=before, limit=SHOWN, kinds=kinds, who=[whose])
            about = trail.page(before=before, limit=SHOWN, kinds=kinds, person=[whose])
            both = {record.number: record for record in (*mine, *about)}
            return [both[number] for number in sorted(both, reverse=True)[:SHOWN]]
        found = trail.page(before=before, limit=SHOWN, kinds=kinds, grant=[grant] if grant else [])
        return [one for one in found if not grant or _about(one.entry, grant)]

    def _name(self, key: str) -> str:
        """Of a person, for whoever may see the entry."""
        held = self._office.desk.authority.person(key)
        return held.name if held else key


def _about(entry: TrailEntry, grant: str) -> bool:
    grants = entry.facts.get("grants")
    return entry.facts.get("grant") == grant or (isinstance(grants, list) and grant in grants)


def _before(text: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise HTTPException(400)
    return int(text)
