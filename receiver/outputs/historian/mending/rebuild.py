"""The history made anew from what is sure: sound chunks, and the journal (`checkvalve history rebuild`).

    1  what a start does by itself: a damaged `current.db` is made anew              (files.py)
    2  every month is read through; one with anything wrong in it is set aside       (verify.py)
    3  everything hot is sealed
    4  each sound chunk of the months set aside, also of earlier ones, is taken over: rows that are in no chunk
    5  the journal is read from its beginning: rows that are in no chunk

Ended at any point, it is done again, or the historian's next start goes on with step 5: what was taken over is known by
what it is (duplicates.py), and the place in the journal is stored with each hand-over.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from protocol.errors import StoreError
from receiver.outputs.disk import SIDES, UNBELIEVED, Connection, open_reader
from receiver.outputs.historian.codec import chunk
from receiver.outputs.historian.files import WriterFiles
from receiver.outputs.historian.hot.sealing import chunks_of
from receiver.outputs.historian.mending.duplicates import Duplicates
from receiver.outputs.historian.mending.verify import look, series_types
from receiver.outputs.historian.rows import Rows
from receiver.outputs.historian.schema import month_paths

ASIDE = "[0-9][0-9][0-9][0-9]-[0-9][0-9].db.damaged-*"


def rebuild(files: WriterFiles, folder: Path, say: Callable[[str], None]) -> None:
    """Steps 2 to 4, and the beginning of 5: the place goes back.

    Args:
        files: The open files.
        say: Takes a line for people, as things are done.

    Raises:
        StoreError: the disk fails.
        sqlite3.Error: the disk is full.
    """
    types = series_types(folder)
    for path in month_paths(folder):
        report = look(path, types)
        say(report.line())
        if not report.sound:
            say(files.months.set_aside(path.stem, "it is not sound"))
    while files.shelves.hot():
        if not files.shelves.sweeping:
            files.shelves.sweep()
        files.shelves.tidy(0, files.registry.rank, files.registry.unsigned)
        if files.shelves.trouble:
            raise StoreError(files.shelves.trouble)
    for path in sorted(folder.glob(ASIDE)):
        if not path.name.endswith(SIDES):
            say(_take_over(files, path))
    files.set("again", 1)
    files.due = True
    files.look_back()


def _take_over(files: WriterFiles, path: Path) -> str:
    """Store the rows of a file's sound chunks that are in no chunk yet; returns what came of it, in words."""
    taken = known = unknown = 0
    duplicates = Duplicates(files.months.files, files.shelves.sealed)
    for rows in _sound_chunks(path, files.shelves.sealed):
        series = int(rows.series[0])
        if not files.registry.knows(series):
            unknown += len(rows)
            continue
        fresh = duplicates.fresh(rows)
        known += len(rows) - len(fresh)
        if len(fresh):
            unsigned = bool(files.registry.unsigned[series])
            chunks, _ = chunks_of(fresh, files.shelves.sealed, least=1, unsigned=lambda _: unsigned)  # noqa: B023
            files.shelves.take_over(chunks, set(fresh.stream.tolist()))
            taken += len(fresh)
    words = f"{path.name}: {taken} samples taken over, {known} were there already"
    return words + (f", {unknown} of series that nothing describes" if unknown else "")


def _sound_chunks(path: Path, top: int) -> Iterator[Rows]:
    """The rows of every chunk that is sound, by number, whatever of the index is left.

    Args:
        top: No number is above it.
    """
    connection = None
    try:
        connection = open_reader(path)
        if connection is None:
            return
        first, last = max(_end(connection, "min", 1), 1), min(_end(connection, "max", top), top)
        for number in range(first, last + 1):
            rows = _chunk(connection, number)
            if rows is not None:
                yield rows
    except (sqlite3.Error, *UNBELIEVED):
        return
    finally:
        if connection is not None:
            connection.close()


def _end(connection: Connection, which: str, unread: int) -> int:
    try:
        end = connection.execute(f"SELECT {which}(id) FROM body").fetchone()[0]  # noqa: S608  min or max
    except (sqlite3.Error, *UNBELIEVED):
        return unread
    return unread if end is None else int(end)


def _chunk(connection: Connection, number: int) -> Rows | None:
    """A chunk's rows by its body, whose series and last time have a second witness: the index, or what is inside."""
    try:
        row = connection.execute("SELECT series, t1, body FROM body WHERE id = ?", (number,)).fetchone()
        if row is None:
            return None
        series, t1, body = row
        rows = chunk.decode(body, series)
        if int(rows.time_ns.max()) != t1:
            return None
    except (sqlite3.Error, StoreError, *UNBELIEVED):
        return None
    try:
        sql = "SELECT 1 FROM chunk WHERE series = ? AND t1 = ? AND id = ?"
        return rows if connection.execute(sql, (series, t1, number)).fetchone() else None
    except (sqlite3.Error, *UNBELIEVED):
        return rows  # the index cannot be read there
