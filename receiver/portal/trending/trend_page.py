"""`/trend`: many tags in one chart; and the forms by which a person keeps a view of it or writes a note.

The page is whole without a script, but for the chart: it names the tags and what is kept. What is in the address and is
not there, or not the reader's, is counted and not named. A form is answered by the page it came from; what cannot be
done is a word in its address (`WRONG`), so that nothing is sent twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from protocol.errors import StoreError
from receiver.governed.people.person import Person
from receiver.governed.trail.trail_error import TrailError
from receiver.portal import words
from receiver.portal.granting.access_work import signed_in
from receiver.portal.keeping.desk_acts import DeskActs, Sees
from receiver.portal.keeping.kept_thing import LONGEST_NAME, LONGEST_TEXT, KeptThing, ThingKind
from receiver.portal.keeping.thing_store import DeskFull
from receiver.portal.live import Live
from receiver.portal.pages import Pages, asked_range, moment_ns
from receiver.portal.plant_picture import LiveTag
from receiver.portal.scoped import looks
from receiver.portal.signing_in.forms import Forms
from receiver.portal.streams import Topic
from receiver.portal.trending import trend_address
from receiver.portal.trending.tag_names import MOST_TAGS, joined, named_tag, parted

STATIC = Path(__file__).parent.parent / "static"

RANGES = ((600, "10 min"), (3600, "1 h"), (28800, "8 h"), (86400, "24 h"), (604800, "7 d"))
"""Ranges that a button chooses [s]."""

ACTS = ("keep-view", "drop-view", "write-note", "drop-note")
"""Forms, below `/trend/`."""

WRONG = {
    "full": "This is not kept: you, or everybody together, keep as many as there may be, or it is too large. "
    "Drop what is not needed any more.",
    "empty": "This is not kept: it has no words.",
    "store": "This is not kept: the desk or the record cannot be written. The log of the portal has the details.",
}
"""What stands in an address as `wrong`, in words."""

LETTERS = "ABCDEFGHIJKLMNOP"

RANGING = ("range", "from", "to")

PRELOADED = (
    *sorted(f"trend/{path.name}" for path in (STATIC / "trend").glob("*.js") if path.name != "sparks.js"),
    *("dom.js", "format.js", "freshness.js", "held.js", "stream.js", "strip.js", "uplot/uPlot.esm.js"),
)
"""Scripts of the page: told at once, so that none of them waits for the one that names it."""


class TrendPage:
    """The page of one scope."""

    def __init__(self, live: Live, pages: Pages, sees: Sees, desk: DeskActs | None, forms: Forms | None) -> None:
        """
        Args:
            live: The plant as it stands now.
            pages: Give the frame.
            sees: Whether the scope holds an asset and a tag.
            desk: What people keep; None where nobody signs in.
            forms: Make and check tokens; None where nobody signs in.
        """
        self._live, self._pages, self._sees, self._desk, self._forms = live, pages, sees, desk, forms

    async def show(self, request: Request) -> Response:
        """`GET /trend`."""
        at, params = self._live.moment(), request.query_params
        address = trend_address.kept(request.url.query)
        names = [held for key, held in address if key == "tag"]
        found = [named_tag(self._live.picture, *parted(one)) for one in names]
        tags = [one for one in found if one is not None]
        unseen = [("tag", name) for name, one in zip(names, found, strict=True) if one is None]
        address = [one for one in address if one not in unseen]  # not even the name that was asked for comes back
        if names and not tags:
            raise HTTPException(404)
        asked = request if {"range", "from", "to"} & set(params) else None
        from_ns, to_ns, span_s = (
            (at.now_ns - 3600 * 10**9, at.now_ns, 3600) if asked is None else asked_range(asked, at.now_ns)
        )
        named = [(one.tag.asset, one.tag.name) for one in tags]
        looks.show(request, "read.trend", dict.fromkeys(asset for asset, _ in named), named, between=(from_ns, to_ns))
        looks.absent(request, [" ".join(name for _, name in unseen)] if unseen else [])  # an old link is one slip
        person, views, trouble = await self._kept(request)
        return self._pages.page(
            "trend.html",
            Topic(),
            tags=[_row(letter, one, address) for letter, one in zip(LETTERS, tags, strict=False)],
            absent=len(names) - len(tags),
            address=trend_address.written(address),
            rest=[one for one in address if one[0] not in RANGING],
            query=lambda **change: trend_address.changed(address, change),
            preloaded=PRELOADED,
            assets=[(asset, joined(asset, "")) for asset in dict.fromkeys(asset for asset, _ in named)],
            params=_first(params),
            from_ns=from_ns,
            to_ns=to_ns,
            span_s=span_s,
            ranges=RANGES,
            most_tags=MOST_TAGS,
            person=person,
            views=views,
            trouble=trouble,
            wrong=WRONG.get(params.get("wrong", ""), ""),
            tokens={act: self._forms.token(request, f"/trend/{act}") for act in ACTS} if self._forms and person else {},
            longest_name=LONGEST_NAME,
            longest_text=LONGEST_TEXT,
        )

    async def keep_view(self, request: Request) -> Response:
        """`POST /trend/keep-view`: the address under a name; of the own views with that name it takes the place."""
        person, desk, fields = await self._form(request)
        address = trend_address.kept(fields.get("address", ""))
        named = [parted(held) for key, held in address if key == "tag"]
        if not all(self._sees(asset, tag) and tag for asset, tag in named):
            raise HTTPException(404)
        name = " ".join(fields.get("name", "").split())[:LONGEST_NAME]
        if not name or not named:
            return _back(fields, "empty")
        held: dict[str, str | float | bool | None] = {"name": name, "address": trend_address.written(address)}

        def work() -> None:
            own = desk.own(person, ThingKind.VIEW, self._sees)
            key = next((one.key for one in own if one.held.get("name") == name), "")
            desk.keep(person, ThingKind.VIEW, held, origin=_origin(request), names=named, key=key)

        return await _done(work, fields)

    async def drop_view(self, request: Request) -> Response:
        """`POST /trend/drop-view`: one of the own views, by its key."""
        return await self._drop(request, ThingKind.VIEW)

    async def write_note(self, request: Request) -> Response:
        """`POST /trend/write-note`: words about an asset or one of its tags, at a moment."""
        person, desk, fields = await self._form(request)
        asset, tag = parted(fields.get("about", ""))
        if not self._sees(asset, tag):
            raise HTTPException(404)
        text, at_ns = fields.get("text", "").strip()[:LONGEST_TEXT], moment_ns(fields.get("at", ""))
        if not text:
            return _back(fields, "empty")
        if not 0 < at_ns < 2**62:
            raise HTTPException(400)
        held: dict[str, str | float | bool | None] = {"text": text, "own": fields.get("own") == "on"}

        def work() -> None:
            desk.keep(person, ThingKind.NOTE, held, origin=_origin(request), about=(asset, tag), at_ns=at_ns)

        return await _done(work, fields)

    async def drop_note(self, request: Request) -> Response:
        """`POST /trend/drop-note`: an own note, or, by the plant engineer, any that is seen."""
        return await self._drop(request, ThingKind.NOTE)

    async def _drop(self, request: Request, kind: ThingKind) -> Response:
        person, desk, fields = await self._form(request)
        key, origin = fields.get("key", ""), _origin(request)
        try:
            return await _done(lambda: desk.drop(person, key, kind, self._sees, origin=origin), fields)
        except KeyError as error:
            raise HTTPException(404) from error

    async def _form(self, request: Request) -> tuple[Person, DeskActs, dict[str, str]]:
        person = signed_in(request)
        if self._desk is None or self._forms is None:
            raise HTTPException(404)
        fields = await self._forms.read(request)
        if not request.state.holds():  # the form came slowly, and a grant ended meanwhile
            raise HTTPException(404)
        return person, self._desk, fields

    async def _kept(self, request: Request) -> tuple[Person | None, list[dict[str, str]], str]:
        """Who is signed in, their saved views by name, and why those cannot be shown."""
        if self._desk is None:
            return None, [], ""
        desk = self._desk
        try:
            person = signed_in(request)
        except HTTPException:
            return None, [], ""
        try:
            held = await asyncio.to_thread(desk.own, person, ThingKind.VIEW, self._sees)
        except StoreError:
            return person, [], "Saved views cannot be read: the log of the portal has the details."
        views = [self._view(one) for one in held]
        return person, sorted(views, key=lambda one: one["name"].casefold()), ""

    def _view(self, thing: KeptThing) -> dict[str, str]:
        """Without the tags that are not there, or not the reader's, any more; an empty address where none is left."""
        kept = trend_address.kept(str(thing.held.get("address", "")))
        seen = [one for one in kept if one[0] != "tag" or self._sees(*parted(one[1]))]
        address = trend_address.written(seen) if any(key == "tag" for key, _ in seen) else ""
        return {"key": thing.key, "name": str(thing.held.get("name", "")), "address": address}


def _row(letter: str, one: LiveTag, address: list[tuple[str, str]]) -> dict[str, Any]:
    """A tag for the template and the script."""
    tag, name = one.tag, joined(one.tag.asset, one.tag.name)
    lettered = ("hide", "x", "y")  # a tag that goes moves the letters
    return {
        "letter": letter,
        "name": name,
        "without": trend_address.written(
            [pair for pair in address if pair != ("tag", name) and pair[0] not in lettered]
        ),
        "page": one.page,
        "tag": tag,
        "unit": one.unit,
        "places": one.places,
        "current": one.current,
        "normal_low": tag.normal_low,
        "normal_high": tag.normal_high,
        "facts": {
            "label": words.text(f"{tag.asset} / {tag.name}"),
            "type": tag.type,
            "states": tag.states,
            "unit": one.unit,
            "places": one.places,
            "holds": one.holds,
            "after": one.after_s,
            "normal": [tag.normal_low, tag.normal_high],
        },
    }


def _first(params: QueryParams) -> dict[str, str]:
    return {key: params.get(key, "") for key in trend_address.KEYS}


def _origin(request: Request) -> str:
    address: str = request.state.reader.address
    return address


def _back(fields: dict[str, str], wrong: str = "") -> Response:
    """To the page that the form came from."""
    query = trend_address.written(trend_address.kept(fields.get("address", "")))
    told = "&".join(part for part in (query, f"wrong={wrong}" if wrong else "") if part)
    return RedirectResponse(f"/trend?{told}" if told else "/trend", status_code=303)


async def _done(work: Callable[[], None], fields: dict[str, str]) -> Response:
    try:
        await asyncio.to_thread(work)
    except DeskFull:
        return _back(fields, "full")
    except (StoreError, TrailError):
        return _back(fields, "store")
    return _back(fields)
