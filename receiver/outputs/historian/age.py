"""What is old goes: by the history's own age, never by a clock.

The age is running time summed over starts: each call adds what the wall clock moved on since the last one, at most
`MOST_STEP_S` and never backwards. A clock that jumps to 2040 and back ages the history by an hour;
time in which the receiver stood still is not counted, so data are kept rather longer than asked than shorter.

Once an hour of age the highest number in each table is noted. What is older than the retention is then everything up
to the numbers noted that long ago. Rows not sealed yet are not dropped; they are a few hundred a series.
"""

from __future__ import annotations

from receiver.outputs.disk import Connection, Writes
from receiver.outputs.historian.hot.shelves import Shelves

MOST_STEP_S = 3600.0
"""Most time one call adds [s]: callers come every few minutes, so a longer step is a clock being set."""
NOTE_NS = 3600 * 10**9
STEP_ROWS = 4096
"""Most rows deleted of a table in one step."""

_TABLES = ("state", "event", "tally", "minute")


class Age:
    """The history's age and the notes on how far its tables had come."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        row = connection.execute("SELECT value FROM meta WHERE key = 'age_ns'").fetchone()
        noted = connection.execute("SELECT max(age_ns) FROM age").fetchone()
        self.age_ns: int = row[0] if row else 0
        """Running time of this history [ns]."""
        self._noted_ns: int | None = noted[0]
        self._now_ns: int | None = None
        self._before_ns: int | None = None
        self.dropped = 0
        """Chunks and table rows dropped since the start."""

    @property
    def more(self) -> bool:
        """Something may be left to drop: call `drop`."""
        return self._before_ns is not None

    def grow(self, now_ns: int, keep_s: float, chunk: int) -> bool:
        """Grow older; from now on what is older than `keep_s` is to be dropped.

        Args:
            now_ns: Wall time; only its steps count.
            keep_s: How long to keep [s].
            chunk: Number of the newest chunk.

        Returns:
            Whether an hour of age went by since this was last true, or it never was.
        """
        if self._now_ns is not None:
            self.age_ns += min(max(now_ns - self._now_ns, 0), int(MOST_STEP_S * 1e9))
        self._now_ns = now_ns
        writes = Writes()
        note = self._noted_ns is None or self.age_ns - self._noted_ns >= NOTE_NS
        if note:
            tops = [self._top(table) for table in _TABLES]
            writes.add("REPLACE INTO age VALUES (?, ?, ?, ?, ?, ?)", [(self.age_ns, chunk, *tops)])
        writes.add("REPLACE INTO meta VALUES ('age_ns', ?)", [(self.age_ns,)])
        writes.run(self._connection)
        self._noted_ns = self.age_ns if note else self._noted_ns
        self._before_ns = int(self.age_ns - keep_s * 1e9)
        return note

    def drop(self, shelves: Shelves) -> None:
        """Drop a bounded part of what is older than was said last."""
        noted = self._connection.execute(
            "SELECT age_ns, chunk, state, event, tally, minute FROM age WHERE age_ns <= ? ORDER BY age_ns DESC LIMIT 1",
            (self._before_ns,),
        ).fetchone()
        if noted is None:
            self._before_ns = None
            return
        gone = shelves.forget(noted[1])
        writes = Writes()
        for table, top in zip(_TABLES, noted[2:], strict=True):
            rows = self._connection.execute(
                f"SELECT id FROM {table} WHERE id <= ? ORDER BY id LIMIT ?",  # noqa: S608  names from above
                (top, STEP_ROWS),
            ).fetchall()
            writes.add(f"DELETE FROM {table} WHERE id = ?", rows)  # noqa: S608
            gone += len(rows)
        over = self._connection.execute(
            "SELECT asset, source, what FROM standing WHERE state = 'cleared' AND event <= ? LIMIT ?",
            (noted[3], STEP_ROWS),
        ).fetchall()
        writes.add("DELETE FROM standing WHERE asset = ? AND source = ? AND what = ?", over)
        gone += len(over)
        if not gone:
            writes.add("DELETE FROM age WHERE age_ns < ?", [(noted[0],)])
            self._before_ns = None
        writes.run(self._connection)
        self.dropped += gone

    def _top(self, table: str) -> int:
        row = self._connection.execute(f"SELECT max(id) FROM {table}").fetchone()  # noqa: S608  names from above
        return int(row[0] or 0)
