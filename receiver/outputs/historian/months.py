"""The files of sealed chunks: written by one process, a file for each month of sealing.

Chunk numbers rise through all files and are never reused once real. What stands above the newest real number was
written by a sealing that did not reach its end, and is discarded before the next one begins. With chunks goes whose
they are (`mending/copies.py`). A file that turns out not to be what was written is set aside and told in `lost`; a new
one of its name is begun.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from protocol.errors import StoreError
from receiver.outputs import disk
from receiver.outputs.disk import Connection, DamageError, Writes, sorted_errors
from receiver.outputs.historian import schema
from receiver.outputs.historian.hot.sealing import Chunk
from receiver.outputs.historian.mending.copies import NAMES, REPLACE, Tables, pack, unpack

LOG_PAGES = 256
"""Pages in a month's log at which they are written back: 8 MB, some ten sealings."""
PAGE_BYTES = 32768
"""Of a month: chunks of one to two kilobytes leave 6 % of them empty, 20 % of those of 8192."""
FORGET_CHUNKS = 4096
"""Most chunks deleted in one step: about 30 ms."""

_Done = TypeVar("_Done")


class Months:
    """The month files of a folder, for their one writer."""

    def __init__(self, folder: Path, *, clock: Callable[[], int]) -> None:
        """
        Args:
            clock: Wall time [ns since 1970 UTC]; it only names files.
        """
        self._folder = folder
        self._clock = clock
        self._open: dict[str, Connection] = {}
        self._named: dict[str, dict[str, set[int]]] = {}
        self.losing: Callable[[], None] = lambda: None
        """Called before a file is set aside: to note what will have to be done, whatever happens then."""
        self.lost: list[str] = []
        """What became of files that were damaged; whoever tells it, empties it."""

    def name(self) -> str:
        """The month of sealing now."""
        return f"{datetime.fromtimestamp(self._clock() // 10**9, UTC):%Y-%m}"

    def check(self, expected: Sequence[str]) -> None:
        """Open every file, so that what cannot be read at all is set aside now.

        Args:
            expected: Names that must be there; one that is gone is `lost`.
        """
        there = [path.stem for path in schema.month_paths(self._folder)]
        self.lost += [f"{name}.db is gone" for name in expected if name not in there]
        for name in there:
            self._safely(name, _looked_at)

    def files(self) -> Iterator[Connection]:
        """Every file, opened."""
        for path in schema.month_paths(self._folder):
            yield self._month(path.stem)

    def top(self) -> int:
        """Number of the newest chunk there is, real or not; 0 for none."""
        tops = [month.execute("SELECT max(id) FROM body").fetchone()[0] for month in self.files()]
        return max((top for top in tops if top is not None), default=0)

    def store(self, chunks: Sequence[Chunk], whose: Callable[[str, set[int]], Tables], streams: set[int]) -> None:
        """Write chunks durably, with whose they are. Raises sqlite3.Error; nothing is written then.

        Args:
            whose: Gives the rows of `series` or `stream` with these numbers, and what they need.
            streams: Numbers of the streams that the chunks' rows came from.
        """
        writes = Writes()
        writes.add("INSERT INTO chunk VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", [chunk[:-1] for chunk in chunks])
        writes.add("INSERT INTO body VALUES (?, ?, ?, ?)", [(c.id, c.series, c.t1, c.body) for c in chunks])
        wanted = {"series": {one.series for one in chunks}, "stream": streams}

        def work(month: Connection) -> bool:
            if name not in self._named:
                self._named[name] = _named(month)
            named = self._named[name]
            fresh = {table: numbers - named[table] for table, numbers in wanted.items()}
            whole = Writes()
            if any(fresh.values()):
                tables = {key: rows for table, ids in fresh.items() for key, rows in whose(table, ids).items()}
                whole.add(REPLACE, [("more", chunks[-1].id, pack(tables))])
            whole.extend(writes)
            whole.run(month)
            for table, numbers in fresh.items():
                named[table] |= numbers
            return True

        name = self.name()
        if not self._safely(name, work) and not self._safely(name, work):  # the second goes into a new file
            raise StoreError(f"{self._folder / name}.db: damaged again as soon as it was made anew")

    def copy(self, writes: Writes, *, known: dict[str, set[int]] | None) -> bool:
        """Put copies into the newest file there is; False where there is none, or it was set aside for damage.

        Args:
            known: The numbers that are named in them, where they name all.
        """
        name = self.newest()
        done = name is not None and self.put(name, writes)
        if done and name is not None and known is not None:
            self._named[name] = known
        return done

    def newest(self) -> str | None:
        """Name of the newest file."""
        paths = schema.month_paths(self._folder)
        return paths[-1].stem if paths else None

    def last_copy(self, what: str) -> Tables:
        """The newest file's newest copy of this kind; nothing where it has none that can be read."""
        name = self.newest()
        sql = "SELECT body FROM copy WHERE what = ? ORDER BY top DESC"
        copy = None if name is None else self._safely(name, lambda month: month.execute(sql, (what,)).fetchone())
        with contextlib.suppress(StoreError):
            return unpack(copy[0]) if copy else {}
        return {}

    def unnamed(self) -> list[str]:
        """Names of files that hold no copy at all: written before there were any."""
        return [
            path.stem
            for path in schema.month_paths(self._folder)
            if self._month(path.stem).execute("SELECT 1 FROM copy WHERE what IN ('names', 'more')").fetchone() is None
        ]

    def put(self, name: str, writes: Writes) -> bool:
        """Run these writes in one file; False where it was set aside for damage."""

        def work(month: Connection) -> bool:
            writes.run(month)
            return True

        self._named.pop(name, None)
        return bool(self._safely(name, work))

    def set_aside(self, name: str, why: str) -> str:
        """Give a file another name with the time; returns what came of it, in words."""
        path = self._folder / f"{name}.db"
        self.losing()
        self._shut(name)
        news = f"{path.name}: {why}: {disk.set_aside(path, self._clock())}"
        self.lost.append(news)
        return news

    def discard(self, above: int) -> None:
        """Drop the chunks numbered above the newest real one."""
        for path in schema.month_paths(self._folder):
            self._safely(path.stem, lambda month: _delete(month, "id > ?", above, -1))

    def forget(self, upto: int, gone: Callable[[str], None]) -> int:
        """Drop chunks up to this number, a bounded step of it; a file with no newer one is deleted.

        Args:
            gone: Told the name of a file before it is deleted.

        Returns:
            How many chunks went; call again until it is 0.
        """

        def work(month: Connection) -> tuple[int, bool]:
            newest = month.execute("SELECT max(id) FROM body").fetchone()[0]
            if newest is None or newest > upto:
                return _delete(month, "id <= ?", upto, FORGET_CHUNKS), False
            oldest = month.execute("SELECT min(id) FROM body").fetchone()[0]
            return int(newest - oldest + 1), True  # counting them would read the whole file

        for path in schema.month_paths(self._folder):
            count, whole = self._safely(path.stem, work) or (0, False)
            if whole:
                gone(path.stem)
                self._shut(path.stem)
                for suffix in ("", "-wal", "-shm"):  # in this order: a log without its database is discarded
                    path.with_name(path.name + suffix).unlink(missing_ok=True)
            if count:
                return count
        return 0

    def close(self) -> None:
        """Close all files."""
        for name in list(self._open):
            self._shut(name)

    def _shut(self, name: str) -> None:
        self._named.pop(name, None)
        if name in self._open:
            self._open.pop(name).close()

    def _month(self, name: str) -> Connection:
        if name not in self._open:
            path = self._folder / f"{name}.db"
            month = disk.open_writer(path, schema.MONTH, "chunk", log_pages=LOG_PAGES, page_bytes=PAGE_BYTES)
            self._open[name] = month
            if "cells" not in {row[1] for row in month.execute("PRAGMA table_info(chunk)")}:
                month.execute("ALTER TABLE chunk ADD COLUMN cells BLOB")  # a file of a build before roll-ups
        return self._open[name]

    def _safely(self, name: str, work: Callable[[Connection], _Done]) -> _Done | None:
        """What `work` gives on a file; None where the file was damaged: it is set aside then, and is in `lost`."""
        path = self._folder / f"{name}.db"
        try:
            with sorted_errors(path):
                return work(self._month(name))
        except DamageError as error:
            self.set_aside(name, str(error))
            return None


def _looked_at(month: Connection) -> None:
    """Touch every table, at both ends where that costs one page."""
    month.execute("SELECT max(id) FROM body").fetchone()
    month.execute("SELECT max(series) FROM chunk").fetchone()
    month.execute("SELECT what, max(top) FROM copy GROUP BY what").fetchall()


def _delete(month: Connection, which: str, number: int, limit: int) -> int:
    bodies = month.execute(
        f"SELECT series, t1, id FROM body WHERE {which} ORDER BY id LIMIT ?",  # noqa: S608  a fixed text
        (number, limit),
    ).fetchall()
    if bodies:
        writes = Writes()
        writes.add("DELETE FROM chunk WHERE series = ? AND t1 = ? AND id = ?", bodies)
        writes.add("DELETE FROM body WHERE id = ?", [(one,) for _, _, one in bodies])
        writes.run(month)
    return len(bodies)


def _named(month: Connection) -> dict[str, set[int]]:
    """Numbers of the series and streams that a file names."""
    named: dict[str, set[int]] = {table: set() for table in NAMES}
    try:
        for (body,) in month.execute("SELECT body FROM copy WHERE what IN ('names', 'more')"):
            for table, rows in unpack(body).items():
                named[table] |= {row[0] for row in rows}
    except (StoreError, sqlite3.DatabaseError, *disk.UNBELIEVED):
        return {table: set() for table in NAMES}  # they are written anew, with the next chunks
    return named
