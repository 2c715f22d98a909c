"""Every byte of the months looked at: what opens and is what its index says, and what is not (read-only).

It takes as long as reading the files, so nobody does it by himself: `checkvalve history check` for people, and the
first part of `checkvalve history rebuild`. A chunk stands in two tables, its row in the index and its body; it is sound
if the body unpacks, holds what the index says (series, times, count), and gives the same summary.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from protocol.errors import StoreError
from receiver.outputs.disk import SIDES, UNBELIEVED, Connection, open_reader
from receiver.outputs.historian import schema
from receiver.outputs.historian.codec import chunk
from receiver.outputs.historian.codec.chunk import ChartRows
from receiver.outputs.historian.codec.rollup import ChunkSummary, summarized
from receiver.outputs.historian.mending.copies import Row, gather
from receiver.outputs.historian.rows import Rows


@dataclass(slots=True)
class MonthReport:
    """What a month file holds."""

    name: str
    chunks: int = 0
    samples: int = 0
    damaged: int = 0
    """Chunks that are not sound."""
    damaged_samples: int = 0
    """As their index says."""
    unnamed: int = 0
    """Chunks of series that nothing describes."""
    trouble: str = ""
    """What SQLite says of the file; empty where it is content."""

    @property
    def sound(self) -> bool:
        """Nothing is wrong with the file."""
        return not self.damaged and not self.trouble

    def line(self) -> str:
        """What is to be said of the file, in one line."""
        parts = [f"{self.name}: {self.chunks} chunks, {self.samples} samples"]
        if self.damaged:
            parts.append(f"{self.damaged} chunks with {self.damaged_samples} samples are DAMAGED")
        if self.unnamed:
            parts.append(f"{self.unnamed} chunks of series that nothing describes")
        if self.trouble:
            parts.append(f"DAMAGED: {self.trouble}")
        return ", ".join(parts)


def check(folder: Path) -> Iterator[str]:
    """What is to be said of each file, one line a file, as it is read; a running historian is not disturbed."""
    current = schema.current_path(folder)
    trouble = _pages(current) if current.exists() else "gone"
    yield f"{current.name}: {f'DAMAGED: {trouble}' if trouble else 'sound'}"
    types = series_types(folder)
    reports = []
    for path in schema.month_paths(folder):
        reports.append(look(path, types))
        yield reports[-1].line()
    for path in sorted(folder.glob("*.damaged-*")):
        if not path.name.endswith(SIDES):
            yield f"{path.name}: set aside, {path.lstat().st_size} bytes"
    sound = not trouble and all(report.sound for report in reports)
    if not sound:
        damaged = sum(report.damaged_samples for report in reports)
        yield (
            "`checkvalve history rebuild` sets the damaged files aside, takes over every sound chunk, and reads the "
            f"journal again for the rest: {damaged} samples in damaged chunks"
        )


def series_types(folder: Path) -> Mapping[int, str]:
    """Type of every series that the months or `current.db` describe."""
    types: dict[int, str] = {}
    for path in [*schema.month_paths(folder), schema.current_path(folder)]:
        connection = _opened(path)
        try:
            if connection is not None and path == schema.current_path(folder):
                types.update(connection.execute("SELECT id, type FROM series").fetchall())
            elif connection is not None:
                types.update({row[0]: row[3] for row in gather([connection]).rows("series")})
        except (sqlite3.Error, *UNBELIEVED):
            continue
        finally:
            if connection is not None:
                connection.close()
    return types


def look(path: Path, types: Mapping[int, str]) -> MonthReport:
    """Read a month file through.

    Args:
        types: Type of each known series.
    """
    report = MonthReport(path.name, trouble=_pages(path))
    connection = _opened(path)
    if connection is None:
        return report
    try:
        indexed = 0
        sql = "SELECT id, series, t1, t0, n, count, low, high, total, cells FROM chunk"
        for row in connection.execute(sql):
            indexed += 1
            series = row[1]
            report.unnamed += series not in types
            if sound(connection, row, unsigned=types.get(series) == "uint64") is None:
                report.damaged += 1
                report.damaged_samples += row[4] if isinstance(row[4], int) else 0
            else:
                report.chunks += 1
                report.samples += row[4]
        bodies = connection.execute("SELECT count(*) FROM body").fetchone()[0]
        if bodies != indexed:
            report.trouble = report.trouble or f"{bodies} chunks, {indexed} in the index"
    except (sqlite3.Error, *UNBELIEVED) as error:
        report.trouble = report.trouble or str(error)
    finally:
        connection.close()
    return report


def sound(connection: Connection, row: Row, *, unsigned: bool) -> Rows | None:
    """A chunk's rows; None where it is not what its row in the index says.

    Args:
        row: id, series, t1, t0, n, count, low, high, total, cells.
        unsigned: The series' integers are unsigned.
    """
    number, series, t1, t0, n, *summed, cells = row
    try:
        stored = connection.execute("SELECT series, t1, body FROM body WHERE id = ?", (number,)).fetchone()
        if stored is None or tuple(stored[:2]) != (series, t1):
            return None
        rows = chunk.decode(stored[2], series)
        if (len(rows), int(rows.time_ns.min()), int(rows.time_ns.max())) != (n, t0, t1):
            return None
    except (sqlite3.Error, StoreError, *UNBELIEVED):
        return None
    readings = ChartRows(rows.time_ns, rows.quality, rows.kind, rows.value)
    told, rolled_up = summarized(readings, np.array([n]), unsigned=unsigned)[0]
    return rows if _same(told, ChunkSummary(*summed)) and cells in (None, rolled_up) else None


def _same(told: ChunkSummary, summed: ChunkSummary) -> bool:
    """The first builds added up in another order, so that the last digits of a total may be others."""
    if repr(told.total) != repr(summed.total):
        if not (isinstance(told.total, float) and isinstance(summed.total, float)):
            return False
        if not math.isclose(told.total, summed.total, rel_tol=1e-9, abs_tol=1e-9 * _most(told) * told.count):
            return False
    return repr((told.count, told.low, told.high)) == repr((summed.count, summed.low, summed.high))


def _most(told: ChunkSummary) -> float:
    return max(abs(told.low or 0.0), abs(told.high or 0.0))


def _pages(path: Path) -> str:
    """What SQLite says of a file's pages; empty where it is content."""
    try:
        connection = _opened(path)
        if connection is None:
            return "it cannot be opened"
        try:
            said = [str(one) for (one,) in connection.execute("PRAGMA quick_check(3)")]
        finally:
            connection.close()
    except (sqlite3.Error, *UNBELIEVED) as error:
        return str(error)
    return "" if said == ["ok"] else "; ".join(said)


def _opened(path: Path) -> Connection | None:
    try:
        return open_reader(path)
    except sqlite3.Error:
        return None
