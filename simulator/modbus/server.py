"""False Modbus devices on TCP: one listener, one unit or several behind it, framed as MBAP, MBAP in TLS, or RTU.

    server = await serve(plant, section, host, port)        a device, or the gateway that has others behind it
    server.attach(plant, section)                           one more unit, with `modbus.behind = "GATEWAY"`

Requests may arrive split or many in one segment; each is answered, in order, and all that arrived together are answered
by one write. A peer that does not read is not read from either.

`[server.modbus]` in a scene may say:
    unit, other_units          1; `refuse` (exception 0x0B, as from a gateway), `silent`, or `same` (answers to any)
    behind                     the asset on whose port this unit answers
    framing, tls               `tcp` or `rtu`; true, with `certificate`, `clients`: files of `certificates`
    word_order, byte_order     `big`, `little`
    refuse, gaps               exception for writes; `refuse` or `zero` between tags
    window                     registers with a side effect: [{ at, kind = "events"|"file", fields }], see `readout`
    url, product               for function 43/14

Source: Modbus Messaging on TCP/IP V1.0b; MODBUS/TCP Security (MB-TCP-Security v2.1).
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import struct
from collections.abc import Mapping
from typing import Any

from protocol.errors import ConfigError
from simulator.device_faults import Act, DeviceFaults, Fault
from simulator.modbus.framing import Broken, Framing, Mbap, ModbusRequest, Rtu
from simulator.modbus.readout import EventWindow, FileWindow, ReadoutWindow
from simulator.modbus.registers import TABLES, Image
from simulator.modbus.tls import context
from simulator.modbus.unit import READ, WRITES, ModbusUnit, identity_of, shortened, words_of
from simulator.plant.plant import Plant, PlantMoment
from simulator.plant.troubles import View
from simulator.scene.scene import DeviceSection
from simulator.serving import Presence, QuestionCounts, listening

BUSY = 6
TARGET_FAILED = 0x0B

PIECES = 10
"""Into so many a slow reply is cut, at most."""

KNOWN = frozenset(
    (
        *("unit", "other_units", "behind", "framing", "tls", "certificate", "clients"),
        *("word_order", "byte_order", "refuse", "gaps", "window", "url", "product"),
    )
)
"""Keys of `[server.modbus]`."""

log = logging.getLogger("simulator.modbus.server")


class FaultyUnit:
    """One unit with its faults: the right reply, and the fault that a request meets."""

    def __init__(self, plant: Plant, section: DeviceSection) -> None:
        _check(section)
        settings = section.settings
        self.asset = section.asset
        self.number = int(settings.get("unit", 1))
        self.faults = DeviceFaults(plant.seed)
        self.asked = QuestionCounts()
        image = Image(section.points, settings)
        for at, window in _windows(plant, section):
            image.put_window(at, window)
        self.device = ModbusUnit(image, identity_of(plant, section), refuse=int(settings.get("refuse", 1)))
        self._points = section.points
        self.view = View(plant, section.points, self.faults.troubles)
        self.view.listen(self._fill)
        self._fill(self.view.moment)

    def _fill(self, moment: PlantMoment) -> None:
        self.device.image.hide(self.faults.troubles.gone(self._points))
        self.device.image.fill(moment)

    def answer(self, pdu: bytes, peer: str) -> bytes:
        """The reply to a PDU, by a unit that is well; what was asked is counted."""
        self.asked.add(words_of(pdu))
        if pdu[0] in WRITES and self.device.counts["refused"] < 10:
            log.warning("write refused asset=%s unit=%d function=%d peer=%s", self.asset, self.number, pdu[0], peer)
        return self.device.answer(pdu)

    def met(self, pdu: bytes) -> Fault | None:
        """The fault that a request meets."""
        if not self.faults:
            return None
        table = TABLES.get(pdu[0], "")
        start, count = READ.unpack(pdu)[1:] if table and len(pdu) == 5 else (0, 0)
        return self.faults.meet(table, start, count)


class ModbusConnection(asyncio.Protocol):
    """One client: bytes to requests, replies to bytes."""

    def __init__(self, server: ModbusServer) -> None:
        self._server = server
        self.framing: Framing = Rtu() if server.rtu else Mbap()
        self.peer = ""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.peer = "{}:{}".format(*(transport.get_extra_info("peername") or ("?", 0))[:2])
        self._server.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.left(self)

    def pause_writing(self) -> None:
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        broken = False
        try:
            requests = self.framing.split(data)
        except Broken as end:
            requests, broken = end.requests, True
        replies: list[bytes] = []
        for request in requests:
            replies.append(self._server.reply(self, request))
            if self._transport.is_closing():
                return
        if joined := b"".join(replies):
            self._transport.write(joined)
        if broken:
            self._server.device.counts["malformed"] += 1
            self._transport.close()

    def later(self, seconds: float, frame: bytes) -> None:
        """Send a frame after a while, if the client is still there."""
        asyncio.get_running_loop().call_later(seconds, self._late, frame)

    def slowly(self, seconds: float, frame: bytes) -> None:
        """Send a frame in pieces, the last one after `seconds`."""
        size = -(-len(frame) // PIECES)
        pieces = [frame[at : at + size] for at in range(0, len(frame), size)]
        for at, piece in enumerate(pieces, 1):
            self.later(seconds * at / len(pieces), piece)

    def reset(self) -> None:
        """End with RST, nothing more is sent."""
        raw_socket = self._transport.get_extra_info("socket")
        if raw_socket is not None and not self._transport.is_closing():
            raw_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # on, 0 s
        self._transport.abort()

    def _late(self, frame: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(frame)


class ModbusServer:
    """A listening device with its faults, and those behind it (`simulator.serving.DeviceServer`)."""

    def __init__(self, plant: Plant, section: DeviceSection, host: str) -> None:
        self._unit = FaultyUnit(plant, section)
        self.device, self.faults = self._unit.device, self._unit.faults
        self.rtu = section.settings.get("framing", "tcp") == "rtu"
        self._units = {self._unit.number: self._unit}
        self._others = str(section.settings.get("other_units", "refuse"))
        self._tls: ssl.SSLContext | None = context(section, host)
        self._host = host
        self._port = 0
        self._listener: asyncio.Server | None = None
        self._open: set[ModbusConnection] = set()
        self._presence = Presence(self.faults, self._leave, self._back, self.device.image.restart)

    @property
    def port(self) -> int:
        return self._port

    @property
    def counts(self) -> dict[str, int]:
        return {**self.device.counts, "open": len(self._open), "faults": self.faults.met}

    @property
    def asked(self) -> dict[str, int]:
        return self._unit.asked.counts

    @property
    def unit(self) -> int:
        """The gateway's own unit number."""
        return self._unit.number

    async def listen(self, port: int) -> None:
        """Start to accept connections on `port` or the next free one above."""
        listener = listening(self._host, port)
        self._port = listener.getsockname()[1]
        self._listener = await asyncio.get_running_loop().create_server(
            lambda: ModbusConnection(self), sock=listener, ssl=self._tls
        )
        self._presence.there = True

    def attach(self, plant: Plant, section: DeviceSection) -> UnitServer:
        """Let a device answer behind this one.

        Raises:
            ConfigError: a unit number that is taken, or a setting that is none.
        """
        unit = FaultyUnit(plant, section)
        if unit.number in self._units:
            taken = self._units[unit.number].asset
            raise ConfigError(f"{section.asset}: unit {unit.number} is {taken} already", hint="give modbus.unit")
        self._units[unit.number] = unit
        return UnitServer(self, unit)

    async def close(self) -> None:
        self._unit.view.close()
        await self._presence.close()
        await asyncio.sleep(0)  # so that connections just accepted come to `joined`, and those reset are let go
        await asyncio.sleep(0)

    async def settled(self) -> None:
        """Wait until an `absent` that was added or removed is in effect."""
        await self._presence.settled()

    def joined(self, connection: ModbusConnection) -> None:
        """Count a client that came; one that comes while the device is away is reset."""
        self.device.counts["connections"] += 1
        self._open.add(connection)
        if not self._presence.there:
            connection.reset()

    def left(self, connection: ModbusConnection) -> None:
        """Forget a client that went, and count what it sent that was no frame."""
        self._open.discard(connection)
        if isinstance(connection.framing, Rtu):
            self.device.counts["malformed"] += connection.framing.bad

    def reply(self, connection: ModbusConnection, request: ModbusRequest) -> bytes:
        """The frame that answers a request, with the fault it meets; empty where nothing is to be sent now."""
        unit = self._units.get(request.unit)
        if unit is None and self._others == "same":
            unit = self._unit
        if unit is None:
            self.device.counts["other_unit"] += 1
        if unit is None or unit.faults.absent:
            if self.rtu or self._others == "silent":
                return b""
            refused = bytes((request.pdu[0] | 0x80, TARGET_FAILED))
            return connection.framing.frame(request.transaction, request.unit, refused)
        answer = unit.answer(request.pdu, connection.peer)
        fault = unit.met(request.pdu)
        if fault is not None:
            return self._spoiled(connection, fault, request, answer, unit.faults)
        return connection.framing.frame(request.transaction, request.unit, answer)

    def _spoiled(
        self, connection: ModbusConnection, fault: Fault, request: ModbusRequest, answer: bytes, faults: DeviceFaults
    ) -> bytes:
        transaction, unit, frame = request.transaction, request.unit, connection.framing.frame
        match fault.act:
            case Act.REFUSE | Act.BUSY:
                code = BUSY if fault.act is Act.BUSY else fault.code & 0xFF
                return frame(transaction, unit, bytes((request.pdu[0] | 0x80, code)))
            case Act.LATE:
                connection.later(fault.seconds, frame(transaction, unit, answer))
                return b""
            case Act.SLOW:
                connection.slowly(fault.seconds, frame(transaction, unit, answer))
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
            case Act.WRONG_TRANSACTION if self.rtu:
                return frame(transaction, unit, answer)[:-2] + b"\0\0"  # a line has no transactions: its check is wrong
            case Act.WRONG_TRANSACTION:
                return frame(transaction ^ 0x5555, unit, answer)
            case Act.GARBAGE:
                return faults.random.randbytes(2) + b"\xff\xff" + faults.random.randbytes(16)
            case _:  # hang; absent closes the listener, a request that was under way is not answered
                return b""

    async def _back(self) -> None:
        await self.listen(self._port)

    async def _leave(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for connection in tuple(self._open):
            connection.reset()


class UnitServer:
    """A device that answers on another one's port under a unit number of its own (`simulator.serving.DeviceServer`)."""

    def __init__(self, gateway: ModbusServer, unit: FaultyUnit) -> None:
        self._gateway, self._unit = gateway, unit
        self.faults, self.device = unit.faults, unit.device
        self._presence = Presence(self.faults, _nothing, _nothing, self.device.image.restart)
        self._presence.there = True

    @property
    def port(self) -> int:
        return self._gateway.port

    @property
    def unit(self) -> int:
        """Its number on the gateway."""
        return self._unit.number

    @property
    def counts(self) -> dict[str, int]:
        return {**self.device.counts, "faults": self.faults.met}

    @property
    def asked(self) -> dict[str, int]:
        return self._unit.asked.counts

    async def close(self) -> None:
        self._unit.view.close()
        await self._presence.close()


async def _nothing() -> None:
    """There is no listener to open or close."""


_OTHER = {1: 2, 2: 1, 3: 4, 4: 3}


def _check(section: DeviceSection) -> None:
    settings: Mapping[str, Any] = section.settings
    choices = {
        **dict.fromkeys(("word_order", "byte_order"), ("big", "little")),
        "framing": ("tcp", "rtu"),
        "other_units": ("refuse", "silent", "same"),
        "gaps": ("refuse", "zero"),
    }
    wrong = [f"`{key}` is no setting" for key in sorted(set(settings) - KNOWN)]
    wrong += [f"{key} is one of {', '.join(of)}" for key, of in choices.items() if settings.get(key, of[0]) not in of]
    if not 0 <= int(settings.get("unit", 1)) <= 255:
        wrong.append("unit is 0 to 255")
    if wrong:
        raise ConfigError(
            f"{section.asset}: modbus settings: {'; '.join(wrong)}", hint=f"known are {', '.join(sorted(KNOWN))}"
        )


def _windows(plant: Plant, section: DeviceSection) -> list[tuple[str, ReadoutWindow]]:
    out: list[tuple[str, ReadoutWindow]] = []
    for table in section.settings.get("window", []):
        kind = table.get("kind")
        try:
            made: ReadoutWindow = (
                FileWindow(plant, section.asset, table["fields"])
                if kind == "file"
                else EventWindow(plant, section.asset)
                if kind == "events"
                else _no_window(kind)
            )
            out.append((str(table["at"]), made))
        except KeyError as error:
            raise ConfigError(
                f"{section.asset}: modbus.window: {error}",
                hint='such as { at = "input:1000", kind = "events" } or { at = .., kind = "file", fields = [tags] }',
            ) from error
    return out


def _no_window(kind: object) -> ReadoutWindow:
    raise KeyError(f"kind {kind}")


async def serve(plant: Plant, section: DeviceSection, host: str, port: int) -> ModbusServer:
    """Start the device of a section.

    Raises:
        ConfigError: an address or a setting that is none, or no port.
    """
    server = ModbusServer(plant, section, host)
    await server.listen(port)
    return server
