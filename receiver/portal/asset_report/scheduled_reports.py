"""Reports made by themselves: `[[report]]` of `receiver.toml`, run by the portal, told in `state/reports.json`.

    due      by the wall clock and the plant's zone (`report_settings.py`); what was missed is made once, oldest first
    made     gathered through a door of its own, on record in the trail, then written beside and renamed
    told     a line a report: the end of the newest that was made, its file; why the last try failed, and when
    failed   tried again every `RETRY_S`; publish raises the alarm (`publish/report_watch.py`), also where nothing tries

The newest `keep` files of a report stay; nothing else in the folder is touched.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

from protocol.errors import CheckvalveError, StoreError
from receiver.export.atomic_file import AtomicFile
from receiver.governed.trail.entry import Fact, TrailEntry
from receiver.outputs.historian.read import Door
from receiver.outputs.historian.views import Scope
from receiver.portal import reports
from receiver.portal.asset_report.report_gathering import AssetReport, NoSuchAsset, ReportQuestion, gather
from receiver.portal.asset_report.report_writing import ReportWriter, Signature
from receiver.portal.link import link_health
from receiver.portal.plant_picture import ViewTime
from receiver.report_settings import ReportPeriod, ReportTable
from receiver.status.catch import CatchStatus
from receiver.status.report_states import ReportState, ReportStates, read_states, write_states

LOOK_S = 20.0
"""Between two looks at what is due [s]."""
RETRY_S = 300.0
"""Between two tries of a report that failed [s]."""

Noted = Callable[[TrailEntry], Awaitable[object]]


class ScheduledReports:
    """All reports of one low side."""

    def __init__(
        self,
        tables: Sequence[ReportTable],
        history: Path,
        state: Path,
        *,
        zone: str,
        clock: Callable[[], int],
        say: Callable[[str], None],
    ) -> None:
        """
        Args:
            tables: What is to be made; their folders are absolute.
            history: The history's folder.
            state: The state folder.
            zone: The plant's (IANA); empty: UTC.
            clock: Wall time [ns since 1970 UTC].
            say: Takes lines for people.
        """
        self._tables, self._history, self._state, self._clock, self._say = tables, history, state, clock, say
        self._zone = ZoneInfo(zone or "UTC")
        self._writer = ReportWriter(zone=self._zone)
        self._states = ReportStates()
        try:
            self._states = read_states(state, say, wall_ns=clock())
        except StoreError as error:
            say(f"{error}; the newest reports are made once more")

    async def run(self, note: Noted | None) -> None:
        """Make what is due until cancelled.

        Args:
            note: Puts a report on record before it is written; None: there is no trail.
        """
        while self._tables:
            for table in self._tables:
                await self.make_due(table, note)
            await asyncio.sleep(LOOK_S)

    async def make_due(self, table: ReportTable, note: Noted | None) -> None:
        """Make what is due of one report, unless its last try failed just now."""
        known, now_ns = self._states.get(table.key, ReportState()), self._clock()
        if known.trouble and 0 <= now_ns - known.tried_ns < RETRY_S * 1e9:
            return
        for period in table.due(now_ns, self._zone, known.done_ns):
            try:
                told = await asyncio.to_thread(self._gathered, table, period)
                if note is not None:
                    await note(self._entry(table, period, told))
                path = await asyncio.to_thread(self._written, table, period, told)
                known = ReportState(done_ns=period.to_ns, tried_ns=self._clock(), file=str(path))
            except Exception as error:  # noqa: BLE001 - one report's; the others are made, and publish raises the alarm
                known = ReportState(
                    done_ns=known.done_ns, tried_ns=self._clock(), file=known.file, trouble=_why(error, table)
                )
                self._say(f"{table.title} of {period.day} was not made: {known.trouble}")
            await asyncio.to_thread(self._keep, table, known)
            if known.trouble:
                return

    def _gathered(self, table: ReportTable, period: ReportPeriod) -> AssetReport:
        now_ns = self._clock()
        door = Door(self._history, Scope(), clock=self._clock)
        try:
            asked = ReportQuestion(asset=table.asset, tags=table.tags, from_ns=period.from_ns, to_ns=period.to_ns)
            return gather(door, asked, ViewTime(now_ns, now_ns, beat_age(self._state, now_ns)), whole=True)
        finally:
            door.close()

    def _written(self, table: ReportTable, period: ReportPeriod, told: AssetReport) -> Path:
        signed = Signature(by=f"the schedule in receiver.toml: {table.title}", at_ns=self._clock(), scope="everything")
        path = table.folder / table.file_name(period)
        table.folder.mkdir(parents=True, exist_ok=True)
        with AtomicFile(path, replace=True) as opened:
            opened.file.write(self._writer.file(told, signed))
            opened.commit()
        own = sorted(one.name for one in table.folder.iterdir() if table.is_own(one.name))
        for name in own[: max(len(own) - table.keep, 0)]:
            with contextlib.suppress(OSError):
                (table.folder / name).unlink()
        return path

    def _keep(self, table: ReportTable, known: ReportState) -> None:
        self._states[table.key] = known
        kept = {one.key for one in self._tables}
        self._states = ReportStates({key: held for key, held in self._states.items() if key in kept})
        try:
            write_states(self._state, self._states)
        except OSError as error:
            self._say(f"{self._state / 'reports.json'}: {error}; after the next start reports may be made twice")

    def _entry(self, table: ReportTable, period: ReportPeriod, told: AssetReport) -> TrailEntry:
        facts: dict[str, Fact] = {
            "assets": [table.asset],
            "from_ns": period.from_ns,
            "to_ns": period.to_ns,
            "rows": told.samples,
            "file": str(table.folder / table.file_name(period)),
        }
        return TrailEntry(kind="report.written", at_ns=self._clock(), who="system", facts=facts)


def beat_age(state: Path, now_ns: int) -> float | None:
    """Age of the sender's last beat, by catch's last word [s]; None: not known."""
    return link_health(reports.read(state, "catch", CatchStatus, now_ns)).beat_age_s


def _why(error: Exception, table: ReportTable) -> str:
    if isinstance(error, NoSuchAsset):
        what = " with these tags" if table.tags else ""
        return f"the history has no asset {table.asset!r}{what}: write it as the pages show it"
    return (
        str(error) if isinstance(error, (CheckvalveError, OSError)) else f"it failed ({type(error).__name__}: {error})"
    )
