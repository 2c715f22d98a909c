"""A server's DataValues as columns: which time each gets, and which kind of value it is.

Time. The source's own, where it is believable; the server's, or else the time of reading, stands beside it in
`other_ns`. Where it is not, the time of reading counts, the source's stands beside it, quality is Uncertain (unless it
is worse already), and `native` names the cause:

    1  MISSING  the server gives no source time
    2  FAR      it is more than a day from the time of reading: a clock that was never set, or a value that old
    3  FROZEN   values change and it does not, for a second or more; until it moves again

Quality is the server's StatusCode, every bit of it. A bad one has no value.

asyncua 2.1 takes the two fields after the source's time in the wrong order, so where a server sends SourcePicoseconds
its own time is not to be had.

No I/O here, no clock, and nothing of the library: DataValues are looked at by their attributes.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

import numpy as np

from collectors.opcua.config import Node
from protocol.content.sample import NO_TIME, Columns, Quality, Value, columns, severity

DAY_NS = 86_400 * 10**9
"""A source time further than this from the time of reading is not believed [ns]."""

FROZEN_NS = 10**9
"""A source clock that stands so long while values change is frozen [ns]; coarser ones than this are not in use."""

OVERFLOW = 0x480
"""Info bits of a StatusCode: a data value, and some before it were lost (OPC 10000-4, 7.39.1)."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NO_DATE = datetime(1602, 1, 1, tzinfo=UTC)
_MOST = 2**63 - 1


class Cause(IntEnum):
    """Why the time of reading stands for the source's; in `native`."""

    MISSING = 1
    FAR = 2
    FROZEN = 3


TYPE_OF: dict[int, str] = {
    1: "bool",
    2: "int8",
    3: "uint8",
    4: "int16",
    5: "uint16",
    6: "int32",
    7: "uint32",
    8: "int64",
    9: "uint64",
    10: "float32",
    11: "float64",
    **dict.fromkeys((12, 13, 14, 15, 16, 17, 18, 20, 21), "string"),
    19: "uint32",
}
"""Catalog type by built-in type (OPC 10000-6, 5.1.2); structures and the like have none."""

_PLAIN = frozenset(range(1, 13))
"""Built-in types whose Python values are column values already."""

_AS_TEXT: dict[int, Callable[[Any], str]] = {
    13: lambda value: str(value.isoformat()),
    14: str,
    15: lambda value: b64encode(value).decode(),
    16: lambda value: value.Value or "",
    17: lambda value: str(value.to_string()),
    18: lambda value: str(value.to_string()),
    20: lambda value: str(value.to_string()),
    21: lambda value: value.Text or "",
}
"""Built-in types that become text: a time as ISO 8601, bytes as base64, an id in its own notation."""


def nanoseconds(moment: datetime | None) -> int | None:
    """Nanoseconds since 1970 UTC; None for no time, which OPC UA also writes as 1601 (OPC 10000-6, 5.2.2.5)."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if moment < _NO_DATE:
        return None
    since = moment - _EPOCH
    whole = (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000
    return max(-_MOST, min(_MOST, whole))  # the year 9999 does not fit


@dataclass(slots=True)
class _Seen:
    """What the source last said of a node."""

    source_ns: int | None = None
    since_ns: int = 0
    """When that source time was first read."""
    value: Any = None
    frozen: bool = False


@dataclass(slots=True)
class _Rows:
    """Rows as they gather."""

    tag: list[int] = field(default_factory=list)
    time_ns: list[int] = field(default_factory=list)
    other_ns: list[int] = field(default_factory=list)
    quality: list[int] = field(default_factory=list)
    native: list[int] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)

    def add(self, number: int, stamp: tuple[int, int, int, int], value: Value) -> None:
        """One row; `stamp` is time, other time, quality and native."""
        self.tag.append(number)
        self.time_ns.append(stamp[0])
        self.other_ns.append(stamp[1])
        self.quality.append(stamp[2])
        self.native.append(stamp[3])
        self.values.append(value)


class Decoder:
    """Gathers rows, and remembers what each node's source clock did before."""

    def __init__(self) -> None:
        self._seen: dict[int, _Seen] = {}
        self._rows = _Rows()

    def add(self, node: Node, value: Any, read_ns: int, *, overflow: bool = False) -> None:
        """The rows of one DataValue.

        Args:
            value: asyncua's DataValue.
            read_ns: When it was read, or came [ns].
            overflow: Values of this node were lost before it.
        """
        status = value.StatusCode
        quality = (0 if status is None else int(status.value)) | (OVERFLOW if overflow else 0)
        raw = None if value.Value is None else value.Value.Value
        stamp = self._stamp(node.number, value, raw, quality, read_ns)
        if severity(quality) == 2:
            self._empty(node, stamp)
            return
        kind = 0 if value.Value is None else int(value.Value.VariantType.value)
        if node.count == 1 and not isinstance(raw, list):
            self._row(node.number, stamp, kind, raw, node.type)
            return
        elements = _flat(raw) if isinstance(raw, list) else None
        if elements is None or (node.count == 1 and len(elements) > 1):
            self._empty(node, (*stamp[:2], Quality.BAD_CONFIGURATION, 0))
            return
        for i in range(node.count):
            if i < len(elements):
                self._row(node.number + i, stamp, kind, elements[i], node.type)
            else:
                self._rows.add(node.number + i, (*stamp[:2], Quality.BAD_OUT_OF_RANGE, 0), None)

    def fail(self, node: Node, quality: int, read_ns: int) -> None:
        """Rows of a node that has no value, one for each element."""
        self._empty(node, (read_ns, NO_TIME, quality, 0))

    def take(self) -> Columns:
        """What has gathered; the next rows start afresh."""
        rows, self._rows = self._rows, _Rows()
        return columns(
            rows.tag,
            np.array(rows.time_ns, np.int64),
            rows.values,
            quality=rows.quality,
            native=rows.native,
            other_ns=np.array(rows.other_ns, np.int64),
        )

    def _row(self, number: int, stamp: tuple[int, int, int, int], kind: int, raw: Any, wanted: str | None) -> None:
        value, quality = column_value(kind, raw, wanted)
        if quality:
            stamp = (*stamp[:2], quality, 0)
        self._rows.add(number, stamp, value)

    def _empty(self, node: Node, stamp: tuple[int, int, int, int]) -> None:
        for number in range(node.number, node.number + node.count):
            self._rows.add(number, stamp, None)

    def _stamp(self, number: int, value: Any, raw: Any, quality: int, read_ns: int) -> tuple[int, int, int, int]:
        """Time, other time, quality and native."""
        source = nanoseconds(value.SourceTimestamp)
        server = None if value.SourcePicoseconds is not None else nanoseconds(value.ServerTimestamp)
        cause = self._doubt(number, source, raw, read_ns)
        if cause is None:
            assert source is not None
            return source, read_ns if server is None else server, quality, 0
        other = server if source is None else source
        if severity(quality) == 0:
            quality = Quality.UNCERTAIN | (quality & 0xFFFF)
        return read_ns, NO_TIME if other is None else other, quality, cause

    def _doubt(self, number: int, source: int | None, raw: Any, read_ns: int) -> Cause | None:
        """Why the source time is not believed, None where it is."""
        if source is None:
            return Cause.MISSING
        seen = self._seen.get(number)
        if seen is None:
            seen = self._seen[number] = _Seen()
        if source != seen.source_ns:
            seen.source_ns, seen.since_ns, seen.frozen = source, read_ns, False
        elif not same(raw, seen.value) and read_ns - seen.since_ns > FROZEN_NS:
            seen.frozen = True
        seen.value = raw
        if abs(source - read_ns) > DAY_NS:
            return Cause.FAR
        return Cause.FROZEN if seen.frozen else None


def column_value(kind: int, raw: Any, wanted: str | None) -> tuple[Value, int]:
    """A value for a column, and the quality that says why there is none (0 where there is one).

    Args:
        kind: Built-in type, 0 for an empty Variant.
        raw: asyncua's value.
        wanted: Catalog type that the configuration asks for, None for the node's own.
    """
    value: Value
    if kind in _PLAIN and raw is not None:
        value = raw
    elif kind == 12:
        value = ""  # a null String
    elif kind == 0 or raw is None:
        return None, Quality.BAD_NO_DATA
    elif kind == 19:
        value = int(raw.value)
    elif kind in _AS_TEXT:
        value = _AS_TEXT[kind](raw)
    else:
        return None, Quality.BAD_NOT_SUPPORTED
    return (value, 0) if wanted is None else _as_wanted(value, wanted)


def _as_wanted(value: Value, wanted: str) -> tuple[Value, int]:
    """The value in the asked type, where it loses nothing by it."""
    if wanted == "string":
        return str(value), 0
    if isinstance(value, str):
        return None, Quality.BAD_CONFIGURATION
    assert value is not None
    if wanted.startswith("float"):
        return float(value), 0
    if wanted == "bool":
        return (bool(value), 0) if value in (0, 1) else (None, Quality.BAD_CONFIGURATION)
    if value == value and abs(value) < 2**64 and value == int(value):
        return int(value), 0
    return None, Quality.BAD_CONFIGURATION


def _flat(values: list[Any]) -> list[Any]:
    """A matrix row by row (OPC 10000-6, 5.2.2.16)."""
    while values and isinstance(values[0], list):
        values = [value for row in values for value in row]
    return values


def same(one: Any, other: Any) -> bool:
    """Equal; NaN is equal to itself, in an array too."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and (one == other or all(map(same, one, other)))
    return bool(one == other) or bool(one != one and other != other)
