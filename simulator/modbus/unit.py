"""What one Modbus unit answers: PDU in, PDU out. Functions 1 to 4 and 43/14, written from the standard.

Replies are cut from `registers.Image`, which changes only between requests, so a value is never torn. Writes are
refused and counted: nothing can be changed from outside. No I/O.

Source: Modbus Application Protocol V1.1b3, 6.1 to 6.4 (reads), 6.21 (device identification), 7 (exceptions).
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Mapping
from typing import Any

from simulator.modbus.registers import ILLEGAL_ADDRESS, ILLEGAL_VALUE, TABLES, Image, ModbusException
from simulator.plant.plant import Plant
from simulator.scene.scene import DeviceSection

WRITES = frozenset({5, 6, 15, 16, 21, 22, 23})
"""Functions that change something: coils, registers, file record, mask, read/write (6.5 to 6.17)."""

ILLEGAL_FUNCTION = 1

COUNTS = ("connections", "requests", "refused", "exceptions", "other_unit", "malformed")
"""Names in `counts`: refused are writes, exceptions all exception replies, malformed what ended a connection."""

IDENTITY_BYTES = 244
"""Longest identity object: a PDU of 253 less its 7 bytes of header and the object's own 2."""

READ = struct.Struct(">BHH")


class ModbusUnit:
    """One unit, always right; what is wrong with it is done to its replies elsewhere (`server.FaultyUnit`)."""

    def __init__(self, image: Image, identity: Mapping[int, bytes], *, refuse: int = ILLEGAL_FUNCTION) -> None:
        """
        Args:
            image: Its memory.
            identity: Object id -> value, for function 43/14 (6.21).
            refuse: Exception code for writes.
        """
        self.image = image
        self.counts: Counter[str] = Counter(dict.fromkeys(COUNTS, 0))
        self._identity = dict(sorted(identity.items()))
        self._refuse = refuse

    def answer(self, pdu: bytes) -> bytes:
        """The reply to any PDU of 1 to 253 bytes."""
        function = pdu[0]
        self.counts["requests"] += 1
        try:
            table = TABLES.get(function)
            if table is not None:
                if len(pdu) != 5:
                    raise ModbusException(ILLEGAL_VALUE)
                _, start, count = READ.unpack(pdu)
                data = self.image.read(table, start, count)
                return bytes((function, len(data))) + data
            if function == 43 and pdu[1:2] == b"\x0e":
                return self._identify(pdu)
            if function in WRITES:
                self.counts["refused"] += 1
                raise ModbusException(self._refuse)
            raise ModbusException(ILLEGAL_FUNCTION)
        except ModbusException as refusal:
            self.counts["exceptions"] += 1
            return bytes((function | 0x80, refusal.code))

    def _identify(self, pdu: bytes) -> bytes:
        """Read Device Identification (6.21): a page of objects, and where the next page starts."""
        if len(pdu) != 4 or not 1 <= pdu[2] <= 4:
            raise ModbusException(ILLEGAL_VALUE)
        access, first = pdu[2], pdu[3]
        if access == 4:
            if first not in self._identity:
                raise ModbusException(ILLEGAL_ADDRESS)
            wanted = [first]
        else:
            category = [number for number in self._identity if number <= (0x02, 0x7F, 0xFF)[access - 1]]
            wanted = category[category.index(first) :] if first in category else category
        page, size, following = [], 0, 0
        for number in wanted:
            value = self._identity[number]
            if size + 2 + len(value) > IDENTITY_BYTES + 2:
                following = number
                break
            page.append(bytes((number, len(value))) + value)
            size += 2 + len(value)
        more = 0xFF if following else 0
        return bytes((43, 14, access, 0x83, more, following, len(page))) + b"".join(page)


def identity_of(plant: Plant, section: DeviceSection) -> dict[int, bytes]:
    """Device identification objects (6.21, table 6.21.1): 0 to 2 basic, 3 to 6 regular, 0x80 on our own."""
    settings: Mapping[str, Any] = section.settings
    texts = {
        0x00: section.vendor,
        0x01: section.model,
        0x02: section.firmware,
        0x03: settings.get("url", ""),
        0x04: settings.get("product", section.model),
        0x05: section.model,
        0x06: section.asset,
        0x80: section.serial,
        0x81: section.path,
        0x82: f"simulated: scene {plant.scene.name}, seed {plant.seed}; no value here comes from a real machine",
        0x83: f"{len(section.points)} points; functions 1, 2, 3, 4 and 43/14; writes are refused",
    }
    return {number: str(text).encode("latin-1", "replace")[:IDENTITY_BYTES] for number, text in texts.items()}


def words_of(pdu: bytes) -> str:
    """A request in a few words, for the console."""
    table = TABLES.get(pdu[0])
    if table is not None and len(pdu) == 5:
        _, start, count = READ.unpack(pdu)
        return f"{table} {start}+{count}"
    if pdu[0] == 43:
        return "identification"
    return f"write ({pdu[0]})" if pdu[0] in WRITES else f"function {pdu[0]}"


def shortened(answer: bytes) -> bytes:
    """The same reply with its last register (or byte of bits) missing, and a byte count that says so."""
    if answer[0] not in TABLES:
        return answer
    cut = min(1 if answer[0] < 3 else 2, answer[1])
    return bytes((answer[0], answer[1] - cut)) + answer[2 : len(answer) - cut]
