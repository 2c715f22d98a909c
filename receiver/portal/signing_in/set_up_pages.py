"""The page behind a one-time link: password, codes, policy. The first administrator says who they are, too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from protocol.errors import ConfigError
from receiver.governed.people import codes, logins, passwords
from receiver.governed.people import set_up as links
from receiver.governed.people.enrolment import PersonDraft, last_day
from receiver.governed.people.person import PersonRole
from receiver.governed.people.set_up import OpenLink, SetUpForm
from receiver.portal.pages import templates
from receiver.portal.signing_in.forms import Forms
from receiver.portal.signing_in.office import SignInOffice
from receiver.portal.signing_in.sign_in_pages import signed_in


class SetUpPages:
    """Answers of `/set-up/{word}`."""

    def __init__(self, office: SignInOffice, forms: Forms) -> None:
        """
        Args:
            office: Takes links.
            forms: Makes and checks tokens.
        """
        self._office, self._forms = office, forms

    async def show(self, request: Request) -> Response:
        """`GET`: what is to be filled in; opening it uses nothing up."""
        word = request.path_params["word"]
        found = await self._office.slowly(lambda: self._look(word, request.state.reader.address))
        return self._page(request, found, {}, "")

    async def use(self, request: Request) -> Response:
        """`POST`: take it, and sign the person in."""
        fields, office = await self._forms.read(request), self._office
        word, address = request.path_params["word"], request.state.reader.address
        agent = request.headers.get("user-agent", "")

        def work() -> str:
            found = self._look(word, address)
            draft = None if found.enrolment else self._draft(fields)
            policy = office.policy.version if fields.get("policy") == "yes" else ""
            chosen = SetUpForm(
                password=fields.get("password", ""),
                again=fields.get("again", ""),
                code=fields.get("code", "")[:20],
                policy=policy,
                draft=draft,
            )
            key = office.set_up.use(word, chosen, address=address)
            if found.enrolment is None:
                office.forget_first()
            person = office.desk.refresh().person(key, office.desk.now())
            if person is None or not person.active:
                raise HTTPException(404)
            return office.sessions.open(person, "link", address=address, agent=agent)

        try:
            session = await office.slowly(work)
        except ConfigError as error:
            found = await office.slowly(lambda: self._look(word, address))
            return self._page(request, found, fields, f"{error}; {error.hint}.")
        return signed_in(request, RedirectResponse("/account", status_code=303), session)

    def _look(self, word: str, address: str) -> OpenLink:
        """Raises HTTPException (404) for what is no good link, and counts it as a failed attempt."""
        sign_in = self._office.sign_in
        found = links.look(self._office.desk, self._office.store, word) if not sign_in.wait_s("", address) else None
        if found is None:
            sign_in.failed("", "link", "", address=address)
            raise HTTPException(404)
        return found

    def _draft(self, fields: dict[str, str]) -> PersonDraft:
        """The first administrator, in their own words."""
        return PersonDraft(
            login=logins.normal(fields.get("login", "")),
            name=fields.get("name", "").strip(),
            roles=frozenset({PersonRole.ADMINISTRATOR}),
            ends_ns=last_day(fields.get("ends", "")),
            checked_by="nobody",
            checked_how="holds the first link, which was printed on this machine",
        )

    def _page(self, request: Request, found: OpenLink, fields: dict[str, str], wrong: str) -> Response:
        enrolment = found.enrolment
        login = enrolment.draft.login if enrolment else fields.get("login", "")
        seed = found.link.seed
        year = datetime.fromtimestamp(self._office.desk.wall() / 1e9, UTC) + timedelta(days=365)
        shown = (
            templates()
            .get_template("signing_in/set_up.html")
            .render(
                action=request.url.path,
                token=self._forms.token(request, request.url.path),
                enrolment=enrolment,
                login=login,
                name=fields.get("name", ""),
                ends=fields.get("ends", year.strftime("%Y-%m-%d")),
                picture=codes.picture(codes.address(seed, login or "administrator", "")),
                seed=" ".join(seed[at : at + 4] for at in range(0, len(seed), 4)),
                shortest=passwords.SHORTEST,
                policy=self._office.policy,
                wrong=wrong,
            )
        )
        return self._forms.keep(request, HTMLResponse(shown))
