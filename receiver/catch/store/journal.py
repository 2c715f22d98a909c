"""What catch writes to the disk, with time handed in: the journal, and beside it what must outlive it.

    journal     a group of records is synced when 20 ms or 1 MiB have come together, at once after a quiet time
    ledger      at each new segment, every minute and before anything is dropped (ledger.py)
    floor.json  when it changed, at most once a second (floors.py)
    doorbells   rung after each group, so that the outputs' processes need not look

Retention unlinks whole segments, oldest first, when they are older than `journal` in running time summed over starts
(a wall clock that jumps deletes nothing) or the journal is larger than `max_gb`. A full disk is waited out: what was
taken stays in memory and is tried again, and nothing older is dropped to make room for it.

What was found damaged at the start or later (damage_reports.py) is in `warnings`, in words, and the block numbers that
are gone by it are in `damaged`, for the receiving thread: it counts them as missing from then on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from protocol.errors import StoreError
from protocol.limits import GROUP_SYNC_BYTES, GROUP_SYNC_S, SEGMENT_BYTES
from protocol.process.doorbell import Doorbells
from protocol.process.full_disk import attempt
from protocol.store.index import Segment
from protocol.store.record import Record
from protocol.store.segment_store import Store, StoreFull
from receiver.catch.store import floors as floors_file
from receiver.catch.store.damage_reports import DamageReports, damage_line
from receiver.catch.store.floors import Floors
from receiver.catch.store.ledger import Ledger

SAVE_PERIOD = 60.0
"""The ledger is written this often at least [s]: a start walks no more than this of the journal."""
TIDY_PERIOD = 1.0
"""Retention and floors are looked at this often [s]."""
FULL_PERIOD = 0.5
"""A full disk is tried again after this [s]."""

WARNINGS_MOST = 64
"""Most lines about what was found damaged; beyond it the oldest go."""


class Journal:
    """The writing thread's files; one at a time."""

    def __init__(
        self,
        state: Path,
        *,
        keep_s: float,
        most_bytes: float,
        now: float,
        segment_bytes: int = SEGMENT_BYTES,
        wall_ns: int = 0,
    ) -> None:
        """
        Args:
            state: The state folder; made if missing.
            keep_s: Longest time a block is kept, in running time [s].
            most_bytes: Largest size of the journal [bytes].
            now: Monotonic time [s].
            segment_bytes: Size at which a segment is closed [bytes].
            wall_ns: Wall time, for names of files that are set aside [ns since 1970 UTC].

        Raises:
            HeldError: another catch has the journal.
            StoreError: the disk fails.
        """
        self.state = state
        self.warnings: deque[str] = deque(maxlen=WARNINGS_MOST)
        """What was found damaged, a line each, for people."""
        self.damaged: deque[tuple[bytes, int, int]] = deque()
        """Stream, first, one past the last of what can no longer be read; the receiving thread takes it."""
        try:
            state.mkdir(parents=True, exist_ok=True)
            self.store = Store(state / "journal", segment_bytes=segment_bytes)
            self.ledger = Ledger(state / "accepted", self.store, self.warnings.append, wall_ns=wall_ns)
        except OSError as error:
            raise StoreError(f"{state}: {error}") from error
        self.warnings.extend(damage_line(self.ledger.damaged))
        self._written_floors = floors_file.load(state, self.warnings.append, wall_ns=wall_ns)
        lowered = max(self._written_floors.lowered, self.ledger.lowered)
        self.floors = replace(self._written_floors, lowered=lowered)
        """As they shall stand in the file."""
        self.full = False
        """The disk was full at the last attempt."""
        self._keep_s, self._most = keep_s, most_bytes
        self._started, self._ran_before = now, self.ledger.running_s
        number, born_s = self.ledger.segment
        self.store.current.born_s = born_s if number == self.store.current.number else self._ran_before
        self._group: list[Record] = []
        self._since = self._synced_at = now - GROUP_SYNC_S
        self._segment = self.store.current.number
        self._save_at = now + SAVE_PERIOD
        self._tidy_at = now + TIDY_PERIOD
        self._retry_at = now
        self._reports = DamageReports(state, self.store, self.warnings.append)
        self._bells = Doorbells(state)
        self._bells.look()

    def running(self, now: float) -> float:
        """Running time of the journal, summed over starts [s]."""
        return self._ran_before + now - self._started

    def append(self, record: Record, now: float) -> None:
        """Take a record; `tick` syncs it in time."""
        if not self._group:
            self._since = now
        self._group.append(record)
        self.store.append(record)

    def deadline(self) -> float:
        """When to call `tick` next [s, monotonic]."""
        if self.full:
            return min(self._retry_at, self._tidy_at)
        if not self._group:
            return self._tidy_at
        if self.store.waiting_bytes >= GROUP_SYNC_BYTES:
            return self._since
        return max(self._since, self._synced_at + GROUP_SYNC_S)

    def tick(self, now: float) -> None:
        """Do what is due.

        Raises:
            StoreError: the disk fails.
        """
        if self._group and now >= (self._retry_at if self.full else self.deadline()):
            self.sync(now)
        if now >= self._tidy_at:
            self._tidy_at = now + TIDY_PERIOD
            self._bells.look()
            self.store.republish()
            self._look()
            self._retain(now)
            if now >= self._save_at:
                self.save(now)
            else:
                self._write_floors()

    def sync(self, now: float) -> bool:
        """Sync what was taken; False where the disk is full, and it is kept for another try.

        Raises:
            StoreError: the disk fails.
        """
        try:
            self.store.sync(self.running(now))
        except StoreFull:
            self.full, self._retry_at = True, now + FULL_PERIOD
            return False
        self.full = False
        for record in self._group:
            self.ledger.note(record)
        self._group.clear()
        self._synced_at = now
        self._bells.ring()
        if self.store.current.number != self._segment:
            self._segment = self.store.current.number
            self.save(now)
        return True

    def save(self, now: float) -> bool:
        """Write the ledger and the floors; False where the disk is full.

        Raises:
            StoreError: the disk fails.
        """
        self._save_at = now + SAVE_PERIOD
        segment = (self.store.current.number, self.store.current.born_s)
        place, running = self.store.place, self.running(now)
        self.store.note_index()
        saved = attempt(self.state, lambda: self.ledger.save(place, running, segment, self.floors.lowered))
        self._write_floors()
        return saved

    def close(self) -> None:
        """Let go of the files; `sync` and `save` first."""
        self.store.close()
        self._bells.close()

    def _write_floors(self) -> None:
        if self.floors != self._written_floors:
            floors: Floors = self.floors
            if attempt(self.state, lambda: floors_file.save(self.state, floors)):
                self._written_floors = floors

    def _look(self) -> None:
        """Take what outputs found damaged, as far as it is so and was held."""
        for stream, ranges in self.ledger.damage(self._reports.look()).items():
            self.damaged.extend((stream, first, after) for first, after in ranges)

    def _retain(self, now: float) -> None:
        segments = self.store.segments
        while len(segments) > 1 and (
            self.running(now) - _closed_s(segments) > self._keep_s or self.store.size > self._most
        ):
            self.ledger.drop(segments[0])
            if not self.save(now):
                return
            attempt(self.state, self.store.drop_oldest)


def _closed_s(segments: Sequence[Segment]) -> float:
    """When the oldest was closed: when the next was born [s]. Where that index was lost, the first birth after it."""
    return next((segment.born_s for segment in segments[1:] if segment.born_s > 0), segments[-1].born_s)
