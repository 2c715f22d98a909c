"""How registers hold a value: every word that may stand behind `type`, and what comes out of it.

A format is given the value's bytes, most significant first (`decode` has put words and bytes in order), and gives
values beside a mask of those that are values at all: no number is made up from digits that are none. Dates come out as
ISO 8601 texts, with a Z where they are UTC by definition. The table with an example a line stands in
docs/collectors/modbus.md; a test reads each of them. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import numpy as np

from protocol.content.array import Array

Taken: TypeAlias = tuple[Any, Array]
"""Values (an array of numbers, or a list of texts) and which of them are values."""

BCD_TYPES = ("uint16", "uint32", "uint48", "uint64")
"""Types that `bcd = true` may stand beside: four decimal digits a register."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Format:
    """One word behind `type`."""

    registers: int
    """That it takes; 0 where the tag's `length` says it."""
    out: str
    """Catalog type of what comes out."""
    take: Callable[[Array], Taken]
    """Of the bytes of many values, [n, bytes]."""
    low_first: bool = False
    """The first register is the least significant where nothing is said of the order."""


def text_of(data: bytes) -> str:
    """A device's string: up to the first NUL, without blanks or bytes of FF that fill it up; UTF-8, else Latin-1."""
    data = data.split(b"\0", 1)[0].rstrip(b" \xff")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def from_bcd(raw: Array) -> Taken:
    """Two decimal digits a byte."""
    digits = np.stack([raw >> 4, raw & 15], axis=-1).reshape(len(raw), -1)
    powers = 10 ** np.arange(digits.shape[1] - 1, -1, -1, dtype=np.int64)
    return digits.astype(np.int64) @ powers, np.asarray((digits < 10).all(axis=1))


def _plain(kind: str) -> Callable[[Array], Taken]:
    def take(raw: Array) -> Taken:
        values = np.ascontiguousarray(raw).view(kind).ravel()
        return values, np.ones(len(values), bool)

    return take


def _whole(raw: Array) -> Array:
    """Unsigned numbers of up to eight bytes."""
    wide = np.zeros((len(raw), 8), np.uint8)
    wide[:, 8 - raw.shape[1] :] = raw
    return wide.view(">u8").ravel().astype(np.uint64)


def _uint48(raw: Array) -> Taken:
    return _whole(raw).astype(np.int64), np.ones(len(raw), bool)


def _int48(raw: Array) -> Taken:
    return (_whole(raw) << np.uint64(16)).astype(np.int64) >> 16, np.ones(len(raw), bool)


def _mod10(raw: Array) -> Taken:
    """Each register is a digit to the base 10,000; a negative number has negative digits."""
    digits = np.ascontiguousarray(raw).view(">i2").reshape(len(raw), -1).astype(np.int64)
    powers = 10_000 ** np.arange(digits.shape[1] - 1, -1, -1, dtype=np.int64)
    return digits @ powers, np.asarray((np.abs(digits) < 10_000).all(axis=1))


def _magnitude(raw: Array) -> Taken:
    """The highest bit is the sign, the others are the amount."""
    top = np.uint64(1 << (8 * raw.shape[1] - 1))
    whole = _whole(raw)
    amount = (whole & (top - np.uint64(1))).astype(np.int64)
    return np.where(whole & top, -amount, amount), np.ones(len(raw), bool)


def _decade(value: Array, exponent: Array) -> Array:
    """value x 10^exponent, as near as a float64 can be: divided by a whole power rather than multiplied by a part."""
    power = 10.0 ** np.abs(exponent)
    return np.where(exponent < 0, value / power, value * power)


def _exp8(signed: bool) -> Callable[[Array], Taken]:
    def take(raw: Array) -> Taken:
        exponent = np.ascontiguousarray(raw[:, 0]).view(np.int8).astype(np.int64)
        value = _whole(raw[:, 1:]).astype(np.int64)
        if signed:
            value = np.where(value >= 1 << 23, value - (1 << 24), value)
        return _decade(value.astype(np.float64), exponent), np.ones(len(raw), bool)

    return take


def _exp2(raw: Array) -> Taken:
    word = _whole(raw).astype(np.int64)
    return _decade((word & 0x3FFF).astype(np.float64), word >> 14), np.ones(len(raw), bool)


def scaled_by(values: Array, factor: Array) -> tuple[Array, Array, Array]:
    """Numbers by a power of ten that the device says (SunSpec `sunssf`).

    Returns:
        The numbers, which factors mean "not implemented", and which are none (beyond -10 to 10).
    """
    absent = factor == -32768
    odd = (np.abs(factor) > 10) & ~absent
    return _decade(values, np.where(absent | odd, 0, factor)), absent, odd


def _texts(read: Callable[[bytes], str]) -> Callable[[Array], Taken]:
    def take(raw: Array) -> Taken:
        texts, fine = [], []
        for row in raw:
            try:
                texts.append(read(row.tobytes()))
                fine.append(True)
            except (ValueError, OverflowError):
                texts.append("")
                fine.append(False)
        return texts, np.array(fine, bool)

    return take


def _numbers(raw: Array) -> Taken:
    """A number written in characters, `+012.50`."""
    values, fine = np.zeros(len(raw)), np.zeros(len(raw), bool)
    for at, row in enumerate(raw):
        try:
            values[at] = float(text_of(row.tobytes()).strip().replace(",", "."))
            fine[at] = np.isfinite(values[at])
        except ValueError:
            continue
    return values, fine


def _ago(data: bytes, per_second: int) -> str:
    whole = int.from_bytes(data, "big")
    shown = _EPOCH + timedelta(seconds=whole // per_second, microseconds=whole % per_second * 10**6 // per_second)
    return shown.isoformat(timespec="milliseconds" if per_second > 1 else "seconds").replace("+00:00", "Z")


def _when(parts: Sequence[int], milliseconds: int | None = None) -> str:
    """Year, month, day, hour, minute and second; a year of two digits is one of this century."""
    year, month, day, hour, minute, second = (*parts, 0, 0, 0)[:6]
    shown = datetime(year + 2000 if year < 100 else year, month, day, hour, minute, second)
    if milliseconds is None:
        return shown.isoformat(timespec="seconds")
    return (shown + timedelta(milliseconds=milliseconds)).isoformat(timespec="milliseconds")


def _words(data: bytes) -> list[int]:
    return [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]


def _date_words(data: bytes) -> str:
    return _when(_words(data))


def _date_words_ms(data: bytes) -> str:
    *parts, milliseconds = _words(data)
    if milliseconds > 999:
        raise ValueError
    return _when(parts, milliseconds)


def _date_bcd(data: bytes) -> str:
    return _when([_two_digits(byte) for byte in data])


def _two_digits(byte: int) -> int:
    if byte >> 4 > 9 or byte & 15 > 9:
        raise ValueError
    return 10 * (byte >> 4) + (byte & 15)


def _date_dmy(data: bytes) -> str:
    day, month = _two_digits(data[0]), _two_digits(data[1])
    return _when([int.from_bytes(data[2:], "big"), month, day])[:10]


def _cp56(data: bytes) -> str:
    """IEC 60870-5-4's CP56Time2a in four registers, the year first; its bit for a time that is invalid is heeded."""
    year, month, clock, milliseconds = _words(data)
    if clock & 0x80 or milliseconds > 59_999:
        raise ValueError
    parts = [2000 + (year & 0x7F), month >> 8 & 15, month & 31, clock >> 8 & 31, clock & 63, 0]
    return _when(parts, milliseconds)


def _ipv4(data: bytes) -> str:
    return ".".join(map(str, data))


FORMATS: dict[str, Format] = {
    "int16": Format(1, "int16", _plain(">i2")),
    "uint16": Format(1, "uint16", _plain(">u2")),
    "int32": Format(2, "int32", _plain(">i4")),
    "uint32": Format(2, "uint32", _plain(">u4")),
    "int48": Format(3, "int64", _int48),
    "uint48": Format(3, "int64", _uint48),
    "int64": Format(4, "int64", _plain(">i8")),
    "uint64": Format(4, "uint64", _plain(">u8")),
    "float16": Format(1, "float16", _plain(">f2")),
    "float32": Format(2, "float32", _plain(">f4")),
    "float64": Format(4, "float64", _plain(">f8")),
    "mod10_32": Format(2, "int64", _mod10, low_first=True),
    "mod10_48": Format(3, "int64", _mod10, low_first=True),
    "mod10_64": Format(4, "int64", _mod10, low_first=True),
    "magnitude16": Format(1, "int16", _magnitude),
    "magnitude32": Format(2, "int32", _magnitude),
    "magnitude64": Format(4, "int64", _magnitude),
    "exp8_int24": Format(2, "float64", _exp8(signed=True)),
    "exp8_uint24": Format(2, "float64", _exp8(signed=False)),
    "exp2_uint14": Format(1, "float64", _exp2),
    "unix32": Format(2, "string", _texts(lambda data: _ago(data, 1))),
    "unix64": Format(4, "string", _texts(lambda data: _ago(data, 1))),
    "unix64_ms": Format(4, "string", _texts(lambda data: _ago(data, 1000))),
    "date_words": Format(6, "string", _texts(_date_words)),
    "date_words_ms": Format(7, "string", _texts(_date_words_ms)),
    "date_bytes": Format(3, "string", _texts(lambda data: _when(list(data)))),
    "date_bcd": Format(3, "string", _texts(_date_bcd)),
    "date_dmy": Format(2, "string", _texts(_date_dmy)),
    "cp56": Format(4, "string", _texts(_cp56)),
    "ipv4": Format(2, "string", _texts(_ipv4)),
    "digits": Format(0, "float64", _numbers),
    "string": Format(0, "string", _texts(text_of)),
}
"""By the word behind `type`."""
