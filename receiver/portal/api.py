"""The same facts for programs: JSON, read only, cut to the reader's scope like the pages.

Times are milliseconds since 1970 UTC (a float: exact to a quarter of a microsecond). A value is a number, true, false,
text or null; NaN and infinities are null; an integer beyond 2**53 is text, because a JavaScript number cannot hold it.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from receiver.portal import link as link_view
from receiver.portal import trend as trends
from receiver.portal import words
from receiver.portal.keeper import Keeper
from receiver.portal.live import LOOK_S, TELL_S, Live
from receiver.portal.pages import check_range, moment_ns
from receiver.portal.plant_picture import LiveAsset, LiveTag, called, wire_value
from receiver.portal.scoped import looks
from receiver.portal.serving.crowd import Crowd, origin
from receiver.portal.signing_in.page_reader import PageReader
from receiver.portal.streams import EventStream, Topic

HEALTHY_S = 10 * LOOK_S + 2 * TELL_S
"""The pages are unwell when the last look is older than this [s]."""

MOST_EVENTS = 5_000
"""Most events of one answer."""


class Api:
    """Answers in JSON, and opens live streams."""

    def __init__(self, live: Live, keeper: Keeper) -> None:
        """
        Args:
            live: The plant as it stands now.
            keeper: A door for history; slow questions go here.
        """
        self._live, self._keeper = live, keeper

    async def assets(self, request: Request) -> Response:
        """`/api/assets`: every asset with its description, state, counts and tags."""
        at = self._live.moment()
        picture = self._live.picture
        faults = self._live.faults
        looks.show(request, "read.assets", picture.assets)

        def described(live_asset: LiveAsset) -> orjson.Fragment:
            asset = asdict(live_asset.asset) | asdict(picture.card(live_asset, at))
            series = faults.each(called, lambda one: orjson.Fragment(orjson.dumps(_described(one))), live_asset.tags)
            return orjson.Fragment(orjson.dumps(asset | {"series": series}))

        found = faults.each(lambda one: f"asset {one.asset.name}", described, picture.assets.values())
        told = {"now_ms": at.now_ns / 1e6, "steady_ms": at.steady_ns / 1e6, "trouble": self._live.trouble}
        return _json(told | {"assets": found})

    async def latest(self, request: Request) -> Response:
        """`/api/latest?since=MARK`: values that were renewed after the mark of an earlier answer, or all of them."""
        since = _whole(request, "since", 0, least=0, most=2**63 - 1)
        rows, mark = await self._keeper.ask(lambda door: door.latest(since))
        tags = self._live.picture.tags
        looks.show(request, "read.latest", self._live.picture.assets, rows=len(rows))
        values = self._live.faults.each(
            lambda row: f"the value of series {row.series}",
            lambda row: {
                "series": row.series,
                "time_ms": row.time_ns / 1e6,
                "value": wire_value(row.value),
                "quality": row.quality,
                "native": row.native,
                "seen_ms": row.seen_ns / 1e6,
            },
            (row for row in rows if row.series in tags),
        )
        return _json({"mark": str(mark), "now_ms": self._live.moment().now_ns / 1e6, "values": values})

    async def trend(self, request: Request) -> Response:
        """`/api/trend?series=&from=&to=&buckets=`: one tag's lowest, highest and mean values, and its holes."""
        at = self._live.moment()
        live_tag = self._live.picture.tags.get(_whole(request, "series", None, least=0, most=2**63 - 1))
        if live_tag is None:
            raise HTTPException(404)
        asked = request.query_params
        from_ns, to_ns = moment_ns(asked.get("from", "")), moment_ns(asked.get("to", ""))
        check_range(from_ns, to_ns)
        buckets = _whole(request, "buckets", 1000, least=1, most=trends.MOST_BUCKETS)
        question = trends.question(live_tag, at, from_ns=from_ns, to_ns=to_ns, buckets=buckets)
        found, before, last, marks = await self._keeper.ask(
            lambda door: trends.fetch_all(door, live_tag.series, question)
        )
        named = (live_tag.tag.asset, live_tag.tag.name)
        looks.show(request, "read.trend", named[:1], [named], between=(from_ns, to_ns), rows=int(found.count.sum()))
        curve = trends.curve(found, before, question, marks)
        told = curve.to_json() | {"series": live_tag.series, "from_ms": from_ns / 1e6, "to_ms": to_ns / 1e6}
        return _json(told | {"now_ms": at.now_ns / 1e6, "summary": _summed(live_tag, trends.summary(found, last))})

    async def events(self, request: Request) -> Response:
        """`/api/events?asset=NAME&limit=N`: alarms and events, newest first; without a name of all assets."""
        name = request.query_params.get("asset", "")
        if name and name not in self._live.picture.assets:
            raise HTTPException(404)
        limit = _whole(request, "limit", 100, least=1, most=MOST_EVENTS)
        found = await self._keeper.ask(lambda door: door.events(limit, name))
        looks.show(request, "read.events", [name] if name else self._live.picture.assets, rows=len(found))
        told = [
            {"time_ms": one.time_ns / 1e6, "received_ms": one.received_ns / 1e6}
            | {key: value for key, value in asdict(one).items() if not key.endswith("_ns")}
            for one in found
        ]
        return _json({"now_ms": self._live.moment().now_ns / 1e6, "events": told})

    async def link(self, request: Request) -> Response:
        """`/api/link`: the link's health, as catch reports it."""
        at = self._live.moment()
        told = link_view.link_json(self._live.link, at.now_ns)
        told["alarms"] = self._live.alarms
        return _json(told | {"processes": [asdict(one) for one in self._live.processes]})

    async def live(self, request: Request) -> Response | EventStream:
        """`/live`, `/live?asset=NAME`, `/live?series=N`, `/live?events=1`: what changes, as server-sent events."""
        asked, picture = request.query_params, self._live.picture
        topic = Topic()
        if "series" in asked:
            topic = Topic(series=_whole(request, "series", None, least=0, most=2**63 - 1))
            if topic.series not in picture.tags:
                raise HTTPException(404)
        elif "asset" in asked:
            topic = Topic(asset=asked["asset"])
            if topic.asset not in picture.assets:
                raise HTTPException(404)
        elif "events" in asked:
            topic = Topic(events=True)
        if not self._live.streams.room(origin(request.client.host if request.client else "")):
            raise HTTPException(503, headers={"Retry-After": "5"})
        one = picture.tags[topic.series].tag if topic.series is not None else None
        assets = [one.asset] if one else [topic.asset] if topic.asset is not None else picture.assets
        looks.show(request, "read.live", assets, [(one.asset, one.name)] if one else ())
        return EventStream(self._live.streams, topic, self._live.first, request.scope["state"].get("holds"))

    async def health(self, request: Request) -> Response:
        """`/healthz`: 200 while nobody need be called, else 503 with the reasons.

        Well is: the history can be read, the live part looks at it, and there is no alarm: nothing journaled is
        unpublished for more than a minute, and the processes say what they do.
        """
        at = self._live.moment()
        late_s = (at.steady_ns - self._live.looked_ns) / 1e9
        trouble = self._live.trouble
        if not trouble and late_s >= HEALTHY_S:
            trouble = "the live part does not look at the history"
        well = not trouble and not self._live.alarms
        body = {
            "ok": well,
            "trouble": trouble,
            "alarms": self._live.alarms,
            "listeners": len(self._live.streams.listeners),
            "slow_listeners_dropped": self._live.streams.slow,
            "faults": self._live.faults.count,
        }
        reader: PageReader = request.state.reader
        if reader.person is None and not reader.granted().until_ns:  # a stranger: well or not, and nothing else
            return _json({"ok": well}, status=200 if well else 503)
        crowd: Crowd | None = getattr(request.app.state, "crowd", None)
        if crowd is not None:
            body |= {"connections": len(crowd), "closed_late": crowd.late, "closed_crowded": crowd.crowded}
        return _json(body, status=200 if well else 503)


def _described(live_tag: LiveTag) -> dict[str, Any]:
    told = {name: value for name, value in asdict(live_tag.tag).items() if name not in ("id", "asset")}
    fault = {"fault": live_tag.fault} if live_tag.fault else {}
    return {"series": live_tag.series, "stale_after_s": live_tag.after_s} | told | fault


def _summed(live_tag: LiveTag, summary: trends.RangeSummary) -> dict[str, Any]:
    last = summary.last
    if last is None:
        return summary.numbers | {"last": None}
    value = live_tag.sent(words.plain(live_tag.tag, last.value))
    text = words.quality(last.quality, last.native, live_tag.collector)
    return summary.numbers | {
        "last": {"time_ms": last.time_ns / 1e6, "value": value, "quality": last.quality, "quality_text": text}
    }


def _json(body: Any, *, status: int = 200) -> Response:
    made = orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)
    return Response(made, status_code=status, media_type="application/json")


def _whole(request: Request, name: str, default: int | None, *, least: int, most: int) -> int:
    """A whole number of the query.

    Raises:
        HTTPException: 400, where it is missing (and has no default), no number or out of range.
    """
    text = request.query_params.get(name)
    if text is None and default is not None:
        return default
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 19 or not least <= int(text) <= most:
        raise HTTPException(400)
    return int(text)
