"""A pass prepared once: the bytes of its requests, and how each answer is decoded.

The library builds and takes apart every request anew in each pass, which is most of its time. What it builds does not
change until the tag list does, so it is asked once (`prepare`); a pass then sends the same bytes under a new sequence
number and decodes the replies by a table; structures, strings and BOOL arrays go through the library's decoders.

    Packet   one Multiple Service Packet (or one single request) and the parts of its reply
    long     one value that is larger than the connection, read in fragments; so is a value that the device had no
             room for in its packet

Each reply's type word must be the one of the tag list; if it is another, the tag was changed and its value is not used.

Sources: pycomm3 1.2.16 (logix_driver.py `read`); 1756-PM020 (Read Tag, Read Tag Fragmented, Multiple Service Packet).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from pycomm3 import CommError, PycommError
from pycomm3.cip import DataTypes
from pycomm3.packets import ReadTagFragmentedRequestPacket, SendUnitDataRequestPacket
from pycomm3.packets.util import parse_read_reply

from collectors.enip.driver import Driver

UNFIT = -1
"""In place of a CIP status: the value cannot be decoded."""

TYPE_CHANGED = -2
"""In place of a CIP status: the reply bears another type than the tag list."""

PACKET = b"\x0a\x02\x20\x02\x24\x01"
"""Multiple Service Packet to the message router."""

NOT_SUPPORTED = 0x08
EMBEDDED_ERROR = 0x1E
PARTIAL = 0x06
NO_ROOM = frozenset({PARTIAL, 0x11})
"""General status of a value that is there and did not fit: partial transfer, reply data too large."""

READ_FRAGMENTED = b"\x52"

LONGEST = 16 * 1024 * 1024
"""Most bytes of one value: a controller's whole memory is of that size."""


class NoPackets(PycommError):
    """The device does not know the Multiple Service Packet."""


class Answer(NamedTuple):
    """What came back for one name."""

    value: Any
    status: int = 0
    """0 good, else the CIP general status, or UNFIT, or TYPE_CHANGED."""


@dataclass(frozen=True, slots=True)
class Part:
    """One name's share of a packet."""

    place: int
    """Its place among the names."""
    prefix: bytes
    """How the data of its reply begin: type code, or structure mark and handle."""
    decode: Callable[[bytes], Any]
    """The value out of the reply's data, type word included."""
    cip: bytes
    """Read Tag for it alone."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One request."""

    cip: bytes
    parts: tuple[Part, ...]
    long: bool = False
    """One value that is larger than the connection."""


def prepare(driver: Driver, names: Sequence[str], places: Sequence[int]) -> list[Packet]:
    """Have the library parse and pack the names; a name that it cannot parse is in no packet.

    Args:
        places: Which of the names go together, apart from the others.
    """
    if not places:
        return []
    parsed = driver._parse_requested_tags([names[place] for place in places])
    packets: list[Packet] = []
    longs: list[Packet] = []
    for request in driver._read_build_requests(parsed):
        parts = []
        for one in request.requests if request.type_ == "multi" else [request]:
            one.build_message()
            part = _part(parsed[one.request_id], b"\x4c" + one.tag_only_message()[1:])
            parts.append(replace(part, place=places[part.place]))
        if isinstance(request, ReadTagFragmentedRequestPacket):
            longs += [Packet(part.cip, (part,), long=True) for part in parts]
        else:
            cip = parts[0].cip if len(parts) == 1 else _packed([part.cip for part in parts])
            packets.append(Packet(cip, tuple(parts)))
    return packets + longs


def ask(driver: Driver, packet: Packet) -> list[Answer]:
    """Send one request, or the fragments of a long value, and decode what comes; one answer a part.

    Raises:
        NoPackets: the device does not know packets; ask it singly.
        PycommError, OSError: the connection failed.
    """
    if packet.long:
        return [_long(driver, part) for part in packet.parts]
    response = driver.exchange(SendUnitDataRequestPacket(driver._sequence).add(packet.cip))
    answers = []
    for part, (status, data) in zip(packet.parts, _replies(response, len(packet.parts)), strict=True):
        if status in NO_ROOM:
            answers.append(_long(driver, part))
        else:
            answers.append(Answer(None, status) if status else _decoded(part, data))
    return answers


def _long(driver: Driver, part: Part) -> Answer:
    """Read one value in fragments, each from where the last one ended."""
    head, data = b"", bytearray()
    while len(data) < LONGEST:
        cip = READ_FRAGMENTED + part.cip[1:] + struct.pack("<I", len(data))
        response = driver.exchange(SendUnitDataRequestPacket(driver._sequence).add(cip))
        status, reply = response.service_status, response.data
        if status not in (0, PARTIAL):
            return Answer(None, status)
        size = 4 if reply.startswith(b"\xa0\x02") else 2
        head = reply[:size]
        data += reply[size:]
        if not status:
            return _decoded(part, bytes(head + data))
        if len(reply) <= size or not head.startswith(part.prefix):
            break  # nothing more comes, or it is something else
    return Answer(None, UNFIT)


def _decoded(part: Part, data: bytes) -> Answer:
    if not data.startswith(part.prefix):
        return Answer(None, TYPE_CHANGED)
    try:
        return Answer(part.decode(data))
    except (struct.error, ValueError, LookupError, PycommError):
        return Answer(None, UNFIT)


def _packed(messages: Sequence[bytes]) -> bytes:
    """A Multiple Service Packet: count, offsets from the count, requests."""
    at, offsets = 2 + 2 * len(messages), []
    for one in messages:
        offsets.append(at)
        at += len(one)
    return PACKET + struct.pack(f"<{len(messages) + 1}H", len(messages), *offsets) + b"".join(messages)


def _replies(response: Any, count: int) -> list[tuple[int, bytes]]:
    """Status and data of each part of a reply.

    Raises:
        NoPackets: see `read`.
        CommError: the reply is not one to a packet of that many requests.
    """
    status, data = response.service_status, response.data
    if count == 1:
        return [(status, data)]
    if status == NOT_SUPPORTED:
        raise NoPackets("the device does not know the Multiple Service Packet")
    if status not in (0, PARTIAL, EMBEDDED_ERROR):
        return [(status, b"")] * count
    if len(data) < 2 + 2 * count or struct.unpack_from("<H", data)[0] != count:
        raise CommError("a packet of replies with another number of them than was asked")
    starts = struct.unpack_from(f"<{count}H", data, 2)
    out = []
    for start, end in zip(starts, (*starts[1:], len(data)), strict=True):
        if end - start < 4 or end > len(data):
            raise CommError("a packet of replies whose offsets contradict each other")
        out.append((data[start + 2], data[start + 4 + 2 * data[start + 3] : end]))
    return out


def _part(parsed: dict[str, Any], cip: bytes) -> Part:
    """How one name's answer is told and decoded."""
    info, elements = parsed["tag_info"], parsed["elements"]
    decode = _library(info, elements)
    if info["tag_type"] == "struct":
        prefix = struct.pack("<HH", 0x02A0, info["data_type"]["template"]["structure_handle"])
    else:
        prefix = bytes((DataTypes.get(info["data_type"]).code,))  # the second byte of a BOOL holds its bit
        letter = LETTERS.get(info["data_type"])
        if info["data_type"] == "DWORD":
            decode = _bools(info, parsed)
        elif letter is not None and elements == 1:
            decode = _scalar(letter)
    return Part(parsed["request_id"], prefix, decode, cip)


LETTERS = {
    "BOOL": "?",
    "SINT": "b",
    "INT": "h",
    "DINT": "i",
    "LINT": "q",
    "USINT": "B",
    "UINT": "H",
    "UDINT": "I",
    "ULINT": "Q",
    "REAL": "f",
    "LREAL": "d",
}
"""Type -> `struct` letter of one value."""


def _scalar(letter: str) -> Callable[[bytes], Any]:
    unpack = struct.Struct("<xx" + letter).unpack_from
    return lambda data: unpack(data)[0]


def _library(info: Any, elements: int) -> Callable[[bytes], Any]:
    """The library's own decoder."""
    return lambda data: parse_read_reply(data, info, elements)[0]


def _bools(info: Any, parsed: dict[str, Any]) -> Callable[[bytes], Any]:
    """Elements of a BOOL array out of its 32-bit words, which are read from the first on."""
    whole = _library(info, parsed["elements"])
    first, count = parsed["bit"] or 0, parsed["bool_elements"]
    if count is None:
        return lambda data: whole(data)[first]
    return lambda data: whole(data)[first : first + count]
