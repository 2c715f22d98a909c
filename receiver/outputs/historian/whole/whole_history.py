"""Reading a history from one end to the other, in bounded memory, beside its running writer: for exports and feeds.

    what had come when it began:   every sample of a block numbered below `until` in the log of arrivals, once
    series by series in spans of a week of sample time:  in the history's order (time, packer's start, block, row)

A moment (`snapshot.py`) is held only while a series' hot rows and its list of chunks are read: a long one would let the
writer's log grow. A chunk that is real stays as it is, so it may be opened later; one that retention took meanwhile
is counted in `gone`. Chunks overlap where data came late: rows are given as far as no chunk that is still to be opened
can hold an earlier one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from protocol.errors import ConfigError, StoreError
from receiver.outputs.disk import Connection, is_full
from receiver.outputs.historian.buckets import ChunkSummaries
from receiver.outputs.historian.rows import Rows, join, order
from receiver.outputs.historian.snapshot import ReaderFiles, Snapshot, UnreadableSamples
from receiver.outputs.historian.views import Scope, TagView
from receiver.outputs.historian.visible import Visible
from receiver.outputs.historian.whole.arrival_log import ArrivalTable, SampleArrivals

SPAN_NS = 7 * 24 * 3600 * 10**9
"""Sample time that is read of all series before the next is [ns]."""
FIRST_NS, AFTER_NS = -(2**63), 2**63 - 1
"""All of time."""

Spans: TypeAlias = dict[int, dict[int, int]]
"""By week of sample time and series: about how many samples."""

_CHUNKS = "SELECT t0, t1, n FROM chunk WHERE series = ? AND t1 >= ? AND t0 < ? AND id <= ? AND id > ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesPart:
    """Some samples of one series, with when they came; all of equal time are in one part."""

    tag: TagView
    rows: Rows
    arrived: SampleArrivals


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedSamples:
    """What is to be read."""

    series: Sequence[int]
    from_ns: int = FIRST_NS
    to_ns: int = AFTER_NS
    """Not included."""
    since: int = -1
    """Only blocks with this sequence number or a later one; -1: also those that came before there was a log."""


class WholeHistory:
    """One reading of a history, as one scope may see it."""

    def __init__(self, folder: Path, scope: Scope) -> None:
        """
        Args:
            folder: The history's.
            scope: What may be seen.

        Raises:
            ConfigError: there is no history yet.
            StoreError: it cannot be read.
        """
        self._files = ReaderFiles(folder)
        self.damage: list[UnreadableSamples] = []
        """What could not be read."""
        self.gone = 0
        """Chunks that retention took after `spans` had met them, and before they were read."""
        self._met: dict[tuple[int, int], int] = {}
        """By week and series, the chunks that `spans` met."""
        self._met_sealed = 0
        """The newest of them."""
        with _told():
            moment = self._files.begin()
            if moment is None:
                raise ConfigError(f"{folder}: there is no history yet", hint="has `checkvalve receive` run here?")
            try:
                self.visible = Visible(moment.connection, scope)
                self.arrivals = ArrivalTable(moment.connection)
                self.tops = {
                    table: int(moment.rows(f"SELECT coalesce(max(id), 0) FROM {table}")[0][0])  # noqa: S608
                    for table in ("event", "state")
                }
                """Number of the newest event and state that had come when it began."""
                self.streams: dict[int, tuple[bytes, int, str]] = {
                    one: (key, boot, site)
                    for one, key, boot, site in moment.rows("SELECT id, key, boot, site FROM stream")
                }
                """By this history's number: key, packer's start, site."""
            finally:
                moment.end()

    def tags(self) -> list[TagView]:
        """Every visible series, by site, asset, name and version."""
        views = [self.visible.view(one) for one in self.visible.series]
        return sorted(views, key=lambda one: (one.site, one.tag.asset, one.tag.name, one.version))

    def spans(self, wanted: WantedSamples) -> Spans:
        """Which weeks hold samples of which series, and about how many: a chunk counts as a whole.

        Raises:
            StoreError: the files cannot be read.
        """
        spans: Spans = {}

        def note(series: int, t0: int, t1: int, rows: int, *, chunks: int = 0) -> None:
            low, high = max(t0, wanted.from_ns) // SPAN_NS, min(t1, wanted.to_ns - 1) // SPAN_NS
            for span in range(low, high + 1):
                if chunks:
                    self._met[span, series] = self._met.get((span, series), 0) + chunks
                held = spans.setdefault(span, {})
                held[series] = held.get(series, 0) + -(-rows // (high - low + 1))

        with _told(), self.moment() as moment:
            above = self._above(wanted.since)
            self._met, self._met_sealed = {}, moment.sealed
            for month in self._files.months():
                for series in wanted.series:
                    for t0, t1, rows in self._index(month, series, wanted, moment.sealed, above):
                        note(series, t0, t1, rows, chunks=1)
            for series in wanted.series:
                times = _within(moment.hot(series), wanted.from_ns, wanted.to_ns).time_ns
                weeks, counts = np.unique(times // SPAN_NS, return_counts=True)
                for week, count in zip(weeks.tolist(), counts.tolist(), strict=True):
                    note(series, week * SPAN_NS, week * SPAN_NS, count)
        return spans

    def parts(self, wanted: WantedSamples, spans: Spans) -> Iterator[SeriesPart]:
        """The samples, by week, series (in the order of `wanted`) and time.

        Args:
            spans: From `spans`, for the same.

        Raises:
            StoreError: the files cannot be read, or were made anew meanwhile.
        """
        for span in sorted(spans):
            from_ns, to_ns = max(span * SPAN_NS, wanted.from_ns), min((span + 1) * SPAN_NS, wanted.to_ns)
            for series in (one for one in wanted.series if one in spans[span]):
                tag = self.visible.view(series)
                with _told():
                    met = self._met.get((span, series), 0)
                    for rows in self._series(series, from_ns, to_ns, self._above(wanted.since), met):
                        arrived = self.arrivals.look_up(rows.stream, rows.number)
                        kept = (arrived.sequence >= wanted.since) & (arrived.sequence < self.arrivals.until)
                        if kept.all():
                            yield SeriesPart(tag=tag, rows=rows, arrived=arrived)
                        elif kept.any():
                            yield SeriesPart(tag=tag, rows=rows.pick(np.flatnonzero(kept)), arrived=arrived.pick(kept))

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a query of `current.db`.

        Raises:
            StoreError: it cannot be read.
        """
        with _told(), self.moment() as moment:
            return moment.rows(sql, *values)

    def months(self) -> Iterator[tuple[str, Connection]]:
        """Every month file there is, with its name."""
        return self._files.named_months()

    def close(self) -> None:
        """Close the files."""
        self._files.close()

    def _above(self, since: int) -> int:
        return self.arrivals.sealed(since) if since >= 0 else 0

    def _index(
        self, month: Connection, series: int, wanted: WantedSamples, sealed: int, above: int
    ) -> list[tuple[int, int, int]]:
        """First time, last time and samples of a series' chunks in one file."""
        try:
            return month.execute(_CHUNKS, (series, wanted.from_ns, wanted.to_ns, sealed, above)).fetchall()
        except (sqlite3.Error, UnicodeDecodeError) as error:
            if isinstance(error, sqlite3.Error) and is_full(error):
                raise
            return []  # `Snapshot.chunks` meets it again, and tells it

    def _series(self, series: int, from_ns: int, to_ns: int, above: int, met: int) -> Iterator[Rows]:
        """A series' rows of one span, in order; `met` is how many chunks of it there were before."""
        chunks: list[tuple[int, int, Connection, ChunkSummaries]] = []
        with self.moment() as moment:
            held = [_within(moment.hot(series), from_ns, to_ns)]
            for month, found in moment.chunks(series, from_ns, to_ns):
                fresh = found.pick(np.flatnonzero(found.id > above))
                begins = zip(fresh.t0.tolist(), fresh.id.tolist(), strict=True)
                chunks += [(t0, one, month, fresh.pick(np.array([at]))) for at, (t0, one) in enumerate(begins)]
        self.gone += max(met - sum(one <= self._met_sealed for _, one, _, _ in chunks), 0)
        chunks.sort(key=lambda one: one[:2])
        for at, (_, _, month, chunk) in enumerate(chunks):
            damaged = len(moment.damage)
            opened = [rows for _, rows in moment.opened(month, series, chunk)]
            self.damage += moment.damage[damaged:]
            self.gone += not opened and len(moment.damage) == damaged
            held += [_within(rows, from_ns, to_ns) for rows in opened]
            if at + 1 < len(chunks):
                ready, rest = self._ready(held, chunks[at + 1][0])
                held = [rest]
                if len(ready):
                    yield ready
        ready, _ = self._ready(held, AFTER_NS)
        if len(ready):
            yield ready

    def _ready(self, held: Sequence[Rows], until: int) -> tuple[Rows, Rows]:
        """What is earlier than `until`, in order, and the rest as it is."""
        rows = join(held)
        early = rows.time_ns < until
        ready = rows.pick(np.flatnonzero(early))
        return ready.pick(order(ready, self.visible.rank)), rows.pick(np.flatnonzero(~early))

    @contextmanager
    def moment(self) -> Iterator[Snapshot]:
        """A moment of the history; what it could not read is in `damage` afterwards."""
        moment = self._files.begin()
        if moment is None:
            raise StoreError("the history went away while it was read")
        try:
            yield moment
        finally:
            self.damage += moment.damage
            moment.end()


def _within(rows: Rows, from_ns: int, to_ns: int) -> Rows:
    return rows.pick(np.flatnonzero((rows.time_ns >= from_ns) & (rows.time_ns < to_ns)))


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise StoreError(f"the history cannot be read, or was made anew meanwhile: {error}") from error
