"""Laws of `bench soak`: every figure is a row whatever could be measured, and all that was read is published."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.figures import BenchRow
from bench.soak import soak
from bench.soak.polls import HALL, plant, shares
from bench.soak.viewers import EVERY_S

DELAYS = ("p50", "p99", "max")
ROWS = [
    "soak.offered",
    "soak.published",
    "soak.queryable.p50",
    "soak.queryable.p99",
    *[f"soak.{kind}.{which}" for kind in ("trend", "asset", "overview", "tag", "live") for which in DELAYS],
    "soak.live.broken",
    "soak.failed",
    "soak.restarts",
    *[f"soak.{what}.{name}" for what in ("cpu", "rss") for name in soak.PROCESSES],
    "soak.journal",
    "soak.history",
    "soak.wal",
]


@pytest.fixture(scope="module")
def measured() -> dict[str, BenchRow]:
    """A few seconds of a small plant, whose people are as quick as many."""
    return {row.row: row for row in soak.measure(0.15, tags=400, rate=2000, pages=8)}


def test_every_figure_of_the_soak_is_a_row(measured: dict[str, BenchRow]) -> None:
    """In one order; one that could not be measured says why."""
    assert list(measured) == ROWS
    assert all(row.value is not None or row.note for row in measured.values())
    assert measured["soak.trend.p99"].value is not None
    assert measured["soak.live.p50"].value is not None
    assert all(measured[f"soak.cpu.{name}"].value is not None for name in soak.PROCESSES)


def test_nothing_is_lost_and_nobody_is_turned_away(measured: dict[str, BenchRow]) -> None:
    """Every sample that was read is published, every request answered, every stream held, no process started again."""
    published = measured["soak.published"]
    assert published.lost == 0, published
    assert measured["soak.offered"].value
    for name in ("soak.failed", "soak.live.broken", "soak.restarts"):
        assert measured[name].value == 0, measured[name]


def test_a_figure_that_was_not_taken_is_a_row_with_a_reason(tmp_path: Path) -> None:
    """No request, no status, a process that was started again: null and a note, never a missing row and never 0."""
    one, other = soak.ProcessUse(1, 0.0, 10.0), soak.ProcessUse(2, 1.0, 11.0)
    course = soak.Course(0.0, {"catch": one, "portal": one}, 0, 0, last={"catch": one, "portal": other}, ended=1.0)
    course.told = {"times": {name: [] for name in EVERY_S}, "live": [], "failed": 0, "broken": 0, "first_failure": ""}
    rows = {row.row: row for row in soak.rows(course, (0, 0), tmp_path)}
    assert list(rows) == ROWS
    absent = ["soak.cpu.portal", "soak.rss.portal", "soak.rss.emit", "soak.trend.p99", "soak.queryable.p50"]
    assert all(rows[name].value is None and rows[name].note for name in [*absent, "soak.history"])
    assert rows["soak.cpu.catch"].value == 0


def test_a_soak_that_is_ended_leaves_no_process_and_no_folder(tmp_path: Path) -> None:
    """SIGTERM in the midst of it: its children are ended, its folder is gone."""
    words = [sys.executable, "-m", "bench.cli", "soak", "--tags", "42", "--rate", "42", "--pages", "4"]
    with subprocess.Popen(words, env=os.environ | {"TMPDIR": str(tmp_path)}, stdout=subprocess.DEVNULL) as bench:
        try:
            ends = time.monotonic() + 60
            while not list(tmp_path.glob("*/high/state/status-poll.json")) and time.monotonic() < ends:
                assert bench.poll() is None
                time.sleep(0.1)
            assert running(tmp_path)
            bench.terminate()
            assert bench.wait(120) == 128 + 15
        finally:
            bench.kill()
    assert list(tmp_path.iterdir()) == []
    assert running(tmp_path) == []


def running(folder: Path) -> list[str]:
    """Command lines of the processes that were given something in this folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(folder) in words:
                found.append(words)
    return found


@pytest.mark.parametrize("tags", [42, 400, 2_000, 20_000])
def test_the_plant_has_exactly_its_tags_and_a_large_asset(tags: int) -> None:
    """The hall has 200 of them where there are enough; ids are unique, every poll reads every tag of its asset."""
    sizes = shares(tags)
    assert sum(sizes.values()) == tags
    assert min(sizes.values()) >= 1
    assert max(sizes.values()) == sizes[HALL] == min(200, tags // 2)
    if tags > 2_000:
        return
    machines = plant(tags, 1.0)
    ids = [tag.id for machine in machines for tag in machine.tags]
    assert len(set(ids)) == tags
    for machine in machines:
        first, then = machine.poll(1), machine.poll(2)
        assert first.tag.tolist() == then.tag.tolist() == [tag.id for tag in machine.tags]
        assert set(then.time_ns.tolist()) == {2}
    assert machines[0].poll(3).floats.tobytes() != machines[0].poll(4).floats.tobytes()
