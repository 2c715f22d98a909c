"""The sealed chunk: up to a few thousand rows of one series, in order, as few bytes (pure; exact to the bit).

    version u8 | n u32 | time | other? | other | quality | native | kind | stream | number | floats | ints | bools
    | text places | texts                                                    all of it under zstd-3 with a checksum

A column of integers is guessed in several ways and the cheapest is kept; what is left over is zigzag-coded, cut to
the smallest of 1, 2, 4 or 8 bytes and laid out in byte planes, so that zstd sees the empty high bytes side by side:

    CONST  every element is `base`               STEPS  differences of neighbours
    PLAIN  a - base                              BENDS  differences of differences (a clock that drifts)
    LINE   a - (base + step * i): a clock that jitters around its period

All arithmetic is modulo 2**64, so every int64 comes back whatever the guess. Floats are tried as decimals
(an integer over a power of ten), first as they are and then as widened float32, because instruments report
decimals; each try is compared bit by bit, so -0.0, infinities and every NaN survive (they fail the try and are
stored as bits). Times are first divided by the largest power of ten that divides them all.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgpack
import numpy as np
import zstandard

from protocol.content.array import Array
from protocol.content.sample import NO_TIME, ValueKind
from protocol.errors import StoreError
from receiver.outputs.disk import UNBELIEVED
from receiver.outputs.historian.rows import Rows

_VERSION = 1
_CONST, _PLAIN, _STEPS, _BENDS, _LINE = range(5)
_BITS64, _BITS32, _DECIMAL64, _DECIMAL32 = range(4)
_DIGITS = 6
"""Most decimals tried: process values carry 0 to 4, computed totals up to 6."""
_SCALES = (1_000_000, 1_000, 100)
"""Clock steps tried [ns]: milliseconds, microseconds, and the 100 ns of OPC UA (OPC 10000-6, 5.2.2.5)."""


def encode(rows: Rows) -> bytes:
    """The chunk of rows that are one series, in order, at least one."""
    base = int(rows.time_ns[0])
    since = rows.time_ns - np.int64(base)
    scale = next((step for step in _SCALES if not (since % step).any()), 1)
    present = rows.other_ns != NO_TIME
    lag = (rows.other_ns - rows.time_ns)[present]
    text_at = rows.value[rows.kind == ValueKind.TEXT]
    used, places = np.unique(text_at, return_inverse=True)
    parts = [
        bytes([_VERSION]),
        len(rows).to_bytes(4, "little"),
        base.to_bytes(8, "little", signed=True),
        scale.to_bytes(4, "little"),
        _ints(since // scale),
        _ints(present.astype(np.int64)),
        _ints(lag),
        _ints(rows.quality.astype(np.int64)),
        _ints(rows.native.astype(np.int64)),
        _ints(rows.kind.astype(np.int64)),
        _ints(rows.stream.astype(np.int64)),
        _ints(rows.number),
        _floats(rows.value[rows.kind == ValueKind.FLOAT]),
        _ints(rows.value[rows.kind == ValueKind.INT]),
        _ints(rows.value[rows.kind == ValueKind.BOOL]),
        _ints(places.astype(np.int64)),
        msgpack.packb([rows.texts[one] for one in used.tolist()]),
    ]
    return zstandard.ZstdCompressor(level=3, write_checksum=True).compress(b"".join(parts))


def decode(chunk: bytes, series: int) -> Rows:
    """The rows of `encode`'s bytes.

    Raises:
        StoreError: the bytes are not what was written, or a later version wrote them.
    """
    try:
        raw = zstandard.ZstdDecompressor().decompress(chunk)
        if raw[0] != _VERSION:
            raise StoreError(f"a chunk of the history has version {raw[0]}; this build reads {_VERSION}")
        return _decoded(_Cursor(raw, 1), series)
    except (zstandard.ZstdError, *UNBELIEVED) as error:
        raise StoreError(f"a chunk of the history cannot be read: {error}") from error


def _decoded(raw: _Cursor, series: int) -> Rows:
    n = raw.number(4)
    base = np.int64(raw.number(8, signed=True))
    scale = np.int64(raw.number(4))
    time_ns = raw.ints(n) * scale + base
    present = raw.ints(n).astype(bool)
    lag = raw.ints(int(np.count_nonzero(present)))
    other_ns = np.full(n, NO_TIME, np.int64)
    other_ns[present] = time_ns[present] + lag
    quality, native, kind, stream = (raw.ints(n) for _ in range(4))
    number = raw.ints(n)
    value = np.zeros(n, np.int64)
    for which in (ValueKind.FLOAT, ValueKind.INT, ValueKind.BOOL, ValueKind.TEXT):
        mask = kind == which
        rows = int(np.count_nonzero(mask))
        value[mask] = raw.floats(rows) if which is ValueKind.FLOAT else raw.ints(rows)
    return Rows(
        series=np.full(n, series, np.uint32),
        time_ns=time_ns,
        other_ns=other_ns,
        quality=quality.astype(np.uint32),
        native=native.astype(np.uint32),
        kind=kind.astype(np.uint8),
        value=value,
        stream=stream.astype(np.uint32),
        number=number,
        texts=tuple(msgpack.unpackb(raw.rest())),
    )


def _ints(a: Array) -> bytes:
    """An int64 column: guess, width, base, step, then the planes of what the guess leaves over."""
    if not len(a):
        return b""
    base = a[0]
    if (a == base).all():
        return bytes([_CONST]) + int(base).to_bytes(8, "little", signed=True)
    plain = a - base
    steps = np.diff(plain, prepend=np.int64(0))
    step = np.int64(int(plain[-1]) // max(len(a) - 1, 1))
    guesses = (
        (_PLAIN, plain),
        (_STEPS, steps),
        (_BENDS, np.diff(steps, prepend=np.int64(0))),
        (_LINE, plain - step * np.arange(len(a), dtype=np.int64)),
    )
    guess, left = min(guesses, key=lambda one: _cost(one[1]))
    zigzag = ((left << 1) ^ (left >> 63)).view(np.uint64)
    width = next(w for w in (1, 2, 4, 8) if w == 8 or int(zigzag.max()) < 1 << 8 * w)
    head = bytes([guess, width]) + int(base).to_bytes(8, "little", signed=True) + step.tobytes()
    return head + _planes(zigzag.astype(f"<u{width}"))


def _cost(left: Array) -> float:
    return float(np.log2(np.abs(left.astype(np.float64)) + 1.0).sum())


def _planes(words: Array) -> bytes:
    columns = words.view(np.uint8).reshape(len(words), -1)
    return bytes(columns.T.tobytes())


def _floats(bits: Array) -> bytes:
    """A float64 column, given and compared as bits: way, decimals, then integers or planes."""
    if not len(bits):
        return b""
    reals = bits.view(np.float64)
    with np.errstate(all="ignore"):
        narrow = reals.astype(np.float32)
        is_narrow = np.array_equal(narrow.astype(np.float64).view(np.int64), bits)
        for digits in range(_DIGITS + 1):
            scaled = np.rint(reals * 10.0**digits)
            if not (np.abs(scaled) < 2**53).all():
                break
            whole = scaled.astype(np.int64)
            exact = whole / 10.0**digits
            if np.array_equal(exact.view(np.int64), bits):
                return bytes([_DECIMAL64, digits]) + _ints(whole)
            if is_narrow and np.array_equal(exact.astype(np.float32).view(np.int32), narrow.view(np.int32)):
                return bytes([_DECIMAL32, digits]) + _ints(whole)
    if is_narrow:
        return bytes([_BITS32, 0]) + _planes(narrow)
    return bytes([_BITS64, 0]) + _planes(bits)


@dataclass(slots=True)
class _Cursor:
    """Reads a chunk's sections one after another."""

    raw: bytes
    at: int

    def number(self, size: int, *, signed: bool = False) -> int:
        self.at += size
        return int.from_bytes(self.raw[self.at - size : self.at], "little", signed=signed)

    def ints(self, n: int) -> Array:
        """A column of `_ints`."""
        if not n:
            return np.zeros(0, np.int64)
        guess = self.number(1)
        if guess == _CONST:
            return np.full(n, self.number(8, signed=True), np.int64)
        width = self.number(1)
        base, step = np.int64(self.number(8, signed=True)), np.int64(self.number(8, signed=True))
        zigzag = self.planes(n, width).view(f"<u{width}").ravel().astype(np.uint64)
        left = (zigzag >> np.uint64(1)).astype(np.int64) ^ -(zigzag & np.uint64(1)).astype(np.int64)
        if guess == _LINE:
            return left + step * np.arange(n, dtype=np.int64) + base
        for _ in range(guess - _PLAIN):
            left = np.cumsum(left)
        return left + base

    def floats(self, n: int) -> Array:
        """A column of `_floats`, as int64 bits."""
        if not n:
            return np.zeros(0, np.int64)
        way, digits = self.number(1), self.number(1)
        if way == _BITS64:
            return self.planes(n, 8).view("<i8").ravel()
        if way == _BITS32:
            return self.planes(n, 4).view("<f4").ravel().astype(np.float64).view(np.int64)
        reals = self.ints(n) / 10.0**digits
        if way == _DECIMAL32:
            reals = reals.astype(np.float32).astype(np.float64)
        return reals.view(np.int64)

    def planes(self, n: int, width: int) -> Array:
        self.at += n * width
        return np.frombuffer(self.raw, np.uint8, n * width, self.at - n * width).reshape(width, n).T.copy()

    def rest(self) -> bytes:
        return self.raw[self.at :]
