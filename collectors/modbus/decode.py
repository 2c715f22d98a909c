"""Replies to columns: all values of a scan at once, by one numpy gather for each type.

The data of a pass stand end to end in one buffer: a register's two bytes as they came, a bit as one byte. Where each
value's bytes lie in it is known before the first reply, so word order and byte order are nothing but the order of
indexes:

    order  device sends  indexes of a 4-byte value   keys
    ABCD   A B C D       0 1 2 3                     word_order = "big"                       (the usual)
    CDAB   C D A B       2 3 0 1                     word_order = "little"
    BADC   B A D C       1 0 3 2                     word_order = "big",    byte_swap = true
    DCBA   D C B A       3 2 1 0                     word_order = "little", byte_swap = true

A string knows byte order only. Rows come out grouped by type, not in address order. No I/O here and no clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from collectors.modbus.config import Item
from collectors.modbus.plan import Read
from protocol.content.array import Array
from protocol.content.sample import NO_TIME, Columns, Quality, ValueKind, columns, concat, severity

_NUMPY = {
    "int16": ">i2",
    "uint16": ">u2",
    "int32": ">i4",
    "uint32": ">u4",
    "int64": ">i8",
    "uint64": ">u8",
    "float16": ">f2",
    "float32": ">f4",
    "float64": ">f8",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one read."""

    data: bytes
    """Register bytes as they came, or one byte a bit; empty where there are none."""
    time_ns: int
    """Middle of request and reply [ns]."""
    quality: int = Quality.GOOD
    """Of every value in it; bad means that `data` is not looked at."""
    native: int = 0
    """Modbus exception code, 0 where there was none."""
    other_ns: int = NO_TIME
    """When the data were read, where that was an earlier pass [ns]."""


@dataclass(frozen=True, slots=True)
class _Group:
    """Values that one gather reads."""

    kind: ValueKind
    type: str
    index: Array
    """[n, bytes]: where each value's bytes lie, most significant first."""
    bcd: bool
    shift: Array
    """Bit to take, for a bool in a register."""
    scale: Array
    offset: Array
    scaled: bool


class Decoder:
    """The values of some reads, ready to be decoded any number of times.

    Args:
        reads: In the order in which their outcomes will be given.
    """

    def __init__(self, reads: Sequence[Read]) -> None:
        self._sizes = [_buffer_size(read) for read in reads]
        starts = np.concatenate([[0], np.cumsum(self._sizes)])
        placed = [(item, at, int(starts[at]), read.start) for at, read in enumerate(reads) for item in read.items]
        placed.sort(key=lambda one: _group_key(one[0]))
        self._groups: list[_Group] = []
        begin = 0
        for end in range(1, len(placed) + 1):
            if end == len(placed) or _group_key(placed[end][0]) != _group_key(placed[begin][0]):
                self._groups.append(_group([(item, byte, start) for item, _, byte, start in placed[begin:end]]))
                begin = end
        self._tag = np.array([item.number for item, *_ in placed], np.uint32)
        self._read = np.array([at for _, at, *_ in placed], np.intp)
        kinds = [np.full(len(group.index), group.kind, np.uint8) for group in self._groups]
        self._kind = np.concatenate(kinds) if kinds else np.zeros(0, np.uint8)
        self._flags = np.zeros(len(placed), np.uint8)
        for shared in (self._tag, self._kind, self._flags):
            shared.setflags(write=False)  # they are handed out with every pass

    def columns(self, outcomes: Sequence[Outcome]) -> Columns:
        """The pass as columns: every item has a row, bad and without a value where its read was bad."""
        at = self._read
        bad_read = np.array([severity(outcome.quality) == 2 for outcome in outcomes], bool)
        data = b"".join(
            bytes(size) if bad else outcome.data
            for outcome, size, bad in zip(outcomes, self._sizes, bad_read, strict=True)
        )
        ints, floats, bools, texts, valid = self._values(np.frombuffer(data, np.uint8))
        whole = Columns(
            tag=self._tag,
            time_ns=np.array([outcome.time_ns for outcome in outcomes], np.int64)[at],
            other_ns=np.array([outcome.other_ns for outcome in outcomes], np.int64)[at],
            flags=self._flags,
            quality=np.array([outcome.quality for outcome in outcomes], np.uint32)[at],
            native=np.array([outcome.native for outcome in outcomes], np.uint32)[at],
            kind=self._kind,
            floats=floats,
            ints=ints,
            bools=bools,
            texts=texts,
        )
        usable = valid & ~bad_read[at]
        return whole if usable.all() else _without_values(whole, usable)

    def _values(self, raw: Array) -> tuple[Array, Array, Array, tuple[str, ...], Array]:
        """Ints, floats, bools, texts in row order, and which rows have a value at all."""
        parts: dict[ValueKind, list[Array]] = {ValueKind.INT: [], ValueKind.FLOAT: [], ValueKind.BOOL: []}
        texts: tuple[str, ...] = ()
        valid = []
        for group in self._groups:
            gathered = raw[group.index]
            fine = np.ones(len(gathered), bool)
            if group.kind is ValueKind.TEXT:
                texts += tuple(text_of(row.tobytes()) for row in gathered)
            elif group.type == "bool":
                parts[ValueKind.BOOL].append(((gathered[:, 0] >> group.shift) & 1).astype(bool))
            else:
                values = gathered.view(_NUMPY[group.type]).ravel()
                if group.bcd:
                    values, fine = _from_bcd(gathered)
                if group.scaled:
                    values = values.astype(np.float64) * group.scale + group.offset
                parts[group.kind].append(values)
            valid.append(fine)
        return (
            _join(parts[ValueKind.INT], np.int64),
            _join(parts[ValueKind.FLOAT], np.float64),
            _join(parts[ValueKind.BOOL], np.bool_),
            texts,
            np.concatenate(valid) if valid else np.zeros(0, bool),
        )


def text_of(data: bytes) -> str:
    """A device's string: up to the first NUL, without the blanks that fill it up; UTF-8, else Latin-1."""
    data = data.split(b"\0", 1)[0].rstrip(b" ")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def bad_rows(items: Sequence[Item], time_ns: int, *, quality: int, native: int) -> Columns:
    """Rows without a value, for items that were not asked for in this pass."""
    return columns([item.number for item in items], time_ns, [None] * len(items), quality=quality, native=native)


def _buffer_size(read: Read) -> int:
    return read.count if read.table.bits else 2 * read.count


def _group_key(item: Item) -> tuple[int, str, bool, bool, int]:
    """Items of one key are decoded together; keys of one kind are neighbours."""
    return _kind(item).value, item.type, item.bcd, item.scale is not None, item.width if item.type == "string" else 0


def _kind(item: Item) -> ValueKind:
    if item.type == "string":
        return ValueKind.TEXT
    if item.type == "bool":
        return ValueKind.BOOL
    return ValueKind.FLOAT if item.scale is not None or item.type.startswith("float") else ValueKind.INT


def _group(placed: Sequence[tuple[Item, int, int]]) -> _Group:
    """Args: items of one key, each with the byte at which its read's data begin, and the read's first address."""
    items = [item for item, _, _ in placed]
    return _Group(
        kind=_kind(items[0]),
        type=items[0].type,
        index=np.array([_bytes_of(item, byte, start) for item, byte, start in placed], np.intp),
        bcd=items[0].bcd,
        shift=np.array([(item.bit or 0) % 8 for item in items], np.uint8),
        scale=np.array([1.0 if item.scale is None else item.scale for item in items]),
        offset=np.array([item.offset for item in items]),
        scaled=items[0].scale is not None,
    )


def _bytes_of(item: Item, byte: int, start: int) -> list[int]:
    """Where the item's bytes lie in the buffer, most significant first."""
    if item.table.bits:
        return [byte + item.address - start]
    first = byte + 2 * (item.address - start)
    high, low = (1, 0) if item.swap_bytes else (0, 1)
    if item.bit is not None:
        return [first + (high if item.bit >= 8 else low)]
    words = range(item.width)
    if item.swap_words and item.type != "string":
        words = words[::-1]
    return [first + 2 * word + side for word in words for side in (high, low)]


def _from_bcd(gathered: Array) -> tuple[Array, Array]:
    """Values of bytes that hold two decimal digits each, and which of them do so."""
    digits = np.stack([gathered >> 4, gathered & 15], axis=-1).reshape(len(gathered), -1)
    powers = 10 ** np.arange(digits.shape[1] - 1, -1, -1, dtype=np.int64)
    return digits.astype(np.int64) @ powers, np.asarray((digits < 10).all(axis=1))


def _join(parts: Sequence[Array], dtype: type[np.generic]) -> Array:
    """One column; unsigned 64-bit values keep their bits."""
    if not parts:
        return np.zeros(0, dtype)
    return np.concatenate([part.astype(dtype) for part in parts])


def _without_values(whole: Columns, usable: Array) -> Columns:
    """The usable rows, then the others without a value; one whose read was good did not decode."""
    rest = np.flatnonzero(~usable)
    quality = whole.quality[rest].copy()
    quality[quality >> 30 < 2] = Quality.BAD_DECODING
    bad = columns(whole.tag[rest], whole.time_ns[rest], [None] * len(rest), quality=quality, native=whole.native[rest])
    return concat([whole.select(usable), bad])
