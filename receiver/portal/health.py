"""What a person must be called for: journaled and not published, or a process that says nothing any more.

The processes' reports tell it (`receiver/publish/alarm.py`); here they are gathered for the pages and for `/healthz`. A
report that was never left is no alarm: pages may be served where nothing else has run yet, and the overview says that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from receiver.portal import words
from receiver.portal.reports import Report

SILENT_S = 60.0
"""A process whose last report is older than this is an alarm [s]: longer than any start."""


def alarms(reports: Sequence[Report[Any]], *, whole: bool) -> list[str]:
    """Lines for people.

    Args:
        reports: Of catch, publish and the outputs that are shown.
        whole: The reader sees everything; otherwise publish's words about other outputs are left out.
    """
    shown = {one.process for one in reports}
    out = []
    for one in reports:
        if one.age_s is not None and one.age_s > SILENT_S:
            out.append(f"{one.process} does not run: its last report is {words.span(one.age_s)} old")
        elif one.process == "publish":
            out += [line for line in one.status.alarms if whole or line.split(" ", 1)[0] in shown]
        else:
            out += [f"{one.process}: {line}" for line in one.status.alarms]
    return out
