"""`checkvalve bench access`: what governed reading costs, a row a promise."""

from __future__ import annotations

from bench.access import read_rows, signin_rows, trail_page_row, trail_rows
from bench.figures import BenchRow


def measure(runs: int = 7) -> list[BenchRow]:
    """All rows.

    Args:
        runs: Of each figure that is small enough to be taken again.
    """
    trail = [*trail_rows.measure(runs), *trail_page_row.measure(runs)]
    return [*trail, *signin_rows.measure(runs), *read_rows.measure(runs)]
