"""How a Modbus address is written, and ranges of them.

    holding:0  input:10  coil:3  discrete:7    0-based
    40001  30011  00004  10008                 five digits: table digit, then 1-based (1 to 9999)
    400001 300011 000004 100008                six digits: table digit, then 1-based (1 to 65536)
    holding:5.3  40006.3                       bit 3 of a register, 0 the least significant
    holding:5.4-7                              bits 4 to 7 of it, as a number
    holding:5.high  40006.low                  its high or its low byte
    holding:100-199  40101-40200               a range, both ends inside: `never_read`, and what `discover` may read

All are stored 0-based, as they stand on the wire (Modbus Application Protocol V1.1b3, 4.3 and 4.4). No I/O here;
nothing of the library.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Table(Enum):
    """One of the four tables; the value is its word in an address."""

    COIL = "coil"
    DISCRETE = "discrete"
    INPUT = "input"
    HOLDING = "holding"

    @property
    def function(self) -> int:
        """The function code that reads it (V1.1b3, 6.1 to 6.4)."""
        return {"coil": 1, "discrete": 2, "holding": 3, "input": 4}[self.value]

    @property
    def bits(self) -> bool:
        """True where an address holds one bit, not a register."""
        return self.function < 3


_DIGIT = {"0": Table.COIL, "1": Table.DISCRETE, "3": Table.INPUT, "4": Table.HOLDING}
_PART = r"(?:\.(\d{1,2}(?:-\d{1,2})?|high|low))?"
_NAMED = re.compile(r"(coil|discrete|input|holding):(\d{1,5})" + _PART)
_NUMBERED = re.compile(r"([0134])(\d{4,5})" + _PART)
_BYTES = {"high": (8, 8), "low": (0, 8)}


@dataclass(frozen=True, slots=True)
class Range:
    """Addresses of one table, both ends inside."""

    table: Table
    first: int
    last: int

    def meets(self, table: Table, start: int, stop: int) -> bool:
        """Whether any address from `start` to before `stop` is inside."""
        return table is self.table and start <= self.last and stop > self.first

    def __str__(self) -> str:
        return f"{self.table.value}:{self.first}-{self.last}"


@dataclass(frozen=True, slots=True)
class BitField:
    """Neighbouring bits of a register."""

    first: int
    """The least significant of them, 0 to 15."""
    bits: int


def parse_place(text: str) -> tuple[Table, int, BitField | None] | None:
    """Table, 0-based address and part of an address in one of the notations above; None where it is none of them."""
    if named := _NAMED.fullmatch(text):
        table, at, part = Table(named[1]), int(named[2]), named[3]
    elif numbered := _NUMBERED.fullmatch(text):
        table, at, part = _DIGIT[numbered[1]], int(numbered[2]) - 1, numbered[3]
    else:
        return None
    if not 0 <= at <= 0xFFFF or (part and table.bits):
        return None
    if not part:
        return table, at, None
    if part in _BYTES:
        return table, at, BitField(*_BYTES[part])
    first, _, last = part.partition("-")
    low, high = int(first), int(last or first)
    return (table, at, BitField(low, high - low + 1)) if low <= high <= 15 and (not last or low < high) else None


def parse_address(text: str) -> tuple[Table, int, int | None] | None:
    """Table, 0-based address and bit of an address that names no other part; None where it is none."""
    found = parse_place(text)
    if found is None or (found[2] is not None and found[2].bits > 1):
        return None
    table, at, part = found
    return table, at, None if part is None else part.first


def parse_range(text: str) -> Range | None:
    """A range of addresses, or one address; None where it is none, or a bit."""
    begin, dash, end = text.partition("-")
    first = parse_address(begin)
    if first is None or first[2] is not None:
        return None
    if not dash:
        return Range(first[0], first[1], first[1])
    last = parse_address(f"{first[0].value}:{end}" if ":" in begin else end)
    if last is None or last[0] is not first[0] or last[2] is not None or last[1] < first[1]:
        return None
    return Range(first[0], first[1], last[1])


def ranges_of(texts: Sequence[str], key: str, wrong: list[str]) -> tuple[Range, ...]:
    """The ranges; what is none is written down under `key`."""
    out = []
    for text in texts:
        found = parse_range(text)
        if found is None:
            wrong.append(f"{key}: {text!r} is no range of addresses; write holding:100-199 or 40101-40200")
        else:
            out.append(found)
    return tuple(out)
