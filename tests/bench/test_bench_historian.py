"""Laws of the historian's bench: its rows have stable names, and what is missing for a comparison is said."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from bench.history import historian
from bench.history.historian_writer import PERIOD_NS, blocks, samples
from receiver.outputs.base import BatchBody

ROWS = ["ingest", "size", "day", "year", "latest", "read_p99"]


def test_every_row_is_measured_without_peers_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the build before and without DuckDB each row has its figure, no ratio, and a note that says why."""
    monkeypatch.setattr(historian, "BEFORE", "no-such-build")
    monkeypatch.setitem(sys.modules, "duckdb", None)
    rows = historian.measure(1, tags=20, ingest_polls=20, day=40, year=720, read_s=0.2)
    assert [row.row for row in rows] == [f"historian.{name}" for name in ROWS]
    assert all(row.value and row.value > 0 for row in rows)
    assert not any(row.baseline for row in rows)
    assert "no-such-build is not in" in rows[0].note
    assert all("duckdb and pyarrow are not installed" in row.note for row in rows[1:5])


def test_the_mix_is_the_same_for_both_builds_and_for_parquet() -> None:
    """One seed gives the same samples however many come at a time, and from any poll on the times of its number."""
    whole = next(samples(8, 720, 4))
    pairs = samples(8, 2, 4)
    joined = [np.concatenate(one, 1) for one in zip(*(next(pairs) for _ in range(360)), strict=True)]
    assert all(np.array_equal(one, other) for one, other in zip(whole, joined, strict=True))
    block = next(blocks(8, 6, 4))
    assert isinstance(block.body, BatchBody)
    assert np.array_equal(block.body.columns.floats, whole[1][:, :6].ravel())
    later = next(blocks(8, 6, 4, first=10))
    assert later.number == 10
    assert isinstance(later.body, BatchBody)
    since = int(later.body.columns.time_ns.min()) - int(block.body.columns.time_ns.min())
    assert abs(since - 60 * PERIOD_NS) < 10**8
