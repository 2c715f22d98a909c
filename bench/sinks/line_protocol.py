"""`outputs.influx`, `outputs.questdb`, `outputs.catchup.rss`: a journal on the disk into real servers.

    outputs.influx       into VictoriaMetrics, from the first block until its last line was answered; durable by its
                         rule: each line stands in our store until a minute past the answer
    outputs.questdb      into QuestDB, the same
    outputs.catchup.rss  the most memory of the process that does the first [MB]

Each runs in a process of its own, and what arrived is counted by the server's own query: a figure in which a sample is
missing is none.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import tempfile
import urllib.parse
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.figures import BenchRow
from bench.mix import START_NS
from bench.sinks import servers
from bench.sinks.fed_journal import TAGS, fed, journal
from receiver.outputs.base import Output
from receiver.outputs.influx.output import InfluxOutput
from receiver.outputs.influx.settings import InfluxTable

POLLS = 600
"""Polls of 5,000 tags in the journal: 3 million samples."""
HOUR_SAMPLES = 36_000_000
"""An hour of 10,000 samples a second."""
CATCHUP = int(os.environ.get("CHECKVALVE_BENCH_CATCHUP_SAMPLES", str(HOUR_SAMPLES)))
"""Samples that a fresh output catches up; the whole hour takes some three minutes on 2 cores that do nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run into one server."""

    rate: float
    """[samples/s]"""
    lost: int
    rss_mb: float


def measure(runs: int = 3) -> list[BenchRow]:
    """The three rows."""
    return [
        *_row("outputs.influx", runs, servers.victoria_missing(), servers.victoria, _in_victoria),
        *_row("outputs.questdb", runs, servers.questdb_missing(), servers.questdb, _in_questdb),
        *_catchup(),
    ]


def _row(
    name: str,
    runs: int,
    missing: str,
    server: Callable[[Path], AbstractContextManager[str]],
    count: Callable[[str], int],
) -> list[BenchRow]:
    if missing:
        return [BenchRow(row=name, unit="samples/s", note=missing)]
    done = [_run(server, count, POLLS) for _ in range(runs)]
    note = f"{POLLS * TAGS} samples of {TAGS} tags, journal to acknowledged, server on the same machine"
    lost = max(one.lost for one in done)
    return [BenchRow(row=name, unit="samples/s", runs=tuple(one.rate for one in done), lost=lost, note=note)]


def _catchup() -> list[BenchRow]:
    name, unit = "outputs.catchup.rss", "MB"
    if missing := servers.victoria_missing():
        return [BenchRow(row=name, unit=unit, note=missing)]
    done = _run(servers.victoria, _in_victoria, CATCHUP // TAGS)
    note = (
        f"{CATCHUP / 1e6:g} M of an hour's 36 M samples (CHECKVALVE_BENCH_CATCHUP_SAMPLES), {done.rate:,.0f} samples/s"
    )
    return [BenchRow(row=name, unit=unit, runs=(done.rss_mb,), lost=done.lost, note=note)]


def _run(server: Callable[[Path], AbstractContextManager[str]], count: Callable[[str], int], polls: int) -> Run:
    with tempfile.TemporaryDirectory(prefix="checkvalve-bench-") as name, server(Path(name)) as url:
        folder = Path(name)
        total = journal(folder / "journal", polls)
        told = multiprocessing.get_context("spawn").Queue()
        child = multiprocessing.get_context("spawn").Process(target=_feed, args=(folder, total, url, told))
        child.start()
        child.join()
        if child.exitcode:
            raise RuntimeError(f"the process that feeds {url} ended with {child.exitcode}")
        seconds, rss_mb = told.get(timeout=60)
        return Run(rate=total / seconds, lost=total - count(url), rss_mb=rss_mb)


def _feed(folder: Path, samples: int, url: str, told: Any) -> None:
    asked = {"kind": "influx", "name": "bench", "url": url, "bucket": "plant", "scope": "all"}
    output = InfluxOutput(folder / "bench.db", InfluxTable.model_validate(asked))
    done = fed(folder / "journal", samples, output, _acknowledged)
    output.close()
    told.put((done.seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000))


def _acknowledged(output: Output) -> bool:
    return not output.status()["behind_blocks"]


def _in_victoria(url: str) -> int:
    """Samples that are there, by their qualities: each has one."""
    servers.asked(f"{url}/internal/force_flush")
    end = START_NS // 10**9 + 100_000
    query = urllib.parse.urlencode({"query": "sum(count_over_time(sample_q[100002s]))", "time": end, "nocache": "1"})
    found = json.loads(servers.asked(f"{url}/api/v1/query?{query}") or "{}")["data"]["result"]
    return int(found[0]["value"][1]) if found else 0


def _in_questdb(url: str) -> int:
    waiting = "select count() from wal_tables() where sequencerTxn > writerTxn"
    servers.until(lambda: _number(url, waiting) == 0, 300)
    return _number(url, 'select count() from "sample"')


def _number(url: str, statement: str) -> int:
    """The one number that a statement gives; -1 where there is no answer."""
    page = servers.asked(f"{url}/exec?{urllib.parse.urlencode({'query': statement})}")
    return -1 if page is None else int(json.loads(page)["dataset"][0][0])
