"""The plant as each scope sees it: a picture of its own, with doors of its own, made when somebody of that scope asks.

What two readers may see differs, so they share nothing that was made for either: every view has its own `Live`, its own
doors and its own list of listeners, and a door answers within its scope alone. Readers with one scope share a view. One
that nobody has asked for `IDLE_S` is closed; where `MOST` are open the one that was longest unused makes room.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

from receiver.outputs.historian.views import Scope
from receiver.portal.alarms.alarm_pages import AlarmPages
from receiver.portal.api import Api
from receiver.portal.asset_report.report_pages import ReportPages
from receiver.portal.exporting.export_answers import ExportAnswers
from receiver.portal.i3x.i3x_view import I3xView
from receiver.portal.keeper import Keeper
from receiver.portal.live import Live, running
from receiver.portal.pages import Pages
from receiver.portal.sampling.sample_answers import SampleAnswers
from receiver.portal.searching.search_page import SearchPage
from receiver.portal.trending.trend_page import TrendPage
from receiver.portal.trending.trending_answers import TrendingAnswers

MOST = 64
"""ScopedViews open at once: each looks at the history five times a second, some 2 ms of a processor a look."""

IDLE_S = 60.0
"""A view that nobody asks, and nobody listens to, is closed after this long [s]."""


class TooManyViews(Exception):
    """Every place is taken by a view that somebody listens to."""


@dataclass(eq=False, slots=True)
class ScopedView:
    """What one scope sees."""

    scope: Scope
    live: Live
    pages: Pages
    api: Api
    trends: TrendPage
    trending: TrendingAnswers
    alarms: AlarmPages
    i3x: I3xView
    sampling: SampleAnswers
    search: SearchPage
    exports: ExportAnswers
    reports: ReportPages
    doors: tuple[Keeper, ...]
    used_s: float = 0.0
    """When it was last asked for [s, running time of the loop]."""
    running: contextlib.AsyncExitStack | None = None
    """Ends the live task; None before it was begun."""
    beginning: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def heard(self) -> bool:
        """Somebody listens to it."""
        return bool(self.live.streams.listeners) or self.i3x.subscribing.heard

    async def begin(self) -> None:
        """Have a first look, so that the first page is whole, and go on looking."""
        async with self.beginning:
            if self.running is None:
                await self.live.look(asyncio.get_running_loop().time())
                self.running = contextlib.AsyncExitStack()
                await self.running.enter_async_context(running(self.live))

    async def close(self) -> None:
        """End its streams, its task and its doors."""
        self.i3x.subscribing.close()
        if self.running is not None:
            await self.running.aclose()
        for door in self.doors:
            await door.close()


class ScopedViews:
    """Every open view, by its scope."""

    def __init__(
        self, make: Callable[[Scope], ScopedView], *, kept: frozenset[Scope] = frozenset(), most: int = MOST
    ) -> None:
        """
        Args:
            make: Makes a view; it is begun here.
            kept: Scopes whose view stays open: what is shown without signing in, and where errors are told.
            most: ScopedViews open at once.
        """
        self._make, self._kept, self._most = make, kept, most
        self._open: dict[Scope, ScopedView] = {}

    def __len__(self) -> int:
        return len(self._open)

    async def of(self, scope: Scope) -> ScopedView:
        """The view of a scope, looking.

        Raises:
            TooManyViews: another cannot be opened now.
        """
        if scope not in self._open:
            await self._make_room()
        view = self.ready(scope)  # another may have made it meanwhile
        view.used_s = asyncio.get_running_loop().time()
        await view.begin()
        return view

    def ready(self, scope: Scope) -> ScopedView:
        """The view of a scope, made where there is none; it need not look yet."""
        if scope not in self._open:
            self._open[scope] = self._make(scope)
        return self._open[scope]

    def all(self) -> list[ScopedView]:
        """Those that are open."""
        return list(self._open.values())

    @property
    def failed(self) -> BaseException | None:
        """A bug that ended the task of a view: the server then ends too, and is started anew."""
        return next((view.live.failed for view in self._open.values() if view.live.failed), None)

    async def tidy(self) -> None:
        """Close what nobody has asked for in a while."""
        now_s = asyncio.get_running_loop().time()
        for scope, view in list(self._open.items()):
            heard = view.heard or len(view.i3x.subscribing)
            if scope not in self._kept and not heard and now_s - view.used_s >= IDLE_S:
                await self._close(scope)

    async def tidy_for_ever(self) -> None:
        """`tidy` now and then, until cancelled."""
        while True:
            await asyncio.sleep(IDLE_S / 4)
            await self.tidy()

    async def close(self) -> None:
        """Close all; the pages are being stopped."""
        for scope in list(self._open):
            await self._close(scope)

    async def _make_room(self) -> None:
        if len(self._open) < self._most:
            return
        unheard = [view for view in self._open.values() if not view.heard]
        idle = [(view.used_s, view.scope) for view in unheard if view.scope not in self._kept]
        if not idle:
            raise TooManyViews(f"{len(self._open)} views are open, and each is listened to")
        await self._close(min(idle, key=lambda one: one[0])[1])

    async def _close(self, scope: Scope) -> None:
        view = self._open.pop(scope, None)
        if view is not None:
            await view.close()
