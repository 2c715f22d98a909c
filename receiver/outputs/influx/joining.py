"""Columns and the beginnings of their lines, joined to lines: all rows of a kind of value at once (pure).

A line is three pieces: head with the field's name, value, and tail with quality and time. Each piece is one list of
bytes for all rows, and one `join` puts them together: a tenth of what formatting one by one takes. What repeats is
formatted once: heads by tag, tails by run of equal rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
import orjson

from protocol.content.array import Array
from protocol.content.sample import NO_TIME, Columns, ValueKind
from receiver.outputs.influx.dialect import LARGE, LARGE_INTEGER, SMALL

_EXACT = 2**53
"""Integers up to here are exact as float64 (IEEE 754)."""
_PLAIN = (0x00000000, 0x40000000, 0x80000000)
"""StatusCodes that say no more than their class."""
_CLASS = (192, 64, 0, 0)
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
"""Ends a line for some server; in texts it becomes a space, in names its picture."""
_NUMBER, _OUTLIER, _BOOL, _TEXT, _BARE = b"v=", b"vx=", b"vb=", b"vs=", b""
_TRUTH = np.array([b"false", b"true"], object)
FEW = 4
"""Runs of equal rows are formatted one by one where they have so many rows on average."""


class Heads:
    """Beginnings of lines, up to the fields; and, once asked for, with a field's name behind each."""

    def __init__(self, texts: Sequence[bytes], unsigned: Array) -> None:
        """
        Args:
            texts: Each with the space at its end.
            unsigned: Whose integers are unsigned 64-bit in two's complement.
        """
        self.texts, self.unsigned = texts, unsigned
        self._named: dict[bytes, Array] = {}

    def named(self, field: bytes) -> Array:
        """All of them with this behind."""
        held = self._named.get(field)
        if held is None:
            held = self._named[field] = np.empty(len(self.texts), object)
            held[:] = [text + field for text in self.texts]
        return held


def joined(columns: Columns, heads: Heads, at: Array) -> bytes:
    """The lines of all rows, by kind of value; each ends with a newline.

    Args:
        columns: At least one row.
        at: The head of each row.
    """
    tails = _tails(columns)
    kind = columns.kind
    pieces: list[bytes] = [b""] * (3 * len(kind))
    filled = 0

    def add(rows: Array, field: bytes, values: list[bytes]) -> None:
        nonlocal filled
        end = filled + 3 * len(rows)
        pieces[filled:end:3] = heads.named(field)[at[rows]].tolist()
        pieces[filled + 1 : end : 3] = values
        pieces[filled + 2 : end : 3] = tails[rows].tolist()
        filled = end

    bare = [np.flatnonzero(kind == ValueKind.NONE)]
    if len(floats := columns.floats):
        rows = np.arange(len(kind)) if len(floats) == len(kind) else np.flatnonzero(kind == ValueKind.FLOAT)
        size = np.abs(floats)
        near = ((size >= SMALL) & (size < LARGE)) | (size == 0)
        if near.all():
            add(rows, _NUMBER, _dumped(floats))
        else:
            far = ~near & np.isfinite(size)
            add(rows[near], _NUMBER, _dumped(floats[near]))
            add(rows[far], _OUTLIER, _dumped(floats[far]))
            bare.append(rows[~np.isfinite(size)])
    if len(ints := columns.ints):
        _add_integers(ints, np.flatnonzero(kind == ValueKind.INT), heads.unsigned[at], add)
    if len(columns.bools):
        add(np.flatnonzero(kind == ValueKind.BOOL), _BOOL, _TRUTH[columns.bools.astype(np.intp)].tolist())
    if columns.texts:
        add(np.flatnonzero(kind == ValueKind.TEXT), _TEXT, [quoted(text).encode() for text in columns.texts])
    rows = np.concatenate(bare)
    if len(rows):
        tails[rows] = [text[1:] for text in tails[rows].tolist()]  # nothing stands before its comma
        add(rows, _BARE, [b""] * len(rows))
    return b"".join(pieces)


def _add_integers(ints: Array, rows: Array, unsigned: Array, add: Callable[[Array, bytes, list[bytes]], None]) -> None:
    """Integers as floats, and those that a float is not exact for as they are, in a field beside it."""
    if ints.max() <= _EXACT and ints.min() >= -_EXACT and not (unsigned[rows] & (ints < 0)).any():
        add(rows, _NUMBER, _dumped(ints.astype(np.float64)))
        return
    high = unsigned[rows] & (ints < 0)
    reals = np.where(high, ints.view(np.uint64).astype(np.float64), ints.astype(np.float64))
    far = np.abs(reals) >= LARGE_INTEGER
    values = _dumped(reals)
    exact = (ints > _EXACT) | (ints < -_EXACT)
    for one in np.flatnonzero(exact & ~high).tolist():
        values[one] += b",vi=%di" % int(ints[one])
    near = ~far
    add(rows[near], _NUMBER, [values[one] for one in np.flatnonzero(near).tolist()])
    outliers = np.flatnonzero(far & ~high)
    add(rows[outliers], _OUTLIER, [values[one] for one in outliers.tolist()])
    large = np.flatnonzero(high)
    digits = [b'"%d",vx=%s' % (int(ints[one]) + 2**64, values[one]) for one in large.tolist()]
    add(rows[large], b"vd=", digits)


def quoted(text: str) -> str:
    """A text field: control characters (a newline ends a line for some servers) become spaces."""
    if not text.isalnum():  # most texts are words, and four times as fast
        text = CONTROL.sub(" ", text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _dumped(values: Array) -> list[bytes]:
    """Shortest texts that read back as these floats, all at once."""
    if not len(values):
        return []
    return orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b",")


def _runs(*columns: Array) -> Array:
    """Where a run of rows begins that are equal in all of these."""
    differ = columns[0][1:] != columns[0][:-1]
    for one in columns[1:]:
        differ = differ | (one[1:] != one[:-1])
    return np.concatenate([[0], np.flatnonzero(differ) + 1])


def _tails(columns: Columns) -> Array:
    """What ends each row's line: quality, StatusCode, native code, second time, and the time."""
    time_ns, second = columns.time_ns, columns.other_ns != NO_TIME
    if second.any():
        return _as_array(_one_by_one(columns, second))
    starts = _runs(time_ns, columns.quality, columns.native)
    codes = zip(columns.quality[starts].tolist(), columns.native[starts].tolist(), strict=True)
    if len(starts) * FEW > len(time_ns):
        stamps = orjson.dumps(np.ascontiguousarray(time_ns[starts]), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(
            b","
        )
        known = _Qualities()
        texts = [known[pair] + stamp + b"\n" for pair, stamp in zip(codes, stamps, strict=True)]
    else:
        texts = [
            b"%s%d\n" % (_quality(*pair), stamp) for pair, stamp in zip(codes, time_ns[starts].tolist(), strict=True)
        ]
    return _as_array(texts).repeat(np.diff(starts, append=len(time_ns)))


def _one_by_one(columns: Columns, second: Array) -> list[bytes]:
    known = _Qualities()
    rows = zip(
        columns.quality.tolist(),
        columns.native.tolist(),
        second.tolist(),
        columns.other_ns.tolist(),
        columns.time_ns.tolist(),
        strict=True,
    )
    return [
        b"%s,other_after_ns=%di %d\n" % (known[code, native][:-1], other - at, at)
        if told and abs(other - at) < 2**63  # a line with more is refused, and its value with it
        else b"%s%d\n" % (known[code, native], at)
        for code, native, told, other, at in rows
    ]


class _Qualities(dict[tuple[int, int], bytes]):
    """Each pair of StatusCode and native code is formatted once."""

    def __missing__(self, pair: tuple[int, int]) -> bytes:
        self[pair] = _quality(*pair)
        return self[pair]


def _quality(code: int, native: int) -> bytes:
    status = "" if code in _PLAIN else f",sc={code}i"
    return f",q={_CLASS[code >> 30]}i{status}{f',native={native}i' if native else ''} ".encode()


def _as_array(texts: list[bytes]) -> Array:
    out = np.empty(len(texts), object)
    out[:] = texts
    return out
