"""Sparkplug B's payload as bytes: the few messages that are sent, written, and a command read (pure).

Protocol Buffers: a field is its number and wire type as a varint, then a varint (type 0), 8 bytes (1), a length and so
many bytes (2), or 4 bytes (5). The numbers are those of the Sparkplug specification 3.0, 6.4:

    Payload        timestamp 1 (ms), metrics 2, seq 3
    Metric         name 1, alias 2, timestamp 3, datatype 4, is_historical 5, is_null 7, properties 9,
                   int 10, long 11, float 12, double 13, boolean 14, string 15
    PropertySet    keys 1, values 2
    PropertyValue  type 1, is_null 2, int 3, long 4, float 5, double 6, boolean 7, string 8

Integers of up to 32 bits stand in `int`, negative ones in two's complement of 32 bits; longer ones in `long`, in two's
complement of 64 bits: so a uint64 is exact.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import NamedTuple

REBIRTH = "Node Control/Rebirth"
COMMAND_BYTES = 64 * 1024
"""Largest command that is looked at [bytes]."""
COMMAND_METRICS = 1000
"""Most metrics of a command that are counted."""


class DataType(IntEnum):
    """Of a metric or property (specification, 6.4.16)."""

    INT8 = 1
    INT16 = 2
    INT32 = 3
    INT64 = 4
    UINT8 = 5
    UINT16 = 6
    UINT32 = 7
    UINT64 = 8
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12


WHOLE = {
    DataType.INT8: (-(2**7), 2**7),
    DataType.INT16: (-(2**15), 2**15),
    DataType.INT32: (-(2**31), 2**31),
    DataType.INT64: (-(2**63), 2**63),
    DataType.UINT8: (0, 2**8),
    DataType.UINT16: (0, 2**16),
    DataType.UINT32: (0, 2**32),
    DataType.UINT64: (0, 2**64),
}
"""Range of each type of whole numbers, from and to before."""
_LONG = {DataType.INT64, DataType.UINT64}

Value = float | int | bool | str | None


class Property(NamedTuple):
    """One of a metric's properties."""

    key: str
    type: DataType
    value: Value


def payload(time_ms: int, metrics: Sequence[bytes], seq: int | None) -> bytes:
    """A whole payload.

    Args:
        time_ms: When it is sent [ms since 1970 UTC].
        metrics: As `metric` makes them.
        seq: 0 to 255; None for a death, which has none.
    """
    return b"".join((_whole(1, time_ms), *(_bytes(2, one) for one in metrics), b"" if seq is None else _whole(3, seq)))


def metric(
    value: Value,
    type: DataType,
    *,
    time_ms: int,
    properties: bytes,
    name: str | None = None,
    alias: int | None = None,
    historical: bool = False,
) -> bytes:
    """One metric; the type itself stands only where a name does, in births.

    Args:
        value: Fits the type; None: there is none.
        properties: As `property_set` makes them.
    """
    parts = []
    if name is not None:
        parts.append(_bytes(1, name.encode()))
    if alias is not None:
        parts.append(_whole(2, alias))
    parts.append(_whole(3, max(time_ms, 0)))
    if name is not None:
        parts.append(_whole(4, type))
    if historical:
        parts.append(_whole(5, 1))
    parts.append(_whole(7, 1) if value is None else _value(value, type, 10))
    if properties:
        parts.append(_bytes(9, properties))
    return b"".join(parts)


def property_set(some: Sequence[Property]) -> bytes:
    """Properties of a metric."""
    keys = [_bytes(1, one.key.encode()) for one in some]
    values = [
        _bytes(2, _whole(1, one.type) + (_whole(2, 1) if one.value is None else _value(one.value, one.type, 3)))
        for one in some
    ]
    return b"".join((*keys, *values))


def commands(data: bytes) -> tuple[bool, int]:
    """What a command to the node says: whether it asks for a rebirth, and how many other things, which are ignored.

    Whatever the bytes are, this ends, and raises nothing: what cannot be read is one thing to be ignored.
    """
    if len(data) > COMMAND_BYTES:
        return False, 1
    wanted, others = False, 0
    try:
        for number, found in _fields(data):
            if number != 2 or not isinstance(found, bytes):
                continue
            held = dict(_fields(found))
            asked = held.get(1) == REBIRTH.encode() and held.get(14) == 1
            wanted |= asked
            others += not asked
            if others > COMMAND_METRICS:
                break
    except ValueError:
        return False, others + 1
    return wanted, others


def _value(value: Value, type: DataType, first: int) -> bytes:
    """A value; the fields of a metric and of a property follow one another alike from `first` on."""
    if type is DataType.STRING:
        return _bytes(first + 5, str(value).encode(errors="replace"))
    if type is DataType.BOOLEAN:
        return _whole(first + 4, bool(value))
    if type is DataType.DOUBLE:
        assert value is not None and not isinstance(value, str)  # noqa: PT018
        return _key(first + 3, 1) + struct.pack("<d", value)
    assert isinstance(value, int)
    return _whole(first + 1, value % 2**64) if type in _LONG else _whole(first, value % 2**32)


def _key(number: int, wire: int) -> bytes:
    return _varint(number << 3 | wire)


def _whole(number: int, value: int) -> bytes:
    return _key(number, 0) + _varint(value)


def _bytes(number: int, value: bytes) -> bytes:
    return _key(number, 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and content of each field; raises ValueError where they are none."""
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        wire = key & 7
        if wire == 0:
            whole, at = _read_varint(data, at)
            yield key >> 3, whole
            continue
        size, at = _read_varint(data, at) if wire == 2 else ({1: 8, 5: 4}.get(wire, len(data) + 1), at)
        if size > len(data) - at:
            raise ValueError("cut, or of a wire type that is not known")
        yield key >> 3, data[at : at + size]
        at += size


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    out = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise ValueError("cut")
        one = data[at]
        at += 1
        out |= (one & 0x7F) << shift
        if one < 0x80:
            return out, at
    raise ValueError("a number of more than 10 bytes")
