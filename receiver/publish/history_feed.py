"""The history as blocks again, for an output that begins: whole blocks, under the stream and number they came with.

    index     each chunk once: which streams it has rows of, from which block to which     a part at a step
    windows   some hundred blocks of a stream: their rows, from every chunk that may have some
    blocks    the rows of a number are one block again, with its arrival where the log has it

A block's rows lie in as many chunks as it had tags, and a slow tag's chunk spans a day: so chunks are found by block
numbers, and those last opened are kept. Streams come in the order of packer starts, and numbers rise: only a kill makes
something come twice. States and events are handed over too. What a stream's tags were numbered is known from the
journal's kept pages; a tag that they do not tell takes a number above all that a stream can use.

What the history does not keep is not there: refresh rows, pages, tallies. What cannot be read is counted and told.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from protocol.content.array import Array
from protocol.content.catalog import meaning_of
from protocol.content.sample import Columns, ValueKind
from protocol.errors import StoreError
from protocol.limits import STREAM_TAGS
from protocol.ranges import Ranges
from receiver.outputs.base import BatchBody, EventBody, OpenedBlock, StateBody, StreamDescription
from receiver.outputs.historian.codec import chunk
from receiver.outputs.historian.codec.group import unpack
from receiver.outputs.historian.rows import Rows, join
from receiver.outputs.historian.series import SENDER
from receiver.outputs.historian.views import Scope
from receiver.outputs.historian.whole.whole_history import WholeHistory
from receiver.publish.feed_plan import FeedPlace
from receiver.publish.known import KnownStream

INDEX_CHUNKS = 128
"""Chunks that are looked at in one step: some 20 ms."""
WINDOW_ROWS = 20_000
"""Samples that are handed over at a time, about."""
WINDOW_BLOCKS = 1024
"""Most blocks of a hand-over."""
KEPT_ROWS = 2_000_000
"""Most samples of opened chunks that are kept: 100 MB."""


@dataclass(slots=True)
class _ChunkIndex:
    """For the rows of one stream: which chunk has which of its blocks."""

    chunk: list[int] = field(default_factory=list)
    month: list[str] = field(default_factory=list)
    series: list[int] = field(default_factory=list)
    low: list[int] = field(default_factory=list)
    high: list[int] = field(default_factory=list)

    _bounds: tuple[Array, Array] | None = None

    def within(self, first: int, after: int) -> list[tuple[str, int, int]]:
        """Month, number and series of the chunks that may have rows of these blocks; once all are known."""
        if self._bounds is None:
            self._bounds = np.array(self.low, np.int64), np.array(self.high, np.int64)
        at = np.flatnonzero((self._bounds[0] < after) & (self._bounds[1] >= first))
        return [(self.month[one], self.chunk[one], self.series[one]) for one in at.tolist()]


class HistoryFeed:
    """One history on its way to one output."""

    def __init__(
        self,
        history: WholeHistory,
        plan: Mapping[bytes, Ranges],
        place: FeedPlace,
        *,
        known: Callable[[bytes], KnownStream],
        scope: Scope,
    ) -> None:
        """
        Args:
            history: As the output's scope may see it; closed by this.
            plan: The blocks to hand over, by stream.
            place: How far that was done.
            known: What is known of a stream beside the history.
            scope: What the output may see.

        Raises:
            StoreError: the history cannot be read.
        """
        self.place = place
        """What was handed over so far."""
        self.samples = 0
        """Handed over since this was made."""
        self.unreadable = 0
        """Chunks, or groups of hot rows, that could not be read, or that retention took meanwhile."""
        self._history, self._known, self._scope = history, known, scope
        self._numbers = {key: one for one, (key, _, _) in history.streams.items()}
        keys = [key for _, key in sorted((history.streams[one][1], key) for key, one in self._numbers.items())]
        begun = keys.index(place.stream) if place.stream in keys else 0
        self._left = {key: plan[key] for key in keys[begun:] if key in plan}
        self._edges = {self._numbers[key]: _edges(held) for key, held in self._left.items()}
        self._index = {one: _ChunkIndex() for one in self._edges}
        self._tops: dict[str, int] = {}
        self._width = 64
        self._opened: OrderedDict[tuple[str, int], Rows] = OrderedDict()
        self._opened_rows = 0
        self._states: tuple[bytes, list[OpenedBlock]] = (b"", [])
        self._ids: dict[bytes, dict[int, int]] = {}
        self._sealed, self._hot = self._held_hot()

    @property
    def blocks_left(self) -> int:
        """Numbers of the plan that are not handed over: not all of them hold samples."""
        return sum(held.count - held.below(self._next(key)) for key, held in self._left.items())

    def step(self) -> tuple[list[OpenedBlock], bool]:
        """The next blocks, after which `place` stands; or a part of the index.

        Returns:
            (blocks, moved): `moved` is false once all is done.

        Raises:
            StoreError: the history cannot be read, or was made anew.
        """
        try:
            if self.place.done or self._look_at_chunks():
                return [], not self.place.done
            for key, held in self._left.items():
                ranges = held.within(self._next(key), held.top)
                if ranges:
                    return self._window(key, ranges), True
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise StoreError(f"the history cannot be read, or was made anew: {error}") from error
        self.place = replace(self.place, done=True)
        return [], True

    def close(self) -> None:
        """Let go of the files."""
        self._history.close()

    def _next(self, key: bytes) -> int:
        """The first number of a stream that was not handed over."""
        if key == self.place.stream:
            return self.place.number
        keys = list(self._left)
        behind = self.place.stream in keys and keys.index(key) < keys.index(self.place.stream)
        return self._left[key].top if behind else 0

    # --- where which block is ---------------------------------------------------------------------------------------

    def _look_at_chunks(self) -> bool:
        """Take some chunks into the index; False once all are in it."""
        for name, month in self._history.months():
            top = self._tops.get(name, 0)
            if top < 0:
                continue
            bodies = month.execute(
                "SELECT id, series, body FROM body WHERE id > ? AND id <= ? ORDER BY id LIMIT ?",
                (top, self._sealed, INDEX_CHUNKS),
            ).fetchall()
            for one, series, body in bodies:
                if series in self._history.visible.series:
                    self._note(name, one, series, body)
            self._tops[name] = bodies[-1][0] if bodies else -1
            return True
        return False

    def _note(self, month: str, one: int, series: int, body: bytes) -> None:
        try:
            rows = self._wanted(chunk.decode(body, series))
        except StoreError:
            self.unreadable += 1
            return
        for stream in np.unique(rows.stream).tolist():
            numbers = rows.number[rows.stream == stream]
            index = self._index[stream]
            index.chunk.append(one)
            index.month.append(month)
            index.series.append(series)
            index.low.append(int(numbers.min()))
            index.high.append(int(numbers.max()))

    def _held_hot(self) -> tuple[int, Rows]:
        """The newest real chunk, and rows of the plan that are not sealed yet: none, unless the journal is short."""
        groups: list[Rows] = []
        with self._history.moment() as moment:
            seen = np.fromiter(self._history.visible.series, np.uint32)
            for table in ("piece", "fresh"):
                for (body,) in moment.rows(f"SELECT body FROM {table} ORDER BY id"):  # noqa: S608  names from above
                    try:
                        rows = self._wanted(unpack(body))
                    except StoreError:
                        self.unreadable += 1
                        continue
                    groups.append(rows.pick(np.flatnonzero(np.isin(rows.series, seen))).trimmed())
            return moment.sealed, join(groups)

    def _wanted(self, rows: Rows) -> Rows:
        """The rows of blocks that are to be handed over."""
        kept = np.zeros(len(rows), bool)
        for stream in np.unique(rows.stream).tolist():
            if stream in self._edges:
                of_stream = rows.stream == stream
                kept |= of_stream & (np.searchsorted(self._edges[stream], rows.number, side="right") % 2 == 1)
        return rows.pick(np.flatnonzero(kept))

    # --- blocks -----------------------------------------------------------------------------------------------------

    def _window(self, key: bytes, ranges: list[tuple[int, int]]) -> list[OpenedBlock]:
        first = ranges[0][0]
        while True:
            after = _after(ranges, self._width)
            rows = self._rows(self._numbers[key], first, after)
            if len(rows) <= 2 * WINDOW_ROWS or self._width == 1:
                break
            self._width = max(self._width // 4, 1)
        if len(rows) < WINDOW_ROWS // 2:
            self._width = min(self._width * 2, WINDOW_BLOCKS)
        blocks = [*self._batches(key, rows), *self._others(key, first, after)]
        blocks = [one for one in blocks if one.number in self._left[key]]
        self.samples += len(rows)
        self.place = self.place.at(key, after)
        return sorted(blocks, key=lambda one: one.number)

    def _rows(self, stream: int, first: int, after: int) -> Rows:
        held = [self._hot, *(self._chunk(*one) for one in self._index[stream].within(first, after))]
        parts = [
            rows.pick(np.flatnonzero((rows.stream == stream) & (rows.number >= first) & (rows.number < after)))
            for rows in held
        ]
        rows = self._wanted(join([part for part in parts if len(part)]))
        return rows.pick(np.lexsort((rows.series, rows.time_ns, rows.number)))

    def _chunk(self, month: str, one: int, series: int) -> Rows:
        kept = self._opened.get((month, one))
        if kept is not None:
            self._opened.move_to_end((month, one))
            return kept
        rows = join([])
        for name, connection in self._history.months():
            row = connection.execute("SELECT body FROM body WHERE id = ?", (one,)).fetchone() if name == month else None
            if row is not None:
                rows = chunk.decode(row[0], series)
        self.unreadable += not len(rows)
        self._opened[month, one] = rows
        self._opened_rows += len(rows)
        while self._opened_rows > KEPT_ROWS and len(self._opened) > 1:
            self._opened_rows -= len(self._opened.popitem(last=False)[1])
        return rows

    def _batches(self, key: bytes, rows: Rows) -> Iterator[OpenedBlock]:
        if not len(rows):
            return
        stream = self._described(key, np.unique(rows.series).tolist())
        ids = self._ids[key]
        tags = np.array([ids[one] for one in rows.series.tolist()], np.uint32)
        arrived = self._history.arrivals.look_up(rows.stream, rows.number)
        edges = [0, *(np.flatnonzero(np.diff(rows.number)) + 1).tolist(), len(rows)]
        for begin, end in pairwise(edges):
            part = slice(begin, end)
            columns = _columns(rows.pick(part), tags[part])
            last_ns = int(columns.time_ns.max())
            yield OpenedBlock(
                stream=stream,
                number=int(rows.number[begin]),
                healed=bool(arrived.healed[begin]),
                received_ns=int(arrived.at_ms[begin]) * 10**6 or last_ns,
                body=BatchBody(columns=columns, first_ns=int(columns.time_ns.min()), last_ns=last_ns),
            )

    def _others(self, key: bytes, first: int, after: int) -> Iterator[OpenedBlock]:
        """States and events of these blocks."""
        boot = self._history.streams[self._numbers[key]][1]
        for asset, number, *told in self._history.rows(
            "SELECT asset, number, source, time_ns, severity, code, text, state, sequence, received_ns FROM event"
            " WHERE boot = ? AND number >= ? AND number < ?",
            boot,
            first,
            after,
        ):
            name = self._asset(key, asset)
            if name is not None:
                source, time_ns, severity, code, text, state, sequence, received_ns = told
                body = EventBody(
                    asset=name,
                    source=source,
                    time_ns=time_ns,
                    severity=severity,
                    code=code,
                    text=text,
                    state=state,
                    sequence=sequence,
                )
                yield self._other(key, number, received_ns, body)
        if self._states[0] != key:
            self._states = (key, list(self._states_of(key, boot)))
        yield from (one for one in self._states[1] if first <= one.number < after)

    def _states_of(self, key: bytes, boot: int) -> Iterator[OpenedBlock]:
        for asset, number, time_ns, what, text, received_ns in self._history.rows(
            "SELECT asset, number, time_ns, what, text, received_ns FROM state WHERE boot = ?", boot
        ):
            name = self._asset(key, asset)
            if name is not None:
                body = StateBody(asset=name, time_ns=time_ns, what=what, text=text)
                yield self._other(key, number, received_ns, body)

    def _other(self, key: bytes, number: int, received_ns: int, body: StateBody | EventBody) -> OpenedBlock:
        stream = self._described(key, [])
        return OpenedBlock(stream=stream, number=number, healed=False, received_ns=received_ns, body=body)

    def _asset(self, key: bytes, asset: int) -> str | None:
        """The name of a stream's asset; None outside the scope, and for another site that was started at one time."""
        _, boot, site = self._history.streams[self._numbers[key]]
        if asset == SENDER:
            alone = [one for one in self._history.streams.values() if one[1] == boot]
            return "" if self._scope.whole and len(alone) == 1 else None
        described = self._history.visible.assets.get(asset)
        return described.name if described is not None and described.site == site else None

    def _described(self, key: bytes, series: list[int]) -> StreamDescription:
        """The stream with these series in it, each under one number for ever."""
        known = self._known(key)
        if key not in self._ids:
            self._ids[key] = {}
        ids = self._ids[key]
        fresh = [one for one in series if one not in ids]
        if fresh:
            numbered = {meaning_of(tag): ident for ident, tag in known.tags.items()}
            for one in fresh:
                tag = self._history.visible.view(one).tag
                ids[one] = numbered.get(meaning_of(tag), STREAM_TAGS + one)
                known.tags.setdefault(ids[one], replace(tag, id=ids[one]))
        _, boot, site = self._history.streams[self._numbers[key]]
        for asset in self._history.visible.assets.values():
            if asset.site == site:
                known.assets.setdefault(asset.name, asset)
        return StreamDescription(key=key, boot=boot, site=site, assets=known.assets, tags=known.tags)


def came(history: WholeHistory) -> dict[bytes, Ranges]:
    """Every block number that the history has met, by stream.

    Raises:
        StoreError: it cannot be read.
    """
    out: dict[bytes, Ranges] = {}
    for stream, first, last in history.rows("SELECT stream, first, last FROM span ORDER BY stream, first"):
        if stream in history.streams:
            out.setdefault(history.streams[stream][0], Ranges()).add(first, last + 1)
    return out


def _edges(held: Ranges) -> Array:
    """Ends of ranges, rising: a number is in the set where it stands behind an odd count of them."""
    return np.array([edge for pair in held for edge in pair], np.int64)


def _after(ranges: list[tuple[int, int]], count: int) -> int:
    """One past the last of the first `count` numbers."""
    for first, after in ranges:
        if after - first >= count:
            return first + count
        count -= after - first
    return ranges[-1][1]


def _columns(rows: Rows, tags: Array) -> Columns:
    kind = rows.kind
    texts = rows.value[kind == ValueKind.TEXT].tolist()
    return Columns(
        tag=tags,
        time_ns=rows.time_ns,
        other_ns=rows.other_ns,
        flags=np.zeros(len(rows), np.uint8),
        quality=rows.quality,
        native=rows.native,
        kind=kind,
        floats=rows.value[kind == ValueKind.FLOAT].view(np.float64),
        ints=rows.value[kind == ValueKind.INT],
        bools=rows.value[kind == ValueKind.BOOL] != 0,
        texts=tuple(rows.texts[one] for one in texts),
    )
