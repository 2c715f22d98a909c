"""A low side with a history, and exports of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
from history_blocks import opened

from receiver.commands import export as command
from receiver.commands.export import ExportRequest
from receiver.config import ReceiverConfig
from receiver.export.choice import ExportChoice
from receiver.outputs.base import OpenedBlock

TOML = """
[inlet]
listen = "127.0.0.1:5005"
[keys]
own = "keys/low"
senders = ["keys/high.pub"]
"""


def keep(low: ReceiverConfig, blocks: list[OpenedBlock], size: int = 3) -> None:
    """Have these blocks in the history, in hand-overs of `size`."""
    history = opened(low.state / "history")
    for at in range(0, len(blocks), size):
        history.take(blocks[at : at + size], b"%d" % at)
    history.close()


def write(low: ReceiverConfig, name: str, **asked: Any) -> tuple[Path, dict[str, Any]]:
    """Export into a file of that name."""
    out = low.path.parent / name
    return out, command.export(low, ExportRequest(**{"out": out, "choice": ExportChoice(), **asked}))


def asked(sql: str) -> list[tuple[Any, ...]]:
    """DuckDB's answer."""
    answer = duckdb.sql(sql)
    assert answer is not None
    rows: list[tuple[Any, ...]] = answer.fetchall()
    return rows
