"""Laws of the bench of governed reading."""

from __future__ import annotations

from bench.access import read_rows, signin_rows, trail_page_row, trail_rows


def test_the_rows_of_the_trail_have_stable_names() -> None:
    """Each promise has its row, measured on a small trail here."""
    rows = trail_rows.measure(1, entries=300, each=2)
    assert [(row.row, row.unit) for row in rows] == [
        ("access.trail.note", "ms"),
        ("access.trail.crowd", "entries/s"),
        ("access.trail.page", "ms"),
        ("access.trail.verify", "entries/s"),
    ]
    assert all(row.runs for row in rows)


def test_rows_of_signing_in_name_what_they_measured() -> None:
    """The whole of it: who is right has a session afterwards, who is not has none."""
    rows = signin_rows.measure(2, people=3)
    assert [(one.row, one.unit, len(one.runs)) for one in rows] == [
        ("access.signin", "ms", 2),
        ("access.signin.refused", "ms", 2),
        ("access.signin.work", "ms", 2),
    ]


def test_rows_of_reading_stand_beside_the_same_reads_without_trail_and_scope() -> None:
    """Each of the three reads and their sum, with a baseline of the same run and the first byte in words."""
    rows = read_rows.measure(1, people=2, tags=20, day=20, asks=2)
    names = ["access.read.cost", *(f"access.read.cost.{read}" for read in ("trend", "latest", "asset"))]
    assert [(one.row, one.unit, len(one.runs)) for one in rows] == [(name, "ms", 1) for name in names]
    assert all(one.baseline and one.ratio for one in rows)
    assert all("first byte" in one.note for one in rows)


def test_the_page_of_the_record_is_measured_as_a_browser_gets_it() -> None:
    """Every way to ask is answered over HTTP, and the slowest counts."""
    (row,) = trail_page_row.measure(1, people=2, entries=300)
    assert (row.row, row.unit, len(row.runs)) == ("access.trail.answer", "ms", 1)
    assert all(f"{way} " in row.note for way in trail_page_row.ASKED)
