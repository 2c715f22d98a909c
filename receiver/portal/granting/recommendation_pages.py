"""`/access/recommendations`: a reader recommends a change, the plant engineer lets it be carried in, or does not.

    make, withdraw       who reads the asset
    release, decline     the plant engineer, with a written reason
    carry                a person, with a file that a command signs: the portal holds no key
    answer               comes back over the diode (`answer_watch.py`)

Nothing is executed by any of it. What is not a person's to see is not on their page, and its number in a form is
answered as one that never was.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from protocol.content.answered import RecommendationAnswer
from protocol.content.catalog import Asset
from protocol.errors import StoreError
from receiver.governed.authority import ActRule
from receiver.governed.grants.preset import DAY_S
from receiver.governed.grants.register import Grants
from receiver.governed.people.desk import new_key
from receiver.governed.people.person import Person, PersonRole
from receiver.governed.people.register import People
from receiver.governed.recommendations import recommending
from receiver.governed.sure_time import SureTime
from receiver.governed.trail.entry import TrailEntry
from receiver.governed.trail.trail_error import TrailError
from receiver.outputs.historian.read import Door
from receiver.portal.granting import recommendation_view, recommended_form
from receiver.portal.granting.access_work import acted, signed_in
from receiver.portal.granting.answer_watch import answers
from receiver.portal.granting.asked_form import FormMistake
from receiver.portal.pages import templates
from receiver.portal.signing_in.forms import Forms
from receiver.portal.signing_in.office import SignInOffice

HERE = "/access/recommendations"
ACTS = ("make", "withdraw", "release", "decline")

PIECE = 2_000
"""Characters that a template shows at a time: a longer text would lose its middle."""

_log = logging.getLogger("receiver.portal")


class RecommendationPages:
    """Answers of `/access/recommendations`."""

    def __init__(self, office: SignInOffice, forms: Forms, history: Path, clock: Callable[[], int]) -> None:
        """
        Args:
            office: Knows people, grants, recommendations and time.
            forms: Makes and checks tokens.
            history: Folder of the history: what a reader sees, and what came back.
            clock: The low side's wall time [ns since 1970 UTC].
        """
        self._office, self._forms, self._history, self._clock = office, forms, history, clock

    async def show(self, request: Request) -> Response:
        """`GET /access/recommendations`."""
        if request.state.reader.person is None:
            return RedirectResponse(f"/sign-in?next={HERE}", status_code=303)
        return await self._page(request, signed_in(request))

    async def make(self, request: Request) -> Response:
        """`POST /access/recommendations/make`: a reader recommends a change of an asset that they read now."""
        person = signed_in(request)
        fields = await self._forms.read(request, most_bytes=recommended_form.MOST_BYTES)
        held, key = self._office.desk.authority.recommendations, new_key("rec")
        seen = await self._readable(person)
        try:
            proposal = recommended_form.read(fields, seen)
        except FormMistake as error:
            return await self._page(request, person, wrong=str(error), filled=fields)

        def rule(people: People, grants: Grants, now: SureTime) -> Sequence[TrailEntry]:
            by = people.person(person.key, now) or person
            scope = grants.granted(by, now).scope
            names = {one.name for one in seen if one.site == proposal.site and scope.sees(one)}
            return recommending.make(proposal, by, names, held, now, key=key)

        return await self._done(request, person, rule, filled=fields)

    async def withdraw(self, request: Request) -> Response:
        """`POST /access/recommendations/withdraw`: who made it wants it no more."""
        person, fields = signed_in(request), await self._forms.read(request)
        held, key, why = self._office.desk.authority.recommendations, _number(fields), fields.get("why", "")
        return await self._done(
            request, person, lambda people, grants, now: recommending.withdraw(held, key, person, now, why=why)
        )

    async def release(self, request: Request) -> Response:
        """`POST /access/recommendations/release`: the plant engineer lets it be carried in, for so many days."""
        person, fields = signed_in(request), await self._forms.read(request)
        held, key, why = self._office.desk.authority.recommendations, _number(fields), fields.get("why", "")
        try:
            days = recommended_form.days(fields.get("days", ""))
        except FormMistake as error:
            return await self._page(request, person, wrong=str(error))

        def rule(people: People, grants: Grants, now: SureTime) -> Sequence[TrailEntry]:
            by, expires_ns = people.person(person.key, now) or person, now.late_ns + round(days * DAY_S) * 10**9
            return recommending.release(held, key, by, now, why=why, expires_ns=expires_ns)

        return await self._done(request, person, rule)

    async def decline(self, request: Request) -> Response:
        """`POST /access/recommendations/decline`: the plant engineer does not let it be carried in."""
        person, fields = signed_in(request), await self._forms.read(request)
        held, key, why = self._office.desk.authority.recommendations, _number(fields), fields.get("why", "")

        def rule(people: People, grants: Grants, now: SureTime) -> Sequence[TrailEntry]:
            return recommending.decline(held, key, people.person(person.key, now) or person, now, why=why)

        return await self._done(request, person, rule)

    async def _done(
        self, request: Request, person: Person, rule: ActRule, *, filled: dict[str, str] | None = None
    ) -> Response:
        refused = await acted(request, self._office.desk.authority, rule)
        if refused:
            return await self._page(request, person, wrong=refused, filled=filled)
        return RedirectResponse(HERE, status_code=303)

    async def _readable(self, person: Person) -> list[Asset]:
        """Assets that the person reads at this moment; none where the history cannot be read."""
        if PersonRole.READER not in person.roles:
            return []
        scope = self._office.desk.authority.granted(person.key).scope

        def look() -> list[Asset]:
            door = Door(self._history, scope, clock=self._clock)
            try:
                return [view.asset for view in door.assets()]
            except (StoreError, OSError):
                return []
            finally:
                door.close()

        return await asyncio.to_thread(look)

    def _heard(self) -> tuple[list[RecommendationAnswer], bool]:
        """What came back, and whether that could be read."""
        try:
            return answers(self._office, self._history, self._clock), True
        except TrailError:
            raise
        except (StoreError, OSError) as error:
            _log.error("answers to recommendations cannot be read: %s", error)
            return [], False

    async def _page(
        self, request: Request, person: Person, *, wrong: str = "", filled: dict[str, str] | None = None
    ) -> Response:
        authority, now = self._office.desk.authority, self._office.desk.now()
        found, readable = await asyncio.to_thread(self._heard)
        seen = await self._readable(person)
        view = recommendation_view.look(
            person,
            authority.people,
            authority.recommendations,
            found,
            {(one.site, one.name) for one in seen},
            now,
        )
        shown = (
            templates()
            .get_template("granting/recommendations.html")
            .render(
                person=person,
                view=view,
                assets=[(recommended_form.asset_key(one), one) for one in seen],
                readable=readable,
                filled=dict.fromkeys(recommended_form.FIELDS, "") | (filled or {}),
                attached=recommended_form.ATTACHED,
                attaching=any((filled or {}).get(field) for pair in recommended_form.ATTACHED for field in pair),
                days=recommended_form.DAYS,
                wrong=wrong,
                whole=_pieces,
                tokens={act: self._forms.token(request, f"{HERE}/{act}") for act in ACTS},
            )
        )
        return HTMLResponse(shown, status_code=409 if wrong else 200)


def _number(fields: dict[str, str]) -> str:
    return fields.get("recommendation", "")


def _pieces(text: str) -> Iterator[str]:
    """A text of any length, in pieces that are shown letter for letter."""
    return (text[at : at + PIECE] for at in range(0, len(text), PIECE))
