"""A person's own page: who they are here, their password, sessions and passkeys, and what is due of them."""

from __future__ import annotations

import asyncio
import base64
import binascii

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from protocol.errors import ConfigError
from receiver.governed.people import passwords
from receiver.governed.people.passkeys import unavailable
from receiver.governed.people.password_change import PasswordForm
from receiver.governed.people.person import Person, PersonRole
from receiver.governed.people.session_rules import Ending
from receiver.governed.people.tasks import PeopleTask, tasks
from receiver.portal.pages import templates
from receiver.portal.serving.guard import host_name
from receiver.portal.signing_in.forms import Forms, bounded
from receiver.portal.signing_in.office import SignInOffice
from receiver.portal.signing_in.sign_in_pages import as_json, origin_of

FORMS = (
    "/sign-out",
    "/account/password",
    "/account/sessions",
    "/account/passkey-offer",
    "/account/passkey-add",
    "/account/passkey-remove",
)
"""Addresses that the page sends something to."""


class AccountPages:
    """Answers of `/account`."""

    def __init__(self, office: SignInOffice, forms: Forms) -> None:
        """
        Args:
            office: Knows people, sessions and passkeys.
            forms: Makes and checks tokens.
        """
        self._office, self._forms = office, forms

    async def show(self, request: Request) -> Response:
        """`GET /account`; where anyone reads the pages, who is not signed in is led there."""
        if request.state.reader.person is None:
            return RedirectResponse("/sign-in?next=/account", status_code=303)
        return self._page(request, _person(request))

    async def password(self, request: Request) -> Response:
        """`POST /account/password`: another one; the old one and a code are asked for, other sessions end."""
        person, fields, reader = _person(request), await self._forms.read(request), request.state.reader
        named = {name: fields.get(name, "") for name in ("old", "password", "again")}
        form = PasswordForm(code=fields.get("code", "")[:20], **named)

        def work() -> None:
            self._office.own_password.change(person, form, session=reader.session, address=reader.address)

        try:
            await self._office.slowly(work)
        except ConfigError as error:
            return self._page(request, person, wrong=f"{error}; {error.hint}.")
        return self._page(request, person, done="The password is changed, and every other session of yours has ended.")

    async def end_session(self, request: Request) -> Response:
        """`POST /account/sessions`: end one session, or all the others."""
        person, fields, reader = _person(request), await self._forms.read(request), request.state.reader
        if fields.get("session") == "others":
            await asyncio.to_thread(
                self._office.sessions.close_all,
                person.key,
                Ending.REVOKED,
                person.key,
                keep=reader.session,
                address=reader.address,
            )
        else:
            await asyncio.to_thread(self._office.end_session, person, fields.get("session", ""), reader.address)
        return RedirectResponse("/account", status_code=303)

    async def passkey_offer(self, request: Request) -> Response:
        """`POST /account/passkey-offer`: what the browser needs to make a key, as JSON."""
        person, host = _person(request), self._host(request)
        self._forms.check(request, request.headers.get("x-form-token", ""))
        now_ns = self._office.desk.now().late_ns
        try:
            made = await asyncio.to_thread(self._office.passkeys.offer, person, host, now_ns)
        except ConfigError as error:
            return JSONResponse({"error": f"{error}; {error.hint}."}, 409)
        return Response(made, media_type="application/json")

    async def passkey_add(self, request: Request) -> Response:
        """`POST /account/passkey-add`: `{answer, name}`."""
        person, host, office = _person(request), self._host(request), self._office
        self._forms.check(request, request.headers.get("x-form-token", ""))
        told, address = as_json(await bounded(request)), request.state.reader.address

        def work() -> None:
            now_ns = office.desk.now().late_ns
            origin = origin_of(request)
            key = office.passkeys.add(
                person, told.get("answer", ""), told.get("name", ""), host=host, origin=origin, now_ns=now_ns
            )
            office.desk.note("passkey.added", person.key, address, person=person.key, name=key.name)

        try:
            await office.slowly(work)
        except ConfigError as error:
            return JSONResponse({"error": f"{error}; {error.hint}."}, 400)
        return JSONResponse({"next": "/account"})

    async def passkey_remove(self, request: Request) -> Response:
        """`POST /account/passkey-remove`."""
        person, fields, office = _person(request), await self._forms.read(request), self._office
        try:
            ident = base64.urlsafe_b64decode(fields.get("passkey", ""))
        except (ValueError, binascii.Error) as error:
            raise HTTPException(400) from error

        def work() -> None:
            if office.store.drop_passkey(person.key, ident):
                office.desk.note("passkey.removed", person.key, request.state.reader.address, person=person.key)

        await asyncio.to_thread(work)
        return RedirectResponse("/account", status_code=303)

    def _page(self, request: Request, person: Person, *, wrong: str = "", done: str = "") -> Response:
        office, host = self._office, host_name(request.headers.get("host", ""))
        keys = office.store.passkeys(person.key)
        shown = (
            templates()
            .get_template("signing_in/account.html")
            .render(
                person=person,
                enrolment=office.desk.people.get(person.key),
                own=request.state.reader.session,
                sessions=office.sessions.of(person.key),
                passkeys=[(base64.urlsafe_b64encode(one.id).decode(), one) for one in keys],
                no_passkeys=unavailable(host, encrypted=request.url.scheme == "https"),
                shortest=passwords.SHORTEST,
                tasks=self._tasks(person),
                now_ns=office.desk.now().late_ns,
                tokens={name: self._forms.token(request, name) for name in FORMS},
                wrong=wrong,
                done=done,
            )
        )
        return HTMLResponse(shown, status_code=409 if wrong else 200)

    def _tasks(self, person: Person) -> list[PeopleTask]:
        """What is due: all of it for administrators and security, their own people's for sponsors."""
        found = tasks(self._office.desk.people, self._office.desk.now())
        if person.roles & {PersonRole.ADMINISTRATOR, PersonRole.SECURITY}:
            return found
        return [task for task in found if person.key in task.sponsors]

    def _host(self, request: Request) -> str:
        host = host_name(request.headers.get("host", ""))
        if unavailable(host, encrypted=request.url.scheme == "https"):
            raise HTTPException(404)
        return host


def _person(request: Request) -> Person:
    """Who is signed in; HTTPException (404) for anybody else, as for what is not there."""
    person: Person | None = request.state.reader.person
    if person is None or person.key.startswith("service:"):
        raise HTTPException(404)
    return person
