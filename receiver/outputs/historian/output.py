"""The writing side of the history: every hand-over is one durable transaction, the place in it.

    blocks -> order -> series numbers -> rows ---> hot rows (shelves.py)
                                         |---------> current values (newest.py)
                                         '---------> counts (asset_accounts.py), numbers seen (arrivals.py)
    pages, states, events, tallies ----------------> their tables

Everything is worked out in memory first and gathered as statements; then one transaction stores it. A full disk is
waited out with the same statements; nothing is handed over meanwhile, so nothing is lost and the journal waits. After
each hand-over some hot rows are sealed, about twice as many as came, so that no hand-over waits long.
"""

from __future__ import annotations

import contextlib
import math
import os
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from protocol.content import applied
from protocol.content.array import Array
from protocol.content.catalog import Page
from protocol.content.sample import Flag, concat
from protocol.errors import StoreError
from protocol.process.document import to_json
from receiver.outputs import disk
from receiver.outputs.base import BatchBody, EventBody, OpenedBlock, Output, StateBody, TallyBody
from receiver.outputs.disk import DamageError, Writes
from receiver.outputs.historian import schema
from receiver.outputs.historian.age import NOTE_NS
from receiver.outputs.historian.arrivals import Novelty
from receiver.outputs.historian.asset_accounts import MINUTE_NS
from receiver.outputs.historian.files import META, WriterFiles
from receiver.outputs.historian.latency import Latency
from receiver.outputs.historian.mending.rebuild import rebuild
from receiver.outputs.historian.rows import Rows, from_columns
from receiver.outputs.historian.series import SENDER, StreamSeries
from receiver.outputs.historian.whole.size_limit import SizeLimit
from receiver.outputs.scope import Scope
from receiver.outputs.settings import OutputTable

_STATE = """INSERT INTO state (asset, boot, number, time_ns, what, text, received_ns)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""
_EVENT = """INSERT INTO event
    (asset, boot, number, source, time_ns, severity, code, text, state, sequence, received_ns)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_CONDITION = """INSERT INTO condition VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (asset) DO UPDATE SET
    boot = excluded.boot, number = excluded.number, what = excluded.what, text = excluded.text,
    time_ns = excluded.time_ns WHERE (excluded.boot, excluded.number) > (condition.boot, condition.number)"""


SWEEP_NS = 24 * 3600 * 10**9
"""Age of the history between two times that everything hot is sealed [ns]: well below what the journal keeps."""

FOREVER_S = 1e9
"""Longest that anything is kept [s]: 31 years of running."""

CHANGES_TOLD = 5
"""Newest changes of the sender's configuration in the status; the pages have all of them."""

CUT_S = 5.0
"""Between two looks at the size of the log [s]."""


class _SampleBlock(NamedTuple):
    """A block of samples of a hand-over."""

    block: OpenedBlock
    body: BatchBody
    source: StreamSeries
    novelty: Novelty


class HistorianTable(OutputTable):
    """The one output that no `[[output]]` names: it is always fed, with everything."""

    kind: str = "historian"
    name: str = "historian"
    scope: Scope = Scope()
    keep_s: float = math.inf
    """`history` of `[retention]`: age of the oldest month that `tidy` leaves [s]."""
    most_bytes: float = math.inf
    """`history_max_gb` of `[retention]`: size from which on `tidy` drops the oldest month [bytes]."""


class HistorianOutput(Output):
    """The embedded historian of one receiver."""

    kind = "historian"
    table = HistorianTable

    @classmethod
    def build(cls, table: OutputTable, state: Path, *, wait: Callable[[float], None]) -> Self:
        """The history in `state/history`."""
        assert isinstance(table, HistorianTable)
        return cls(state / "history", wait=wait, keep_s=table.keep_s, most_bytes=table.most_bytes)

    def __init__(
        self,
        folder: Path,
        *,
        keep_s: float = math.inf,
        most_bytes: float = math.inf,
        clock: Callable[[], int] = time.time_ns,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """Open the history in this folder, or begin one; what is damaged is set aside and told (`mending/adopt.py`).

        Args:
            folder: `history/`; made where it is not there.
            keep_s: Age of the oldest month that `tidy` leaves [s].
            most_bytes: Size from which on `tidy` drops the oldest month [bytes].
            clock: Wall time [ns since 1970 UTC]: for the latency, and to name month files.
            wait: Pauses for so many seconds while the disk is full; may write the status, may raise to give up.

        Raises:
            HeldError: another process has it open.
            StoreError: it cannot be read, or was written by another version.
        """
        self._clock, self._wait, self._keep_s = clock, wait, keep_s
        self._size_limit = SizeLimit(folder, most_bytes)
        self._trouble = ""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._latency = Latency()
        self._doubles = 0
        self._blocks = 0
        self._cut_at = 0.0
        self._took = False
        """A hand-over came since the last `step`, and sealed its share."""
        self._closed = False
        self._in_hand = False
        self._changes: list[applied.AppliedChange] = []
        self._last: dict[str, Any] = {}
        self._lock = disk.lock(folder / "lock")
        self._files = WriterFiles(folder, clock=clock, waiting=self._waiting)
        try:
            self._files.open(wait)
        except BaseException:
            self._shut()
            raise
        self._remember()
        self.status()

    def place(self) -> bytes | None:
        """The place stored last, None for a new history, and for one that began again."""
        place = self._files.meta("place", None)
        if not isinstance(place, bytes) or self._files.meta("place_sum", zlib.crc32(place)) != zlib.crc32(place):
            return None  # blocks that came are known by their numbers
        return place

    def begun_again(self) -> bool:
        """Whether the place went back: the journal is to be read from its beginning."""
        moved, self._files.moved_back = self._files.moved_back, False
        return moved

    def wants(self) -> bool:
        """Not while the history is about to begin again: what is hot is sealed first."""
        return not self._files.due

    def take(self, blocks: Sequence[OpenedBlock], place: bytes) -> None:
        """Store the blocks and `place` in one transaction; waits while the disk is full.

        Where the files turn out to be damaged nothing may be stored: then `begun_again` is true.

        Raises:
            StoreError: the disk fails.
        """
        if self._closed:
            raise StoreError("the history is closed, or gave up waiting for space; open it again")
        self._in_hand = True
        with self._mended():
            self._commit(blocks, place)
        self._in_hand = False

    def _commit(self, blocks: Sequence[OpenedBlock], place: bytes) -> None:
        # 1: in memory, in the sender's order: a block is new, wanted once more, or a double
        self._mark += 1
        writes = Writes()
        batches: list[_SampleBlock] = []
        for block in sorted(blocks, key=lambda one: (one.stream.boot, one.stream.key, one.number)):
            source = self._files.registry.source(block.stream, writes)
            novelty = self._files.arrivals.add(source.index, block, writes)
            if novelty is Novelty.DOUBLE:
                self._doubles += 1
                continue
            again = novelty is Novelty.AGAIN
            sealed, age_ns = self._files.shelves.sealed, self._files.age.age_ns
            self._files.log.add(source.index, block, sealed=sealed, age_ns=age_ns, again=again)
            if isinstance(block.body, BatchBody):
                batches.append(_SampleBlock(block, block.body, source, novelty))
            else:
                self._note(block, source, writes)
        # 2: all that memory has changed is gathered as statements, the place last
        rows = self._store_batches(batches, writes)
        self._files.accounts.finish(writes)
        self._files.arrivals.finish(writes)
        self._files.log.finish(writes)
        writes.add(META, [("mark", self._mark), ("place", place), ("place_sum", zlib.crc32(place))])
        if self._files.registry.changed:
            writes.add(META, [("catalog", self._mark)])
            self._files.registry.changed = False
        # 3: one durable transaction; a full disk is waited out with the same statements
        try:
            disk.commit(self._files.current, writes, waiting=self._waiting, wait=self._wait)
        except BaseException:
            self._closed = True  # memory is ahead of the disk now; the place is not
            raise
        # 4: it is stored: counts of this run
        self._blocks += len(blocks)
        now_ns = self._clock()
        for batch in batches:
            if not batch.block.healed and batch.novelty is Novelty.NEW:
                self._latency.add((now_ns - batch.body.first_ns) / 1e6)
        self._took = True
        if any(isinstance(one.body, StateBody) and one.body.what == applied.WHAT for one in blocks):
            self._read_changes()
        # 5: some hot rows are sealed, in transactions of their own
        with self._put_off():
            self._files.shelves.tidy(2 * rows, self._files.registry.rank, self._files.registry.unsigned)

    def step(self, now: float) -> float:
        """Seal and drop what is due, a bounded part at a time."""
        with self._mended(), self._put_off():
            if not self._took:
                self._files.shelves.tidy(0, self._files.registry.rank, self._files.registry.unsigned)
            if self._files.age.more:
                self._files.age.drop(self._files.shelves)
            self._files.look_back()
            if now >= self._cut_at:
                self._cut_at = now + CUT_S
                self._files.cut_log()
        self._took = False
        if self._files.shelves.trouble or self._trouble:
            return disk.FULL_WAIT_S
        return 0.0 if self._files.age.more or self._files.shelves.due or self._files.due else 3600.0

    def rebuild(self, say: Callable[[str], None]) -> None:
        """Make the history anew from sound chunks and the journal, which is to be followed from its beginning then.

        Args:
            say: Takes a line for people, as things are done.

        Raises:
            StoreError: the disk fails.
            sqlite3.Error: it is full.
        """
        with self._mended():
            disk.look_through(self._files.current, schema.current_path(self._folder), most_s=math.inf)
        rebuild(self._files, self._folder, say)

    def retain(self, now_ns: int, keep_s: float) -> None:
        """Begin to drop what is older than `keep_s`; `step` goes on with it. Call every few minutes (`age.py`).

        Args:
            now_ns: Wall time [ns since 1970 UTC]; only its steps count.
            keep_s: How long to keep [s].

        Raises:
            StoreError: the disk fails; a full one puts it off.
        """
        keep_s = min(keep_s, FOREVER_S)
        with self._mended(), self._put_off():
            noted = self._files.age.grow(now_ns, keep_s, self._files.shelves.sealed)
            self._files.age.drop(self._files.shelves)
            self._files.log.forget(int(self._files.age.age_ns - keep_s * 1e9) - NOTE_NS)  # not before its samples
            if self._files.age.age_ns - self._files.meta("swept_ns", 0) >= SWEEP_NS:
                self._files.shelves.sweep()
                self._files.set("swept_ns", self._files.age.age_ns)
            if noted:
                self._files.copy()

    def tidy(self) -> None:
        """Drop what is older than the settings keep, and the oldest month where all together are too large."""
        self.retain(self._clock(), self._keep_s)
        with self._mended(), self._put_off():
            self._size_limit.keep(self._files.shelves, self._files.tell)

    def status(self) -> Mapping[str, Any]:
        """Counters: rows stored, latency, current trouble, and per asset received, published, healed, read, sent, lost.

        `received` counts rows handed over, `published` those stored durably, both since the history began;
        `lost` is what the newest tallies state as sent, less what was stored from the blocks they cover. Asked while a
        hand-over waits for space it tells the counts before it.
        """
        trouble = {"trouble": self._trouble or self._files.shelves.trouble, "warnings": self._warnings()}
        if self._in_hand:
            return {**self._last, **trouble}
        totals = self._files.accounts.totals()
        assets = {
            self._files.registry.names[asset]: {"received": self._received.get(asset, 0), **sums}
            for asset, sums in totals.items()
        }
        files = [schema.current_path(self._folder), *schema.month_paths(self._folder)]
        sizes = [path.stat().st_size for path in files if path.exists()]
        rows = sum(sums["published"] for sums in totals.values())
        self._last = {
            "taken": rows,
            "acknowledged": rows,
            "held": 0,
            "aside": 0,
            "rows": rows,
            "blocks": self._blocks,
            "doubles": self._doubles,
            "same_time": self._files.newest.same_time,
            "missing_blocks": self._files.arrivals.missing(),
            "streams": self._files.registry.streams,
            "series": len(self._files.registry),
            "hot_rows": self._files.shelves.hot(),
            "chunks": self._files.shelves.sealed,
            "dropped": self._files.age.dropped,
            "dropped_months": self._size_limit.dropped,
            "age_s": self._files.age.age_ns // 10**9,
            "disk_bytes": sum(sizes),
            "latency_ms": {"p50": self._latency.quantile(0.5), "p99": self._latency.quantile(0.99)},
            **trouble,
            "damaged_rows": self._files.shelves.damaged,
            "changes": [to_json(one) for one in self._changes],
            "known_again": self._files.duplicates.known,
            "assets": assets,
        }
        return self._last

    def close(self) -> None:
        """Close all files; may be called twice."""
        if not self._closed:
            with contextlib.suppress(StoreError, sqlite3.Error):
                self._files.copy()
        self._shut()

    def _remember(self) -> None:
        """What is counted beside the files."""
        self._mark = int(self._files.meta("mark", 0))
        self._received = {asset: sums["published"] for asset, sums in self._files.accounts.totals().items()}
        self._read_changes()

    def _read_changes(self) -> None:
        stored = self._files.current.execute(schema.CHANGES, (SENDER, applied.WHAT, CHANGES_TOLD))
        self._changes = [applied.read(text) for _, text in stored]

    def _shut(self) -> None:
        self._closed = True
        self._files.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _note(self, block: OpenedBlock, source: StreamSeries, writes: Writes) -> None:
        """Store a block that holds no samples; one that comes again may be there already."""
        rank = (source.boot, block.number)
        body = block.body
        if isinstance(body, Page):
            self._files.registry.page(source, body, block.number, writes)
        elif isinstance(body, StateBody):
            asset = self._files.registry.asset(block.stream, body.asset, writes)
            if self._files.begun_again:
                writes.add("DELETE FROM state WHERE asset = ? AND boot = ? AND number = ?", [(asset, *rank)])
            writes.add(_STATE, [(asset, *rank, body.time_ns, body.what, body.text, block.received_ns)])
            if body.what in ("up", "down"):
                writes.add(_CONDITION, [(asset, *rank, body.what, body.text, body.time_ns)])
        elif isinstance(body, EventBody):
            asset = self._files.registry.asset(block.stream, body.asset, writes)
            if self._files.begun_again:
                writes.add("DELETE FROM event WHERE asset = ? AND boot = ? AND number = ?", [(asset, *rank)])
            fields = (body.source, body.time_ns, body.severity, body.code, body.text, body.state, body.sequence)
            writes.add(_EVENT, [(asset, *rank, *fields, block.received_ns)])
        elif isinstance(body, TallyBody):
            assets = {name: self._files.registry.asset(block.stream, name, writes) for name in body.assets}
            self._files.accounts.tally(source.index, body, assets, writes)

    def _store_batches(self, batches: Sequence[_SampleBlock], writes: Writes) -> int:
        """Store the samples, which come in the sender's order; returns how many count as history."""
        if not batches:
            return 0
        sizes = [len(batch.body.columns) for batch in batches]
        columns = concat([batch.body.columns for batch in batches])
        series = np.concatenate(
            [self._files.registry.series(one.source, one.block.stream, one.body.columns.tag, writes) for one in batches]
        )

        def spread(values: list[int]) -> Array:
            return np.repeat(np.array(values, np.int64), sizes)

        rows = from_columns(
            columns,
            series,
            spread([batch.source.index for batch in batches]),
            spread([batch.block.number for batch in batches]),
        )
        boot = spread([batch.source.boot for batch in batches])
        seen_ns = spread([batch.block.received_ns for batch in batches])
        self._files.newest.advance(rows, boot, seen_ns, self._mark, writes)
        kept = np.flatnonzero((columns.flags & Flag.REFRESH) == 0)
        counted = rows if len(kept) == len(rows) else rows.pick(kept)
        self._count(batches, counted, spread(list(range(len(batches))))[kept])
        history = disk.when_room(lambda: self._files.duplicates.fresh(counted), waiting=self._waiting, wait=self._wait)
        self._files.shelves.add(history, writes)
        return len(history)

    def _count(self, batches: Sequence[_SampleBlock], rows: Rows, batch_of: Array) -> None:
        assets = self._files.registry.asset_of[rows.series].astype(np.int64)
        keys, counts = np.unique(batch_of << 32 | assets, return_counts=True)
        for key, count in zip(keys.tolist(), counts.tolist(), strict=True):
            batch = batches[key >> 32]
            if batch.novelty is Novelty.AGAIN:
                continue  # its counts were kept
            asset, block = key & 0xFFFFFFFF, batch.block
            minute_ns = batch.body.first_ns // MINUTE_NS * MINUTE_NS
            self._files.accounts.stored(
                batch.source.index, block.number, asset, count, minute_ns=minute_ns, healed=block.healed
            )
            self._received[asset] = self._received.get(asset, 0) + count

    @contextmanager
    def _mended(self) -> Iterator[None]:
        """Where the files turn out to be damaged, begin again from what is sure; a failing disk ends it."""
        try:
            with disk.sorted_errors(schema.current_path(self._folder)):
                yield
        except DamageError as error:
            self._closed = True
            self._files.mend(error, self._wait)
            self._remember()
            self._closed = False
        except StoreError:
            self._closed = True
            raise

    @contextmanager
    def _put_off(self) -> Iterator[None]:
        """For upkeep: a full disk puts it off."""
        try:
            yield
        except sqlite3.Error as error:
            if not disk.is_full(error):
                raise
            self._trouble = f"{error}: waiting for space"
        else:
            self._trouble = ""

    def _warnings(self) -> list[str]:
        trouble = self._trouble or self._files.shelves.trouble
        newest = self._changes[0] if self._changes else None
        by_hand = newest is not None and newest.kind == applied.FOUND and newest.over > 0
        told = [f"the sender's configuration was {newest.told()}"] if newest is not None and by_hand else []
        told += [self._size_limit.trouble] if self._size_limit.trouble else []
        return [*([f"the history's disk: {trouble}"] if trouble else []), *told, *self._files.warnings()]

    def _waiting(self, why: str) -> None:
        self._trouble = why
