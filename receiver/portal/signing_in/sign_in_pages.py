"""The page of signing in: password and code, or a passkey; and signing out."""

from __future__ import annotations

import asyncio
import json

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from receiver.governed.people import logins
from receiver.governed.people.passkeys import unavailable
from receiver.governed.people.person_sessions import hashed
from receiver.governed.people.session_rules import Ending
from receiver.portal.pages import templates
from receiver.portal.serving.guard import host_name
from receiver.portal.signing_in import cookies
from receiver.portal.signing_in.forms import Forms, bounded
from receiver.portal.signing_in.office import SignInOffice

WRONG = "That did not fit. Login, password and code must all be right, and each code is good once."


class SignInPages:
    """Answers of `/sign-in` and `/sign-out`."""

    def __init__(self, office: SignInOffice, forms: Forms, oidc_label: str) -> None:
        """
        Args:
            office: Signs people in.
            forms: Makes and checks tokens.
            oidc_label: Whose sign-in stands beside; empty: nobody's.
        """
        self._office, self._forms, self._oidc = office, forms, oidc_label

    async def show(self, request: Request) -> Response:
        """`GET /sign-in?next=`: the form; who is signed in goes on."""
        wanted = inside(request.query_params.get("next", ""))
        if request.state.reader.person is not None:
            return RedirectResponse(wanted, status_code=303)
        return self._page(request, wanted)

    async def password(self, request: Request) -> Response:
        """`POST /sign-in`: login, password, code."""
        fields = await self._forms.read(request)
        reader, office, wanted = request.state.reader, self._office, inside(fields.get("next", ""))
        answer = await office.slowly(
            lambda: office.sign_in.attempt(
                fields.get("login", "")[:300],
                fields.get("password", ""),
                fields.get("code", "")[:20],
                address=reader.address,
                agent=request.headers.get("user-agent", ""),
            )
        )
        if answer.word:
            return signed_in(request, RedirectResponse(wanted, status_code=303), answer.word)
        return self._refused(request, wanted, fields.get("login", ""), answer.wait_s)

    async def passkey_ask(self, request: Request) -> Response:
        """`POST /sign-in/passkey-ask`: a challenge for the browser, as JSON."""
        self._forms.check(request, request.headers.get("x-form-token", ""))
        host = self._host(request)
        made = await asyncio.to_thread(lambda: self._office.passkeys.ask(host, self._office.desk.now().late_ns))
        return Response(made, media_type="application/json")

    async def passkey(self, request: Request) -> Response:
        """`POST /sign-in/passkey`: what the device signed."""
        self._forms.check(request, request.headers.get("x-form-token", ""))
        host, answer = self._host(request), (await bounded(request)).decode("utf-8", "replace")
        address, agent = request.state.reader.address, request.headers.get("user-agent", "")
        word = await self._office.slowly(lambda: self._by_passkey(answer, host, origin_of(request), address, agent))
        if not word:
            return JSONResponse({"error": "This passkey is not known here, or its person may not sign in."}, 403)
        return signed_in(request, JSONResponse({"next": "/"}), word)

    async def sign_out(self, request: Request) -> Response:
        """`POST /sign-out`."""
        await self._forms.read(request)
        reader, word = request.state.reader, cookies.word(request, cookies.SESSION)
        if session := self._office.store.session(hashed(word)):
            await asyncio.to_thread(
                self._office.sessions.close, session, Ending.SIGNED_OUT, session.person, reader.address
            )
        answer = RedirectResponse("/sign-in", status_code=303)
        cookies.put(request, answer, cookies.SESSION, "")
        return answer

    def _by_passkey(self, answer: str, host: str, origin: str, address: str, agent: str) -> str:
        office = self._office
        if office.sign_in.wait_s("", address):
            return ""
        now = office.desk.now()
        key = office.passkeys.owner(answer, host=host, origin=origin, now_ns=now.late_ns)
        person = office.desk.refresh().person(key, now) if key else None
        if person is None or not person.active:
            office.sign_in.failed("", "passkey", key, address=address)
            return ""
        return office.sessions.open(person, "passkey", address=address, agent=agent)

    def _host(self, request: Request) -> str:
        host = host_name(request.headers.get("host", ""))
        if why := unavailable(host, encrypted=request.url.scheme == "https"):
            raise HTTPException(404, why)
        return host

    def _refused(self, request: Request, wanted: str, login: str, wait_s: float) -> Response:
        if not wait_s:
            return self._page(request, wanted, login=logins.normal(login)[: logins.LONGEST], wrong=WRONG)
        minutes = max(1, -(-round(wait_s) // 60))
        wrong = f"Too many attempts. Try again in {minutes} minute{'s' * (minutes > 1)}."
        return self._page(request, wanted, wrong=wrong, status=429)

    def _page(self, request: Request, wanted: str, *, login: str = "", wrong: str = "", status: int = 200) -> Response:
        host = host_name(request.headers.get("host", ""))
        shown = (
            templates()
            .get_template("signing_in/sign_in.html")
            .render(
                token=self._forms.token(request, "/sign-in"),
                ask_token=self._forms.token(request, "/sign-in/passkey-ask"),
                key_token=self._forms.token(request, "/sign-in/passkey"),
                oidc=self._oidc,
                no_passkeys=unavailable(host, encrypted=request.url.scheme == "https"),
                wanted=wanted,
                login=login,
                wrong=wrong,
            )
        )
        return self._forms.keep(request, HTMLResponse(shown, status_code=status))


def inside(address: str) -> str:
    """Where to go on: an address of these pages, or `/`."""
    fits = address.startswith("/") and address[1:2] not in ("/", "\\") and address.isascii() and address.isprintable()
    return address if fits and len(address) <= 2000 and not address.startswith(("/sign-", "/api", "/live")) else "/"


def origin_of(request: Request) -> str:
    """Of the page that sent this, as its browser said; the guard has held it against the host."""
    return request.headers.get("origin", f"{request.url.scheme}://{request.headers.get('host', '')}")


def signed_in(request: Request, response: Response, word: str) -> Response:
    """The answer with the new session's cookie; the visit before it is over."""
    cookies.put(request, response, cookies.SESSION, word)
    cookies.put(request, response, cookies.VISIT, "")
    return response


def as_json(body: bytes) -> dict[str, str]:
    """An object of texts; HTTPException (400) for anything else."""
    try:
        told = json.loads(body)
        return {str(key): str(value) for key, value in told.items()}
    except (ValueError, AttributeError, RecursionError) as error:
        raise HTTPException(400) from error
