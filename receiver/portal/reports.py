"""What the other processes say of themselves: `status-<process>.json`, rewritten once a second by rename.

The files are written by our own processes, but the pages must stand when one is missing, old, cut off or from another
version: then the process counts as not running, and the page says so. Nothing in here raises for what a file holds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from protocol.store import statefile
from receiver.portal import words

OLD_S = 5.0
"""A report older than this is of a process that does not run any more [s]; it is written each second."""

REPORT_BYTES = 4 * 1024 * 1024
"""Longest report that is read [bytes]: 10,000 gaps take under 1 MiB."""


TEXT = 2000
"""Longest text of a report that is shown [characters]; the longest of ours is a gap code of 1,000."""

MOST = 2**62
"""A larger number in a report is none: no counter and no time comes there."""


@dataclass(frozen=True, slots=True)
class Report:
    """One process's last word."""

    process: str
    running: bool
    """The file is there, can be read and is younger than `OLD_S`."""
    age_s: float | None = None
    """Age of the file's own time [s]; None where there is no readable file."""
    trouble: str = ""
    """Why it counts as not running; empty while it runs."""
    body: Mapping[str, Any] = field(default_factory=dict)
    """The file's content, also of an old one; empty where it cannot be read."""

    def part(self, *path: str) -> Mapping[str, Any]:
        """The map under `path`, empty where there is none."""
        held: Any = self.body
        for name in path:
            held = held.get(name) if isinstance(held, Mapping) else None
        return held if isinstance(held, Mapping) else {}

    def rows(self, name: str) -> list[Mapping[str, Any]]:
        """The maps of the list `name`; anything else in it is left out."""
        held = self.body.get(name)
        return [row for row in held if isinstance(row, Mapping)] if isinstance(held, list) else []

    def texts(self, name: str) -> list[str]:
        """The texts of the list `name`."""
        held = self.body.get(name)
        return [text for text in held if isinstance(text, str)] if isinstance(held, list) else []


def read(
    state: Path, process: str, now_ns: int, *, written: Callable[[str, int], int] = lambda process, time_ns: time_ns
) -> Report:
    """Read the report of `process`.

    Args:
        state: The state folder.
        process: `catch`, `publish` or an output's name.
        now_ns: The present.
        written: Where the report of a process, with this time of its own, lies by the clock of `now_ns`.
    """
    path = state / f"status-{process}.json"
    try:
        data = statefile.read(path, REPORT_BYTES)
        if data is None:
            return Report(process, running=False, trouble="it has left no report")
        body = _sound(json.loads(data))  # takes NaN too: a writer may have put it there
    except (OSError, ValueError, RecursionError) as error:
        return Report(process, running=False, trouble=f"its report cannot be read ({type(error).__name__})")
    time_ns = body.get("time_ns") if isinstance(body, dict) else None
    if type(time_ns) is not int or abs(time_ns) > MOST:
        return Report(process, running=False, trouble="its report has no time")
    age_s = (now_ns - written(process, time_ns)) / 1e9
    if abs(age_s) > OLD_S:
        trouble = "its last report is old, or of a time to come"
        return Report(process, running=False, age_s=age_s, trouble=trouble, body=body)
    return Report(process, running=True, age_s=max(age_s, 0.0), body=body)


def whole(held: Mapping[str, Any], name: str) -> int:
    """A counter, 0 where it is missing or no number."""
    value = real(held, name)
    return int(held[name]) if value is not None else 0


def real(held: Mapping[str, Any], name: str) -> float | None:
    """A measure, None where it is missing or no number."""
    value = held.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= MOST:
        return None
    return float(value)


def _sound(held: Any) -> Any:
    """Its texts so that they can be shown, and sent on: a warning may name a file whose name is no UTF-8."""
    if isinstance(held, str):
        return words.text(held, TEXT)
    if isinstance(held, list):
        return [_sound(one) for one in held]
    return {_sound(name): _sound(one) for name, one in held.items()} if isinstance(held, dict) else held
