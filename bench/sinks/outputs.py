"""Outputs: how fast columns become what a destination takes, and how fast a journal becomes rows in a real server.

Each module of `SINKS` measures its own rows, on a server that it starts and ends by itself; where that server is not
installed its rows say so. End to end begins at a journal on the disk (`fed_journal.py`) and ends when the
destination has acknowledged the last sample, by the rule of that output's README.
"""

from __future__ import annotations

from importlib import import_module

from bench.figures import BenchRow

SINKS = (
    "bench.sinks.line_rate",
    "bench.sinks.line_protocol",
    "bench.sinks.postgresql_rate",
    "bench.sinks.parquet_rate",
)
"""Modules with `measure(runs) -> list[BenchRow]`, in the order of their rows."""


def measure(runs: int = 3) -> list[BenchRow]:
    """Every row of every destination."""
    return [row for name in SINKS for row in import_module(name).measure(runs)]
