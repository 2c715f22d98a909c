"""The writing side of the history: every hand-over is one durable transaction, the place in it.

    blocks -> order -> series numbers -> rows ---> hot rows (seal.py)
                                         |---------> current values (newest.py)
                                         '---------> counts (accounts.py), numbers seen (seen.py)
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
from typing import Any, NamedTuple

import numpy as np

from protocol.content.array import Array
from protocol.content.catalog import Page
from protocol.content.sample import Flag, concat
from protocol.errors import StoreError
from receiver.outputs import disk
from receiver.outputs.base import Batch, Event, Opened, Output, State, Tally
from receiver.outputs.disk import DamageError, Writes
from receiver.outputs.historian import schema
from receiver.outputs.historian.accounts import MINUTE_NS
from receiver.outputs.historian.held import META, Held
from receiver.outputs.historian.latency import Latency
from receiver.outputs.historian.mending.rebuild import rebuild
from receiver.outputs.historian.rows import Rows, from_columns
from receiver.outputs.historian.seen import Came
from receiver.outputs.historian.series import Source

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


CUT_S = 5.0
"""Between two looks at the size of the log [s]."""


class _Come(NamedTuple):
    """A block of samples of a hand-over."""

    block: Opened
    body: Batch
    source: Source
    came: Came


class HistorianOutput(Output):
    """The embedded historian of one receiver."""

    def __init__(
        self,
        folder: Path,
        *,
        clock: Callable[[], int] = time.time_ns,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """Open the history in this folder, or begin one; what is damaged is set aside and told (`mending/adopt.py`).

        Args:
            folder: `history/`; made where it is not there.
            clock: Wall time [ns since 1970 UTC]: for the latency, and to name month files.
            wait: Pauses for so many seconds while the disk is full; may write the status, may raise to give up.

        Raises:
            HeldError: another process has it open.
            StoreError: it cannot be read, or was written by another version.
        """
        self._clock, self._wait = clock, wait
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
        self._last: dict[str, Any] = {}
        self._lock = disk.lock(folder / "lock")
        self._held = Held(folder, clock=clock, waiting=self._waiting)
        try:
            self._held.open(wait)
        except BaseException:
            self._shut()
            raise
        self._remember()
        self.status()

    def place(self) -> bytes | None:
        """The place stored last, None for a new history, and for one that began again."""
        held = self._held.meta("place", None)
        if not isinstance(held, bytes) or self._held.meta("place_sum", zlib.crc32(held)) != zlib.crc32(held):
            return None  # blocks that came are known by their numbers
        return held

    def begun_again(self) -> bool:
        """Whether the place went back: the journal is to be read from its beginning."""
        moved, self._held.moved_back = self._held.moved_back, False
        return moved

    def wants(self) -> bool:
        """Not while the history is about to begin again: what is hot is sealed first."""
        return not self._held.due

    def take(self, blocks: Sequence[Opened], place: bytes) -> None:
        """Store the blocks and `place` in one transaction; waits while the disk is full.

        Where the files turn out to be damaged nothing may be stored: then `begun_again` is true.

        Raises:
            StoreError: the disk fails.
        """
        if self._closed:
            raise StoreError("the history is closed, or gave up waiting for space; open it again")
        self._in_hand = True
        with self._mended():
            self._take(blocks, place)
        self._in_hand = False

    def _take(self, blocks: Sequence[Opened], place: bytes) -> None:
        self._mark += 1
        writes = Writes()
        batches: list[_Come] = []
        for block in sorted(blocks, key=lambda one: (one.stream.boot, one.stream.key, one.number)):
            source = self._held.registry.source(block.stream, writes)
            came = self._held.seen.add(source.index, block, writes)
            if came is Came.DOUBLE:
                self._doubles += 1
            elif isinstance(block.body, Batch):
                batches.append(_Come(block, block.body, source, came))
            else:
                self._note(block, source, writes)
        rows = self._store_batches(batches, writes)
        self._held.accounts.finish(writes)
        self._held.seen.finish(writes)
        writes.add(META, [("mark", self._mark), ("place", place), ("place_sum", zlib.crc32(place))])
        if self._held.registry.changed:
            writes.add(META, [("catalog", self._mark)])
            self._held.registry.changed = False
        try:
            disk.commit(self._held.current, writes, waiting=self._waiting, wait=self._wait)
        except BaseException:
            self._closed = True  # memory is ahead of the disk now; the place is not
            raise
        self._blocks += len(blocks)
        now_ns = self._clock()
        for come in batches:
            if not come.block.healed and come.came is Came.NEW:
                self._latency.add((now_ns - come.body.first_ns) / 1e6)
        self._took = True
        with self._put_off():
            self._held.shelves.tidy(2 * rows, self._held.registry.rank, self._held.registry.unsigned)

    def step(self, now: float) -> float:
        """Seal and drop what is due, a bounded part at a time."""
        with self._mended(), self._put_off():
            if not self._took:
                self._held.shelves.tidy(0, self._held.registry.rank, self._held.registry.unsigned)
            if self._held.age.more:
                self._held.age.drop(self._held.shelves)
            self._held.look_back()
            if now >= self._cut_at:
                self._cut_at = now + CUT_S
                self._held.cut_log()
        self._took = False
        if self._held.shelves.trouble or self._trouble:
            return disk.FULL_WAIT_S
        return 0.0 if self._held.age.more or self._held.shelves.due or self._held.due else 3600.0

    def rebuild(self, say: Callable[[str], None]) -> None:
        """Make the history anew from sound chunks and the journal, which is to be followed from its beginning then.

        Args:
            say: Takes a line for people, as things are done.

        Raises:
            StoreError: the disk fails.
            sqlite3.Error: it is full.
        """
        with self._mended():
            disk.look_through(self._held.current, schema.current_path(self._folder), most_s=math.inf)
        rebuild(self._held, self._folder, say)

    def retain(self, now_ns: int, keep_s: float) -> None:
        """Begin to drop what is older than `keep_s`; `step` goes on with it. Call every few minutes (`retain.py`).

        Args:
            now_ns: Wall time [ns since 1970 UTC]; only its steps count.
            keep_s: How long to keep [s].

        Raises:
            StoreError: the disk fails; a full one puts it off.
        """
        with self._mended(), self._put_off():
            noted = self._held.age.grow(now_ns, keep_s, self._held.shelves.sealed)
            self._held.age.drop(self._held.shelves)
            if self._held.age.age_ns - self._held.meta("swept_ns", 0) >= SWEEP_NS:
                self._held.shelves.sweep()
                self._held.set("swept_ns", self._held.age.age_ns)
            if noted:
                self._held.copy()

    def status(self) -> Mapping[str, Any]:
        """Counters: rows stored, latency, current trouble, and per asset received, published, healed, read, sent, lost.

        `received` counts rows handed over, `published` those stored durably, both since the history began;
        `lost` is what the newest tallies state as sent, less what was stored from the blocks they cover. Asked while a
        hand-over waits for space it tells the counts before it.
        """
        trouble = {"trouble": self._trouble or self._held.shelves.trouble, "warnings": self._warnings()}
        if self._in_hand:
            return {**self._last, **trouble}
        totals = self._held.accounts.totals()
        assets = {
            self._held.registry.names[asset]: {"received": self._received.get(asset, 0), **sums}
            for asset, sums in totals.items()
        }
        files = [schema.current_path(self._folder), *schema.month_paths(self._folder)]
        sizes = [path.stat().st_size for path in files if path.exists()]
        self._last = {
            "rows": sum(sums["published"] for sums in totals.values()),
            "blocks": self._blocks,
            "doubles": self._doubles,
            "same_time": self._held.newest.same_time,
            "missing_blocks": self._held.seen.missing(),
            "streams": self._held.registry.streams,
            "series": len(self._held.registry),
            "hot_rows": self._held.shelves.hot(),
            "chunks": self._held.shelves.sealed,
            "dropped": self._held.age.dropped,
            "age_s": self._held.age.age_ns // 10**9,
            "disk_bytes": sum(sizes),
            "latency_ms": {"p50": self._latency.quantile(0.5), "p99": self._latency.quantile(0.99)},
            **trouble,
            "damaged_rows": self._held.shelves.damaged,
            "known_again": self._held.again.known,
            "assets": assets,
        }
        return self._last

    def close(self) -> None:
        """Close all files; may be called twice."""
        if not self._closed:
            with contextlib.suppress(StoreError, sqlite3.Error):
                self._held.copy()
        self._shut()

    def _remember(self) -> None:
        """What is counted beside the files."""
        self._mark = int(self._held.meta("mark", 0))
        self._received = {asset: sums["published"] for asset, sums in self._held.accounts.totals().items()}

    def _shut(self) -> None:
        self._closed = True
        self._held.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _note(self, block: Opened, source: Source, writes: Writes) -> None:
        """Store a block that holds no samples; one that comes again may be there already."""
        rank = (source.boot, block.number)
        body = block.body
        if isinstance(body, Page):
            self._held.registry.page(source, body, block.number, writes)
        elif isinstance(body, State):
            asset = self._held.registry.asset(block.stream, body.asset, writes)
            if self._held.begun_again:
                writes.add("DELETE FROM state WHERE asset = ? AND boot = ? AND number = ?", [(asset, *rank)])
            writes.add(_STATE, [(asset, *rank, body.time_ns, body.what, body.text, block.received_ns)])
            if body.what in ("up", "down"):
                writes.add(_CONDITION, [(asset, *rank, body.what, body.text, body.time_ns)])
        elif isinstance(body, Event):
            asset = self._held.registry.asset(block.stream, body.asset, writes)
            if self._held.begun_again:
                writes.add("DELETE FROM event WHERE asset = ? AND boot = ? AND number = ?", [(asset, *rank)])
            told = (body.source, body.time_ns, body.severity, body.code, body.text, body.state, body.sequence)
            writes.add(_EVENT, [(asset, *rank, *told, block.received_ns)])
        elif isinstance(body, Tally):
            assets = {name: self._held.registry.asset(block.stream, name, writes) for name in body.assets}
            self._held.accounts.tally(source.index, body, assets, writes)

    def _store_batches(self, batches: Sequence[_Come], writes: Writes) -> int:
        """Store the samples, which come in the sender's order; returns how many count as history."""
        if not batches:
            return 0
        sizes = [len(come.body.columns) for come in batches]
        columns = concat([come.body.columns for come in batches])
        series = np.concatenate(
            [self._held.registry.series(one.source, one.block.stream, one.body.columns.tag, writes) for one in batches]
        )

        def spread(values: list[int]) -> Array:
            return np.repeat(np.array(values, np.int64), sizes)

        rows = from_columns(
            columns,
            series,
            spread([come.source.index for come in batches]),
            spread([come.block.number for come in batches]),
        )
        boot = spread([come.source.boot for come in batches])
        seen_ns = spread([come.block.received_ns for come in batches])
        self._held.newest.take(rows, boot, seen_ns, self._mark, writes)
        kept = np.flatnonzero((columns.flags & Flag.REFRESH) == 0)
        told = rows if len(kept) == len(rows) else rows.pick(kept)
        self._count(batches, told, spread(list(range(len(batches))))[kept])
        history = disk.when_room(lambda: self._held.again.fresh(told), waiting=self._waiting, wait=self._wait)
        self._held.shelves.add(history, writes)
        return len(history)

    def _count(self, batches: Sequence[_Come], rows: Rows, batch: Array) -> None:
        assets = self._held.registry.asset_of[rows.series].astype(np.int64)
        keys, counts = np.unique(batch << 32 | assets, return_counts=True)
        for key, count in zip(keys.tolist(), counts.tolist(), strict=True):
            come = batches[key >> 32]
            if come.came is Came.AGAIN:
                continue  # its counts were kept
            asset, block = key & 0xFFFFFFFF, come.block
            minute_ns = come.body.first_ns // MINUTE_NS * MINUTE_NS
            self._held.accounts.stored(
                come.source.index, block.number, asset, count, minute_ns=minute_ns, healed=block.healed
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
            self._held.mend(error, self._wait)
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
        trouble = self._trouble or self._held.shelves.trouble
        return [*([f"the history's disk: {trouble}"] if trouble else []), *self._held.told()]

    def _waiting(self, why: str) -> None:
        self._trouble = why
