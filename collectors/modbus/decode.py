"""Replies to columns: all values of a scan at once, by one numpy gather for each type.

The data of a pass stand end to end in one buffer: a register's two bytes as they came, a bit as one byte. Where each
value's bytes lie in it is known before the first reply, so word order and byte order are nothing but the order of
indexes:

    order  device sends  indexes of a 4-byte value   keys
    ABCD   A B C D       0 1 2 3                     word_order = "big"                       (the usual)
    CDAB   C D A B       2 3 0 1                     word_order = "little"
    BADC   B A D C       1 0 3 2                     word_order = "big",    byte_swap = true
    DCBA   D C B A       3 2 1 0                     word_order = "little", byte_swap = true

Of 64 bits `word_order = "halves"` has the low half first (E F G H A B C D), `"pairs"` the low word of each half first
(C D A B G H E F). A string knows byte order only. Rows come out grouped by type, not in address order. No I/O here and
no clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from collectors.modbus.config import Item
from collectors.modbus.formats import FORMATS, from_bcd, scaled_by
from collectors.modbus.plan import Read
from protocol.content.array import Array
from protocol.content.sample import NO_TIME, Columns, Quality, ValueKind, columns, concat, severity


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
    """Values that one gather reads; their bytes apart all is as in the first of them."""

    kind: ValueKind
    item: Item
    index: Array
    """[n, bytes]: where each value's bytes lie, most significant first."""
    shift: Array
    """Lowest bit to take, of a part of a register."""
    factor: Array
    """[n, 2]: where each value's power of ten lies; empty where there is none."""
    scale: Array
    offset: Array


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
        ints, floats, bools, texts, trouble = self._values(np.frombuffer(data, np.uint8))
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
        usable = (trouble == 0) & ~bad_read[at]
        return whole if usable.all() else _without_values(whole, usable, trouble)

    def _values(self, raw: Array) -> tuple[Array, Array, Array, tuple[str, ...], Array]:
        """Ints, floats, bools, texts in row order, and the quality of rows that have no value (0: they have one)."""
        parts: dict[ValueKind, list[Array]] = {ValueKind.INT: [], ValueKind.FLOAT: [], ValueKind.BOOL: []}
        texts: tuple[str, ...] = ()
        troubles = []
        for group in self._groups:
            values, trouble = _group_values(group, raw)
            if group.kind is ValueKind.TEXT:
                texts += tuple(values)
            else:
                parts[group.kind].append(values)
            troubles.append(trouble)
        return (
            _join(parts[ValueKind.INT], np.int64),
            _join(parts[ValueKind.FLOAT], np.float64),
            _join(parts[ValueKind.BOOL], np.bool_),
            texts,
            np.concatenate(troubles) if troubles else np.zeros(0, np.uint32),
        )


def _group_values(group: _Group, raw: Array) -> tuple[Any, Array]:
    """Values of one group, and the quality of those that are none."""
    item, gathered = group.item, raw[group.index]
    values: Any
    trouble = np.zeros(len(gathered), np.uint32)
    if item.type == "bool":
        return ((gathered[:, 0] >> group.shift) & 1).astype(bool), trouble
    if item.part is not None:
        values, fine = _part(gathered, group.shift, item.part.bits, signed=item.type.startswith("int"))
    elif item.bcd:
        values, fine = from_bcd(gathered)
    else:
        values, fine = FORMATS[item.type].take(gathered)
    trouble[~fine] = Quality.BAD_DECODING
    if item.absent is not None:
        trouble[item.absent.among(gathered, values)] = Quality.BAD_NO_DATA
    if item.factor is not None:
        powers = raw[group.factor].view(">i2").ravel().astype(np.int64)
        values, absent, odd = scaled_by(values.astype(np.float64), powers)
        trouble[odd] = Quality.BAD_DECODING
        trouble[absent] = Quality.BAD_NOT_SUPPORTED
    if item.scale is not None:
        values = values.astype(np.float64) * group.scale + group.offset
    if item.states:
        names = dict(item.states)
        values = [names.get(number, str(number)) for number in values.tolist()]
    return values, trouble


def _part(gathered: Array, shift: Array, bits: int, *, signed: bool) -> tuple[Array, Array]:
    words = gathered.view(">u2").ravel().astype(np.int64) >> shift & (1 << bits) - 1
    if signed:
        words = np.where(words >> bits - 1, words - (1 << bits), words)
    return words, np.ones(len(words), bool)


def bad_rows(items: Sequence[Item], time_ns: int, *, quality: int, native: int) -> Columns:
    """Rows without a value, for items that were not asked for in this pass."""
    return columns([item.number for item in items], time_ns, [None] * len(items), quality=quality, native=native)


def _buffer_size(read: Read) -> int:
    return read.cell * read.count


def _group_key(item: Item) -> tuple[int, str]:
    """Items of one key are decoded together; keys of one kind are neighbours."""
    bits = item.part.bits if item.part else 0
    more = (item.bcd, item.factor is None, item.scale is None, item.length, bits, item.absent, item.states)
    return _kind(item).value, f"{item.type} {more}"


def _kind(item: Item) -> ValueKind:
    out = item.column_type
    if out in ("string", "bool"):
        return ValueKind.TEXT if out == "string" else ValueKind.BOOL
    return ValueKind.FLOAT if out.startswith("float") else ValueKind.INT


def _group(placed: Sequence[tuple[Item, int, int]]) -> _Group:
    """Args: items of one key, each with the byte at which its read's data begin, and the read's first address."""
    items = [item for item, _, _ in placed]
    return _Group(
        kind=_kind(items[0]),
        item=items[0],
        index=np.array([_bytes_of(item, byte, start) for item, byte, start in placed], np.intp),
        shift=np.array([_shift(item) for item in items], np.int64),
        factor=np.array([_factor_of(item, byte, start) for item, byte, start in placed], np.intp),
        scale=np.array([1.0 if item.scale is None else item.scale for item in items]),
        offset=np.array([item.offset for item in items]),
    )


def _shift(item: Item) -> int:
    """Lowest bit to take: of the byte that a bit is in, or of the register."""
    if item.part is None:
        return 0
    return item.part.first % 8 if item.part.bits == 1 else item.part.first


def _factor_of(item: Item, byte: int, start: int) -> list[int]:
    if item.factor is None:
        return []
    first = byte + 2 * (item.factor - start)
    return [first + side for side in ((1, 0) if item.swap_bytes else (0, 1))]


def _bytes_of(item: Item, byte: int, start: int) -> list[int]:
    """Where the item's bytes lie in the buffer, most significant first."""
    first = byte + item.cell * (item.address - start)
    if item.table.bits:
        return [first]
    high, low = (1, 0) if item.swap_bytes else (0, 1)
    if item.part is not None and item.part.bits == 1:
        return [first + (high if item.part.first >= 8 else low)]
    words = _words(item)
    return [first + 2 * word + side for word in words for side in (high, low)][: item.length or None]


def _words(item: Item) -> list[int]:
    """The item's registers, the most significant first."""
    words = list(range(item.width * item.cell // 2))
    half = len(words) // 2
    if item.length or item.words == "big" or (item.words == "pairs" and len(words) % 2):
        return words
    if item.words == "little":
        return words[::-1]
    if item.words == "halves":
        return words[half:] + words[:half] if len(words) == 4 else words
    return [word ^ 1 for word in words]


def _join(parts: Sequence[Array], dtype: type[np.generic]) -> Array:
    """One column; unsigned 64-bit values keep their bits."""
    if not parts:
        return np.zeros(0, dtype)
    with np.errstate(invalid="ignore"):  # a NaN that signals is one like the others
        return np.concatenate([part.astype(dtype) for part in parts])


def _without_values(whole: Columns, usable: Array, trouble: Array) -> Columns:
    """The usable rows, then the others without a value; one whose read was good has a trouble of its own."""
    rest = np.flatnonzero(~usable)
    quality = whole.quality[rest].copy()
    own = quality >> 30 < 2
    quality[own] = trouble[rest][own]
    bad = columns(whole.tag[rest], whole.time_ns[rest], [None] * len(rest), quality=quality, native=whole.native[rest])
    return concat([whole.select(usable), bad])
