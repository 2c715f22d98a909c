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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from protocol.errors import StoreError
from receiver.outputs.disk import Connection, is_full, open_reader
from receiver.outputs.historian import chunk, schema
from receiver.outputs.historian.buckets import ChunkSummaries
from receiver.outputs.historian.rows import Rows, join, unpack
from receiver.outputs.historian.shelves import SHELF_SERIES

_PARTS = """SELECT id, t0, t1, n, count, low, high, total FROM chunk
    WHERE series = ? AND t1 >= ? AND t0 < ? AND id <= ?"""
_STILL = "SELECT 1 FROM chunk WHERE series = ? AND t1 = ? AND id = ?"


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
        self._groups: dict[tuple[str, int], tuple[bytes, Rows]] = {}
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

    def unpacked(self, groups: list[tuple[str, int, bytes]]) -> list[Rows]:
        """Groups of hot rows, given by table, number and body, in that order.

        Those of the last call are kept, so that what all series share (`fresh`), and the shelf of a series that is
        asked about once more, are unpacked once. A number may come again for another body: bodies are compared.
        """
        kept = {}
        for table, one, body in groups:
            known = self._groups.get((table, one))
            with contextlib.suppress(StoreError):  # the writer drops it, counts its rows and reads the journal for them
                kept[table, one] = known if known is not None and known[0] == body else (body, unpack(body))
        self._groups = kept
        return [rows for _, rows in kept.values()]

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

    def hot(self, series: int) -> Rows:
        """The series' rows that are not sealed, those of one block in their order."""
        pieces = self.rows("SELECT 'piece', id, body FROM piece WHERE shelf = ? ORDER BY id", series // SHELF_SERIES)
        groups = self._files.unpacked([*pieces, *self.rows("SELECT 'fresh', id, body FROM fresh ORDER BY id")])
        return join([group.pick(np.flatnonzero(group.series == series)) for group in groups])

    def chunks(self, series: int, from_ns: int, to_ns: int) -> list[tuple[Connection, ChunkSummaries]]:
        """The series' chunks that may hold a row of the range, by month file."""
        by_month = []
        for month in self._files.months():
            try:
                table = month.execute(_PARTS, (series, from_ns, to_ns, self._sealed)).fetchall()
            except (sqlite3.Error, UnicodeDecodeError) as error:
                if isinstance(error, sqlite3.Error) and is_full(error):
                    raise
                if "no such table" not in str(error):  # else a month that the writer is just beginning
                    self.damage.append(UnreadableSamples(from_ns, to_ns, 0))
                continue
            if table:
                by_month.append((month, ChunkSummaries.of(table)))
        return by_month

    def opened(self, month: Connection, series: int, parts: ChunkSummaries) -> Iterator[tuple[int, Rows]]:
        """Number and rows of each of these chunks that is still there (retention may take one at any moment)."""
        columns = (parts.id, parts.t0, parts.t1, parts.rows)
        for number, t0, t1, n in zip(*(column.tolist() for column in columns), strict=True):
            try:
                row = month.execute("SELECT series, t1, body FROM body WHERE id = ?", (number,)).fetchone()
                if row is None and month.execute(_STILL, (series, t1, number)).fetchone():
                    raise StoreError(f"chunk {number} is in the index alone")
                if row is None:
                    continue
                rows = chunk.decode(row[2], series)
                indexed = (series, t0, t1, n)
                if (row[0], int(rows.time_ns.min()), row[1], len(rows)) != indexed or int(rows.time_ns.max()) != t1:
                    raise StoreError(f"chunk {number} is not what its index says")
            except (sqlite3.Error, StoreError, UnicodeDecodeError) as error:
                if isinstance(error, sqlite3.Error) and is_full(error):
                    raise
                self.damage.append(UnreadableSamples(t0, t1, n))
                continue
            yield number, rows
