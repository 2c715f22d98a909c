"""`/access/people`: an administrator enrols named people, and suspends or ends them; security and the auditor look on.

Enrolling shows a one-time link, once: whoever has it becomes that person, so it is handed over by hand, and it takes a
code of the administrator's: a session that was left open makes nobody. Who has set up
gets no other link here. A lost phone is a recovery, and that is a command: it takes somebody's credentials away and
gives whoever reads the link that person's rights, so it needs the machine and not only a browser.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from protocol.errors import ConfigError
from receiver.governed import ending_access
from receiver.governed.people import logins, set_up
from receiver.governed.people.acts import LINK_HOURS, PeopleActs
from receiver.governed.people.desk import new_key
from receiver.governed.people.enrolment import Enrolment, PersonDraft, Standing, last_day
from receiver.governed.people.person import Person, PersonRole
from receiver.governed.trail.entry import TrailEntry
from receiver.portal.granting.access_view import SEES_ALL
from receiver.portal.granting.access_work import own_person
from receiver.portal.granting.asked_form import FormMistake, moment
from receiver.portal.pages import templates
from receiver.portal.signing_in.forms import Forms
from receiver.portal.signing_in.office import SignInOffice
from receiver.portal.signing_in.sign_in_pages import origin_of

TEXTS = ("login", "name", "employer", "contract", "contact", "sponsor", "checked_by", "checked_how", "ends")
"""Fields of the form of an enrolment, beside `role:NAME` for each role that was ticked."""

FIELDS = 1000
"""Of the form of a confirmation: one a person."""

ACTS = ("enrol", "link", "suspend", "resume", "end", "confirm")


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRow:
    """One enrolment as it is shown."""

    enrolment: Enrolment
    standing: Standing
    sponsor: str
    """Name of the sponsor."""
    enrolled_by: str
    """Name of who enrolled them."""


class PeoplePage:
    """Answers of `/access/people`."""

    def __init__(self, office: SignInOffice, forms: Forms) -> None:
        """
        Args:
            office: Knows people, links and sessions.
            forms: Makes and checks tokens.
        """
        self._office, self._forms = office, forms

    async def show(self, request: Request) -> Response:
        """`GET /access/people`."""
        if request.state.reader.person is None:
            return RedirectResponse("/sign-in?next=/access/people", status_code=303)
        person = own_person(request)
        if not person.roles & (SEES_ALL | {PersonRole.ADMINISTRATOR}):
            raise HTTPException(404)
        return self._page(request, person)

    async def enrol(self, request: Request) -> Response:
        """`POST /access/people/enrol`: somebody new; the answer shows the link."""
        person, fields = _administrator(request), await self._forms.read(request)
        address = request.state.reader.address

        def work() -> str:
            draft, key = read(fields), new_key("p")
            self._proven(person, fields, address, lambda acts: acts.enrol(key, draft))
            self._office.desk.act(person.key, lambda acts: acts.enrol(key, draft), origin=address)
            return self._link(key, person, address)

        return await self._linked(request, person, work, fields)

    async def link(self, request: Request) -> Response:
        """`POST /access/people/link`: another link for somebody who has not set up; the one before is void."""
        person, fields = _administrator(request), await self._forms.read(request)
        address = request.state.reader.address

        def work() -> str:
            key = fields.get("person", "")
            self._proven(person, fields, address, lambda acts: acts.link(key, recovery=False, first=True))
            return self._link(key, person, address)

        return await self._linked(request, person, work, {})

    async def suspend(self, request: Request) -> Response:
        """`POST /access/people/suspend`."""
        return await self._done(
            request,
            lambda key, why, by, origin, _: ending_access.suspend(
                self._office.desk, self._office.store, key, why, by=by, origin=origin
            ),
        )

    async def resume(self, request: Request) -> Response:
        """`POST /access/people/resume`."""
        desk = self._office.desk
        return await self._done(
            request, lambda key, why, by, origin, _: desk.act(by, lambda acts: acts.resume(key, why), origin=origin)
        )

    async def end(self, request: Request) -> Response:
        """`POST /access/people/end`: for ever; when they left and when that was reported, where that is why."""
        zone = self._office.desk.authority.policy.zone

        def work(key: str, why: str, by: str, origin: str, fields: Mapping[str, str]) -> None:
            left, reported = fields.get("left", ""), fields.get("reported", "")
            ending_access.end(
                self._office.desk,
                self._office.store,
                key,
                why,
                by=by,
                origin=origin,
                left_ns=moment("when the person left", left, zone) if left else None,
                reported_ns=moment("when that was reported", reported, zone) if reported else None,
            )

        return await self._done(request, work)

    async def confirm(self, request: Request) -> Response:
        """`POST /access/people/confirm`: the contract's contact confirmed those who are ticked."""

        def work(key: str, why: str, by: str, origin: str, fields: Mapping[str, str]) -> None:
            keys = [name.removeprefix("person:") for name in fields if name.startswith("person:")]
            if not keys:
                raise ConfigError("nobody is ticked", hint="tick those whom the contact confirmed")
            self._office.desk.act(
                by, lambda acts: acts.confirm(fields.get("employer", ""), keys, fields.get("by", "")), origin=origin
            )

        return await self._done(request, work)

    async def _done(
        self, request: Request, work: Callable[[str, str, str, str, Mapping[str, str]], object]
    ) -> Response:
        person, fields = _administrator(request), await self._forms.read(request, most=FIELDS)
        key, why, origin = fields.get("person", ""), fields.get("why", ""), request.state.reader.address
        try:
            await asyncio.to_thread(work, key, why, person.key, origin, fields)
        except (ConfigError, FormMistake) as error:
            return self._page(request, person, wrong=_said(error))
        return RedirectResponse("/access/people", status_code=303)

    async def _linked(
        self, request: Request, person: Person, work: Callable[[], str], filled: Mapping[str, str]
    ) -> Response:
        try:
            word = await self._office.slowly(work)
        except ConfigError as error:
            return self._page(request, person, wrong=_said(error), filled=filled)
        return self._page(request, person, link=f"{origin_of(request)}/set-up/{word}")

    def _proven(
        self,
        person: Person,
        fields: Mapping[str, str],
        address: str,
        wish: Callable[[PeopleActs], Sequence[TrailEntry]],
    ) -> None:
        """The administrator's code, asked for once it is clear that nothing else is wrong."""
        desk, now = self._office.desk, self._office.desk.now()
        wish(PeopleActs(desk.refresh(), now, at_ns=desk.wall(), by=person.key))
        self._office.sign_in.prove_again(person, fields.get("code", "")[:20], address=address)

    def _link(self, key: str, by: Person, address: str) -> str:
        return set_up.issue(self._office.desk, self._office.store, key, by=by.key, first=True, origin=address)

    def _page(
        self,
        request: Request,
        person: Person,
        *,
        wrong: str = "",
        link: str = "",
        filled: Mapping[str, str] | None = None,
    ) -> Response:
        desk, now = self._office.desk, self._office.desk.now()
        people = list(desk.people)
        rows = [self._row(one, one.standing(now)) for one in people]
        living = [row for row in rows if row.standing is not Standing.ENDED]
        shown = (
            templates()
            .get_template("granting/people.html")
            .render(
                person=person,
                acts=PersonRole.ADMINISTRATOR in person.roles,
                rows=living,
                ended=len(rows) - len(living),
                employers=sorted({row.enrolment.draft.employer for row in living} - {""}),
                sponsors=[one for one in desk.people.active(now) if PersonRole.SPONSOR in one.roles],
                roles=list(PersonRole),
                policy=self._office.policy,
                zone=desk.authority.policy.zone,
                link=link,
                hours=LINK_HOURS,
                wrong=wrong,
                filled=dict.fromkeys(TEXTS, "") | dict(filled or {}),
                tokens={act: self._forms.token(request, f"/access/people/{act}") for act in ACTS},
            )
        )
        return HTMLResponse(shown, status_code=409 if wrong else 200)

    def _row(self, one: Enrolment, standing: Standing) -> PersonRow:
        return PersonRow(
            enrolment=one,
            standing=standing,
            sponsor=self._name(one.draft.sponsor),
            enrolled_by="themselves, by the first link" if one.enrolled_by == one.key else self._name(one.enrolled_by),
        )

    def _name(self, key: str) -> str:
        held = self._office.desk.people.get(key) if key else None
        return held.draft.name if held else key


def read(fields: Mapping[str, str]) -> PersonDraft:
    """A person from the fields of the form.

    Args:
        fields: `TEXTS`, and `role:NAME` for each role.

    Raises:
        ConfigError: the last day or a role is none.
    """
    try:
        roles = frozenset(PersonRole(name.removeprefix("role:")) for name in fields if name.startswith("role:"))
    except ValueError as error:
        raise ConfigError(str(error), hint="choose anew") from error
    texts = {name: fields.get(name, "").strip() for name in TEXTS if name not in ("login", "ends")}
    return PersonDraft(
        login=logins.normal(fields.get("login", "")), roles=roles, ends_ns=last_day(fields.get("ends", "")), **texts
    )


def _administrator(request: Request) -> Person:
    person = own_person(request)
    if PersonRole.ADMINISTRATOR not in person.roles:
        raise HTTPException(404)
    return person


def _said(error: ConfigError | FormMistake) -> str:
    return f"{error}; {error.hint}" if isinstance(error, ConfigError) else str(error)
