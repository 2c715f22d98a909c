"""Reports made by themselves: each time once, whole or not at all, what was missed made up for, failures told."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from portal_plant import Clock, Plant
from trend_plant import TURBINE, trend_plant

from protocol.errors import StoreError
from receiver import report_settings
from receiver.export.atomic_file import AtomicFile
from receiver.governed.trail.entry import TrailEntry
from receiver.portal.asset_report.scheduled_reports import ScheduledReports
from receiver.publish.report_watch import report_alarms
from receiver.report_settings import ReportPeriod, ReportTable
from receiver.status.report_states import NAME

BERLIN = ZoneInfo("Europe/Berlin")
HOUR_S, DAY_S = 3600, 86_400
S = 10**9


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp()) * S


class Site:
    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.plant: Plant = trend_plant(folder, self.clock)
        self.folder = folder / "reports"
        self.noted: list[TrailEntry] = []
        self.said: list[str] = []

    def table(self, **change: Any) -> ReportTable:
        return ReportTable(**{"asset": TURBINE, "every": "day", "folder": "reports", **change}).beside(
            self.folder.parent
        )

    def run(self, *tables: ReportTable) -> list[str]:
        """A start of the portal, and one look of its; names of the files that are there then."""

        async def note(entry: TrailEntry) -> None:
            self.noted.append(entry)

        async def look() -> None:
            made = ScheduledReports(
                tables,
                self.plant.history,
                self.plant.state,
                zone="Europe/Berlin",
                clock=self.clock,
                say=self.said.append,
            )
            for table in tables:
                await made.make_due(table, note)

        asyncio.run(look())
        return sorted(one.name for one in self.folder.iterdir()) if self.folder.exists() else []

    def alarms(self, *tables: ReportTable, since_ns: int = 0) -> list[str]:
        return report_alarms(tables, self.plant.state, "Europe/Berlin", self.clock(), since_ns)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.plant.close()


@pytest.mark.parametrize("every", ["day", "week", "month"])
def test_no_moment_is_in_two_reports_or_in_none(every: str) -> None:
    """Over the changes of the clocks, too, and at any time of day."""
    chance = random.Random(every)
    for _ in range(40):
        clock = f"{chance.randrange(24):02}:{chance.randrange(60):02}"
        table = ReportTable.model_validate({"asset": "a", "every": every, "at": clock})
        now_ns = at("2026-01-01T00:00Z") + chance.randrange(365 * DAY_S) * S
        periods = table.due(now_ns, BERLIN, now_ns - 250 * DAY_S * S)
        assert all(one.to_ns == after.from_ns for one, after in pairwise(periods))
        assert (
            periods[-1].to_ns
            <= now_ns - 60 * S
            < table.due(now_ns + 32 * DAY_S * S, BERLIN, periods[-1].to_ns)[0].to_ns
        )
        for one in periods:
            there = datetime.fromtimestamp(one.to_ns / 1e9, UTC).astimezone(BERLIN)
            assert there.strftime("%H:%M") == clock or "02" <= clock < "03"  # an hour that is not there in March
            assert every != "week" or there.weekday() == 0
            assert every != "month" or there.day == 1


def test_a_day_on_which_the_clocks_change_is_an_hour_shorter() -> None:
    """By the plant's clock it is a day."""
    table = ReportTable(asset="a", every="day")
    (one,) = table.due(at("2026-03-29T06:01+02:00"), BERLIN, None)
    assert one == ReportPeriod("2026-03-28", at("2026-03-28T06:00+01:00"), at("2026-03-29T06:00+02:00"))
    assert (one.to_ns - one.from_ns) / S == 23 * HOUR_S


def test_each_report_is_made_once_and_what_was_missed_is_made_up_for(site: Site) -> None:
    """The newest at the first start; after a pause each that was missed, the oldest first; `keep` of them stay."""
    table = site.table(keep=3)
    first = site.run(table)
    assert first == ["turbine-1_2025-11-22_day.html"]
    assert "<title>Report of turbine-1" in (site.folder / first[0]).read_text()
    site.run(table)
    assert len(site.noted) == 1
    (site.folder / "notes.txt").write_text("a person's")
    site.clock.move(4 * DAY_S)
    names = site.run(table)
    assert names == ["notes.txt", *(f"turbine-1_2025-11-{day}_day.html" for day in (24, 25, 26))]
    begins = [int(str(one.facts["from_ns"])) for one in site.noted]
    assert begins == sorted(set(begins))
    assert {(one.kind, one.who) for one in site.noted} == {("report.written", "system")}
    assert len(site.noted) == 5
    assert site.alarms(table) == []


def test_a_failure_is_told_tried_again_and_leaves_nothing_half_written(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An alarm while it lasts; the report is made once the disk takes it."""
    table = site.table()

    def full(self: AtomicFile) -> int:
        raise StoreError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(AtomicFile, "commit", full)
        assert site.run(table) == []
        (alarm,) = site.alarms(table)
        assert alarm.startswith("the daily report of turbine-1 was not made: No space left on device")
        site.clock.move(60)
        site.run(table)
        assert len(site.said) == 1  # it is not tried each moment
    site.clock.move(300)
    assert site.run(table) == ["turbine-1_2025-11-22_day.html"]
    assert site.alarms(table) == []


def test_nothing_is_written_that_is_not_on_record(site: Site) -> None:
    """The trail first."""

    async def refused(entry: TrailEntry) -> None:
        raise StoreError("the trail cannot be written")

    table = site.table()
    made = ScheduledReports(
        [table], site.plant.history, site.plant.state, zone="", clock=site.clock, say=site.said.append
    )
    asyncio.run(made.make_due(table, refused))
    assert not site.folder.exists()
    assert "the trail cannot be written" in site.alarms(table)[0]


def test_a_report_that_nobody_makes_is_an_alarm(site: Site) -> None:
    """publish sees it by itself: a portal that hangs tells nothing."""
    table = site.table()
    assert "is late: the portal makes it; does it run?" in site.alarms(table)[0]
    assert site.alarms(table, since_ns=site.clock() - 600 * S) == []  # it has just begun
    unknown = site.table(asset="nobody")
    site.run(unknown)
    assert "the history has no asset 'nobody'" in site.alarms(unknown)[0]


@pytest.mark.parametrize("damage", [b"{", b"[]", b'{"reports": {"a": 1}}', b'{"reports": {"a": {"done_ns": "x"}}}'])
def test_a_damaged_note_costs_one_report_twice_and_no_more(site: Site, damage: bytes) -> None:
    """It is set aside and told."""
    table = site.table()
    (site.plant.state / NAME).write_bytes(damage)
    assert len(site.run(table)) == 1
    assert NAME in site.said[0]
    site.run(table)
    assert len(site.noted) == 1


def test_a_clock_that_was_set_into_the_future_ends_no_reports(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is set back, and the next day has its report."""
    monkeypatch.setattr(report_settings, "MOST_MISSED", 2)
    table = site.table()
    site.run(table)
    site.clock.step(3000 * DAY_S)
    site.run(table)
    site.clock.step(-3000 * DAY_S)
    site.clock.move(DAY_S)
    assert "turbine-1_2025-11-23_day.html" in site.run(table)


@pytest.mark.parametrize("asset", ["../../etc/x", "a/b", ".", "<img>", "ä" * 300, "CON \u202e", "pump-7"])
def test_a_file_s_name_is_harmless_and_its_own(asset: str) -> None:
    """Whatever the asset is called."""
    table = ReportTable(asset=asset, every="week")
    name = table.file_name(ReportPeriod("2026-11-23", 0, 1))
    assert name.isascii()
    assert not set(name) & set("/\\ <>:")
    assert not name.startswith(".")
    assert len(name) < 120
    assert table.is_own(name)
    assert not ReportTable(asset=asset + "x", every="week").is_own(name)
