"""Samples on their way into the history: columns that know their series, and their bytes.

    row i of n:  series  time_ns  other_ns  quality  native  kind  value  stream  number

`value` is 64 bits: a float's own bits, an int64, 0 or 1, or for a text its place in `texts`. `stream` (this history's
number for it) and `number` (the block's) say where a row came from; rows of one block stand in their block's order,
and stay so. Those three, stream, block and row, are a sample's identity: nothing here ever joins two rows into one.

Packed, a group of rows is its columns one after another under zstd with a checksum: cheap to write, read back whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgpack
import numpy as np
import zstandard

from protocol.content.array import Array
from protocol.content.sample import Columns, Value, ValueKind
from protocol.errors import StoreError
from receiver.outputs.disk import UNBELIEVED

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

_ROW_BYTES = sum(int(dtype[2:]) for _, dtype in _LAYOUT)


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
    texts: tuple[str, ...] = ()
    """What TEXT rows point into; may hold texts that no row uses."""

    def __len__(self) -> int:
        return len(self.series)

    def pick(self, index: Array | slice) -> Rows:
        """The rows with these numbers, in that order, or of this span; `texts` is shared, not cut."""
        return Rows(**{name: getattr(self, name)[index] for name, _ in _LAYOUT}, texts=self.texts)

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


def from_columns(columns: Columns, series: Array, stream: Array, number: Array) -> Rows:
    """Rows of opened columns, with the series, stream and block number of each row."""
    value = np.zeros(len(columns), np.int64)
    value[columns.kind == ValueKind.FLOAT] = columns.floats.view(np.int64)
    value[columns.kind == ValueKind.INT] = columns.ints
    value[columns.kind == ValueKind.BOOL] = columns.bools
    value[columns.kind == ValueKind.TEXT] = np.arange(len(columns.texts))
    return Rows(
        series=series.astype(np.uint32),
        time_ns=columns.time_ns,
        other_ns=columns.other_ns,
        quality=columns.quality,
        native=columns.native,
        kind=columns.kind,
        value=value,
        stream=stream.astype(np.uint32),
        number=number.astype(np.int64),
        texts=columns.texts,
    )


def join(parts: Sequence[Rows]) -> Rows:
    """The parts one after another; no parts give no rows."""
    if len(parts) == 1:
        return parts[0]
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts] or [np.zeros(0, dtype)]) for name, dtype in _LAYOUT
    }
    texts: list[str] = []
    at = 0
    for part in parts:
        if part.texts:
            span = slice(at, at + len(part))
            joined["value"][span][part.kind == ValueKind.TEXT] += len(texts)
            texts.extend(part.texts)
        at += len(part)
    return Rows(**joined, texts=tuple(texts))


def order(rows: Rows, rank: Array) -> Array:
    """Row numbers by (series, time, packer's start, block number, row): the history's one order.

    Args:
        rank: Place of each stream (by this history's number for it) in the order of packer starts.
    """
    known = np.minimum(rows.stream, len(rank) - 1)  # a stream whose description is lost takes the last place
    return np.lexsort((rows.number, rank[known], rows.time_ns, rows.series))


def pack(rows: Rows, level: int = 1) -> bytes:
    """The rows as bytes, in their order; texts that no row uses too, so give it `trimmed` ones.

    Args:
        level: Of zstd; 3 makes a group of a shelf a quarter smaller than 1, and takes a tenth longer.
    """
    texts = msgpack.packb(rows.texts) if rows.texts else b""
    head = len(rows).to_bytes(4, "little")
    body = b"".join(getattr(rows, name).astype(dtype, copy=False).tobytes() for name, dtype in _LAYOUT)
    return zstandard.ZstdCompressor(level=level, write_checksum=True).compress(head + body + texts)


def unpack(packed: bytes) -> Rows:
    """The rows of `pack`'s bytes.

    Raises:
        StoreError: the bytes are not what was written.
    """
    try:
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
    except (zstandard.ZstdError, *UNBELIEVED) as error:
        raise StoreError(f"a group of hot rows in the history cannot be read: {error}") from error
    return Rows(**columns, texts=texts)


def weight(rows: Rows) -> int:
    """About how many bytes the rows hold unpacked: what bounds the groups in memory [bytes]."""
    return len(rows) * _ROW_BYTES + sum(map(len, rows.texts))


def _replaced(rows: Rows, value: Array, texts: tuple[str, ...]) -> Rows:
    columns = {name: getattr(rows, name) for name, _ in _LAYOUT} | {"value": value}
    return Rows(**columns, texts=texts)
