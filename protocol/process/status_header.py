"""What stands in every status file (`statusfile.py`), whoever wrote it; for readers, which the two ends are not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from protocol.process.document import from_json
from protocol.process.statusfile import read_status


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusHeader:
    """Who wrote it, when, and what calls a person."""

    process: str = ""
    time_ns: int | None = None
    """When it was written, by the writer's wall clock [ns since 1970 UTC]; None where it does not say."""
    pid: int | None = None
    capabilities: str = "none"
    """Those that the process holds, in words."""
    warnings: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()


def read_header(state: Path, name: str) -> StatusHeader:
    """The header of a process's last word; one that says nothing where it left none."""
    return from_json(StatusHeader, read_status(state, name))
