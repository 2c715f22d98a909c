"""The words of CIP that a false controller must understand: types, paths, requests and replies.

    request    service | words in path | path .. | data ..
    reply      service+0x80 | 0 | general status | words of extended status | extended status .. | data ..

All numbers are little endian. A path is a list of segments: which class, which instance, which attribute, or a symbol
by name followed by element numbers. No I/O here and no state.

Sources: ODVA, The CIP Networks Library, volume 1 (2-4 message router formats, appendix B status codes, appendix C data
types and segments); Rockwell Automation 1756-PM020, Logix 5000 Controllers Data Access (services 0x4C 0x52 0x55).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple


class Service(IntEnum):
    """Service codes that are answered; some mean different things on different classes."""

    GET_ATTRIBUTES_ALL = 0x01
    GET_ATTRIBUTE_LIST = 0x03
    MULTIPLE = 0x0A
    GET_ATTRIBUTE_SINGLE = 0x0E
    READ_TAG = 0x4C
    """On class 0x6C: read the template."""
    FORWARD_CLOSE = 0x4E
    """On a tag: Read Modify Write."""
    UNCONNECTED_SEND = 0x52
    """On a tag: Read Tag Fragmented."""
    READ_FRAGMENTED = 0x52
    FORWARD_OPEN = 0x54
    GET_INSTANCE_ATTRIBUTE_LIST = 0x55
    LARGE_FORWARD_OPEN = 0x5B


CHANGING = frozenset({0x02, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0D, 0x10, 0x15, 0x16, 0x19, 0x1A, 0x1B, 0x4D, 0x53})
"""Services that change something on whatever class (volume 1, appendix A; 0x4D and 0x53 write a tag)."""

READ_MODIFY_WRITE = 0x4E
"""Changes a tag; on class 6 the same code is Forward Close."""


class ClassCode(IntEnum):
    """Classes that a controller has."""

    IDENTITY = 0x01
    MESSAGE_ROUTER = 0x02
    CONNECTION_MANAGER = 0x06
    PROGRAM_NAME = 0x64
    SYMBOL = 0x6B
    TEMPLATE = 0x6C
    WALL_CLOCK = 0x8B
    CHANGES = 0xAC
    """Tells whether the tag list is still the same (1756-PM020, "Detecting changes")."""
    TCP_IP = 0xF5
    ETHERNET = 0xF6


class GeneralStatus(IntEnum):
    """General status (volume 1, appendix B-1)."""

    SUCCESS = 0x00
    CONNECTION_FAILURE = 0x01
    RESOURCE_UNAVAILABLE = 0x02
    PATH_SEGMENT_ERROR = 0x04
    PATH_DESTINATION_UNKNOWN = 0x05
    PARTIAL_TRANSFER = 0x06
    SERVICE_NOT_SUPPORTED = 0x08
    ATTRIBUTE_LIST_ERROR = 0x0A
    PRIVILEGE_VIOLATION = 0x0F
    REPLY_TOO_LARGE = 0x11
    NOT_ENOUGH_DATA = 0x13
    ATTRIBUTE_NOT_SUPPORTED = 0x14
    EMBEDDED_SERVICE_ERROR = 0x1E
    GENERAL_ERROR = 0xFF


class Extended(IntEnum):
    """Extended status words that go with a general one."""

    CONNECTION_IN_USE = 0x0100
    TRANSPORT_NOT_SUPPORTED = 0x0103
    CONNECTION_NOT_FOUND = 0x0107
    INVALID_CONNECTION_SIZE = 0x0109
    OUT_OF_CONNECTIONS = 0x0113
    PORT_NOT_AVAILABLE = 0x0311
    LINK_ADDRESS_NOT_AVAILABLE = 0x0312
    INVALID_SEGMENT = 0x0315
    END_OF_OBJECT = 0x2105
    """Beyond the end of the array (1756-PM020, error codes of Read Tag)."""


class CipError(Exception):
    """A request is refused with this status; it becomes the reply and never leaves the controller."""

    def __init__(self, status: int, *extended: int, rest: bytes = b"") -> None:
        super().__init__(status.name if isinstance(status, GeneralStatus) else f"status 0x{status:02X}")
        self.status = status
        self.extended = extended
        self.rest = rest
        """Bytes after the status that some refusals carry."""


@dataclass(frozen=True, slots=True)
class Atomic:
    """An elementary data type."""

    name: str
    code: int
    """Low byte of the symbol type word."""
    size: int
    """On the wire and in memory [bytes]."""
    letter: str
    """Its `struct` letter."""

    @property
    def alignment(self) -> int:
        """In a structure it starts at a multiple of this [bytes]."""
        return self.size

    @property
    def word(self) -> int:
        """Symbol type word of a scalar."""
        return self.code

    @property
    def prefix(self) -> bytes:
        """What stands before the data in a read reply."""
        return struct.pack("<H", self.code)


ATOMICS: dict[str, Atomic] = {
    one.name: one
    for one in (
        Atomic("BOOL", 0xC1, 1, "B"),
        Atomic("SINT", 0xC2, 1, "b"),
        Atomic("INT", 0xC3, 2, "h"),
        Atomic("DINT", 0xC4, 4, "i"),
        Atomic("LINT", 0xC5, 8, "q"),
        Atomic("USINT", 0xC6, 1, "B"),
        Atomic("UINT", 0xC7, 2, "H"),
        Atomic("UDINT", 0xC8, 4, "I"),
        Atomic("ULINT", 0xC9, 8, "Q"),
        Atomic("REAL", 0xCA, 4, "f"),
        Atomic("LREAL", 0xCB, 8, "d"),
        Atomic("DWORD", 0xD3, 4, "I"),
    )
}
"""By name (volume 1, appendix C-6.1). DWORD holds 32 elements of a BOOL array."""

BOOL_TRUE = 0xFF
"""A true BOOL reads as one byte of this."""


class SegmentType(IntEnum):
    """What a segment names. The first four are the logical types of appendix C-1.4.2, shifted."""

    CLASS = 0x00
    INSTANCE = 0x04
    ELEMENT = 0x08
    POINT = 0x0C
    """A connection point; only in paths of connections that are refused anyway."""
    ATTRIBUTE = 0x10
    SYMBOL = 0x91
    PORT = 0xFF


class PathSegment(NamedTuple):
    """One step of a path."""

    part: SegmentType
    number: int
    """Class, instance, element or attribute number; of a PORT the port."""
    name: str = ""
    """Of a SYMBOL; of a PORT the link address, as text."""


_WIDTH = {0: ("<B", 1, 2), 1: ("<H", 2, 4), 2: ("<I", 2, 6)}
"""Logical format -> (struct, where the number starts, length of the segment)."""

_KEY_LENGTHS = {4: 10, 5: 12}
"""Electronic key format -> length of its segment."""


def parse_path(path: bytes) -> list[PathSegment]:
    """The segments of a padded path.

    Raises:
        CipError: (PATH_SEGMENT_ERROR) a kind of segment that is not known, or one that is cut short.
    """
    out: list[PathSegment] = []
    at = 0
    try:
        while at < len(path):
            head = path[at]
            if head == SegmentType.SYMBOL:
                length = path[at + 1]
                out.append(PathSegment(SegmentType.SYMBOL, 0, path[at + 2 : at + 2 + length].decode("ascii")))
                at += 2 + length + length % 2
            elif head & 0xE0 == 0x20 and head & 0x03 in _WIDTH and head & 0x1C <= SegmentType.ATTRIBUTE:
                form, skip, length = _WIDTH[head & 0x03]
                out.append(PathSegment(SegmentType(head & 0x1C), struct.unpack_from(form, path, at + skip)[0]))
                at += length
            elif head & 0xE0 == 0x00:
                segment, at = _port(path, at)
                out.append(segment)
            elif head == 0x34:  # an electronic key: whoever asks may have expected another module
                at += _KEY_LENGTHS[path[at + 1]]
            else:
                raise CipError(GeneralStatus.PATH_SEGMENT_ERROR)
    except (IndexError, KeyError, struct.error, UnicodeDecodeError):
        raise CipError(GeneralStatus.PATH_SEGMENT_ERROR) from None
    if at != len(path):
        raise CipError(GeneralStatus.PATH_SEGMENT_ERROR)
    return out


def _port(path: bytes, at: int) -> tuple[PathSegment, int]:
    """A port segment (appendix C-1.4.1) and the place after it."""
    head = path[at]
    port, start = head & 0x0F, at + 1
    wide = bool(head & 0x10)
    length = path[start] if wide else 1
    start += wide
    if port == 15:
        port = struct.unpack_from("<H", path, start)[0]
        start += 2
    link = path[start : start + length]
    if len(link) < length:
        raise IndexError
    end = start + length
    text = link.decode("ascii") if wide else str(link[0])
    return PathSegment(SegmentType.PORT, port, text), end + (end - at) % 2


@dataclass(frozen=True, slots=True)
class CipRequest:
    """One request, its path still in bytes: most are looked up by them."""

    service: int
    path: bytes
    data: bytes
    room: int
    """Most bytes its reply may have."""
    inside: bool = False
    """It came in a Multiple Service Packet."""


def parse_request(raw: bytes, room: int, *, inside: bool = False) -> CipRequest:
    """Cut a request at its path.

    Raises:
        CipError: (NOT_ENOUGH_DATA) shorter than its path says.
    """
    if len(raw) < 2 or len(raw) < 2 + raw[1] * 2:
        raise CipError(GeneralStatus.NOT_ENOUGH_DATA)
    end = 2 + raw[1] * 2
    return CipRequest(raw[0], raw[2:end], raw[end:], room, inside)


def reply(service: int, status: int = 0, data: bytes = b"", extended: Sequence[int] = ()) -> bytes:
    """A reply's bytes."""
    head = bytes((service & 0x7F | 0x80, 0, status, len(extended)))
    return head + struct.pack(f"<{len(extended)}H", *extended) + data if extended else head + data


def attribute_list(data: bytes, values: dict[int, bytes]) -> tuple[GeneralStatus, bytes]:
    """Answer Get Attribute List (volume 1, A-4.3).

    Args:
        data: Count u16, then attribute numbers u16.
        values: What there is, by attribute number.

    Returns:
        Status and count u16, then number u16, status u16 and value for each.
    """
    (count,) = struct.unpack_from("<H", data)
    out, status = [struct.pack("<H", count)], GeneralStatus.SUCCESS
    for number in struct.unpack_from(f"<{count}H", data, 2):
        value = values.get(number)
        if value is None:
            status = GeneralStatus.ATTRIBUTE_LIST_ERROR
            out.append(struct.pack("<HH", number, GeneralStatus.ATTRIBUTE_NOT_SUPPORTED))
        else:
            out.append(struct.pack("<HH", number, 0) + value)
    return status, b"".join(out)
