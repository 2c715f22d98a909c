"""From a request to its answer: who reads, what their scope sees, and the look on record before anything is sent.

    reader = request.state.reader            put there by whoever let the request in; none: what anyone may read
    view   = views.of(reader's scope now)    nothing outside it can be in the answer
    answer = the view's page or JSON         the look is written meanwhile, as soon as the answer says what it shows
    await the look's record                  no record, no answer
    is it still the reader's scope?          a body that came slowly, or a long history, outlasts no grant

Without signing in nobody has a name, so there is nothing to record: that is what `[portal] anyone` gives up.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp

from receiver.governed.grants.granted import Granted
from receiver.governed.people.person import Person
from receiver.governed.trail.entry import Fact, TrailEntry, TrailRecord
from receiver.governed.trail.trail_error import TrailError
from receiver.outputs.historian.views import Scope
from receiver.portal.error_answers import Endpoint
from receiver.portal.scoped.looks import Look
from receiver.portal.scoped.scoped_view import ScopedView, ScopedViews, TooManyViews

_log = logging.getLogger("receiver.portal")

LONGEST_PATH = 300
"""Characters of an address that was refused, as they go on record."""


class RequestReader(Protocol):
    """Who asks, as of this request."""

    @property
    def person(self) -> Person | None:
        """None: nobody signed in."""

    @property
    def address(self) -> str:
        """Network address the request came from."""

    @property
    def session(self) -> str:
        """Names the session in the trail; empty without one."""

    @property
    def granted(self) -> Callable[[], Granted]:
        """What may be read now."""

    @property
    def holds(self) -> Callable[[], bool]:
        """Whether the session still holds."""


class LookRecord(Protocol):
    """The trail, as far as looks go."""

    def note_async(self, entries: list[TrailEntry]) -> Awaitable[list[TrailRecord]]: ...


class ScopedReading:
    """Makes endpoints out of what a view can answer."""

    def __init__(
        self, views: ScopedViews, *, anyone: Scope, record: LookRecord | None, clock: Callable[[], int]
    ) -> None:
        """
        Args:
            views: The plant by scope.
            anyone: What is read without signing in.
            record: Where looks go; None: nobody can sign in, so there are none.
            clock: The low side's wall time [ns since 1970 UTC].
        """
        self._views, self._anyone, self._record, self._clock = views, anyone, record, clock

    def answer(self, part: Callable[[ScopedView], Endpoint], *, data: bool = True) -> Endpoint:
        """An endpoint whose answer is made by a view of the reader's.

        Args:
            part: Of a view, what answers.
            data: It shows what was read in the plant: then the look goes on record.
        """

        async def whole(request: Request) -> ASGIApp:
            reader, granted = _reader(request), None
            if reader is not None and reader.person is not None:
                granted = reader.granted()
            scope = self._anyone if granted is None else granted.scope
            try:
                view = await self._views.of(scope)
            except TooManyViews as error:
                raise HTTPException(503, headers={"Retry-After": "10"}) from error
            state = request.scope.setdefault("state", {})
            state["view"] = view
            if reader is None or granted is None or reader.person is None:
                return await part(view)(request)
            person = reader.person
            noted: list[asyncio.Future[list[TrailRecord]]] = []
            refused: list[asyncio.Future[list[TrailRecord]]] = []

            def holds() -> bool:
                return reader.holds() and reader.granted().scope == scope

            def noting(look: Look) -> None:
                _still(holds)
                noted.append(self._begun(look, reader, person, granted))

            def refusing(names: Sequence[str]) -> None:
                refused.append(self._refused(request, reader, person, granted, names))

            state["holds"] = holds
            if data:
                state["noting"], state["refusing"] = noting, refusing
            try:
                made = await part(view)(request)
            except HTTPException as error:
                if error.status_code == 404:
                    refused.append(self._refused(request, reader, person, granted))
                raise
            finally:
                await _on_record([*noted, *refused])
            if data and not noted:
                raise RuntimeError(f"{request.url.path} does not say what it shows")
            _still(holds)
            return made

        return whole

    def _begun(
        self, look: Look, reader: RequestReader, person: Person, granted: Granted
    ) -> asyncio.Future[list[TrailRecord]]:
        """A look that is being written down from here on."""
        if self._record is None:
            raise HTTPException(503)
        under = _under(reader, person, granted.covering(look.assets, look.tags))
        entry = look.entry(at_ns=self._clock(), who=person.key, origin=reader.address, more=under)
        return asyncio.ensure_future(self._record.note_async([entry]))

    def _refused(
        self, request: Request, reader: RequestReader, person: Person, granted: Granted, names: Sequence[str] = ()
    ) -> asyncio.Future[list[TrailRecord]]:
        """What is not there and what is not theirs go on record alike, and take the same time.

        Args:
            names: Those of many that were asked for; empty: the address itself.
        """
        if self._record is None:
            raise HTTPException(503)
        asked = f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path
        if names:
            asked = " ".join((request.url.path, *names[:LONGEST_PATH]))
        facts: dict[str, Fact] = {"address": asked[:LONGEST_PATH], **_under(reader, person, granted.grants)}
        if names:
            facts["count"] = len(names)
        entry = TrailEntry(kind="read.refused", at_ns=self._clock(), who=person.key, origin=reader.address, facts=facts)
        return asyncio.ensure_future(self._record.note_async([entry]))


async def _on_record(noted: list[asyncio.Future[list[TrailRecord]]]) -> None:
    """Wait until all of them are on the disk.

    Raises:
        HTTPException: 503, one of them is not.
    """
    failure: TrailError | None = None
    for one in noted:
        try:
            await one
        except TrailError as error:
            failure = error
    if failure is not None:
        _log.error("nothing is shown, for it cannot be put on record: %s", failure)
        raise HTTPException(503) from failure


def _still(holds: Callable[[], bool]) -> None:
    """What may be read is what it was when the request came.

    Raises:
        HTTPException: 503, it is not: whoever asks again is answered by what holds now.
    """
    if not holds():
        raise HTTPException(503, headers={"Retry-After": "1"})


def _reader(request: Request) -> RequestReader | None:
    found: RequestReader | None = request.scope.get("state", {}).get("reader")
    return found


def _under(reader: RequestReader, person: Person, grants: tuple[str, ...]) -> dict[str, Fact]:
    return {"grants": [*grants], "session": reader.session, "vendor": person.employer}


def view_of(request: Request) -> ScopedView | None:
    """The view that a request was given, if it came so far."""
    found: ScopedView | None = request.scope.get("state", {}).get("view")
    return found
