"""A new `current.db` for months that are there: after it was damaged, lost, or is some other program's.

    1  what can be read of the damaged file and is nowhere else goes to the newest month:
       hot rows as chunks, descriptions and counts as copies                     (salvage.py)
    2  the file, its log and its index are set aside under a name with the time
    3  one transaction makes the new file from the months' copies                (copies.py)

Ended at any point, it is simply done again: what step 1 stored is known by what it is (duplicates.py), and after step 2
a missing `current.db` beside months leads here too. The new file has no place in the journal, so the follower hands
over everything that the journal still holds; rows that are in chunks already are not stored a second time. What is lost
then are rows that were in no chunk, cannot be read of the damaged file, and are too old for the journal: at most those
that were hot, and none is hot for much longer than a day (`historian/shelves.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from receiver.outputs import disk
from receiver.outputs.disk import Writes
from receiver.outputs.historian import schema
from receiver.outputs.historian.hot.sealing import chunks_of
from receiver.outputs.historian.mending.copies import (
    COUNTS,
    GROWING,
    NAMES,
    REPLACE,
    Gathered,
    Row,
    Tables,
    gather,
    growing,
    pack,
)
from receiver.outputs.historian.mending.duplicates import Duplicates
from receiver.outputs.historian.mending.salvage import Salvage
from receiver.outputs.historian.months import Months
from receiver.outputs.historian.rows import order

_MINUTE = "REPLACE INTO minute (minute_ns, asset, published, healed) VALUES (?, ?, ?, ?)"
AHEAD = 1_000_000
"""How far numbers of hand-overs go on above those known: what was lost may have used the next."""

SERIES = """WITH RECURSIVE one(series) AS (SELECT min(series) FROM chunk
    UNION ALL SELECT (SELECT min(series) FROM chunk WHERE series > one.series) FROM one WHERE series IS NOT NULL)
    SELECT series FROM one WHERE series IS NOT NULL"""
"""Every series of a month, by one look-up each."""


def adopt(folder: Path, why: str, *, clock: Callable[[], int], save: bool = True) -> list[str]:
    """Make `current.db` anew; returns what is to be told, in words.

    Args:
        why: What was found.
        save: Take what can be read of the old one (step 1).
        clock: Wall time [ns since 1970 UTC], for names of files.

    Raises:
        StoreError: the disk fails.
        sqlite3.Error: it is full; call again.
    """
    path = schema.current_path(folder)
    months = Months(folder, clock=clock)
    salvage = Salvage(path if save else None)
    try:
        months.check([])
        gathered = gather(months.files())
        taken = _save(salvage, gathered, months)
        news = [f"{why}: {{aside}}; begun again from {_counted(months, gathered)}{taken}", *months.lost]
        salvage.close()
        news[0] = news[0].format(aside=disk.set_aside(path, clock()))
        _make(path, gathered, months)
        return news + _unnamed(months, gathered)
    finally:
        salvage.close()
        months.close()


def _save(salvage: Salvage, gathered: Gathered, months: Months) -> str:
    """Step 1; returns what came of it, in words."""
    before = {table: len(gathered.tables.get(table, {})) for table in NAMES}
    names = salvage.names()
    known = {table: set(gathered.tables.get(table, {})) for table in NAMES}
    gathered.add({table: [row for row in rows if row[0] not in known[table]] for table, rows in names.items()})
    counts = None if gathered.counted else salvage.counts()
    if counts is not None:
        tables, meta_rows = counts
        gathered.meta = dict(meta_rows)
        gathered.add(tables)
        gathered.counted, gathered.top = True, int(gathered.meta.get("mark", 0))
    saved = _save_hot(salvage, gathered, months)
    writes = Writes()
    if any(len(gathered.tables.get(table, {})) > count for table, count in before.items()):
        writes.add(REPLACE, [("names", gathered.meta.get("mark", 0), pack(_tables(gathered, NAMES)))])
    if counts is not None:
        mark = int(gathered.meta.get("mark", 0))
        meta: list[Row] = [(key, value) for key, value in gathered.meta.items() if isinstance(value, int)]
        writes.add(REPLACE, [("counts", mark, pack(_tables(gathered, COUNTS) | {"meta": meta}))])
        for table in (*GROWING, "minute"):
            rows = gathered.rows(table)
            top = max((row[0] for row in rows), default=0) if table in GROWING else mark
            writes.add(REPLACE, [(table, top, pack({table: rows}))])
    if len(writes):
        months.copy(writes, known=None)
    hot = gathered.meta.get("hot")
    words = f", {saved} samples not sealed yet that could be read of it" if saved else ""
    if salvage.unread or (not saved and hot):
        words += (
            f". What was not sealed and is too old for the journal is lost: "
            f"{salvage.unread} groups of samples could not be read"
            + (f", {hot} samples were not sealed" if hot else "")
        )
    return words


def _save_hot(salvage: Salvage, gathered: Gathered, months: Months) -> int:
    """Store hot rows as chunks, of series and streams that are known; returns how many."""
    series, streams = gathered.tables.get("series", {}), gathered.tables.get("stream", {})
    if not series or not streams:
        return 0
    number = months.top()
    duplicates = Duplicates(months.files, number)
    rank = np.zeros(max(streams) + 1, np.int64)
    for place, row in enumerate(sorted(streams.values(), key=lambda row: (row[2], row[1]))):
        rank[row[0]] = place
    unsigned = {one for one, row in series.items() if row[3] == "uint64"}
    saved = 0
    for rows in salvage.hot():
        named = np.isin(rows.series, list(series)) & np.isin(rows.stream, list(streams))
        rows = duplicates.fresh(rows.pick(np.flatnonzero(named)))
        rows = rows.pick(order(rows, rank))
        chunks, _ = chunks_of(rows, number, least=1, unsigned=unsigned.__contains__)
        if chunks:
            months.store(chunks, lambda table, ids: _whose(gathered, table, ids), set(rows.stream.tolist()))
            number = chunks[-1].id
            saved += len(rows)
    return saved


def _whose(gathered: Gathered, table: str, ids: set[int]) -> Tables:
    rows = [gathered.tables[table][one] for one in ids]
    if table == "stream":
        return {"stream": rows}
    assets = gathered.tables.get("asset", {})
    return {"series": rows, "asset": [assets[one] for one in {row[1] for row in rows} if one in assets]}


def _tables(gathered: Gathered, names: tuple[str, ...]) -> Tables:
    return {table: gathered.rows(table) for table in names}


def _make(path: Path, gathered: Gathered, months: Months) -> None:
    """Step 3: the new file from the copies, in one transaction."""
    connection = disk.open_writer(path, schema.CURRENT, "meta")
    try:
        top = months.top()
        mark = int(gathered.meta.get("mark", 0)) + AHEAD
        writes = Writes()
        for table in (*NAMES, *(COUNTS if gathered.counted else ()), *GROWING):
            columns = len(connection.execute(f"SELECT * FROM {table} LIMIT 0").description)  # noqa: S608
            sql = f"REPLACE INTO {table} VALUES ({','.join('?' * columns)})"  # noqa: S608  names from above
            writes.add(sql, gathered.rows(table))
            if table in GROWING:
                writes.add(sql, growing(list(months.files()), table, None))
        if gathered.counted:
            writes.add(_MINUTE, gathered.rows("minute"))
            writes.add(_MINUTE, growing(list(months.files()), "minute", gathered.top))
        writes.add("DELETE FROM month", [()])
        writes.add("INSERT INTO month VALUES (?)", [(one.stem,) for one in schema.month_paths(path.parent)])
        meta: Mapping[str, int] = {
            **{key: int(gathered.meta.get(key, 0)) for key in ("age_ns", "swept_ns")},
            "mark": mark,
            "catalog": mark,
            "sealed": top,
            "adopted": top,
            "above": _highest(months, gathered),
            "version": schema.VERSION,
        }
        writes.add("REPLACE INTO meta VALUES (?, ?)", list(meta.items()))
        writes.run(connection)
    finally:
        connection.close()


def _highest(months: Months, gathered: Gathered) -> int:
    """A number that no stream, asset or series has had, chunks that nothing describes included."""
    tops = [month.execute("SELECT max(series) FROM chunk").fetchone()[0] or 0 for month in months.files()]
    return max([*tops, *(one for table in NAMES for one in gathered.tables.get(table, {}))], default=0)


def _counted(months: Months, gathered: Gathered) -> str:
    damaged = f" ({gathered.damaged} copies in them are damaged)" if gathered.damaged else ""
    return f"{sum(1 for _ in months.files())} months, chunks up to number {months.top()}{damaged}, and the journal"


def _unnamed(months: Months, gathered: Gathered) -> list[str]:
    """Chunks of series that nothing describes any more."""
    news = []
    named = gathered.tables.get("series", {})
    for month in months.files():
        lost = [one for (one,) in month.execute(SERIES) if one not in named]
        if lost:
            name = Path(month.execute("PRAGMA database_list").fetchone()[2]).name
            sums = [
                month.execute("SELECT count(*), sum(n) FROM chunk WHERE series = ?", (one,)).fetchone() for one in lost
            ]
            chunks, rows = (sum(column) for column in zip(*sums, strict=True))
            news.append(
                f"{name}: {chunks} chunks with {rows} samples of {len(lost)} series cannot be read: "
                "nothing says any more which tags they are"
            )
    return news
