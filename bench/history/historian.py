"""The historian: how fast it takes samples, how small they lie, how fast they are read; beside two others.

    historian.ingest     from opened blocks to sealed chunks, a hand-over a block    beside the build before this one
    historian.size       all files after a day of 5,000 tags                         beside Parquet of the same samples
    historian.day        one tag, 24 h, 1,000 buckets                                beside DuckDB on that Parquet
    historian.year       one tag, a year of a sample in 10 s, 1,000 buckets          beside DuckDB on that Parquet
    historian.latest     the current value of every tag                              beside DuckDB on that Parquet
    historian.read_p99   `day` of tags at random, while another process writes at its full rate

Every writing is a process of its own (`historian_writer.py`), those of the two builds in turn. The build before is
taken from this repository's history; where there is none, there is no ratio. Parquet is a file an hour, sorted by tag,
times as differences, values by byte, zstd: the best that was found for it.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench.figures import BenchRow, undisturbed
from bench.history.historian_writer import PERIOD_NS, START_NS, samples
from receiver.outputs.historian.read import Door
from receiver.outputs.historian.views import Scope

BEFORE = "66b0d71"
"""The build that is compared with: hand-overs as rows, a codec of its own, no roll-ups."""
DAY, YEAR = 8640, 365 * 8640
"""Polls, at one in 10 s."""
HOUR_NS = 3600 * 10**9
BUCKETS = 1000
_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]


def measure(
    runs: int = 7,
    *,
    tags: int = 5000,
    ingest_polls: int = 800,
    day: int = DAY,
    year: int = YEAR,
    read_s: float = 8.0,
) -> list[BenchRow]:
    """All rows.

    Args:
        runs: Of each figure that is small enough to be taken again.
        tags: Of the plant; the year is of two.
        ingest_polls: Of all tags, in one run of `historian.ingest`.
        day: Polls in the history that is read.
        year: Polls in the history that the year is drawn from.
        read_s: How long it is read while it is written [s].
    """
    with tempfile.TemporaryDirectory() as held:
        work = Path(held)
        rows = [_ingest(work, runs, tags, ingest_polls)]
        _write(work / "day", tags, day, 0)
        _write(work / "year", 2, year, 1, each=min(year, DAY))
        with undisturbed(), _parquet(work, tags, day, year) as other:
            rows.append(_size(work / "day", tags * day, other))
            asks = 5 * runs
            to_ns = START_NS + day * PERIOD_NS
            rows.append(
                _asked("historian.day", asks, work / "day", tags, other, to_ns, "one tag, 24 h in 1,000 buckets")
            )
            to_ns = START_NS + year * PERIOD_NS
            rows.append(_asked("historian.year", asks, work / "year", 2, other, to_ns, "one tag, 365 days of 10 s"))
            rows.append(_latest(asks, work / "day", tags, other))
        rows.append(_read_while_written(work / "day", tags, day, read_s))
    return rows


def _write(folder: Path, tags: int, count: int, seed: int, *, each: int = 2, build: Path | None = None) -> float:
    """Samples a second of processor time; the history is sealed and closed then."""
    command = [sys.executable, "-P", str(_HERE / "historian_writer.py"), str(folder)]
    root = _ROOT if build is None else build
    done = subprocess.run(
        [*command, str(tags), str(count), str(each), "0", str(seed)],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"writing a history failed:\n{done.stderr[-2000:]}")
    told = json.loads(done.stdout)
    return float(told["samples"] / told["cpu_s"])


def _ingest(work: Path, runs: int, tags: int, count: int) -> BenchRow:
    build = _build_before(work / "before")
    new: list[float] = []
    old: list[float] = []
    for run in range(runs):
        new.append(_write(work / f"new{run}", tags, count, run))
        if build is not None:
            old.append(_write(work / f"old{run}", tags, count, run, build=build))
    note = f"{tags} tags, a hand-over of {2 * tags} rows, everything sealed at the end; processor time of one core"
    note += f"; baseline: {BEFORE}" if old else f"; no baseline: {BEFORE} is not in this repository's history"
    return BenchRow(
        row="historian.ingest",
        unit="samples/s",
        runs=tuple(new),
        baseline=median(old) if old else None,
        note=note,
    )


def _build_before(into: Path) -> Path | None:
    try:
        packed = subprocess.run(["git", "-C", str(_ROOT), "archive", BEFORE], capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(into, filter="data")
    return into


def _size(folder: Path, samples: int, other: _Parquet | None) -> BenchRow:
    bytes_of = sum(path.stat().st_size for path in folder.iterdir())
    return BenchRow(
        row="historian.size",
        unit="bytes/sample",
        runs=(bytes_of / samples,),
        baseline=None if other is None else other.day_bytes / samples,
        note=f"{samples / 1e6:.1f} M samples, all files, swept and closed; 500 tags an asset; "
        + _beside(other, "Parquet"),
    )


def _asked(row: str, asks: int, folder: Path, tags: int, other: _Parquet | None, to_ns: int, what: str) -> BenchRow:
    chance = np.random.default_rng(5)
    name = row.rpartition(".")[2]
    with contextlib.closing(Door(folder, Scope())) as door:
        series = sorted(tag.series for asset in door.assets() for tag in door.tags(asset.asset.name))
        taken, held = _timed(asks, lambda: door.trend(int(chance.choice(series)), START_NS, to_ns, BUCKETS))
        spread = len(held.start_ns)
    theirs = None
    if other is not None:
        theirs, _ = _timed(min(asks, 9), lambda: other.trend(name, int(chance.integers(tags)), START_NS, to_ns))
    return BenchRow(
        row=row,
        unit="ms",
        runs=tuple(taken),
        baseline=None if theirs is None else median(theirs),
        note=f"{what}, {spread} came; another tag each time, files in the page cache; " + _beside(other, "DuckDB"),
    )


def _latest(asks: int, folder: Path, tags: int, other: _Parquet | None) -> BenchRow:
    with contextlib.closing(Door(folder, Scope())) as door:
        taken, held = _timed(asks, door.latest)
    if len(held[0]) != tags:
        raise RuntimeError(f"{len(held[0])} current values of {tags} tags")
    theirs = None if other is None else _timed(3, other.latest)[0]
    return BenchRow(
        row="historian.latest",
        unit="ms",
        runs=tuple(taken),
        baseline=None if theirs is None else median(theirs),
        note=f"of {tags} tags, with quality, times and age, as a page asks at first; " + _beside(other, "DuckDB"),
    )


def _read_while_written(folder: Path, tags: int, day: int, read_s: float) -> BenchRow:
    command = [sys.executable, "-P", str(_HERE / "historian_writer.py"), str(folder), str(tags), "0", "2"]
    env = {**os.environ, "PYTHONPATH": str(_ROOT)}
    chance = np.random.default_rng(5)
    taken: list[float] = []
    with (
        tempfile.TemporaryFile() as acknowledged,
        contextlib.closing(Door(folder, Scope())) as door,
    ):
        series = sorted(tag.series for asset in door.assets() for tag in door.tags(asset.asset.name))
        writer = subprocess.Popen([*command, str(day // 2), "0"], env=env, stdout=acknowledged)
        try:
            while not acknowledged.seek(0, os.SEEK_END) and writer.poll() is None:
                time.sleep(0.05)
            begun, before = time.perf_counter(), acknowledged.seek(0, os.SEEK_END)
            while time.perf_counter() - begun < read_s:
                at = time.perf_counter()
                to_ns = START_NS + day * PERIOD_NS
                door.trend(int(chance.choice(series)), to_ns - 24 * HOUR_NS, to_ns, BUCKETS)
                taken.append((time.perf_counter() - at) * 1e3)
            spent = time.perf_counter() - begun
            acknowledged.seek(before)
            lines = acknowledged.read().count(b"\n")
            if writer.poll() is not None:
                raise RuntimeError("the writer ended by itself")
        finally:
            writer.kill()
            writer.wait()
    return BenchRow(
        row="historian.read_p99",
        unit="ms",
        runs=(float(np.quantile(taken, 0.99)),),
        note=f"{len(taken)} reads of `day` one after another, median {median(taken):.1f} ms; meanwhile "
        f"{lines * 2 * tags / spent:,.0f} samples/s were written, by the clock",
    )


def _timed(times: int, work: Callable[[], Any]) -> tuple[list[float], Any]:
    """Milliseconds of each call after the first, and what the last gave."""
    out = work()
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        out = work()
        taken.append((time.perf_counter() - begin) * 1e3)
    return taken, out


def _beside(other: _Parquet | None, what: str) -> str:
    return f"baseline: {what} {other.version}" if other else "no baseline: duckdb and pyarrow are not installed"


class _Parquet:
    """The same samples in Parquet files, and DuckDB to ask them."""

    def __init__(self, folder: Path) -> None:
        import duckdb
        import pyarrow

        self._arrow, self._folder = pyarrow, folder
        self._connection = duckdb.connect(":memory:")
        self.version = f"{duckdb.__version__} (pyarrow {pyarrow.__version__})"
        self.day_bytes = 0

    def write(self, name: str, tags: int, count: int, seed: int) -> None:
        from pyarrow import parquet

        each = HOUR_NS // PERIOD_NS if tags > 2 else DAY
        (self._folder / name).mkdir()
        for file, made in enumerate(samples(tags, each, seed)):
            if file * each >= count:
                break
            time_ns, value, quality = (one[:, : count - file * each].ravel() for one in made)
            series = np.repeat(np.arange(tags, dtype=np.int32), min(each, count - file * each))
            parquet.write_table(
                self._arrow.table({"series": series, "ts": time_ns, "v": value, "q": quality}),
                self._folder / name / f"{file:05}.parquet",
                compression="zstd",
                row_group_size=100_000,
                use_dictionary=["q", "series"],
                column_encoding={"ts": "DELTA_BINARY_PACKED", "v": "BYTE_STREAM_SPLIT"},
            )
        if name == "day":
            self.day_bytes = sum(path.stat().st_size for path in (self._folder / name).iterdir())

    def trend(self, name: str, series: int, from_ns: int, to_ns: int) -> Sequence[Any]:
        width = (to_ns - from_ns) // BUCKETS
        return self._asked(
            f"SELECT (ts - {from_ns}) // {width} b, min(v), max(v), avg(v), count(*), arg_min(v, ts), arg_max(v, ts)"  # noqa: S608
            f" FROM '{self._folder}/{name}/*.parquet' WHERE series = {series} AND ts >= {from_ns} AND ts < {to_ns}"
            " AND q < 2147483648 GROUP BY b"
        )

    def latest(self) -> Sequence[Any]:
        return self._asked(
            "SELECT series, max(ts), arg_max(v, ts), arg_max(q, ts)"  # noqa: S608
            f" FROM '{self._folder}/day/*.parquet' GROUP BY series"
        )

    def _asked(self, sql: str) -> Sequence[Any]:
        return list(self._connection.execute(sql).fetchall())

    def close(self) -> None:
        self._connection.close()


@contextmanager
def _parquet(work: Path, tags: int, day: int, year: int) -> Iterator[_Parquet | None]:
    (work / "parquet").mkdir()
    try:
        other = _Parquet(work / "parquet")
    except ImportError:
        yield None
        return
    with contextlib.closing(other):
        other.write("day", tags, day, 0)
        other.write("year", 2, year, 1)
        yield other
