"""Devices as they are in the field: a server over raw sockets whose habits are set one by one.

Each request that comes is handed to `habit`, which says what is sent back and when; without one a sound device
answers. Register `a` holds `values[a]`, or `a` where nothing was set.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any

from collectors.base import Device, numbered
from collectors.modbus.collector import ModbusCollector
from collectors.modbus.replies import checksum
from protocol.content.sample import Quality, Row
from protocol.errors import AssetError

HOST = "127.0.0.1"


class Asked:
    """One request, and the ways to answer it."""

    def __init__(self, field: Field, link: Link, number: int, unit: int, pdu: bytes) -> None:
        self.field, self.link, self.number, self.unit, self.pdu = field, link, number, unit, pdu
        self.function = pdu[0]
        self.start, self.count = struct.unpack(">HH", pdu[1:5].ljust(4, b"\0")[:4])
        self.at = time.monotonic()

    @property
    def addresses(self) -> range:
        return range(self.start, self.start + self.count)

    def touches(self, *addresses: int) -> bool:
        """Whether it reads one of them."""
        return self.function < 5 and any(at in self.addresses for at in addresses)

    def data(self) -> bytes:
        """A right reply's function and data; exception 1 for what reads nothing."""
        if self.function not in (3, 4):
            return bytes([self.function | 0x80, 1])
        words = [self.field.values.get(at, at) for at in self.addresses]
        return bytes([self.function, 2 * len(words)]) + struct.pack(f">{len(words)}H", *words)

    def frame(self, pdu: bytes | None = None, *, number: int | None = None, unit: int | None = None) -> bytes:
        """In this field's framing."""
        pdu = self.data() if pdu is None else pdu
        unit = self.unit if unit is None else unit
        if self.field.rtu:
            whole = bytes([unit]) + pdu
            return whole + checksum(whole).to_bytes(2, "little")
        number = self.number if number is None else number
        return struct.pack(">HHHB", number, 0, len(pdu) + 1, unit) + pdu

    def exception(self, code: int) -> bytes:
        return self.frame(bytes([self.function | 0x80, code]))

    def send(self, data: bytes | None = None) -> None:
        """Now."""
        self.link.send(self.frame() if data is None else data)

    def later(self, seconds: float, data: bytes | None = None, *, everywhere: bool = False) -> None:
        """After some time; `everywhere` on every connection that is open then."""
        told = self.frame() if data is None else data

        def give() -> None:
            for link in list(self.field.links) if everywhere else [self.link]:
                link.send(told)

        asyncio.get_running_loop().call_later(seconds, give)


Habit = Callable[[Asked], "Awaitable[None] | None"]


class Link(asyncio.Protocol, asyncio.DatagramProtocol):
    """One connection, or the datagram socket."""

    def __init__(self, field: Field) -> None:
        self.field, self.buffer, self.peer = field, b"", None
        self.transport: Any = None
        self.asked = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        if not self.field.udp:
            self.field.links.append(self)
            self.field.connections += 1
            self.field.joined(self)

    def connection_lost(self, error: Exception | None) -> None:
        if self in self.field.links:
            self.field.links.remove(self)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while self.buffer:
            if self.field.rtu:
                size = 7 if self.buffer[1:2] == b"\x2b" else 8
                if len(self.buffer) < size:
                    return
                frame, self.buffer = self.buffer[:size], self.buffer[size:]
                assert checksum(frame) == 0
                self._take(0, frame[0], frame[1:-2])
            else:
                if len(self.buffer) < 6 or len(self.buffer) < 6 + int.from_bytes(self.buffer[4:6], "big"):
                    return
                size = 6 + int.from_bytes(self.buffer[4:6], "big")
                frame, self.buffer = self.buffer[:size], self.buffer[size:]
                self._take(int.from_bytes(frame[:2], "big"), frame[6], frame[7:])

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.peer = addr
        self._take(int.from_bytes(data[:2], "big"), data[6], data[7:])

    def _take(self, number: int, unit: int, pdu: bytes) -> None:
        asked = Asked(self.field, self, number, unit, pdu)
        self.asked += 1
        self.field.asked.append(asked)
        self.field.habit(asked)

    def send(self, data: bytes) -> None:
        if self.field.udp:
            self.transport.sendto(data, self.peer)
        elif self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    def hang_up(self) -> None:
        if self.transport is not None:
            self.transport.close()


class Field:
    """The device, or the gateway; `async with Field() as field`."""

    def __init__(self, habit: Callable[[Asked], object] | None = None, *, rtu: bool = False, udp: bool = False) -> None:
        self.habit: Callable[[Asked], object] = habit or Asked.send
        self.joined: Callable[[Link], object] = lambda link: None
        self.rtu, self.udp = rtu, udp
        self.values: dict[int, int] = {}
        self.asked: list[Asked] = []
        self.links: list[Link] = []
        self.connections = 0
        self.port = 0
        self._server: Any = None

    @property
    def reads(self) -> list[Asked]:
        """Every request but identifications."""
        return [one for one in self.asked if one.function < 5]

    async def __aenter__(self) -> Field:
        loop = asyncio.get_running_loop()
        if self.udp:
            self._server, _ = await loop.create_datagram_endpoint(lambda: Link(self), local_addr=(HOST, 0))
            self.port = self._server.get_extra_info("sockname")[1]
        else:
            self._server = await loop.create_server(lambda: Link(self), HOST, 0)
            self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for link in list(self.links):
            link.hang_up()
        await asyncio.sleep(0)

    def device(
        self, *scans: Iterable[int], every: float = 1.0, wait: float = 2.0, kind: str = "process", **settings: Any
    ) -> Device:
        """One scan a list of addresses, each a `uint16` of its own."""
        tables = [(every, [{"name": f"t{at}", "at": f"holding:{at}", "type": "uint16"} for at in ats]) for ats in scans]
        scheme = "udp" if self.udp else "tcp"
        settings = ({"framing": "rtu"} if self.rtu else {}) | settings
        return Device(
            name="pump",
            url=f"{scheme}://{HOST}:{self.port}",
            kind=kind,
            settings=settings,
            scans=numbered(tables),
            timeout_s=wait,
            requests_s=10_000.0 if kind != "process" else None,
        )


class Reader:
    """A collector that is opened, read and, where it is lost, closed and opened again, as the poller does."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.addresses = {point.number: int(point.at.partition(":")[2]) for point in device.points}
        self.plc = ModbusCollector(device, clock=time.time_ns, refused=print)
        self.opened = False
        self.error: AssetError | None = None
        self.remarks: list[str] = []

    async def read(self, scan: int = 0) -> dict[int, Row]:
        """A pass: rows by address, none where the device was lost."""
        try:
            if not self.opened:
                await self.plc.open()
                self.opened = True
            rows = await self.plc.read(self.device.scans[scan])
        except AssetError as error:
            self.error = error
            await self.close()
            return {}
        self.remarks += self.plc.remarks()
        if self.plc.lost() is not None:
            self.error = self.plc.lost()
            await self.close()
        return {self.addresses[row.tag]: row for row in rows.rows()}

    async def close(self) -> None:
        self.opened = False
        await self.plc.close()


def good(rows: dict[int, Row]) -> dict[int, Any]:
    """Good values by address."""
    return {at: row.value for at, row in rows.items() if row.quality == Quality.GOOD}
