"""What is old goes: by the history's own age, never by a clock.

The age is running time summed over starts: each call adds what the wall clock moved on since the last one, at most
`MOST_STEP_S` and never backwards. A clock that jumps to 2040 and back ages the history by minutes and drops nothing;
time in which the receiver stood still is not counted, so data are kept rather longer than asked than shorter.

Once an hour of age the highest number in each table is noted. What is older than the retention is then everything up
to the numbers noted that long ago. Rows not sealed yet are not dropped; they are a few hundred a series.
"""

from __future__ import annotations

from receiver.outputs.historian.disk import Connection, Writes
from receiver.outputs.historian.seal import Shelves

MOST_STEP_S = 600.0
"""Most time one call adds [s]: a caller comes about once a minute, so a longer step is a clock being set."""
NOTE_NS = 3600 * 10**9
WRITE_NS = 60 * 10**9
"""Age is written down this often: a crash makes the history younger by no more."""
STEP_ROWS = 4096
"""Most rows deleted of a table in one call."""

_TABLES = ("state", "event", "tally", "minute")


class Age:
    """The history's age and the notes on how far its tables had come."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        held = connection.execute("SELECT value FROM meta WHERE key = 'age_ns'").fetchone()
        noted = connection.execute("SELECT max(age_ns) FROM age").fetchone()
        self.age_ns: int = held[0] if held else 0
        """Running time of this history [ns]."""
        self._written_ns = self.age_ns
        self._noted_ns: int | None = noted[0]
        self._now_ns: int | None = None

    def retain(self, now_ns: int, keep_s: float, shelves: Shelves) -> int:
        """Grow older, and drop a bounded part of what is older than `keep_s`.

        Args:
            now_ns: Wall time; only its steps count.
            keep_s: How long to keep [s].

        Returns:
            Chunks and rows dropped.
        """
        if self._now_ns is not None:
            self.age_ns += min(max(now_ns - self._now_ns, 0), int(MOST_STEP_S * 1e9))
        self._now_ns = now_ns
        writes = Writes()
        if self._noted_ns is None or self.age_ns - self._noted_ns >= NOTE_NS:
            tops = [self._top(table) for table in _TABLES]
            writes.add("REPLACE INTO age VALUES (?, ?, ?, ?, ?, ?)", [(self.age_ns, shelves.sealed, *tops)])
            self._noted_ns = self.age_ns
        if self.age_ns - self._written_ns >= WRITE_NS:
            writes.add("REPLACE INTO meta VALUES ('age_ns', ?)", [(self.age_ns,)])
            self._written_ns = self.age_ns
        gone = self._drop(int(self.age_ns - keep_s * 1e9), shelves, writes)
        if writes:
            writes.run(self._connection)
        return gone

    def _drop(self, before_ns: int, shelves: Shelves, writes: Writes) -> int:
        noted = self._connection.execute(
            "SELECT age_ns, chunk, state, event, tally, minute FROM age WHERE age_ns <= ? ORDER BY age_ns DESC LIMIT 1",
            (before_ns,),
        ).fetchone()
        if noted is None:
            return 0
        gone = shelves.forget(noted[1])
        for table, top in zip(_TABLES, noted[2:], strict=True):
            rows = self._connection.execute(
                f"SELECT id FROM {table} WHERE id <= ? ORDER BY id LIMIT ?",  # noqa: S608  names from above
                (top, STEP_ROWS),
            ).fetchall()
            writes.add(f"DELETE FROM {table} WHERE id = ?", rows)  # noqa: S608
            gone += len(rows)
        if not gone:
            writes.add("DELETE FROM age WHERE age_ns < ?", self._older(noted[0]))
        return gone

    def _older(self, age_ns: int) -> list[tuple[int]]:
        held = self._connection.execute("SELECT 1 FROM age WHERE age_ns < ? LIMIT 1", (age_ns,)).fetchone()
        return [(age_ns,)] if held else []

    def _top(self, table: str) -> int:
        held = self._connection.execute(f"SELECT max(id) FROM {table}").fetchone()  # noqa: S608  names from above
        return int(held[0] or 0)
