"""Which reads serve a scan: neighbours in one request, a value never split, a gap only as wide as was allowed.

    items     a a b b . . c c        max_gap 0: [a b] [c]      max_gap 2: [a b . . c]

One pass over the items in address order; each either joins the read before it or begins the next. That is the
fewest requests possible under the two limits, since starting a read later never lets it reach less far. A gap that
holds an address of `never_read` is never read over. A tag that is to be read alone shares its request with nobody.
Limits: 125 registers (Modbus Application Protocol V1.1b3, 6.3), 2000 bits (6.1), and lower ones that a device has.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from collectors.base import Device, Request
from collectors.modbus.address import Table
from collectors.modbus.config import Config, Item

MBAP_BYTES = 7
"""Modbus TCP header: transaction, protocol, length, unit (Modbus TCP guide V1.0b, 3.1.3)."""

RTU_BYTES = 3
"""RTU address and checksum (Modbus over serial line V1.02, 2.5.1)."""

READ_PDU_BYTES = 5
"""Function, start, quantity (V1.1b3, 6.1 to 6.4)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Read:
    """One request; equal to itself only, so that a set of them costs no look at the items."""

    table: Table
    start: int
    """First address, 0-based."""
    count: int
    """Registers or bits."""
    items: tuple[Item, ...]
    """The values it serves, in address order."""
    cell: int = 2
    """Bytes at each address; of a table of bits one for a bit."""

    @property
    def size(self) -> int:
        """Data bytes of a right reply."""
        return (self.count + 7) // 8 if self.table.bits else self.cell * self.count

    def __str__(self) -> str:
        return f"read {self.table.value} {self.start}..{self.start + self.count - 1}"


def reads(items: Iterable[Item], config: Config) -> list[Read]:
    """The reads that serve the items, ordered by table and address."""
    out: list[Read] = []
    group: list[Item] = []
    end = 0
    for item in sorted(items, key=lambda item: (item.table.function, item.cell, _apart(item), item.start, item.end)):
        limit = config.max_bits if item.table.bits else config.max_registers * 2 // item.cell
        joins = (
            group
            and item.table is group[0].table
            and item.cell == group[0].cell
            and item.alone == group[0].alone
            and item.start <= end + config.max_gap
            and not any(fence.meets(item.table, end, item.start) for fence in config.never_read)
            and max(item.end, end) - group[0].start <= limit
        )
        if group and not joins:
            out.append(read_of(group))
            group = []
        end = max(end, item.end) if joins else item.end
        group.append(item)
    if group:
        out.append(read_of(group))
    return out


def _apart(item: Item) -> int:
    return -1 if item.alone is None else item.alone


def read_of(items: Sequence[Item]) -> Read:
    """One read over items of one table that stand in address order."""
    start = min(item.start for item in items)
    return Read(
        table=items[0].table,
        cell=items[0].cell,
        start=start,
        count=max(item.end for item in items) - start,
        items=tuple(items),
    )


def requests(device: Device, config: Config) -> list[Request]:
    """Every request that one cycle of each scan sends, for people."""
    frame = RTU_BYTES if config.rtu else MBAP_BYTES
    return [
        Request(
            what=str(read),
            every_s=scan.every_s,
            points=len(read.items),
            request_bytes=frame + READ_PDU_BYTES,
            reply_bytes=frame + 2 + read.size,
        )
        for scan, items in zip(device.scans, config.scans, strict=True)
        for read in reads(items, config)
    ]
