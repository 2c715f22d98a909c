"""A Modbus device's memory: four tables kept as bytes ready to be sent, renewed once a tick, never per request.

    table      function  kept as                                      limit a read
    coil       1         one ASCII `0` or `1` a bit                   2000 bits
    discrete   2         same                                         2000 bits
    holding    3         two bytes a register, high byte first        125 registers
    input      4         same                                         125 registers
    (Modbus Application Protocol V1.1b3, 4.3 and 6.1 to 6.4; addresses are 0-based as on the wire)

A value wider than a register lies in consecutive ones. The standard fixes the bytes within a register and says nothing
of the words within a value, so both orders are settings: with `word_order = "little"` the low word comes first, with
`byte_order = "little"` each register is turned round as well. A window (`readout`) is registers that change by being
read. No I/O here and no clock.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any

from protocol.errors import ConfigError
from simulator.modbus.readout import ReadoutWindow
from simulator.plant.plant import PlantMoment, Value
from simulator.scene.scene import ScenePoint

TABLES = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}
"""Reading function -> table."""

MOST = {"coil": 2000, "discrete": 2000, "holding": 125, "input": 125}
"""Most items of one read (6.1 to 6.4)."""

SPACE = 65536
"""Addresses of a table."""

FORMATS = {
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint64": "Q",
    "float16": "e",
    "float32": "f",
    "float64": "d",
    "int8": "h",
    "uint8": "H",
    "bool": "H",
}
"""`struct` letters; the smallest thing is a register, so 8-bit values and bools in a register take all of one."""

ILLEGAL_ADDRESS = 2
ILLEGAL_VALUE = 3


class ModbusException(Exception):
    """An exception code to be answered (Modbus Application Protocol V1.1b3, 7)."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def width(kind: str, length: int) -> int:
    """Registers that a value takes; `length` is the characters of a string."""
    if kind == "string":
        return (length + 1) // 2
    return struct.calcsize(f">{FORMATS[kind]}") // 2


def encode(value: Value, kind: str, length: int = 16, *, word_order: str = "big", byte_order: str = "big") -> bytes:
    """The registers of a value, in the order they are sent.

    Args:
        value: Of the type `kind` (a catalog type); a string must be Latin-1, unknown characters become `?`.
        length: Characters of a string; the rest is filled with NUL. Word order does not touch a string.
    """
    if kind == "string":
        raw = str(value).encode("latin-1", "replace")[:length].ljust(2 * width(kind, length), b"\0")
    else:
        raw = struct.pack(f">{FORMATS[kind]}", value)
    words = [raw[at : at + 2] for at in range(0, len(raw), 2)]
    if word_order == "little" and kind != "string":
        words.reverse()
    return b"".join(word[::-1] for word in words) if byte_order == "little" else b"".join(words)


class Image:
    """The four tables of one device."""

    def __init__(self, points: Iterable[ScenePoint], settings: Mapping[str, Any]) -> None:
        """
        Args:
            points: Those of the device, with addresses `table:number`.
            settings: `word_order`, `byte_order` (`big`, `little`) and `gaps`: `refuse` answers exception 2 to a read
                that touches an address without a value, `zero` reads 0 up to the table's highest address.

        Raises:
            ConfigError: an address that is none, or that two points share.
        """
        self._orders = {name: str(settings.get(name, "big")) for name in ("word_order", "byte_order")}
        self._tables: dict[str, bytearray] = {
            name: bytearray(b"0" * SPACE if size == 2000 else 2 * SPACE) for name, size in MOST.items()
        }
        self._owned: dict[str, bytearray] = {name: bytearray(SPACE) for name in MOST}
        self._cells: list[tuple[ScenePoint, str, int]] = []
        for point in points:
            self._place(point)
        self._known = {name: bytearray(owned) for name, owned in self._owned.items()}
        if settings.get("gaps", "refuse") == "zero":
            for known in self._known.values():
                top = known.rfind(1) + 1
                known[:top] = b"\1" * top
        self._base = {name: bytes(known) for name, known in self._known.items()}
        self._hidden: frozenset[int] = frozenset()
        self._windows: list[tuple[str, int, ReadoutWindow]] = []
        self._last: dict[int, Value] = {}

    def put_window(self, at: str, window: ReadoutWindow) -> None:
        """Let registers from `TABLE:NUMBER` on show what a window shows.

        Raises:
            ConfigError: no registers, or a tag is there.
        """
        table, _, text = at.partition(":")
        if MOST.get(table) != 125 or not text.isdecimal():
            raise ConfigError(f"window at `{at}`: no registers", hint="write holding or input, then :number")
        start = int(text)
        places = slice(start, start + window.registers)
        if places.stop > SPACE or any(self._owned[table][places]):
            raise ConfigError(f"window at `{at}`: a tag is there, or it lies past 65535", hint="move it")
        for known in (self._known, self._owned):
            known[table][places] = b"\1" * window.registers
        self._base[table] = bytes(self._known[table])
        self._windows.append((table, start, window))
        self._show(table, start, window)

    def restart(self) -> None:
        """Windows begin anew, as in a device that was switched off and on."""
        for table, start, window in self._windows:
            window.restart()
            self._show(table, start, window)

    def hide(self, numbers: frozenset[int]) -> None:
        """Let the addresses of these points not be there, and those of all others be there again."""
        if numbers == self._hidden:
            return
        self._hidden = numbers
        self._known = {name: bytearray(known) for name, known in self._base.items()}
        for point, table, at in self._cells:
            if point.number in numbers:
                size = 1 if MOST[table] == 2000 else width(point.entry.type, point.entry.length)
                self._known[table][at : at + size] = bytes(size)

    def fill(self, moment: PlantMoment) -> None:
        """Write the values that differ from the last moment's. The whole tick becomes visible at once."""
        values, last = moment.values, self._last
        for point, table, at in self._cells:
            value = values[point.number]
            if last.get(point.number) == value:
                continue
            last[point.number] = value
            if table in ("coil", "discrete"):
                self._tables[table][at] = 0x31 if value else 0x30
            else:
                raw = encode(value, point.entry.type, point.entry.length, **self._orders)
                self._tables[table][2 * at : 2 * at + len(raw)] = raw
        for table, start, window in self._windows:
            window.fill(moment)
            self._show(table, start, window)

    def read(self, table: str, start: int, count: int) -> bytes:
        """The data of a reply: registers as they are, bits packed from the lowest bit of the first byte up (6.1).

        Raises:
            Refusal: 3 for a count outside the limits, then 2 for an address that is not there.
        """
        if not 1 <= count <= MOST[table]:
            raise ModbusException(ILLEGAL_VALUE)
        end = start + count
        if end > SPACE or self._known[table].find(0, start, end) >= 0:
            raise ModbusException(ILLEGAL_ADDRESS)
        cells = self._tables[table]
        if len(cells) > SPACE:
            data = bytes(cells[2 * start : 2 * end])
            for where, at, window in self._windows:
                if where == table and start < at + window.registers <= end:
                    window.advance()
                    self._show(where, at, window)
            return data
        return int(cells[start:end][::-1], 2).to_bytes((count + 7) // 8, "little")

    def _show(self, table: str, start: int, window: ReadoutWindow) -> None:
        self._tables[table][2 * start : 2 * (start + window.registers)] = window.show()

    def _place(self, point: ScenePoint) -> None:
        where = f"{point.asset}, tag {point.name}, at `{point.at}`"
        table, _, text = point.at.partition(":")
        if table not in MOST or not text.isdecimal():
            raise ConfigError(
                f"{where}: no Modbus address", hint="write coil, discrete, holding or input, then :number"
            )
        kind, bits = point.entry.type, MOST[table] == 2000
        if bits and kind != "bool":
            raise ConfigError(f"{where}: a {table} holds bools only", hint="take a holding or input register")
        size = 1 if bits else width(kind, point.entry.length)
        at = int(text) + point.element * size
        if at + size > SPACE or any(self._owned[table][at : at + size]):
            raise ConfigError(f"{where}: shares {table}:{at} with another tag, or lies past 65535", hint="move it")
        self._owned[table][at : at + size] = b"\1" * size
        self._cells.append((point, table, at))
