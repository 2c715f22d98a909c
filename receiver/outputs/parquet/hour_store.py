"""What was taken over and stands in no file yet, by hour; the journal's place; and which files were written.

Content and place are one transaction. A piece waits here until its hour's file is in the folder under its own name;
then, in another transaction, the pieces go and the file is noted with the blocks that it holds. Between the two lies
the moment at which a kill leaves both: the next start reads in the file itself which blocks it holds, notes it, and
passes over its pieces (`plant_folder.py`). So no sample is in two files, and none in no file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgpack

from protocol.errors import StoreError
from protocol.ranges import Ranges
from receiver.outputs import disk
from receiver.outputs.disk import DamageError, Writes
from receiver.outputs.parquet.hour_pieces import NO_HOUR, HourPiece
from receiver.outputs.shipping.shipment import pack, unpack

VERSION = 2
"""1 knew no conversion of a tag: it is read and gone on with, and its build refuses what this one wrote."""
CACHED = 256
"""Most streams of hours whose block numbers are kept in memory: late ones are few at a time."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS piece (
    id INTEGER PRIMARY KEY, hour INTEGER NOT NULL, stream BLOB NOT NULL, samples INTEGER NOT NULL,
    bytes INTEGER NOT NULL, blocks BLOB NOT NULL, body BLOB NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS piece_hour ON piece (hour, stream, id);
CREATE TABLE IF NOT EXISTS file (
    name TEXT PRIMARY KEY, hour INTEGER NOT NULL, samples INTEGER NOT NULL, closed_ns INTEGER NOT NULL,
    after INTEGER NOT NULL, held BLOB NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS file_hour ON file (hour);
"""

_META = "REPLACE INTO meta VALUES (?, ?)"

BlocksHeld = Mapping[bytes, Ranges]
"""By stream: numbers of blocks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenFile:
    """A file that is in the folder."""

    name: str
    """Below the folder: `date=2026-11-28/hour=9/samples-1-0123456789ab.parquet`."""
    hour: int
    samples: int
    closed_ns: int
    """When it was written [ns since 1970 UTC]."""
    after: bool
    """Its hour was over by then: what comes later is late."""
    held: BlocksHeld
    """Blocks whose samples of this hour are all in it."""


@dataclass(slots=True)
class StagedHour:
    """What waits of one hour."""

    samples: int = 0
    bytes: int = 0
    """As it is stored, compressed."""
    last: int = 0
    """Number of its newest piece."""


class HourStore:
    """The store of one folder; one process has it open."""

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
        self._known: dict[tuple[int, bytes], Ranges] = {}
        self._connection = disk.when_room(lambda: disk.open_writer(path, SCHEMA, "meta"), waiting=waiting, wait=wait)
        try:
            disk.when_room(lambda: self._load(path), waiting=waiting, wait=wait)
        except disk.UNBELIEVED as error:
            self.close()
            raise DamageError(f"{path}: not what was written: {type(error).__name__}: {error}") from error
        except BaseException:
            self.close()
            raise

    def _load(self, path: Path) -> None:
        meta = dict(self._connection.execute("SELECT key, value FROM meta"))
        version = meta.setdefault("version", VERSION)
        if type(version) is int and version > VERSION:
            raise StoreError(f"{path}: written by version {version}, this build reads {VERSION}")
        self.place: bytes | None = meta.get("place")
        """The journal's place stored last."""
        self.marked = bool(meta.get("marked", 0))
        """The folder was begun: where its mark is missing it is not the folder, but what its disk is mounted on."""
        self.taken = int(meta.get("taken", 0))
        """Samples taken over since the beginning, each once."""
        self.dated = int(meta.get("dated", 0))
        """Of those, samples that were older than files are kept: no file has them."""
        self.hours: dict[int, StagedHour] = {}
        """What waits."""
        sql = "SELECT hour, sum(samples), sum(bytes), max(id) FROM piece GROUP BY hour"
        for hour, samples, stored, last in self._connection.execute(sql):
            self.hours[hour] = StagedHour(samples, stored, last)
        self._newest = max((one.last for one in self.hours.values()), default=0)
        self.files, self.newest = self._connection.execute(
            "SELECT count(*), coalesce(max(closed_ns), 0) FROM file"
        ).fetchone()

    @property
    def waits(self) -> int:
        """Samples that stand in no file yet."""
        return sum(one.samples for one in self.hours.values())

    @property
    def stored_bytes(self) -> int:
        """What they take here [bytes]."""
        return sum(one.bytes for one in self.hours.values())

    def store(self, pieces: Iterable[HourPiece], place: bytes, *, oldest: int | None) -> list[int]:
        """Store what is new of these pieces and the place, together; waits while the disk is full.

        Args:
            oldest: First hour whose files are kept; what is older is counted and left out.

        Returns:
            The hours that something came for.
        """
        rows, more, dated = [], 0, 0
        fresh: dict[tuple[int, bytes], Ranges] = defaultdict(Ranges)
        for one in pieces:
            key = one.hour, one.shipment.stream
            came, new = self.known(*key), fresh[key]
            left = one.less(number for number, _ in one.blocks if number in came or number in new)
            if left is None:
                continue
            for number, _ in left.blocks:
                new.add(number)
            more += len(left.shipment)
            if oldest is not None and left.hour < oldest:
                dated += len(left.shipment)
                continue
            self._newest += 1
            body = pack(left.shipment)
            row = (self._newest, left.hour, key[1], len(left.shipment), len(body))
            rows.append((*row, msgpack.packb(left.blocks), body))
        writes = Writes()
        writes.add("INSERT INTO piece VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        told = {"version": VERSION, "place": place, "taken": self.taken + more, "dated": self.dated + dated}
        writes.add(_META, list(told.items()))
        disk.commit(self._connection, writes, waiting=self._waiting, wait=self._wait)
        self.place, self.taken, self.dated = place, self.taken + more, self.dated + dated
        for number, hour, stream, samples, stored, _, _ in rows:
            held = self.hours.setdefault(hour, StagedHour())
            held.samples, held.bytes, held.last = held.samples + samples, held.bytes + stored, number
            for first, after in fresh[hour, stream]:
                self.known(hour, stream).add(first, after)
        return [row[1] for row in rows]

    def newest_hour(self) -> int | None:
        """The newest hour that something came for, of times that can be believed; None where there is none."""
        (filed,) = self._connection.execute("SELECT max(hour) FROM file WHERE hour > ?", (NO_HOUR,)).fetchone()
        return max((one for one in (*self.hours, filed) if one is not None and one > NO_HOUR), default=None)

    def known(self, hour: int, stream: bytes) -> Ranges:
        """Blocks whose samples of that hour were taken over: they wait here or stand in a file."""
        key = hour, stream
        out = self._known.pop(key, None)
        if out is None:
            out = Ranges()
            for (told,) in self._connection.execute("SELECT blocks FROM piece WHERE hour = ? AND stream = ?", key):
                for number, _ in _blocks(told):
                    out.add(number)
            for first, after in self.written(hour).get(stream, ()):
                out.add(first, after)
            while len(self._known) >= CACHED:
                del self._known[next(iter(self._known))]
        self._known[key] = out  # the newest stands last
        return out

    def written(self, hour: int) -> BlocksHeld:
        """Blocks whose samples of that hour stand in files."""
        out: dict[bytes, Ranges] = defaultdict(Ranges)
        for (told,) in self._connection.execute("SELECT held FROM file WHERE hour = ?", (hour,)):
            for stream, ranges in unpack_held(told).items():
                for first, after in ranges:
                    out[stream].add(first, after)
        return out

    def staged(self, hour: int, upto: int) -> BlocksHeld:
        """Blocks of pieces of that hour up to this one."""
        out: dict[bytes, Ranges] = defaultdict(Ranges)
        sql = "SELECT stream, blocks FROM piece WHERE hour = ? AND id <= ?"
        for stream, told in self._connection.execute(sql, (hour, upto)):
            for number, _ in _blocks(told):
                out[stream].add(number)
        return out

    def pieces(self, hour: int, upto: int) -> Iterator[HourPiece]:
        """Pieces of that hour up to this one, by stream, in their order; read as they are asked for.

        Raises:
            DamageError: one of them is not what was written.
        """
        sql = "SELECT stream, id FROM piece WHERE hour = ? AND id <= ? ORDER BY stream, id"
        for _, at in self._connection.execute(sql, (hour, upto)).fetchall():  # takes go on between
            row = self._connection.execute("SELECT blocks, body FROM piece WHERE id = ?", (at,)).fetchone()
            try:
                yield HourPiece(hour=hour, shipment=unpack(row[1]), blocks=tuple(_blocks(row[0])))
            except disk.UNBELIEVED as error:
                raise DamageError(f"pieces of the store cannot be read: {error}") from error

    def close_hour(self, hour: int, upto: int, file: WrittenFile | None) -> None:
        """These pieces stand in a file; None: in files that were known already.

        Raises:
            sqlite3.Error: the disk is full; it is done later.
        """
        writes = Writes()
        if file is not None:
            writes.add("REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?)", [_row(file)])
        writes.add("DELETE FROM piece WHERE hour = ? AND id <= ?", [(hour, upto)])
        self._run(writes)
        if file is not None:
            self.files, self.newest = self.files + 1, max(self.newest, file.closed_ns)
        sql = (
            "SELECT coalesce(sum(samples), 0), coalesce(sum(bytes), 0), coalesce(max(id), 0) FROM piece WHERE hour = ?"
        )
        left = StagedHour(*self._connection.execute(sql, (hour,)).fetchone())
        self.hours[hour] = left
        if not left.samples:
            del self.hours[hour]

    def adopt(self, files: Sequence[WrittenFile]) -> None:
        """Files that are in the folder and were not noted: by a kill, or by a store that was lost."""
        writes = Writes()
        writes.add("REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?)", [_row(one) for one in files])
        self._run(writes)
        self._known.clear()
        self.files += len(files)

    def mark(self) -> None:
        """The folder is begun."""
        writes = Writes()
        writes.add(_META, [("version", VERSION), ("marked", 1)])
        self._run(writes)
        self.marked = True

    def names(self) -> dict[str, tuple[int, int, bool]]:
        """Every file that was noted: its hour, when it was written, and whether its hour was over by then."""
        sql = "SELECT name, hour, closed_ns, after FROM file"
        with closing(self._connection.execute(sql)) as rows:
            return {name: (hour, closed_ns, bool(after)) for name, hour, closed_ns, after in rows}

    def of_hour(self, hour: int) -> list[bool]:
        """A word for each file of that hour: whether the hour was over when it was written."""
        return [bool(one) for (one,) in self._connection.execute("SELECT after FROM file WHERE hour = ?", (hour,))]

    def forget(self, names: Sequence[str]) -> None:
        """These files are gone."""
        writes = Writes()
        writes.add("DELETE FROM file WHERE name = ?", [(one,) for one in names])
        self._run(writes)
        self.files -= len(names)
        self._known.clear()

    def give_back(self, most: int) -> bool:
        """Give free pages back to the disk; True where there are more."""
        with disk.sorted_errors():
            return disk.give_back(self._connection, most)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _run(self, writes: Writes) -> None:
        """One transaction for upkeep; raises sqlite3.Error where the disk is full: it is done later."""
        with disk.sorted_errors():
            writes.run(self._connection)


def told_held(held: BlocksHeld) -> dict[str, list[list[int]]]:
    """As it stands in a file's own metadata."""
    return {stream.hex(): [[first, after] for first, after in ranges] for stream, ranges in sorted(held.items())}


def read_held(told: Mapping[str, Sequence[Sequence[int]]]) -> BlocksHeld:
    """What `told_held` made.

    Raises:
        ValueError, TypeError: it is not that.
    """
    out = {}
    for stream, ranges in told.items():
        out[bytes.fromhex(stream)] = Ranges((int(first), int(after)) for first, after in ranges)
    return out


def unpack_held(data: bytes) -> BlocksHeld:
    """What stands in the store."""
    return read_held(msgpack.unpackb(data))


def _row(file: WrittenFile) -> tuple[str, int, int, int, int, bytes]:
    held = msgpack.packb(told_held(file.held))
    return (file.name, file.hour, file.samples, file.closed_ns, int(file.after), held)


def _blocks(told: bytes) -> list[tuple[int, int]]:
    return [(int(number), int(received_ns)) for number, received_ns in msgpack.unpackb(told)]
