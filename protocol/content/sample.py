"""Readings as columns: one array per field, never an object per sample.

    row i of n:  tag[i]  time_ns[i]  other_ns[i]  flags[i]  quality[i]  native[i]  kind[i]

A row's value stands in the array of its kind, at the row's rank among the rows of that kind: the third FLOAT
row's value is `floats[2]`. A row of kind NONE has no value (a device that did not answer).

Time is nanoseconds since 1970 UTC. Quality is an OPC UA StatusCode (OPC 10000-4, 7.39; codes from the
StatusCode.csv of the OPC Foundation), with the protocol's own code beside it in `native`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import NamedTuple, TypeAlias

import numpy as np

from protocol.content.array import Array

Value: TypeAlias = float | int | bool | str | None

NO_TIME = -(2**63)
"""`other_ns` of a row that has no second time."""


class ValueKind(IntEnum):
    """Which array holds the value."""

    NONE = 0
    FLOAT = 1
    INT = 2
    BOOL = 3
    TEXT = 4


class Flag(IntFlag):
    """Bits of a row's `flags`, for what is neither value nor quality."""

    REFRESH = 1
    """Renews freshness (an unchanged value, sent again for late joiners); it is no new history and counts nowhere."""


class Quality(IntEnum):
    """OPC UA StatusCodes that Checkvalve itself gives (OPC 10000-4, 7.39.2; OPC 10000-6, A.2)."""

    GOOD = 0x00000000
    UNCERTAIN = 0x40000000
    UNCERTAIN_LAST_USABLE = 0x40900000
    """The device is known to be busy or silent; the value is the last one that was read."""
    UNCERTAIN_SUBSTITUTE = 0x40910000
    UNCERTAIN_SENSOR = 0x40930000
    BAD = 0x80000000
    BAD_COMMUNICATION = 0x80050000
    BAD_TIMEOUT = 0x800A0000
    BAD_NO_DATA = 0x809B0000
    BAD_NODE_UNKNOWN = 0x80340000
    BAD_NOT_SUPPORTED = 0x803D0000
    BAD_OUT_OF_RANGE = 0x803C0000
    BAD_CONFIGURATION = 0x80890000
    BAD_NOT_CONNECTED = 0x808A0000
    BAD_DEVICE_FAILURE = 0x808B0000
    BAD_SENSOR_FAILURE = 0x808C0000
    BAD_DECODING = 0x80070000


def severity(quality: int) -> int:
    """0 good, 1 uncertain, 2 bad: the two highest bits (OPC 10000-4, 7.39.1)."""
    return min(quality >> 30, 2)


class Row(NamedTuple):
    """One sample, for tests, drafts and cold paths only."""

    tag: int
    time_ns: int
    value: Value
    quality: int = 0
    native: int = 0
    other_ns: int = NO_TIME
    flags: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """`n` samples; every per-row array has length `n`."""

    tag: Array
    """Tag ids, uint32; they belong to one stream."""
    time_ns: Array
    """When the value was true [ns since 1970 UTC], int64."""
    other_ns: Array
    """The source or server time that was not used [ns], int64; NO_TIME where there is none."""
    flags: Array
    """`Flag` bits, uint8."""
    quality: Array
    """OPC UA StatusCode, uint32."""
    native: Array
    """The protocol's own code (Modbus exception, CIP status), uint32; 0 where it has none."""
    kind: Array
    """`ValueKind`, uint8: the array that holds the row's value."""
    floats: Array
    """float64 values of the FLOAT rows, in row order."""
    ints: Array
    """int64 values of the INT rows; an unsigned 64-bit value travels as two's complement (catalog type `uint64`)."""
    bools: Array
    """bool values of the BOOL rows."""
    texts: tuple[str, ...]
    """Values of the TEXT rows."""

    def __len__(self) -> int:
        return len(self.tag)

    def select(self, rows: Array) -> Columns:
        """The rows named by a boolean mask or by row numbers, in that order."""
        index = np.flatnonzero(rows) if rows.dtype == bool else rows
        kind = self.kind[index]
        picked = {}
        for which in (ValueKind.FLOAT, ValueKind.INT, ValueKind.BOOL, ValueKind.TEXT):
            rank = np.cumsum(self.kind == which) - 1
            picked[which] = rank[index[kind == which]]
        return Columns(
            tag=self.tag[index],
            time_ns=self.time_ns[index],
            other_ns=self.other_ns[index],
            flags=self.flags[index],
            quality=self.quality[index],
            native=self.native[index],
            kind=kind,
            floats=self.floats[picked[ValueKind.FLOAT]],
            ints=self.ints[picked[ValueKind.INT]],
            bools=self.bools[picked[ValueKind.BOOL]],
            texts=tuple(self.texts[rank] for rank in picked[ValueKind.TEXT].tolist()),
        )

    def values(self) -> list[Value]:
        """The values in row order (a Python object each: cold paths only)."""
        out: list[Value] = [None] * len(self)
        for which, held in (
            (ValueKind.FLOAT, self.floats.tolist()),
            (ValueKind.INT, self.ints.tolist()),
            (ValueKind.BOOL, self.bools.tolist()),
            (ValueKind.TEXT, self.texts),
        ):
            for at, value in zip(np.flatnonzero(self.kind == which).tolist(), held, strict=True):
                out[at] = value
        return out

    def rows(self) -> Iterator[Row]:
        """Every sample as a `Row` (cold paths only)."""
        columns = (self.tag, self.time_ns, self.quality, self.native, self.other_ns, self.flags)
        tag, time_ns, quality, native, other_ns, flags = (column.tolist() for column in columns)
        for at, value in enumerate(self.values()):
            yield Row(tag[at], time_ns[at], value, quality[at], native[at], other_ns[at], flags[at])


def columns(
    tag: Sequence[int] | Array,
    time_ns: int | Array,
    values: Sequence[Value] | Array,
    *,
    quality: int | Sequence[int] | Array = 0,
    native: int | Sequence[int] | Array = 0,
    other_ns: int | Sequence[int] | Array = NO_TIME,
    flags: int | Sequence[int] | Array = 0,
) -> Columns:
    """Columns from parallel sequences; a scalar stands for every row.

    Args:
        tag: Tag ids.
        time_ns: When the values were true [ns since 1970 UTC].
        values: Python values (float, int, bool, str, None), or one numpy array of float64, int64 or bool.

    Raises:
        ValueError: an integer outside -2**63 .. 2**64-1 (unsigned 64-bit is taken as two's complement).
    """
    n = len(tag)
    if isinstance(values, np.ndarray):
        kind, floats, ints, bools, texts = _from_array(values)
    else:
        kind, floats, ints, bools, texts = _from_values(values)
    return Columns(
        tag=np.asarray(tag, np.uint32),
        time_ns=_spread(time_ns, n, np.int64),
        other_ns=_spread(other_ns, n, np.int64),
        flags=_spread(flags, n, np.uint8),
        quality=_spread(quality, n, np.uint32),
        native=_spread(native, n, np.uint32),
        kind=kind,
        floats=floats,
        ints=ints,
        bools=bools,
        texts=texts,
    )


def from_rows(rows: Iterable[Row]) -> Columns:
    """Columns of `Row`s, in their order."""
    held = list(rows)
    return columns(
        [row.tag for row in held],
        np.array([row.time_ns for row in held], np.int64),
        [row.value for row in held],
        quality=[row.quality for row in held],
        native=[row.native for row in held],
        other_ns=np.array([row.other_ns for row in held], np.int64),
        flags=[row.flags for row in held],
    )


def concat(parts: Sequence[Columns]) -> Columns:
    """The parts one after another; no parts give no rows."""
    if not parts:
        return columns([], np.zeros(0, np.int64), [])
    if len(parts) == 1:
        return parts[0]
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("tag", "time_ns", "other_ns", "flags", "quality", "native", "kind", "floats", "ints", "bools")
    }
    return Columns(**joined, texts=tuple(text for part in parts for text in part.texts))


def _spread(given: int | Sequence[int] | Array, n: int, dtype: type[np.generic]) -> Array:
    if isinstance(given, int):
        return np.full(n, given, dtype)
    array = np.asarray(given, dtype)
    if len(array) != n:
        raise ValueError(f"a column of {len(array)} rows beside tags of {n}")
    return array


def _from_array(values: Array) -> tuple[Array, Array, Array, Array, tuple[str, ...]]:
    none = np.zeros(0)
    n = len(values)
    if values.dtype.kind == "f":
        return (
            np.full(n, ValueKind.FLOAT, np.uint8),
            values.astype(np.float64),
            none.astype(np.int64),
            none.astype(bool),
            (),
        )
    if values.dtype.kind == "b":
        return np.full(n, ValueKind.BOOL, np.uint8), none, none.astype(np.int64), values, ()
    if values.dtype.kind in "iu":
        whole = values.view(np.int64) if values.dtype == np.uint64 else values.astype(np.int64)
        return np.full(n, ValueKind.INT, np.uint8), none, whole, none.astype(bool), ()
    raise ValueError(f"no column kind for numpy {values.dtype}")


_KIND_OF: dict[type, ValueKind] = {
    float: ValueKind.FLOAT,
    int: ValueKind.INT,
    bool: ValueKind.BOOL,
    str: ValueKind.TEXT,
    type(None): ValueKind.NONE,
}


def _from_values(values: Sequence[Value]) -> tuple[Array, Array, Array, Array, tuple[str, ...]]:
    kinds = [_KIND_OF[type(value)] for value in values]
    kind = np.array(kinds, np.uint8)
    ints = [value - 2**64 if value >= 2**63 else value for value in values if type(value) is int]
    return (
        kind,
        np.array([value for value in values if type(value) is float], np.float64),
        np.array(ints, np.int64),
        np.array([value for value in values if type(value) is bool], bool),
        tuple(value for value in values if type(value) is str),
    )
