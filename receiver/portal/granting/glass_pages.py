"""`/access/glass` and `/access/roster`: opening equipment in an emergency, who is on duty. For the site's own people.

The custodian names the reader first, then the equipment: what can be ticked is what the reader's employer may see at
all. `breaking_glass.py` compares the code from the envelope and decides. What was filled in stays when something is
refused, but for the code.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from receiver.governed.alerts.duty_list import shifts
from receiver.governed.alerts.standing_alerts import first_gap_ns, written_time
from receiver.governed.breaking_glass import broken
from receiver.governed.grants.asking import span
from receiver.governed.grants.break_glass import Emergency
from receiver.governed.grants.deciding import RuleRefusal
from receiver.governed.grants.extent import Extent
from receiver.governed.grants.preset import BREAK_GLASS, HOUR_S, PRESETS
from receiver.governed.people.desk import new_key
from receiver.governed.people.person import Person, PersonRole
from receiver.governed.sealed_code import SealedCodes
from receiver.governed.trail.entry import TrailRecord
from receiver.portal.granting import glass_view
from receiver.portal.granting.access_work import askable, own_person
from receiver.portal.pages import templates
from receiver.portal.signing_in.forms import Forms
from receiver.portal.signing_in.office import SignInOffice

FIELDS = 600
"""Of the form: one a ticked asset, and some more."""

USUAL_H = "4"
"""Hours that the form begins with, where the policy allows them."""

LATEST = 400
"""Most openings and notices that are looked at for what became of telling security."""

_log = logging.getLogger("receiver.portal")


class GlassPages:
    """Answers of `/access/glass` and `/access/roster`."""

    def __init__(self, office: SignInOffice, forms: Forms, history: Path, clock: Callable[[], int]) -> None:
        """
        Args:
            office: Knows people, grants and time; the sealed codes' hashes lie beside its secrets.
            forms: Makes and checks tokens.
            history: Folder of the history: which equipment there is.
            clock: The low side's wall time [ns since 1970 UTC].
        """
        self._office, self._forms, self._history, self._clock = office, forms, history, clock

    async def show(self, request: Request) -> Response:
        """`GET /access/glass?reader=`."""
        if request.state.reader.person is None:
            return RedirectResponse("/sign-in?next=/access/glass", status_code=303)
        return await self._page(request, own_person(request), {"reader": request.query_params.get("reader", "")[:64]})

    async def open(self, request: Request) -> Response:
        """`POST /access/glass`: the glass is broken, or a rule says why not."""
        person, fields = own_person(request), await self._forms.read(request, most=FIELDS)
        authority = self._office.desk.authority
        emergency = Emergency(
            extent=Extent(assets=_named(fields)),
            length_s=_hours(fields.get("length_h", "")) * HOUR_S,
            criteria=[one for at, one in enumerate(authority.policy.criteria) if f"criterion:{at}" in fields],
            why=fields.get("why", "")[:2000],
            credential="",
            drill="drill" in fields,
        )
        reader, address = fields.get("reader", ""), request.state.reader.address
        visible = await self._equipment(authority.person(reader))

        def work() -> None:
            self._office.desk.now()
            broken(
                authority,
                SealedCodes(self._office.store.path.parent, _log.warning, wall_ns=self._clock()),
                emergency,
                fields.get("code", "")[:100],
                custodian=person.key,
                reader=reader,
                visible=visible,
                key=new_key("g"),
                origin=address,
            )

        try:
            await asyncio.to_thread(work)
        except RuleRefusal as error:
            return await self._page(request, person, fields, wrong=str(error))
        return RedirectResponse("/access/glass", status_code=303)

    async def roster(self, request: Request) -> Response:
        """`GET /access/roster`: who is on duty now and next, to be printed."""
        if request.state.reader.person is None:
            return RedirectResponse("/sign-in?next=/access/roster", status_code=303)
        own_person(request)
        authority, now = self._office.desk.authority, self._office.desk.now()
        duties = list(authority.grants.duties.values())
        custodians = [one for one in duties if one.role is PersonRole.CUSTODIAN]
        shown = (
            templates()
            .get_template("granting/roster.html")
            .render(
                shifts=shifts(duties, now.late_ns),
                name=self._name,
                now_ns=now.late_ns,
                gap_ns=first_gap_ns(custodians, now.late_ns),
                zone=authority.policy.zone,
                at=lambda time_ns: written_time(time_ns, authority.policy.zone),
            )
        )
        return HTMLResponse(shown)

    async def _equipment(self, reader: Person | None) -> Extent:
        if reader is None:
            return Extent(assets=frozenset())
        found = await askable(reader, self._history, self._clock)
        return Extent(assets=frozenset(one.name for one in found))

    async def _page(self, request: Request, person: Person, filled: dict[str, str], *, wrong: str = "") -> Response:
        authority, now = self._office.desk.authority, self._office.desk.now()
        policy = authority.policy
        notices, place = await asyncio.to_thread(self._record)
        view = await asyncio.to_thread(
            glass_view.look, person, authority.people, authority.grants, policy, now, notices
        )
        reader = next((one for one in view.readers if one.key == filled.get("reader")), None)
        preset = policy.presets.get(BREAK_GLASS, PRESETS[BREAK_GLASS])
        shown = (
            templates()
            .get_template("granting/glass.html")
            .render(
                person=person,
                view=view,
                reader=reader,
                assets=sorted((await self._equipment(reader)).assets),
                criteria=policy.criteria,
                longest=span(preset.longest_s),
                ceilings={asset: span(longest_s) for asset, longest_s in policy.ceilings.items()},
                review=span(preset.review_s),
                ways=[one.name for one in policy.tell],
                credential=authority.grants.credential,
                place=place,
                custodians=[
                    (self._name(one.duty.person), one)
                    for one in shifts(authority.grants.duties.values(), now.late_ns)
                    if one.duty.role is PersonRole.CUSTODIAN
                ][:4],
                at=lambda time_ns: written_time(time_ns, policy.zone),
                filled={"length_h": USUAL_H, "why": ""} | filled,
                wrong=wrong,
                tokens={name: self._forms.token(request, f"/access/{name}") for name in ("glass", "revoke")},
            )
        )
        return HTMLResponse(shown, status_code=409 if wrong else 200)

    def _record(self) -> tuple[list[TrailRecord], str]:
        """Openings and what became of telling them, oldest first; and where the envelope lies."""
        trail = self._office.desk.authority.trail
        found = trail.page(limit=LATEST, kinds=["break-glass.opened", "notice"])
        prepared = trail.page(limit=1, kinds=["break-glass.prepared"])
        return found[::-1], str(prepared[0].entry.facts.get("place", "")) if prepared else ""

    def _name(self, key: str) -> str:
        held = self._office.desk.authority.person(key)
        return held.name if held else key


def _named(fields: dict[str, str]) -> frozenset[str]:
    """Equipment that was ticked."""
    return frozenset(name.removeprefix("asset:") for name in fields if name.startswith("asset:"))


def _hours(text: str) -> float:
    """Hours as they were typed; 0.0 for what is no number, which a rule refuses."""
    try:
        hours = float(text.replace(",", "."))
    except ValueError:
        return 0.0
    return hours if 0 < hours < 10_000 else 0.0
