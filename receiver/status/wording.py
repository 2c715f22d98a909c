"""`status-catch.json` as it is shown: the words and codes that catch leaves to its readers are made here (pure).

    watch      figures; gives way to lines in `warnings`, behind those that catch wrote itself
    codes      gap codes, made of the gaps that are listed

Every reader goes through here. The file may be damaged or planted: what cannot be read says nothing, and nothing
raises. A file of an earlier build has no `watch`; it holds its words already and stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from protocol.process.document import from_json
from protocol.process.last_words import read_statuses
from receiver.status import alerts
from receiver.status.catch import CatchStatus, LinkWatch
from receiver.status.gap_codes import codes

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
    whole["warnings"] = [*catch.warnings, *alerts.lines(catch, watch)]
    whole["codes"] = codes(catch.gaps)[:CODES_TOLD]
    return whole


def read_low(state: Path) -> dict[str, dict[str, Any]]:
    """Every process's last word, by name, as `read_statuses`; catch's complete."""
    return {name: complete(told) if name == "catch" else told for name, told in read_statuses(state).items()}
