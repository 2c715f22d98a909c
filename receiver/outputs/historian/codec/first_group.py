"""Groups of hot rows as the first builds packed them: read until they are sealed, never written.

n u32 | the columns of `_LAYOUT` one after another | texts, msgpack        all of it under zstd with a checksum
"""

from __future__ import annotations

import msgpack
import numpy as np
import zstandard

from protocol.content.array import Array
from receiver.outputs.historian.rows import Rows

_LAYOUT: tuple[tuple[str, str], ...] = (
    ("series", "<u4"),
    ("time_ns", "<i8"),
    ("other_ns", "<i8"),
    ("quality", "<u4"),
    ("native", "<u4"),
    ("kind", "<u1"),
    ("value", "<i8"),
    ("stream", "<u4"),
    ("number", "<i8"),
)
"""Columns in their packed order, with the type of one element."""


def unpack(packed: bytes) -> Rows:
    """The rows of such a group. Raises `packed.FAILS` where the bytes are not what was written."""
    raw = zstandard.ZstdDecompressor().decompress(packed)
    n = int.from_bytes(raw[:4], "little")
    columns: dict[str, Array] = {}
    at = 4
    for name, dtype in _LAYOUT:
        columns[name] = np.frombuffer(raw, dtype, n, at)
        at += n * int(dtype[2:])
    texts = tuple(msgpack.unpackb(raw[at:], use_list=False)) if len(raw) > at else ()
    if any(len(column) != n for column in columns.values()):
        raise ValueError("columns of different lengths")
    return Rows(**columns, marks=np.zeros(n, np.uint8), texts=texts)
