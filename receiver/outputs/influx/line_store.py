"""Lines on their way to a server: durable before the journal's place moves, kept until the server has them on disk.

    take -> pending -> sent and acknowledged -> held -> released
               ^                                  |
               '------ the server was restarted --'

Groups of lines stand in one table by rising number. `sent` is the last one acknowledged: above it is pending, up to it
is held. An acknowledgement releases nothing by itself, because a server may lose what it has acknowledged when it is
killed (VictoriaMetrics: all of the last 8 to 12 s, tried); what is held is sent again then, in order. Lines that a
server refuses one by one are set aside with its words, in a table of their own.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard

from protocol.errors import StoreError
from receiver.outputs import disk
from receiver.outputs.disk import DamageError, Writes

VERSION = 1

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lines (
    id INTEGER PRIMARY KEY, count INTEGER NOT NULL, bytes INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS aside (
    id INTEGER PRIMARY KEY, time_ns INTEGER NOT NULL, status INTEGER NOT NULL, message TEXT NOT NULL,
    line BLOB NOT NULL) STRICT;
"""

GROUP_LINES = 10_000
"""Most lines of a group: what a server takes fastest in one request (tried: 5,000 to 50,000)."""
GROUP_BYTES = 4 * 1024 * 1024
"""Most bytes of a group and of a request; InfluxDB's own limit is 25 MB and more."""

_META = "REPLACE INTO meta VALUES (?, ?)"
_SUMMED = ("place", "sent", "taken", "server_started")


@dataclass(frozen=True, slots=True)
class LineSetAside:
    """A line that the server refuses, with its words."""

    time_ns: int
    status: int
    message: str
    line: bytes


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
        self.set_aside: int = self._one("SELECT count(*) FROM aside")
        """Lines in the table of those refused."""
        self.pending, self.held = LineAmount(), LineAmount()
        self._newest = self._one("SELECT coalesce(max(id), 0) FROM lines")
        for amount, which in ((self.pending, ">"), (self.held, "<=")):
            amount.add(*self._sums(which, self.sent))

    def store(self, lines: Sequence[bytes], place: bytes) -> None:
        """Store groups of lines and the place in one transaction; waits while the disk is full.

        Args:
            lines: Groups of whole lines, each with its newline.
        """
        rows, count = [], 0
        compressor = zstandard.ZstdCompressor(level=1, write_checksum=True)
        for group in lines:
            self._newest += 1
            packed = compressor.compress(group)
            rows.append((self._newest, group.count(b"\n"), len(packed), packed))
            count += rows[-1][1]
        writes = Writes()
        writes.add("INSERT INTO lines VALUES (?, ?, ?, ?)", rows)
        self.taken += count
        writes.add(_META, self._told(version=VERSION, place=place, taken=self.taken))
        disk.commit(self._connection, writes, waiting=self._waiting, wait=self._wait)
        self.place = place
        self.pending.add(len(rows), count, sum(row[2] for row in rows))

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

    def acknowledge(self, upto: int, aside: Sequence[LineSetAside]) -> None:
        """The server took all pending groups up to this number but for lines set aside."""
        writes = Writes()
        writes.add(_META, self._told(sent=upto))
        rows = [(one.time_ns, one.status, one.message, one.line) for one in aside]
        writes.add("INSERT INTO aside (time_ns, status, message, line) VALUES (?, ?, ?, ?)", rows)
        moved = self._sums("BETWEEN ? AND", self.sent + 1, upto)
        self._run(writes)
        self.sent = upto
        self.set_aside += len(aside)
        self.pending.add(*(-part for part in moved))
        self.held.add(*moved)

    def release(self, upto: int) -> None:
        """Drop groups up to this number: the server has them on disk."""
        gone = self._sums("<=", upto)
        writes = Writes()
        writes.add("DELETE FROM lines WHERE id <= ?", [(upto,)])
        self._run(writes)
        self.held.add(*(-part for part in gone))

    def note_server(self, started: float | None, *, rewind: bool) -> None:
        """Remember which server process takes the lines from now on.

        Args:
            rewind: It is another one than before: all that is held is pending again.
        """
        writes = Writes()
        writes.add(_META, self._told(server_started=started, **({"sent": 0} if rewind else {})))
        self._run(writes)
        self.server_started = started
        if rewind:
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


def groups(lines: bytes) -> list[bytes]:
    """Cut lines into groups within the limits, between lines."""
    out = []
    at = 0
    while at < len(lines):
        end = _cut(lines, at)
        out.append(lines[at:end])
        at = end
    return out


def _sum(values: Mapping[str, Any]) -> int:
    return zlib.crc32(repr([values[key] for key in _SUMMED]).encode())


def _cut(lines: bytes, at: int) -> int:
    """Where the group that begins at `at` ends: after a newline, within both limits but for one longer line."""
    limit = min(at + GROUP_BYTES, len(lines))
    end = lines.rfind(b"\n", at, limit) + 1 or lines.find(b"\n", limit - 1) + 1
    if lines.count(b"\n", at, end) <= GROUP_LINES:
        return end
    for _ in range(GROUP_LINES):
        at = lines.find(b"\n", at) + 1
    return at
