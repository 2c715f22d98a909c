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

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from protocol.array import Array
from protocol.catalog import Page
from protocol.errors import StoreError
from protocol.sample import Flag, concat
from receiver.outputs import disk
from receiver.outputs.base import Batch, Event, Opened, Output, State, Tally
from receiver.outputs.disk import Connection, Writes
from receiver.outputs.historian import schema
from receiver.outputs.historian.accounts import MINUTE_NS, Accounts
from receiver.outputs.historian.latency import Latency
from receiver.outputs.historian.newest import Newest
from receiver.outputs.historian.retain import Age
from receiver.outputs.historian.rows import Rows, from_columns
from receiver.outputs.historian.seal import Shelves
from receiver.outputs.historian.seen import Seen
from receiver.outputs.historian.series import Registry, Source

_META = "REPLACE INTO meta VALUES (?, ?)"
_STATE = """INSERT INTO state (asset, boot, number, time_ns, what, text, received_ns)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""
_EVENT = """INSERT INTO event
    (asset, boot, number, source, time_ns, severity, code, text, state, sequence, received_ns)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_CONDITION = """INSERT INTO condition VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (asset) DO UPDATE SET
    boot = excluded.boot, number = excluded.number, what = excluded.what, text = excluded.text,
    time_ns = excluded.time_ns WHERE (excluded.boot, excluded.number) > (condition.boot, condition.number)"""


class HistorianOutput(Output):
    """The embedded historian of one receiver."""

    def __init__(
        self,
        folder: Path,
        *,
        clock: Callable[[], int] = time.time_ns,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """Open the history in this folder, or begin one.

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
        self._lock = disk.lock(folder / "lock")
        try:
            self._current = self._opened()
            self._registry = Registry(self._current)
            self._newest = Newest(self._current)
            self._accounts = Accounts(self._current)
            self._shelves = Shelves(folder, self._current, clock=clock)
            self._age = Age(self._current)
            self._seen = Seen(self._current)
            self._mark = self._meta("mark", 0)
        except sqlite3.Error as error:
            os.close(self._lock)
            raise StoreError(f"{folder}: the history cannot be read: {error}") from error
        except BaseException:
            os.close(self._lock)
            raise
        self._latency = Latency()
        self._received = {asset: sums["published"] for asset, sums in self._accounts.totals().items()}
        self._doubles = 0
        self._blocks = 0
        self._took = False
        """A hand-over came since the last `step`, and sealed its share."""
        self._closed = False

    def place(self) -> bytes | None:
        """The place stored last, None for a new history."""
        held: bytes | None = self._meta("place", None)
        return held

    def take(self, blocks: Sequence[Opened], place: bytes) -> None:
        """Store the blocks and `place` in one transaction; waits while the disk is full.

        Raises:
            StoreError: the disk fails.
        """
        if self._closed:
            raise StoreError("the history is closed, or gave up waiting for space; open it again")
        self._mark += 1
        writes = Writes()
        batches: list[tuple[Opened, Batch, Source]] = []
        for block in sorted(blocks, key=lambda one: (one.stream.boot, one.stream.key, one.number)):
            source = self._registry.source(block.stream, writes)
            if not self._seen.add(source.index, block, writes):
                self._doubles += 1
                continue
            if isinstance(block.body, Batch):
                batches.append((block, block.body, source))
            else:
                self._note(block, source, writes)
        rows = self._store_batches(batches, writes)
        self._accounts.finish(writes)
        self._seen.finish(writes)
        writes.add(_META, [("mark", self._mark), ("place", place)])
        if self._registry.changed:
            writes.add(_META, [("catalog", self._mark)])
            self._registry.changed = False
        try:
            disk.commit(self._current, writes, waiting=self._waiting, wait=self._wait)
        except BaseException:
            self._closed = True  # memory is ahead of the disk now; the place is not
            raise
        self._blocks += len(blocks)
        now_ns = self._clock()
        for block, batch, _ in batches:
            if not block.healed:
                self._latency.add((now_ns - batch.first_ns) / 1e6)
        self._took = True
        with self._sorted_errors():
            self._shelves.tidy(2 * rows, self._registry.rank, self._registry.unsigned)

    def step(self, now: float) -> float:
        """Seal and drop what is due, a bounded part at a time."""
        with self._sorted_errors():
            if not self._took:
                self._shelves.tidy(0, self._registry.rank, self._registry.unsigned)
            if self._age.more:
                self._age.drop(self._shelves)
        self._took = False
        if self._shelves.trouble:
            return disk.FULL_WAIT_S
        return 0.0 if self._age.more or self._shelves.due else 3600.0

    def retain(self, now_ns: int, keep_s: float) -> None:
        """Begin to drop what is older than `keep_s`; `step` goes on with it. Call every few minutes (`retain.py`).

        Args:
            now_ns: Wall time [ns since 1970 UTC]; only its steps count.
            keep_s: How long to keep [s].

        Raises:
            StoreError: the disk fails; a full one puts it off.
        """
        with self._sorted_errors():
            self._age.grow(now_ns, keep_s, self._shelves.sealed)
            self._age.drop(self._shelves)

    def status(self) -> Mapping[str, Any]:
        """Counters: rows stored, latency, current trouble, and per asset received, published, healed, read, sent, lost.

        `received` counts rows handed over, `published` those stored durably, both since the history began;
        `lost` is what the newest tallies state as sent, less what was stored from the blocks they cover.
        """
        totals = self._accounts.totals()
        assets = {
            self._registry.names[asset]: {"received": self._received.get(asset, 0), **sums}
            for asset, sums in totals.items()
        }
        files = [schema.current_path(self._folder), *schema.month_paths(self._folder)]
        return {
            "rows": sum(sums["published"] for sums in totals.values()),
            "blocks": self._blocks,
            "doubles": self._doubles,
            "same_time": self._newest.same_time,
            "missing_blocks": self._seen.missing(),
            "streams": self._registry.streams,
            "series": len(self._registry),
            "hot_rows": self._shelves.hot(),
            "chunks": self._shelves.sealed,
            "dropped": self._age.dropped,
            "age_s": self._age.age_ns // 10**9,
            "disk_bytes": sum(path.stat().st_size for path in files if path.exists()),
            "latency_ms": {"p50": self._latency.quantile(0.5), "p99": self._latency.quantile(0.99)},
            "trouble": self._trouble or self._shelves.trouble,
            "assets": assets,
        }

    def close(self) -> None:
        """Close all files; may be called twice."""
        self._closed = True
        self._shelves.close()
        self._current.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _opened(self) -> Connection:
        while True:
            try:
                current = disk.open_writer(schema.current_path(self._folder), schema.CURRENT)
                current.execute("INSERT OR IGNORE INTO meta VALUES ('version', ?)", (schema.VERSION,))
                break
            except sqlite3.Error as error:
                if not disk.is_full(error):
                    raise
                self._waiting(f"{error}: waiting for space")
                self._wait(disk.FULL_WAIT_S)
        self._waiting("")
        version = current.execute("SELECT value FROM meta WHERE key = 'version'").fetchone()[0]
        if version != schema.VERSION:
            raise StoreError(f"{self._folder}: written by version {version}, this build reads {schema.VERSION}")
        return current

    def _note(self, block: Opened, source: Source, writes: Writes) -> None:
        """Store a block that holds no samples."""
        rank = (source.boot, block.number)
        body = block.body
        if isinstance(body, Page):
            self._registry.page(source, body, block.number, writes)
        elif isinstance(body, State):
            asset = self._registry.asset(block.stream, body.asset, writes)
            writes.add(_STATE, [(asset, *rank, body.time_ns, body.what, body.text, block.received_ns)])
            if body.what in ("up", "down"):
                writes.add(_CONDITION, [(asset, *rank, body.what, body.text, body.time_ns)])
        elif isinstance(body, Event):
            asset = self._registry.asset(block.stream, body.asset, writes)
            told = (body.source, body.time_ns, body.severity, body.code, body.text, body.state, body.sequence)
            writes.add(_EVENT, [(asset, *rank, *told, block.received_ns)])
        elif isinstance(body, Tally):
            assets = {name: self._registry.asset(block.stream, name, writes) for name in body.assets}
            self._accounts.tally(source.index, body, assets, writes)

    def _store_batches(self, batches: Sequence[tuple[Opened, Batch, Source]], writes: Writes) -> int:
        """Store the samples, which come in the sender's order; returns how many count as history."""
        if not batches:
            return 0
        sizes = [len(batch.columns) for _, batch, _ in batches]
        columns = concat([batch.columns for _, batch, _ in batches])
        series = np.concatenate(
            [self._registry.series(source, block.stream, batch.columns.tag, writes) for block, batch, source in batches]
        )

        def spread(values: list[int]) -> Array:
            return np.repeat(np.array(values, np.int64), sizes)

        rows = from_columns(
            columns,
            series,
            spread([source.index for _, _, source in batches]),
            spread([block.number for block, _, _ in batches]),
        )
        boot, seen_ns = (
            spread([source.boot for _, _, source in batches]),
            spread([b.received_ns for b, _, _ in batches]),
        )
        self._newest.take(rows, boot, seen_ns, self._mark, writes)
        kept = np.flatnonzero((columns.flags & Flag.REFRESH) == 0)
        history = rows if len(kept) == len(rows) else rows.pick(kept)
        self._count(batches, history, spread(list(range(len(batches))))[kept])
        self._shelves.add(history, writes)
        return len(history)

    def _count(self, batches: Sequence[tuple[Opened, Batch, Source]], rows: Rows, batch: Array) -> None:
        assets = self._registry.asset_of[rows.series].astype(np.int64)
        keys, counts = np.unique(batch << 32 | assets, return_counts=True)
        for key, count in zip(keys.tolist(), counts.tolist(), strict=True):
            block, body, source = batches[key >> 32]
            asset = key & 0xFFFFFFFF
            minute_ns = body.first_ns // MINUTE_NS * MINUTE_NS
            self._accounts.stored(source.index, block.number, asset, count, minute_ns=minute_ns, healed=block.healed)
            self._received[asset] = self._received.get(asset, 0) + count

    @contextmanager
    def _sorted_errors(self) -> Iterator[None]:
        """For upkeep: a full disk puts it off, a failing one ends it."""
        try:
            yield
        except sqlite3.Error as error:
            if not disk.is_full(error):
                self._closed = True
                raise StoreError(f"the history cannot be written: {error}") from error

    def _meta(self, key: str, default: Any) -> Any:
        held = self._current.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return held[0] if held else default

    def _waiting(self, why: str) -> None:
        self._trouble = why
