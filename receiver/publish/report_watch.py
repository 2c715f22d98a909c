"""Whether the reports of `[[report]]` are made: seen from outside of the process that makes them.

publish knows by the same rule as the portal which report is due (`report_settings.py`), and by `reports.json` which was
made. So a report that fails, a portal that hangs and one that does not run are seen alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

from protocol.inert import inert
from receiver.report_settings import ReportTable
from receiver.status.report_states import ReportState, peek_states

LATE_S = 900.0
"""A report that is due for longer is late [s]: three tries."""


def report_alarms(tables: Sequence[ReportTable], state: Path, zone: str, now_ns: int, since_ns: int) -> list[str]:
    """Lines for people, one for each report that failed or is late.

    Args:
        tables: What is to be made.
        state: The state folder.
        zone: The plant's (IANA); empty: UTC.
        now_ns: Wall time [ns since 1970 UTC].
        since_ns: Since when the portal could have made them.
    """
    out = []
    told = peek_states(state) if tables else {}
    for table in tables:
        known = told.get(table.key, ReportState())
        if known.trouble:
            out.append(f"{table.title} was not made: {inert(known.trouble, 500)}; it is tried again every 5 min")
            continue
        due = table.due(now_ns, ZoneInfo(zone or "UTC"), known.done_ns)
        if due and now_ns - max(due[0].to_ns, since_ns) > LATE_S * 1e9:
            out.append(f"{table.title} of {due[0].day} is late: the portal makes it; does it run?")
    return [inert(line, 700) for line in out]
