"""`/report`: an asset's report for a range, above it the form that asks for another; or as a file to keep.

Reports are read by a door of their own, so that a long one holds up no page of the scope, and `AT_ONCE` of all readers
are made at once: one takes up to some seconds of a processor.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo

from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from protocol.errors import ConfigError
from receiver.export.moment import moment
from receiver.outputs.historian.read import Door
from receiver.outputs.historian.views import Scope
from receiver.portal.asset_report.report_gathering import AssetReport, NoSuchAsset, ReportQuestion, gather
from receiver.portal.asset_report.report_writing import ReportWriter, Signature
from receiver.portal.keeper import Keeper
from receiver.portal.live import Live
from receiver.portal.pages import check_range, templates
from receiver.portal.plant_picture import ViewTime
from receiver.portal.scoped import looks

AT_ONCE = 2
"""Reports being made, of all readers."""
DAY_NS = 86_400 * 10**9
MOST_NAMED = 200
"""Tags that an address names."""


class ReportPages:
    """Makes them within one scope."""

    def __init__(self, live: Live, keeper: Keeper, scope: Scope, *, zone: str, making: set[object]) -> None:
        """
        Args:
            live: What there is, and how the link is.
            keeper: A door of its own.
            scope: What it shows.
            zone: The plant's (IANA); empty: UTC.
            making: Reports being made, of all scopes.
        """
        self._live, self._keeper, self._scope, self._making = live, keeper, scope, making
        self._writer = ReportWriter(zone=ZoneInfo(zone or "UTC"))

    async def report(self, request: Request) -> Response:
        """`/report?asset=NAME&tag=NAME..&from=&to=`, with `&save=html` as a file; without an asset the form alone."""
        query, at = request.query_params, self._live.moment()
        asset = unquote(query["asset_key"]) if "asset_key" in query else query.get("asset", "")
        form = self._form(query, asset, at.now_ns)
        if not asset:
            looks.show(request, "read.assets", self._live.picture.assets)
            return _page(self._writer, form)
        if asset not in self._live.picture.assets:
            raise HTTPException(404)
        try:
            asked = self._asked(query, asset, form, at.now_ns)
        except (ConfigError, HTTPException) as error:
            looks.show(request, "read.assets", self._live.picture.assets)
            hint = f": {error.hint}" if isinstance(error, ConfigError) else ""
            said = f"{error}{hint}" if hint else "The range is empty, or longer than 400 days."
            return _page(self._writer, form | {"wrong": said}, status=400)
        if len(self._making) >= AT_ONCE:
            raise HTTPException(503, "other reports are being made: try again in a few seconds", {"Retry-After": "5"})
        mark = object()
        self._making.add(mark)
        try:
            whole = self._scope.whole
            seen = ViewTime(at.now_ns, at.now_ns, at.beat_age_s)
            told = await self._keeper.ask(partial(_gathered, asked=asked, at=seen, whole=whole))
            if told is None:
                raise HTTPException(404)
            named = [(asset, name) for name in asked.tags]
            looks.show(request, "read.report", [asset], named, between=(asked.from_ns, asked.to_ns), rows=told.samples)
            signed = Signature(by=_who(request), at_ns=at.now_ns, scope=_under(request, self._scope))
            if query.get("save") == "html":
                made = await self._keeper.ask(lambda door: self._writer.file(told, signed))
                headers = {"Content-Disposition": f'attachment; filename="report-{_stamp(asked.from_ns)}.html"'}
                return Response(made, media_type="text/html; charset=utf-8", headers=headers)
            return HTMLResponse(await self._keeper.ask(lambda door: self._writer.page(told, signed, form)))
        finally:
            self._making.discard(mark)

    def _form(self, query: QueryParams, asset: str, now_ns: int) -> dict[str, Any]:
        """As it stands above the report."""
        tags = [one for one in (*query.getlist("tag"), *query.get("tags", "").splitlines()) if one.strip()]
        return {
            "assets": sorted(self._live.picture.assets),
            "asset": asset,
            "begin": query.get("from") or self._typed(now_ns - DAY_NS),
            "end": query.get("to") or self._typed(now_ns),
            "tags": list(dict.fromkeys(tags))[:MOST_NAMED],
            "zone": self._writer.zone.key,
            "wrong": "",
        }

    def _typed(self, at_ns: int) -> str:
        return datetime.fromtimestamp(at_ns // 10**9, UTC).astimezone(self._writer.zone).isoformat()

    def _asked(self, query: QueryParams, asset: str, form: dict[str, Any], now_ns: int) -> ReportQuestion:
        """Raises ConfigError for a time that is none, HTTPException (400) for a range that is none."""
        from_ns, to_ns = (self._moment(name, form[key], now_ns) for name, key in (("from", "begin"), ("to", "end")))
        check_range(from_ns, to_ns)
        return ReportQuestion(asset=asset, tags=tuple(form["tags"]), from_ns=from_ns, to_ns=to_ns)

    def _moment(self, name: str, said: str, now_ns: int) -> int:
        said = said.strip()
        if (
            said.isascii() and said.lstrip("-").replace(".", "", 1).isdigit() and len(said) <= 17
        ):  # milliseconds, as elsewhere
            return round(float(said) * 1e6)
        return moment(name, said, self._writer.zone, lambda: now_ns)


def _gathered(door: Door, *, asked: ReportQuestion, at: ViewTime, whole: bool) -> AssetReport | None:
    try:
        return gather(door, asked, at, whole=whole)
    except NoSuchAsset:
        return None


def _page(writer: ReportWriter, form: dict[str, Any], *, status: int = 200) -> HTMLResponse:
    shown = templates().get_template("asset_report/asking.html").render(form=form)
    return HTMLResponse(shown, status_code=status)


def _who(request: Request) -> str:
    reader = getattr(request.state, "reader", None)
    if reader is None or reader.person is None:
        return "a reader of the pages who did not sign in"
    person = reader.person
    return f"{person.name} ({', '.join(one for one in (person.login, person.employer or 'of the site') if one)})"


def _under(request: Request, scope: Scope) -> str:
    reader = getattr(request.state, "reader", None)
    told = "everything" if scope.whole else scope.text
    if reader is None or reader.person is None:
        return f"{told}, open to anyone who reaches the pages"
    grants = reader.granted().grants
    return f"{told}, by {'grant' if len(grants) == 1 else 'grants'} {', '.join(grants)}" if grants else told


def _stamp(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns // 10**9, UTC).strftime("%Y%m%dT%H%M%SZ") if 0 <= at_ns < 2**62 else "all"
