"""What the other processes say of themselves: `status-<process>.json`, rewritten once a second by rename.

The files are written by our own processes, but the pages must stand when one is missing, old, cut off or from another
version: then the process counts as not running, and the page says so. Nothing in here raises for what a file holds.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from protocol.process import document
from protocol.process.status_header import StatusHeader
from protocol.store import statefile
from receiver.portal import words
from receiver.status.catch import CatchStatus
from receiver.status.publish import OutputCounters, OutputStatus, PublishStatus
from receiver.status.wording import complete

OLD_S = 5.0
"""A report older than this is of a process that does not run any more [s]; it is written each second."""

REPORT_BYTES = 4 * 1024 * 1024
"""Longest report that is read [bytes]: 10,000 gaps take under 1 MiB."""


TEXT = 2000
"""Longest text of a report that is shown [characters]; the longest of ours is a gap code of 1,000."""

_Status = TypeVar("_Status")


@dataclass(frozen=True, slots=True)
class Report(Generic[_Status]):
    """One process's last word."""

    process: str
    running: bool
    """The file is there, can be read and is younger than `OLD_S`."""
    status: _Status
    """What it said, also long ago; the defaults where that cannot be read."""
    age_s: float | None = None
    """Age of the file's own time [s]; None where there is no readable file."""
    trouble: str = ""
    """Why it counts as not running; empty while it runs."""
    counters: OutputCounters = field(default_factory=OutputCounters)
    """What an output counts by itself; the defaults for others."""
    written_ns: int | None = None
    """The file's own time [ns since 1970 UTC]; None where there is no readable file."""


@dataclass(frozen=True, slots=True)
class LowReports:
    """The last words of all processes, read together."""

    catch: Report[CatchStatus]
    publish: Report[PublishStatus]
    outputs: tuple[Report[OutputStatus], ...]


def read(
    state: Path,
    process: str,
    kind: type[_Status],
    now_ns: int,
    *,
    written: Callable[[str, int], int] = lambda process, time_ns: time_ns,
) -> Report[_Status]:
    """Read the report of `process`.

    Args:
        state: The state folder.
        process: `catch`, `publish` or an output's name.
        kind: The document that this process writes.
        now_ns: The present.
        written: Where the report of a process, with this time of its own, lies by the clock of `now_ns`.
    """
    path = state / f"status-{process}.json"
    nothing = document.from_json(kind, {})
    try:
        data = statefile.read(path, REPORT_BYTES)
        if data is None:
            return Report(process, False, nothing, trouble="it has left no report")
        body = _sound(complete(json.loads(data)))  # takes NaN too: a writer may have put it there
    except (OSError, ValueError, RecursionError) as error:
        return Report(process, False, nothing, trouble=f"its report cannot be read ({type(error).__name__})")
    time_ns = document.from_json(StatusHeader, body).time_ns
    if time_ns is None:
        return Report(process, False, nothing, trouble="its report has no time")
    status, counters = document.from_json(kind, body), document.from_json(OutputCounters, body)
    age_s = (now_ns - written(process, time_ns)) / 1e9
    if abs(age_s) > OLD_S:
        return Report(process, False, status, age_s, "its last report is old, or of a time to come", counters, time_ns)
    return Report(process, True, status, max(age_s, 0.0), "", counters, time_ns)


def read_low(state: Path, now_ns: int) -> LowReports:
    """The reports of all processes of the low side, the portal's own aside."""
    publish = read(state, "publish", PublishStatus, now_ns)
    names = ["historian", *(name for name in publish.status.children if name not in ("historian", "portal"))]
    outputs = tuple(read(state, name, OutputStatus, now_ns) for name in names)
    return LowReports(read(state, "catch", CatchStatus, now_ns), publish, outputs)


def _sound(held: Any) -> Any:
    """Its texts so that they can be shown, and sent on: a warning may name a file whose name is no UTF-8."""
    if isinstance(held, str):
        return words.text(held, TEXT)
    if isinstance(held, list):
        return [_sound(one) for one in held]
    return {_sound(name): _sound(one) for name, one in held.items()} if isinstance(held, dict) else held
