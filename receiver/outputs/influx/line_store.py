"""Lines on their way to a server: durable before the journal's place moves, kept until the server has them on disk.

    take -> pending -> sent and acknowledged -> held -> released
               ^                                  |
               |------ the server was restarted --'
               '------ refused (set aside), and a person wants them sent again

Groups of lines stand in one table by rising number. `sent` is the last one acknowledged: above it is pending, up to it
is held. An acknowledgement releases nothing by itself, because a server may lose what it has acknowledged when it is
killed (VictoriaMetrics: all of the last 8 to 12 s, tried); what is held is sent again then, in order. What a server
refuses is set aside with its words, a group of lines a refusal, in a table of its own that has a bound.

Beside the lines stands what makes them (`lines.py`): each series' number, and its newest time, as changes and now and
then as a whole.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zstandard

from protocol.errors import StoreError
from receiver.outputs import disk
from receiver.outputs.aside import SetAside
from receiver.outputs.disk import DamageError, Writes
from receiver.outputs.influx.lines import LineChanges
from receiver.outputs.influx.same_time import NewestTimes

VERSION = 1

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lines (
    id INTEGER PRIMARY KEY, count INTEGER NOT NULL, bytes INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS taken (
    id INTEGER PRIMARY KEY, blocks INTEGER NOT NULL, received_ns INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS aside (
    id INTEGER PRIMARY KEY, time_ns INTEGER NOT NULL, status INTEGER NOT NULL, message TEXT NOT NULL,
    line BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS refused (
    id INTEGER PRIMARY KEY, time_ns INTEGER NOT NULL, status INTEGER NOT NULL, why TEXT NOT NULL,
    message TEXT NOT NULL, count INTEGER NOT NULL, bytes INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS series (id INTEGER PRIMARY KEY, head BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS newest (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
"""
"""`taken`: by a group's number, what it finishes: so many blocks, journaled then. `aside` is of earlier builds."""

GROUP_LINES = 10_000
"""Most lines of a group: what a server takes fastest in one request (tried: 5,000 to 50,000)."""
GROUP_BYTES = 4 * 1024 * 1024
"""Most bytes of a group and of a request; InfluxDB's own limit is 25 MB and more."""
ASIDE_BYTES = 64 * 1024 * 1024
"""Most that is set aside, compressed [bytes]: some ten million lines."""
CHANGES = 256
"""Changes of the newest times that are kept one by one."""

NEWLINE = 10
_META = "REPLACE INTO meta VALUES (?, ?)"
_REFUSED = "INSERT INTO refused (time_ns, status, why, message, count, bytes, body) VALUES (?, ?, ?, ?, ?, ?, ?)"
_SUMMED = ("place", "sent", "taken", "server_started")


@dataclass(frozen=True, slots=True)
class LinesAside:
    """Lines that the server refuses, with its words."""

    time_ns: int
    status: int
    why: str
    """The class of the refusal."""
    message: str
    lines: bytes


@dataclass(slots=True)
class LineAmount:
    """How much of something there is."""

    groups: int = 0
    lines: int = 0
    bytes: int = 0
    """On this disk, compressed."""

    def add(self, groups: int, lines: int, stored: int) -> None:
        """More, or with negative numbers less of it."""
        self.groups += groups
        self.lines += lines
        self.bytes += stored


class LineStore:
    """The store of one destination; one process has it open."""

    def __init__(self, path: Path, *, waiting: Callable[[str], None], wait: Callable[[float], None]) -> None:
        """
        Args:
            path: The database file; made where it is not there.
            waiting: Told why it waits for space, and `""` when it no longer does.
            wait: Pauses for so many seconds; may raise to give up.

        Raises:
            DamageError: it is not what was written.
            StoreError: it cannot be read, or was written by another version.
        """
        self._waiting, self._wait = waiting, wait
        self._connection = disk.when_room(lambda: disk.open_writer(path, SCHEMA, "meta"), waiting=waiting, wait=wait)
        try:
            disk.when_room(lambda: self._load(path), waiting=waiting, wait=wait)
        except disk.UNBELIEVED as error:
            self.close()
            raise DamageError(f"{path}: not what was written: {type(error).__name__}: {error}") from error
        except StoreError:
            self.close()
            raise

    def _load(self, path: Path) -> None:
        meta: dict[str, Any] = dict(self._connection.execute("SELECT key, value FROM meta"))
        version = meta.setdefault("version", VERSION)
        if type(version) is int and version > VERSION:
            raise StoreError(f"{path}: written by version {version}, this build reads {VERSION}")
        if version != VERSION:
            raise DamageError(f"{path}: written by version {str(version)[:20]!r}, which there never was")
        if "sum" in meta and meta["sum"] != _sum({**dict.fromkeys(_SUMMED), "sent": 0, "taken": 0, **meta}):
            raise DamageError(f"{path}: its numbers do not fit their sum")
        self.place: bytes | None = meta.get("place")
        """The journal's place stored last."""
        self.sent: int = meta.get("sent", 0)
        """The last group that was acknowledged."""
        self.server_started: float | None = meta.get("server_started")
        """When the server's process began that took what is held [s since 1970]; None where it does not say."""
        self.taken: int = meta.get("taken", 0)
        """Lines stored since the beginning."""
        self.kind = str(meta.get("kind", ""))
        """Which server it was, when it was asked last; empty where that is not known."""
        self.aside_dropped: int = meta.get("aside_dropped", 0)
        """Lines that were refused and not kept aside, for want of room."""
        self._take_over()
        self.set_aside, self.aside_bytes = self._row(
            "SELECT coalesce(sum(count), 0), coalesce(sum(bytes), 0) FROM refused"
        )
        """Lines in the table of those refused, and their size, compressed [bytes]."""
        self.pending, self.held = LineAmount(), LineAmount()
        self._newest = self._one("SELECT coalesce(max(id), 0) FROM lines")
        for amount, which in ((self.pending, ">"), (self.held, "<=")):
            amount.add(*self._sums(which, self.sent))
        self._changes = self._one("SELECT count(*) FROM newest")
        self._read_newest()  # what is not what was written is told now

    def store(
        self,
        lines: Iterable[bytes],
        place: bytes,
        *,
        blocks: int = 0,
        received_ns: int = 0,
        changes: Callable[[], LineChanges] = LineChanges,
        newest: Callable[[], NewestTimes] | None = None,
    ) -> int:
        """Store groups of lines and the place in one transaction; waits while the disk is full.

        Args:
            lines: Groups of whole lines, each with its newline.
            blocks: So many blocks they are.
            received_ns: When the first of these was journaled [ns since 1970 UTC].
            changes: What making the lines changed besides; asked when all of them are made.
            newest: All of what `changes` are changes of.

        Returns:
            How many of them share their series and time with an earlier one.
        """
        rows, count = [], 0
        compressor = zstandard.ZstdCompressor(level=1, write_checksum=True)
        for group in lines:
            self._newest += 1
            packed = compressor.compress(group)
            rows.append((self._newest, line_count(group), len(packed), packed))
            count += rows[-1][1]
        writes = Writes()
        writes.add("INSERT INTO lines VALUES (?, ?, ?, ?)", rows)
        if rows:
            writes.add("INSERT INTO taken VALUES (?, ?, ?)", [(self._newest, blocks, received_ns)])
        changed = changes()
        writes.add("INSERT OR REPLACE INTO series VALUES (?, ?)", changed.series)
        bodies = [compressor.compress(one.to_bytes()) for one in changed.newest]
        if newest is not None and self._changes + len(bodies) > CHANGES:
            writes.add("DELETE FROM newest WHERE id > ?", [(0,)])
            bodies, self._changes = [compressor.compress(newest().to_bytes())], 0
        writes.add("INSERT INTO newest (body) VALUES (?)", [(one,) for one in bodies])
        self._changes += len(bodies)
        self.taken += count
        writes.add(_META, self._told(version=VERSION, place=place, taken=self.taken))
        disk.commit(self._connection, writes, waiting=self._waiting, wait=self._wait)
        self.place = place
        self.pending.add(len(rows), count, sum(row[2] for row in rows))
        return changed.same_time

    def lines_made(self) -> tuple[list[tuple[int, bytes]], list[NewestTimes]]:
        """Each series' number, and the changes of the newest times: for who makes the next lines.

        Raises:
            DamageError: they are not what was written.
        """
        series = [(int(number), bytes(head)) for number, head in self._connection.execute("SELECT * FROM series")]
        return series, self._read_newest()

    def behind(self) -> tuple[int, int | None]:
        """Blocks that are pending, and when the first of them was journaled [ns]; None where it does not say."""
        blocks, first = self._row(
            "SELECT coalesce(sum(blocks), 0), min(received_ns) FROM taken WHERE id > ?", self.sent
        )
        return int(blocks), None if first is None else int(first)

    def next(self, most_lines: int) -> tuple[int, bytes]:
        """The oldest pending groups that fit one request, and the number of the last; `(sent, b"")` for none."""
        upto, size, count = self.sent, 0, 0
        parts: list[bytes] = []
        rows = self._connection.execute("SELECT id, count, body FROM lines WHERE id > ? ORDER BY id", (self.sent,))
        with closing(rows):
            for one, lines, packed in rows:
                try:
                    body = zstandard.ZstdDecompressor().decompress(packed)
                except (zstandard.ZstdError, *disk.UNBELIEVED) as error:
                    raise DamageError(f"lines of the store cannot be read: {error}") from error
                if parts and (size + len(body) > GROUP_BYTES or count + lines > most_lines):
                    break
                parts.append(body)
                upto, size, count = one, size + len(body), count + lines
        return upto, b"".join(parts)

    def acknowledge(self, upto: int, aside: Sequence[LinesAside], droppable: str = "") -> bool:
        """The server took all pending groups up to this number but for lines set aside.

        Args:
            droppable: The class of refusal whose lines no server ever takes: beyond the bound the oldest of them go.

        Returns:
            False where there is no room aside: nothing was done.
        """
        writes, dropped = Writes(), [0, 0]
        compressor = zstandard.ZstdCompressor(level=1, write_checksum=True)
        rows: list[Any] = []
        for one in aside:
            packed = compressor.compress(one.lines)
            rows.append((one.time_ns, one.status, one.why, one.message, line_count(one.lines), len(packed), packed))
        fresh = sum(row[5] for row in rows)
        if self.aside_bytes + fresh > ASIDE_BYTES and rows:
            sql = "SELECT id, count, bytes FROM refused WHERE why = ? ORDER BY id"
            for ident, count, size in self._connection.execute(sql, (droppable,)).fetchall():
                if self.aside_bytes + fresh - dropped[1] <= ASIDE_BYTES:
                    break
                writes.add("DELETE FROM refused WHERE id = ?", [(ident,)])
                dropped[0], dropped[1] = dropped[0] + count, dropped[1] + size
            while rows and self.aside_bytes + fresh - dropped[1] > ASIDE_BYTES:
                gone = next((row for row in rows if row[2] == droppable), None)
                if gone is None:
                    return False
                rows.remove(gone)
                fresh -= gone[5]
                dropped[0] += gone[4]
        writes.add(_REFUSED, rows)
        writes.add(_META, self._told(sent=upto, aside_dropped=self.aside_dropped + dropped[0]))
        moved = self._sums("BETWEEN ? AND", self.sent + 1, upto)
        self._run(writes)
        self.sent = upto
        self.aside_dropped += dropped[0]
        self._count_aside()
        self.pending.add(*(-part for part in moved))
        self.held.add(*moved)
        return True

    def resend_aside(self, upto: int) -> bool:
        """Make the oldest group of what is set aside pending again; False where there is none up to this number."""
        row = self._connection.execute(
            "SELECT id, count, bytes, body FROM refused WHERE id <= ? ORDER BY id LIMIT 1", (upto,)
        ).fetchone()
        if row is None:
            return False
        writes = Writes()
        writes.add("INSERT INTO lines VALUES (?, ?, ?, ?)", [(self._newest + 1, *row[1:])])
        writes.add("DELETE FROM refused WHERE id = ?", [(row[0],)])
        self._run(writes)
        self._newest += 1
        self.pending.add(1, row[1], row[2])
        self._count_aside()
        return True

    def drop_aside(self, upto: int) -> None:
        """Forget what is set aside, up to this number."""
        writes = Writes()
        writes.add("DELETE FROM refused WHERE id <= ?", [(upto,)])
        self._run(writes)
        self._count_aside()

    def note_kind(self, kind: str) -> None:
        """Remember which server it is."""
        writes = Writes()
        writes.add(_META, [("kind", kind)])
        self._run(writes)
        self.kind = kind

    def release(self, upto: int) -> None:
        """Drop groups up to this number: the server has them on disk."""
        gone = self._sums("<=", upto)
        writes = Writes()
        writes.add("DELETE FROM lines WHERE id <= ?", [(upto,)])
        writes.add("DELETE FROM taken WHERE id <= ?", [(upto,)])
        self._run(writes)
        self.held.add(*(-part for part in gone))

    def note_server(self, started: float | None) -> None:
        """Remember which server process takes the lines from now on."""
        writes = Writes()
        writes.add(_META, self._told(server_started=started))
        self._run(writes)
        self.server_started = started

    def rewind(self) -> None:
        """All that is held is pending again."""
        writes = Writes()
        writes.add(_META, self._told(sent=0))
        self._run(writes)
        self.pending.add(self.held.groups, self.held.lines, self.held.bytes)
        self.sent, self.held = 0, LineAmount()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _told(self, **changed: Any) -> list[tuple[str, Any]]:
        """Rows of `meta` for these values, and the sum over all: a flipped bit in `sent` would be lines never sent."""
        held = {key: getattr(self, key) for key in _SUMMED}
        whole = held | {key: value for key, value in changed.items() if key in _SUMMED}
        return [*changed.items(), ("sum", _sum(whole))]

    def _run(self, writes: Writes) -> None:
        """One transaction for upkeep; raises sqlite3.Error where the disk is full: it is done later."""
        with disk.sorted_errors():
            writes.run(self._connection)

    def _sums(self, which: str, *numbers: int) -> tuple[int, int, int]:
        held = self._connection.execute(
            f"SELECT count(*), coalesce(sum(count), 0), coalesce(sum(bytes), 0) FROM lines WHERE id {which} ?",  # noqa: S608
            numbers,
        ).fetchone()
        return int(held[0]), int(held[1]), int(held[2])

    def _one(self, sql: str) -> Any:
        return self._connection.execute(sql).fetchone()[0]

    def _row(self, sql: str, *values: int) -> tuple[Any, ...]:
        return tuple(self._connection.execute(sql, values).fetchone())

    def _count_aside(self) -> None:
        self.set_aside, self.aside_bytes = self._row(
            "SELECT coalesce(sum(count), 0), coalesce(sum(bytes), 0) FROM refused"
        )

    def _read_newest(self) -> list[NewestTimes]:
        rows = self._connection.execute("SELECT body FROM newest ORDER BY id")
        try:
            return [NewestTimes.from_bytes(zstandard.ZstdDecompressor().decompress(body)) for (body,) in rows]
        except (zstandard.ZstdError, *disk.UNBELIEVED) as error:
            raise DamageError(f"times of the store cannot be read: {error}") from error

    def _take_over(self) -> None:
        """What an earlier build set aside line by line."""
        old = self._connection.execute("SELECT time_ns, status, message, line FROM aside ORDER BY id").fetchall()
        if old:
            compressor = zstandard.ZstdCompressor(level=1, write_checksum=True)
            rows = [
                (*one[:2], "refused", one[2], 1, len(packed), packed)
                for one in old
                for packed in [compressor.compress(one[3])]
            ]
            writes = Writes()
            writes.add(_REFUSED, rows)
            writes.add("DELETE FROM aside WHERE id > ?", [(0,)])
            self._run(writes)


def read_aside(path: Path) -> Iterator[SetAside]:
    """What a store has set aside, oldest first; read beside its writer. Nothing where there is no store.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    connection = disk.open_reader(path)
    if connection is None:
        return
    with closing(connection):
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        rows = (
            connection.execute("SELECT id, time_ns, why, message, count, body FROM refused ORDER BY id")
            if "refused" in tables
            else ()
        )
        for number, time_ns, why, message, count, body in rows:
            example = zstandard.ZstdDecompressor().decompress(body).partition(b"\n")[0].decode(errors="replace")
            yield SetAside(number=number, time_ns=time_ns, why=why, message=message, samples=count, example=example)


def groups(lines: bytes) -> list[bytes]:
    """Cut lines into groups within the limits, between lines; one longer line is a group of its own."""
    ends = np.flatnonzero(np.frombuffer(lines, np.uint8) == NEWLINE) + 1
    out, first, at = [], 0, 0
    while first < len(ends):
        most = int(np.searchsorted(ends, at + GROUP_BYTES, "right"))
        last = min(max(most, first + 1), first + GROUP_LINES)
        end = int(ends[last - 1])
        out.append(lines[at:end])
        first, at = last, end
    return out


def line_count(lines: bytes) -> int:
    """How many lines."""
    return int(np.count_nonzero(np.frombuffer(lines, np.uint8) == NEWLINE))


def _sum(values: Mapping[str, Any]) -> int:
    return zlib.crc32(repr([values[key] for key in _SUMMED]).encode())
