"""`/api/trends`, `/api/shares`, `/api/sparks`, `/api/tags`: what the trend page draws, for programs as well.

All tags of one answer are cut into the same buckets, so that a row of it is a moment. An answer is made of one look at
the history each tag, in the scope's own thread; nothing in it names what the reader may not see.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from protocol.errors import StoreError
from receiver.outputs.historian.events.event_search import EventQuestion, FoundEvents
from receiver.outputs.historian.read import Door
from receiver.outputs.historian.views import EventView
from receiver.portal import trend as trends
from receiver.portal import words
from receiver.portal.granting.access_work import signed_in
from receiver.portal.keeper import Keeper
from receiver.portal.keeping.desk_acts import DeskActs
from receiver.portal.keeping.kept_thing import LONGEST_TEXT, KeptThing
from receiver.portal.live import Live
from receiver.portal.pages import check_range, moment_ns
from receiver.portal.plant_picture import LiveTag, ViewTime
from receiver.portal.scoped import looks
from receiver.portal.trending.tag_names import asked_tags, joined, named_tag
from receiver.portal.trending.time_shares import QUANTILES, held_values, state_shares, time_shares

MOST_EVENTS = 1_000
"""Newest events of an asset in the range of a chart: more triangles are a bar."""

MOST_SPARKS = 100
"""Small curves of one answer: more rows of a table are on no screen."""

SPARK_BUCKETS = 48
"""Of a small curve, some 100 pixels wide."""

MOST_SAMPLES = 3_000_000
"""Of one tag whose shares of time are counted from its samples; from more of them the means of buckets are taken."""

MOST_FOUND = 50
"""Tags of one search."""


class TrendingAnswers:
    """Answers within one scope."""

    def __init__(self, live: Live, keeper: Keeper, desk: DeskActs | None) -> None:
        """
        Args:
            live: The plant as it stands now.
            keeper: A door for history.
            desk: What people keep; None where nobody signs in.
        """
        self._live, self._keeper, self._desk = live, keeper, desk

    async def trends(self, request: Request) -> Response:
        """`/api/trends?tag=ASSET/TAG..&from=&to=&buckets=`: the curves of many tags, events and notes beside them."""
        at, tags = self._live.moment(), asked_tags(self._live.picture, request.query_params.getlist("tag"))
        from_ns, to_ns = asked_between(request)
        buckets = whole(request, "buckets", 1000, most=trends.MOST_BUCKETS)
        marks = request.query_params.get("marks", "1")
        if marks not in ("0", "1"):
            raise HTTPException(400)
        assets = list(dict.fromkeys(one.tag.asset for one in tags))
        self._look(request, tags, between=(from_ns, to_ns))

        def read(door: Door) -> tuple[list[dict[str, Any]], list[FoundEvents]]:
            curves = [_curve(door, one, at, (from_ns, to_ns), buckets, marked=marks == "1") for one in tags]
            wanted = EventQuestion(from_ns=from_ns, to_ns=to_ns, limit=MOST_EVENTS)
            return curves, [door.find_events(replace(wanted, asset=name)) for name in assets]

        curves, found = await self._keeper.ask(read)
        events = sorted((event for one in found for event in one.events), key=lambda one: one.time_ns)
        notes, trouble = await self._notes(request, assets, (from_ns, to_ns))
        told = {
            "from_ms": from_ns / 1e6,
            "to_ms": to_ns / 1e6,
            "now_ms": at.now_ns / 1e6,
            "marked": marks == "1",
            "curves": curves,
            "events": [_event(one) for one in events],
            "events_more": any(one.after is not None or not one.whole for one in found),
            "notes": notes,
            "trouble": trouble,
        }
        return _json(told)

    async def shares(self, request: Request) -> Response:
        """`/api/shares?tag=ASSET/TAG..&from=&to=`: for how long each tag had which value."""
        at, tags = self._live.moment(), asked_tags(self._live.picture, request.query_params.getlist("tag"))
        from_ns, to_ns = asked_between(request)
        self._look(request, tags, between=(from_ns, to_ns))
        told = await self._keeper.ask(lambda door: [_shares(door, one, at, from_ns, to_ns) for one in tags])
        return _json({"from_ms": from_ns / 1e6, "to_ms": to_ns / 1e6, "now_ms": at.now_ns / 1e6, "shares": told})

    async def sparks(self, request: Request) -> Response:
        """`/api/sparks?asset=NAME&series=..&span_s=`: small curves up to now, for the rows of a table."""
        at, picture = self._live.moment(), self._live.picture
        name = request.query_params.get("asset", "")
        live_asset = picture.assets.get(name)
        if live_asset is None:
            raise HTTPException(404)
        wanted = dict.fromkeys(request.query_params.getlist("name"))
        if not 0 < len(wanted) <= MOST_SPARKS:
            raise HTTPException(400)
        span_s = whole(request, "span_s", 3600, most=round(trends.LONGEST_S))
        tags = [one for one in live_asset.tags if one.tag.name in wanted]
        if len({one.tag.name for one in tags}) != len(wanted):
            raise HTTPException(404)
        from_ns = at.now_ns - span_s * 10**9
        self._look(request, tags, between=(from_ns, at.now_ns))
        told = await self._keeper.ask(lambda door: [_spark(door, one, at, from_ns) for one in tags])
        return _json({"from_ms": from_ns / 1e6, "to_ms": at.now_ns / 1e6, "sparks": told})

    async def tags(self, request: Request) -> Response:
        """`/api/tags?find=TEXT`: tags whose name, or whose asset's, holds every word of a text."""
        wanted = request.query_params.get("find", "").casefold().split()
        assets = self._live.picture.assets
        looks.show(request, "read.assets", assets)
        found: list[dict[str, str]] = []
        for one in (one for live_asset in assets.values() for one in live_asset.tags):
            name = f"{one.tag.asset} {one.tag.name} {one.tag.description}".casefold()
            if all(word in name for word in wanted):
                label = words.text(f"{one.tag.asset} / {one.tag.name}")
                found.append({"name": joined(one.tag.asset, one.tag.name), "label": label, "unit": one.unit})
                if len(found) > MOST_FOUND:
                    break
        return _json({"tags": found[:MOST_FOUND], "more": len(found) > MOST_FOUND})

    def _look(self, request: Request, tags: list[LiveTag], *, between: tuple[int, int]) -> None:
        named = [(one.tag.asset, one.tag.name) for one in tags]
        looks.show(request, "read.trend", dict.fromkeys(asset for asset, _ in named), named, between=between)

    async def _notes(
        self, request: Request, assets: list[str], between: tuple[int, int]
    ) -> tuple[list[dict[str, Any]], str]:
        """Notes for who is signed in, and why they cannot be shown, empty where they can."""
        if self._desk is None:
            return [], ""
        desk = self._desk
        try:
            person = signed_in(request)
        except HTTPException:
            return [], ""

        def read() -> list[dict[str, Any]]:
            held = desk.notes(person, assets, between, self.sees)
            return [_note(one, desk.name(one.person), desk.may_drop(person, one)) for one in held]

        try:
            return await asyncio.to_thread(read), ""
        except StoreError:
            return [], "Notes cannot be read."

    def sees(self, asset: str, tag: str) -> bool:
        """Whether the scope holds an asset and a tag (empty: the asset)."""
        held = self._live.picture
        return asset in held.assets if not tag else named_tag(held, asset, tag) is not None


def asked_between(request: Request) -> tuple[int, int]:
    """`from` and `to` of a question [ns since 1970 UTC]; HTTPException (400) where they are no range."""
    from_ns, to_ns = (moment_ns(request.query_params.get(name, "")) for name in ("from", "to"))
    check_range(from_ns, to_ns)
    return from_ns, to_ns


def whole(request: Request, name: str, default: int, *, most: int) -> int:
    """A whole number of the question from 1 up; HTTPException (400) where it is none, or too large."""
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 19 and 1 <= int(text) <= most):
        raise HTTPException(400)
    return int(text)


def _named(one: LiveTag) -> dict[str, str]:
    return {"asset": one.tag.asset, "tag": one.tag.name, "unit": one.unit}


def _curve(
    door: Door, one: LiveTag, at: ViewTime, between: tuple[int, int], buckets: int, *, marked: bool
) -> dict[str, Any]:
    asked = trends.question(one, at, from_ns=between[0], to_ns=between[1], buckets=buckets)
    found, before = trends.fetch(door, one.series, asked)
    marks = trends.fetch_marks(door, one.series, before, asked) if marked else trends.NO_MARKS
    told = trends.curve(found, before, asked, marks).to_json()
    return {"series": one.series, **_named(one)} | told | {"summary": trends.summary(found).numbers}


def _shares(door: Door, one: LiveTag, at: ViewTime, from_ns: int, to_ns: int) -> dict[str, Any]:
    end = min(to_ns, at.now_ns)
    found = door.trend(one.series, from_ns, to_ns, trends.MOST_BUCKETS)
    exact = int(found.count.sum() + found.bad.sum()) <= MOST_SAMPLES
    if exact:
        before = door.samples(one.series, from_ns - round(trends.LONGEST_S * 1e9), from_ns, 1)
        first_ns = before[0].time_ns if before else from_ns
        time_ns, value, usable = door.values(one.series, first_ns, max(end, first_ns))
        longest = None if one.holds else one.after_s * 1e9
    else:
        time_ns, value, usable = found.start_ns, found.mean, found.count > 0
        longest = max(found.width_ns, one.after_s * 1e9)
    unknown = [(float(gap.from_ns), float(end if gap.to_ns is None else gap.to_ns)) for gap in found.absences]
    held = held_values(
        time_ns,
        value,
        usable,
        from_ns=from_ns,
        to_ns=max(end, from_ns),
        longest_ns=longest,
        unknown=unknown,
        renewed_ns=one.tag.max_silence_s * 1e9 if one.holds else 0.0,
    )
    shares = time_shares(held, low=one.tag.normal_low, high=one.tag.normal_high)
    return {"series": one.series, **_named(one)} | {
        "edges": shares.edges,
        "share": shares.share,
        "quantiles": None if shares.quantiles is None else [*zip(QUANTILES, shares.quantiles, strict=True)],
        "states": state_shares(held) if one.tag.states or one.tag.type == "bool" else [],
        "mean": shares.mean,
        "below": shares.below,
        "above": shares.above,
        "known_s": held.known_ns / 1e9,
        "range_s": max(end - from_ns, 0) / 1e9,
        "exact": exact,
    }


def _spark(door: Door, one: LiveTag, at: ViewTime, from_ns: int) -> dict[str, Any]:
    asked = trends.question(one, at, from_ns=from_ns, to_ns=at.now_ns, buckets=SPARK_BUCKETS)
    curve = trends.curve(*trends.fetch(door, one.series, asked), asked)
    return {
        "series": one.series,
        **_named(one),
        "stepped": one.holds or one.tag.type == "bool" or bool(one.tag.states),
        "width_ms": curve.width_ms,
        "at_ms": curve.at_ms,
        "low": curve.low,
        "high": curve.high,
        "bad": curve.bad,
        "gaps": [(hole.from_ms, hole.to_ms) for hole in curve.interruptions if hole.kind == "gap"],
    }


def _event(one: EventView) -> dict[str, Any]:
    told = {name: words.text(getattr(one, name)) for name in ("asset", "source", "code", "text")}
    return told | {"time_ms": one.time_ns / 1e6, "severity": one.severity, "state": one.state}


def _note(one: KeptThing, name: str, may_drop: bool) -> dict[str, Any]:
    return {
        "key": one.key,
        "about": words.text(f"{one.asset} / {one.tag}" if one.tag else one.asset),
        "at_ms": one.at_ns / 1e6,
        "text": "\n".join(words.text(line, LONGEST_TEXT) for line in str(one.held.get("text", "")).split("\n")),
        "by": words.text(f"{name}, {one.employer}" if one.employer else name),
        "own": bool(one.held.get("own")),
        "may_drop": may_drop,
    }


def _json(body: Any) -> Response:
    made = orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)
    return Response(made, media_type="application/json")
