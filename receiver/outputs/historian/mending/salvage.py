"""What can be read of a damaged `current.db`, and be believed (read-only; the file stays as it is).

Tables are read from both ends, so that a damaged page in the middle costs its own rows. A row must be one that its
table would take: each is put into a table of the same shape in memory. Hot rows are packed under a
checksum: what unpacks is what was written. Descriptions are told twice, as columns and as a body: where the two
disagree neither is believed. Counts have no such second witness, so they are taken only if all of them can be read,
and only where no month has a copy.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from protocol.errors import StoreError
from receiver.outputs.disk import UNBELIEVED, Connection, open_reader
from receiver.outputs.historian import schema
from receiver.outputs.historian.codec.group import unpack
from receiver.outputs.historian.hot.shelves import SHELF_SERIES, by_shelf
from receiver.outputs.historian.mending.copies import COUNTS, GROWING, NAMES, Row, Tables
from receiver.outputs.historian.mending.duplicates import distinct
from receiver.outputs.historian.rows import Rows
from receiver.outputs.historian.series import source_of

MOST_ROWS = 1_000_000
"""Most rows read of a table from either end, newest first: a history of before may hold years of minutes."""
_LATER = ("present",)
"""Tables that a file of version 1 does not have."""
_TWICE = {"asset": ((2, "name"),), "series": ((1, "asset"), (2, "name"), (3, "type"), (4, "unit"), (5, "address"))}
"""Columns of descriptions that their bodies tell too; a series' asset by its name, its address with its conversion."""


class Salvage:
    """A `current.db` that is not to be written any more."""

    def __init__(self, path: Path | None) -> None:
        """
        Args:
            path: The file; None for none, of which nothing can be read.
        """
        self._connection: Connection | None = None
        self._empty = sqlite3.connect(":memory:", isolation_level=None)
        self._empty.executescript(schema.CURRENT)
        self._read: dict[tuple[str, str], tuple[list[Row], bool]] = {}
        self.unread = 0
        """Groups of hot rows that could not be read; at least one for each place where reading ended."""
        with contextlib.suppress(sqlite3.Error, OSError):
            self._connection = None if path is None else open_reader(path)

    def names(self) -> Tables:
        """Streams, assets and series that can be believed."""
        assets = {row[0]: row[2] for row in self._rows("asset")[0] if _sound("asset", row, {})}
        return {table: [row for row in self._rows(table)[0] if _sound(table, row, assets)] for table in NAMES}

    def counts(self) -> tuple[Tables, Mapping[str, Any]] | None:
        """What had come and how much, and the numbers in meta; None where any of it cannot be read."""
        tables: Tables = {}
        for table in ("meta", *COUNTS, *GROWING, "minute"):
            rows, whole = self._rows(table)
            if not whole and table not in ("month", "minute", "standing", *GROWING):
                return None
            tables[table] = rows
        tables["minute"] = [row[1:] for row in tables["minute"]]
        return tables, dict(tables.pop("meta"))

    def hot(self) -> Iterator[Rows]:
        """Rows that are not sealed, a shelf at a time, each once."""
        fresh: dict[int, list[Rows]] = {}
        for row in self._rows("fresh")[0]:
            for group in self._unpacked(row[-1]):
                for shelf, part in by_shelf(group):
                    fresh.setdefault(shelf, []).append(part)
        pieces: dict[int, list[int]] = {}
        for row in self._rows("piece", "id, shelf")[0]:
            pieces.setdefault(row[1], []).append(row[0])
        for shelf in sorted({*fresh, *pieces}):
            groups = []
            for one in sorted(pieces.get(shelf, [])):
                for (body,) in self._asked("SELECT body FROM piece WHERE id = ?", one):
                    groups += [group.pick(group.series // SHELF_SERIES == shelf) for group in self._unpacked(body)]
            yield distinct([*groups, *fresh.get(shelf, [])])

    def close(self) -> None:
        """Let go of the file."""
        self._empty.close()
        if self._connection is not None:
            self._connection.close()

    def _takes(self, put: str, row: Row) -> bool:
        try:
            return self._empty.execute(put, row).rowcount == 1
        except (sqlite3.Error, *UNBELIEVED):
            return False

    def _unpacked(self, body: object) -> list[Rows]:
        try:
            return [unpack(body)] if isinstance(body, bytes) else []
        except StoreError:
            self.unread += 1
            return []

    def _asked(self, sql: str, *values: int) -> list[Row]:
        try:
            return self._connection.execute(sql, values).fetchall() if self._connection else []
        except (sqlite3.Error, *UNBELIEVED):
            self.unread += 1
            return []

    def _rows(self, table: str, columns: str = "*") -> tuple[list[Row], bool]:
        """Rows that can be read from either end, and whether that is all."""
        if self._connection is None:
            return [], False
        if (table, columns) not in self._read:
            self._read[table, columns] = self._read_rows(self._connection, table, columns)
        return self._read[table, columns]

    def _read_rows(self, connection: Connection, table: str, columns: str) -> tuple[list[Row], bool]:
        rows: dict[Row, None] = {}
        whole = True
        sound = self._empty.execute(f"SELECT * FROM {table} LIMIT 0").description  # noqa: S608  names from above
        put = f"INSERT OR IGNORE INTO {table} VALUES ({','.join('?' * len(sound))})"  # noqa: S608
        for way in ("DESC", "ASC"):
            try:
                sql = f"SELECT {columns} FROM {table} ORDER BY 1 {way} LIMIT {MOST_ROWS}"  # noqa: S608
                for row in connection.execute(sql):
                    if columns != "*" or row in rows or self._takes(put, row):
                        rows[row] = None
                    else:
                        whole = False
                break
            except (sqlite3.Error, *UNBELIEVED) as error:
                whole = table in _LATER and "no such table" in str(error)
        whole = whole and len(rows) < MOST_ROWS
        self.unread += 0 if whole or table not in ("fresh", "piece") else 1
        return list(rows), whole


def _sound(table: str, row: Row, assets: Mapping[int, str]) -> bool:
    if table not in _TWICE:
        return True
    try:
        body = orjson.loads(row[-1])
        if table == "series":
            body["address"] = source_of(body["address"], body.get("conversion", ""))
        return all(body[key] == (assets[row[at]] if key == "asset" else row[at]) for at, key in _TWICE[table])
    except (orjson.JSONDecodeError, *UNBELIEVED):
        return False
