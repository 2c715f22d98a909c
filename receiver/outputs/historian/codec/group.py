"""A group of hot rows as bytes: columns of many series, quick to make and to read back whole (pure).

    n        rows                                  series, time_ns, number         steps, all rows as one run
    texts    what TEXT rows point into             the other columns of `Rows`     ints

Hot rows are rewritten a few times before they are sealed, so their bytes are made for speed: no decimals are looked
for, the forms of the link (`protocol.content.column`) only take away what columns share. A group's rows are sorted by
series, those of one series in the order they were given.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from protocol.content.array import Array
from protocol.content.column import number, read_ints, read_steps, runs_of
from protocol.content.sample import ValueKind
from protocol.errors import StoreError
from receiver.outputs.historian.codec import first_group, packed
from receiver.outputs.historian.codec.run_forms import RunForms
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
    return pack_each(rows.by_series(), [len(rows)])[0] if len(rows) else packed.pack_hot({"n": 0, "texts": []})


def pack_each(rows: Rows, lengths: Sequence[int]) -> list[bytes]:
    """A group of each of the runs that the rows lie in, one after another; every one is given all texts.

    Args:
        rows: Sorted by series.
        lengths: Rows of each run, 1 or more.
    """
    cut = RunForms(lengths)

    def column(name: str) -> Array:
        whole: Array = getattr(rows, name).astype(np.int64, copy=False)
        return whole

    forms = {name: cut.steps_each(column(name)) for name in _STEPPED}
    forms |= {name: cut.ints_each(column(name)) for name, _ in _PLAIN}
    texts = list(rows.texts)
    columns = zip(lengths, *forms.values(), strict=True)
    return [packed.pack_hot({"n": n, "texts": texts, **dict(zip(forms, held, strict=True))}) for n, *held in columns]


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
