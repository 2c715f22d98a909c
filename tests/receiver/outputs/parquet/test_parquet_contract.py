"""The parquet output keeps every law of the contract; what it holds is read by DuckDB, through one glob."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest

from receiver.outputs.parquet.output import ParquetOutput
from receiver.outputs.testing.contract import OutputContract
from receiver.outputs.testing.feed import Fact

FOLDERS = itertools.count()
HELD = """
SELECT asset, tag, epoch_ns(time), kind, value_double, value_int, value_uint, value_bool, value_text
FROM read_parquet('{folder}/date=*/hour=*/*.parquet')
"""


class TestParquet(OutputContract):
    """Files of a folder, counted by query."""

    output = ParquetOutput
    wrong = {"folder": 7, "keep_days": 0}  # noqa: RUF012 - never changed
    base: Path
    folder: Path

    @pytest.fixture(autouse=True)
    def _based(self, tmp_path: Path) -> None:
        self.base = tmp_path

    def settings(self) -> Mapping[str, Any]:
        return {"folder": str(self.folder)}

    @contextmanager
    def destination(self) -> Iterator[None]:
        self.folder = self.base / f"plant-{next(FOLDERS)}"
        yield

    @contextmanager
    def away(self) -> Iterator[None]:
        self.folder.write_text("something else in its place")
        yield
        self.folder.unlink()

    def held(self, state: Path) -> Counter[Fact]:
        if not list(self.folder.glob("*/*/*.parquet")):
            return Counter()
        rows = duckdb.sql(HELD.format(folder=self.folder)).fetchall()
        return Counter(
            Fact(asset, tag, time_ns, next((one for one in values if one is not None), None))
            for asset, tag, time_ns, _, *values in rows
        )
