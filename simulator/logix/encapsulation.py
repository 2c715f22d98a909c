"""EtherNet/IP encapsulation: what one TCP session, or one UDP datagram, is answered.

     0   2   command   NOP, ListServices, ListIdentity, ListInterfaces, RegisterSession, SendRRData, SendUnitData ..
     2   2   length    of what follows the header [bytes]
     4   4   session   drawn by RegisterSession; SendRRData and SendUnitData without it get status 0x64
     8   4   status    0 in requests
    12   8   context   given back as it came
    20   4   options   0

SendRRData and SendUnitData carry a common packet: interface u32, timeout u16, then items (type u16, length u16, data).
A connected request comes as connection id and sequence number, and its reply bears the same number.

Bytes in, bytes out; no socket and no clock here.

Source: ODVA, The CIP Networks Library, volume 2 (2-3 encapsulation header, 2-4 commands, 2-6 common packet format).
"""

from __future__ import annotations

import socket
import struct
from collections import Counter
from enum import IntEnum

from simulator.logix.connections import Chassis, Connections
from simulator.logix.objects import UNCONNECTED_ROOM, Objects

HEADER = struct.Struct("<HHII8sI")
"""command, length, session, status, context, options."""

BODY_BYTES = 8192
"""Longest body taken [bytes]: a full large connection with its items is half of it."""

PROTOCOL_VERSION = 1

LIST_ITEM_IDENTITY = 0x0C
LIST_ITEM_SERVICES = 0x0100
CAPABILITY = 0x0120
"""ListServices: CIP over TCP, and class 0/1 over UDP."""


class EncapsulationCommand(IntEnum):
    """Encapsulation commands."""

    NOP = 0x00
    LIST_SERVICES = 0x04
    LIST_IDENTITY = 0x63
    LIST_INTERFACES = 0x64
    REGISTER = 0x65
    UNREGISTER = 0x66
    SEND_RR_DATA = 0x6F
    SEND_UNIT_DATA = 0x70


class EncapsulationStatus(IntEnum):
    """Encapsulation status of a refused request (volume 2, 2-3.5)."""

    INVALID_COMMAND = 0x01
    INCORRECT_DATA = 0x03
    INVALID_SESSION = 0x64
    INVALID_LENGTH = 0x65
    UNSUPPORTED_VERSION = 0x69


class ItemType(IntEnum):
    """Types of common packet items."""

    NULL = 0x0000
    CONNECTED_ADDRESS = 0x00A1
    CONNECTED_DATA = 0x00B1
    UNCONNECTED_DATA = 0x00B2


class Refused(Exception):
    """A request that gets a header with this status and no body."""

    def __init__(self, trouble: EncapsulationStatus) -> None:
        super().__init__(trouble.name)
        self.trouble = trouble


def frame(command: int, session: int, context: bytes, body: bytes = b"", status: int = 0) -> bytes:
    """A header and its body."""
    return HEADER.pack(command, len(body), session, status, context, 0) + body


class Lists:
    """The three commands that need no session, by TCP and by UDP.

    Args:
        objects: Whose identity is told.
        host: The address told, as the one who asks reached it.
        port: Same.
    """

    def __init__(self, objects: Objects, host: str, port: int) -> None:
        self.objects = objects
        try:
            self.address = socket.inet_aton(host)
        except OSError:
            self.address = bytes(4)
        self.port = port

    def answer(self, command: int) -> bytes | None:
        """Body of the reply; None where the command is none of the three."""
        if command == EncapsulationCommand.LIST_IDENTITY:
            identity = b"".join(self.objects.identity.attributes().values())
            where = struct.pack(">HH4s8x", socket.AF_INET, self.port, self.address)
            item = struct.pack("<H", PROTOCOL_VERSION) + where + identity + b"\x03"
            return struct.pack("<HHH", 1, LIST_ITEM_IDENTITY, len(item)) + item
        if command == EncapsulationCommand.LIST_SERVICES:
            item = struct.pack("<HH16s", PROTOCOL_VERSION, CAPABILITY, b"Communications")
            return struct.pack("<HHH", 1, LIST_ITEM_SERVICES, len(item)) + item
        if command == EncapsulationCommand.LIST_INTERFACES:
            return struct.pack("<H", 0)
        return None

    def datagram(self, data: bytes) -> bytes | None:
        """Reply to a UDP request; None for what needs none or is none."""
        if len(data) < HEADER.size:
            return None
        command, length, session, status, context, options = HEADER.unpack_from(data)
        if status or options or length != len(data) - HEADER.size:
            return None
        body = self.answer(command)
        return None if body is None else frame(command, session, context, body)


class EncapsulationSession:
    """One TCP connection.

    Args:
        objects: What requests are put to.
        lists: Answers to the list commands.
        chassis: For its connections.
        number: Its session handle, once registered.
        counts: Counted here: `sessions`, `malformed`.
    """

    def __init__(self, objects: Objects, lists: Lists, chassis: Chassis, number: int, counts: Counter[str]) -> None:
        self.objects = objects
        self.lists = lists
        self.connections = Connections(chassis)
        self.number = number
        self.counts = counts
        self.registered = False
        self.ended = False
        """The client unregistered, or broke the framing: close the socket."""

    def length(self, header: bytes) -> int:
        """Bytes that follow this header; over `BODY_BYTES` the session cannot go on."""
        length: int = struct.unpack_from("<H", header, 2)[0]
        return length

    def answer(self, header: bytes, body: bytes) -> bytes | None:
        """The reply to one request, None where there is none."""
        command, length, session, _, context, options = HEADER.unpack(header)
        try:
            if length > BODY_BYTES:
                self.ended = True
                raise Refused(EncapsulationStatus.INVALID_LENGTH)
            if options:
                return None  # volume 2, 2-3.7: a request with unknown options is dropped
            return self._answer(command, session, context, body)
        except Refused as refused:
            self.counts["malformed"] += 1
            return frame(command, session, context, status=refused.trouble)

    def _answer(self, command: int, session: int, context: bytes, body: bytes) -> bytes | None:
        if command == EncapsulationCommand.NOP:
            return None
        if command == EncapsulationCommand.REGISTER:
            return self._register(context, body)
        if command == EncapsulationCommand.UNREGISTER:
            self.ended = True
            return None
        listed = self.lists.answer(command)
        if listed is not None:
            return frame(command, session, context, listed)
        if command not in (EncapsulationCommand.SEND_RR_DATA, EncapsulationCommand.SEND_UNIT_DATA):
            raise Refused(EncapsulationStatus.INVALID_COMMAND)
        if not self.registered or session != self.number:
            raise Refused(EncapsulationStatus.INVALID_SESSION)
        items = _items(body)
        packet = self._unconnected(items) if command == EncapsulationCommand.SEND_RR_DATA else self._connected(items)
        return frame(command, session, context, packet)

    def _register(self, context: bytes, body: bytes) -> bytes:
        if len(body) != 4:
            raise Refused(EncapsulationStatus.INVALID_LENGTH)
        version, options = struct.unpack("<HH", body)
        if version != PROTOCOL_VERSION or options:
            supported = struct.pack("<HH", PROTOCOL_VERSION, 0)
            return frame(EncapsulationCommand.REGISTER, 0, context, supported, EncapsulationStatus.UNSUPPORTED_VERSION)
        if not self.registered:
            self.counts["sessions"] += 1
        self.registered = True
        return frame(EncapsulationCommand.REGISTER, self.number, context, body)

    def _unconnected(self, items: dict[int, bytes]) -> bytes:
        if ItemType.UNCONNECTED_DATA not in items:
            raise Refused(EncapsulationStatus.INCORRECT_DATA)
        reply = self.objects.request(items[ItemType.UNCONNECTED_DATA], UNCONNECTED_ROOM, self.connections)
        return struct.pack("<IHHHHHH", 0, 0, 2, ItemType.NULL, 0, ItemType.UNCONNECTED_DATA, len(reply)) + reply

    def _connected(self, items: dict[int, bytes]) -> bytes:
        address, data = items.get(ItemType.CONNECTED_ADDRESS, b""), items.get(ItemType.CONNECTED_DATA, b"")
        if len(address) != 4 or len(data) < 2:
            raise Refused(EncapsulationStatus.INCORRECT_DATA)
        connection = self.connections.get(struct.unpack("<I", address)[0])
        if connection is None:
            raise Refused(EncapsulationStatus.INCORRECT_DATA)
        reply = data[:2] + self.objects.request(data[2:], connection.room, self.connections)
        head = struct.pack("<IHHHHIHH", 0, 0, 2, ItemType.CONNECTED_ADDRESS, 4, connection.to, 0xB1, len(reply))
        return head + reply


def _items(body: bytes) -> dict[int, bytes]:
    """The items of a common packet by type; the last of a type counts.

    Raises:
        Refused: (INCORRECT_DATA) lengths that contradict each other, or another interface than CIP's.
    """
    if len(body) < 8 or body[:4] != bytes(4):
        raise Refused(EncapsulationStatus.INCORRECT_DATA)
    (count,) = struct.unpack_from("<H", body, 6)
    at, items = 8, {}
    for _ in range(count):
        if at + 4 > len(body):
            raise Refused(EncapsulationStatus.INCORRECT_DATA)
        kind, length = struct.unpack_from("<HH", body, at)
        items[kind] = body[at + 4 : at + 4 + length]
        at += 4 + length
    if at > len(body):
        raise Refused(EncapsulationStatus.INCORRECT_DATA)
    return items
