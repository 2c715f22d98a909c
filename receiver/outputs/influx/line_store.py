"""The store of lines on their way: a shipping store, and beside the lines what makes them and who took them.

What makes lines (`lines.py`) is each series' number and the times that are taken in it: changes of these stand here one
by one and now and then as a whole, in the same transaction as the lines, and beside them which blocks came. Who took
the lines is the process of the server, by its start.

A file of version 1 had tables of another form; it is taken over in one transaction, with all that is in it. What an
earlier build knew of a series was its newest time alone (`newest`): it is read, and replaced by the next whole.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import zstandard

from receiver.outputs import disk
from receiver.outputs.disk import DamageError, Writes
from receiver.outputs.influx.line_group import LineGroup, LineGroups
from receiver.outputs.influx.lines import LineChanges
from receiver.outputs.influx.met_blocks import PAGE
from receiver.outputs.influx.same_time import TimesChange
from receiver.outputs.shipping.cargo import LIVE, RefusedSamples
from receiver.outputs.shipping.shipping_store import ASIDE_TABLE, META, ShippingStore

ASIDE_BYTES = 64 * 1024 * 1024
"""Most that is set aside, compressed [bytes]: some ten million lines."""
CHANGES = 256
"""Changes of the times that are taken which are kept one by one."""

_REFUSED = """
INSERT INTO aside SELECT id, time_ns, why, iif(status, status || ': ', '') || message, count, 0, time_ns, body
FROM refused"""
_LINES = """
INSERT INTO shipment SELECT id, ?, id <= ?, count, coalesce((SELECT blocks FROM taken WHERE taken.id = lines.id), 0),
    bytes, coalesce((SELECT received_ns FROM taken WHERE taken.id >= lines.id ORDER BY taken.id LIMIT 1), 0), body
FROM lines"""
_ONE_BY_ONE = (
    "INSERT INTO aside (time_ns, refusal, words, samples, blocks, received_ns, body) VALUES (?, ?, ?, 1, 0, ?, ?)"
)
_SUMMED = {"place": None, "sent": 0, "taken": 0, "server_started": None}
"""What the sum of version 1 was over, and what stood for what was not there."""


class LineStore(ShippingStore[LineGroup]):
    """The store of one server that takes line protocol; one process has it open."""

    VERSION: ClassVar[int] = 3
    """2 had no `times` and no `met`: a build that knows neither would give a sample the row of another."""
    READABLE: ClassVar[tuple[int, ...]] = (2, 3)
    SCHEMA: ClassVar[str] = (
        ShippingStore.SCHEMA
        + """
CREATE TABLE IF NOT EXISTS series (id INTEGER PRIMARY KEY, head BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS newest (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS times (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS met (stream BLOB, page INTEGER, body BLOB NOT NULL, PRIMARY KEY (stream, page))
    STRICT, WITHOUT ROWID;
"""
    )

    def __init__(self, path: Path, *, waiting: Callable[[str], None], wait: Callable[[float], None]) -> None:
        """As `ShippingStore`."""
        self._compressor = zstandard.ZstdCompressor(level=1, write_checksum=True)
        super().__init__(path, LineGroups(), waiting=waiting, wait=wait)

    def _load(self, path: Path) -> None:
        self._take_over(path)
        super()._load(path)
        meta: dict[str, Any] = dict(self._connection.execute("SELECT key, value FROM meta"))
        self.server_started: float | None = meta.get("server_started")
        """When the server's process began that took what is held [s since 1970]; None where it does not say."""
        self.kind = str(meta.get("kind", ""))
        """Which server it was, when it was asked last; empty where that is not known."""
        self.crowded_out: int = meta.get("aside_dropped", 0)
        """Lines that were refused and not kept aside, for want of room."""
        self._changes = int(self._connection.execute("SELECT count(*) FROM times").fetchone()[0])
        self._read_times()  # what is not what was written is told now

    def changed(self, changes: LineChanges, times: Callable[[], TimesChange]) -> Writes:
        """What making lines changed, to be stored with them.

        Args:
            times: All of what the changes of times are changes of.
        """
        writes = Writes()
        writes.add("INSERT OR REPLACE INTO series VALUES (?, ?)", changes.series)
        pack = self._compressor.compress
        writes.add(
            "INSERT OR REPLACE INTO met VALUES (?, ?, ?)", [(key, page, pack(bits)) for key, page, bits in changes.met]
        )
        bodies = [pack(one.to_bytes()) for one in changes.times]
        if self._changes + len(bodies) > CHANGES:
            writes.add("DELETE FROM newest WHERE id > ?", [(0,)])
            writes.add("DELETE FROM times WHERE id > ?", [(0,)])
            bodies, self._changes = [pack(times().to_bytes())], 0
        writes.add("INSERT INTO times (body) VALUES (?)", [(one,) for one in bodies])
        self._changes += len(bodies)
        return writes

    def met(self, stream: bytes, page: int) -> bytes | None:
        """Which blocks of a page came, as `MetBlocks` stored it; None where none did.

        Raises:
            DamageError: it is not what was written.
        """
        row = self._connection.execute("SELECT body FROM met WHERE stream = ? AND page = ?", (stream, page)).fetchone()
        if row is None:
            return None
        try:
            bits = zstandard.ZstdDecompressor().decompress(row[0])
        except zstandard.ZstdError as error:
            raise DamageError(f"blocks that came cannot be read: {error}") from error
        if len(bits) != PAGE // 8:
            raise DamageError("blocks that came cannot be read: a page of another length")
        return bits

    def lines_made(self) -> tuple[list[tuple[int, bytes]], list[TimesChange]]:
        """Each series' number, and the changes of the times that are taken: for who makes the next lines.

        Raises:
            DamageError: they are not what was written.
        """
        series = [(int(number), bytes(head)) for number, head in self._connection.execute("SELECT * FROM series")]
        return series, self._read_times()

    def made_room(
        self, refused: Sequence[RefusedSamples[LineGroup]], droppable: str
    ) -> Sequence[RefusedSamples[LineGroup]] | None:
        """What of these there is room for aside; None where there is none.

        Args:
            droppable: The class of refusal whose lines no server ever takes: beyond the bound the oldest of them go.
        """
        sizes = [len(self._form.pack(one.cargo)) for one in refused]
        over = self.aside.bytes + sum(sizes) - ASIDE_BYTES
        if not refused or over <= 0:
            return refused
        gone, lines = [], 0
        sql = "SELECT id, samples, length(body) FROM aside WHERE refusal = ? ORDER BY id"
        for at, samples, size in self._connection.execute(sql, (droppable,)).fetchall():
            if over <= 0:
                break
            gone.append((at,))
            lines, over = lines + samples, over - size
        kept = list(refused)
        for one, size in zip(refused, sizes, strict=True):
            if over > 0 and one.refusal == droppable:
                kept.remove(one)
                lines, over = lines + len(one.cargo), over - size
        if over > 0:
            return None
        writes = Writes()
        writes.add("DELETE FROM aside WHERE id = ?", gone)
        writes.add(META, [("aside_dropped", self.crowded_out + lines)])
        self._run(writes)
        self.crowded_out += lines
        self._count_aside()
        return kept

    def note_kind(self, kind: str) -> None:
        """Remember which server it is."""
        self._note("kind", kind)
        self.kind = kind

    def note_server(self, started: float | None) -> None:
        """Remember which server process takes the lines from now on."""
        self._note("server_started", started)
        self.server_started = started

    def _note(self, key: str, value: object) -> None:
        writes = Writes()
        writes.add(META, [(key, value)])
        self._run(writes)

    def _read_times(self) -> list[TimesChange]:
        out = []
        try:
            for table, read in (("newest", TimesChange.of_newest), ("times", TimesChange.from_bytes)):
                for (body,) in self._connection.execute(f"SELECT body FROM {table} ORDER BY id"):  # noqa: S608  names from above
                    out.append(read(zstandard.ZstdDecompressor().decompress(body)))
        except (zstandard.ZstdError, *disk.UNBELIEVED) as error:
            raise DamageError(f"times of the store cannot be read: {error}") from error
        return out

    def _take_over(self, path: Path) -> None:
        """A file of version 1: its lines, what it had set aside, and its numbers."""
        connection = self._connection
        if connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'lines'").fetchone() == (0,):
            return
        meta: dict[str, Any] = dict(connection.execute("SELECT key, value FROM meta"))
        if meta.get("version", 1) != 1:
            return  # it is told below what it is
        if "sum" in meta and meta["sum"] != _sum_of_version_1(meta):
            raise DamageError(f"{path}: its numbers do not fit their sum")
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.execute("ALTER TABLE aside RENAME TO aside_one_by_one")
            connection.execute(ASIDE_TABLE)
            connection.execute(_LINES, (LIVE, meta.get("sent", 0)))
            connection.execute(_REFUSED)
            old = connection.execute("SELECT time_ns, status, message, line FROM aside_one_by_one ORDER BY id")
            for time_ns, status, message, line in old.fetchall():
                body = self._compressor.compress(line)
                connection.execute(_ONE_BY_ONE, (time_ns, "refused", f"{status}: {message}", time_ns, body))
            for table in ("lines", "taken", "refused", "aside_one_by_one"):
                connection.execute(f"DROP TABLE {table}")
            connection.execute("DELETE FROM meta WHERE key IN ('sent', 'sum')")
            self.place, self.taken, self.dropped = meta.get("place"), meta.get("taken", 0), 0
            connection.executemany(META, self._told(version=self.VERSION, place=self.place, taken=self.taken))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _sum_of_version_1(meta: Mapping[str, Any]) -> int:
    return zlib.crc32(repr([{**_SUMMED, **meta}[key] for key in _SUMMED]).encode())
