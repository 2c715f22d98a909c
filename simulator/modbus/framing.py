"""How Modbus requests are framed on a TCP connection: with an MBAP header, or as on a serial line.

    MBAP   0  2  transaction   echoed
           2  2  protocol      0; anything else cannot be a Modbus frame, and the connection is closed
           4  2  length        of what follows: unit and PDU, 2 to 254 bytes
           6  1  unit
           7     PDU           function, data            (Modbus Messaging on TCP/IP V1.0b, 3.1.3)

    RTU    0  1  unit
           1     PDU
              2  CRC-16        low byte first            (Modbus over Serial Line V1.02, 2.5.1)

A serial frame has no length; on a line silence ends it. On TCP there is no silence to rely on, so the length is told by
the function, and where the check fails all that was received is thrown away, as a device on a line would.

Pure: bytes in, requests out. Each connection has a splitter of its own.
"""

from __future__ import annotations

import struct
from typing import NamedTuple, Protocol

LONGEST = 254
"""Largest length field: a PDU is at most 253 bytes (Application Protocol V1.1b3, 4.1)."""

RTU_LONGEST = 256
"""Largest serial frame: unit, PDU and check."""

_HEADER = struct.Struct(">HHHB")


class ModbusRequest(NamedTuple):
    """One request as it was framed."""

    transaction: int
    """0 where the framing has none."""
    unit: int
    pdu: bytes


class Broken(Exception):
    """What was received cannot be a frame: the connection ends. Requests that came before it are in `requests`."""

    def __init__(self, requests: list[ModbusRequest]) -> None:
        super().__init__()
        self.requests = requests


class Framing(Protocol):
    """One connection's bytes to requests, and replies to bytes."""

    def split(self, data: bytes) -> list[ModbusRequest]:
        """The requests that are complete with these bytes.

        Raises:
            Broken: the rest can never become one.
        """

    def frame(self, transaction: int, unit: int, pdu: bytes) -> bytes:
        """A reply's bytes."""


class Mbap:
    """Framing of Modbus TCP, and within TLS."""

    def __init__(self) -> None:
        self._rest = b""

    def split(self, data: bytes) -> list[ModbusRequest]:
        """Whole frames; what is left waits for more."""
        data = self._rest + data if self._rest else data
        at = 0
        requests: list[ModbusRequest] = []
        while len(data) - at >= 8:
            transaction, protocol, length, unit = _HEADER.unpack_from(data, at)
            if protocol or not 2 <= length <= LONGEST:
                raise Broken(requests)
            end = at + 6 + length
            if end > len(data):
                break
            requests.append(ModbusRequest(transaction, unit, data[at + 7 : end]))
            at = end
        self._rest = data[at:]
        return requests

    def frame(self, transaction: int, unit: int, pdu: bytes) -> bytes:
        """The PDU behind its header."""
        return _HEADER.pack(transaction, 0, len(pdu) + 1, unit) + pdu


class Rtu:
    """Framing of a serial line."""

    def __init__(self) -> None:
        self.bad = 0
        """Frames thrown away because their check failed."""
        self._rest = b""

    def split(self, data: bytes) -> list[ModbusRequest]:
        """Whole frames whose check fits."""
        self._rest += data
        requests: list[ModbusRequest] = []
        while len(self._rest) >= 4:
            size = rtu_length(self._rest)
            if size is None:
                # a function of unknown length: it is whole when its check fits, and nothing when it is too long
                size = len(self._rest) if not crc(self._rest) or len(self._rest) >= RTU_LONGEST else 0
            if not size or size > len(self._rest):
                break
            whole, self._rest = self._rest[:size], self._rest[size:]
            if crc(whole):
                self.bad += 1
                self._rest = b""
                break
            requests.append(ModbusRequest(0, whole[0], whole[1:-2]))
        return requests

    def frame(self, transaction: int, unit: int, pdu: bytes) -> bytes:
        """Unit, PDU and CRC-16 as they stand on a serial line."""
        body = bytes((unit,)) + pdu
        return body + struct.pack("<H", crc(body))


def rtu_length(frame: bytes) -> int | None:
    """Length of the serial request that begins so, check included [bytes]; 0 for not known yet, None for never."""
    function = frame[1]
    if 1 <= function <= 6 or function == 8:
        return 8
    if function in (7, 11, 12, 17):
        return 4
    if function in (15, 16):
        return 9 + frame[6] if len(frame) > 6 else 0
    if function in (20, 21):
        return 5 + frame[2] if len(frame) > 2 else 0
    if function == 22:
        return 10
    if function == 23:
        return 13 + frame[10] if len(frame) > 10 else 0
    if function == 24:
        return 6
    if function == 43:
        return 7 if frame[2] == 14 else None
    return None


def crc(data: bytes) -> int:
    """CRC-16 of a serial frame (Serial Line V1.02, 6.2.2); 0 over a frame with its own check at the end."""
    check = 0xFFFF
    for byte in data:
        check = check >> 8 ^ _TABLE[(check ^ byte) & 0xFF]
    return check


def _entry(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0xA001 if byte & 1 else 0)
    return byte


_TABLE = [_entry(byte) for byte in range(256)]
