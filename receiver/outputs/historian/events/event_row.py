"""A row of the tables of events as readers are given it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from receiver.outputs.historian.views import EventView


def event_of(row: Sequence[Any], names: Mapping[int, str]) -> EventView:
    """The event that a row begins with: asset, source, time_ns, severity, code, text, state, sequence, received_ns.

    Args:
        row: As the database gave it; more columns may follow.
        names: Of assets, by their numbers.
    """
    one, source, time_ns, severity, code, text, state, sequence, received_ns, *_ = row
    return EventView(
        asset=names[one],
        source=source,
        time_ns=time_ns,
        severity=severity,
        code=code,
        text=text,
        state=state,
        sequence=sequence,
        received_ns=received_ns,
    )
