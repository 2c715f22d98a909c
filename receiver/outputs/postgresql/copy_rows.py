"""A shipment as rows of PostgreSQL's binary COPY (pure).

Rows of one shape (the kind of value, and whether there is a second time) are as long as each other: each shape is one
numpy array, big-endian, with the length of each field before it. Texts alone are joined one by one.

    value            column
    FLOAT            value; NaN and infinities: value null, text "NaN", "Infinity", "-Infinity"
    INT              value, and beyond 2**53 also exact (numeric): a float is not exact there; uint64 whole
    BOOL / TEXT      truth / text
    NONE             all null

Time is cut down to whole microseconds, which is what timestamptz holds; `nanosecond` has the rest, 0 to 999. The
server never rounds, so that a sample has one time everywhere. NUL, which no text of PostgreSQL may hold, becomes
U+2400.

Source: PostgreSQL 15 manual, COPY (binary format); numeric_send of its source for the digits of a numeric.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from protocol.content.array import Array
from protocol.content.sample import NO_TIME, ValueKind
from receiver.outputs.shipping.shipment import Shipment

COLUMNS: Mapping[str, str] = {
    "number": "bigint NOT NULL",
    "time": "timestamptz NOT NULL",
    "quality": "bigint NOT NULL",
    "native": "bigint NOT NULL",
    "tag_id": "integer NOT NULL",
    "stream_id": "integer NOT NULL",
    "rank": "integer NOT NULL",
    "description_id": "integer NOT NULL",
    "nanosecond": "smallint NOT NULL",
    "healed": "boolean NOT NULL",
    "other_ns": "bigint",
    "value": "double precision",
    "exact": "numeric",
    "truth": "boolean",
    "text": "text",
}
"""Of the table `sample`, in the order of the rows made here."""
HEAD = b"PGCOPY\n\xff\r\n\0" + b"\0" * 8
TAIL = b"\xff\xff"
_EPOCH_US = 946_684_800_000_000
"""2000-01-01 in microseconds since 1970: where PostgreSQL counts from."""
_EXACT = 2**53
"""Integers up to here are exact as float64 (IEEE 754)."""
_TYPES: Mapping[str, Any] = {
    "bigint": ">i8",
    "timestamptz": ">i8",
    "integer": ">i4",
    "smallint": ">i2",
    "boolean": "u1",
    "double precision": ">f8",
    "numeric": [("digits", ">i2"), ("weight", ">i2"), ("sign", ">u2"), ("scale", ">i2"), ("digit", ">i2", (5,))],
}
_KINDS: Mapping[str, Any] = {name: _TYPES.get(sql.removesuffix(" NOT NULL")) for name, sql in COLUMNS.items()}


def copy_rows(shipment: Shipment, stream_id: int, tag_ids: Sequence[int], description_ids: Sequence[int]) -> bytes:
    """All rows of a shipment, with head and tail.

    Args:
        stream_id: The stream's row.
        tag_ids: The row of each series' tag, by its position in the shipment.
        description_ids: The row of each series' description, same.
    """
    columns = shipment.columns
    known = {
        "number": shipment.number,
        "time": columns.time_ns // 1000 - _EPOCH_US,
        "quality": columns.quality,
        "native": columns.native,
        "tag_id": np.asarray(tag_ids, np.int32)[columns.tag],
        "stream_id": np.full(len(shipment), stream_id, np.int32),
        "rank": shipment.rank,
        "description_id": np.asarray(description_ids, np.int32)[columns.tag],
        "nanosecond": columns.time_ns % 1000,
        "healed": shipment.healed,
        "other_ns": columns.other_ns,
    }
    parts = [HEAD]
    for rows, values, texts in _by_shape(shipment):
        second = columns.other_ns[rows] != NO_TIME
        for chosen, names in ((~second, ()), (second, ("other_ns",))):
            at = np.flatnonzero(chosen)
            if len(at):
                picked = {name: array[rows[at]] for name, array in known.items()} | {
                    name: array[at] for name, array in values.items()
                }
                fixed = _fixed(picked, {*(name for name in known if name != "other_ns"), *names, *values}, len(at))
                parts.append(_texted(fixed, [texts[one] for one in at.tolist()]) if texts else fixed.tobytes())
    return b"".join((*parts, TAIL))


def inert(text: str) -> str:
    """A text that any database in UTF-8 takes."""
    return text.replace("\0", "␀").encode(errors="replace").decode()


def _by_shape(shipment: Shipment) -> list[tuple[Array, dict[str, Array], list[str]]]:
    """Row numbers of each shape, its columns of values, and its texts."""
    columns, kind = shipment.columns, shipment.columns.kind
    out: list[tuple[Array, dict[str, Array], list[str]]] = []
    floats = np.flatnonzero(kind == ValueKind.FLOAT)
    finite = np.isfinite(columns.floats)
    out.append((floats[finite], {"value": columns.floats[finite]}, []))
    odd = columns.floats[~finite]
    names = np.where(np.isnan(odd), "NaN", np.where(odd > 0, "Infinity", "-Infinity"))
    out.append((floats[~finite], {}, names.tolist()))
    ints = np.flatnonzero(kind == ValueKind.INT)
    unsigned = np.array([one.type == "uint64" for one in shipment.series], bool)[columns.tag[ints]]
    negative = (columns.ints < 0) & ~unsigned
    size = np.where(negative, -columns.ints, columns.ints).view(np.uint64)
    value = np.where(negative, -size.astype(np.float64), size.astype(np.float64))
    large = size > _EXACT
    out.append((ints[~large], {"value": value[~large]}, []))
    out.append((ints[large], {"value": value[large], "exact": _numeric(size[large], negative[large])}, []))
    out.append((np.flatnonzero(kind == ValueKind.BOOL), {"truth": columns.bools}, []))
    out.append((np.flatnonzero(kind == ValueKind.NONE), {}, []))
    out.append((np.flatnonzero(kind == ValueKind.TEXT), {}, list(columns.texts)))
    return out


def _fixed(picked: Mapping[str, Array], present: set[str], count: int) -> Array:
    """Rows of one shape up to the text, whose length of -1 (null) stands there already."""
    layout: list[Any] = [("fields", ">i2")]
    for name, kind in _KINDS.items():
        layout.append((f"{name}?", ">i4"))
        if name in present:
            layout.append((name, kind))
    out: Array = np.zeros(count, np.dtype(layout))
    out["fields"] = len(COLUMNS)
    for name, kind in _KINDS.items():
        if name in present:
            out[f"{name}?"] = np.dtype(kind).itemsize
            out[name] = picked[name]
        else:
            out[f"{name}?"] = -1
    return out


def _texted(fixed: Array, texts: Sequence[str]) -> bytes:
    """The same rows, each with its text in the last field."""
    size, data = fixed.dtype.itemsize, fixed.tobytes()
    parts = []
    for at, text in enumerate(texts):
        told = inert(text).encode()
        parts += [data[at * size : (at + 1) * size - 4], len(told).to_bytes(4, "big"), told]
    return b"".join(parts)


def _numeric(size: Array, negative: Array) -> Array:
    """Unsigned 64-bit numbers with a sign, as five digits to the base of 10,000, the highest first."""
    out: Array = np.zeros(len(size), np.dtype(_TYPES["numeric"]))
    out["digits"], out["weight"] = 5, 4
    out["sign"] = np.where(negative, 0x4000, 0)
    for digit in range(4, -1, -1):
        out["digit"][:, digit] = size % np.uint64(10_000)
        size = size // np.uint64(10_000)
    return out
