"""Chunks as the first builds wrote them (version 1): read for as long as their files are kept, never written.

    version u8 | n u32 | time | other? | other | quality | native | kind | stream | number | floats | ints | bools
    | text places | texts                                                    all of it under zstd with a checksum

A column of integers was guessed in several ways and the cheapest kept; what is left over is zigzag-coded, cut to the
smallest of 1, 2, 4 or 8 bytes and laid out in byte planes:

    CONST  every element is `base`               STEPS  differences of neighbours
    PLAIN  a - base                              BENDS  differences of differences (a clock that drifts)
    LINE   a - (base + step * i): a clock that jitters around its period

All arithmetic is modulo 2**64. Floats are decimals (an integer over a power of ten), the same rounded to float32, or
bits. Times were divided by the largest power of ten that divides them all.
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
        marks=np.zeros(n, np.uint8),
        texts=tuple(msgpack.unpackb(raw.rest())),
    )


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
