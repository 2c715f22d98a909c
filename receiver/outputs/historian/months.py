"""The files of sealed chunks: written by one process, a file for each month of sealing.

Chunk numbers rise through all files and are never reused once real. What stands above the newest real number was
written by a sealing that did not reach its end, and is discarded before the next one begins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from receiver.outputs.disk import Connection, Writes, open_writer
from receiver.outputs.historian import schema

FORGET_CHUNKS = 4096
"""Most chunks deleted in one step: about 30 ms."""


class Chunk(NamedTuple):
    """A row of the table `chunk`, and the chunk's bytes."""

    series: int
    t1: int
    id: int
    t0: int
    rows: int
    usable: int
    low: float | None
    high: float | None
    total: float | None
    body: bytes


class Months:
    """The month files of a folder, for their one writer."""

    def __init__(self, folder: Path, *, clock: Callable[[], int]) -> None:
        """
        Args:
            clock: Wall time [ns since 1970 UTC]; it only names the file.
        """
        self._folder = folder
        self._clock = clock
        self._open: dict[str, Connection] = {}

    def store(self, chunks: Sequence[Chunk]) -> None:
        """Write chunks durably. Raises sqlite3.Error; nothing is written then."""
        writes = Writes()
        writes.add("INSERT INTO chunk VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", [chunk[:-1] for chunk in chunks])
        writes.add("INSERT INTO body VALUES (?, ?, ?, ?)", [(c.id, c.series, c.t1, c.body) for c in chunks])
        writes.run(self._month(f"{datetime.fromtimestamp(self._clock() // 10**9, UTC):%Y-%m}"))

    def discard(self, above: int) -> None:
        """Drop the chunks numbered above the newest real one."""
        for path in schema.month_paths(self._folder):
            self._delete(self._month(path.stem), "id > ?", above, -1)

    def forget(self, upto: int) -> int:
        """Drop chunks up to this number, a bounded step of it; a file with no newer one is deleted.

        Returns:
            How many chunks went; call again until it is 0.
        """
        for path in schema.month_paths(self._folder):
            month = self._month(path.stem)
            newest, held = month.execute("SELECT max(id), count(*) FROM body").fetchone()
            if newest is None or newest > upto:
                gone = self._delete(month, "id <= ?", upto, FORGET_CHUNKS)
            else:
                self._open.pop(path.stem).close()
                for suffix in ("", "-wal", "-shm"):  # in this order: a log without its database is discarded
                    path.with_name(path.name + suffix).unlink(missing_ok=True)
                gone = int(held)
            if gone:
                return gone
        return 0

    def close(self) -> None:
        """Close all files."""
        for month in self._open.values():
            month.close()
        self._open.clear()

    def _month(self, name: str) -> Connection:
        if name not in self._open:
            self._open[name] = open_writer(self._folder / f"{name}.db", schema.MONTH)
        return self._open[name]

    def _delete(self, month: Connection, which: str, number: int, limit: int) -> int:
        held = month.execute(
            f"SELECT series, t1, id FROM body WHERE {which} ORDER BY id LIMIT ?",  # noqa: S608  a fixed text
            (number, limit),
        ).fetchall()
        if held:
            writes = Writes()
            writes.add("DELETE FROM chunk WHERE series = ? AND t1 = ? AND id = ?", held)
            writes.add("DELETE FROM body WHERE id = ?", [(one,) for _, _, one in held])
            writes.run(month)
        return len(held)
