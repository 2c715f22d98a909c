"""The faults of a scene with their times: what becomes wrong, or well again, as time goes by.

    at 20s, for 10s, every 60s        20 .. 30, 80 .. 90, 140 .. 150 ..    [s since the simulator started]
    at 20s, for 10s                   20 .. 30
    at 20s                            from 20 on

A pure core: `due(now)` gives the changes since it was last asked, in their order. A fault that began and ended between
two asks is given as both, so that a command (`restart`) is never missed.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from simulator.scene.scene import Timed


@dataclass(frozen=True, slots=True, order=True)
class FaultChange:
    """Something to be done to a device."""

    at_s: float
    """When it was due [s]."""
    order: int
    """Place of its fault in the scene, so that equal times have an order."""
    begins: bool
    asset: str
    what: str


class FaultSchedule:
    """The faults of one scene."""

    def __init__(self, faults: Sequence[Timed]) -> None:
        self._faults = tuple(faults)
        self._waiting = [
            FaultChange(fault.at_s, order, True, fault.asset, fault.what) for order, fault in enumerate(self._faults)
        ]
        heapq.heapify(self._waiting)

    def due(self, now_s: float) -> list[FaultChange]:
        """What has become due up to `now_s` [s], which never goes back."""
        out: list[FaultChange] = []
        while self._waiting and self._waiting[0].at_s <= now_s:
            change = heapq.heappop(self._waiting)
            out.append(change)
            fault = self._faults[change.order]
            if not change.begins:
                continue
            if fault.for_s is not None:
                end = FaultChange(change.at_s + fault.for_s, change.order, False, fault.asset, fault.what)
                heapq.heappush(self._waiting, end)
            if fault.every_s is not None:
                again = FaultChange(change.at_s + fault.every_s, change.order, True, fault.asset, fault.what)
                heapq.heappush(self._waiting, again)
        return out
