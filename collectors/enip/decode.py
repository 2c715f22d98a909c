"""From configured tags to what is asked of the library, and from its answers to columns. Pure: no device, no clock.

    Motors[2].Speed, Motors[2].Hours    ->  one Ask "Motors[2]", two Takes out of the structure
    Word.5, Word.7                      ->  one Ask "Word", two Takes of a bit
    Profile[0], count 100               ->  one Ask "Profile[0]{100}", one Take of 100 point numbers

A structure is read whole where two or more of its members are wanted and it is small (`WHOLE_BYTES`), or little larger
than its members asked for one by one (`MEMBER_BYTES` each).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from collectors.enip.config import Item, Step
from collectors.enip.symbols import Meaning, Symbols, Unknown
from protocol.content.sample import Columns, Quality, Value, columns

WHOLE_BYTES = 480
"""A structure up to this size fits one reply of a small connection and costs no request more [bytes]."""

MEMBER_BYTES = 48
"""What a member costs when asked by itself, request and reply, with names of usual length [bytes]."""

PACKED = 8
"""Arrays from this length go into columns as one piece."""

QUALITIES: dict[int, Quality] = {
    0x01: Quality.BAD_COMMUNICATION,
    0x02: Quality.BAD_DEVICE_FAILURE,
    0x03: Quality.BAD_CONFIGURATION,
    0x04: Quality.BAD_NODE_UNKNOWN,
    0x05: Quality.BAD_NODE_UNKNOWN,
    0x06: Quality.BAD_DECODING,
    0x07: Quality.BAD_COMMUNICATION,
    0x08: Quality.BAD_NOT_SUPPORTED,
    0x0C: Quality.BAD_DEVICE_FAILURE,
    0x0F: Quality.BAD_CONFIGURATION,
    0x10: Quality.BAD_DEVICE_FAILURE,
    0x11: Quality.BAD_DECODING,
    0x16: Quality.BAD_NODE_UNKNOWN,
    0x1E: Quality.BAD_DEVICE_FAILURE,
    0xFF: Quality.BAD_NODE_UNKNOWN,
}
"""CIP general status -> quality; 0xFF is nearly always an element past the end (extended 0x2105)."""

GONE = frozenset({0x04, 0x05, 0x16})
"""General status of a path that leads nowhere: the program may have been changed."""

_KINDS = {"bool": "bool", "string": "str"}
_WIDTHS = {"int8": 7, "uint8": 8, "int16": 15, "uint16": 16, "int32": 31, "uint32": 32, "int64": 63, "uint64": 64}
"""Bits of the magnitude."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """One configured tag's share of an answer."""

    numbers: range
    """Its point numbers: one, or an array's."""
    type: str
    """Catalog type of what comes out."""
    bit: int | None = None
    member: Step | None = None
    """Where it is in a structure that was read whole."""
    scale: float | None = None
    offset: float = 0.0

    def of(self, value: Any) -> Any:
        """Its part of the answer's value, not yet converted: a scalar, or a sequence of as many as it has numbers.

        Raises:
            LookupError: the answer does not hold it.
            ValueError: fewer elements than were asked for.
        """
        if self.member is not None:
            value = value[self.member.name]
            if self.member.index:
                start = self.member.index[0]
                value = value[start : start + len(self.numbers)] if len(self.numbers) > 1 else value[start]
        if len(self.numbers) > 1 and len(value) != len(self.numbers):
            raise ValueError(f"{len(value)} elements instead of {len(self.numbers)}")
        return value

    def convert(self, value: Any) -> Value:
        """One value as the type that comes out."""
        if isinstance(value, np.generic):
            value = value.item()
        if self.bit is not None:
            return bool(value >> self.bit & 1)
        if self.scale is not None:
            return float(value) * self.scale + self.offset
        cast: type[float] | type[int] | type[bool] | type[str] = _CASTS[kind_of(self.type)]
        return cast(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One thing read from the device."""

    text: str
    """In the library's notation, a count in braces."""
    takes: tuple[Take, ...]
    parent: str = ""
    """The structure, where it is read whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """Tags that are not asked for, and why."""

    numbers: range
    quality: int
    text: str


@dataclass(slots=True)
class Plan:
    """What one scan asks."""

    asks: list[Ask] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)


_CASTS: dict[str, type[float] | type[int] | type[bool] | type[str]] = {
    "bool": bool,
    "str": str,
    "int": int,
    "float": float,
}


def kind_of(type_: str) -> str:
    """`bool`, `str`, `int` or `float`: the array of columns that holds a catalog type."""
    return _KINDS.get(type_) or ("float" if type_.startswith("float") else "int")


def plan(
    items: Iterable[Item],
    symbols: Symbols,
    *,
    whole: bool,
    apart: frozenset[str] = frozenset(),
    fenced: Callable[[str], bool] = lambda parent: False,
) -> Plan:
    """What to ask for these tags.

    Args:
        items: Configured tags.
        symbols: The controller's tag list.
        whole: Read structures whole where that pays.
        apart: Structures that cannot be read whole.
        fenced: Whether a structure has members that must not be read, so that it is not read whole either.
    """
    out = Plan()
    found: list[tuple[Item, Meaning]] = []
    for item in items:
        try:
            meaning = symbols.find(item.address)
            column_type(item, meaning)
            if meaning.left and item.point.count > meaning.left:
                raise Unknown(f"{meaning.path} has {meaning.left} elements from there, not {item.point.count}")
        except Unknown as unknown:
            out.lost.append(Lost(numbers=item.numbers, quality=unknown.quality, text=str(unknown)))
        else:
            found.append((item, meaning))
    groups: dict[str, list[tuple[Item, Meaning]]] = {}
    for item, meaning in found:
        groups.setdefault(meaning.parent, []).append((item, meaning))
    for parent, members in groups.items():
        size = members[0][1].parent_size
        pays = len(members) > 1 and 0 < size <= max(WHOLE_BYTES, MEMBER_BYTES * len(members))
        if parent and whole and pays and parent not in apart and not fenced(parent):
            takes = tuple(_take(item, meaning, meaning.member) for item, meaning in members)
            out.asks.append(Ask(text=parent, takes=takes, parent=parent))
        else:
            out.asks += _singly(members)
    return out


def _singly(members: Sequence[tuple[Item, Meaning]]) -> list[Ask]:
    """Each value by itself, equal ones once."""
    asks: dict[str, list[Take]] = {}
    for item, meaning in members:
        count = item.point.count
        text = meaning.path + (f"{{{count}}}" if count > 1 else "")
        asks.setdefault(text, []).append(_take(item, meaning, None))
    return [Ask(text=text, takes=tuple(takes)) for text, takes in asks.items()]


def _take(item: Item, meaning: Meaning, member: Step | None) -> Take:
    if member is not None and meaning.left != 1 and not member.index:
        member = Step(member.name, (0,))  # an array without an element number begins at its first
    return Take(
        numbers=item.numbers,
        type=column_type(item, meaning),
        bit=meaning.bit,
        member=member,
        scale=item.scale,
        offset=item.offset,
    )


def column_type(item: Item, meaning: Meaning) -> str:
    """Catalog type of what comes out: the configured one where the value fits it.

    Raises:
        Unknown: it does not fit.
    """
    own = meaning.type
    if item.scale is not None:
        if kind_of(own) not in ("int", "float"):
            raise Unknown(f"{meaning.path} is a {own}, which cannot be scaled", Quality.BAD_CONFIGURATION)
        return "float64"
    wanted = item.point.type
    if wanted is None or wanted == own:
        return own
    if kind_of(wanted) == "float":
        fits = kind_of(own) in ("int", "float")
    elif kind_of(wanted) == "int":
        signed = own.startswith("int")
        fits = kind_of(own) == "bool" or (
            kind_of(own) == "int" and _WIDTHS[own] <= _WIDTHS[wanted] and not (signed and wanted.startswith("u"))
        )
    else:
        fits = kind_of(wanted) == kind_of(own)
    if not fits:
        raise Unknown(f"{meaning.path} is a {own} in the controller, not a {wanted}", Quality.BAD_CONFIGURATION)
    return wanted


def rows(asks: Sequence[Ask], answers: Sequence[tuple[Any, int]], time_ns: int) -> list[Columns]:
    """Columns of what came back; an answer without a value becomes rows of kind NONE.

    Args:
        asks: What was asked.
        answers: Value and status of each, in the same order; a status is 0, a CIP general status, or negative where
            the answer is there but unfit.
        time_ns: When the values were true [ns since 1970 UTC].
    """
    parts: list[Columns] = []
    tags: list[int] = []
    values: list[Value] = []
    qualities: list[int] = []
    natives: list[int] = []
    for ask, (value, status) in zip(asks, answers, strict=True):
        for take in ask.takes:
            many, quality, native = len(take.numbers) > 1, 0, 0
            try:
                if status:
                    raise LookupError
                got = take.of(value)
                if many and len(take.numbers) >= PACKED and kind_of(take.type) in ("int", "float"):
                    parts.append(columns(np.arange(take.numbers.start, take.numbers.stop), time_ns, _array(take, got)))
                    continue
                made = [take.convert(one) for one in got] if many else [take.convert(got)]
            except (LookupError, TypeError, ValueError, OverflowError):
                native = max(status, 0)
                quality = QUALITIES.get(status, Quality.BAD_DECODING if status <= 0 else Quality.BAD_DEVICE_FAILURE)
                made = [None] * len(take.numbers)
            tags += take.numbers
            values += made
            qualities += [quality] * len(made)
            natives += [native] * len(made)
    return [columns(tags, time_ns, values, quality=qualities, native=natives), *parts]


def _array(take: Take, got: Any) -> Any:
    """A long array in one piece, as float64 or int64 (uint64 as it is)."""
    array = np.asarray(got)
    if take.scale is not None:
        return array.astype(np.float64) * take.scale + take.offset
    if kind_of(take.type) == "float":
        return array.astype(np.float64)
    return array if array.dtype == np.uint64 else array.astype(np.int64)


def lost_rows(lost: Iterable[Lost], time_ns: int) -> Columns:
    """Rows of tags that were not asked for."""
    numbers = [(number, one.quality) for one in lost for number in one.numbers]
    return columns(
        [number for number, _ in numbers],
        time_ns,
        [None] * len(numbers),
        quality=[quality for _, quality in numbers],
    )
