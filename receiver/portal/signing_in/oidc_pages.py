"""To an organisation's own sign-in and back."""

from __future__ import annotations

import hmac
import logging

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from receiver.governed.people import logins
from receiver.portal.pages import templates
from receiver.portal.signing_in import cookies
from receiver.portal.signing_in.office import SignInOffice
from receiver.portal.signing_in.oidc import OidcError, OpenIdProvider
from receiver.portal.signing_in.sign_in_pages import signed_in

_log = logging.getLogger("receiver.portal")


class OidcPages:
    """Answers of `/sign-in/oidc` and `/sign-in/oidc-back`."""

    def __init__(self, office: SignInOffice, provider: OpenIdProvider) -> None:
        """
        Args:
            office: Opens sessions.
            provider: Says who somebody is.
        """
        self._office, self._provider = office, provider

    async def begin(self, request: Request) -> Response:
        """`GET /sign-in/oidc`: to the provider."""
        back, now_ns = self._provider.back(_here(request)), self._office.desk.now().late_ns
        try:
            address, state = await self._office.slowly(lambda: self._provider.leave(back, now_ns))
        except OidcError as error:
            _log.warning("%s", error)
            return _notice("Not now", "The organisation's sign-in does not answer.", 502)
        answer = RedirectResponse(address, status_code=303)
        # The provider sends the browser back from its own site, which no strict cookie survives.
        cookies.put(request, answer, cookies.STATE, state, same_site="lax")
        return answer

    async def back(self, request: Request) -> Response:
        """`GET /sign-in/oidc-back?code=&state=`: from the provider."""
        asked, office, address = request.query_params, self._office, request.state.reader.address
        kept, agent = cookies.word(request, cookies.STATE), request.headers.get("user-agent", "")

        def work() -> str:
            if office.sign_in.wait_s("", address):
                return ""
            email = ""
            if kept and hmac.compare_digest(kept.encode(), asked.get("state", "").encode()):
                now = office.desk.now()
                try:
                    email = self._provider.email(
                        kept, asked.get("code", ""), now_ns=now.late_ns, wall_ns=office.desk.wall()
                    )
                except OidcError as error:
                    _log.warning("%s", error)
            found = office.desk.refresh().find(logins.normal(email)) if email else None
            person = found.person(office.desk.now()) if found else None
            if person is None or not person.active:
                office.sign_in.failed("", "oidc", person.key if person else "", address=address)
                return ""
            return office.sessions.open(person, "oidc", address=address, agent=agent)

        word = await office.slowly(work)
        if not word:
            return _notice("Not signed in", "Nobody is enrolled here under what your organisation says.", 403)
        # A redirect would still be the provider's navigation, and carry no strict cookie.
        return signed_in(request, _notice("Signed in", "", 200, onward="/"), word)


def _here(request: Request) -> str:
    return f"{request.url.scheme}://{request.headers.get('host', '')}"


def _notice(title: str, text: str, status: int, *, onward: str = "") -> Response:
    shown = templates().get_template("signing_in/notice.html").render(title=title, text=text, onward=onward)
    return HTMLResponse(shown, status_code=status)
