"""Catch's part of `receiver.toml`: the inlet, the keys and the retention, and nothing of any output.

`config.py` reads the whole file and loads outputs to check it; catch must load none. So this reads its own three tables
alone, tells every mistake in them, and points to `--check` for the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from protocol.settings.findings import Findings, read_table
from protocol.settings.toml_file import read
from receiver.settings import CatchConfig, InletTable, KeysTable, RetentionTable


def load(path: Path) -> CatchConfig:
    """Read catch's part of `receiver.toml`.

    Raises:
        ConfigError: it cannot be read, or with every mistake of the three tables, one a line.
    """
    path, found = path.absolute(), Findings()
    tables, data = read(path)
    config = catch_part(path, tables, found)
    found.settle(path, f"checkvalve receive {path} --check", data)
    return config


def catch_part(path: Path, tables: Mapping[str, Any], found: Findings) -> CatchConfig:
    """The three tables; mistakes are written down, and then what is returned is not to be used."""
    return CatchConfig(
        path=path,
        inlet=read_table(InletTable, tables.get("inlet"), "inlet", found),
        keys=read_table(KeysTable, tables.get("keys"), "keys", found).beside(path.parent),
        retention=read_table(RetentionTable, tables.get("retention", {}), "retention", found),
    )
