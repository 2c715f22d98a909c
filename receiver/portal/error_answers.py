"""What is answered where there is no answer: refused, not there, or a bug.

A person gets a page, a program a line of text. A bug in one answer is that answer's failure: it says so, and the log
has the details once (`faults.py`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TypeAlias

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp

from receiver.portal.faults import DisplayFaults
from receiver.portal.keeper import NoHistory
from receiver.portal.pages import Pages
from receiver.portal.serving.guard import HEADERS
from receiver.portal.signing_in.page_reader import PageReader

Endpoint: TypeAlias = Callable[[Request], Awaitable[ASGIApp]]
"""Answers the requests of one address."""

PROGRAMS = ("/api/", "/i3x/", "/live", "/healthz", "/metrics")
"""Addresses that programs ask."""


class ErrorAnswers:
    """Answers for what went wrong."""

    def __init__(self, pages: Callable[[Request], Pages], faults: DisplayFaults) -> None:
        """
        Args:
            pages: Give the page for people, within what a request may see.
            faults: Told of bugs.
        """
        self._pages, self._faults = pages, faults

    async def refused(self, request: Request, error: Exception) -> Response:
        """What is not there or not allowed (HTTPException), or a history that cannot be read (NoHistory)."""
        status = error.status_code if isinstance(error, HTTPException) else 503
        headers = error.headers if isinstance(error, HTTPException) else None
        if request.url.path.startswith((*PROGRAMS, "/static/")):
            why = f": {error}" if isinstance(error, NoHistory) else _detail(error)
            return PlainTextResponse(f"{status}{why}\n", status_code=status, headers=headers)
        page = self._pages(request).missing(status, plain=_stranger(request), why=_detail(error)[2:])
        page.headers.update(headers or {})
        return page

    async def broken(self, request: Request, error: Exception) -> Response:
        """A bug outside of every answer; the guard was passed over, so its headers are put here."""
        return PlainTextResponse("500: the log of the portal has the details\n", status_code=500, headers=HEADERS)

    def guarded(self, answer: Endpoint) -> Endpoint:
        """The same answer, whose bug is noted and told in its place."""

        async def whole(request: Request) -> ASGIApp:
            try:
                return await answer(request)
            except (HTTPException, NoHistory):
                raise
            except Exception as error:  # noqa: BLE001 - noted
                why = self._faults.note(f"the answer to {request.url.path}", error)
                if not request.url.path.startswith(PROGRAMS):
                    with contextlib.suppress(Exception):  # what every page has in common may be what fails
                        return self._pages(request).missing(500, plain=_stranger(request))
                return PlainTextResponse(f"500: {why}\n", status_code=500)

        return whole


def _detail(error: Exception) -> str:
    """What the answer said of its refusal, beyond the status itself."""
    if not isinstance(error, HTTPException) or error.detail == HTTPStatus(error.status_code).phrase:
        return ""
    return f": {error.detail}"


def _stranger(request: Request) -> bool:
    """Nobody is signed in, and nothing is open to anyone."""
    reader: PageReader | None = request.scope.get("state", {}).get("reader")
    return reader is not None and reader.person is None and not reader.granted().until_ns
