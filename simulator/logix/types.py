"""Types of a Logix controller: how a structure is laid out in memory, described on the wire, and written to.

    MotorUDT       0  ZZZZZZZZZZMotorUDT0  SINT, hidden: holds the BOOLs
      Running      0  bit 0 of it
      Fault        0  bit 1 of it
      Speed        4  REAL
      Codes        8  INT[4]
      Label       16  STRING: LEN DINT, DATA SINT[82]

A member stands at a multiple of its own size, arrays and structures at a multiple of four (eight where a 64-bit member
is inside); BOOLs are packed eight to a hidden byte; a BOOL array is 32-bit words.

Sources: Rockwell Automation 1756-PM020, Logix 5000 Controllers Data Access ("Logix data structures", template object);
1756-RM094, Design Considerations (alignment). No I/O here and no state.
"""

from __future__ import annotations

import binascii
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from simulator.logix.cip import ATOMICS, BOOL_TRUE, Atomic


@dataclass(frozen=True, slots=True)
class Field:
    """One member of a structure, laid out."""

    name: str
    type: Type
    count: int
    """Elements; 0 for a scalar."""
    offset: int
    """From the start of the structure [bytes]."""
    bit: int = -1
    """Bit of the byte at `offset` that holds a BOOL member; -1 for all others."""


class Template:
    """A structure type, laid out, and its definition as class 0x6C gives it to read.

    Args:
        instance: 0x100 to 0xEFF for types made by a user; anything else is a predefined type.
        name: As a person typed it.
        members: `(name, type, elements)`; elements 0 for a scalar. A BOOL array counts its BOOLs.
        handle: Two bytes that stand for the type in read replies; None has them computed from the definition.
    """

    def __init__(
        self, instance: int, name: str, members: Sequence[tuple[str, Type, int]], handle: int | None = None
    ) -> None:
        self.instance = instance
        self.name = name
        self.fields, self.size, self.alignment = _lay_out(name, members)
        self.by_name = {one.name.lower(): one for one in self.fields}
        self.definition = self._definition()
        self.handle = handle if handle is not None else binascii.crc_hqx(self.definition, 0xFFFF) or 1
        self.prefix = struct.pack("<HH", 0x02A0, self.handle)
        """What stands before the data in a read reply."""

    @property
    def word(self) -> int:
        """Symbol type word of a scalar."""
        return 0x8000 | self.instance

    @property
    def definition_words(self) -> int:
        """Attribute 4 [32-bit words]; clients read up to `words * 4 - 21` bytes and never past the end."""
        return len(self.definition) // 4

    @property
    def text_length(self) -> int:
        """Characters it can hold if it is a string type, else 0."""
        fields = self.fields
        if len(fields) == 2 and [one.name for one in fields] == ["LEN", "DATA"] and fields[1].type is ATOMICS["SINT"]:
            return fields[1].count
        return 0

    def _definition(self) -> bytes:
        """What class 0x6C gives to read: 8 bytes a member, then the names, padded.

        Predefined types carry their bare name; others `name;n` and two characters a member that say who may see it.
        """
        infos = [
            struct.pack("<HHI", one.bit if one.bit >= 0 else one.count, _member_word(one), one.offset)
            for one in self.fields
        ]
        title = self.name if not 0x100 <= self.instance <= 0xEFF else f"{self.name};n" + "HA" * len(self.fields)
        names = "\0".join([title, *(one.name for one in self.fields), ""]).encode("ascii")
        raw = b"".join(infos) + names
        return raw.ljust((len(raw) + 23 + 3) // 4 * 4, b"\0")


Type: TypeAlias = Atomic | Template


def _member_word(one: Field) -> int:
    return one.type.word | (0x2000 if one.count else 0)


def _lay_out(name: str, members: Sequence[tuple[str, Type, int]]) -> tuple[tuple[Field, ...], int, int]:
    """Place members: each at its type's alignment, arrays and structures at 4 bytes or more, BOOLs eight to a byte."""
    fields: list[Field] = []
    at, alignment, hosts, bit = 0, 4, 0, 8
    for member, kind, count in members:
        if kind is ATOMICS["BOOL"] and not count:
            if bit == 8:
                fields.append(Field(f"ZZZZZZZZZZ{name[:20]}{hosts}", ATOMICS["SINT"], 0, at))
                at, hosts, bit = at + 1, hosts + 1, 0
            fields.append(Field(member, kind, 0, at - 1, bit))
            bit += 1
            continue
        bit = 8
        if kind is ATOMICS["BOOL"]:
            kind, count = ATOMICS["DWORD"], -(-count // 32)
        step = kind.alignment if isinstance(kind, Atomic) and not count else max(4, kind.alignment)
        alignment = max(alignment, step)
        at = -(-at // step) * step
        fields.append(Field(member, kind, count, at))
        at += kind.size * max(count, 1)
    return tuple(fields), max(-(-at // alignment) * alignment, 4), alignment


def bool_words(values: Sequence[bool]) -> list[int]:
    """A BOOL array as the 32-bit words that hold it, least significant bit first."""
    return [
        sum(1 << bit for bit, value in enumerate(values[start : start + 32]) if value)
        for start in range(0, len(values), 32)
    ]


def store(data: bytearray, offset: int, kind: Type, count: int, value: Any) -> None:
    """Write `value` of `kind` (an array if `count`) into `data` at `offset`."""
    if count:
        for at, one in enumerate(value):
            store(data, offset + at * kind.size, kind, 0, one)
    elif isinstance(kind, Atomic):
        struct.pack_into("<" + kind.letter, data, offset, BOOL_TRUE * bool(value) if kind.code == 0xC1 else value)
    elif kind.text_length:
        text = value.encode("latin-1", "replace")[: kind.text_length]
        struct.pack_into(f"<I{kind.text_length}s", data, offset, len(text), text)
    else:
        for name, one in value.items():
            place = kind.by_name[name.lower()]
            if place.bit >= 0:
                at = offset + place.offset
                data[at] = data[at] & ~(1 << place.bit) | bool(one) << place.bit
            else:
                if place.type is ATOMICS["DWORD"] and isinstance(one[0], bool):
                    one = bool_words(one)
                store(data, offset + place.offset, place.type, place.count, one)
