"""Every day of the period as a calendar strip: a row a month and side, a cell a day, a letter an answer."""

from __future__ import annotations

from collections.abc import Sequence

from audit.check import CheckStatus
from audit.report.period import Day
from audit.report.report import AuditReport
from audit.report.show import markup as escape

_LETTER = {CheckStatus.PASS: "P", CheckStatus.WARN: "W", CheckStatus.FAIL: "F", None: "s"}


def days_part(report: AuditReport) -> str:
    """The section on days: a calendar of each series, and its missing days."""
    months = sorted({(day.day.year, day.day.month) for of_series in report.days.values() for day in of_series})
    rows = []
    for year, month in months:
        for place, (series, of_series) in enumerate(report.days.items()):
            label = f"{year}-{month:02d}" if place == 0 else ""
            cells = [one for one in of_series if (one.day.year, one.day.month) == (year, month)]
            pads = '<span class="day pad"></span>' * (cells[0].day.day - 1)
            row = pads + "".join(map(_cell, cells))
            rows.append(f'<span class="mono">{label}</span><span>{escape(series)}</span><div class="days">{row}</div>')
    lost = {series: [day for day in of_series if not day.runs] for series, of_series in report.days.items()}
    note = "; ".join(f"{series}: {len(of_series)} missing" for series, of_series in lost.items())
    return (
        f'<section><h2>Every day<small>{escape(note)}</small></h2><div class="months">{"".join(rows)}</div>'
        f"{_legend()}{_missing(lost)}</section>"
    )


def _cell(one: Day) -> str:
    if not one.runs:
        return f'<span class="day missing" title="{one.day}: no findings">x</span>'
    kind = one.worst.value if one.worst is not None else ""
    words = f"{one.day}: {len(one.runs)} runs, {kind or 'nothing measured'}"
    return f'<span class="day {kind}" title="{words}">{_LETTER[one.worst]}</span>'


def _legend() -> str:
    marks = (
        ("", "P", "nothing failed or warned"), ("WARN", "W", "warned"), ("FAIL", "F", "failed"),
        ("", "s", "nothing could be measured"), ("missing", "x", "no findings of that day"),
    )  # fmt: skip
    cells = "".join(f'<span><span class="day {kind}">{letter}</span>{words}</span>' for kind, letter, words in marks)
    return f'<div class="legend">{cells}</div>'


def _missing(lost: dict[str, list[Day]]) -> str:
    """Missing days in words, joined where they follow each other, with the reason that a person named."""
    lines = []
    for series, days in lost.items():
        for first, last in _spans(days):
            named = first.named
            reason = f"{named.why} ({named.by})" if named is not None else "no reason is named"
            span = str(first.day) if first is last else f"{first.day} to {last.day}"
            lines.append(f"{escape(series)} {span}: {escape(reason)}")
    return f'<p class="text">Missing: {"; ".join(lines)}.</p>' if lines else ""


def _spans(days: Sequence[Day]) -> list[tuple[Day, Day]]:
    out: list[tuple[Day, Day]] = []
    for one in days:
        if out and (one.day - out[-1][1].day).days == 1 and one.named == out[-1][1].named:
            out[-1] = (out[-1][0], one)
        else:
            out.append((one, one))
    return out
