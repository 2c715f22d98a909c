"""One moment of the history, across its files: what is hot, and the chunks that were real then.

The moment is a read transaction in `current.db`. It says up to which number chunks are real; those were committed to
their month files before, so whatever the writer does meanwhile, hot rows and chunks together are every row once. Files
are kept open between moments and looked at again by inode: retention deletes months, a restore replaces everything.

What cannot be read is told in `damage` and left out; everything else is read. A chunk is what its row in the index says
(series, times, count), or it is damaged: a flipped bit in either must not show a value under another tag or time.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from protocol.content.array import Array
from protocol.errors import StoreError
from receiver.outputs.disk import Connection, is_full, open_reader
from receiver.outputs.historian import schema
from receiver.outputs.historian.buckets import ChunkSummaries
from receiver.outputs.historian.codec import chunk, present
from receiver.outputs.historian.codec.chunk import ChartRows
from receiver.outputs.historian.codec.group import unpack
from receiver.outputs.historian.codec.present import Present
from receiver.outputs.historian.hot.shelves import SHELF_SERIES
from receiver.outputs.historian.rows import Rows, join

_PARTS = """SELECT id, t0, t1, n, count, low, high, total, cells FROM chunk
    WHERE series = ? AND t1 >= ? AND t0 < ? AND id <= ?"""
_PARTS_BEFORE = _PARTS.replace("cells", "NULL")
"""In a file that no build with roll-ups has opened for writing."""
_STILL = "SELECT 1 FROM chunk WHERE series = ? AND t1 = ? AND id = ?"


_PIECES = "SELECT id FROM piece WHERE shelf = ? ORDER BY id"
_FRESH = "SELECT id FROM fresh ORDER BY id"
_PRESENT = "SELECT body FROM present WHERE id > ? ORDER BY id"

_Opened = TypeVar("_Opened", Rows, ChartRows, Rows | None)


class GroupName(NamedTuple):
    """What names one group of hot rows for ever."""

    inode: int
    """Of `current.db`."""
    table: str
    """`piece` or `fresh`."""
    id: int


@dataclass(frozen=True, slots=True)
class UnreadableSamples:
    """Samples of a series that cannot be read."""

    from_ns: int
    to_ns: int
    rows: int
    """How many; 0 where that is not known."""


@dataclass(slots=True)
class _OpenFile:
    inode: int
    connection: Connection


class ReaderFiles:
    """The files of a history, opened for reading as they appear."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[Path, _OpenFile] = {}
        self._groups: dict[GroupName, Rows | None] = {}
        """What `unpacked` was asked for last."""

    def begin(self) -> Snapshot | None:
        """A new moment, to be ended; None where there is no history yet."""
        current = self._file(schema.current_path(self._folder))
        if current is None:
            return None
        current.connection.execute("BEGIN")
        try:
            return Snapshot(self, current.connection, current.inode)
        except BaseException as error:
            current.connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.OperationalError) and "no such table" in str(error):
                return None  # the writer is making its first file at this moment
            raise

    def months(self) -> Iterator[Connection]:
        """Every month file there is."""
        for _, connection in self.named_months():
            yield connection

    def named_months(self) -> Iterator[tuple[str, Connection]]:
        """Every month file there is, with its name."""
        paths = schema.month_paths(self._folder)
        for gone in [path for path in self._open if path not in paths and path != schema.current_path(self._folder)]:
            self._open.pop(gone).connection.close()
        for path in paths:
            file = self._file(path)
            if file is not None:
                yield path.stem, file.connection

    def unpacked(self, groups: list[GroupName], body: Callable[[GroupName], bytes | None]) -> list[Rows]:
        """Groups of hot rows, in that order.

        Those of the last call are kept, so that what all series share (`fresh`), and the shelf of a series that is
        asked about once more, are unpacked once. A name is never given to another group.

        Args:
            body: Gives the bytes of one that is not kept.
        """
        kept: dict[GroupName, Rows | None] = {}
        for name in groups:
            kept[name] = self._groups.get(name)
            if kept[name] is None:
                with contextlib.suppress(StoreError):  # the writer drops it, and reads the journal for its rows
                    kept[name] = unpack(body(name) or b"")
        self._groups = kept
        return [rows for rows in kept.values() if rows is not None]

    def close(self) -> None:
        """Close all files."""
        for file in self._open.values():
            file.connection.close()
        self._open.clear()
        self._groups.clear()

    def _file(self, path: Path) -> _OpenFile | None:
        file = self._open.get(path)
        inode = path.stat().st_ino if path.exists() else -1
        if file is not None and file.inode == inode:
            return file
        if file is not None:
            self._open.pop(path).connection.close()
        connection = open_reader(path)
        if connection is None:
            return None
        self._open[path] = _OpenFile(inode, connection)
        return self._open[path]


class Snapshot:
    """One moment; `end` it soon: the writer's log grows while it lasts."""

    def __init__(self, files: ReaderFiles, current: Connection, inode: int) -> None:
        self._files = files
        self._current = current
        meta = dict(current.execute("SELECT key, value FROM meta WHERE key IN ('mark', 'catalog', 'sealed')"))
        self.mark: int = meta.get("mark", 0)
        """Number of the newest hand-over."""
        self.catalog: tuple[int, int] = (inode, meta.get("catalog", 0))
        """Changes whenever a description does."""
        self._sealed: int = meta.get("sealed", 0)
        self.damage: list[UnreadableSamples] = []
        """What could not be read since the moment began."""

    @property
    def sealed(self) -> int:
        """Number of the newest chunk that is real."""
        return self._sealed

    @property
    def connection(self) -> Connection:
        """`current.db`, in this moment's transaction."""
        return self._current

    def end(self) -> None:
        """Let go of the moment."""
        self._current.execute("ROLLBACK")

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a query of `current.db`."""
        return self._current.execute(sql, values).fetchall()

    def hot(self, series: int, from_ns: int = -(2**63), to_ns: int = 2**63 - 1) -> Rows:
        """The series' rows of the range that are not sealed, those of one block in their order."""
        return join([rows.pick(at) for rows, at in self._hot(series, from_ns, to_ns)])

    def hot_readings(self, series: int, from_ns: int, to_ns: int) -> Iterator[ChartRows]:
        """As `hot`, only what a chart needs."""
        for rows, at in self._hot(series, from_ns, to_ns):
            yield ChartRows(rows.time_ns[at], rows.quality[at], rows.kind[at], rows.value[at])

    def _hot(self, series: int, from_ns: int, to_ns: int) -> Iterator[tuple[Rows, Array]]:
        """Groups, and where the series' rows of the range stand in them."""
        inode = self.catalog[0]
        groups = [
            GroupName(inode, table, one)
            for table, sql, values in (("piece", _PIECES, (series // SHELF_SERIES,)), ("fresh", _FRESH, ()))
            for (one,) in self.rows(sql, *values)
        ]
        for rows in self._files.unpacked(groups, self._body):
            begin, end = np.searchsorted(rows.series, np.array([series, series + 1], rows.series.dtype)).tolist()
            time_ns = rows.time_ns[begin:end]
            at = begin + np.flatnonzero((time_ns >= from_ns) & (time_ns < to_ns))
            if len(at):
                yield rows, at

    def present(self, since: int) -> Present:
        """Current values renewed after the hand-over `since`.

        Raises:
            StoreError: they cannot be read.
        """
        try:
            groups = [present.unpack(body) for (body,) in self.rows(_PRESENT, since)]
        except sqlite3.OperationalError as error:
            if "no such table" not in str(error):
                raise
            rows = present.before(self._current)  # a history that no build with groups has opened for writing
            groups = [] if rows is None else [rows]
        return present.newest(groups)

    def _body(self, name: GroupName) -> bytes | None:
        found = self.rows(f"SELECT body FROM {name.table} WHERE id = ?", name.id)  # noqa: S608  one of two names
        return bytes(found[0][0]) if found else None

    def chunks(self, series: int, from_ns: int, to_ns: int) -> list[tuple[Connection, ChunkSummaries]]:
        """The series' chunks that may hold a row of the range, by month file."""
        by_month = []
        for month in self._files.months():
            try:
                table = _parts(month, series, from_ns, to_ns, self._sealed)
            except (sqlite3.Error, UnicodeDecodeError) as error:
                if isinstance(error, sqlite3.Error) and is_full(error):
                    raise
                if "no such table" not in str(error):  # else a month that the writer is just beginning
                    self.damage.append(UnreadableSamples(from_ns, to_ns, 0))
                continue
            if table:
                by_month.append((month, ChunkSummaries.of(table).believed()))
        return by_month

    def opened(self, month: Connection, series: int, parts: ChunkSummaries) -> Iterator[tuple[int, Rows]]:
        """Number and rows of each of these chunks that is still there (retention may take one at any moment)."""
        return self._each(month, series, parts, lambda body: chunk.decode(body, series))

    def readings(self, month: Connection, series: int, parts: ChunkSummaries) -> Iterator[tuple[int, ChartRows]]:
        """As `opened`, only what a chart needs."""
        return self._each(month, series, parts, chunk.readings)

    def marked(self, month: Connection, series: int, parts: ChunkSummaries) -> Iterator[tuple[int, Rows | None]]:
        """As `opened`, but None for a chunk whose samples are all good by their quality and have no mark."""
        return self._each(
            month, series, parts, lambda body: None if chunk.is_plain(body) else chunk.decode(body, series)
        )

    def _each(
        self, month: Connection, series: int, parts: ChunkSummaries, decode: Callable[[bytes], _Opened]
    ) -> Iterator[tuple[int, _Opened]]:
        columns = (parts.id, parts.t0, parts.t1, parts.rows)
        for number, t0, t1, n in zip(*(column.tolist() for column in columns), strict=True):
            try:
                row = month.execute("SELECT series, t1, body FROM body WHERE id = ?", (number,)).fetchone()
                if row is None and month.execute(_STILL, (series, t1, number)).fetchone():
                    raise StoreError(f"chunk {number} is in the index alone")
                if row is None:
                    continue
                rows = decode(row[2])
                if rows is not None and not _fits(rows.time_ns, row[:2], (series, t0, t1, n)):
                    raise StoreError(f"chunk {number} is not what its index says")
            except (sqlite3.Error, StoreError, UnicodeDecodeError) as error:
                if isinstance(error, sqlite3.Error) and is_full(error):
                    raise
                self.damage.append(UnreadableSamples(t0, t1, n))
                continue
            yield number, rows


def _fits(times: Array, stored: tuple[int, int], indexed: tuple[int, int, int, int]) -> bool:
    """Whether a chunk holds what the index says: series, first and last time, how many rows."""
    return (stored[0], int(times.min()), stored[1], len(times)) == indexed and int(times.max()) == indexed[2]


def _parts(month: Connection, *values: int) -> list[tuple[Any, ...]]:
    try:
        return month.execute(_PARTS, values).fetchall()
    except sqlite3.OperationalError as error:
        if "no such column" not in str(error):
            raise
        return month.execute(_PARTS_BEFORE, values).fetchall()
