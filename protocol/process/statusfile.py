"""What a running process says of itself: `state/status-NAME.json`, rewritten once a second by rename.

It is how `status`, the pages and a person look into a process that answers nobody. Not synced: it is news, not record.
Several users write into the folder and root reads there, so no link is followed and no FIFO is waited for.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from protocol.process import capabilities
from protocol.store import statefile

LARGEST = 16 * 1024 * 1024
"""Largest status that is read [bytes]: a thousand gaps and a thousand assets are below 1 MB."""
PERIOD = 1.0
"""A status file is rewritten this often [s]."""


def write_status(state: Path, name: str, told: Mapping[str, Any], *, time_ns: int) -> None:
    """Replace `state/status-NAME.json`; on a disk without room its bytes are written over, so that this can be told.

    Args:
        told: Plain JSON values.
        time_ns: Wall time [ns since 1970 UTC].
    """
    whole = {"process": name, "time_ns": time_ns, "pid": os.getpid(), "capabilities": capabilities.in_words(), **told}
    replace(state / f"status-{name}.json", json.dumps(whole).encode())


def replace(path: Path, data: bytes) -> None:
    """Replace a file of news: not synced, and written over where the disk has no room; what cannot be is not said.

    Args:
        path: Its folder must be there.
        data: JSON.
    """
    try:
        statefile.write(path, data, 0o644, synced=False)
    except OSError:
        with contextlib.suppress(OSError):
            _overwrite(path, data)


def _overwrite(path: Path, data: bytes) -> None:
    """Write into the room the file has already; a reader may see half of it for a moment, and waits for the next."""
    file = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        held = os.fstat(file)
        if stat.S_ISREG(held.st_mode) and held.st_nlink == 1 and len(data) <= max(held.st_size, held.st_blocks * 512):
            os.pwrite(file, data.ljust(held.st_size), 0)  # spaces after it are JSON still
    finally:
        os.close(file)


def read_status(state: Path, name: str) -> dict[str, Any] | None:
    """What a process said last, None where it never did."""
    try:
        told = json.loads(statefile.read(state / f"status-{name}.json", LARGEST) or b"")
    except (OSError, ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None
