"""The live part: one task looks at the historian five times a second and tells every open page what changed.

    each LOOK_S     Door.latest(mark) -> the picture moves -> `values` to the pages that show those tags
    each second     assets, accounts, catch's report -> `link` to all pages, `assets` to the overviews

One look serves all pages, so ten viewers cost the store as much as one. While the store cannot be read the link is
still told, and `trouble` says why there are no values.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

from receiver.outputs.historian.events.standing_alarms import StandingAlarms
from receiver.outputs.historian.read import Door
from receiver.outputs.historian.views import Account, AssetView, LatestView, Scope, TagView
from receiver.portal import health, reports, words
from receiver.portal import link as link_view
from receiver.portal.alarms.standing_now import NONE_STANDS, StandingNow, standing_now
from receiver.portal.faults import DisplayFaults
from receiver.portal.keeper import Keeper, NoHistory
from receiver.portal.plant_picture import LiveTag, Picture, ViewTime, called
from receiver.portal.retiring.left_tags import taken_out
from receiver.portal.shown import attention
from receiver.portal.steady import UNKNOWN, EraFile, Steady
from receiver.portal.streams import Listener, Streams, Topic, event
from receiver.status.catch import CatchStatus
from receiver.status.publish import OutputStatus, PublishStatus

LOOK_S = 0.2
"""Between two looks at the historian [s]: below what an eye takes for immediate, far above what a look costs."""

TELL_S = 1.0
"""Between two tellings of the link and the assets [s], as often as the beat itself."""

MOST_ALARMS = 1000
"""Most alarms that are counted by asset; the gravest: what stands beyond is a number."""

MOST_CHANGES = 200
"""Newest changes of the configuration in which it is looked up what was taken out."""

TAGS_S = 60.0
"""Between two full readings of the tags' descriptions where they changed [s]; a new series is read at once."""


_Status = TypeVar("_Status")


@dataclass(frozen=True, slots=True)
class HistoryNews:
    """What one look at the historian brought."""

    rows: Sequence[LatestView]
    mark: int
    assets: Sequence[AssetView] | None
    """None where this look did not ask for them."""
    accounts: Mapping[str, Account]
    described: Hashable
    """Differs where a description does; None where this look did not ask."""
    standing: StandingAlarms = field(default_factory=lambda: StandingAlarms(alarms=(), total=0))
    """What stands of alarms; nothing where this look did not ask."""


@dataclass(frozen=True, slots=True)
class ProcessRow:
    """One process of the low side, for the list on the overview."""

    name: str
    running: bool
    trouble: str
    """Why it counts as not running."""
    note: str
    """What it has to say while it runs; may be empty."""


class Live:
    """The picture, and the task that keeps it."""

    def __init__(
        self,
        keeper: Keeper,
        state: Path,
        *,
        scope: Scope,
        clock: Callable[[], int],
        steady: Steady,
        era_file: EraFile | None,
        faults: DisplayFaults,
        house: set[Listener] | None = None,
    ) -> None:
        """
        Args:
            keeper: A door of its own; pages use another.
            state: Folder of the processes' reports.
            scope: What the keeper's door shows; who sees not everything is not told the outputs' names and troubles.
            clock: The low side's wall time [ns since 1970 UTC].
            steady: By which ages are told.
            era_file: Where the clock's settings are kept; None keeps them nowhere.
            faults: Told of what cannot be shown.
            house: Listeners of all views of this server (see `Streams`).
        """
        self.faults = faults
        """What could not be shown."""
        self.picture = Picture(faults, addresses=scope.whole)
        self.streams = Streams(house)
        self.link = link_view.link_health(reports.Report("catch", False, CatchStatus()))
        self.processes: list[ProcessRow] = []
        """Whether each of the low side's processes runs, in the order they are shown."""
        self.alarms: list[str] = []
        """What a person must be called for, in words (`health.py`)."""
        self.standing = StandingNow()
        """What stands of trips and alarms."""
        self._events = StandingAlarms(alarms=(), total=0)
        self.trouble = "the pages have just started"
        """Why values cannot be shown; empty while they can."""
        self.looked_ns = 0
        """When the last look ended, whether it succeeded or not [ns of steady time]."""
        self.failed: BaseException | None = None
        """A bug that ended the live task: the server then ends too, and is started anew."""
        self.hearers: list[Callable[[Sequence[LiveTag]], None]] = []
        """Told after each look which tags moved, beside the open pages."""
        self._keeper, self._state, self._scope, self._clock = keeper, state, scope, clock
        self._steady, self._era_file = steady, era_file
        self._written: dict[str, tuple[int, int]] = {}
        """Of each process: its report's own time, and where that lies in steady time."""
        self._mark = 0
        self._reported_ns = 0
        self._told_at = self._tags_at = float("-inf")
        self._described: Hashable = None

    def moment(self) -> ViewTime:
        """Now, for questions to the picture."""
        steady_ns, age = self._steady.now_ns(), self.link.beat_age_s
        return ViewTime(self._clock(), steady_ns, None if age is None else age + (steady_ns - self._reported_ns) / 1e9)

    async def run(self) -> None:
        """Look and tell until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            await self.look(loop.time())
            due = max(due + LOOK_S, loop.time())
            await asyncio.sleep(due - loop.time())

    async def look(self, now: float) -> None:
        """One look, and what it has to tell.

        Args:
            now: Running time [s], any origin.
        """
        self._steady.tick()
        tell = now - self._told_at >= TELL_S - LOOK_S / 4
        moved: list[LiveTag] = []
        try:
            found = await self._keeper.ask(lambda door: _ask_history(door, self._mark, tell))
            moved = await self._apply(found, now)
            if tell:
                self._guarded("what stands of alarms", partial(self._stand, found.standing))
            self.trouble = ""
        except NoHistory as error:
            self.trouble, self._mark = str(error), 0
        if tell:
            self._told_at = now
            self._guarded("the processes' reports", self._read_reports)
            if self._era_file:
                self._era_file.keep(self._steady.eras)
        self.looked_ns = self._steady.now_ns()
        self._guarded("the newest values", lambda: self._tell_values(moved))
        for hear in self.hearers:
            self._guarded("the subscriptions", partial(hear, moved))
        if tell:
            self._guarded("the link and the assets", self._tell_rest)

    def standing_of(self, asset: str = "") -> StandingNow:
        """What stands of one asset; of all without a name."""
        return self.standing.of(asset) if asset else self.standing

    def alarms_mark(self, asset: str = "") -> str:
        """Differs where trips, alarms or events have to be shown anew: of one asset, or of all."""
        newest = self._events.newest.get(asset, 0) if asset else self._events.arrived
        return self.standing_of(asset).mark(newest)

    def _stand(self, told: StandingAlarms) -> None:
        self._events, self.standing = told, standing_now(told, self.picture.assets)
        for name, live_asset in self.picture.assets.items():
            count = self.standing.by_asset.get(name, NONE_STANDS)
            live_asset.trips, live_asset.alarms = count.trips, count.alarms

    def _guarded(self, what: str, do: Callable[[], None]) -> None:
        """A part of a look; where it fails the others go on."""
        try:
            do()
        except Exception as error:  # noqa: BLE001 - it is logged, and the next look may do it
            self.faults.note(what, error)

    def _rows(self, tags: Iterable[LiveTag]) -> list[list[Any]]:
        return self.faults.each(called, LiveTag.row, (one for one in tags if one.seen_ns and not one.fault))

    def first(self, topic: Topic) -> list[bytes]:
        """The snapshot a new listener starts from."""
        messages = [event("link", self._link())]
        if topic.overview:
            messages += [event("alarms", self._alarms()), event("assets", self._assets())]
        elif topic.events:
            messages.append(event("alarms", self._alarms()))
        elif topic.series is not None:
            live_tag = self.picture.tags.get(topic.series)
            messages.append(event("values", self._rows([live_tag] if live_tag else [])))
        elif topic.asset is not None:
            live_asset = self.picture.assets.get(topic.asset)
            tags = live_asset.tags if live_asset else []
            messages += [event("alarms", self._alarms(topic.asset)), event("values", self._rows(tags))]
        return messages

    async def _apply(self, found: HistoryNews, now: float) -> list[LiveTag]:
        """Move the picture; tags are read where an asset's changed, or a series is new, or it is time to."""
        picture = self.picture
        anew = picture.describe_assets(found.assets, found.accounts) if found.assets is not None else []
        if found.assets is not None and found.described != self._described and now - self._tags_at >= TAGS_S:
            self._tags_at, self._described, anew = now, found.described, list(picture.assets)
        # What comes with the first look, or anew from the beginning, may have been renewed at any time before.
        moved, unknown = picture.move(found.rows, self._in_steady_time(met=self._mark > 0))
        if unknown:
            assets, accounts = await self._keeper.ask(lambda door: (door.assets(), door.accounts()))
            picture.describe_assets(assets, accounts)
            anew = list(picture.assets)
        if anew:
            described = await self._keeper.ask(lambda door: _described(door, self.faults, anew))
            for one in described:
                self.faults.each(lambda one: _asset(one[0]), lambda one: picture.describe_tags(*one), [one])
                await asyncio.sleep(0)  # 20,000 tags take a tenth of a second, in which pages are answered
            # A tag that is described only now may have had its value long ago.
            rows, _ = await self._keeper.ask(lambda door: door.latest(0))
            moved, _ = picture.move(rows, self._in_steady_time(met=False))
        self._mark = found.mark
        return moved

    def _in_steady_time(self, *, met: bool) -> Callable[[int], int]:
        """`Steady.moment` for one look: all rows of a block share a renewal, so few moments stand for all rows."""
        return cache(partial(self._steady.moment, met=met))

    def _read_reports(self) -> None:
        self._reported_ns = self._steady.now_ns()
        catch, publish = self._report("catch", CatchStatus), self._report("publish", PublishStatus)
        outputs = ["historian"]
        if self._scope.whole:  # an output may be called after somebody
            outputs += [name for name in publish.status.children if name not in ("historian", "portal")]
        self.link = link_view.link_health(catch)
        self.processes = [ProcessRow(one.process, one.running, one.trouble, "") for one in (catch, publish)]
        found = [self._report(name, OutputStatus) for name in outputs]
        history, blocks = found[0].status, self.link.blocks
        behind = history.behind_blocks or history.waiting
        self.picture.may_come = bool(blocks["missing"] or behind or not (catch.running and found[0].running))
        self.picture.blocks_lost = bool(blocks["expired"] or not catch.running)
        for report in found:
            self.processes.append(ProcessRow(report.process, report.running, report.trouble, self._note(report)))
        if self._scope.whole:  # catch's warnings name nobody; another's may
            said = [(publish.process, publish.status.warnings), *((one.process, one.status.warnings) for one in found)]
            others = [f"{process}: {line}" for process, lines in said for line in lines]
            self.link = replace(self.link, warnings=(*self.link.warnings, *others))
        self.alarms = health.alarms([catch, publish, *found], whole=self._scope.whole)

    def _report(self, process: str, kind: type[_Status]) -> reports.Report[_Status]:
        return reports.read(self._state, process, kind, self._reported_ns, written=self._in_steady)

    def _in_steady(self, process: str, time_ns: int) -> int:
        """When a report was written: found out once, when it is met, and then it grows old."""
        before = self._written.get(process)
        if before is None or before[0] != time_ns:
            at = self._steady.moment(time_ns, met=before is not None)
            if at == UNKNOWN:  # no sign of life, and from now on its silence is counted
                at = self._reported_ns - round(reports.OLD_S * 1e9) - 1
            self._written[process] = (time_ns, at)
        return self._written[process][1]

    def _note(self, report: reports.Report[OutputStatus]) -> str:
        """What an output has to say beside that it runs."""
        notes = []
        counters, whole = report.counters, self._scope.whole
        latency, trouble = counters.latency_ms, counters.trouble
        if counters.taken is not None and whole:
            notes.append(_delivered(report))
        if latency.p50 is not None and latency.p99 is not None:
            notes.append(f"delay {words.number(latency.p50, 0)} ms, 99 % within {words.number(latency.p99, 0)} ms")
        if report.status.waiting:
            notes.append(f"blocks waiting for a key or a description: {words.count(report.status.waiting)}")
        if trouble and whole:
            notes.append(f"{trouble}. {counters.next_step}" if counters.next_step else trouble)
        if whole:
            notes += report.status.warnings
        return "; ".join(notes)

    def _tell_values(self, moved: Sequence[LiveTag]) -> None:
        if not moved:
            return
        by_asset: dict[str, list[LiveTag]] = {}
        by_series: dict[int, LiveTag] = {}
        wanted = self.streams.topics()
        assets = {topic.asset for topic in wanted}
        series = {topic.series for topic in wanted}
        for live_tag in moved:
            if live_tag.series in series:
                by_series[live_tag.series] = live_tag
            if live_tag.tag.asset in assets:
                by_asset.setdefault(live_tag.tag.asset, []).append(live_tag)
        for name, tags in by_asset.items():
            self._tell(Topic(asset=name), "values", partial(self._rows, tags))
        for number, live_tag in by_series.items():
            self._tell(Topic(series=number), "values", partial(self._rows, [live_tag]))

    def _tell(self, topic: Topic, name: str, body: Callable[[], Any]) -> None:
        """One message to the pages of one topic; a page that cannot be told costs no other."""
        what = f"what is new of {topic.asset or topic.series or 'the overview'}"
        self._guarded(what, lambda: self.streams.publish(topic, event(name, body())))

    def _tell_rest(self) -> None:
        if not self.streams.listeners:
            return
        self.streams.everyone(event("link", self._link()))
        at = self.moment()
        for topic in self.streams.topics():
            if topic.overview or topic.events:
                self._tell(topic, "alarms", self._alarms)
            if topic.overview:
                self._tell(topic, "assets", self._assets)
            elif topic.asset in self.picture.assets:
                live_asset = self.picture.assets[topic.asset]
                self._tell(topic, "alarms", partial(self._alarms, topic.asset))
                self._tell(topic, "card", partial(self.picture.card, live_asset, at))

    def _link(self) -> dict[str, Any]:
        told = link_view.link_json(self.link, self._clock())
        at = self.moment()
        told["beat_age_s"], told["steady_ms"] = at.beat_age_s, at.steady_ns / 1e6
        told["trouble"] = self.trouble
        told["alarms"] = self.alarms
        told["version"] = self.picture.version
        told["down"] = [name for name, live_asset in self.picture.assets.items() if live_asset.state == "down"]
        return told

    def _alarms(self, asset: str = "") -> dict[str, Any]:
        return {"mark": self.alarms_mark(asset)}

    def _assets(self) -> dict[str, Any]:
        at = self.moment()
        return {
            "assets": self.picture.cards(at),
            "attention": attention(self.picture, at),
            "processes": self.processes,
        }


def _delivered(report: reports.Report[OutputStatus]) -> str:
    """What an output took and delivered, in samples, and how far it is behind."""
    status, counters = report.status, report.counters
    counts = ((name, getattr(counters, name)) for name in ("taken", "acknowledged", "held", "aside"))
    told = ", ".join(
        f"{name.replace('aside', 'set aside')} {words.count(value)}" for name, value in counts if value is not None
    )
    behind = "nothing behind"
    if status.behind_blocks:
        behind = f"behind by {words.count(status.behind_blocks)} blocks, {words.span(status.behind_s)}"
    return f"samples {told}; {behind}; scope {status.scope or 'unknown'}"


def _asset(name: str) -> str:
    return f"asset {name}"


def _described(
    door: Door, faults: DisplayFaults, anew: Sequence[str]
) -> list[tuple[str, list[TagView], frozenset[str]]]:
    """The tags of these assets, and which of them changes of the configuration took out."""
    changes = door.changes(MOST_CHANGES)
    return faults.each(_asset, lambda one: (one, door.tags(one), taken_out(one, changes)), anew)


def _ask_history(door: Door, mark: int, whole: bool) -> HistoryNews:
    rows, mark = door.latest(mark)
    if not whole:
        return HistoryNews(rows, mark, None, {}, None)
    described = door.described()
    return HistoryNews(rows, mark, door.assets(), door.accounts(), described, door.standing(MOST_ALARMS))


@contextlib.asynccontextmanager
async def running(live: Live) -> AsyncIterator[None]:
    """Keep the picture while the pages are served."""
    task = asyncio.get_running_loop().create_task(live.run(), name="portal-live")

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            live.failed = task.exception()

    task.add_done_callback(ended)
    try:
        yield
    finally:
        live.streams.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
