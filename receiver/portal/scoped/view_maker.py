"""Makes the view of a scope: its own doors to the history, its own live picture, its own pages and answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from receiver.outputs.historian.read import Door
from receiver.outputs.historian.views import Scope
from receiver.outputs.historian.whole.whole_history import WholeHistory
from receiver.portal.alarms.alarm_pages import AlarmPages
from receiver.portal.api import Api
from receiver.portal.asset_report.report_pages import ReportPages
from receiver.portal.exporting.export_answers import ExportAnswers
from receiver.portal.faults import DisplayFaults
from receiver.portal.i3x.i3x_view import I3xView
from receiver.portal.keeper import Keeper
from receiver.portal.keeping.desk_acts import DeskActs
from receiver.portal.live import Live
from receiver.portal.pages import Pages
from receiver.portal.sampling.sample_answers import SampleAnswers
from receiver.portal.scoped.scoped_view import ScopedView
from receiver.portal.searching.search_page import SearchPage
from receiver.portal.signing_in.forms import Forms
from receiver.portal.steady import EraFile, Steady
from receiver.portal.streams import Listener
from receiver.portal.trending.trend_page import TrendPage
from receiver.portal.trending.trending_answers import TrendingAnswers


class ViewMaker:
    """What every view is made of, whatever its scope."""

    def __init__(
        self,
        history: Path,
        state: Path,
        clock: Callable[[], int],
        steady: Steady,
        era_file: EraFile | None,
        faults: DisplayFaults,
        *,
        foot: str,
        zone: str,
        signing_in: bool,
        desk: DeskActs | None = None,
        forms: Forms | None = None,
    ) -> None:
        """
        Args:
            history: Folder of the historian's store.
            state: Folder of the processes' `status-*.json`.
            clock: The low side's wall time [ns since 1970 UTC].
            steady: The time that ages are counted in.
            era_file: Keeps it for the next start in this boot; None: nothing is kept.
            faults: Counts what could not be shown.
            foot: Stands at the foot of each page.
            zone: Time zone of the plant (IANA), which readers may choose; empty: there is no choice.
            signing_in: There are accounts.
            desk: What people keep; None where nobody signs in.
            forms: Make and check tokens; None where nobody signs in.
        """
        self._history, self._state, self._clock = history, state, clock
        self._steady, self._era_file, self._faults = steady, era_file, faults
        self._foot, self._zone, self._signing_in = foot, zone, signing_in
        self._desk, self._forms = desk, forms
        self.house: set[Listener] = set()
        """Everybody who listens to a view, whichever."""
        self._readings: set[object] = set()
        self._making: set[object] = set()

    def view(self, scope: Scope) -> ScopedView:
        """The view of a scope; nothing outside it can be in an answer of its parts."""

        def keeper(name: str) -> Keeper:
            return Keeper(lambda: Door(self._history, scope, clock=self._clock), name=name, faults=self._faults)

        def opened() -> tuple[WholeHistory, Door]:
            return WholeHistory(self._history, scope), Door(self._history, scope, clock=self._clock)

        names = ("portal-live", "portal-pages", "portal-programs", "portal-reports")
        for_live, for_pages, for_programs, for_reports = map(keeper, names)
        live = Live(
            for_live,
            self._state,
            scope=scope,
            clock=self._clock,
            steady=self._steady,
            era_file=self._era_file,
            faults=self._faults,
            house=self.house,
        )
        pages = Pages(live, for_pages, foot=self._foot, zone=self._zone, signing_in=self._signing_in)
        trending = TrendingAnswers(live, for_pages, self._desk)
        return ScopedView(
            scope=scope,
            live=live,
            pages=pages,
            api=Api(live, for_pages),
            trends=TrendPage(live, pages, trending.sees, self._desk, self._forms),
            trending=trending,
            alarms=AlarmPages(live, for_pages, pages),
            i3x=I3xView(live, for_programs, self.house),
            sampling=SampleAnswers(live, for_programs, opened, self._readings),
            search=SearchPage(live, pages),
            exports=ExportAnswers(live, for_programs, opened, self._readings),
            reports=ReportPages(live, for_reports, scope, zone=self._zone, making=self._making),
            doors=(for_live, for_pages, for_programs, for_reports),
        )
