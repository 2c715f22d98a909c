"""From what was gathered to HTML: as a page of the portal, or as a file that needs nothing beside it (pure).

The two differ in where the style comes from, and in the form above the page. A file brings its style and a policy by
which no browser runs a script or loads anything, whatever a text of the plant holds; the page has the portal's own.
Every time is told in the plant's zone, with its offset.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup

from receiver.portal import words
from receiver.portal.alarms.event_sequence import SequenceRow
from receiver.portal.asset_report import drawing
from receiver.portal.asset_report.drawing import ChartFrame, EventFlag
from receiver.portal.asset_report.report_gathering import AssetReport, ReportedTag
from receiver.portal.pages import templates

STYLE = Path(__file__).parent.parent / "static" / "report.css"
TEMPLATE = "asset_report/report.html"
NOTES = 30
"""Lines below one chart; the longer list is the tag's page's."""
MOST_GAPS = 200


def ready() -> None:
    """Read what a report is made of; a process without rights may not be let to our files."""
    _style()
    templates().get_template(TEMPLATE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """Who made it, when, and what they may see."""

    by: str
    at_ns: int
    scope: str
    """In words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportWriter:
    """Writes reports of one plant."""

    zone: ZoneInfo

    def file(self, report: AssetReport, signed: Signature) -> bytes:
        """The report as a file."""
        style = _style()
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        policy = f"default-src 'none'; style-src 'sha256-{digest}'"
        return self._written(report, signed, style=Markup(style), policy=policy).encode("utf-8", "replace")  # noqa: S704 - our own file

    def page(self, report: AssetReport, signed: Signature, form: Mapping[str, Any]) -> str:
        """The report below a form that asks for another."""
        return self._written(report, signed, style="", policy="", form=form)

    def time(self, at_ns: int, digits: int = 0) -> str:
        """`2026-11-28 09:31:02.123 +01:00`; a moment outside of the calendar as its number."""
        try:
            moment = datetime.fromtimestamp(at_ns // 10**9, UTC).astimezone(self.zone)
        except (ValueError, OverflowError, OSError):
            return f"{at_ns} ns since 1970 UTC"
        part = f".{at_ns % 10**9:09d}"[: digits + 1] if digits else ""
        offset = moment.strftime("%z")
        return f"{moment:%Y-%m-%d %H:%M:%S}{part} {offset[:3]}:{offset[3:5]}"

    def _written(self, report: AssetReport, signed: Signature, **held: Any) -> str:
        asked = report.question
        flags = [
            EventFlag(at_ns=one.event.time_ns, trip=one.trip)
            for one in report.rows
            if one.event.state in ("active", "")
        ]
        frame = ChartFrame(
            from_ns=asked.from_ns, to_ns=asked.to_ns, end_ns=report.end_ns, zone=self.zone, flags=flags[::-1]
        )
        return (
            templates()
            .get_template(TEMPLATE)
            .render(
                report=report,
                signed=signed,
                time=self.time,
                zone=self.zone.key,
                draw=lambda one: drawing.chart(one.live_tag, one.curve, frame),
                figure=_figure,
                known=_known,
                notes=NOTES,
                most_gaps=MOST_GAPS,
                form=held.pop("form", None),
                simulated=report.asset.simulated,
                lost_s=_length_s(report),
                steps=_steps(report.rows),
                **held,
            )
        )


def _figure(one: ReportedTag, value: float | None) -> str:
    """A number of a tag as a person reads it; of states their name."""
    if value is None:
        return words.NOTHING
    tag = one.live_tag.tag
    if tag.type == "bool" and value in (0, 1):
        return words.written(tag, bool(value), None)
    whole = tag.type.startswith("float") or value == int(value)
    return words.written(tag, value, one.live_tag.places) if whole else words.number(value, None)


def _known(share: float | None) -> str:
    """Never rounded up to all of it."""
    if share is None:
        return words.NOTHING
    if share >= 1:
        return "100 %"
    return f"{min(int(share * 10000) / 100, 99.99):.2f} %"


def _length_s(report: AssetReport) -> float:
    """For how long blocks were missing, those of several streams counted once [s]."""
    asked, total, until = report.question, 0.0, float("-inf")
    for one in report.gaps:
        begin = max(one.from_ms, asked.from_ns / 1e6, until)
        end = min(report.end_ns / 1e6 if one.to_ms is None else one.to_ms, report.end_ns / 1e6)
        total += max(end - begin, 0.0) / 1e3
        until = max(until, end)
    return total


def _steps(rows: Any) -> list[SequenceRow]:
    """Oldest first, as they happened."""
    return list(reversed(rows))


@cache
def _style() -> str:
    return STYLE.read_text()
