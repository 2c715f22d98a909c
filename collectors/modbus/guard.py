"""Which Modbus frames may leave: reads of the four tables, and the device identification; each of exact length.

    function  1 2 3 4   start, quantity             5 bytes of request
    function  43        14, read code, object id    4 bytes of request

Every other function is refused (Modbus Application Protocol V1.1b3, 6), above all writes 5, 6, 15, 16, 21, 22, the
read-and-write 23, diagnostics 8 (it can restart a device) and vendors' own. The hook is pymodbus's `trace_packet`,
which gets the bytes just before the socket does; the length is checked so that nothing can ride behind a read. A read
that touches an address of the device's `never_read` is refused here too, whatever the plan has become.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from collectors.guard import Guard
from collectors.modbus.address import Range

_LENGTH = {1: 5, 2: 5, 3: 5, 4: 5, 43: 4}
"""Bytes of each allowed request, function code included."""

_IDENTIFICATION = 14
"""The MEI type of function 43 that reads the device identification; 13 is CANopen and can write (V1.1b3, 6.20)."""


def hook(guard: Guard, *, rtu: bool, never_read: Sequence[Range] = ()) -> Callable[[bool, bytes], bytes]:
    """A `trace_packet` for a client; raises `WriteRefused` before a byte is sent."""

    def check(sending: bool, data: bytes) -> bytes:
        if sending:
            request = _request_of(data, rtu=rtu)
            if not allowed(request):
                guard.refuse(f"modbus {_in_words(request)}")
            for fence in never_read:
                if _touches(request, fence):
                    guard.refuse(f"modbus {_in_words(request)} in never_read {fence}")
        return data

    return check


def allowed(request: bytes) -> bool:
    """True for a request (function code first, without header and checksum) that can only read."""
    if not request or len(request) != _LENGTH.get(request[0]):
        return False
    return request[0] != 43 or request[1] == _IDENTIFICATION


def _touches(request: bytes, fence: Range) -> bool:
    start, count = int.from_bytes(request[1:3], "big"), int.from_bytes(request[3:5], "big")
    return request[0] == fence.table.function and fence.meets(fence.table, start, start + max(1, count))


def _request_of(frame: bytes, *, rtu: bool) -> bytes:
    """What the device would execute; nothing where the header tells another length than the frame has."""
    if rtu:
        return frame[1:-2]
    if len(frame) < 8 or frame[2:4] != b"\0\0" or int.from_bytes(frame[4:6], "big") != len(frame) - 6:
        return b""
    return frame[7:]


def _in_words(request: bytes) -> str:
    if not request:
        return "frame that is malformed"
    if request[0] in _LENGTH:
        return f"function {request[0]} with {request[1:].hex()}"
    return f"function {request[0]}"
