"""`outputs.parquet`, `outputs.parquet.rss`: a journal on the disk into hourly files of a folder.

    outputs.parquet       from the first block read until the last file is synced and has its name [samples/s]
    outputs.parquet.rss   the most memory of the process that does it, for a whole hour of 36 M samples [MB]

The time that an hour waits for late samples is passed over; all else is as it runs: the opener, the store's own
transactions with their fsync, rows to columns, zstd. pyarrow is an extra; without it the rows say so.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.figures import BenchRow
from bench.sinks.fed_journal import TAGS, fed, journal
from receiver.outputs.base import Output
from receiver.outputs.parquet.output import CLOSE_S, ParquetOutput

POLLS = 400
"""Of a run for the rate."""
HOUR = int(os.environ.get("CHECKVALVE_BENCH_CATCHUP_SAMPLES", "9_000_000"))
"""Samples of the run for the memory: 36 M are an hour of 10,000 a second."""


def measure(runs: int = 3) -> list[BenchRow]:
    """Both rows."""
    names = {"outputs.parquet": "samples/s", "outputs.parquet.rss": "MB"}
    if find_spec("pyarrow") is None:
        return [BenchRow(row=name, unit=unit, note="pyarrow is not installed") for name, unit in names.items()]
    done = [_run(POLLS) for _ in range(runs)]
    large = _run(HOUR // TAGS)
    note = f"{POLLS * TAGS} samples of {TAGS} tags, journal to named files, {done[0]['bytes']:.2f} bytes a sample"
    held = (
        f"{HOUR / 1e6:g} M of an hour's 36 M samples (CHECKVALVE_BENCH_CATCHUP_SAMPLES), {large['rate']:,.0f} samples/s"
    )
    rates = tuple(one["rate"] for one in done)
    lost = max(one["lost"] for one in [*done, large])
    return [
        BenchRow(row="outputs.parquet", unit="samples/s", runs=rates, lost=lost, note=note),
        BenchRow(row="outputs.parquet.rss", unit="MB", runs=(large["rss_mb"],), lost=large["lost"], note=held),
    ]


def _run(polls: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="checkvalve-bench-") as name:
        folder = Path(name)
        total = journal(folder / "journal", polls)
        told = multiprocessing.get_context("spawn").Queue()
        child = multiprocessing.get_context("spawn").Process(target=_feed, args=(folder, total, told))
        child.start()
        child.join()
        if child.exitcode:
            raise RuntimeError(f"the process that writes the files ended with {child.exitcode}")
        seconds, rss_mb = told.get(timeout=60)
        rows, size = _written(folder / "plant")
        return {"rate": total / seconds, "lost": total - rows, "rss_mb": rss_mb, "bytes": size / max(rows, 1)}


def _feed(folder: Path, samples: int, told: Any) -> None:
    output = ParquetOutput(folder / "bench.db", folder / "plant")
    done = fed(folder / "journal", samples, output, lambda one: _taken(one) >= samples)
    output.step(time.monotonic())  # the last that came counts from here
    began = time.monotonic()
    while output.status()["waits_for_hour"]:
        output.step(time.monotonic() + CLOSE_S)
    seconds = done.seconds + time.monotonic() - began
    output.close()
    told.put((seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000))


def _taken(output: Output) -> int:
    return int(output.status()["taken"])


def _written(folder: Path) -> tuple[int, int]:
    """Rows and bytes of all files, as their own metadata say."""
    from pyarrow import parquet

    files = list(folder.glob("date=*/hour=*/*.parquet"))
    return sum(parquet.read_metadata(one).num_rows for one in files), sum(one.stat().st_size for one in files)
