"""`/access`: what was asked, granted and reviewed, and the forms to ask, decide, begin, revoke and review.

Each form is one act: a rule of `receiver/governed/grants/` decides under the trail's lock, and what it refuses is told
on the page in the rule's own words. What is not a person's to see is not on their page, and a key in a form that is not
theirs is answered as one that never was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from protocol.content.catalog import Asset
from receiver.governed.authority import ActRule
from receiver.governed.grants.asking import ask, span
from receiver.governed.grants.deciding import RuleRefusal, begin, decide, may_decide, review, revoke, withdraw
from receiver.governed.grants.extent import Extent
from receiver.governed.grants.policy import AccessPolicy
from receiver.governed.grants.preset import BREAK_GLASS, SITE_VISIT
from receiver.governed.grants.register import Grants
from receiver.governed.people.desk import new_key
from receiver.governed.people.person import Person, PersonRole
from receiver.governed.people.register import People
from receiver.governed.sure_time import SureTime
from receiver.governed.trail.entry import TrailEntry
from receiver.portal.granting import access_view, asked_form
from receiver.portal.granting.access_work import acted, askable, signed_in
from receiver.portal.granting.asked_form import FormMistake
from receiver.portal.pages import templates
from receiver.portal.signing_in.forms import Forms
from receiver.portal.signing_in.office import SignInOffice

FIELDS = 600
"""Of the form of a request: one a ticked asset, and some more."""

ACTS = ("ask", "decide", "withdraw", "begin", "revoke", "review")


class GrantPages:
    """Answers of `/access`."""

    def __init__(self, office: SignInOffice, forms: Forms, history: Path, clock: Callable[[], int]) -> None:
        """
        Args:
            office: Knows people, grants and time.
            forms: Makes and checks tokens.
            history: Folder of the history: which assets there are to ask for.
            clock: The low side's wall time [ns since 1970 UTC].
        """
        self._office, self._forms, self._history, self._clock = office, forms, history, clock

    async def show(self, request: Request) -> Response:
        """`GET /access`."""
        if request.state.reader.person is None:
            return RedirectResponse("/sign-in?next=/access", status_code=303)
        return await self._page(request, signed_in(request))

    async def ask(self, request: Request) -> Response:
        """`POST /access/ask`: a request; one that a rule refuses is on record too, and shown with the reason."""
        person, fields = signed_in(request), await self._forms.read(request, most=FIELDS)
        policy = self._office.desk.authority.policy
        reader = self._reader(person, fields.get("for", ""))
        if reader is None:
            return await self._page(request, person, wrong="you answer for no such system now", filled=fields)
        visible = _extent(await askable(reader, self._history, self._clock))
        try:
            asked = asked_form.read(fields, _groups(policy, visible), policy.zone, self._clock())
        except FormMistake as error:
            return await self._page(request, person, wrong=str(error), filled=fields)
        key = new_key("r")

        def rule(people: People, grants: Grants, now: SureTime) -> Sequence[TrailEntry]:
            return ask(
                asked, people.person(reader.key, now) or reader, visible, grants, policy, now, key=key, by=person.key
            )

        refused = await acted(request, self._office.desk.authority, rule)
        made = self._office.desk.authority.grants.requests.get(key)
        refused = refused or (made.why if made else "")
        if refused:
            return await self._page(request, person, wrong=refused, filled=fields)
        return RedirectResponse("/access", status_code=303)

    async def decide(self, request: Request) -> Response:
        """`POST /access/decide`: yes or no, with a reason."""
        person, fields = signed_in(request), await self._forms.read(request)
        policy = self._office.desk.authority.policy

        def rule(people: People, grants: Grants, now: SureTime) -> Sequence[TrailEntry]:
            held, by = grants.requests.get(fields.get("request", "")), people.person(person.key, now)
            if held is None or by is None or _anothers(by, held.theirs):
                raise RuleRefusal("there is no such request")
            role = may_decide(held, people.person(held.person, now), by, grants, policy, now)
            yes = fields.get("answer") == "approve"
            return decide(held, role, by, policy, now, yes=yes, why=fields.get("why", ""), grant=new_key("g"))

        return await self._done(request, person, rule)

    async def withdraw(self, request: Request) -> Response:
        """`POST /access/withdraw`: the asker takes a request back."""
        person, fields = signed_in(request), await self._forms.read(request)

        def rule(people: People, grants: Grants, now: SureTime) -> Sequence[TrailEntry]:
            held = grants.requests.get(fields.get("request", ""))
            if held is None:
                raise RuleRefusal("it is not your request")
            return withdraw(held, person, now)

        return await self._done(request, person, rule)

    async def begin(self, request: Request) -> Response:
        """`POST /access/begin`: first use of a grant whose time runs from it."""
        person, fields = signed_in(request), await self._forms.read(request)
        return await self._done(
            request, person, lambda people, grants, now: begin(grants, fields.get("grant", ""), person, now), to="/"
        )

    async def revoke(self, request: Request) -> Response:
        """`POST /access/revoke`: a grant ends now, and its streams with it."""
        person, fields = signed_in(request), await self._forms.read(request)

        def rule(people: People, grants: Grants, now: SureTime) -> Sequence[TrailEntry]:
            key = fields.get("grant", "")
            by, held = people.person(person.key, now), grants.grants.get(key)
            if by is None or held is None or _anothers(by, grants.whose(held)):
                raise RuleRefusal("there is no such grant")
            return revoke(grants, key, by, people.person(held.person, now), now, why=fields.get("why", ""))

        return await self._done(request, person, rule)

    async def review(self, request: Request) -> Response:
        """`POST /access/review`: a review is closed, with findings."""
        person, fields = signed_in(request), await self._forms.read(request)
        policy = self._office.desk.authority.policy

        def rule(people: People, grants: Grants, now: SureTime) -> Sequence[TrailEntry]:
            by = people.person(person.key, now)
            if by is None or _anothers(by, ()):
                raise RuleRefusal("no review of this grant is due")
            justified, findings = fields.get("justified") == "yes", fields.get("findings", "")
            return review(grants, fields.get("grant", ""), by, policy, now, findings=findings, justified=justified)

        return await self._done(request, person, rule)

    def _reader(self, person: Person, key: str) -> Person | None:
        """For whom a request is: the person, or a system that they answer for; None for any other key."""
        if not key or key == person.key:
            return person
        return next((one for one in self._systems(person) if one.key == key), None)

    def _systems(self, person: Person) -> list[Person]:
        """Systems that read now, and that the person answers for."""
        people, now = self._office.desk.people, self._office.desk.authority.now
        held = (one.person(people, now) for one in people.services.owned(person.key))
        return [one for one in held if one.active]

    async def _done(
        self,
        request: Request,
        person: Person,
        rule: ActRule,
        *,
        to: str = "/access",
    ) -> Response:
        refused = await acted(request, self._office.desk.authority, rule)
        if refused:
            return await self._page(request, person, wrong=refused)
        return RedirectResponse(to, status_code=303)

    async def _askable(self, person: Person, systems: Sequence[Person]) -> list[Asset]:
        """What the person may ask for, for themselves or for a system of theirs, which is of the same employer."""
        reads = person if PersonRole.READER in person.roles or not systems else systems[0]
        return await askable(reads, self._history, self._clock)

    async def _page(
        self, request: Request, person: Person, *, wrong: str = "", filled: dict[str, str] | None = None
    ) -> Response:
        authority, now = self._office.desk.authority, self._office.desk.now()
        policy = authority.policy
        systems = self._systems(person)
        view = await asyncio.to_thread(access_view.look, person, authority.people, authority.grants, policy, now)
        assets = await self._askable(person, systems)
        shown = (
            templates()
            .get_template("granting/access.html")
            .render(
                person=person,
                view=view,
                now_ns=now.late_ns,
                zone=policy.zone,
                presets=[one for name, one in policy.presets.items() if name != BREAK_GLASS],
                groups=sorted(_groups(policy, _extent(assets))),
                systems=systems,
                assets=assets,
                visits=[row for row in view.mine if row.grant.preset == SITE_VISIT],
                readable=authority.granted(person.key).scope.assets or frozenset(),
                filled=dict.fromkeys(asked_form.FIELDS, "") | (filled or {}),
                wrong=wrong,
                length=span,
                tokens={act: self._forms.token(request, f"/access/{act}") for act in ACTS},
                sign_out=self._forms.token(request, "/sign-out"),
            )
        )
        return HTMLResponse(shown, status_code=409 if wrong else 200)


def _extent(assets: Sequence[Asset]) -> Extent:
    return Extent(assets=frozenset(one.name for one in assets))


def _groups(policy: AccessPolicy, visible: Extent) -> dict[str, Extent]:
    """Groups that lie inside what may be asked for: even the name of another may tell of somebody else's machine."""
    return {name: held for name, held in policy.groups.items() if visible.covers(held)}


def _anothers(person: Person, theirs: Collection[str]) -> bool:
    """Whether a thing is not there for somebody: people of another employer decide on nothing, and know their own."""
    return bool(person.employer) and person.key not in theirs
