"""A sequence of events: what came first, and how long after it the next. Pure.

Rows stand in the sender's order, which no clock decides; times are the sources' own, to the millisecond and finer where
they tell it. `step_ns` is the time since the event before it of the same asset: two assets have two clocks.

A *burst* is raised events of one asset that follow each other within `BURST_S`. In one that holds a trip, the earliest
raised event is first-out: what acted first. Where the list is cut inside a burst, nobody can say, and none is marked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from receiver.outputs.historian.views import EventView
from receiver.portal.alarms.standing_now import TRIP

BURST_S = 10.0
"""Longest pause in a burst [s]: an emergency stop with its consequences takes seconds, a run-down minutes (measured in
the simulator's scenes; IEC 62682 calls ten alarms in ten minutes a flood, which is no sequence)."""
RAISED = ("active", "")
"""States of an event that comes: it stands from now on, or has just happened."""


@dataclass(frozen=True, slots=True)
class SequenceRow:
    """One event among those around it."""

    event: EventView
    step_ns: int | None
    """Since the event before it of the same asset; negative where the source's times go back; None: not known."""
    first_out: bool
    """The first of a burst that holds a trip."""

    @property
    def trip(self) -> bool:
        """A protection acted."""
        return self.event.severity >= TRIP and self.event.state in RAISED


def sequence(events: Sequence[EventView], *, whole: bool) -> list[SequenceRow]:
    """The events with what they are to each other.

    Args:
        events: Newest first, in the sender's order.
        whole: The oldest is the first there is; otherwise others came before it.
    """
    steps: list[int | None] = [None] * len(events)
    newer: dict[str, int] = {}
    for at, event in enumerate(events):
        if event.asset in newer:
            steps[newer[event.asset]] = events[newer[event.asset]].time_ns - event.time_ns
        newer[event.asset] = at
    first = {place for asset in newer for place in _first_out(events, asset, whole=whole)}
    return [SequenceRow(event, steps[at], at in first) for at, event in enumerate(events)]


def newest_burst(rows: Sequence[SequenceRow]) -> list[SequenceRow]:
    """Of one asset's rows, newest first: from the newest first-out on, oldest first; none without one."""
    for at, row in enumerate(rows):
        if row.first_out:
            burst = list(reversed(rows[: at + 1]))
            return [one for one in burst if one.event.time_ns >= row.event.time_ns]
    return []


def _first_out(events: Sequence[EventView], asset: str, *, whole: bool) -> list[int]:
    raised = [at for at in range(len(events) - 1, -1, -1) if events[at].asset == asset and events[at].state in RAISED]
    raised.sort(key=lambda at: events[at].time_ns)  # stable: equal times stay in the sender's order
    bursts: list[list[int]] = []
    for at in raised:
        if not bursts or events[at].time_ns - events[bursts[-1][-1]].time_ns > BURST_S * 1e9:
            bursts.append([])
        bursts[-1].append(at)
    if bursts and not whole:
        bursts = bursts[1:]  # others may have come before its first
    return [burst[0] for burst in bursts if any(events[at].severity >= TRIP for at in burst)]
