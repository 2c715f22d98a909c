"""Which tags share some of their addresses with another and not all: most often a value of two registers is followed by
one that begins a register too early, and reads half of it.

    float32 at holding:0   0 1
    float32 at holding:1     1 2     told
    uint16 at holding:0    0         told: half of the first

Two readings of the very same addresses (two word orders, to see which is right) and parts of a register beside the
whole are meant. One pass over the tags in address order. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from collectors.base import Device, Point
from collectors.modbus.address import Table
from collectors.modbus.config import Config, Item


@dataclass(frozen=True, slots=True)
class _Span:
    """The addresses of a point, all of its elements."""

    table: Table
    start: int
    end: int
    """First address behind it."""
    point: Point


def overlaps(device: Device, config: Config) -> Iterator[str]:
    """A warning for each tag that begins inside another, `tags.NAME.at: what is odd; next step`."""
    first = {item.number: item for items in config.scans for item in items}
    spans = [span for point in device.points if (span := _span(point, first)) is not None]
    spans.sort(key=lambda one: (one.table.value, one.start, -one.end, one.point.number))
    reach: _Span | None = None
    for span in spans:
        if reach is not None and reach.table is span.table and span.start < reach.end:
            if (span.start, span.end) != (reach.start, reach.end):
                yield _told(span, reach)
            if span.end <= reach.end:
                continue
        reach = span


def _span(point: Point, items: Mapping[int, Item]) -> _Span | None:
    begin, end = items.get(point.number), items.get(point.number + point.count - 1)
    if begin is None or end is None or begin.part is not None:
        return None
    return _Span(begin.table, begin.address, end.address + end.width, point)


def _told(span: _Span, other: _Span) -> str:
    table, last = span.table.value, other.end - 1
    held = f"{table}:{other.start}" + (f" to {last}" if last > other.start else "")
    what = f'"{other.point.name}", which takes {held}, holds {table}:{span.start} too'
    return f"tags.{span.point.name}.at: {what}; mend the address or the type, or take one of the two out"
