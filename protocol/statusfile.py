"""What a running process says of itself: `state/status-NAME.json`, rewritten once a second by rename.

It is how `status`, the pages and a person look into a process that answers nobody. Not synced: it is news, not record.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from protocol.capabilities import held

PERIOD = 1.0
"""A status file is rewritten this often [s]."""


def write_status(state: Path, name: str, told: Mapping[str, Any], *, time_ns: int) -> None:
    """Replace `state/status-NAME.json`; on a disk without room its bytes are written over, so that this can be told.

    Args:
        told: Plain JSON values.
        time_ns: Wall time [ns since 1970 UTC].
    """
    path = state / f"status-{name}.json"
    beside = path.with_suffix(".new")
    whole = {"process": name, "time_ns": time_ns, "pid": os.getpid(), "capabilities": held(), **told}
    data = json.dumps(whole).encode()
    try:
        beside.write_bytes(data)
        beside.rename(path)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
            _overwrite(path, data)


def _overwrite(path: Path, data: bytes) -> None:
    """Write into the room the file has already; a reader may see half of it for a moment, and waits for the next."""
    file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        held = os.fstat(file)
        if len(data) <= max(held.st_size, held.st_blocks * 512):
            os.pwrite(file, data.ljust(held.st_size), 0)  # spaces after it are JSON still
    finally:
        os.close(file)


def read_status(state: Path, name: str) -> dict[str, Any] | None:
    """What a process said last, None where it never did."""
    try:
        told = json.loads((state / f"status-{name}.json").read_text())
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) else None


def read_statuses(state: Path) -> dict[str, dict[str, Any]]:
    """Every process's last word, by name."""
    names = sorted(path.stem.removeprefix("status-") for path in state.glob("status-*.json"))
    return {name: told for name in names if (told := read_status(state, name)) is not None}
