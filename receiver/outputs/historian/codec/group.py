"""A group of hot rows as bytes: columns of many series, quick to make and to read back whole (pure).

    n        rows                                  series, time_ns, number         steps, all rows as one run
    texts    what TEXT rows point into             the other columns of `Rows`     ints

Hot rows are rewritten a few times before they are sealed, so their bytes are made for speed: no decimals are looked
for, the forms of the link (`protocol.content.column`) only take away what columns share. A group's rows are sorted by
series, those of one series in the order they were given.
"""

from __future__ import annotations

import numpy as np

from protocol.content.array import Array
from protocol.content.column import number, pack_ints, pack_steps, read_ints, read_steps, runs_of
from protocol.content.sample import ValueKind
from protocol.errors import StoreError
from receiver.outputs.historian.codec import first_group, packed
from receiver.outputs.historian.rows import Rows, join

_STEPPED = ("series", "time_ns", "number")
_PLAIN: tuple[tuple[str, type[np.generic]], ...] = (
    ("other_ns", np.int64),
    ("quality", np.uint32),
    ("native", np.uint32),
    ("kind", np.uint8),
    ("value", np.int64),
    ("stream", np.uint32),
    ("marks", np.uint8),
)
_MOST = 2**26
"""Most rows of a group; more are not believed."""


def pack(rows: Rows) -> bytes:
    """The rows as bytes."""
    rows = rows.by_series()
    held: dict[str, object] = {"n": len(rows), "texts": list(rows.texts)}
    if len(rows):
        run = runs_of(np.zeros(len(rows), np.uint8))
        held |= {name: pack_steps(getattr(rows, name).astype(np.int64, copy=False), run) for name in _STEPPED}
        held |= {name: pack_ints(getattr(rows, name).astype(np.int64, copy=False)) for name, _ in _PLAIN}
    return packed.pack_hot(held)


def unpack(body: bytes) -> Rows:
    """The rows of `pack`'s bytes, or of the first builds'.

    Raises:
        StoreError: the bytes are not what was written, or a later version wrote them.
    """
    try:
        if body[:1] == bytes((packed.BEFORE,)):
            return first_group.unpack(body).by_series()
        held = packed.unpack(body, "a group of hot rows")
        n = number(held.get("n"), 0, _MOST)
        if not n:
            return join([])
        run = runs_of(np.zeros(n, np.uint8))
        columns: dict[str, Array] = {name: read_steps(held.get(name), run, n) for name in _STEPPED}
        columns |= {name: read_ints(held.get(name), n).astype(dtype, copy=False) for name, dtype in _PLAIN}
        texts = tuple(held["texts"])
        at = columns["value"][columns["kind"] == int(ValueKind.TEXT)]
        if len(at) and not 0 <= int(at.min()) <= int(at.max()) < len(texts):
            raise ValueError("rows of texts that are not there")
        return Rows(series=columns.pop("series").astype(np.uint32), texts=texts, **columns)
    except packed.FAILS as error:
        raise StoreError(f"a group of hot rows in the history cannot be read: {error}") from error
