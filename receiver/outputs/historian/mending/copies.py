"""What a month file keeps of `current.db`, so that its chunks mean something when `current.db` is lost.

    what     top                    rows of                                      written
    names    hand-over              stream, asset, series: all                   with `counts`, where they changed
    more     newest chunk's number  stream, asset, series: those of its chunks   with the chunks, in one transaction
    counts   hand-over              COUNTS, and the numbers META                 once an hour of age, and at the end
    state, event, tally             those up to id `top` that no copy has        with `counts`
    minute   hand-over              those that changed since the last copy       with `counts`

A chunk is never in a file that does not say whose it is: `more` is committed with it. All else may be an hour old,
because the journal still has the blocks of that hour. Each copy is packed under a checksum: it is whole, or it is not
used.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgpack
import zstandard

from protocol.errors import StoreError
from receiver.outputs.disk import UNBELIEVED, Connection, Writes

Row: TypeAlias = tuple[Any, ...]
Tables: TypeAlias = dict[str, list[Row]]

NAMES = ("stream", "asset", "series")
COUNTS = ("span", "ending", "account", "tail", "condition", "present", "latest", "age", "month", "standing")
GROWING = ("state", "event", "tally")
"""Tables whose rows are written once, by rising id."""
META = ("mark", "age_ns", "swept_ns", "sealed", "hot", "version")

REPLACE = "REPLACE INTO copy (what, top, body) VALUES (?, ?, ?)"
_OLDER = "DELETE FROM copy WHERE what = ? AND top < ?"


def pack(tables: Tables) -> bytes:
    """The tables' rows as bytes."""
    return zstandard.ZstdCompressor(level=3, write_checksum=True).compress(msgpack.packb(tables))


def unpack(body: bytes) -> Tables:
    """The tables of `pack`'s bytes.

    Raises:
        StoreError: the bytes are not what was written.
    """
    try:
        tables = msgpack.unpackb(zstandard.ZstdDecompressor().decompress(body), use_list=False)
        return {table: list(rows) for table, rows in tables.items()}
    except (zstandard.ZstdError, AttributeError, *UNBELIEVED) as error:
        raise StoreError(f"a copy in the history cannot be read: {error}") from error


class Copies:
    """What of `current.db` is to be copied next; every copy goes to one month file."""

    def __init__(self, current: Connection, months: Iterable[Connection]) -> None:
        self._current = current
        self._tops = dict.fromkeys(GROWING, 0)
        self._names_top = -1
        for month in months:
            for what, top in month.execute("SELECT what, max(top) FROM copy GROUP BY what"):
                if what in self._tops:
                    self._tops[what] = max(self._tops[what], top)
                elif what == "names":
                    self._names_top = max(self._names_top, top)

    def writes(self, hot: int, minutes: Iterable[tuple[int, int]], *, names: bool) -> Writes:
        """All that is due, for a month file; call `done` once it is there.

        Args:
            hot: Rows that are not sealed now.
            minutes: (minute_ns, asset) of the minutes that changed since the last copy.
            names: Also where no description changed since the last copy: the file is another one.
        """
        meta: dict[str, Any] = dict(self._current.execute("SELECT key, value FROM meta"))
        mark = int(meta.get("mark", 0))
        writes = self.names() if names or self._names_top < int(meta.get("catalog", 0)) else Writes()
        counts = self._tables(COUNTS)
        counts["meta"] = [(key, value) for key, value in ({**meta, "hot": hot}).items() if key in META]
        writes.add(REPLACE, [("counts", mark, pack(counts))])
        writes.add(_OLDER, [("counts", mark)])
        for table, top in self._tops.items():
            rows = self._current.execute(f"SELECT * FROM {table} WHERE id > ? ORDER BY id", (top,)).fetchall()  # noqa: S608
            if rows:
                writes.add(REPLACE, [(table, rows[-1][0], pack({table: rows}))])
        minute_rows = [row for key in sorted(minutes) for row in self._current.execute(_MINUTE, key)]
        if minute_rows:
            writes.add(REPLACE, [("minute", mark, pack({"minute": minute_rows}))])
        return writes

    def names(self) -> Writes:
        """All descriptions, for a month file."""
        mark = self._meta("mark")
        writes = Writes()
        writes.add(REPLACE, [("names", mark, pack(self._tables(NAMES)))])
        writes.add(_OLDER, [("names", mark)])
        writes.add("DELETE FROM copy WHERE what = ?", [("more",)])
        return writes

    def done(self) -> None:
        """What `writes` gave last is in the file."""
        self._names_top = max(self._names_top, self._meta("mark"))
        for table in self._tops:
            row = self._current.execute(f"SELECT max(id) FROM {table}").fetchone()  # noqa: S608  names from above
            self._tops[table] = max(self._tops[table], row[0] or 0)

    def _tables(self, names: Sequence[str]) -> Tables:
        return {name: self._current.execute(f"SELECT * FROM {name}").fetchall() for name in names}  # noqa: S608

    def _meta(self, key: str) -> int:
        row = self._current.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return int(row[0]) if row else 0


_MINUTE = "SELECT minute_ns, asset, published, healed FROM minute WHERE minute_ns = ? AND asset = ?"


@dataclass(slots=True)
class Gathered:
    """All copies of a history, joined: the newest of each row."""

    tables: dict[str, dict[Any, Row]] = field(default_factory=dict)
    """Table -> key -> row."""
    meta: dict[str, Any] = field(default_factory=dict)
    counted: bool = False
    """`counts` were among them: what had come, how much, and what was lost."""
    top: int = 0
    """The hand-over at which they were made."""
    damaged: int = 0
    """Copies that could not be read."""

    def rows(self, table: str) -> list[Row]:
        """A table's rows."""
        return list(self.tables.get(table, {}).values())

    def add(self, tables: Mapping[str, Sequence[Row]]) -> None:
        """Take in rows that are newer than those held."""
        for table, rows in tables.items():
            rows_of = self.tables.setdefault(table, {})
            for row in rows:
                key = row[:2] if table in ("span", "account", "minute") else row[:3] if table == "standing" else row[0]
                if table in ("asset", "series") and key in rows_of and _rank(table, row) < _rank(table, rows_of[key]):
                    continue
                rows_of[key] = row


def gather(months: Iterable[Connection]) -> Gathered:
    """Read the names and the newest counts. A file without copies, or one that cannot be read on, gives what it has."""
    gathered = Gathered()
    parts: list[tuple[str, int, bytes]] = []
    for month in months:
        try:
            parts += month.execute(_NAMES_AND_COUNTS).fetchall()
        except (sqlite3.Error, *UNBELIEVED) as error:
            if "no such table" not in str(error):
                gathered.damaged += 1
    for what, top, body in sorted(parts, key=lambda part: part[1], reverse=True):
        if what != "counts" or gathered.counted:
            continue
        try:
            tables = unpack(body)
            gathered.meta = dict(tables.pop("meta", []))
            gathered.add(tables)
        except (StoreError, *UNBELIEVED):
            gathered.damaged += 1
            continue
        gathered.counted, gathered.top = True, top
    for what, _, body in sorted(parts, key=lambda part: part[1]):
        try:
            gathered.add(unpack(body) if what != "counts" else {})
        except (StoreError, *UNBELIEVED):
            gathered.damaged += 1
    return gathered


def growing(months: Sequence[Connection], table: str, upto: int | None) -> Iterator[Row]:
    """Rows of the copies of one growing table or of `minute`, oldest copy first, a copy at a time.

    Args:
        upto: Only of copies whose `top` is not above this; None for all.
    """
    parts: list[tuple[int, int, int]] = []
    for at, month in enumerate(months):
        with contextlib.suppress(sqlite3.Error):
            parts += [(top, at, one) for one, top in month.execute(_TOPS, (table,)) if upto is None or top <= upto]
    for _, at, one in sorted(parts):
        with contextlib.suppress(sqlite3.Error, StoreError):
            for (body,) in months[at].execute("SELECT body FROM copy WHERE id = ?", (one,)).fetchall():
                yield from unpack(body).get(table, [])


_NAMES_AND_COUNTS = "SELECT what, top, body FROM copy WHERE what IN ('names', 'more', 'counts')"
_TOPS = "SELECT id, top FROM copy WHERE what = ?"


def _rank(table: str, row: Row) -> Row:
    at = 3 if table == "asset" else 6
    return tuple(row[at : at + 2])
