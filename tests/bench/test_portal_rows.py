"""Laws of the bench of the pages."""

from __future__ import annotations

import contextlib

import pytest

from bench.portal import plant_rows, portal, trend_row


def test_the_trend_page_is_measured_to_the_drawn_chart() -> None:
    """Eight tags on one page, each with its samples; the first visit stands in the note."""
    (row,) = trend_row.measure(1, days=0.5)
    assert (row.row, row.unit, len(row.runs)) == ("portal.trend", "ms", 1)
    assert row.runs[0] > 0
    assert "first visit" in row.note


def test_without_a_browser_the_rows_are_there_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row is never left out."""
    monkeypatch.setattr("bench.portal.headless.CHROMIUM", ())
    monkeypatch.setattr(trend_row, "_write", lambda folder, polls: None)
    monkeypatch.setattr(plant_rows, "served", lambda tree: contextlib.nullcontext(plant_rows.ServedBuild("", 0)))
    monkeypatch.setattr(plant_rows, "first_byte", lambda base, path: 1.0)
    monkeypatch.setattr(plant_rows, "watched", lambda one: 0.1)
    monkeypatch.setattr(plant_rows, "unpacked", lambda commit: contextlib.nullcontext(None))
    rows = portal.measure(1)
    names = ["portal.overview.interactive", "portal.asset.interactive", "portal.trend"]
    assert [row.row for row in rows if not row.runs and "Chromium" in row.note] == names
    assert [row.row for row in rows if row.runs] == ["portal.overview.first_byte", "portal.live.cpu"]
