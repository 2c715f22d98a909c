"""The pages of trips, alarms and events, their table as CSV, and what stands for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from receiver.export import csv_text
from receiver.outputs.historian.events.event_search import FoundEvents
from receiver.outputs.historian.views import EventView
from receiver.portal.alarms.event_form import SEVERITIES, STATES, event_form
from receiver.portal.alarms.event_sequence import sequence
from receiver.portal.alarms.shown_alarms import shown_alarms
from receiver.portal.alarms.standing_now import TRIP, StandingAlarm
from receiver.portal.keeper import Keeper, NoHistory
from receiver.portal.live import Live
from receiver.portal.pages import EVENTS, Pages
from receiver.portal.scoped import looks
from receiver.portal.streams import Topic

TABLE_ROWS = 50_000
"""Most events in a CSV."""
COLUMNS = {
    "time": "time",
    "received": "time",
    "asset": "string",
    "source": "string",
    "state": "string",
    "severity": "int64",
    "code": "string",
    "text": "string",
    "sequence": "int64",
}
"""Of the CSV, with their kinds (`csv_text.rows`)."""


class AlarmPages:
    """Renders them, within one scope."""

    def __init__(self, live: Live, keeper: Keeper, pages: Pages) -> None:
        """
        Args:
            live: The plant as it stands now.
            keeper: A door for history.
            pages: Whose frame they stand in.
        """
        self._live, self._keeper, self._pages = live, keeper, pages

    async def part(self, request: Request) -> HTMLResponse:
        """`/alarms`, `/alarms?asset=NAME`: what the overview or an asset's page shows of them, for a page to renew."""
        name = self._asset(request)
        shown = await shown_alarms(self._live, self._keeper, name)
        events: list[EventView] = []
        if name:
            events = await self._keeper.ask(lambda door: door.events(EVENTS, name))
        looks.show(request, "read.alarms", [name] if name else self._live.picture.assets, rows=len(shown.now.alarms))
        rows = sequence(events, whole=len(events) < EVENTS)
        return self._pages.page("alarms/part.html", Topic(), alarms=shown, rows=rows)

    async def events(self, request: Request) -> HTMLResponse:
        """`/events`: what stands, and every event that fits what is asked."""
        self._asset(request)
        form = event_form(request.query_params)
        shown = await shown_alarms(self._live, self._keeper)
        found, trouble = FoundEvents(events=(), after=None, whole=True), ""
        try:
            found = await self._keeper.ask(lambda door: door.find_events(form.question))
        except NoHistory as error:
            trouble = str(error)
        looks.show(request, "read.events", self._shown(form.question.asset), rows=len(found.events))
        return self._pages.page(
            "events.html",
            Topic(events=True),
            alarms=shown,
            form=form,
            found=found,
            rows=sequence(found.events, whole=found.after is None and found.whole),
            assets=sorted(self._live.picture.assets),
            states=STATES,
            severities=SEVERITIES,
            trouble=trouble,
        )

    async def table(self, request: Request) -> Response:
        """`/events.csv`: the same events, at most `TABLE_ROWS`, as a table."""
        self._asset(request)
        form = event_form(request.query_params, limit=TABLE_ROWS)
        found = await self._keeper.ask(lambda door: door.find_events(form.question))
        looks.show(request, "read.events", self._shown(form.question.asset), rows=len(found.events))
        cells = (
            (
                one.time_ns,
                one.received_ns,
                one.asset,
                one.source,
                one.state or "happened",
                one.severity,
                one.code,
                one.text,
                one.sequence,
            )
            for one in found.events
        )
        body = csv_text.header(COLUMNS) + csv_text.rows(COLUMNS, cells)
        headers = {"Content-Disposition": 'attachment; filename="events.csv"'}
        return Response(body, media_type="text/csv; charset=utf-8", headers=headers)

    async def standing(self, request: Request) -> Response:
        """`/api/alarms`, `/api/alarms?asset=NAME`: what stands, for programs."""
        name = self._asset(request)
        now = self._live.standing_of(name)
        looks.show(request, "read.alarms", [name] if name else self._live.picture.assets, rows=len(now.alarms))
        body = {
            "now_ms": self._live.moment().now_ns / 1e6,
            "trip_severity": TRIP,
            "alarms": [_told(one) for one in now.alarms],
            "retired": [_told(one) for one in now.retired],
            "more": now.more,
        }
        return Response(orjson.dumps(body, option=orjson.OPT_APPEND_NEWLINE), media_type="application/json")

    def _asset(self, request: Request) -> str:
        """The asset of the query, empty where it names none. Raises HTTPException (404) for one that is not there."""
        name = request.query_params.get("asset", "")
        if name and name not in self._live.picture.assets:
            raise HTTPException(404)
        return name

    def _shown(self, asset: str) -> list[str]:
        return [asset] if asset else [*self._live.picture.assets]


def _told(one: StandingAlarm) -> dict[str, Any]:
    held = {key: value for key, value in asdict(one).items() if not key.endswith("_ns")}
    return held | {"trip": one.trip, "raised_ms": one.raised_ns / 1e6}
