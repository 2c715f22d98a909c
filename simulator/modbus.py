"""A false Modbus TCP device: functions 1 to 4 and 43/14, written from the standard, not from another implementation.

     0   2   transaction   echoed
     2   2   protocol      0; anything else cannot be a Modbus frame, and the connection is closed
     4   2   length        of what follows: unit and PDU, 2 to 254 bytes
     6   1   unit          another than ours: exception 0x0B, as from a gateway whose target does not respond
     7       PDU           function, data          (Modbus Messaging on TCP/IP V1.0b, 3.1.3)

Requests may arrive split or many in one segment; each is answered, in order, and all that arrived together are answered
by one write. A peer that does not read is not read from either. Replies are cut from `registers.Image`, which changes
only between requests, so a value is never torn. Writes are refused and counted: nothing can be changed from outside.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import Mapping
from typing import Any

from protocol.errors import ConfigError
from simulator.faults import Act, Fault, Faults
from simulator.plant import Plant
from simulator.registers import ILLEGAL_ADDRESS, ILLEGAL_VALUE, TABLES, Image, Refusal
from simulator.scene import Section
from simulator.serving import listening

WRITES = frozenset({5, 6, 15, 16, 21, 22, 23})
"""Functions that change something: coils, registers, file record, mask, read/write (6.5 to 6.17)."""

ILLEGAL_FUNCTION = 1
BUSY = 6
TARGET_FAILED = 0x0B

LONGEST = 254
"""Largest length field: a PDU is at most 253 bytes (4.1)."""

COUNTS = ("connections", "requests", "refused", "exceptions", "other_unit", "malformed")
"""Names in `counts`: refused are writes, exceptions all exception replies, malformed what ended a connection."""

IDENTITY_BYTES = 244
"""Longest identity object: a PDU of 253 less its 7 bytes of header and the object's own 2."""

_HEADER = struct.Struct(">HHHB")
_READ = struct.Struct(">BHH")


class Device:
    """What one unit answers: PDU in, PDU out. No I/O."""

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
                    raise Refusal(ILLEGAL_VALUE)
                _, start, count = _READ.unpack(pdu)
                data = self.image.read(table, start, count)
                return bytes((function, len(data))) + data
            if function == 43 and pdu[1:2] == b"\x0e":
                return self._identify(pdu)
            if function in WRITES:
                self.counts["refused"] += 1
                raise Refusal(self._refuse)
            raise Refusal(ILLEGAL_FUNCTION)
        except Refusal as refusal:
            self.counts["exceptions"] += 1
            return bytes((function | 0x80, refusal.code))

    def _identify(self, pdu: bytes) -> bytes:
        """Read Device Identification (6.21): a page of objects, and where the next page starts."""
        if len(pdu) != 4 or not 1 <= pdu[2] <= 4:
            raise Refusal(ILLEGAL_VALUE)
        access, first = pdu[2], pdu[3]
        if access == 4:
            if first not in self._identity:
                raise Refusal(ILLEGAL_ADDRESS)
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


class Connection(asyncio.Protocol):
    """One client: bytes to requests, replies to bytes."""

    def __init__(self, server: ModbusServer) -> None:
        self._server = server
        self._rest = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.left(self)

    def pause_writing(self) -> None:
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        held = self._rest + data if self._rest else data
        at = 0
        replies: list[bytes] = []
        while len(held) - at >= 8:
            transaction, protocol, length, unit = _HEADER.unpack_from(held, at)
            if protocol or not 2 <= length <= LONGEST:
                self._server.device.counts["malformed"] += 1
                self._flush(replies)
                self._transport.close()
                return
            end = at + 6 + length
            if end > len(held):
                break
            reply = self._server.reply(self, transaction, unit, held[at + 7 : end])
            if self._transport.is_closing():
                return
            replies.append(reply)
            at = end
        self._rest = held[at:]
        self._flush(replies)

    def later(self, seconds: float, frame: bytes) -> None:
        """Send a frame after a while, if the client is still there."""
        asyncio.get_running_loop().call_later(seconds, self._late, frame)

    def reset(self) -> None:
        """End with RST, nothing more is sent."""
        held = self._transport.get_extra_info("socket")
        if held is not None and not self._transport.is_closing():
            held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # on, 0 s
        self._transport.abort()

    def _late(self, frame: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(frame)

    def _flush(self, replies: list[bytes]) -> None:
        joined = b"".join(replies)
        if joined:
            self._transport.write(joined)


class ModbusServer:
    """A listening device with its faults (`simulator.serving.Server`)."""

    def __init__(self, plant: Plant, section: Section, host: str) -> None:
        settings = section.settings
        self.unit = int(settings.get("unit", 1))
        self.device = Device(
            Image(section.points, settings), identity_of(plant, section), refuse=int(settings.get("refuse", 1))
        )
        self.faults = Faults(plant.seed)
        self.faults.changed = self._follow_faults
        self._host = host
        self._port = 0
        self._listener: asyncio.Server | None = None
        self._open: set[Connection] = set()
        self._closed = False
        self._moving: asyncio.Task[None] | None = None
        self._end = plant.listen(self.device.image.fill)
        self.device.image.fill(plant.moment)

    @property
    def port(self) -> int:
        return self._port

    @property
    def counts(self) -> dict[str, int]:
        return {**self.device.counts, "open": len(self._open), "faults": self.faults.met}

    async def listen(self, port: int) -> None:
        """Start to accept connections on `port` or the next free one above."""
        listener = listening(self._host, port)
        self._port = listener.getsockname()[1]
        self._listener = await asyncio.get_running_loop().create_server(lambda: Connection(self), sock=listener)

    async def close(self) -> None:
        self._end()
        self._closed = True
        if self._moving is not None:
            await self._moving
        self._leave()
        await asyncio.sleep(0)  # so that connections just accepted come to `joined`, and those reset are let go
        await asyncio.sleep(0)

    async def settled(self) -> None:
        """Wait until an `absent` that was added or removed is in effect."""
        if self._moving is not None:
            await self._moving

    def joined(self, connection: Connection) -> None:
        """A client came."""
        self.device.counts["connections"] += 1
        self._open.add(connection)
        if self._closed:
            connection.reset()

    def left(self, connection: Connection) -> None:
        """A client went."""
        self._open.discard(connection)

    def reply(self, connection: Connection, transaction: int, unit: int, pdu: bytes) -> bytes:
        """The frame that answers a request, with the fault it meets; empty where nothing is to be sent now."""
        if unit != self.unit:
            self.device.counts["other_unit"] += 1
            return frame(transaction, unit, bytes((pdu[0] | 0x80, TARGET_FAILED)))
        answer = self.device.answer(pdu)
        if self.faults:
            table = TABLES.get(pdu[0], "")
            start, count = _READ.unpack(pdu)[1:] if table and len(pdu) == 5 else (0, 0)
            fault = self.faults.meet(table, start, count)
            if fault is not None:
                return self._spoiled(connection, fault, transaction, unit, answer)
        return frame(transaction, unit, answer)

    def _spoiled(self, connection: Connection, fault: Fault, transaction: int, unit: int, answer: bytes) -> bytes:
        match fault.act:
            case Act.REFUSE | Act.BUSY:
                code = BUSY if fault.act is Act.BUSY else fault.code
                return frame(transaction, unit, bytes((answer[0] | 0x80, code)))
            case Act.LATE:
                connection.later(fault.seconds, frame(transaction, unit, answer))
                return b""
            case Act.RESET:
                connection.reset()
                return b""
            case Act.SHORT:
                return frame(transaction, unit, shortened(answer))
            case Act.WRONG_UNIT:
                return frame(transaction, unit ^ 0x55, answer)
            case Act.WRONG_FUNCTION:
                return frame(transaction, unit, bytes((_OTHER.get(answer[0], 3),)) + answer[1:])
            case Act.WRONG_TRANSACTION:
                return frame(transaction ^ 0x5555, unit, answer)
            case Act.GARBAGE:
                return self.faults.random.randbytes(2) + b"\xff\xff" + self.faults.random.randbytes(16)
            case _:  # hang; absent closes the listener, a request that was under way is not answered
                return b""

    def _follow_faults(self) -> None:
        """Leave, or come back on the same port, as the faults now say."""
        if self.faults.absent:
            self._leave()
        elif self._listener is None and self._port and self._moving is None:
            self._moving = asyncio.get_running_loop().create_task(self._return())

    async def _return(self) -> None:
        await self.listen(self._port)
        self._moving = None
        if self.faults.absent:
            self._leave()

    def _leave(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for connection in tuple(self._open):
            connection.reset()


_OTHER = {1: 2, 2: 1, 3: 4, 4: 3}


def frame(transaction: int, unit: int, pdu: bytes) -> bytes:
    """A PDU with its MBAP header."""
    return _HEADER.pack(transaction, 0, len(pdu) + 1, unit) + pdu


def shortened(answer: bytes) -> bytes:
    """The same reply with its last register (or byte of bits) missing, and a byte count that says so."""
    if answer[0] not in TABLES:
        return answer
    cut = min(1 if answer[0] < 3 else 2, answer[1])
    return bytes((answer[0], answer[1] - cut)) + answer[2 : len(answer) - cut]


def identity_of(plant: Plant, section: Section) -> dict[int, bytes]:
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


async def serve(plant: Plant, section: Section, host: str, port: int) -> ModbusServer:
    """Start the device of a section.

    Raises:
        ConfigError: an address or a setting that is none, or no port.
    """
    known = {"unit", "word_order", "byte_order", "refuse", "gaps", "url", "product"}
    orders = {section.settings.get(name, "big") for name in ("word_order", "byte_order")}
    if set(section.settings) - known or orders - {"big", "little"}:
        raise ConfigError(
            f"{section.asset}: modbus settings {dict(section.settings)}",
            hint=f"known are {', '.join(sorted(known))}; an order is big or little",
        )
    server = ModbusServer(plant, section, host)
    await server.listen(port)
    return server
