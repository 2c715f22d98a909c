"""The writing side of the history: every hand-over is one durable transaction, the place in it.

Everything is worked out in memory first and gathered as statements (`hand_over.py`); then one transaction stores it. A
full disk is waited out with the same statements; nothing is handed over meanwhile, so nothing is lost and the journal
waits. After each hand-over some hot rows are sealed, about twice as many as came, so that no hand-over waits long.
"""

from __future__ import annotations

import contextlib
import math
import os
import sqlite3
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from protocol.content import applied
from protocol.errors import StoreError
from protocol.process.document import to_json
from receiver.outputs import disk
from receiver.outputs.base import OpenedBlock, Output, StateBody
from receiver.outputs.disk import DamageError, Result
from receiver.outputs.historian import schema
from receiver.outputs.historian.age import NOTE_NS
from receiver.outputs.historian.files import META, WriterFiles
from receiver.outputs.historian.hand_over import HandOver
from receiver.outputs.historian.latency import Latency
from receiver.outputs.historian.mending.rebuild import rebuild
from receiver.outputs.historian.series import SENDER
from receiver.outputs.historian.whole.size_limit import SizeLimit
from receiver.outputs.scope import Scope
from receiver.outputs.settings import OutputTable

SWEEP_NS = 24 * 3600 * 10**9
"""Age of the history between two times that everything hot is sealed [ns]: well below what the journal keeps."""

FOREVER_S = 1e9
"""Longest that anything is kept [s]: 31 years of running."""

CHANGES_TOLD = 5
"""Newest changes of the sender's configuration in the status; the pages have all of them."""

CUT_S = 5.0
"""Between two looks at the size of the log [s]."""


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
        # 1: in memory: what is new becomes rows and statements
        self._mark += 1
        hand_over = HandOver(self._files, self._mark, self._patiently)
        hand_over.take(blocks)
        # 2: all that memory has changed is gathered as statements, the place last
        writes = hand_over.finish()
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
        self._doubles += hand_over.doubles
        self._received.update(hand_over.received)
        now_ns = self._clock()
        for first_ns in hand_over.begun_ns:
            self._latency.add((now_ns - first_ns) / 1e6)
        self._took = True
        if any(isinstance(one.body, StateBody) and one.body.what == applied.WHAT for one in blocks):
            self._read_changes()
        # 5: some hot rows are sealed, in transactions of their own
        with self._put_off():
            self._files.shelves.tidy(2 * hand_over.rows, self._files.registry.rank, self._files.registry.unsigned)

    def step(self, now: float) -> float:
        """Seal and drop what is due, a bounded part at a time."""
        more = False
        with self._mended(), self._put_off():
            if not self._took:
                self._files.shelves.tidy(0, self._files.registry.rank, self._files.registry.unsigned)
            if self._files.age.more:
                self._files.age.drop(self._files.shelves)
            self._files.look_back()
            more = self._files.give_back()
            if now >= self._cut_at:
                self._cut_at = now + CUT_S
                self._files.cut_log()
        self._took = False
        if self._files.shelves.trouble or self._trouble:
            return disk.FULL_WAIT_S
        return 0.0 if more or self._files.age.more or self._files.shelves.due or self._files.due else 3600.0

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
            self._files.registry.names[asset]: {"received": self._received[asset], **sums}
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
        totals = self._files.accounts.totals()
        self._received = Counter({asset: sums["published"] for asset, sums in totals.items()})
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

    def _patiently(self, work: Callable[[], Result]) -> Result:
        return disk.when_room(work, waiting=self._waiting, wait=self._wait)

    def _waiting(self, why: str) -> None:
        self._trouble = why
