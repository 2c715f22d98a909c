"""`status-catch.json` as it is shown: the words and codes that catch leaves to its readers are made here (pure).

    watch      figures; gives way to lines in `warnings`, behind those that catch wrote itself
    concerns   what the last beat tells of the sender that calls for a person; a line each in `warnings` or `alarms`
    codes      gap codes, made of the gaps that are listed
    lost_ns    of each gap: until when the sender keeps its blocks at least

Every reader goes through here. The file may be damaged or planted: what cannot be read says nothing, and nothing
raises. A file of an earlier build has no `watch`; it holds its words already and stays as it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from protocol.process.document import from_json, to_json
from protocol.process.last_words import read_statuses
from receiver.gap import Gap
from receiver.status import alerts
from receiver.status.catch import CatchStatus, LinkWatch
from receiver.status.concerns import concerns, line
from receiver.status.gap_codes import codes, kept_s

CODES_TOLD = 64
"""Most gap codes listed: a person reads out a few."""


def complete(told: Any) -> Any:
    """The content of the file with warnings and codes in words; anything else stays as it is.

    Args:
        told: What was read.
    """
    if not isinstance(told, Mapping) or "watch" not in told:
        return told
    catch, watch = from_json(CatchStatus, told), from_json(LinkWatch, told["watch"])
    whole = {key: value for key, value in told.items() if key != "watch"}
    found = concerns(catch, watch)
    whole["alarms"] = [line(one) for one in found if one.grave]
    whole["warnings"] = [*catch.warnings, *alerts.lines(catch, watch), *(line(one) for one in found if not one.grave)]
    whole["concerns"] = [to_json(one) for one in found]
    keep_s = kept_s(catch.sender.spool, watch.taken_bytes, watch.taken_s)
    whole["gaps"] = [to_json(_until(gap, keep_s)) for gap in catch.gaps]
    whole["codes"] = codes(catch.gaps)[:CODES_TOLD]
    return whole


def _until(gap: Gap, keep_s: float) -> Gap:
    """The gap with the time until which a code helps, where that is known."""
    known = math.isfinite(keep_s) and not gap.damaged
    return replace(gap, lost_ns=gap.since_ns + int(keep_s * 1e9) if known else None)


def read_low(state: Path) -> dict[str, dict[str, Any]]:
    """Every process's last word, by name, as `read_statuses`; catch's complete."""
    return {name: complete(told) if name == "catch" else told for name, told in read_statuses(state).items()}
