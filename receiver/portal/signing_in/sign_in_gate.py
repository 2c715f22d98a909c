"""Puts a reader on every request, and lets nobody past who may read nothing.

    /sign-in, /set-up, /static, /healthz   for everybody; also /i3x/v1/info, which says what i3X can do here
    anything else, signed in               with the person as reader; what that person may see is decided behind
    anything else, not signed in           what `[portal] anyone` gives; nothing: a page leads to /sign-in, whether it
                                           exists or not, and a program gets 401

Where the trail or the secrets cannot be read nobody is known, and everything but /static and /healthz is refused (503).
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from protocol.errors import CheckvalveError
from receiver.outputs.scope import Scope as SeenScope
from receiver.portal.serving.guard import below
from receiver.portal.signing_in import cookies
from receiver.portal.signing_in.page_reader import PageReader, anyone

if TYPE_CHECKING:
    from receiver.portal.signing_in.office import SignInOffice

FOR_ALL = ("/sign-in", "/set-up", "/static", "/healthz", "/i3x/v1/info")
"""Addresses, and what is below them."""

PROGRAMS = ("/api", "/i3x", "/live", "/metrics")

_log = logging.getLogger("receiver.portal")


class SignInGate:
    """The middleware (ASGI 3.0)."""

    def __init__(self, app: ASGIApp, *, office: SignInOffice | None, open_to: SeenScope | None) -> None:
        """
        Args:
            app: What is behind it.
            office: Knows who is signed in; None: nobody, but whom somebody put on the request before.
            open_to: What is read without signing in; None: nothing.
        """
        self._app, self._office, self._open_to = app, office, open_to

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, or refuse."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        try:
            reader = await self._reader(Request(scope))
        except CheckvalveError as error:
            _log.error("nobody can be let in: %s", error)
            if not below(path, "/static", "/healthz"):
                text = "Nobody can be let in at the moment: the log of the portal has the details.\n"
                await PlainTextResponse(text, status_code=503)(scope, receive, send)
                return
            reader = anyone("", None)
        scope.setdefault("state", {})["reader"] = reader
        if reader.person is None and self._open_to is None and not below(path, *FOR_ALL):
            await self._refusal(scope)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _reader(self, request: Request) -> PageReader:
        address = request.client.host if request.client else ""
        if self._office is None:
            held: PageReader | None = request.scope.get("state", {}).get("reader")
            return held or anyone(address, self._open_to)
        bearer = Headers(scope=request.scope).get("authorization", "")
        if bearer[:7].lower() == "bearer ":
            return await asyncio.to_thread(self._office.service, bearer[7:].strip(), address)
        if word := cookies.word(request, cookies.SESSION):
            found = self._office.glance(word, address)
            if found is not None:
                if found.noting:
                    await asyncio.to_thread(self._office.sessions.settle, found, address)
                if found.person is not None:
                    return self._office.reader(found.person, found.session, address)
        return anyone(address, self._open_to)

    def _refusal(self, scope: Scope) -> ASGIApp:
        if below(scope["path"], *PROGRAMS):
            return PlainTextResponse("401: sign in first\n", status_code=401)
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("401: sign in first\n", status_code=401)
        wanted = scope["path"] + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else "")
        next_page = "" if wanted == "/" else f"?next={quote(wanted, safe='')}"
        return RedirectResponse(f"/sign-in{next_page}", status_code=303)
