"""In which order blocks came, and when: what an export goes on from, so that data that heal late are missed by nobody.

    arrival    a row a run of blocks that came one after another: numbered on, of one stream, all healed or none
    sequence   every block that came has one, from 0, up by one; a run's `id` is that of its first block

A cursor is the log's name, a sequence number, and a mark of the block before it: what came since is every block
numbered from there on, whatever the time in its samples. The name is drawn when the log begins: a history that was made
anew has another one. A copy that was put back goes on under the old name, and has another block before that number. So
a cursor that would miss something is refused rather than understood wrong.

A run says also which chunk was the newest real one when it came: its samples are hot, or in chunks numbered above it.
What came before the log was begun is in no run: its samples have no arrival time.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import zstandard

from protocol.content.array import Array
from protocol.errors import StoreError
from receiver.outputs.base import OpenedBlock
from receiver.outputs.disk import Connection, Writes

RUN_BLOCKS = 1024
"""Most blocks of a run: an hour of a quiet plant, some seconds of a busy one."""
RUN_MS = 60_000
"""Longest time from the first of a run to its last [ms]: so that a reader of an hour unpacks little more."""
FORGET_RUNS = 4096
"""Most runs deleted in one step."""
MS_NS = 10**6

_RUN = "REPLACE INTO arrival VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"


@dataclass(slots=True)
class _OpenRun:
    """The newest run, which may still grow."""

    id: int
    stream: int
    first: int
    healed: bool
    sealed: int
    age_ns: int
    at_ms: list[int]
    """When each block came [ms since 1970 UTC]."""

    def takes(self, stream: int, block: OpenedBlock, at_ms: int) -> bool:
        """Whether the block goes on where this ends."""
        return (
            (stream, block.number, block.healed) == (self.stream, self.first + len(self.at_ms), self.healed)
            and len(self.at_ms) < RUN_BLOCKS
            and at_ms >= self.at_ms[-1]
            and at_ms - self.at_ms[0] <= RUN_MS
        )


class ArrivalLog:
    """The log, for the history's one writer."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        named = connection.execute("SELECT name FROM arrival_log").fetchone()
        self._name = None if named is None else str(named[0])
        row = connection.execute("SELECT id, last - first + 1 FROM arrival ORDER BY id DESC LIMIT 1").fetchone()
        kept = connection.execute("SELECT next FROM arrival_log").fetchone()
        self._next = max(0 if row is None else row[0] + row[1], 0 if kept is None else kept[0])
        self._run: _OpenRun | None = None
        self._changed: dict[int, _OpenRun] = {}

    def add(self, stream: int, block: OpenedBlock, *, sealed: int, age_ns: int, again: bool) -> None:
        """A block came.

        Args:
            stream: This history's number for the block's stream.
            sealed: Number of the newest chunk that is real.
            age_ns: Running time of the history [ns].
            again: It has come before, and the journal was begun again since: it may stand here, or in any chunk.
        """
        if again and self._has(stream, block.number):
            return
        at_ms = block.received_ns // MS_NS
        sealed = 0 if again else sealed
        if self._run is None or not self._run.takes(stream, block, at_ms) or sealed < self._run.sealed:
            self._run = _OpenRun(self._next, stream, block.number, block.healed, sealed, age_ns, [])
        self._run.at_ms.append(at_ms)
        self._changed[self._run.id] = self._run
        self._next += 1

    def finish(self, writes: Writes) -> None:
        """Write down what changed in this hand-over; call once at its end."""
        if not self._changed:
            return
        if self._name is None:
            self._name = os.urandom(4).hex()
            writes.add("INSERT INTO arrival_log VALUES (?, 0)", [(self._name,)])
        writes.add(_RUN, [_row(run) for run in self._changed.values()])
        self._changed.clear()

    def forget(self, age_ns: int) -> int:
        """Drop runs that came up to this age of the history, a bounded step; returns how many went."""
        old = self._connection.execute(
            "SELECT id, age_ns FROM arrival ORDER BY id LIMIT ?", (FORGET_RUNS + 1,)
        ).fetchall()
        gone = [(one,) for one, age in old[:-1] if age <= age_ns]  # the newest stays: it may grow
        if gone:
            writes = Writes()
            writes.add("DELETE FROM arrival WHERE id = ?", gone)
            writes.add("UPDATE arrival_log SET next = ?", [(self._next,)])
            writes.run(self._connection)
        return len(gone)

    def _has(self, stream: int, number: int) -> bool:
        if any(run.stream == stream and 0 <= number - run.first < len(run.at_ms) for run in self._changed.values()):
            return True
        row = self._connection.execute(
            "SELECT last FROM arrival WHERE stream = ? AND first <= ? ORDER BY first DESC LIMIT 1", (stream, number)
        ).fetchone()
        return row is not None and number <= row[0]


@dataclass(frozen=True, slots=True)
class SampleArrivals:
    """When and how the blocks of some samples came; every array has their length."""

    sequence: Array
    """int64; -1 for what came before the log: `at_ms` and `healed` say nothing then."""
    at_ms: Array
    """By the low side's clock [ms since 1970 UTC], int64; 0 where retention took it meanwhile."""
    healed: Array
    """The block was completed after having been missing."""

    def pick(self, index: Array) -> SampleArrivals:
        """Of the samples with these numbers, or of this mask."""
        return SampleArrivals(self.sequence[index], self.at_ms[index], self.healed[index])


class ArrivalTable:
    """The log as of one moment, for readers: looks up blocks by stream and number."""

    KEPT_BYTES = 96 * 1024 * 1024
    """Most that is kept of unpacked runs [bytes]: a month of one sender."""

    def __init__(self, connection: Connection) -> None:
        """
        Args:
            connection: `current.db`; only while this is made it must be in the moment's transaction.
        """
        self.name, self.until = "", 0
        """The log's name, empty where there is none; one past the newest block's sequence number."""
        self._connection = connection
        self._runs: dict[int, tuple[Array, Array, Array, Array]] = {}
        self._kept: dict[int, Array] = {}
        self._kept_bytes = 0
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'arrival_log'").fetchone():
            return
        named = connection.execute("SELECT name, next FROM arrival_log").fetchone()
        if named is None:
            return
        self.name, self.until = str(named[0]), int(named[1])
        rows = connection.execute("SELECT stream, first, last, id, healed FROM arrival ORDER BY stream, first")
        table = np.array(rows.fetchall() or np.zeros((0, 5)), np.int64)
        for stream in np.unique(table[:, 0]).tolist():
            part = table[table[:, 0] == stream]
            self._runs[stream] = (part[:, 1], part[:, 2], part[:, 3], part[:, 4] != 0)
        if len(table):
            self.until = max(self.until, int((table[:, 3] + table[:, 2] - table[:, 1]).max()) + 1)

    def since(self, at_ns: int) -> int:
        """The sequence number of the first block that came at this time or later [ns since 1970 UTC].

        Where the clock was set back in between, blocks with an earlier time may follow it.
        """
        rows = self._connection.execute(
            "SELECT id, at_ms, body FROM arrival WHERE at_ms + ? >= ? ORDER BY id", (RUN_MS, -(-at_ns // MS_NS))
        )
        for one, at_ms, body in rows:
            late = np.flatnonzero(at_ms + _unpacked(body) >= -(-at_ns // MS_NS))
            if len(late):
                return min(int(one + late[0]), self.until)
        return self.until

    def mark(self, sequence: int, keys: Mapping[int, bytes]) -> int | None:
        """What tells the block numbered before this from any other that may have had its number: 32 bits.

        A history that was put back from a copy numbers on from there, and what came since has other numbers.

        Args:
            keys: Key of each stream, by this history's number for it.

        Returns:
            0 where there is none before it, None where retention took it.
        """
        if sequence == 0:
            return 0
        row = self._connection.execute(
            "SELECT stream, first + ? - id FROM arrival WHERE id <= ? AND id + last - first >= ?", (sequence - 1,) * 3
        ).fetchone()
        return None if row is None else zlib.crc32(keys.get(row[0], b"") + row[1].to_bytes(8, "big"))

    def sealed(self, sequence: int) -> int:
        """Samples of blocks numbered from here on are hot, or in chunks numbered above this."""
        row = self._connection.execute(
            "SELECT min(sealed) FROM arrival WHERE id + last - first >= ?", (sequence,)
        ).fetchone()
        return 0 if row is None or row[0] is None else int(row[0])

    def first(self) -> int:
        """The sequence number of the oldest block that is still in the log."""
        return min((int(ids.min()) for _, _, ids, _ in self._runs.values() if len(ids)), default=self.until)

    def look_up(self, stream: Array, number: Array) -> SampleArrivals:
        """When the blocks came that these samples are of.

        Args:
            stream: This history's numbers for streams.
            number: Numbers of blocks.
        """
        sequence = np.full(len(stream), -1, np.int64)
        at_ms = np.zeros(len(stream), np.int64)
        healed = np.zeros(len(stream), bool)
        for one in np.unique(stream).tolist():
            runs = self._runs.get(one)
            if runs is None or not len(runs[0]):
                continue
            first, last, ids, was_healed = runs
            rows = np.flatnonzero(stream == one)
            wanted = number[rows]
            run = np.searchsorted(first, wanted, side="right") - 1
            inside = (run >= 0) & (wanted <= last[run])
            rows, run, wanted = rows[inside], run[inside], wanted[inside]
            sequence[rows] = ids[run] + wanted - first[run]
            healed[rows] = was_healed[run]
            for each in np.unique(run).tolist():
                of_run = run == each
                times = self._times(int(ids[each]), int(last[each] - first[each]) + 1)
                at_ms[rows[of_run]] = times[wanted[of_run] - first[each]]
        return SampleArrivals(sequence, at_ms, healed)

    def _times(self, run: int, count: int) -> Array:
        """When each block of a run came [ms]."""
        kept = self._kept.get(run)
        if kept is None or len(kept) < count:
            row = self._connection.execute("SELECT at_ms, body FROM arrival WHERE id = ?", (run,)).fetchone()
            kept = np.zeros(count, np.int64) if row is None else row[0] + _unpacked(row[1])
            if len(kept) < count:
                raise StoreError("the log of arrivals is not what was written")
            self._kept[run] = kept
            self._kept_bytes += kept.nbytes
            while self._kept_bytes > self.KEPT_BYTES:
                self._kept_bytes -= self._kept.pop(next(iter(self._kept))).nbytes
        return kept


def _row(run: _OpenRun) -> tuple[int, int, int, int, int, int, int, int, bytes]:
    times = np.array(run.at_ms, np.int64)
    steps = np.diff(times, prepend=times[0]).astype("<u2")  # at most RUN_MS
    last = run.first + len(run.at_ms) - 1
    body = zstandard.ZstdCompressor(level=1, write_checksum=True).compress(steps.tobytes())
    return run.id, run.stream, run.first, last, int(run.healed), run.sealed, run.age_ns, run.at_ms[0], body


def _unpacked(body: bytes) -> Array:
    try:
        raw = zstandard.ZstdDecompressor().decompress(body)
        times: Array = np.cumsum(np.frombuffer(raw, "<u2"), dtype=np.int64)
    except (zstandard.ZstdError, ValueError) as error:
        raise StoreError(f"the log of arrivals cannot be read: {error}") from error
    return times
