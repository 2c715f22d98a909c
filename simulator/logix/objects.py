"""The objects of a false Logix controller: which request goes to which class, and what comes back.

    0x01 identity            0x02 message router (Multiple Service)   0x06 connection manager
    0x64 program name        0x6B symbols: list, read                 0x6C templates: attributes, read
    0x8B wall clock          0xAC change counts                       a symbol's name: read
    0xF5 TCP/IP interface    0xF6 Ethernet link                       the last eight: `attributes`

`Objects.request` takes the bytes of one request and gives the bytes of its reply; whatever is wrong with a request
becomes a status in the reply. A reply never grows past the room that is left in the connection it came by: reads are
cut with status 6 and the client asks for the rest. Firmware before 21 does not read by instance number, before 18 it
does not know who may access a tag.

Writing is refused with status 0x0F on every class, and counted: this plant is looked at, never touched.

Sources: 1756-PM020 (services of tags, symbol and template object, Multiple Service Packet, change detection); ODVA,
The CIP Networks Library, volume 1 (3-5.5 connection manager).
"""

from __future__ import annotations

import struct
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable

from simulator.device_faults import Act, Fault
from simulator.logix import attributes
from simulator.logix.attributes import IdentityObject
from simulator.logix.cip import (
    ATOMICS,
    BOOL_TRUE,
    CHANGING,
    READ_MODIFY_WRITE,
    Atomic,
    CipError,
    CipRequest,
    ClassCode,
    Extended,
    GeneralStatus,
    PathSegment,
    SegmentType,
    Service,
    attribute_list,
    parse_path,
    parse_request,
    reply,
)
from simulator.logix.connections import Connections
from simulator.logix.controller import Controller, LogixTag, TagScope

REPLY_HEAD = 4
"""Bytes before a reply's data."""

UNCONNECTED_ROOM = 504
"""Most bytes of a reply outside a connection (1756-PM020: unconnected messages carry about 500 bytes)."""

BASE_TAG = 1 << 26
"""Bit of attribute 6 that says the symbol is no alias."""


READ_ONLY = b"\x02"
"""Attribute 10, external access: nothing here can be written."""

BY_INSTANCE = 21
"""First firmware that reads tags by instance number."""

KNOWS_ACCESS = 18
"""First firmware with attribute 10."""


class Objects:
    """One controller's message router.

    Args:
        controller: Its tags.
        identity: Its name plate.
        name: Name of the program it runs.
        counts: Counted here: `requests`, `tags_read`, `writes_refused`, `refused`.
        clock: The controller's wall clock [ns since 1970 UTC].
    """

    def __init__(
        self,
        controller: Controller,
        identity: IdentityObject,
        name: str,
        counts: Counter[str],
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.controller = controller
        self.identity = identity
        self.name = name
        self.counts = counts
        self.clock = clock
        self.address = "127.0.0.1"
        """Where it is reached, as its TCP/IP object tells."""
        self.spoils: Callable[[str], Fault | None] = lambda _: None
        """The fault that the reading of a tag meets, by its name."""
        self.met: Fault | None = None
        """A fault that a tag of the last request met and that the whole reply must show."""
        self.asked: Callable[[str], None] = lambda _: None
        """Is told each request in a few words."""

    def request(self, raw: bytes, room: int, connections: Connections, *, inside: bool = False) -> bytes:
        """Answer one request.

        Args:
            raw: Service, path and data.
            room: Most bytes the reply may have.
            connections: Those of the session it came by.
            inside: It stood in a Multiple Service Packet.
        """
        service = raw[0] if raw else 0
        self.counts["requests"] += 1
        try:
            status, data = self._dispatch(parse_request(raw, room, inside=inside), connections)
            if status is None:
                return data  # the reply of what was wrapped in an Unconnected Send, as it is
            if len(data) + REPLY_HEAD > room:
                raise CipError(GeneralStatus.REPLY_TOO_LARGE)
            return reply(service, status, data)
        except CipError as error:
            self.counts["refused"] += 1
            return reply(service, error.status, error.rest, error.extended)
        except (struct.error, IndexError):
            self.counts["refused"] += 1
            return reply(service, GeneralStatus.NOT_ENOUGH_DATA)

    def _dispatch(self, asked: CipRequest, connections: Connections) -> tuple[GeneralStatus | None, bytes]:
        """Find who answers. Reads of tags, by far the most, are looked up before the path is parsed."""
        service, path = asked.service, asked.path
        if service == Service.READ_TAG and (path[:1] == b"\x91" or path[:2] == b"\x20\x6b"):
            return self._read_tag(asked)
        segments = parse_path(path)
        which = _class_of(segments)
        if service in CHANGING or (service == READ_MODIFY_WRITE and which != ClassCode.CONNECTION_MANAGER):
            self.counts["writes_refused"] += 1
            self.asked(f"service 0x{service:02X} (refused)")
            raise CipError(GeneralStatus.PRIVILEGE_VIOLATION)
        if which is None or which == ClassCode.SYMBOL:
            return self._symbol(asked, segments)
        if which == ClassCode.CONNECTION_MANAGER:
            return self._connection_manager(asked, connections)
        if which == ClassCode.MESSAGE_ROUTER and service == Service.MULTIPLE:
            return self._multiple(asked, connections)
        number = next((one.number for one in segments if one.part is SegmentType.INSTANCE), 0)
        if which == ClassCode.TEMPLATE:
            return self._template(asked, number)
        return self._attributes(asked, which, number, segments)

    # -- reading tags

    def _read_tag(self, asked: CipRequest) -> tuple[GeneralStatus, bytes]:
        """Read Tag and Read Tag Fragmented: type, then as many whole elements as there is room for."""
        fragmented = asked.service == Service.READ_FRAGMENTED
        if asked.path[:1] != b"\x91" and self.identity.major < BY_INSTANCE:
            raise CipError(GeneralStatus.PATH_DESTINATION_UNKNOWN)
        place = self.controller.locate(asked.path)
        self.asked(f"read {place.tag.title}")
        fault = self.spoils(place.tag.title)
        if fault is not None:
            if fault.act in (Act.REFUSE, Act.BUSY):
                raise CipError(GeneralStatus.RESOURCE_UNAVAILABLE if fault.act is Act.BUSY else fault.code & 0xFF)
            self.met = fault
        (count,) = struct.unpack_from("<H", asked.data)
        start = struct.unpack_from("<I", asked.data, 2)[0] if fragmented else 0
        kind, size = place.type, place.type.size * count
        if not 0 < count <= place.left or start >= size:
            raise CipError(GeneralStatus.GENERAL_ERROR, Extended.END_OF_OBJECT)
        self.counts["tags_read"] += 1
        if place.bit >= 0:
            value = place.tag.data[place.offset] >> place.bit & 1
            return GeneralStatus.SUCCESS, kind.prefix + bytes((BOOL_TRUE * value,))
        fit = asked.room - REPLY_HEAD - len(kind.prefix)
        if size - start <= fit:
            return GeneralStatus.SUCCESS, kind.prefix + place.tag.data[place.offset + start : place.offset + size]
        unit = max(4, kind.size) if isinstance(kind, Atomic) else 4
        part = max(0, fit) // unit * unit
        if not part:
            raise CipError(GeneralStatus.REPLY_TOO_LARGE)
        first = place.offset + start
        return GeneralStatus.PARTIAL_TRANSFER, kind.prefix + place.tag.data[first : first + part]

    # -- symbols and templates

    def _symbol(self, asked: CipRequest, segments: list[PathSegment]) -> tuple[GeneralStatus, bytes]:
        """Services of the symbol object, which a tag's name stands for as well."""
        service = asked.service
        if service in (Service.READ_TAG, Service.READ_FRAGMENTED):
            return self._read_tag(asked)
        self.asked("list tags")
        if service == Service.GET_INSTANCE_ATTRIBUTE_LIST:
            title = segments[0].name if segments[0].part is SegmentType.SYMBOL else ""
            start = next((one.number for one in segments if one.part is SegmentType.INSTANCE), 0)
            return self._symbol_list(asked, self.controller.scope(title), start)
        if service == Service.GET_ATTRIBUTE_LIST:
            return attribute_list(asked.data, self._symbol_attributes(self.controller.locate(asked.path).tag))
        raise CipError(GeneralStatus.SERVICE_NOT_SUPPORTED)

    def _symbol_list(self, asked: CipRequest, scope: TagScope, start: int) -> tuple[GeneralStatus, bytes]:
        """Get Instance Attribute List: whole rows from instance `start` on, as many as fit."""
        (count,) = struct.unpack_from("<H", asked.data)
        wanted = struct.unpack_from(f"<{count}H", asked.data, 2)
        room = asked.room - REPLY_HEAD
        rows: list[bytes] = []
        used = 0
        for number in scope.instances[bisect_left(scope.instances, start) :]:
            values = self._symbol_attributes(scope.by_instance[number])
            if any(one not in values for one in wanted):
                raise CipError(GeneralStatus.ATTRIBUTE_LIST_ERROR)
            row = struct.pack("<I", number) + b"".join(values[one] for one in wanted)
            if used + len(row) > room:
                if not rows:
                    raise CipError(GeneralStatus.REPLY_TOO_LARGE)
                return GeneralStatus.PARTIAL_TRANSFER, b"".join(rows)
            rows.append(row)
            used += len(row)
        return GeneralStatus.SUCCESS, b"".join(rows)

    def _template(self, asked: CipRequest, number: int) -> tuple[GeneralStatus, bytes]:
        self.asked("describe types")
        template = self.controller.templates.get(number)
        if template is None:
            raise CipError(GeneralStatus.PATH_DESTINATION_UNKNOWN)
        if asked.service == Service.GET_ATTRIBUTE_LIST:
            values = {
                1: struct.pack("<H", template.handle),
                2: struct.pack("<H", len(template.fields)),
                3: struct.pack("<H", 0),
                4: struct.pack("<I", template.definition_words),
                5: struct.pack("<I", template.size),
            }
            return attribute_list(asked.data, values)
        if asked.service == Service.READ_TAG:
            offset, wanted = struct.unpack_from("<IH", asked.data)
            whole = template.definition[offset : offset + wanted]
            part = whole[: (asked.room - REPLY_HEAD) // 4 * 4]
            return (GeneralStatus.PARTIAL_TRANSFER if len(part) < len(whole) else GeneralStatus.SUCCESS), part
        raise CipError(GeneralStatus.SERVICE_NOT_SUPPORTED)

    # -- objects that are only attributes

    def _attributes(
        self, asked: CipRequest, which: int, number: int, segments: list[PathSegment]
    ) -> tuple[GeneralStatus, bytes]:
        values = self._values(which)
        if values is None or number > 1:
            raise CipError(GeneralStatus.PATH_DESTINATION_UNKNOWN)
        self.asked(f"attributes of class 0x{which:02X}")
        if number == 0:
            values = attributes.class_attributes(which)
        if asked.service == Service.GET_ATTRIBUTES_ALL and which in (ClassCode.IDENTITY, ClassCode.PROGRAM_NAME):
            return GeneralStatus.SUCCESS, b"".join(values.values())
        if asked.service == Service.GET_ATTRIBUTE_LIST:
            return attribute_list(asked.data, values)
        if asked.service == Service.GET_ATTRIBUTE_SINGLE:
            one = next((one.number for one in segments if one.part is SegmentType.ATTRIBUTE), 0)
            if one not in values:
                raise CipError(GeneralStatus.ATTRIBUTE_NOT_SUPPORTED)
            return GeneralStatus.SUCCESS, values[one]
        raise CipError(GeneralStatus.SERVICE_NOT_SUPPORTED)

    def _values(self, which: int) -> dict[int, bytes] | None:
        """Attributes of instance 1 of a class; None where there is no such class."""
        match which:
            case ClassCode.IDENTITY:
                return self.identity.attributes()
            case ClassCode.MESSAGE_ROUTER:
                return attributes.router()
            case ClassCode.PROGRAM_NAME:
                return attributes.program_name(self.name)
            case ClassCode.WALL_CLOCK:
                return attributes.wall_clock(self.clock())
            case ClassCode.TCP_IP:
                return attributes.tcp_ip(self.address, self.name)
            case ClassCode.ETHERNET:
                return attributes.ethernet(self.name)
            case ClassCode.CHANGES if self.controller.changes:
                forms = zip((1, 2, 3, 4, 10), "HHIII", self.controller.changes, strict=True)
                return {number: struct.pack("<" + form, count) for number, form, count in forms}
            case _:
                return None

    def _symbol_attributes(self, tag: LogixTag) -> dict[int, bytes]:
        """Attributes of a symbol by number (1756-PM020, symbol object; 3 and 5 are addresses that nobody may use)."""
        name = tag.name.encode("ascii", "replace")
        word = 0x1068 if name.startswith(b"Program:") else tag.word
        size = tag.type.size if tag.type is not ATOMICS["BOOL"] else 1
        values = {
            1: struct.pack("<H", len(name)) + name,
            2: struct.pack("<H", word),
            3: struct.pack("<I", 0x1000 + tag.instance),
            5: struct.pack("<I", 0x2000 + tag.instance),
            6: struct.pack("<I", BASE_TAG),
            7: struct.pack("<H", size),
            8: struct.pack("<3I", *(*tag.dims, 0, 0, 0)[:3]),
            9: b"\0",
        }
        return values if self.identity.major < KNOWS_ACCESS else {**values, 10: READ_ONLY}

    # -- containers and connections

    def _multiple(self, asked: CipRequest, connections: Connections) -> tuple[GeneralStatus, bytes]:
        """Multiple Service Packet: each request answered in the room the others leave."""
        if asked.inside:
            raise CipError(GeneralStatus.SERVICE_NOT_SUPPORTED)
        data = asked.data
        (count,) = struct.unpack_from("<H", data)
        starts = struct.unpack_from(f"<{count}H", data, 2)
        head = 2 + 2 * count
        left = asked.room - REPLY_HEAD - head
        if not count or left < count * REPLY_HEAD or any(start < head for start in starts):
            raise CipError(
                GeneralStatus.REPLY_TOO_LARGE if count and left < count * REPLY_HEAD else GeneralStatus.NOT_ENOUGH_DATA
            )
        replies, offsets, at = [], [], head
        for index, (start, end) in enumerate(zip(starts, (*starts[1:], len(data)), strict=True)):
            later = (count - index - 1) * REPLY_HEAD
            one = self.request(data[start:end], left - later, connections, inside=True)
            replies.append(one)
            offsets.append(at)
            at += len(one)
            left -= len(one)
        failed = any(one[2] not in (GeneralStatus.SUCCESS, GeneralStatus.PARTIAL_TRANSFER) for one in replies)
        status = GeneralStatus.EMBEDDED_SERVICE_ERROR if failed else GeneralStatus.SUCCESS
        return status, struct.pack(f"<H{count}H", count, *offsets) + b"".join(replies)

    def _connection_manager(self, asked: CipRequest, connections: Connections) -> tuple[GeneralStatus | None, bytes]:
        service = asked.service
        if asked.inside:
            raise CipError(GeneralStatus.SERVICE_NOT_SUPPORTED)
        if service in (Service.FORWARD_OPEN, Service.LARGE_FORWARD_OPEN):
            return GeneralStatus.SUCCESS, connections.open(asked.data, large=service == Service.LARGE_FORWARD_OPEN)
        if service == Service.FORWARD_CLOSE:
            return GeneralStatus.SUCCESS, connections.close(asked.data)
        if service == Service.UNCONNECTED_SEND:
            inner = connections.unwrap(asked.data)
            return None, self.request(inner, min(asked.room, UNCONNECTED_ROOM), connections, inside=False)
        raise CipError(GeneralStatus.SERVICE_NOT_SUPPORTED)


def _class_of(segments: list[PathSegment]) -> int | None:
    """The class a path is about: None for a symbol's name. `Program:Main` before a class changes only the scope."""
    if not segments:
        raise CipError(GeneralStatus.PATH_SEGMENT_ERROR)
    first = segments[0]
    if first.part is SegmentType.SYMBOL and len(segments) > 1 and segments[1].part is SegmentType.CLASS:
        first = segments[1]
        if first.number != ClassCode.SYMBOL:
            raise CipError(GeneralStatus.PATH_DESTINATION_UNKNOWN)
    if first.part is SegmentType.SYMBOL:
        return None
    if first.part is not SegmentType.CLASS:
        raise CipError(GeneralStatus.PATH_DESTINATION_UNKNOWN)
    return first.number
