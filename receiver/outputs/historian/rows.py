"""Samples on their way into the history: columns that know their series, and their bytes.

    row i of n:  series  time_ns  other_ns  quality  native  kind  value  stream  number  marks

`value` is 64 bits: a float's own bits, an int64, 0 or 1, or for a text its place in `texts`. `stream` (this history's
number for it) and `number` (the block's) say where a row came from; rows of one block stand in their block's order,
and stay so. Those three, stream, block and row, are a sample's identity: nothing here ever joins two rows into one.
`marks` are bits for readers: `HEALED`. Their bytes are made in `group.py` and `chunk.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from protocol.content.array import Array
from protocol.content.sample import Columns, Value, ValueKind

_COLUMNS = ("series", "time_ns", "other_ns", "quality", "native", "kind", "value", "stream", "number", "marks")
_ROW_BYTES = 50
"""What a row takes in them."""

HEALED = 0x80
"""A bit of `marks`: the row's block had been missing, and was completed later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """`n` samples of any series; every array has length `n`."""

    series: Array
    time_ns: Array
    other_ns: Array
    quality: Array
    native: Array
    kind: Array
    value: Array
    stream: Array
    number: Array
    marks: Array
    texts: tuple[str, ...] = ()
    """What TEXT rows point into; may hold texts that no row uses."""

    def __len__(self) -> int:
        return len(self.series)

    def pick(self, index: Array | slice) -> Rows:
        """The rows with these numbers, in that order, or of this span; `texts` is shared, not cut."""
        return Rows(**{name: getattr(self, name)[index] for name in _COLUMNS}, texts=self.texts)

    def by_series(self) -> Rows:
        """The same rows sorted by series, those of one series as they stood."""
        if bool((self.series[1:] >= self.series[:-1]).all()):
            return self
        return self.pick(stable(self.series))

    def trimmed(self) -> Rows:
        """The same rows with only the texts they use, each once."""
        at = np.flatnonzero(self.kind == ValueKind.TEXT)
        if not len(at):
            return self if not self.texts else _replaced(self, self.value, ())
        used, rank = np.unique(self.value[at], return_inverse=True)
        value = self.value.copy()
        value[at] = rank
        return _replaced(self, value, tuple(self.texts[one] for one in used.tolist()))

    def values(self, *, unsigned: bool = False) -> list[Value]:
        """Python values in row order (cold paths only).

        Args:
            unsigned: INT rows are unsigned 64-bit in two's complement (catalog type `uint64`).
        """
        texts: list[str | None] = [None] * len(self)
        for at in np.flatnonzero(self.kind == ValueKind.TEXT).tolist():
            texts[at] = self.texts[int(self.value[at])]
        return python_values(self.kind.tolist(), self.value.tolist(), texts, [unsigned] * len(self))


def python_values(
    kind: Sequence[int], value: Sequence[int], texts: Sequence[str | None], unsigned: Sequence[bool]
) -> list[Value]:
    """Values from their kinds, their 64 bits, and the texts of TEXT rows.

    Args:
        unsigned: Which INT values are unsigned 64-bit in two's complement.
    """
    out: list[Value] = np.array(value, np.int64).view(np.float64).tolist()
    for at in np.flatnonzero(np.array(kind, np.uint8) != ValueKind.FLOAT).tolist():
        bits = value[at]
        if kind[at] == ValueKind.INT:
            out[at] = bits + 2**64 if unsigned[at] and bits < 0 else bits
        else:
            out[at] = bool(bits) if kind[at] == ValueKind.BOOL else texts[at]
    return out


def from_columns(columns: Columns, series: Array, stream: Array, number: Array, *, marks: Array | None = None) -> Rows:
    """Rows of opened columns, with the series, stream, block number and marks of each row (None: no marks)."""
    if len(columns.floats) == len(columns):
        value = columns.floats.view(np.int64)
    else:
        value = np.zeros(len(columns), np.int64)
        for which, held in (
            (ValueKind.FLOAT, columns.floats.view(np.int64)),
            (ValueKind.INT, columns.ints),
            (ValueKind.BOOL, columns.bools),
            (ValueKind.TEXT, np.arange(len(columns.texts))),
        ):
            if len(held):
                value[columns.kind == int(which)] = held
    return Rows(
        series=series.astype(np.uint32, copy=False),
        time_ns=columns.time_ns,
        other_ns=columns.other_ns,
        quality=columns.quality,
        native=columns.native,
        kind=columns.kind,
        value=value,
        stream=stream.astype(np.uint32, copy=False),
        number=number.astype(np.int64, copy=False),
        marks=np.zeros(len(columns), np.uint8) if marks is None else marks,
        texts=columns.texts,
    )


def join(parts: Sequence[Rows]) -> Rows:
    """The parts one after another; no parts give no rows."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return _NONE
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS}
    texts: list[str] = []
    at = 0
    for part in parts:
        if part.texts:
            span = slice(at, at + len(part))
            joined["value"][span][part.kind == ValueKind.TEXT] += len(texts)
            texts.extend(part.texts)
        at += len(part)
    return Rows(**joined, texts=tuple(texts))


def stable(keys: Array) -> Array:
    """Row numbers by unsigned keys, equal ones as they stand; by counting where the keys are few (numpy: 16 bits)."""
    low = int(keys.min()) if len(keys) else 0
    near = keys - np.asarray(low, keys.dtype)
    narrow = near.astype(np.uint16) if not len(keys) or int(near.max()) < 2**16 else near
    return np.argsort(narrow, kind="stable")


def order(rows: Rows, rank: Array) -> Array:
    """Row numbers by (series, time, packer's start, block number, row): the history's one order.

    Rows of a series mostly come by rising time, so they are sorted by series alone, and fully where that is not it.

    Args:
        rank: Place of each stream (by this history's number for it) in the order of packer starts.
    """
    by_series = stable(rows.series)
    series, time_ns = rows.series[by_series], rows.time_ns[by_series]
    if bool(((time_ns[1:] > time_ns[:-1]) | (series[1:] != series[:-1])).all()):
        return by_series
    known = np.minimum(rows.stream, len(rank) - 1)  # a stream whose description is lost takes the last place
    return np.lexsort((rows.number, rank[known], rows.time_ns, rows.series))


def weight(rows: Rows) -> int:
    """About how many bytes the rows hold unpacked: what bounds the groups in memory [bytes]."""
    return len(rows) * _ROW_BYTES + sum(map(len, rows.texts))


def _replaced(rows: Rows, value: Array, texts: tuple[str, ...]) -> Rows:
    columns = {name: getattr(rows, name) for name in _COLUMNS} | {"value": value}
    return Rows(**columns, texts=texts)


_NONE = Rows(
    series=np.zeros(0, np.uint32),
    time_ns=np.zeros(0, np.int64),
    other_ns=np.zeros(0, np.int64),
    quality=np.zeros(0, np.uint32),
    native=np.zeros(0, np.uint32),
    kind=np.zeros(0, np.uint8),
    value=np.zeros(0, np.int64),
    stream=np.zeros(0, np.uint32),
    number=np.zeros(0, np.int64),
    marks=np.zeros(0, np.uint8),
)
