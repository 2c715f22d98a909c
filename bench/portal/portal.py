"""`checkvalve bench portal`: the pages as a browser on this machine has them, a row a promise.

A row is a module of this room with `measure(runs) -> list[BenchRow]`, and a line in ROWS. Rows that need a browser ask
`headless.py` for it; without one they are there with the reason, as every row that cannot be measured.
"""

from __future__ import annotations

from importlib import import_module

from bench.figures import BenchRow

ROWS = ("bench.portal.plant_rows", "bench.portal.trend_row")
"""In the order of the table."""


def measure(runs: int = 7) -> list[BenchRow]:
    """All rows.

    Args:
        runs: Of each figure.
    """
    return [row for name in ROWS for row in import_module(name).measure(runs)]
