"""A server's DataValues as columns: which kind of value each is. Which time it gets is `stamps`' matter.

Quality is the server's StatusCode, every bit of it. A bad one has no value.

No I/O here, no clock, and nothing of the library: DataValues are looked at by their attributes.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from collectors.opcua.config import Node
from collectors.opcua.stamps import Stamps
from protocol.content.sample import NO_TIME, Columns, Quality, Value, columns, severity

OVERFLOW = 0x480
"""Info bits of a StatusCode: a data value, and some before it were lost (OPC 10000-4, 7.39.1)."""

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
    """Gathers rows.

    Args:
        stamps: Which time each gets; by default the source's.
    """

    def __init__(self, stamps: Stamps | None = None) -> None:
        self._stamps = stamps or Stamps()
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
        stamp = self._stamps.stamp(node.number, value, raw, quality, read_ns)
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
