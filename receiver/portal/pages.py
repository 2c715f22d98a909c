"""The pages a person opens: the plant, one asset, one tag. Each is whole without a script; scripts keep it moving.

What is outside the reader's scope, or was never there, is answered by the same plain 404 that names nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup, escape
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse

from receiver.outputs.historian.views import ChangeView, EventView, SampleView, StateView
from receiver.portal import trend as trends
from receiver.portal import words
from receiver.portal.alarms.event_sequence import sequence
from receiver.portal.alarms.shown_alarms import shown_alarms
from receiver.portal.keeper import Keeper, NoHistory
from receiver.portal.listing import asset_cells
from receiver.portal.listing.listed_tags import ListedTags, TagQuestion, blank
from receiver.portal.live import Live
from receiver.portal.plant_picture import LiveTag
from receiver.portal.retiring.left_tags import changes_of
from receiver.portal.scoped import looks
from receiver.portal.shown import ShownTag, attention, show
from receiver.portal.streams import Topic
from receiver.portal.trending.tag_names import joined, query_of

SAMPLES = 20
"""Newest samples in the table under a chart."""

STATES = 20
"""Newest states on an asset's page."""

EVENTS = 50
"""Newest alarms and events on an asset's page."""

CHANGES = 200
"""Newest changes of the high side's configuration."""

SUMMARY_BUCKETS = 360
"""Of the range that is summed up for the first page: the least, highest and mean need no more."""

LONGEST_SHOWN = 4000
"""Characters that a template writes of one text: an asset's name as a key has up to 765."""

UNSHOWN = Markup('<tr><th scope="row"><a href="{}">{}</a></th><td class="why" colspan="{}">{}</td></tr>')
"""A row of a table that cannot be shown: address, name, columns, reason."""

RANGES = ((300, "5 min"), (3600, "1 h"), (86400, "24 h"))
"""Ranges that a button chooses [s]."""


class Pages:
    """Renders the HTML."""

    def __init__(self, live: Live, keeper: Keeper, *, foot: str = "", zone: str = "", signing_in: bool = False) -> None:
        """
        Args:
            live: The plant as it stands now.
            keeper: A door for history; slow questions go here.
            foot: Stands at the foot of each page.
            zone: Time zone of the plant (IANA), which readers may choose; empty: there is no choice.
            signing_in: There are accounts.
        """
        self._live, self._keeper = live, keeper
        self._foot, self._zone = {"text": foot, "signing_in": signing_in}, zone
        self._templates = templates()

    async def overview(self, request: Request) -> HTMLResponse:
        """`/`: every asset, the link, what is missing."""
        live, at = self._live, self._live.moment()
        looks.show(request, "read.overview", live.picture.assets)
        return self.page(
            "overview.html",
            Topic(),
            cards=[(live.picture.assets[card.name].asset, card) for card in live.picture.cards(at)],
            attention=attention(live.picture, at),
            alarms=await shown_alarms(live, self._keeper),
            processes=live.processes,
        )

    async def asset(self, request: Request) -> HTMLResponse:
        """`/asset/{name}`, `/asset?name=`: every tag of one machine."""
        live, at = self._live, self._live.moment()
        name = request.path_params.get("name", request.query_params.get("name", ""))
        live_asset = live.picture.assets.get(name)
        if live_asset is None:
            raise HTTPException(404)
        asked = TagQuestion.asked(request.query_params)
        looks.show(request, "read.asset", [name], rows=len(live_asset.tags))
        tags = ListedTags([one for one in live_asset.tags if not live.picture.retired(one, at)])

        def shown(live_tag: LiveTag) -> ShownTag:
            return show(live.picture, live_tag, at)

        states: list[StateView] = []
        events: list[EventView] = []
        changes: list[ChangeView] = []
        trouble = ""
        try:
            states, events, changes = await self._keeper.ask(
                lambda door: (door.states(name, STATES), door.events(EVENTS, name), door.changes(CHANGES))
            )
        except NoHistory as error:
            trouble = str(error)
        return self.page(
            "asset.html",
            Topic(asset=name),
            asset=live_asset.asset,
            card=live.picture.card(live_asset, at),
            tags=tags.tags,
            part=tags.part(asked, shown),
            blank=blank(),
            facts=tags.facts(live.faults),
            retired=[one for one in live_asset.tags if live.picture.retired(one, at)],
            changes=changes_of(name, changes)[:STATES],
            show=shown,
            trouble=trouble,
            past=live_asset.past,
            states=states,
            alarms=await shown_alarms(live, self._keeper, name),
            rows=sequence(events, whole=len(events) < EVENTS),
        )

    async def tag(self, request: Request) -> HTMLResponse:
        """`/tag?asset=NAME&name=TAG`: one tag's chart and numbers; with `&version=N` as it was once described."""
        live, at = self._live, self._live.moment()
        live_tag = live.picture.named(*asked_tag(request.query_params))
        if live_tag is None:
            raise HTTPException(404)
        from_ns, to_ns, span_s = asked_range(request, at.now_ns)
        named = (live_tag.tag.asset, live_tag.tag.name)
        looks.show(request, "read.tag", named[:1], [named], between=(from_ns, to_ns))
        curve, summary = None, None
        samples: list[SampleView] = []
        trouble = ""
        asked = trends.question(live_tag, at, from_ns=from_ns, to_ns=to_ns, buckets=SUMMARY_BUCKETS)
        try:
            found, before, last, marks = await self._keeper.ask(
                lambda door: trends.fetch_all(door, live_tag.series, asked)
            )
            summary, curve = trends.summary(found, last), trends.curve(found, before, asked, marks)
        except NoHistory as error:
            trouble = str(error)
        try:
            newest = await self._keeper.ask(lambda door: door.samples(live_tag.series, from_ns, to_ns, SAMPLES))
            samples = newest[::-1]
        except NoHistory as error:
            trouble = str(error)
        return self.page(
            "tag.html",
            Topic(series=live_tag.series),
            asset=live.picture.assets[live_tag.tag.asset].asset,
            one=show(live.picture, live_tag, at),
            curve=curve,
            summary=summary,
            samples=samples,
            trouble=trouble,
            from_ns=from_ns,
            to_ns=to_ns,
            span_s=span_s,
            ranges=RANGES,
        )

    async def numbered_tag(self, request: Request) -> RedirectResponse:
        """`/tag/{series}`: to the same tag by its names, with the rest of the question as it was."""
        live_tag = self._live.picture.tags.get(request.path_params["series"])
        if live_tag is None:
            raise HTTPException(404)
        rest = f"&{request.url.query}" if request.url.query else ""
        return RedirectResponse(live_tag.page + rest, status_code=307)

    async def changes(self, request: Request) -> HTMLResponse:
        """`/changes`: who changed the high side's configuration, when, and why."""
        looks.show(request, "read.changes", ())
        changes: list[ChangeView] = []
        trouble = ""
        try:
            changes = await self._keeper.ask(lambda door: door.changes(CHANGES))
        except NoHistory as error:
            trouble = str(error)
        return self.page("changes.html", Topic(), changes=changes, trouble=trouble)

    async def help(self, request: Request) -> HTMLResponse:
        """`/help`: what each mark and word on these pages means."""
        return self.page("help.html", Topic())

    def missing(self, status: int, *, plain: bool = False, why: str = "") -> HTMLResponse:
        """A page for what is not there, or not for this reader: the two look alike.

        Args:
            status: Of the answer.
            plain: For somebody who is not signed in: it tells nothing of the plant.
            why: What the answer said of it, beyond its status.
        """
        title, text = {
            404: ("Not here", "There is no such page, or it is not among the assets you may see."),
            400: ("Not understood", "The address asks for something this page cannot read."),
            403: ("Not sent", "This form is not good any more: open its page again, and send it from there."),
            410: ("Not here any more", "What this goes on from is not there any more."),
            413: ("Too large", "What was sent is larger than any form of these pages."),
            501: ("Not installed", "What this takes is not installed on the low side."),
            503: ("Not now", "The history cannot be read at the moment."),
        }.get(status, ("Something went wrong", "The page could not be made. The log of the portal has the details."))
        text = f"{why[:1].upper()}{why[1:]}." if why and not plain else text
        if plain:
            shown = self._templates.get_template("signing_in/notice.html").render(title=title, text=text, onward="")
            return HTMLResponse(shown, status_code=status)
        return self.page("missing.html", Topic(), status=status, title=title, text=text)

    def page(self, template: str, topic: Topic, *, status: int = 200, **held: Any) -> HTMLResponse:
        """A page in the frame of all pages; `held` is what its template names."""
        live = self._live
        sites = sorted({live_asset.asset.site for live_asset in live.picture.assets.values() if live_asset.asset.site})
        text = self._templates.get_template(template).render(
            topic=topic,
            safely=self._safely,
            live=live,
            link=live.link,
            at=live.moment(),
            sites=sites,
            foot=self._foot,
            zone=self._zone,
            simulated=any(live_asset.asset.simulated for live_asset in live.picture.assets.values()),
            **held,
        )
        return HTMLResponse(text, status_code=status)

    def _safely(self, columns: int, address: str, name: str, row: Callable[..., str], *held: Any) -> str:
        """A row of a table; one that fails says so in its place.

        Args:
            columns: Of the table.
            address: Where the name leads.
            name: What the row is about.
            row: Makes it, of what is held.
        """
        try:
            return row(*held)
        except Exception as error:  # noqa: BLE001 - one row of many
            why = self._live.faults.note(f"the row of {name}", error)
            return UNSHOWN.format(address, words.text(name), columns - 1, why)


def asked_range(request: Request, now_ns: int) -> tuple[int, int, int | None]:
    """The range that the address asks for: `?range=3600` up to now, or `?from=..&to=..` (ms since 1970, or ISO UTC).

    Returns:
        Start and end [ns since 1970 UTC], and the length [s] where it ends now.

    Raises:
        HTTPException: 400, where a number or a time cannot be read, or the range is empty.
    """
    asked = request.query_params
    if "from" in asked or "to" in asked:
        from_ns = moment_ns(asked.get("from", ""))
        to_ns = moment_ns(asked["to"]) if asked.get("to") else now_ns
        check_range(from_ns, to_ns)
        return from_ns, to_ns, None
    try:
        span_s = int(asked.get("range", "300"))
    except ValueError as error:
        raise HTTPException(400) from error
    if not 1 <= span_s <= trends.LONGEST_S:
        raise HTTPException(400)
    return now_ns - span_s * 10**9, now_ns, span_s


def moment_ns(text: str) -> int:
    """A moment given in milliseconds since 1970 or as ISO 8601 (UTC where no zone is said) [ns since 1970 UTC].

    Raises:
        HTTPException: 400, where it is neither.
    """
    try:
        if text.lstrip("-").replace(".", "", 1).isdigit():
            return round(float(text) * 1e6)
        moment = datetime.fromisoformat(text)
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1e9)
    except (ValueError, OverflowError) as error:
        raise HTTPException(400) from error


def check_range(from_ns: int, to_ns: int) -> None:
    """Raises HTTPException (400) for a range that is empty, longer than `LONGEST_S` or outside what int64 holds."""
    fits = -(2**62) < from_ns < to_ns < 2**62
    if not fits or to_ns - from_ns > trends.LONGEST_S * 1e9:
        raise HTTPException(400)


@cache
def templates() -> jinja2.Environment:
    folder = Path(__file__).parent / "templates"
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    made.globals["words"] = words
    made.filters["address"] = words.asset_address
    made.filters["tag_address"] = words.tag_address
    made.filters["trend_address"] = _trend
    made.filters["asset_now"] = lambda card: asset_cells.cells(card, asset_cells.NOW)
    made.filters["asset_samples"] = lambda card: asset_cells.cells(card, asset_cells.SAMPLES)
    made.filters["tag_named"] = lambda names: joined(*names)
    made.filters["key"] = _key
    made.filters["iso"] = _iso
    made.filters["count"] = words.count
    made.filters["span"] = words.span
    made.filters["share"] = words.share
    made.filters["step"] = words.step
    made.filters["happened"] = lambda state: words.EVENT_STATES.get(state, state)
    made.filters["exactly"] = escape  # for a form: letter for letter
    made.filters["ms"] = lambda ns: f"{ns / 1e6:.3f}"
    return made


def asked_tag(asked: QueryParams) -> tuple[str, str, int | None]:
    """Asset, tag and version that an address names.

    Raises:
        HTTPException: 400, where a name is missing or the version is no number.
    """
    version = asked.get("version", "")
    if "asset" not in asked or "name" not in asked or (version and not (version.isascii() and version.isdigit())):
        raise HTTPException(400)
    return asked["asset"], asked["name"], int(version[:9]) if version else None


def _trend(tags: Sequence[LiveTag]) -> str:
    """Where several tags stand in one chart."""
    return "/trend?" + query_of([(one.tag.asset, one.tag.name) for one in tags])


def _key(name: str) -> str:
    """A name for a script to compare with: whole, whatever letters it is made of."""
    return quote(name, safe="")


def _shown(held: object) -> object:
    """What a template writes: a text that may be foreign so that it can be seen."""
    if type(held) is not str or (held.isascii() and held.isprintable() and len(held) <= LONGEST_SHOWN):
        return held
    return "\n".join(words.text(line, LONGEST_SHOWN) for line in held.split("\n"))  # a line end is but a space here


def _iso(time_ns: int, digits: int = 0) -> str:
    """`2026-11-23 08:31:02Z`; a moment outside the calendar (a PLC clock in the year 20000) as its number."""
    try:
        moment = datetime.fromtimestamp(time_ns / 1e9, UTC)
    except (ValueError, OverflowError, OSError):
        return f"{time_ns} ns"
    text = moment.strftime("%Y-%m-%d %H:%M:%S")
    return text + (f".{moment.microsecond:06d}"[: digits + 1] if digits else "") + "Z"
