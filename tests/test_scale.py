"""docs/scale.md says what docs/bench.md measured, and what follows from it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import scale
from receiver.settings import RetentionTable
from sender.settings import OutletTable

DOCS = Path(__file__).parent.parent / "docs"
BENCH = (DOCS / "bench.md").read_text()
PAGE = (DOCS / "scale.md").read_text()


def test_the_tables_follow_from_what_was_measured() -> None:
    """`python deploy/scale.py` would change nothing."""
    assert scale.page(PAGE, BENCH) == PAGE, "docs/bench.md was measured anew: python deploy/scale.py"


def test_another_measurement_changes_every_table() -> None:
    """No table holds a figure of its own."""
    other = re.sub(r"(\| `(?:historian|link|soak|collect|outputs)[^|]+\| )([\d.]+)", r"\g<1>9\g<2>", BENCH)
    changed = scale.page(PAGE, re.sub(r"to (\d+) MB", r"to 9\1 MB", other))
    for name in scale.TABLES:
        mark = f"<!-- {name}, by deploy/scale.py -->"
        assert PAGE.count(mark) == 1
        assert _table(PAGE, mark) != _table(changed, mark)


def _table(page: str, mark: str) -> str:
    return page.partition(mark)[2].partition("\n\n")[0]


def test_a_cost_at_another_rate_is_bounded_from_both_sides() -> None:
    """Fewer samples cost no more than a higher rate that was measured, and no more than proportion from a lower one."""
    points = [(1_000.0, 50.0), (10_000.0, 270.0)]
    assert scale.at_most(points, 10) == 50
    assert scale.at_most(points, 2_000) == 100
    assert scale.at_most(points, 8_000) == 270
    assert scale.at_most(points, 20_000) == 540


def test_the_defaults_are_those_of_the_settings() -> None:
    """Days of the journal and the history, the link's rate and its repeats."""
    kept = RetentionTable()
    assert (kept.journal, kept.history) == (scale.JOURNAL_DAYS * scale.DAY_S, scale.HISTORY_DAYS * scale.DAY_S)
    fields = OutletTable.model_fields
    assert fields["rate_mbit"].default == scale.RATE_MBIT
    assert len(fields["repeat"].get_default(call_default_factory=True)) == scale.COPIES - 1


def test_a_row_that_is_not_there_is_named() -> None:
    """A bench that was left out says which row is missing, rather than a table without it."""
    with pytest.raises(KeyError, match=r"historian\.size"):
        scale.page(PAGE, BENCH.replace("`historian.size`", "`historian.other`"))
