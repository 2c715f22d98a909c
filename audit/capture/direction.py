"""Which way a frame went, by every evidence that a capture holds, for each group of equal frames.

The source address alone is a claim of the sender, and whoever sends back can make the same claim. So what else the
file knows is compared: where a frame was addressed, on which of the file's interfaces and in which direction it was
seen, how far it came (time to live), and whether it is what the link sends. Of frames that claim to be the high side's,
those are taken for the way there that most are like; the others are told with the reason. What only the link's own
frames have (one target, one time to live) is asked of them alone: another service of the high side is CAP-3's matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from audit.capture.records import IN, OUT, Bytes, Numbers

Mask: TypeAlias = npt.NDArray[np.bool_]

ANOTHER_SOURCE = "another source"
NO_SOURCE = "no source that can be read"
TO_HIGH = "addressed to the high side, with its own address as the source"
OTHER_WAY = "seen going the other way than the high side's other frames"
OTHER_INTERFACE = "seen on another interface than the high side's other frames"
OTHER_TARGET = "of the link, addressed to another card than its other frames"
OTHER_HOPS = "of the link, with another time to live than its other frames: from another machine"
EXCESS_BYTES = "longer than its own packet: another frame may be hidden behind it"
OTHER_CLASS = "of the link, of another packet type or interface of the capturing machine than its other frames"
TO_MANY = "addressed to everyone or to a group: one sent back would look the same"
NAMESAKE = "on another interface of the file that bears the same name, or none as well: nothing tells that it is one"
UNTOLD_WAY = "without a direction, which the file tells of others"


@dataclass(frozen=True, slots=True, kw_only=True)
class Direction:
    """What the frames of the high side look like in this file."""

    high: bytes
    """Its MAC address, 6 bytes."""
    appliance: bytes | None = None
    """MAC address of a diode appliance's own port."""
    low: bytes | None = None
    """The low side's, where it is told."""
    way: int = 0
    """What the file says of most of the high side's frames: IN or OUT of the capturing machine; 0: nothing."""
    interface: int = 0
    """The interface that most of them were seen on."""
    namesakes: frozenset[int] = field(default_factory=frozenset)
    """Others of the same name, or of none, in one section."""
    targets: frozenset[bytes] = field(default_factory=frozenset)
    """Where the link's frames go: one card."""
    hops: int = 0
    """Their time to live."""
    seen_as: bytes | None = None
    """What Linux cooked tells of most of the link's frames instead of a target: packet type, interface."""

    def reasons(self, table: Bytes) -> dict[str, Mask]:
        """Which rows went another way, or may have, by reason; the weightiest first."""
        out = absolute(table, self.high, self.appliance)
        high = (table[:, 6] == 1) & _is(table[:, :6], self.high)
        own = ~(out[ANOTHER_SOURCE] | out[NO_SOURCE])
        targeted, link = table[:, 22] == 1, high & (table[:, 25] == 1)
        out[OTHER_WAY] = high & (self.way != 0) & (table[:, 23] != 0) & (table[:, 23] != self.way)
        out[OTHER_INTERFACE] = high & ~np.isin(table[:, 26], (self.interface, *self.namesakes))
        here = np.zeros(len(table), np.bool_)
        for one in self.targets:
            here |= _is(table[:, 16:22], one)
        out[OTHER_TARGET] = link & targeted & ~here & bool(self.targets)
        if self.seen_as is not None:
            out[OTHER_CLASS] = link & (table[:, 22] == 2) & ~_is(table[:, 16:22], self.seen_as)
        out[OTHER_HOPS] = link & (table[:, 24] != self.hops)
        out[EXCESS_BYTES] = own & (table[:, 27] == 1)
        return out

    def doubts(self, table: Bytes) -> dict[str, Mask]:
        """The high side's frames of which no evidence of this file tells the way, by reason."""
        high = (table[:, 6] == 1) & _is(table[:, :6], self.high)
        group = (table[:, 22] == 1) & (table[:, 16] & 1 == 1) & (table[:, 23] == 0)
        for one in self.targets:
            group &= ~_is(table[:, 16:22], one)
        return {
            TO_MANY: high & group,
            NAMESAKE: high & np.isin(table[:, 26], list(self.namesakes)),
            UNTOLD_WAY: high & (table[:, 23] == 0) & (self.way != 0),
        }


def absolute(table: Bytes, high: bytes, appliance: bytes | None) -> dict[str, Mask]:
    """Rows that did not go the way there, by reasons that need no other frame; the weightiest first.

    Args:
        table: Rows.
        high, appliance: MAC addresses, 6 bytes.
    """
    sourced = table[:, 6] == 1
    mine = sourced & _is(table[:, :6], high)
    own = mine if appliance is None else mine | (sourced & _is(table[:, :6], appliance))
    to_high = mine & (table[:, 22] == 1) & _is(table[:, 16:22], high)
    return {ANOTHER_SOURCE: sourced & ~own, NO_SOURCE: ~sourced, TO_HIGH: to_high}


ABSOLUTE = frozenset({ANOTHER_SOURCE, NO_SOURCE, TO_HIGH})


def learn(
    table: Bytes,
    counts: Numbers,
    firsts: Numbers,
    *,
    high: bytes,
    appliance: bytes | None = None,
    low: bytes | None = None,
    interfaces: Sequence[Sequence[str | int]] = (),
    expected: str | None = None,
) -> Direction:
    """What most frames of the high side look like; of two that are as many, what the file begins with.

    Args:
        table: Rows of all groups.
        counts: Frames of each.
        firsts: Number of each one's first frame.
        high, appliance, low: MAC addresses, 6 bytes.
        interfaces: Of the file, each by what tells it from others (`CaptureInterface.identity`), in the rows' numbers.
        expected: Name of the interface on which the high side's frames are expected, where a person said so.
    """
    mine = (table[:, 6] == 1) & _is(table[:, :6], high)
    told, link = mine & np.isin(table[:, 23], (IN, OUT)), mine & (table[:, 25] == 1)
    if not link.any():
        target = frozenset[bytes]()
    else:
        target = frozenset({_most(table[:, 16:22], counts, firsts, link & (table[:, 22] == 1))} - {None})  # type: ignore[arg-type]
    way = _most(table[:, 23:24], counts, firsts, told)
    named = [number for number, one in enumerate(interfaces) if expected is None or one[0] == expected]
    there = mine & np.isin(table[:, 26], named) if expected is not None else mine
    seen = _most(table[:, 26:27], counts, firsts, there)
    interface = seen[0] if seen else min(named, default=0)
    own = list(interfaces[interface][:-1]) if interface < len(interfaces) else None
    hops = _most(table[:, 24:25], counts, firsts, link)
    return Direction(
        high=high,
        appliance=appliance,
        low=low,
        way=way[0] if way else 0,
        interface=interface,
        namesakes=frozenset(
            number for number, one in enumerate(interfaces) if list(one[:-1]) == own and number != interface
        ),
        targets=target if low is None or not target else frozenset({low}),
        hops=hops[0] if hops else 0,
        seen_as=_most(table[:, 16:22], counts, firsts, link & (table[:, 22] == 2)),
    )


def counted(reasons: Mapping[str, Mask], counts: Numbers) -> dict[str, int]:
    """Frames by reason, those without any left out; a frame of several reasons counts for the first."""
    taken = np.zeros(len(counts), np.bool_)
    out = {}
    for why, mask in reasons.items():
        many = int(counts[mask & ~taken].sum())
        taken |= mask
        if many:
            out[why] = many
    return out


def _most(columns: Bytes, counts: Numbers, firsts: Numbers, mask: Mask) -> bytes | None:
    totals: dict[bytes, tuple[int, int]] = {}
    for value, count, first in zip(columns[mask], counts[mask].tolist(), firsts[mask].tolist(), strict=True):
        many, begun = totals.get(key := value.tobytes(), (0, first))
        totals[key] = (many + count, min(begun, first))
    return max(totals, key=lambda key: (totals[key][0], -totals[key][1]), default=None)


def _is(columns: Bytes, value: bytes) -> Mask:
    out: Mask = (columns == np.frombuffer(value, np.uint8)).all(axis=1)
    return out
