"""From a history to the bytes of a file: bounded parts in, rows out, whatever the length of the history.

Who calls this opens and renames the files, and knows the clock; here is what is written, in which order, and what is
told about it. What is exported beside samples stands in `plain_rows.py`.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from protocol.errors import ConfigError
from receiver.export import csv_text
from receiver.export.choice import ExportChoice, fits
from receiver.export.parquet_file import ParquetFile, RowFile
from receiver.export.sample_table import SampleTable, table
from receiver.outputs.historian.read import Door
from receiver.outputs.historian.views import TagView
from receiver.outputs.historian.whole.whole_history import SeriesPart, WantedSamples, WholeHistory

GROUP_ROWS = 250_000
"""Samples of a row group, about: twice what DuckDB takes at a time; a table of so many takes some 100 MB."""
CSV_ROWS = 50_000
"""Samples that become lines at a time: a text a cell takes far more room than a column."""
SAY_ROWS = 100_000
"""Samples between two words about how far it is."""

BUCKETS_MOST = 10_000
"""Buckets that are asked for at once."""

BUCKET_COLUMNS = {
    **dict.fromkeys(("site", "asset", "tag", "unit"), "string"),
    "version": "int64",
    "time": "time",
    **dict.fromkeys(("low", "high", "mean"), "float64"),
    **dict.fromkeys(("count", "bad"), "int64"),
}


@dataclass(slots=True)
class ExportCounts:
    """What was written."""

    samples: int = 0
    """Rows: samples, or buckets."""
    tags: int = 0
    gone: int = 0
    """Chunks that retention took meanwhile."""


class SampleFile:
    """The file of samples: CSV or Parquet."""

    def __init__(self, sink: IO[bytes], *, parquet: bool) -> None:
        self.most = GROUP_ROWS if parquet else CSV_ROWS
        """Samples that are best written at a time."""
        self._sink = sink
        self._file = ParquetFile(sink) if parquet else None
        if self._file is None:
            sink.write(csv_text.header())

    def add(self, rows: SampleTable) -> None:
        """Some samples."""
        if self._file is None:
            self._sink.write(csv_text.lines(rows))
        else:
            self._file.add(rows)

    def finish(self, told: Mapping[str, Any]) -> None:
        """The end; what is told of the whole is in Parquet alone."""
        if self._file is not None:
            self._file.finish(told)


class PlainFile:
    """A file of plain rows: buckets, events, gaps."""

    def __init__(self, sink: IO[bytes], columns: Mapping[str, str], *, parquet: bool) -> None:
        """
        Args:
            columns: Name and kind, as `parquet_file.RowFile` has them.
        """
        self._sink, self._columns = sink, columns
        self._file = RowFile(sink, columns) if parquet else None
        if self._file is None:
            sink.write(csv_text.header(columns))

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        """Some rows."""
        if self._file is None:
            self._sink.write(csv_text.rows(self._columns, rows))
        else:
            self._file.add(rows)

    def finish(self, told: Mapping[str, Any]) -> None:
        """The end; what is told of the whole is in Parquet alone."""
        if self._file is not None:
            self._file.finish(told)


def chosen(history: WholeHistory, choice: ExportChoice) -> list[TagView]:
    """The series that are asked for, by site, asset, name and version.

    Raises:
        ConfigError: a pattern fits nothing.
    """
    tags = history.tags()
    tags = _fitting(tags, "site", choice.sites, [one.site for one in tags])
    tags = _fitting(tags, "asset", choice.assets, [one.tag.asset for one in tags])
    return _fitting(tags, "tag", choice.tags, [one.tag.name for one in tags])


def _fitting(tags: list[TagView], what: str, patterns: Sequence[str], names: Sequence[str]) -> list[TagView]:
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(name, pattern) for name in names):
            known = ", ".join(sorted(set(names))[:8]) or "none"
            raise ConfigError(f"no {what} here is called {pattern!r}", hint=f"there are: {known}")
    return [one for one, name in zip(tags, names, strict=True) if fits(name, patterns)]


def write_samples(
    history: WholeHistory,
    tags: Sequence[TagView],
    choice: ExportChoice,
    file: SampleFile,
    say: Callable[[int, int], None],
) -> ExportCounts:
    """Every sample that is asked for, by week, tag and time.

    Args:
        say: Told now and then how many samples were written, and of about how many.

    Raises:
        StoreError: the history cannot be read.
    """
    wanted = WantedSamples(
        series=[one.series for one in tags], from_ns=choice.from_ns, to_ns=choice.to_ns, since=choice.since
    )
    spans = history.spans(wanted)
    total = sum(sum(held.values()) for held in spans.values())
    told, met, said, count = ExportCounts(), set(), 0, 0
    held: list[SeriesPart] = []
    for part in history.parts(wanted, spans):
        met.add(part.tag.series)
        held.append(part)
        told.samples += len(part.rows)
        count += len(part.rows)
        if count >= file.most:
            file.add(table(held, history.streams))
            held, count = [], 0
        if told.samples >= said + SAY_ROWS:
            said = told.samples
            say(said, max(total, said))
    if held:
        file.add(table(held, history.streams))
    told.tags, told.gone = len(met), history.gone
    return told


def write_buckets(
    door: Door, tags: Sequence[TagView], choice: ExportChoice, width_ns: int, file: PlainFile
) -> ExportCounts:
    """Least, greatest and mean value, and counts, in buckets of equal width that begin at whole multiples of it.

    Args:
        choice: With both ends.
        file: Of `BUCKET_COLUMNS`.

    Raises:
        StoreError: the history cannot be read.
    """
    begin, end = choice.from_ns // width_ns * width_ns, -(-choice.to_ns // width_ns) * width_ns
    told = ExportCounts()
    rows: list[tuple[Any, ...]] = []
    for one in tags:
        before = told.samples
        for at in range(begin, end, width_ns * BUCKETS_MOST):
            part = _buckets(door, one, at, min(at + width_ns * BUCKETS_MOST, end), width_ns)
            told.samples += len(part)
            rows += part
            if len(rows) >= GROUP_ROWS:
                file.add(rows)
                rows = []
        told.tags += told.samples > before
    file.add(rows)
    return told


def _buckets(door: Door, one: TagView, from_ns: int, to_ns: int, width_ns: int) -> list[tuple[Any, ...]]:
    trend = door.trend(one.series, from_ns, to_ns, (to_ns - from_ns) // width_ns)
    fixed = (one.site, one.tag.asset, one.tag.name, one.tag.unit, one.version)
    columns = (trend.start_ns, trend.low, trend.high, trend.mean, trend.count, trend.bad)
    return [
        (*fixed, time, *(None if value != value else value for value in values), count, bad)
        for time, *values, count, bad in zip(*(column.tolist() for column in columns), strict=True)
    ]
