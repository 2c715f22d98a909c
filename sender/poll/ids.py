"""Which number a point has in the stream, and what the number means (the catalog's descriptions).

An id belongs to a description: asset, name, type, unit, address and conversion (`meaning_of`). The first time one is
seen it gets the next free id; the same description always gets the same id, another one another. So an id never changes
its meaning while the stream lives, and a device that comes back with other types than before simply has other ids.
What else is known of a tag (text, range, period) may change under its id: it is described again, no more.

A point whose type nobody knows yet (the configuration leaves it to the device, and the device was never reached) is
described as `float64`, so that its bad-quality samples have a tag. They are rows of kind NONE, which any type may have.
Once the device says its type, the point gets a new id; the old one keeps the bad samples of before.

`Ids` maps by an array a device, point number -> id, so that a whole read is renamed by one indexing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from collectors.base import Facts
from protocol.content.array import Array
from protocol.content.catalog import TYPES, Meaning, Tag, meaning_of
from protocol.content.sample import Columns
from protocol.errors import ConfigError
from protocol.limits import NAME_BYTES, STREAM_TAGS
from sender.poll.config import WatchedPoint

STATES = 4096
"""Most names of an enumeration's values that a description carries; the catalog's readers take no more."""

NO_ID = 2**32 - 1
"""In place of an id where a pattern found no value; such a point has no rows."""

UNKNOWN_TYPE = "float64"
"""Catalog type of a point whose device has not said its type yet."""


class Ids:
    """Every id of one stream.

    Args:
        most: Most ids of a stream.
    """

    def __init__(self, most: int = STREAM_TAGS) -> None:
        self._most = most
        self._ids: dict[Meaning, int] = {}
        self._described: dict[int, Tag] = {}
        self._arrays: dict[str, Array] = {}

    @property
    def left(self) -> int:
        """Ids that the stream still has."""
        return self._most - len(self._ids)

    def describe(self, asset: str, tags: Sequence[Tag | None]) -> list[Tag]:
        """Give a device's points their ids.

        Args:
            asset: Name of the device.
            tags: One a point number, in that order; their `id` is ignored. None where there is no value.

        Returns:
            The descriptions that are new or have changed, with their ids, for the catalog.

        Raises:
            ConfigError: the stream has no id left.
        """
        fresh, numbers = [], []
        for draft in tags:
            if draft is None:
                numbers.append(NO_ID)
                continue
            meaning = meaning_of(draft)
            tag = replace(draft, id=self._ids.get(meaning, len(self._ids)))
            if tag.id >= self._most:
                raise ConfigError(f"more than {self._most} tags in a stream", hint="split the plant over two senders")
            self._ids[meaning] = tag.id
            numbers.append(tag.id)
            if self._described.get(tag.id) != tag:
                self._described[tag.id] = tag
                fresh.append(tag)
        self._arrays[asset] = np.array(numbers, np.uint32)
        return fresh

    def there(self, asset: str) -> Array:
        """Mask over the point numbers: which have an id."""
        return np.not_equal(self._arrays[asset], NO_ID)

    def rename(self, asset: str, columns: Columns) -> Columns:
        """The same rows with stream ids in place of point numbers.

        Raises:
            IndexError: a point number that the device does not have.
        """
        return replace(columns, tag=self._arrays[asset][columns.tag])


def cut(text: str) -> str:
    """The text within the catalog's limit, `NAME_BYTES` of UTF-8; what a device says may be longer."""
    return text.encode("utf-8", "replace")[:NAME_BYTES].decode("utf-8", "ignore")


def _number(said: object) -> float | None:
    return float(said) if isinstance(said, int | float) and math.isfinite(said) else None


def drafts(asset: str, watched: Iterable[WatchedPoint], facts: Mapping[int, Facts]) -> list[Tag | None]:
    """Descriptions of a device's points, one a point number; an array's elements are `name[i]`.

    What a pattern found has its name from the device; None stands for what it has not found.

    The configuration's own words win over what the device says of itself, but for the type: the collector alone
    knows what comes out (a scaled integer is a float64).

    Args:
        asset: Name of the device.
        watched: In number order.
        facts: What the device says, by point number (an array's by its first number); empty before it was reached.
    """
    out: list[Tag | None] = []
    for one in watched:
        point, table = one.point, one.table
        for index in range(point.count):
            own = facts.get(point.number + index)
            said = own or facts.get(point.number) or one.stated
            if point.pattern and (own is None or own.name is None):
                out.append(None)
                continue
            element = f"[{index}]" if point.count > 1 and not point.pattern else ""
            low, high = (_number(said.low), _number(said.high)) if table.span == (None, None) else table.span
            normal_low, normal_high = table.normal or (None, None)
            known = (kind for kind in (said.type, one.stated.type) if kind in TYPES)
            kind = next(known, point.type or UNKNOWN_TYPE)
            out.append(
                Tag(
                    id=0,
                    asset=asset,
                    name=cut(said.name) if point.pattern and said.name else point.name + element,
                    type=kind,
                    unit=point.unit or cut(said.unit or ""),
                    description=table.description or cut(said.description or ""),
                    low=low,
                    high=high,
                    normal_low=normal_low,
                    normal_high=normal_high,
                    scan_s=one.scan_s,
                    max_silence_s=one.silence_s,
                    address=cut(said.address) if point.pattern and said.address else point.at + element,
                    conversion=cut(said.conversion or one.stated.conversion or ""),
                    states=table.names or tuple(cut(str(state)) for state in said.states[:STATES]),
                )
            )
    return out
