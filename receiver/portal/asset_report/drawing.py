"""A chart as SVG, with the meaning of the pages' charts: for paper, so shapes and letters tell what colours do (pure).

    line              mean of a part of the time; steps, where a tag holds its value or has states
    grey behind it    from the least to the greatest value of that part: no excursion is hidden
    band              what is normal
    hatched           a gap: samples are missing; the line is broken
    dotted            a silence: the tag itself said nothing
    B, crossed        bad until the next good sample; U, upright lines: uncertain
    H, below          healed: came later
    triangle, above   an event; filled: a trip

The same curve gives the same bytes. Every text is escaped here, and no style is inline: classes and patterns are those
of `static/report.css` and of the template that holds `PATTERNS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from receiver.portal import words
from receiver.portal.asset_report.axis_ticks import time_ticks, value_ticks
from receiver.portal.plant_picture import LiveTag
from receiver.portal.trend import Curve

WIDTH, HEIGHT = 720.0, 172.0
LEFT, RIGHT, TOP, BOTTOM = 66.0, 6.0, 14.0, 30.0
"""Between the drawing's edge and the field of the curve: numbers, nothing, events, times and healed marks."""
LARGE = 8e307
"""Ends of an axis are cut to this: twice as much still fits into a double."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFlag:
    """An event on the edge of a chart."""

    at_ns: int
    trip: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartFrame:
    """What all charts of a report have in common."""

    from_ns: int
    to_ns: int
    end_ns: int
    """Of what can be known: what lasts is drawn up to here."""
    zone: ZoneInfo
    flags: Sequence[EventFlag] = ()

    def x(self, at_ns: float) -> float:
        """Where a moment stands, within the field."""
        share = (min(max(at_ns, self.from_ns), self.to_ns) - self.from_ns) / max(self.to_ns - self.from_ns, 1)
        return LEFT + share * (WIDTH - LEFT - RIGHT)


def chart(live_tag: LiveTag, curve: Curve, frame: ChartFrame) -> Markup:
    """The drawing of one tag."""
    low, high = _ends(live_tag, curve)
    tag = live_tag.tag
    stepped = live_tag.holds or tag.type == "bool" or bool(tag.states)

    def y(value: float) -> float:
        share = (min(max(value, low), high) / 4 - low / 4) / (high / 4 - low / 4)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    label = f"Chart of {words.text(tag.name)}; its numbers, and what is to be said of it, stand beside it in words"
    parts = [
        f'<svg class="report-chart" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" aria-label="{escape(label)}">',
        _rect("field", LEFT, TOP, WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM),
        *_normal(live_tag, y, low, high),
        *_value_axis(live_tag, low, high, y),
        *_time_axis(frame),
        *_stretches(curve, frame),
        *_line(curve, frame, y, stepped=stepped),
        *_flags(frame),
        "</svg>",
    ]
    return Markup("\n".join(parts))  # noqa: S704 - every text in it was escaped above


def _ends(live_tag: LiveTag, curve: Curve) -> tuple[float, float]:
    """Of the axis of values: all of them and the normal band, with some room."""
    tag = live_tag.tag
    if tag.type == "bool" or tag.states:
        return -0.3, max(len(tag.states) - 1, 1) + 0.3
    held = [float(one) for column in (curve.low, curve.high) for one in column if math.isfinite(one)]
    held += [one for one in (tag.normal_low, tag.normal_high) if one is not None]
    low, high = (max(min(held), -LARGE), min(max(held), LARGE)) if held else (0.0, 1.0)
    room = max((high / 4 - low / 4) * 0.24, max(abs(low), abs(high)) * 1e-6, 5e-300)
    return (
        (low - room, high + room) if high > low else (low - max(room, abs(low) / 10), high + max(room, abs(low) / 10))
    )


def _normal(live_tag: LiveTag, y: Callable[[float], float], low: float, high: float) -> list[str]:
    tag = live_tag.tag
    if tag.normal_low is None and tag.normal_high is None:
        return []
    top = y(high if tag.normal_high is None else tag.normal_high)
    bottom = y(low if tag.normal_low is None else tag.normal_low)
    return [_rect("normal", LEFT, top, WIDTH - LEFT - RIGHT, max(bottom - top, 0.0))]


def _value_axis(live_tag: LiveTag, low: float, high: float, y: Callable[[float], float]) -> list[str]:
    tag = live_tag.tag
    if tag.type == "bool" or tag.states:
        names = [*tag.states] or ["false", "true"]
        told = [(float(at), words.text(name, 40)[:11]) for at, name in enumerate(names)]
        told = told[:: max(1, len(told) // 8)]
    else:
        ticks = value_ticks(low, high)
        told = [(at, words.number(at, _places(ticks))) for at in ticks]
    out = []
    for at, text in told:
        out.append(f'<path class="grid" d="M{LEFT:g} {y(at):.1f}H{WIDTH - RIGHT:g}"/>')
        out.append(f'<text class="of-value" x="{LEFT - 5:g}" y="{y(at) + 3:.1f}">{escape(text)}</text>')
    return out


def _places(ticks: Sequence[float]) -> int | None:
    """Decimals of an axis: each mark is written as it is, for it stands at that value."""
    step = ticks[1] - ticks[0] if len(ticks) > 2 else 0.0  # two marks may be the ends, which are not round
    return max(0, math.ceil(-math.log10(step) - 1e-9)) if 1e-6 < step < 1e9 else None


def _time_axis(frame: ChartFrame) -> list[str]:
    out = []
    for at_ns, text in time_ticks(frame.from_ns, frame.to_ns, frame.zone):
        x = frame.x(at_ns)
        out.append(f'<path class="grid" d="M{x:.1f} {TOP:g}V{HEIGHT - BOTTOM:g}"/>')
        x = min(x, WIDTH - 18)  # the last one is not cut by the edge
        out.append(f'<text class="of-time" x="{x:.1f}" y="{HEIGHT - 5:g}">{escape(text)}</text>')
    return out


def _stretches(curve: Curve, frame: ChartFrame) -> list[str]:
    """Gaps, silences, changes, bad, uncertain, healed; each with its words for who points at it."""
    out = []
    height = HEIGHT - TOP - BOTTOM
    marks: list[tuple[str, float, float | None, str]] = [
        (one.kind, one.from_ms, one.to_ms, one.text) for one in curve.interruptions
    ]
    marks += [(one.grade, one.from_ms, one.to_ms, one.text) for one in curve.bands]
    for kind, from_ms, to_ms, text in marks:
        begin = frame.x(from_ms * 1e6)
        width = max(frame.x(frame.end_ns if to_ms is None else to_ms * 1e6) - begin, 1.2)
        title = f"<title>{escape(words.text(text))}</title>"
        if kind == "change":
            out.append(f'<path class="change" d="M{begin:.1f} {TOP:g}V{HEIGHT - BOTTOM:g}">{title}</path>')
            continue
        out.append(_rect(f"stretch {kind}", begin, TOP, width, height, title))
        if letter := {"bad": "B", "uncertain": "U"}.get(kind, ""):
            out.append(f'<text class="letter {kind}-ink" x="{begin + width / 2:.1f}" y="{TOP + 9:g}">{letter}</text>')
    for from_ms, to_ms in curve.healed:
        begin = frame.x(from_ms * 1e6)
        width = max(frame.x(to_ms * 1e6) - begin, 1.2)
        out.append(_rect("healed", begin, HEIGHT - BOTTOM + 2, width, 5))
        out.append(f'<text class="letter healed-ink" x="{begin + width / 2:.1f}" y="{HEIGHT - BOTTOM + 15:g}">H</text>')
    return out


def _line(curve: Curve, frame: ChartFrame, y: Callable[[float], float], *, stepped: bool) -> list[str]:
    """The curve, run by run; what is between two runs is not known."""
    spans, line, dots = [], [], []
    columns = (curve.at_ms, curve.low, curve.high, curve.last if stepped else curve.mean, curve.mean)
    run: list[tuple[float, float, float, float]] = []
    for at_ms, low, high, value, mean in [*zip(*(one.tolist() for one in columns), strict=True), (math.nan,) * 5]:
        if math.isfinite(mean) and math.isfinite(low):
            run.append((frame.x(at_ms * 1e6), y(low), y(high), y(value if math.isfinite(value) else mean)))
        elif run:
            upper = [f"{x:.1f} {one:.1f}" for x, _, one, _ in run]
            lower = [f"{x:.1f} {one:.1f}" for x, one, _, _ in reversed(run)]
            if any(low - high > 0.5 for _, low, high, _ in run):
                spans.append("M" + "L".join([*upper, *lower]) + "Z" if len(run) > 1 else f"M{upper[0]}V{run[0][1]:.1f}")
            if len(run) == 1:
                dots.append(f'<circle class="dot" cx="{run[0][0]:.1f}" cy="{run[0][3]:.1f}" r="1.4"/>')
            join = "".join(f"H{x:.1f}V{one:.1f}" if stepped else f"L{x:.1f} {one:.1f}" for x, _, _, one in run[1:])
            line.append(f"M{run[0][0]:.1f} {run[0][3]:.1f}{join}")
            run = []
    drawn = [f'<path class="span" d="{"".join(spans)}"/>'] if spans else []
    return [*drawn, *([f'<path class="line" d="{"".join(line)}"/>'] if line else []), *dots]


def _flags(frame: ChartFrame) -> list[str]:
    out = []
    for one in frame.flags:
        x = frame.x(one.at_ns)
        name = "flag trip" if one.trip else "flag"
        out.append(f'<path class="{name}" d="M{x:.1f} {TOP - 1:g}l-4 -8h8z"/>')
    return out


def _rect(name: str, x: float, y: float, width: float, height: float, inner: str = "") -> str:
    return f'<rect class="{name}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}">{inner}</rect>'
