"""Rows as they came: a group of them a hand-over, durable with it, until they are put on shelves (`shelves.py`).

Many small groups are joined, newest first, each into what is at most twice as large: a row is rewritten a few times,
and there are never many more than `FRESH_GROUPS` for a reader to open. A group's number is that of its hand-over, so it
names one body for ever.
"""

from __future__ import annotations

from dataclasses import dataclass

from protocol.errors import StoreError
from receiver.outputs.disk import Connection, Writes
from receiver.outputs.historian.codec.group import pack, unpack
from receiver.outputs.historian.rows import Rows, join, weight

FRESH_ROWS = 262_144
"""Rows at which they are put on their shelves: at 5,000 series that makes some 1,700 rows a piece, at 20,000 400; a
quarter of it would double what a row costs to store. A reader unpacks each group once, this many rows in 5 ms."""
FRESH_GROUPS = 48
"""Groups from which on they are joined: each costs a reader about 60 us."""
FRESH_BYTES = 24 * 1024 * 1024
"""Same as `FRESH_ROWS`, by what they weigh unpacked: long texts."""


@dataclass(frozen=True, slots=True)
class _FreshGroup:
    id: int
    rows: Rows


class Fresh:
    """The table `fresh`, in memory as in the file."""

    def __init__(self, connection: Connection) -> None:
        self.damaged: list[tuple[int, int]] = []
        """Number and count of rows of groups that cannot be read."""
        self._groups: list[_FreshGroup] = []
        for one, n, body in connection.execute("SELECT id, n, body FROM fresh ORDER BY id").fetchall():
            try:
                self._groups.append(_FreshGroup(one, unpack(body)))
            except StoreError:
                self.damaged.append((one, n))
        self._count()

    def __len__(self) -> int:
        """How many rows."""
        return self._rows

    @property
    def full(self) -> bool:
        """They are to be put on shelves."""
        return self._rows >= FRESH_ROWS or self._weight >= FRESH_BYTES

    def add(self, rows: Rows, mark: int, writes: Writes) -> None:
        """Hold the rows of a hand-over; they are written unless `full` then: whoever sees that, empties it.

        Args:
            mark: Number of the hand-over.
        """
        held = [_FreshGroup(mark, rows.trimmed())]
        self._rows += len(rows)
        self._weight += weight(held[0].rows)
        if self.full:
            self._groups += held
            return
        if len(self._groups) + 1 >= FRESH_GROUPS:
            while self._groups and len(self._groups[-1].rows) <= 2 * sum(len(one.rows) for one in held):
                held.insert(0, self._groups.pop())
            writes.add("DELETE FROM fresh WHERE id = ?", [(one.id,) for one in held[:-1]])
        self._groups.append(_FreshGroup(mark, join([one.rows for one in held])))
        joined = self._groups[-1].rows
        writes.add("INSERT INTO fresh VALUES (?, ?, ?)", [(mark, len(joined), pack(joined))])

    def empty(self, writes: Writes) -> list[Rows]:
        """Take all of them out."""
        rows = [one.rows for one in self._groups]
        writes.add("DELETE FROM fresh WHERE id <= ?", [(one.id,) for one in self._groups[-1:]])
        self._groups = []
        self._count()
        return rows

    def put_back(self, other: list[_FreshGroup]) -> None:
        """What `empty` took out is there as before: it was not written."""
        self._groups = other
        self._count()

    def groups(self) -> list[_FreshGroup]:
        """For `put_back`."""
        return list(self._groups)

    def _count(self) -> None:
        self._rows = sum(len(one.rows) for one in self._groups)
        self._weight = sum(weight(one.rows) for one in self._groups)
