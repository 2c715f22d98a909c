"""The reading side of the history: one door, and every answer cut to its scope.

Any number of doors, in any process, read while the one writer writes; neither waits for the other. A door answers from
one snapshot a call: rows that are hot in `current.db` plus the chunks that were real at that moment. Nothing outside
the scope is ever in an answer; a series or an asset outside it is answered as one that does not exist.

Ranges of time hold `from_ns` and do not hold `to_ns`. All calls raise StoreError where the files cannot be read.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import orjson

from protocol.content import applied
from protocol.content.array import Array
from protocol.content.sample import ValueKind
from protocol.errors import StoreError
from receiver.outputs.disk import Connection
from receiver.outputs.historian.answers.asset_accounts import MINUTE_NS
from receiver.outputs.historian.answers.qualities import TimeMarks, time_marks
from receiver.outputs.historian.buckets import Buckets, ChunkSummaries
from receiver.outputs.historian.codec.chunk import ChartRows
from receiver.outputs.historian.codec.present import Present
from receiver.outputs.historian.codec.rollup import numbers
from receiver.outputs.historian.events import event_search, standing_alarms
from receiver.outputs.historian.events.event_row import event_of
from receiver.outputs.historian.missing import Span, StreamEnd, missing_spans
from receiver.outputs.historian.rows import HEALED, Rows, join, order, python_values
from receiver.outputs.historian.schema import CHANGES, EVENTS, SENDER_EVENTS
from receiver.outputs.historian.series import SENDER
from receiver.outputs.historian.snapshot import ReaderFiles, Snapshot
from receiver.outputs.historian.versions import joined_trend
from receiver.outputs.historian.views import (
    AbsenceView,
    Account,
    AssetView,
    ChangeView,
    EventView,
    LatestView,
    Minute,
    ReadValues,
    SampleView,
    Scope,
    StateView,
    TagView,
    Trend,
)
from receiver.outputs.historian.visible import Visible

_NO_ROWS = ChartRows(np.zeros(0, np.int64), np.zeros(0, np.uint32), np.zeros(0, np.uint8), np.zeros(0, np.int64))
GAP_AGE_NS = 10**9
"""A hole is a gap once it is this old: blocks that overtook each other have closed theirs long before [ns]."""

_TALLIES = """SELECT asset, time_ns, read, sent,
    (SELECT p.read FROM tally p WHERE p.stream = t.stream AND p.asset = t.asset AND p.number < t.number
        ORDER BY p.number DESC LIMIT 1),
    (SELECT p.sent FROM tally p WHERE p.stream = t.stream AND p.asset = t.asset AND p.number < t.number
        ORDER BY p.number DESC LIMIT 1)
    FROM tally t WHERE time_ns >= ? AND time_ns < ?"""
_ACCOUNTS = """SELECT asset, sum(read), sum(sent), sum(published), sum(healed), sum(max(sent - covered, 0))
    FROM account GROUP BY asset"""
_SPANS = "SELECT first, last, first_ns, last_ns, since_ns FROM span WHERE stream = ? ORDER BY first"


class Door:
    """The history as one scope may see it. Calls from several threads wait for each other."""

    def __init__(self, path: Path, scope: Scope, *, clock: Callable[[], int] = time.time_ns) -> None:
        """
        Args:
            path: The history's folder; it need not be there yet, all answers are empty then.
            scope: What may be seen.
            clock: The low side's wall time [ns since 1970 UTC]; it only decides whether a hole is old enough.
        """
        self._files = ReaderFiles(path)
        self._scope = scope
        self._clock = clock
        self._lock = threading.Lock()
        self._visible_then: tuple[tuple[int, int], Visible] | None = None

    @property
    def whole(self) -> bool:
        """Nothing is left out of what it shows."""
        return self._scope.whole

    def assets(self) -> list[AssetView]:
        """Every visible asset, by name."""
        with self._look() as (moment, visible):
            if moment is None:
                return []
            conditions = {one: state for one, *state in moment.rows("SELECT asset, what, text, time_ns FROM condition")}
            views = []
            for one, asset in visible.assets.items():
                state, text, time_ns = conditions.get(one, ("unknown", "", 0))
                tags = visible.tag_names(one)
                views.append(AssetView(asset=asset, state=state, state_text=text, state_ns=time_ns, tags=tags))
            return sorted(views, key=lambda view: (view.asset.name, view.asset.site))

    def tags(self, asset: str) -> list[TagView]:
        """Every series of the asset, by tag name and version; empty where the asset is not visible."""
        with self._look() as (_, visible):
            named = [one for one, described in visible.assets.items() if described.name == asset]
            views = [visible.view(one) for number in named for one in visible.of_asset(number)]
            return sorted(views, key=lambda view: (view.site, view.tag.name, view.version))

    def tag(self, series: int) -> TagView | None:
        """The series with this number."""
        with self._look() as (_, visible):
            return visible.view(series) if series in visible.series else None

    def described(self) -> tuple[int, int]:
        """What tells one state of the descriptions from another: it changes whenever an asset's or a tag's does."""
        with self._look() as (moment, _):
            return moment.catalog if moment else (0, 0)

    def latest(self, since: int = 0) -> tuple[list[LatestView], int]:
        """Current values that changed or were renewed after the mark `since`, and the new mark.

        Args:
            since: A mark given before by a door to the same history, 0 for everything.
        """
        with self._look() as (moment, visible):
            if moment is None:
                return [], 0
            since = since if since <= moment.mark else 0
            return _latest(moment.present(since), since, visible), moment.mark

    def trend(self, series: int, from_ns: int, to_ns: int, buckets: int, *, versions: bool = False) -> Trend:
        """Least, greatest and mean in equal buckets of time, and when samples of the series' site are absent.

        Args:
            buckets: Most buckets wanted, at least 1.
            versions: Of all versions of the tag, and where one goes on as another.
        """
        with self._look() as (moment, visible):
            wanted = [series] if series in visible.series and from_ns < to_ns else []
            if versions and wanted:
                wanted = list(visible.versions(series))
            filled = [Buckets(from_ns, to_ns, max(buckets, 1)) for _ in wanted]
            absences: list[AbsenceView] = []
            if moment is not None and wanted:
                for one, held in zip(wanted, filled, strict=True):
                    _fill(held, moment, one, unsigned=visible.series[one].unsigned)
                site = visible.view(series).site
                absences = self._absences(moment, visible, from_ns, to_ns, site)
                absences += _damaged(moment, from_ns, to_ns, site)
            views = [visible.view(one) for one in wanted]
            buckets_of = filled or [Buckets(from_ns, to_ns, max(buckets, 1))]
            return joined_trend(views, buckets_of, absences, whole=self.whole)

    def time_marks(self, series: int, from_ns: int, to_ns: int) -> TimeMarks:
        """When the tag, in all its versions, was bad or uncertain, and which of its samples came later."""
        with self._look() as (moment, visible):
            if moment is None or series not in visible.series:
                return TimeMarks()
            unsigned = visible.series[series].unsigned
            return time_marks(moment, visible.versions(series), from_ns, to_ns, unsigned=unsigned)

    def samples(self, series: int, from_ns: int, to_ns: int, limit: int | None) -> list[SampleView]:
        """The newest `limit` samples of the range (None: all), newest last.

        Equal times stand in the sender's order.
        """
        with self._look() as (moment, visible):
            if moment is None or series not in visible.series:
                return []
            rows = _newest(moment, series, from_ns, to_ns, limit, visible.rank)
            values = rows.values(unsigned=visible.series[series].unsigned)
            healed = (rows.marks & HEALED) != 0
            columns = (rows.quality, rows.native, rows.other_ns, healed)
            return list(map(SampleView, rows.time_ns.tolist(), values, *(column.tolist() for column in columns)))

    def values(self, series: int, from_ns: int, to_ns: int) -> ReadValues:
        """Every sample of the range as numbers: millions in a second, where `samples` gives thousands."""
        with self._look() as (moment, visible):
            opened = [_NO_ROWS]
            if moment is not None and series in visible.series:
                opened += moment.hot_readings(series, from_ns, to_ns)
                for month, parts in moment.chunks(series, from_ns, to_ns):
                    opened += [rows for _, rows in moment.readings(month, series, parts)]
            rows = ChartRows(*map(np.concatenate, zip(*opened, strict=True)))
            inside = np.flatnonzero((rows.time_ns >= from_ns) & (rows.time_ns < to_ns))
            rows = ChartRows(*(column[inside[np.argsort(rows.time_ns[inside], kind="stable")]] for column in rows))
            usable, value = numbers(rows, unsigned=series in visible.series and visible.series[series].unsigned)
            return ReadValues(rows.time_ns, value, usable)

    def absences(self, from_ns: int, to_ns: int) -> list[AbsenceView]:
        """Times in which blocks are missing, of all visible sites, that overlap the range."""
        with self._look() as (moment, visible):
            return [] if moment is None else self._absences(moment, visible, from_ns, to_ns, None)

    def minutes(self, from_ns: int, to_ns: int) -> list[Minute]:
        """Counts of every visible asset in the minutes that begin in the range, by minute and asset."""
        with self._look() as (moment, visible):
            if moment is None:
                return []
            counts: dict[tuple[int, int], list[int]] = {}
            for minute_ns, asset, published, healed in moment.rows(
                "SELECT minute_ns, asset, published, healed FROM minute WHERE minute_ns >= ? AND minute_ns < ?",
                from_ns,
                to_ns,
            ):
                counts[minute_ns, asset] = [published, healed, 0, 0]
            for asset, time_ns, read, sent, read_before, sent_before in moment.rows(_TALLIES, from_ns, to_ns):
                minute = counts.setdefault((time_ns // MINUTE_NS * MINUTE_NS, asset), [0, 0, 0, 0])
                minute[2] += read - (read_before or 0)
                minute[3] += sent - (sent_before or 0)
            names = visible.names()
            return [
                Minute(asset=names[asset], minute_ns=minute_ns, published=p, healed=h, read=r, sent=s)
                for (minute_ns, asset), (p, h, r, s) in sorted(counts.items())
                if asset in names
            ]

    def accounts(self) -> dict[str, Account]:
        """Every visible asset's counts, by name."""
        with self._look() as (moment, visible):
            sums: dict[str, list[int]] = {}
            for asset, *counts in moment.rows(_ACCOUNTS) if moment else []:
                if asset in visible.assets:
                    before = sums.setdefault(visible.assets[asset].name, [0] * 5)
                    sums[visible.assets[asset].name] = [a + b for a, b in zip(before, counts, strict=True)]
            return {
                name: Account(read=read, sent=sent, published=published, healed=healed, lost=lost)
                for name, (read, sent, published, healed, lost) in sorted(sums.items())
            }

    def states(self, asset: str, limit: int) -> list[StateView]:
        """The asset's newest states, newest first.

        Args:
            asset: Its name; empty for the sender's own states, which only a scope of everything may see.
        """
        with self._look() as (moment, visible):
            wanted = [one for one, described in visible.assets.items() if described.name == asset and asset]
            if not asset and visible.all:
                wanted = [SENDER]
            if moment is None or not wanted:
                return []
            marks = ",".join("?" * len(wanted))
            stored = moment.rows(
                f"SELECT time_ns, what, text, received_ns FROM state WHERE asset IN ({marks})"  # noqa: S608
                " ORDER BY boot DESC, number DESC LIMIT ?",
                *wanted,
                limit,
            )
            return [
                StateView(asset=asset, time_ns=time_ns, what=what, text=text, received_ns=received_ns)
                for time_ns, what, text, received_ns in stored
            ]

    def changes(self, limit: int) -> list[ChangeView]:
        """The newest changes of the sender's configuration, newest first; only a scope of everything may see them."""
        with self._look() as (moment, visible):
            if moment is None or not visible.all:
                return []
            stored = moment.rows(CHANGES, SENDER, applied.WHAT, limit)
            return [ChangeView(received_ns=at_ns, change=applied.read(text)) for at_ns, text in stored]

    def events(self, limit: int, asset: str = "") -> list[EventView]:
        """The newest events, newest first.

        Args:
            asset: Of that asset; empty: of all visible ones, and the sender's own for a scope of everything.
        """
        with self._look() as (moment, visible):
            names = {**visible.names(), **({SENDER: ""} if visible.all else {})}
            wanted = {one: name for one, name in names.items() if not asset or name == asset}
            if moment is None or not wanted:
                return []
            scope = visible.scope
            limited = [one for one, name in wanted.items() if name in scope.limited]
            named = [[one, tag] for one in limited for asset_name, tag in scope.tags or () if asset_name == wanted[one]]
            stored = moment.rows(EVENTS, orjson.dumps(list(wanted)), orjson.dumps(limited), orjson.dumps(named), limit)
            return [event_of(row, wanted) for row in stored]

    def sender_events(self, limit: int) -> list[EventView]:
        """The sender's own newest events, newest first; only a scope of everything may see them.

        A flood of events of devices neither hides one of these nor makes them slower to find.
        """
        with self._look() as (moment, visible):
            if moment is None or not visible.all:
                return []
            return [event_of(row, {SENDER: ""}) for row in moment.rows(SENDER_EVENTS, SENDER, limit)]

    def standing(self, limit: int) -> standing_alarms.StandingAlarms:
        """What stands of alarms, the gravest first."""
        with self._look() as (moment, visible):
            return standing_alarms.read(moment, visible, limit)

    def find_events(self, asked: event_search.EventQuestion) -> event_search.FoundEvents:
        """The newest events that fit, newest first."""
        with self._look() as (moment, visible):
            return event_search.find(moment, visible, asked)

    def close(self) -> None:
        """Close the files; a later call opens them again."""
        with self._lock:
            self._files.close()
            self._visible_then = None

    @contextmanager
    def _look(self) -> Iterator[tuple[Snapshot | None, Visible]]:
        """One moment, and what of it may be known."""
        with self._lock:
            moment = None
            try:
                moment = self._files.begin()
                yield moment, self._visible(moment)
            except (sqlite3.Error, UnicodeDecodeError) as error:
                raise StoreError(f"the history cannot be read: {error}") from error
            finally:
                if moment is not None:
                    moment.end()

    def _visible(self, moment: Snapshot | None) -> Visible:
        if moment is None:
            return Visible(None, self._scope)
        if self._visible_then is None or self._visible_then[0] != moment.catalog:
            self._visible_then = (moment.catalog, Visible(moment.connection, self._scope))
        return self._visible_then[1]

    def _absences(
        self, moment: Snapshot, visible: Visible, from_ns: int, to_ns: int, site: str | None
    ) -> list[AbsenceView]:
        out = []
        now_ns = self._clock()
        ends = {
            key: StreamEnd(*end)
            for key, *end in moment.rows("SELECT lower(hex(key)), last, to_ns, since_ns FROM ending")
        }
        for stream in visible.streams:
            if site is not None and stream.site != site:
                continue
            spans = [Span(*row) for row in moment.rows(_SPANS, stream.index)]
            for hole in missing_spans(spans, stream.boot, ends.get(stream.key)):
                young = 0 <= now_ns - hole.since_ns < GAP_AGE_NS
                if not young and hole.from_ns < to_ns and hole.to_ns >= from_ns:
                    out.append(
                        AbsenceView(
                            from_ns=hole.from_ns,
                            to_ns=hole.to_ns,
                            blocks=hole.after - hole.first,
                            stream=stream.key,
                            first=hole.first,
                            site=stream.site,
                        )
                    )
        return sorted(out, key=lambda one: (one.from_ns, one.stream, one.first))


def _newest(moment: Snapshot, series: int, from_ns: int, to_ns: int, limit: int | None, rank: Array) -> Rows:
    """The newest rows of the range in the history's order; opens no more chunks than it must."""
    parts: list[tuple[int, int, Connection, ChunkSummaries]] = []
    for month, summaries in moment.chunks(series, from_ns, to_ns):
        ends = zip(summaries.t1.tolist(), summaries.id.tolist(), strict=True)
        parts += [(t1, number, month, summaries.pick(np.array([at]))) for at, (t1, number) in enumerate(ends)]
    parts.sort(key=lambda part: part[:2])
    groups: list[tuple[int, Rows]] = [(2**63, moment.hot(series, from_ns, to_ns))]
    while parts:
        _, _, month, part = parts.pop()
        groups += moment.opened(month, series, part)
        if limit is not None and parts:
            newer = sum(_count(rows, max(parts[-1][0] + 1, from_ns), to_ns) for _, rows in groups)
            if newer >= limit:
                break  # all that is left ends before these
    rows = join([rows for _, rows in sorted(groups, key=lambda group: group[0])])
    rows = rows.pick(np.flatnonzero((rows.time_ns >= from_ns) & (rows.time_ns < to_ns)))
    in_order = order(rows, rank)
    return rows.pick(in_order if limit is None else in_order[max(len(in_order) - limit, 0) :])


def _damaged(moment: Snapshot, from_ns: int, to_ns: int, site: str) -> list[AbsenceView]:
    """What of the range could not be read."""
    out = []
    for one in moment.damage:
        if one.from_ns < to_ns and one.to_ns >= from_ns:
            rows = f"{one.rows} samples" if one.rows else "a file"
            damage = f"{rows} of the history cannot be read: damaged on the disk, see `checkvalve history check`"
            out.append(
                AbsenceView(
                    from_ns=one.from_ns, to_ns=one.to_ns, blocks=0, stream="", first=0, site=site, damage=damage
                )
            )
    return out


def _fill(filled: Buckets, moment: Snapshot, series: int, *, unsigned: bool) -> None:
    opened = [_NO_ROWS, *moment.hot_readings(series, filled.from_ns, filled.to_ns)]
    for month, parts in moment.chunks(series, filled.from_ns, filled.to_ns):
        rolled_up, summed = filled.of_rollup(parts), filled.of_summary(parts)
        filled.add_cells(parts.pick(rolled_up))
        filled.add_summaries(parts.pick(summed))
        opened += [rows for _, rows in moment.readings(month, series, parts.pick(~rolled_up & ~summed))]
    filled.add_rows(ChartRows(*map(np.concatenate, zip(*opened, strict=True))), unsigned=unsigned)


def _latest(present: Present, since: int, visible: Visible) -> list[LatestView]:
    keep = present.mark > since
    if not visible.all:
        keep &= np.isin(present.series, list(visible.series))
    at = np.flatnonzero(keep)
    is_text = present.kind == int(ValueKind.TEXT)
    place = np.cumsum(is_text) - 1
    texts: list[str | None] = [None] * len(at)
    for one in np.flatnonzero(is_text[at]).tolist():
        texts[one] = present.texts[int(place[at[one]])]
    series = present.series[at].tolist()
    unsigned = [visible.series[one].unsigned for one in series]
    values = python_values(present.kind[at].tolist(), present.value[at].tolist(), texts, unsigned)
    columns = (present.quality, present.native, present.seen_ns)
    times = (present.time_ns[at].tolist(), present.other_ns[at].tolist())
    return list(map(LatestView, series, *times, values, *(column[at].tolist() for column in columns)))


def _count(rows: Rows, from_ns: int, to_ns: int) -> int:
    return int(np.count_nonzero((rows.time_ns >= from_ns) & (rows.time_ns < to_ns)))
