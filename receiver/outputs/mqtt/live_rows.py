"""Which samples of a shipment are live, and which come late (pure).

What is live says how a tag stands now. A sample is live where its block never was missing, was completed within the
last minute, and is newer than every sample of its tag that was live before; so what is sent again, healed, or was held
up at the broker is late. Of what is late the newest of each tag is live besides, where nothing newer was: otherwise a
tag that seldom changes would stand at its old value for ever after an outage. Newer is `(boot, number, rank)`, never a
clock.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from protocol.content.array import Array
from receiver.outputs.shipping.shipment import LIVE_S, Shipment

Order = tuple[int, int, int]
"""Boot, number and rank of a sample."""
TagName = tuple[str, str]
"""Asset and tag."""


@dataclass(frozen=True, slots=True)
class SplitRows:
    """Rows of a shipment."""

    live: list[int]
    late: list[int]
    """All that is not live, and what is live besides."""
    newest: dict[TagName, Order]
    """What is newest of each tag once these were taken."""


class LiveRows:
    """What was newest of each tag."""

    def __init__(self) -> None:
        self._newest: dict[TagName, Order] = {}

    def split(self, shipment: Shipment, now_ns: int) -> SplitRows:
        """Part a shipment; the same again until it was taken.

        Args:
            now_ns: The low side's wall clock [ns since 1970 UTC].
        """
        names = [(one.asset, one.tag) for one in shipment.series]
        recent = now_ns - shipment.received_ns < LIVE_S * 1e9
        fresh = np.zeros(len(shipment), bool) if not recent else ~shipment.healed
        newest: dict[TagName, Order] = {}
        live, late = [], []
        last: dict[TagName, tuple[Order, int]] = {}
        for row, (at, number, rank, now) in enumerate(_rows(shipment, fresh)):
            name, order = names[at], (shipment.boot, number, rank)
            newer = order > newest.get(name, self._newest.get(name, (-1, -1, -1)))
            if newer and now:
                live.append(row)
                newest[name] = order
                continue
            late.append(row)
            if newer and (name not in last or order > last[name][0]):
                last[name] = (order, row)
        for name, (order, row) in last.items():
            if name not in newest or order > newest[name]:
                live.append(row)
                newest[name] = order
        return SplitRows(sorted(live), late, newest)

    def took(self, split: SplitRows) -> None:
        """These were taken."""
        self._newest.update(split.newest)


def _rows(shipment: Shipment, fresh: Array) -> zip[tuple[int, int, int, bool]]:
    return zip(
        shipment.columns.tag.tolist(), shipment.number.tolist(), shipment.rank.tolist(), fresh.tolist(), strict=True
    )
