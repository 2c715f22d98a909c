"""Hot rows: stored at once, gathered by shelf, sealed into chunks, each step bounded so that no hand-over waits long.

    take -> fresh (one group a hand-over) -> pieces (one group a shelf) -> merged pieces -> chunks in a month file

A shelf is 32 neighbouring series. Grouping by shelf keeps two costs low at once: a hand-over of ten thousand series
becomes some hundred groups rather than ten thousand, and reading one series opens one shelf rather than everything.
Eight pieces of a level become one of the next, so a row is rewritten a few times and a shelf holds a few dozen pieces.
A shelf with enough rows is sealed: each of its series that has enough becomes chunks, the rest stays as one piece.
Sealed means closed for good, in a chunk that no row is added to; no key has to do with it.

Late rows need no path of their own: they seal into chunks that overlap older ones in time, and readers sort. Once a
day of the history's age everything that is hot is sealed, also the few rows of slow series: what is in a chunk can be
read without `current.db`. A group that does not unpack is dropped and counted; its rows are taken from the journal.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from protocol.content.array import Array
from protocol.errors import StoreError
from receiver.outputs.disk import Connection, DamageError, Writes, is_full
from receiver.outputs.historian.codec.group import pack, pack_each, unpack
from receiver.outputs.historian.hot.fresh import Fresh
from receiver.outputs.historian.hot.sealing import Chunk, chunks_of, runs
from receiver.outputs.historian.mending.copies import Tables
from receiver.outputs.historian.months import Months
from receiver.outputs.historian.rows import Rows, join, order, weight

SHELF_SERIES = 32
"""Series of a shelf: at 1,024 rows each a shelf is sealed in about 10 ms, and read in about 1."""
MERGE_PIECES = 8
SEAL_ROWS = SHELF_SERIES * 1024
"""Rows of a shelf at which it is sealed, and up to half as many more: see `_full`."""
SEAL_BYTES = 8 * 1024 * 1024
"""Same, by what they weigh unpacked."""
LEAST_ROWS = 256
"""A series with fewer stays hot when its shelf is sealed: small chunks cost space and reading time for ever."""


_PIECE = "INSERT INTO piece VALUES (?, ?, ?, ?, ?, ?)"
_COUNTER = "REPLACE INTO meta VALUES ('pieces', ?)"
"""Numbers of pieces are never used again: readers keep what they unpacked by it."""


@dataclass(frozen=True, slots=True)
class _Piece:
    id: int
    level: int
    n: int
    weight: int


@dataclass(frozen=True, slots=True)
class _Move:
    """What takes the place of some pieces of a shelf: one piece or none, and chunks."""

    shelf: int
    old: list[_Piece]
    rows: Rows
    level: int
    chunks: list[Chunk]
    streams: set[int]
    """Those that the chunks' rows came from."""


class Shelves:
    """The hot rows and their way into chunks; the only writer of `fresh`, `piece` and the month files."""

    def __init__(self, current: Connection, months: Months) -> None:
        self._current = current
        self._months = months
        self._fresh = Fresh(current)
        self._piece_id = 0
        self._pieces: defaultdict[int, list[_Piece]] = defaultdict(list)
        self._due: dict[int, None] = {}
        self._swept: set[int] = set()
        """Shelves to be sealed whole, also where a series has few rows."""
        self.damaged = 0
        """Hot rows dropped because their group cannot be read; whoever takes them from the journal sets it to 0."""
        self.sealed = 0
        """Number of the newest chunk that is real."""
        self._doubtful = True
        """Chunks above `sealed` may stand in month files: left by a writer that was stopped in between."""
        self.trouble = ""
        """Why sealing waits; empty where it does not."""
        self._load()

    @property
    def sweeping(self) -> bool:
        """What `sweep` began is not at its end."""
        return bool(self._swept)

    @property
    def due(self) -> bool:
        """Something is to be merged or sealed."""
        return bool(self._due)

    def hot(self) -> int:
        """Rows not sealed yet."""
        return len(self._fresh) + sum(p.n for pieces in self._pieces.values() for p in pieces)

    def add(self, rows: Rows, mark: int, writes: Writes) -> None:
        """Store rows, in the sender's order within each series.

        Args:
            mark: Number of the hand-over.
        """
        if len(rows):
            self._fresh.add(rows, mark, writes)
        if self._fresh.full:
            self._put_on_shelves(writes)

    def sweep(self) -> None:
        """Have everything that is hot now sealed: `tidy` does it, part by part. Raises sqlite3.Error on a full disk."""
        if len(self._fresh):
            fresh, before = self._fresh.groups(), {shelf: list(pieces) for shelf, pieces in self._pieces.items()}
            writes = Writes()
            self._put_on_shelves(writes)
            try:
                writes.run(self._current)
            except sqlite3.Error:
                self._fresh.put_back(fresh)
                self._pieces = defaultdict(list, before)
                raise
        self._swept = {shelf for shelf, pieces in self._pieces.items() if pieces}
        self._due.update(dict.fromkeys(self._swept))

    def tidy(self, rows: int, rank: Callable[[], Array], unsigned: Array) -> None:
        """Merge and seal what is due, until at least `rows` rows are moved; a full disk puts it off.

        First all chunks are committed to their month, then all that goes with them to `current.db`.

        Args:
            rank: Gives each stream's place in the order of packer starts.
            unsigned: By series number: its integers are unsigned.
        """
        moves: list[_Move] = []
        order_of: Array | None = None
        number, moved = self.sealed, 0
        for shelf in self._due:
            if moves and moved > rows:
                break
            if shelf in self._swept or _heavy(shelf, self._pieces[shelf]):
                order_of = rank() if order_of is None else order_of
                moves.append(self._sealing(shelf, number, order_of, unsigned))
                number += len(moves[-1].chunks)
            else:
                moves.append(self._merging(shelf))
            moved += sum(piece.n for piece in moves[-1].old)
        if not moves:
            return
        try:
            self._commit(moves, number)
            self.trouble = ""
        except sqlite3.Error as error:
            if not is_full(error):
                raise
            self.trouble = f"sealing waits: {error}"

    def forget(self, upto: int) -> int:
        """Drop chunks up to this number, a bounded step; returns how many went."""

        def gone(name: str) -> None:
            self._current.execute("DELETE FROM month WHERE name = ?", (name,))

        return self._months.forget(min(upto, self.sealed), gone)

    def _load(self) -> None:
        for one, n in self._fresh.damaged:
            self._drop("fresh", one, n)
        row = self._current.execute("SELECT value FROM meta WHERE key = 'pieces'").fetchone()
        self._piece_id = row[0] if row else 0
        for one, shelf, level, n, heavy in self._current.execute("SELECT id, shelf, level, n, weight FROM piece"):
            self._pieces[shelf].append(_Piece(one, level, n, heavy))
            self._piece_id = max(self._piece_id, one)
        for shelf in list(self._pieces):
            self._note_due(shelf)
        row = self._current.execute("SELECT value FROM meta WHERE key = 'sealed'").fetchone()
        self.sealed = row[0] if row else 0
        checked = self._current.execute("SELECT value FROM meta WHERE key = 'unsealed'").fetchone()
        if checked is not None and checked[0] != -self.sealed:
            raise DamageError("the number of the newest chunk is told in two ways")  # what is above it would go

    def take_over(self, chunks: Sequence[Chunk], streams: set[int]) -> None:
        """Store chunks numbered on from `sealed` that are made of no hot rows. Raises sqlite3.Error on a full disk.

        Args:
            streams: Numbers of the streams that their rows came from.
        """
        number = chunks[-1].id
        self._store_chunks([_Move(0, [], join([]), 0, list(chunks), streams)])
        self._raised(number, chunks).run(self._current)
        self.sealed, self._doubtful = number, False

    def _raised(self, number: int, chunks: Sequence[Chunk]) -> Writes:
        """Chunks up to this number are real."""
        writes = Writes()
        writes.add("REPLACE INTO meta VALUES (?, ?)", [("sealed", number), ("unsealed", -number)])
        if chunks:
            writes.add("REPLACE INTO month VALUES (?)", [(self._months.name(),)])
        return writes

    def _put_on_shelves(self, writes: Writes) -> None:
        rows = join(self._fresh.empty(writes)).by_series()
        parts = list(by_shelf(rows))
        if rows.texts:
            pieces = [self._new_piece(shelf, 0, part) for shelf, part in parts]
        else:
            bodies = pack_each(rows, [len(part) for _, part in parts])
            pieces = [
                self._noted(shelf, 0, len(part), weight(part), body)
                for (shelf, part), body in zip(parts, bodies, strict=True)
            ]
        writes.add(_PIECE, pieces)
        writes.add(_COUNTER, [(self._piece_id,)])

    def _drop(self, table: str, one: int, n: int) -> None:
        """Drop a group that cannot be read, and remember that the journal is to be read again for it."""
        writes = Writes()
        writes.add(f"DELETE FROM {table} WHERE id = ?", [(one,)])  # noqa: S608  a fixed name
        writes.add("REPLACE INTO meta VALUES ('again', ?)", [(1,)])
        writes.run(self._current)
        self.damaged += n

    def _new_piece(self, shelf: int, level: int, rows: Rows) -> tuple[int, int, int, int, int, bytes]:
        rows = rows.trimmed()
        return self._noted(shelf, level, len(rows), weight(rows), pack(rows))

    def _noted(self, shelf: int, level: int, n: int, heavy: int, body: bytes) -> tuple[int, int, int, int, int, bytes]:
        """A new piece, as it is to be written."""
        self._piece_id += 1
        self._pieces[shelf].append(_Piece(self._piece_id, level, n, heavy))
        self._note_due(shelf)
        return self._piece_id, shelf, level, n, heavy, body

    def _note_due(self, shelf: int) -> None:
        pieces = self._pieces[shelf]
        levels = [piece.level for piece in pieces]
        if _heavy(shelf, pieces) or any(levels.count(level) >= MERGE_PIECES for level in set(levels)):
            self._due[shelf] = None

    def _merging(self, shelf: int) -> _Move:
        """One piece of the next level in the place of those of the lowest level that has enough."""
        pieces = self._pieces[shelf]
        levels = [piece.level for piece in pieces]
        level = min(level for level in set(levels) if levels.count(level) >= MERGE_PIECES)
        old = [piece for piece in pieces if piece.level == level]
        rows = join(self._read(shelf, old))
        return _Move(shelf, old, rows, level + 1, [], set())

    def _sealing(self, shelf: int, number: int, rank: Array, unsigned: Array) -> _Move:
        """Chunks, numbered above `number`, in the place of a shelf's rows, but for series that have few."""
        old = list(self._pieces[shelf])
        rows = join(self._read(shelf, old))
        rows = rows.pick(order(rows, rank))
        least = LEAST_ROWS if len(rows) >= SEAL_ROWS and shelf not in self._swept else 1
        chunks, rest = chunks_of(rows, number, least=least, unsigned=lambda series: bool(unsigned[series]))
        return _Move(shelf, old, rest, 1, chunks, set(np.unique(rows.stream).tolist()))

    def _commit(self, moves: list[_Move], number: int) -> None:
        """Make the moves durable, and only then know them here. Raises sqlite3.Error; nothing has moved then."""
        # 1: the chunks stand in their month, durably, and are not real yet
        chunks = self._store_chunks(moves)
        # 2: one transaction makes them real and drops the rows they were made of
        before = {move.shelf: self._pieces[move.shelf] for move in moves}
        writes = self._raised(number, chunks)
        for move in moves:
            self._pieces[move.shelf] = [piece for piece in before[move.shelf] if piece not in move.old]
            writes.add("DELETE FROM piece WHERE id = ?", [(piece.id,) for piece in move.old])
            if len(move.rows):
                piece = self._new_piece(move.shelf, move.level, move.rows)
                writes.add(_PIECE, [piece])
                writes.add(_COUNTER, [(self._piece_id,)])
        try:
            writes.run(self._current)
        except sqlite3.Error:
            self._pieces.update(before)
            raise
        # 3: it is so on the disk, now also in memory
        self.sealed, self._doubtful = number, self._doubtful and not chunks
        for move in moves:
            self._due.pop(move.shelf)
            self._swept.discard(move.shelf)
            self._note_due(move.shelf)

    def _store_chunks(self, moves: Sequence[_Move]) -> list[Chunk]:
        chunks = [chunk for move in moves for chunk in move.chunks]
        if chunks:
            if self._doubtful:
                self._months.discard(self.sealed)
            self._doubtful = True
            streams = {one for move in moves if move.chunks for one in move.streams}
            self._months.store(chunks, self._whose, streams)
        return chunks

    def _read(self, shelf: int, pieces: list[_Piece]) -> list[Rows]:
        """Their rows; a piece that cannot be read is dropped, from the list as well."""
        groups = []
        for piece in sorted(pieces, key=lambda one: one.id):
            (body,) = self._current.execute("SELECT body FROM piece WHERE id = ?", (piece.id,)).fetchone()
            try:
                groups.append(unpack(body))
            except StoreError:
                self._drop("piece", piece.id, piece.n)
                self._pieces[shelf].remove(piece)
                pieces.remove(piece)
        return groups

    def _whose(self, table: str, ids: set[int]) -> Tables:
        """Descriptions of these series or streams."""

        def rows(name: str, wanted: set[int]) -> list[tuple[Any, ...]]:
            sql = f"SELECT * FROM {name} WHERE id = ?"  # noqa: S608  a fixed name
            return [row for one in sorted(wanted) for row in self._current.execute(sql, (one,))]

        described = rows(table, ids)
        return (
            {"stream": described}
            if table == "stream"
            else {"series": described, "asset": rows("asset", {row[1] for row in described})}
        )


def _full(shelf: int) -> int:
    """Rows at which this shelf is sealed: each at another, or a plant that is read at one period would be sealed in
    one go, half a minute of a whole core at 20,000 series."""
    return SEAL_ROWS + SEAL_ROWS * (shelf % 32) // 64


def _heavy(shelf: int, pieces: list[_Piece]) -> bool:
    return sum(p.n for p in pieces) >= _full(shelf) or sum(p.weight for p in pieces) >= SEAL_BYTES


def by_shelf(rows: Rows) -> Iterator[tuple[int, Rows]]:
    """The rows of each shelf, by series."""
    rows = rows.by_series()
    shelves = rows.series // SHELF_SERIES
    for part in runs(shelves):
        yield int(shelves[part.start]), rows.pick(part)
