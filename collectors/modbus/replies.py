"""Frames in what a device sends, and whether one answers a question.

    TCP, TLS   transaction, 0, length, unit, PDU     MBAP (Modbus TCP guide V1.0b, 3.1.3), one behind another
    UDP        the same, each datagram by itself
    RTU        unit, PDU, checksum                   no length and no number (Modbus over serial line V1.02, 2.5.1)

In RTU the checksum finds the frame, so a stray byte before or behind it costs nothing. What is neither a frame nor the
beginning of one is dropped. Pure: bytes in, frames out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

LONGEST = 260
"""Longest frame [bytes] (Modbus Application Protocol V1.1b3, 4.1)."""

_IDENTIFICATION = 43


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame that came."""

    number: int | None
    """Transaction; None in RTU, which has none. 0 is what devices send that do not repeat it."""
    unit: int
    pdu: bytes
    """Function code and what follows it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One request, and what an answer to it looks like; equal to another that asks the same."""

    unit: int
    pdu: bytes
    """Function code and what follows it."""
    size: int | None
    """Data bytes of a right reply; None where its length is not known (an identification)."""
    reply_unit: int
    """Unit that replies carry."""

    @property
    def shape(self) -> tuple[int, int, int | None]:
        """Questions of one shape have answers that nothing but a number could tell apart."""
        return self.reply_unit, self.pdu[0], self.size

    def fits(self, pdu: bytes) -> bool:
        """Whether it can be the answer: an exception to this function, or data of the right length."""
        if not pdu or pdu[0] & 0x7F != self.pdu[0]:
            return False
        if pdu[0] & 0x80:
            return len(pdu) >= 2
        return self.size is None or (len(pdu) == 2 + self.size and pdu[1] == self.size)


def mbap(buffer: bytes) -> tuple[list[Frame], bytes]:
    """The whole frames, and the beginning of the next; nothing is kept behind bytes that are no frame."""
    out: list[Frame] = []
    while len(buffer) >= 6:
        length = int.from_bytes(buffer[4:6], "big")
        if buffer[2:4] != b"\0\0" or not 2 <= length <= LONGEST - 6:
            return out, b""
        if len(buffer) < 6 + length:
            break
        out.append(Frame(int.from_bytes(buffer[:2], "big"), buffer[6], buffer[7 : 6 + length]))
        buffer = buffer[6 + length :]
    return out, buffer


def rtu(buffer: bytes, asked: Question | None = None) -> tuple[list[Frame], bytes]:
    """The frames whose checksum is right, and what stands behind the last of them.

    Args:
        asked: The frame that begins as its answer does is waited for, whatever its data look like.
    """
    out: list[Frame] = []
    at = done = 0
    head = b"" if asked is None or asked.size is None else bytes([asked.reply_unit, asked.pdu[0], asked.size])
    while at + 5 <= len(buffer):
        length = _rtu_length(buffer, at)
        if head and length and at + length > len(buffer) and buffer.startswith(head, at):
            break
        if length and at + length <= len(buffer) and checksum(buffer[at : at + length]) == 0:
            out.append(Frame(None, buffer[at], buffer[at + 1 : at + length - 2]))
            at = done = at + length
        else:
            at += 1
    return out, buffer[done:][-LONGEST:]


def _rtu_length(buffer: bytes, at: int) -> int:
    """Length that a reply beginning here would have [bytes]; 0 where none begins, or not enough of it is there."""
    function = buffer[at + 1]
    if function & 0x80:
        return 5
    if function in (1, 2, 3, 4):
        return 5 + buffer[at + 2]
    if function != _IDENTIFICATION or len(buffer) < at + 8:
        return 0
    end = at + 8
    for _ in range(buffer[at + 7]):
        if len(buffer) < end + 2:
            return 0
        end += 2 + buffer[end + 1]
    return end + 2


def checksum(data: bytes) -> int:
    """CRC of the serial line (V1.02, 6.2.2), low byte first on the wire; 0 over a frame with its right checksum."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc


def _table() -> Iterator[int]:
    for crc in range(256):
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
        yield crc


_TABLE = tuple(_table())
