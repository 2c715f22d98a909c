"""Opened blocks parted by the hour of their samples (pure).

A piece is what one hand-over has of one stream for one hour. The hour is that of the sample's own time, in UTC: readers
look for samples by when they were true, not by when they came.

A device's clock may say anything. An hour of its own is for times within `PAST_NS` before and `AHEAD_NS` after their
arrival; all others lie together in `NO_HOUR`, so that a clock which jumps about fills no disk with folders.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

import numpy as np

from protocol.content.array import Array
from receiver.outputs.base import BatchBody, OpenedBlock
from receiver.outputs.shipping.shipment import Shipment, gather

HOUR_NS = 3600 * 10**9
DAY_NS = 24 * HOUR_NS
NO_HOUR = -(2**31)
"""Of samples whose time cannot be believed; real hours count from 1970."""
PAST_NS = 31 * DAY_NS
"""A sender's spool keeps days, its devices' own logs weeks."""
AHEAD_NS = DAY_NS
"""A clock in the wrong time zone, or set to tomorrow by hand."""
EVER = "__HIVE_DEFAULT_PARTITION__"
"""What Hive, DuckDB and polars read as null in the name of a folder."""
_PARTITION = re.compile(r"date=([0-9]{4}-[0-9]{2}-[0-9]{2})/hour=([0-9]{1,2})")


@dataclass(frozen=True, slots=True, kw_only=True)
class HourPiece:
    """Samples of one stream and one hour."""

    hour: int
    """Since 1970 UTC, or NO_HOUR."""
    shipment: Shipment
    """Rows by block, asset, tag and time."""
    blocks: tuple[tuple[int, int], ...]
    """Number of each block that has rows here, ascending, and when it was completed [ns since 1970 UTC]."""

    def less(self, known: Iterable[int]) -> HourPiece | None:
        """Without the rows of these blocks; None where nothing is left."""
        gone = set(known)
        if not gone:
            return self
        kept = tuple(one for one in self.blocks if one[0] not in gone)
        if not kept:
            return None
        rows = ~np.isin(self.shipment.number, np.fromiter(gone, np.int64, len(gone)))
        return HourPiece(hour=self.hour, shipment=selected(self.shipment, rows), blocks=kept)


def pieces(blocks: Sequence[OpenedBlock]) -> Iterator[HourPiece]:
    """All samples of these blocks; a block that is there twice counts once."""
    came: dict[tuple[bytes, int], OpenedBlock] = {}
    for one in blocks:
        if isinstance(one.body, BatchBody):
            came.setdefault((one.stream.key, one.number), one)
    for _, shipment in gather(came.values(), 0):
        numbers, at = np.unique(shipment.number, return_inverse=True)
        received = np.array([came[shipment.stream, one].received_ns for one in numbers.tolist()], np.int64)
        hours = hours_of(shipment.columns.time_ns, received[at])
        for hour in np.unique(hours).tolist():
            part = selected(shipment, hours == hour)
            held = np.isin(numbers, part.number)
            told = tuple(zip(numbers[held].tolist(), received[held].tolist(), strict=True))
            yield HourPiece(hour=hour, shipment=part, blocks=told)


def hours_of(time_ns: Array, received_ns: Array) -> Array:
    """The hour of each sample, or NO_HOUR; int64."""
    low, high = received_ns - PAST_NS, received_ns + AHEAD_NS
    return np.where((time_ns >= low) & (time_ns <= high), time_ns // HOUR_NS, NO_HOUR)


def selected(shipment: Shipment, rows: Array) -> Shipment:
    """The rows of a mask."""
    if rows.all():
        return shipment
    return replace(
        shipment,
        columns=shipment.columns.select(rows),
        number=shipment.number[rows],
        rank=shipment.rank[rows],
        healed=shipment.healed[rows],
    )


def partition(hour: int) -> str:
    """The folder of an hour, as Hive names it: digits alone, never a text of the plant. No leading zero: with one,
    DuckDB reads the hour as a text and polars as a number."""
    if hour == NO_HOUR:
        return f"date={EVER}/hour={EVER}"
    at = datetime.fromtimestamp(hour * 3600, UTC)
    return f"date={at:%Y-%m-%d}/hour={at.hour}"


def hour_of(name: str) -> int | None:
    """The hour whose folder is called so; None where it is none of ours."""
    found = _PARTITION.fullmatch(name)
    if found is None:
        return NO_HOUR if name == partition(NO_HOUR) else None
    try:
        day = date.fromisoformat(found[1])
    except ValueError:
        return None
    hour = (day - date(1970, 1, 1)).days * 24 + int(found[2])
    return hour if partition(hour) == name else None
